//! Nobody honest is refused: patches as git, diff and editors make them pass,
//! and give the very tree that `git apply` gives.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gate_support::*;
use protocol::spec::PatchRules;

/// Everything may change: honest patches are about form here.
fn open_rules() -> PatchRules {
    PatchRules {
        allow_binary: true,
        allow_executable: true,
        ..allowing(&["**"])
    }
}

fn agrees(world: &World, name: &str, patch: &[u8], options: &[&str]) -> Option<String> {
    let ours = world
        .review(&open_rules(), patch)
        .map(|tree| tree.id().to_string());
    let theirs = world.git_apply(patch, options);
    match (&ours, &theirs) {
        (Ok(ours), Some(theirs)) if ours == theirs => None,
        _ => Some(format!(
            "{name}: {ours:?}, git: {theirs:?}\n{}",
            String::from_utf8_lossy(patch)
        )),
    }
}

fn edit(path: &'static str, from: &'static str, to: &'static str) -> Change {
    Box::new(move |repo| {
        let text = fs::read_to_string(repo.join(path)).unwrap();
        assert!(text.contains(from));
        fs::write(repo.join(path), text.replacen(from, to, 1)).unwrap();
    })
}

fn new(path: &'static str, content: &'static [u8]) -> Change {
    Box::new(move |repo| write(repo, path, content))
}

fn renamed(from: &'static str, to: &'static str) -> Change {
    Box::new(move |repo| {
        fs::create_dir_all(repo.join(to).parent().unwrap()).unwrap();
        fs::rename(repo.join(from), repo.join(to)).unwrap();
    })
}

fn removed(path: &'static str) -> Change {
    Box::new(move |repo| fs::remove_file(repo.join(path)).unwrap())
}

fn all(steps: Vec<Change>) -> Change {
    Box::new(move |repo| steps.iter().for_each(|step| step(repo)))
}

/// What an honest miner does in a work tree.
type Change = Box<dyn Fn(&Path)>;
type Row = (&'static str, Change);

fn changes() -> Vec<Row> {
    vec![
        ("edit", edit("src/a.py", "five", "FIVE")),
        ("two hunks", all(vec![edit("src/a.py", "one", "1"), edit("src/a.py", "ten", "10")])),
        ("lines added", edit("src/a.py", "five\n", "five\nand a half\n\n\n")),
        ("lines removed", edit("src/a.py", "five\nsix\n", "")),
        ("first line", edit("src/a.py", "one\n", "zero\none\n")),
        ("last line", edit("src/a.py", "ten\n", "ten\neleven\n")),
        ("everything", new("src/a.py", b"all\nnew\n")),
        ("to empty", new("src/a.py", b"")),
        ("from empty", new("src/empty.py", b"text\n")),
        ("several files", all(vec![edit("src/a.py", "five", "5"), edit("src/b.py", "import a", "import c"), new("src/c.py", b"c\n")])),
        ("new file", new("src/n.py", b"new\nfile\n")),
        ("new empty file", new("src/__init__.py", b"")),
        ("new directory", new("src/x/y/z.py", b"deep\n")),
        ("deleted", removed("src/b.py")),
        ("deleted empty", removed("src/empty.py")),
        ("deleted last of a directory", all(vec![removed("src/deep/inner.py"), removed("src/deep/other.py")])),
        ("deleted executable", removed("src/run.sh")),
        ("no final line end", edit("src/no_end.py", "first", "FIRST")),
        ("final line end added", new("src/no_end.py", b"first\nlast\n")),
        ("final line end removed", new("src/b.py", b"import a")),
        ("both without", new("src/no_end.py", b"first\nfinal")),
        ("appended to a file without", new("src/no_end.py", b"first\nlast\nmore\n")),
        ("new without", new("src/n.py", b"x")),
        ("deleted without", removed("src/no_end.py")),
        ("CRLF content", edit("src/crlf.txt", "two\r\n", "2\r\n")),
        ("CRLF to LF", new("src/crlf.txt", b"one\ntwo\nthree\n")),
        ("lone CR", new("src/n.txt", b"a\rb\rc\n")),
        ("not UTF-8", new("src/latin.txt", b"caf\xe8\nna\xefve\n")),
        ("lone surrogate", new("src/n.txt", b"\xed\xa0\x80\n")),
        ("W03 a line like a header", edit("src/query.sql", "-- comment\n", "")),
        ("a new line like a header", new("src/n.txt", b"++ b/eval/score.py\n-- a/x\n@@ -1 +1 @@\ndiff --git a/x b/x\n")),
        ("a removed line like a hunk", all(vec![new("src/b.py", b"@ -1 +1 @@\n")])),
        ("a patch as content", new("src/x.diff", b"diff --git a/eval/score.py b/eval/score.py\n--- a/eval/score.py\n+++ b/eval/score.py\n@@ -1 +1 @@\n-score = 1\n+score = 2\n")),
        ("back slash lines", new("src/n.tex", b"\\ No newline at end of file\n\\begin\n")),
        ("NUL and bytes", new("src/data.bin", b"\0\xff\0\xfe")),
        ("new binary", new("src/n.bin", &[0, 1, 2, 255, 254])),
        ("binary removed", removed("src/data.bin")),
        ("binary to text", new("src/data.bin", b"text\n")),
        ("text to binary", new("src/a.py", b"\0\0\0")),
        ("name with blanks", edit("src/my file.py", "blank", "BLANK")),
        ("new name with blanks", new("src/a b  c .py", b"x\n")),
        ("name with quotes", new("src/it's \"q\".py", b"x\n")),
        ("name with a backslash", new("src/a\\b.py", b"x\n")),
        ("unicode name", edit("src/größe.py", "unicode", "UNICODE")),
        ("emoji", new("src/🚀.py", b"x\n")),
        ("name with a dash", new("src/-rf", b"x\n")),
        ("hidden name", new("src/.hidden", b"x\n")),
        ("name of dots", new("src/...", b"x\n")),
        ("glob name", edit("data[1].py", "literal", "LITERAL")),
        ("name like dev null", new("src/dev/null", b"x\n")),
        ("name with b/ in it", new("src/a b/src/a", b"x\n")),
        ("name of 255 bytes", Box::new(|repo| write(repo, &format!("src/{}", "n".repeat(255)), "x\n"))),
        ("case", new("src/A.py", b"x\n")),
        ("executable", Box::new(|repo| fs::set_permissions(repo.join("src/b.py"), fs::Permissions::from_mode(0o755)).unwrap())),
        ("not executable", Box::new(|repo| fs::set_permissions(repo.join("src/run.sh"), fs::Permissions::from_mode(0o644)).unwrap())),
        ("executable edited", edit("src/run.sh", "echo run", "echo ran")),
        ("executable edited and not", all(vec![edit("src/run.sh", "echo run", "echo ran"), Box::new(|repo| fs::set_permissions(repo.join("src/run.sh"), fs::Permissions::from_mode(0o644)).unwrap())])),
        ("renamed", renamed("src/a.py", "src/z.py")),
        ("renamed and edited", all(vec![edit("src/a.py", "five", "5"), renamed("src/a.py", "src/z.py")])),
        ("renamed executable", renamed("src/run.sh", "src/go.sh")),
        ("renamed with blanks", renamed("src/my file.py", "src/your file.py")),
        ("renamed binary", renamed("src/data.bin", "src/data2.bin")),
        ("directory renamed", renamed("src/deep", "src/low")),
        ("swapped", all(vec![renamed("src/a.py", "src/tmp"), renamed("src/query.sql", "src/a.py"), renamed("src/tmp", "src/query.sql")])),
        ("rotated", all(vec![renamed("src/a.py", "src/tmp"), renamed("src/query.sql", "src/a.py"), renamed("src/crlf.txt", "src/query.sql"), renamed("src/tmp", "src/crlf.txt")])),
        ("renamed, old name new", all(vec![renamed("src/a.py", "src/z.py"), new("src/a.py", b"entirely\ndifferent\n")])),
        ("copied", Box::new(|repo| { let _ = fs::copy(repo.join("src/a.py"), repo.join("src/copy.py")).unwrap(); })),
        ("copied, source edited", all(vec![Box::new(|repo| { let _ = fs::copy(repo.join("src/a.py"), repo.join("src/z.py")).unwrap(); }), edit("src/a.py", "five", "5")])),
        ("copied twice, source renamed", all(vec![
            Box::new(|repo| { let _ = fs::copy(repo.join("src/a.py"), repo.join("src/y.py")).unwrap(); }),
            Box::new(|repo| { let _ = fs::copy(repo.join("src/a.py"), repo.join("src/x.py")).unwrap(); }),
            renamed("src/a.py", "src/z.py"),
        ])),
        ("file to directory", all(vec![removed("src/b.py"), new("src/b.py/x", b"x\n")])),
        ("directory to file", Box::new(|repo| { fs::remove_dir_all(repo.join("src/deep")).unwrap(); write(repo, "src/deep", "x\n"); })),
        ("file moved into its own name", all(vec![renamed("src/b.py", "src/tmp"), renamed("src/tmp", "src/b.py/b.py")])),
        ("whole tree", Box::new(|repo| { fs::remove_dir_all(repo.join("src")).unwrap(); })),
        // Not of src/crlf.txt: whether git sees that as changed then is a matter of time stamps.
        (".gitattributes", new("src/.gitattributes", b"*.py text eol=crlf\n")),
        ("many", Box::new(|repo| (0..200).for_each(|n| write(repo, &format!("src/m{}/f{n}.py", n % 7), format!("{n}\n"))))),
    ]
}

#[test]
fn what_git_writes_is_applied_as_git_applies_it() {
    let world = World::new();
    let ways: &[&[&str]] = &[
        &["--binary"],
        &["--binary", "-M", "-C", "-C", "-B"],
        &["--binary", "--no-renames", "-U1"],
        &[
            "--binary",
            "--full-index",
            "--src-prefix=c/",
            "--dst-prefix=w/",
            "-U200",
            "--stat",
            "-p",
        ],
    ];
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (name, change) in changes() {
        for way in ways {
            let patch = world.diff(way, &change);
            assert!(!patch.is_empty(), "{name} changes nothing");
            wrong.extend(agrees(&world, &format!("{name} {way:?}"), &patch, &[]));
            compared += 1;
        }
        let bare = world.diff(&["--binary", "-U0"], &change);
        let whole = world.diff(&["--binary"], &change);
        let id = |patch| {
            world
                .review(&open_rules(), patch)
                .map(|tree| tree.id().to_string())
        };
        if !matches!((id(&bare), id(&whole)), (Ok(bare), Ok(whole)) if bare == whole) {
            wrong.push(format!("{name} -U0"));
        }
    }
    println!("{compared} patches compared with git");
    assert!(
        wrong.is_empty(),
        "{} of {compared}\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn mails_and_series_are_read_as_git_reads_them() {
    let world = World::new();
    let repo = world.repo();
    git(&repo, &["checkout", "-q", "-b", "work"]);
    let steps: [Change; 3] = [
        edit("src/a.py", "five", "5"),
        all(vec![
            edit("src/a.py", "six", "6"),
            new("src/n.py", b"new\n"),
        ]),
        all(vec![edit("src/n.py", "new", "newer"), removed("src/b.py")]),
    ];
    for step in &steps {
        step(&repo);
        git(&repo, &["add", "-A"]);
        git(
            &repo,
            &[
                "commit",
                "-qm",
                "A step\n\nSigned-off-by: a <a@b>\n---\n+ not a diff\n- nor this",
            ],
        );
    }
    let series = git(
        &repo,
        &["format-patch", "--stdout", "--binary", "main..work"],
    );
    let log = git(&repo, &["log", "-p", "--reverse", "main..work"]);
    let tip = git(&repo, &["rev-parse", "work^{tree}"]);
    git(&repo, &["checkout", "-q", "main"]);
    let tip = String::from_utf8(tip).unwrap().trim().to_owned();
    for (name, patch) in [("format-patch", series), ("log -p", log)] {
        let tree = world
            .review(&open_rules(), &patch)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(tree.id().to_string(), tip, "{name}");
        assert_eq!(agrees(&world, name, &patch, &[]), None);
    }
}

#[test]
fn diffs_of_other_tools_are_read_as_git_reads_them() {
    let world = World::new();
    let hunk = "@@ -1,4 +1,4 @@\n-one\n+ONE\n two\n three\n four\n";
    let rows: &[(&str, String)] = &[
        ("GNU diff", format!("--- a/src/a.py\t2024-01-01 00:00:00.000000000 +0000\n+++ b/src/a.py\t2024-01-02 00:00:00.000000000 +0000\n{hunk}")),
        ("diff -r", format!("diff -ru a/src/a.py b/src/a.py\n--- a/src/a.py\t2024-01-01 00:00:00 +0000\n+++ b/src/a.py\t2024-01-01 00:00:00 +0000\n{hunk}")),
        ("diff -N, new", "--- a/src/n.py\t1970-01-01 00:00:00.000000000 +0000\n+++ b/src/n.py\t2024-01-02 00:00:00.000000000 +0000\n@@ -0,0 +1 @@\n+x\n".to_owned()),
        ("diff -N, gone", "--- a/src/b.py\t2024-01-01 00:00:00.000000000 +0000\n+++ b/src/b.py\t1970-01-01 00:00:00.000000000 +0000\n@@ -1 +0,0 @@\n-import a\n".to_owned()),
        ("difflib", format!("--- a/src/a.py\n+++ b/src/a.py\n{hunk}")),
        ("new without stamp", "--- a/src/n.py\n+++ b/src/n.py\n@@ -0,0 +1 @@\n+x\n".to_owned()),
        ("/dev/null", "--- /dev/null\n+++ b/src/n.py\n@@ -0,0 +1 @@\n+x\n".to_owned()),
        ("to /dev/null", "--- a/src/b.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import a\n".to_owned()),
        ("Mercurial", format!("# HG changeset patch\n# User a\ndiff -r 0123 -r 4567 src/a.py\n--- a/src/a.py\tThu Jan 01 00:00:00 1970 +0000\n+++ b/src/a.py\tThu Jan 01 00:00:01 1970 +0000\n{hunk}")),
        ("dot prefix", format!("--- ./src/a.py\n+++ ./src/a.py\n{hunk}")),
        ("orig suffix", format!("--- a/src/a.py.orig\n+++ b/src/a.py\n{hunk}")),
        ("no index line", format!("diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a.py\n{hunk}")),
        ("executable without index line", "diff --git a/src/run.sh b/src/run.sh\n--- a/src/run.sh\n+++ b/src/run.sh\n@@ -1,2 +1,2 @@\n #!/bin/sh\n-echo run\n+echo ran\n".to_owned()),
        ("section headings", format!("--- a/src/a.py\n+++ b/src/a.py\n{}", hunk.replace("@@\n", "@@ def f(): @@ x\n"))),
        ("empty context lines", "--- a/src/n.py\n+++ b/src/n.py\n@@ -0,0 +1,3 @@\n+a\n+\n+b\n".to_owned()),
        ("text after", format!("--- a/src/a.py\n+++ b/src/a.py\n{hunk}\nThat is all.\n")),
        ("Index: lines", format!("Index: src/a.py\n===================================================================\n--- a/src/a.py\t(revision 1)\n+++ b/src/a.py\t(working copy)\n{hunk}")),
        ("CRLF headers", format!("diff --git a/src/a.py b/src/a.py\r\nindex 1111111..2222222 100644\r\n--- a/src/a.py\r\n+++ b/src/a.py\r\n{hunk}")),
        ("count of one", "--- a/src/b.py\n+++ b/src/b.py\n@@ -1,1 +1,1 @@\n-import a\n+import c\n".to_owned()),
        ("root file without prefix", "--- README.md\n+++ README.md\n@@ -1 +1 @@\n-read me\n+READ ME\n".to_owned()),
    ];
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(name, patch)| agrees(&world, name, patch.as_bytes(), &[]))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_empty_context_line_may_have_lost_its_blank() {
    let world = World::with(|repo| write(repo, "src/a.py", "a\n\nb\n"));
    let patch = b"--- a/src/a.py\n+++ b/src/a.py\n@@ -1,3 +1,3 @@\n-a\n+A\n\n b\n";
    assert_eq!(agrees(&world, "stripped", patch, &[]), None);
}
