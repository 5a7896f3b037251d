//! Trees on disk: the pristine one, and the patch as a layer over it. The layers
//! are mounted for real, so this needs root.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use gate_support::overlay::{Overlay, list, pristine};
use gate_support::*;
use protocol::Code;
use replay_runner::checkout::{EntryKind, Mirrors, Source};
use replay_runner::patch::PatchedTree;
use replay_runner::sandbox::SandboxUser;
use replay_runner::tree::{Pristine, Protected};

#[test]
fn the_pristine_tree_is_the_commit_with_one_owner_and_one_time() {
    let world = World::new();
    let tree = pristine(&world);
    let listing = list(&tree.path());
    assert!(listing.keys().all(|path| !path.starts_with(".git")));
    for (path, (mode, uid, time, _)) in &listing {
        let expected = match path.as_str() {
            "src/link" => 0o120_777,
            "src/run.sh" => 0o100_755,
            _ if tree.path().join(path).is_dir() => 0o040_755,
            _ => 0o100_644,
        };
        assert_eq!(
            (*mode, *uid, *time),
            (expected, 10_001, 1_700_000_000),
            "{path}"
        );
    }
    assert_eq!(listing["src/a.py"].3, NUMBERED.as_bytes());
    assert_eq!(listing["src/link"].3, b"../eval");
    assert_eq!(listing["src/latin.txt"].3, b"caf\xe9\nna\xefve\n");
    let again = pristine(&world);
    assert_eq!(
        again.entries(),
        tree.entries(),
        "the manifest is what was written"
    );
    assert_eq!(tree.entries(), world.base.entries().unwrap());
}

#[test]
fn a_tree_that_was_not_finished_is_made_again() {
    let world = World::new();
    let tree = pristine(&world);
    let manifest = tree.path().parent().unwrap().join("manifest");
    for damage in ["", "f 0 0", "f x y z\nend\n"] {
        fs::write(&manifest, damage).unwrap();
        fs::remove_file(tree.path().join("src/a.py")).unwrap();
        assert_eq!(
            list(&pristine(&world).path()).len(),
            list(&tree.path()).len()
        );
        assert!(tree.path().join("src/a.py").exists());
    }
    let cut = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, &cut[..cut.len() / 2]).unwrap();
    assert_eq!(pristine(&world).entries(), tree.entries());
}

/// A commit of a tree that git's own commands would not make.
fn commit_of(world: &World, entries: &[(&str, &[u8], &str)]) -> Result<Pristine, Code> {
    let repo = world.repo();
    let feed = |arguments: &[&str], input: &[u8]| {
        let mut child = git_command(&repo)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    let mut tree = Vec::new();
    for (mode, name, content) in entries {
        let id = feed(&["hash-object", "-w", "--stdin"], content.as_bytes());
        tree.extend(format!("{mode} ").into_bytes());
        tree.extend(*name);
        tree.push(0);
        tree.extend(
            (0..40)
                .step_by(2)
                .map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()),
        );
    }
    let tree = feed(
        &["hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        &tree,
    );
    let commit = feed(&["commit-tree", "-m", "x", &tree], b"")
        .parse()
        .unwrap();
    let mirrors = Mirrors::new(world.home.path().join("mirrors"));
    let base = mirrors
        .pinned(&Source::Local(repo), commit)
        .map_err(|e| e.code())?;
    Pristine::prepare(
        &world.home.path().join("trees"),
        &base,
        SandboxUser::default(),
    )
    .map_err(|e| e.code())
}

#[test]
fn a_base_tree_with_what_no_task_may_have_is_the_tasks_error() {
    let world = World::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    for (id, entries) in [
        ("G08", vec![("100644", &b"model.bin"[..], pointer)]),
        ("dot dot", vec![("100644", b"..", "x")]),
        ("slash", vec![("100644", b"a/b", "x")]),
        ("git", vec![("100644", b".git", "x")]),
        ("GIT", vec![("100644", b".GIT", "x")]),
        ("not UTF-8", vec![("100644", b"\xff", "x")]),
        ("new line", vec![("100644", b"a\nb", "x")]),
        ("link to nothing", vec![("120000", b"l", "")]),
        ("twice", vec![("100644", b"a", "x"), ("100644", b"a", "y")]),
        (
            "twice, with another between",
            vec![
                ("100644", b"a", "x"),
                ("100644", b"a.b", "x"),
                ("100755", b"a", "x"),
            ],
        ),
    ] {
        assert_eq!(
            commit_of(&world, &entries).err(),
            Some(Code::SpecInvalid),
            "{id}"
        );
    }
    let tree = commit_of(
        &world,
        &[("100664", b"old", "x"), ("120000", b"l", "/etc/passwd")],
    )
    .unwrap();
    assert_eq!(
        fs::metadata(tree.path().join("old")).unwrap().mode() & 0o777,
        0o644
    );
    assert_eq!(tree.entries()[0].kind, EntryKind::Symlink);
}

#[test]
fn a_submodule_is_an_empty_directory() {
    let world = World::with(|repo| {
        write(repo, "a", "a\n");
        fs::create_dir_all(repo.join("deps/lib")).unwrap();
        let entry = format!("160000,{},deps/lib", "1".repeat(40));
        git(repo, &["update-index", "--add", "--cacheinfo", &entry]);
        write(
            repo,
            ".gitmodules",
            "[submodule \"x\"]\n\tpath = deps/lib\n\turl = ext::sh -c 'touch /tmp/owned'\n",
        );
    });
    let tree = pristine(&world);
    assert_eq!(
        fs::read_dir(tree.path().join("deps/lib")).unwrap().count(),
        0,
        "G06"
    );
}

#[test]
fn the_layer_over_the_pristine_tree_is_the_patched_tree() {
    let world = World::new();
    let tree = pristine(&world);
    let rules = protocol::spec::PatchRules {
        allow_binary: true,
        allow_executable: true,
        ..allowing(&["**"])
    };
    type Change = fn(&Path);
    let changes: [(&str, Change); 12] = [
        ("edit", |r| write(r, "src/a.py", "new\n")),
        ("new", |r| write(r, "src/x/y/z", "new\n")),
        ("deleted", |r| fs::remove_file(r.join("src/b.py")).unwrap()),
        ("directory emptied", |r| {
            fs::remove_dir_all(r.join("src/deep")).unwrap()
        }),
        ("all of src", |r| fs::remove_dir_all(r.join("src")).unwrap()),
        ("directory to file", |r| {
            fs::remove_dir_all(r.join("src/deep")).unwrap();
            write(r, "src/deep", "x")
        }),
        ("file to directory", |r| {
            fs::remove_file(r.join("src/b.py")).unwrap();
            write(r, "src/b.py/x/y", "x")
        }),
        ("emptied and filled", |r| {
            fs::remove_dir_all(r.join("src/deep")).unwrap();
            write(r, "src/deep/er/x", "x")
        }),
        ("executable", |r| {
            fs::set_permissions(r.join("src/b.py"), fs::Permissions::from_mode(0o755)).unwrap()
        }),
        ("renamed", |r| {
            fs::rename(r.join("src/data.bin"), r.join("src/moved.bin")).unwrap()
        }),
        ("renamed directory", |r| {
            fs::rename(r.join("src/deep"), r.join("src/low")).unwrap()
        }),
        ("all at once", |r| {
            fs::rename(r.join("src/deep"), r.join("src/a/low"))
                .or_else(|_| {
                    fs::create_dir(r.join("src/a"))?;
                    fs::rename(r.join("src/deep"), r.join("src/a/low"))
                })
                .unwrap();
            fs::remove_dir_all(r.join("eval")).unwrap();
            write(r, "eval", "now a file\n");
            write(r, "src/a.py", "");
        }),
    ];
    for (name, change) in changes {
        let patch = world.diff(&["--binary", "-M"], change);
        let patched = world.review(&rules, &patch).unwrap();
        let home = tempfile::tempdir().unwrap();
        let layer = home.path().join("patch");
        fs::create_dir(&layer).unwrap();
        patched.write_layer(&layer, SandboxUser::default()).unwrap();
        let overlay = Overlay::mount(home.path(), &[&layer, &tree.path()]);
        // The patched tree as the engine would lay it out were it committed.
        change(&world.repo());
        git(&world.repo(), &["add", "-A"]);
        git(&world.repo(), &["commit", "-qm", "patched"]);
        let source = Source::Local(world.repo());
        let mirrors = Mirrors::new(world.home.path().join("mirrors"));
        let commit = mirrors.resolve(&source, None).unwrap();
        let base = mirrors.pinned(&source, commit).unwrap();
        assert_eq!(base.tree(), patched.id(), "{name}");
        let expected = Pristine::prepare(
            &world.home.path().join("trees"),
            &base,
            SandboxUser::default(),
        )
        .unwrap();
        git(&world.repo(), &["reset", "-q", "--hard", "HEAD~1"]);
        assert_eq!(list(&overlay.0), list(&expected.path()), "{name}");
    }
    assert!(PatchedTree::unpatched(&world.base).changes().is_empty());
}

#[test]
fn a_large_tree_costs_nothing_the_second_time() {
    let world = World::with(|repo| {
        for n in 0..2000 {
            write(
                repo,
                &format!("data/{}/{n}", n % 50),
                format!("{n}").repeat(2000),
            );
        }
        write(repo, "src/a.py", NUMBERED);
    });
    let cold = Instant::now();
    let first = pristine(&world);
    let cold = cold.elapsed();
    let made = |tree: &Pristine| {
        let found = fs::metadata(tree.path().join("data/7/7")).unwrap();
        (found.ino(), found.ctime(), found.ctime_nsec())
    };
    let before = made(&first);
    let warm = Instant::now();
    let mirrors = Mirrors::new(world.home.path().join("mirrors"));
    let base = mirrors
        .pinned(&Source::Local(world.repo()), world.base.commit())
        .unwrap();
    let pinned = warm.elapsed();
    let second = Pristine::prepare(
        &world.home.path().join("trees"),
        &base,
        SandboxUser::default(),
    )
    .unwrap();
    let prepared = warm.elapsed();
    Protected::of(&second, &rules()).unwrap();
    let protected = warm.elapsed();
    let patched = world
        .review(&rules(), change_a("--- a/src/a.py\n+++ b/src/a.py\n"))
        .unwrap();
    println!(
        "cold {cold:?}; warm: pinned {pinned:?}, prepared {prepared:?}, protected {protected:?}, reviewed {:?}",
        warm.elapsed()
    );
    assert_eq!(first.entries(), second.entries());
    assert_eq!(patched.changes().len(), 1);
    // Neither made again nor touched.
    let after = made(&second);
    assert_eq!(before, after);
}
