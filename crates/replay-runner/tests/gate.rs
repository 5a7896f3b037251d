//! The adversarial corpus against the gate: every case gets exactly its code.

mod gate_support;

use gate_support::*;
use protocol::Code;
use protocol::limits::Bytes;
use protocol::spec::PatchRules;

type Case<'a> = (&'a str, Vec<u8>, Code);

fn expect(world: &World, rules: &PatchRules, cases: Vec<Case<'_>>) {
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(id, patch, code)| {
            let result = world.review(rules, &patch);
            let got = world.code(rules, &patch);
            (got != code).then(|| {
                format!(
                    "{id}: {got}, not {code}: {:?}",
                    result.map(|tree| tree.changes().len())
                )
            })
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn case(id: &str, patch: impl Into<Vec<u8>>, code: Code) -> Case<'_> {
    (id, patch.into(), code)
}

const A: &str = "diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a.py\n";

#[test]
fn patches_that_are_no_patches_or_do_not_fit() {
    let world = World::new();
    let good = change_a(A);
    let at_cap = [
        good.as_bytes(),
        &vec![b'x'; 262_144 - good.len() - 1],
        b"\n",
    ]
    .concat();
    let over_cap = [at_cap.as_slice(), b"\n"].concat();
    let huge = format!("{A}@@ -1,4294967295 +1,4294967295 @@\n-one\n+ONE\n");
    let many: String = (0..10_001).map(|n| {
        let path = format!("src/{n}");
        format!("diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n")
    }).collect();
    let twice = format!(
        "{good}{}",
        change_a(A)
            .replace("-one\n", "-ONE\n")
            .replace("+ONE", "+Uno")
    );
    let crlf = good.replace('\n', "\r\n");
    let crlf_file = "diff --git a/src/crlf.txt b/src/crlf.txt\r\n--- a/src/crlf.txt\r\n+++ b/src/crlf.txt\r\n@@ -1,3 +1,3 @@\r\n-one\r\n+ONE\r\n two\r\n three\r\n";
    let mail = format!(
        "From 0123 Mon Sep 17 00:00:00 2001\nFrom: a <a@b>\nSubject: [PATCH] x\n\n---\n src/a.py | 2 +-\n\n{good}-- \n2.47.3\n\n"
    );
    let script = format!("#!/bin/sh\ntouch /tmp/owned\n{good}");
    let second = good.replace("-one\n", "-ONE\n").replace("+ONE\n", "+Uno\n");
    let emptied = "diff --git a/src/b.py b/src/b.py\ndeleted file mode 100644\n--- a/src/b.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import a\n";
    let latin = b"diff --git a/src/latin.txt b/src/latin.txt\n--- a/src/latin.txt\n+++ b/src/latin.txt\n@@ -1,2 +1,2 @@\n-caf\xe9\n+caf\xff\xfe\n na\xefve\n".to_vec();
    let roomy = PatchRules {
        max_bytes: 8 << 20,
        ..rules()
    };
    expect(
        &world,
        &roomy,
        vec![case("P05 10,001 files", many, Code::PatchTooLarge)],
    );
    expect(
        &world,
        &rules(),
        vec![
            case("P01", "", Code::PatchEmpty),
            case("P02", "Dear reviewer,\nplease accept.\n", Code::PatchEmpty),
            case(
                "P02 stat only",
                " src/a.py | 2 +-\n 1 file changed\n",
                Code::PatchEmpty,
            ),
            case("P03", over_cap, Code::PatchTooLarge),
            case("P04", at_cap, Code::Ok),
            case(
                "P06",
                good.replace(" three\n four\n", ""),
                Code::PatchUnparseable,
            ),
            case(
                "P06 in a line",
                good[..good.len() - 2].to_owned(),
                Code::PatchUnparseable,
            ),
            case(
                "P06 no last line end",
                good[..good.len() - 1].to_owned(),
                Code::PatchUnparseable,
            ),
            case("P07", huge, Code::PatchUnparseable),
            case(
                "P07 beyond 64 bits",
                good.replace("@@ -1,4", "@@ -1,99999999999999999999"),
                Code::PatchUnparseable,
            ),
            case(
                "P08",
                good.replace(" three", " drei"),
                Code::PatchDoesNotApply,
            ),
            case(
                "P08 second file",
                format!(
                    "{good}{}",
                    "diff --git a/src/b.py b/src/b.py\n--- a/src/b.py\n+++ b/src/b.py\n@@ -1 +1 @@\n-import b\n+import c\n"
                ),
                Code::PatchDoesNotApply,
            ),
            case(
                "P09",
                good.replace("@@ -1,4 +1,4 @@", "@@ -2,4 +2,4 @@"),
                Code::PatchDoesNotApply,
            ),
            case(
                "P09 old side",
                good.replace("@@ -1,4 +1,4 @@", "@@ -2,4 +1,4 @@"),
                Code::PatchDoesNotApply,
            ),
            case(
                "P09 new side",
                good.replace("@@ -1,4 +1,4 @@", "@@ -1,4 +5,4 @@"),
                Code::PatchDoesNotApply,
            ),
            case(
                "P09 line zero",
                good.replace("@@ -1,4 +1,4 @@", "@@ -0,4 +0,4 @@"),
                Code::PatchDoesNotApply,
            ),
            case(
                "P09 far away",
                good.replace("@@ -1,4 +1,4 @@", "@@ -4294967295,4 +4294967295,4 @@"),
                Code::PatchDoesNotApply,
            ),
            case(
                "P10",
                change_a(
                    "diff --git a/src/a.py b/src/a.py\n--- a/eval/score.py\n+++ b/eval/score.py\n",
                ),
                Code::PatchPathNotAllowed,
            ),
            case(
                "P12",
                change_a("--- a/src/a.py\n+++ b/src/a.py\n"),
                Code::Ok,
            ),
            case(
                "P12 not allowed",
                change_a("--- a/eval/score.py\n+++ b/eval/score.py\n"),
                Code::PatchPathNotAllowed,
            ),
            case(
                "P13",
                "diff --git a/src/a.py b/eval/x.py\nsimilarity index 100%\nrename from src/a.py\nrename to eval/x.py\n",
                Code::PatchPathNotAllowed,
            ),
            case(
                "P14",
                "diff --git a/eval/score.py b/src/s.py\nsimilarity index 100%\nrename from eval/score.py\nrename to src/s.py\n",
                Code::PatchPathNotAllowed,
            ),
            case(
                "P14 without rename lines",
                "diff --git a/eval/score.py b/src/s.py\n--- a/eval/score.py\n+++ b/src/s.py\n@@ -1 +1 @@\n-score = 1\n+score = 2\n",
                Code::PatchPathNotAllowed,
            ),
            case("P16 in order", twice.clone(), Code::Ok),
            case(
                "P16 not in order",
                format!("{good}{good}"),
                Code::PatchDoesNotApply,
            ),
            case(
                "P16 changed and renamed",
                format!(
                    "{good}diff --git a/src/a.py b/src/z.py\nsimilarity index 100%\nrename from src/a.py\nrename to src/z.py\n"
                ),
                Code::PatchUnparseable,
            ),
            case("P20", crlf, Code::PatchDoesNotApply),
            case("P20 file with CRLF", crlf_file, Code::Ok),
            case("P22 mail", mail, Code::Ok),
            case("P22 script", script, Code::Ok),
            case("P23", emptied, Code::Ok),
            case("P24", latin, Code::Ok),
            case("P25", second, Code::PatchDoesNotApply),
            case(
                "P26 gzip",
                b"\x1f\x8b\x08\0\0\0\0\0\0\x03+\xceH\xcd\xc9\xc9\x07\0".to_vec(),
                Code::PatchEmpty,
            ),
            case(
                "P26 zip",
                b"PK\x03\x04\x14\0\0\0\x08\0".to_vec(),
                Code::PatchEmpty,
            ),
            case(
                "hunk of no file",
                "@@ -1 +1 @@\n-a\n+b\n",
                Code::PatchUnparseable,
            ),
            case(
                "headers only",
                "diff --git a/src/a.py b/src/a.py\nindex 1111111..2222222 100644\n",
                Code::PatchUnparseable,
            ),
            case(
                "no change",
                good.replace("-one\n+ONE\n", "-one\n+one\n"),
                Code::PatchEmpty,
            ),
            case(
                "new file is there",
                new_file("src/b.py"),
                Code::PatchDoesNotApply,
            ),
            case(
                "deletion leaves lines",
                "diff --git a/src/a.py b/src/a.py\ndeleted file mode 100644\n--- a/src/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n",
                Code::PatchDoesNotApply,
            ),
            case(
                "deletion without hunk",
                "diff --git a/src/a.py b/src/a.py\ndeleted file mode 100644\nindex 1111111..0000000\n",
                Code::PatchDoesNotApply,
            ),
            case(
                "deletion of nothing",
                "diff --git a/src/q b/src/q\ndeleted file mode 100644\n--- a/src/q\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n",
                Code::PatchDoesNotApply,
            ),
            case(
                "overlapping hunks",
                format!("{good}@@ -4 +4 @@\n-four\n+FOUR\n"),
                Code::PatchDoesNotApply,
            ),
            case(
                "made and removed",
                format!(
                    "{}diff --git a/src/n b/src/n\ndeleted file mode 100644\n--- a/src/n\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
                    new_file("src/n")
                ),
                Code::PatchEmpty,
            ),
            case(
                "two names",
                change_a("diff --git a/src/a.py b/src/a.py\n--- a/src/b.py\n+++ b/eval/score.py\n"),
                Code::PatchPathNotAllowed,
            ),
            case(
                "lines after no line end",
                "diff --git a/src/n b/src/n\nnew file mode 100644\n--- /dev/null\n+++ b/src/n\n@@ -0,0 +1,2 @@\n+x\n\\ No newline at end of file\n+y\n",
                Code::PatchDoesNotApply,
            ),
        ],
    );
}

#[test]
fn binary_patches() {
    let world = World::new();
    let literal = world.diff(&["--binary"], |repo| {
        write(repo, "src/data.bin", b"\0new\xff\xfe".repeat(50))
    });
    let delta = world.diff(&["--binary"], |repo| {
        let old = std::fs::read(repo.join("src/data.bin")).unwrap();
        write(repo, "src/data.bin", [old.as_slice(), b"\0tail"].concat());
    });
    let gone = world.diff(&["--binary"], |repo| {
        std::fs::remove_file(repo.join("src/data.bin")).unwrap()
    });
    let new = world.diff(&["--binary"], |repo| {
        write(repo, "src/new.bin", b"\0\xff\x01")
    });
    let no_data = world.diff(&[], |repo| write(repo, "src/data.bin", b"\0"));
    let outside = world.diff(&["--binary"], |repo| {
        write(repo, "eval/x.bin", b"\0\xff\x01")
    });
    let bytecode = world.diff(&["--binary"], |repo| {
        write(repo, "src/a.pyc", b"\0\xff\x01")
    });
    assert!(
        String::from_utf8_lossy(&delta).contains("delta "),
        "the delta case has no delta"
    );
    let text = |patch: &[u8]| String::from_utf8(patch.to_vec()).unwrap();
    let short_ids = text(&literal)
        .lines()
        .map(|line| match line.strip_prefix("index ") {
            Some(rest) => format!("index {}..{} 100644\n", &rest[..7], &rest[42..49]),
            None => format!("{line}\n"),
        })
        .collect::<String>();
    let wrong_old = text(&literal)
        .replacen("index ", "index 0", 1)
        .replacen("..", "X", 1);
    let wrong_old = wrong_old.replace('X', "..");
    let all_ones = text(&literal);
    let at = all_ones.find("..").unwrap();
    let other_new = format!(
        "{}{}{}",
        &all_ones[..at + 2],
        "1".repeat(40),
        &all_ones[at + 42..]
    );
    expect(
        &world,
        &rules(),
        vec![
            case("P17 literal", literal.clone(), Code::PatchBinary),
            case("P17 delta", delta.clone(), Code::PatchBinary),
            case("P17 new", new.clone(), Code::PatchBinary),
            case("P17 no data", no_data.clone(), Code::PatchBinary),
            case(
                "P17 beside a good one",
                [change_a(A).as_bytes(), &literal].concat(),
                Code::PatchBinary,
            ),
            case("P17 outside", outside.clone(), Code::PatchPathNotAllowed),
            case("P17 bytecode", bytecode.clone(), Code::PatchGeneratedFile),
        ],
    );
    expect(
        &world,
        &with_binary(),
        vec![
            case("literal", literal.clone(), Code::Ok),
            case("delta", delta, Code::Ok),
            case("deleted", gone, Code::Ok),
            case("new", new, Code::Ok),
            case("outside", outside, Code::PatchPathNotAllowed),
            case("bytecode", bytecode, Code::PatchGeneratedFile),
            case("no data", no_data, Code::PatchUnparseable),
            case("short ids", short_ids, Code::PatchUnparseable),
            case("41 digits", wrong_old, Code::PatchUnparseable),
            case("other new id", other_new, Code::PatchDoesNotApply),
            case(
                "cut",
                literal[..literal.len() / 2].to_vec(),
                Code::PatchUnparseable,
            ),
            case(
                "bad base85",
                text(&literal).replacen("patch\nliteral 300\n", "patch\nliteral 300\n ", 1),
                Code::PatchUnparseable,
            ),
        ],
    );
}

/// Base85 as git writes it, for patches that git would not write.
fn binary_patch(path: &str, size: u64, deflated: &[u8], kind: &str) -> String {
    const DIGITS: &[u8] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    let zero = "0".repeat(40);
    let one = "1".repeat(40);
    let mut out = format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\nindex {zero}..{one}\nGIT binary patch\n{kind} {size}\n"
    );
    for line in deflated.chunks(52) {
        let len = u8::try_from(line.len()).unwrap();
        out.push(char::from(if len <= 26 {
            b'A' + len - 1
        } else {
            b'a' + len - 27
        }));
        for group in line.chunks(4) {
            let mut bytes = [0; 4];
            bytes[..group.len()].copy_from_slice(group);
            let mut value = u32::from_be_bytes(bytes);
            let mut digits = [0; 5];
            for digit in digits.iter_mut().rev() {
                *digit = DIGITS[(value % 85) as usize];
                value /= 85;
            }
            out.extend(digits.map(char::from));
        }
        out.push('\n');
    }
    out + "\nliteral 0\nHcmV?d00001\n\n"
}

fn deflate(pieces: u64, piece: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..pieces {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn patches_that_grow() {
    let world = World::with(|repo| {
        write(repo, "src/large.txt", "0123456789abcde\n".repeat(300_000));
        write(repo, "src/x", "x\n");
    });
    let zeros = deflate(1, &vec![0; 150 << 20]);
    assert!(zeros.len() < 200_000);
    let copies: String = (0..1000)
        .map(|n| format!("diff --git a/src/large.txt b/src/c{n}\nsimilarity index 100%\ncopy from src/large.txt\ncopy to src/c{n}\n"))
        .collect();
    let rewrites: String = (0..2000)
        .map(|n| format!("--- a/src/large.txt\n+++ b/src/large.txt\n@@ -{0} +{0} @@\n-0123456789abcde\n+0123456789abcdf\n", n + 1))
        .collect();
    let mut delta = vec![0x80, 0x80, 0xcb, 0x02, 0xff, 0xff, 0xff, 0x7f];
    delta.extend([0x90 | 0x60, 0xff, 0xff, 0xff].repeat(1000));
    let delta_patch = binary_patch(
        "src/large.txt",
        delta.len() as u64,
        &deflate(1, &delta),
        "delta",
    );
    let delta_patch = delta_patch.replace("new file mode 100644\n", "");
    expect(
        &world,
        &with_binary(),
        vec![
            case(
                "P19 declared",
                binary_patch("src/new", 4 << 30, &zeros[..4000], "literal"),
                Code::PatchTooLarge,
            ),
            case(
                "W04",
                binary_patch("src/new", 150 << 20, &zeros, "literal"),
                Code::PatchTooLarge,
            ),
            case(
                "W04 understated",
                binary_patch("src/new", 100, &zeros, "literal"),
                Code::PatchDoesNotApply,
            ),
            case(
                "W04 overstated",
                binary_patch("src/new", 15 << 20, &deflate(1, b"x"), "literal"),
                Code::PatchDoesNotApply,
            ),
            case(
                "W04 2^64",
                binary_patch("src/new", u64::MAX, &zeros, "literal"),
                Code::PatchTooLarge,
            ),
            case("W04 delta", delta_patch, Code::PatchTooLarge),
            case("W04 copies", copies, Code::PatchTooLarge),
            case("W04 rewrites", rewrites, Code::PatchTooLarge),
        ],
    );
    let tight = PatchRules {
        max_decoded_bytes: Bytes::new(4_800_001),
        ..rules()
    };
    expect(
        &world,
        &tight,
        vec![
            case(
                "a rename within the cap",
                "diff --git a/src/large.txt b/src/m\nsimilarity index 100%\nrename from src/large.txt\nrename to src/m\n",
                Code::Ok,
            ),
            case(
                "one byte more",
                "diff --git a/src/large.txt b/src/large.txt\n--- a/src/large.txt\n+++ b/src/large.txt\n@@ -1 +1,2 @@\n 0123456789abcde\n+x\n",
                Code::PatchTooLarge,
            ),
        ],
    );
}

#[test]
fn paths_that_are_not_safe() {
    let world = World::new();
    let long_name = format!("src/{}", "n".repeat(300));
    let long_path = format!("src/{}x", "abcdefg/".repeat(625));
    let deep = format!("src/{}x", "d/".repeat(400));
    let quoted = |path: &str| {
        format!(
            "diff --git \"a/{path}\" \"b/{path}\"\nnew file mode 100644\n--- /dev/null\n+++ \"b/{path}\"\n@@ -0,0 +1 @@\n+x\n"
        )
    };
    let raw = |path: &str| format!("--- {path}\n+++ {path}\n@@ -0,0 +1 @@\n+x\n");
    let mut cases = vec![
        case(
            "A02",
            quoted("src/\\056\\056/eval/score.py"),
            Code::PatchPathUnsafe,
        ),
        case("A20 new line", quoted("src/a\\nb"), Code::PatchPathUnsafe),
        case("A20 tab", quoted("src/a\\tb"), Code::PatchPathUnsafe),
        case("A20 ESC", quoted("src/a\\033[2J"), Code::PatchPathUnsafe),
        case("A20 NUL", quoted("src/a\\000b"), Code::PatchPathUnsafe),
        case("A20 raw NUL", new_file("src/a\0b"), Code::PatchPathUnsafe),
        case(
            "A20 U+202E",
            quoted("src/\\342\\200\\256yp.a"),
            Code::PatchPathUnsafe,
        ),
        case("A20 not UTF-8", quoted("src/\\377"), Code::PatchPathUnsafe),
        case(
            "P20 CR in the name",
            quoted("src/a\\r"),
            Code::PatchPathUnsafe,
        ),
        case(
            "A01 rename",
            "diff --git a/src/a.py b/x\nsimilarity index 100%\nrename from src/a.py\nrename to ../x\n",
            Code::PatchPathUnsafe,
        ),
        case(
            "A01 rename absolute",
            "diff --git a/src/a.py b/x\nsimilarity index 100%\nrename from src/a.py\nrename to /etc/x\n",
            Code::PatchPathUnsafe,
        ),
        case(
            "A01 copy from outside",
            "diff --git a/src/a.py b/x\nsimilarity index 100%\ncopy from ../../etc/passwd\ncopy to src/x\n",
            Code::PatchPathUnsafe,
        ),
        case(
            "A04 rename",
            "diff --git a/src/a.py b/src/x\nsimilarity index 100%\nrename from src/a.py\nrename to .git/config\n",
            Code::PatchPathUnsafe,
        ),
        case(
            "A01 old name hidden",
            "--- a/../../etc/passwd\n+++ b/src/a.py\n@@ -1 +1 @@\n-one\n+ONE\n",
            Code::PatchPathUnsafe,
        ),
        case(
            "A01 first line hidden",
            change_a("diff --git a/../x b/../x\n--- a/src/a.py\n+++ b/src/a.py\n"),
            Code::PatchPathUnsafe,
        ),
    ];
    for path in [
        "../x",
        "src/../../x",
        "/etc/x",
        "src/./b",
        "src//b",
        "src/b/",
        ".git/hooks/post-checkout",
        "src/.git/config",
        ".GIT/config",
        "git~1/config",
        ".g\u{200c}it/config",
        "src/.git. /x",
        ".git::$INDEX_ALLOCATION/x",
        &long_name,
        &long_path,
        &deep,
    ] {
        cases.push((
            "A01-A04, A19 prefixed",
            new_file(path).into(),
            Code::PatchPathUnsafe,
        ));
        cases.push((
            "A01-A04, A19 traditional",
            raw(&format!("a/{path}")).into(),
            Code::PatchPathUnsafe,
        ));
        if !path.starts_with("git~") {
            cases.push(("A01-A04, A19 bare", raw(path).into(), Code::PatchPathUnsafe));
        }
    }
    expect(&world, &allowing(&["**"]), cases);
}

#[test]
fn paths_that_are_not_allowed() {
    let world = World::new();
    let mut cases = vec![
        case("A05", new_file("src_evil/x"), Code::PatchPathNotAllowed),
        case("A07", new_file("src/eval/x.py"), Code::PatchPathNotAllowed),
        case(
            "A07 change",
            "--- a/src/eval/score.py\n+++ b/src/eval/score.py\n@@ -1 +1 @@\n-inner score\n+1\n",
            Code::PatchPathNotAllowed,
        ),
        case(
            "W01 other prefixes",
            change_a(
                "diff --git c/eval/score.py d/eval/score.py\n--- c/eval/score.py\n+++ d/eval/score.py\n",
            ),
            Code::PatchPathNotAllowed,
        ),
        case(
            "W01 octal",
            "diff --git \"a/\\145val/score.py\" \"b/\\145val/score.py\"\n--- \"a/\\145val/score.py\"\n+++ \"b/\\145val/score.py\"\n@@ -1 +1 @@\n-score = 1\n+score = 9\n",
            Code::PatchPathNotAllowed,
        ),
        case(
            "W02",
            "diff --git a/eval/score.py b/src/old.py\nsimilarity index 100%\nrename from eval/score.py\nrename to src/old.py\ndiff --git a/src/a.py b/eval/score.py\nsimilarity index 100%\ncopy from src/a.py\ncopy to eval/score.py\n",
            Code::PatchPathNotAllowed,
        ),
        case(
            "A24 hidden deletion",
            "diff --git a/src/a.py b/src/a.py\n--- a/eval/score.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-score = 1\n",
            Code::PatchUnparseable,
        ),
        case("A23 case", new_file("SRC/a.py"), Code::PatchPathNotAllowed),
    ];
    for path in [
        ".gitmodules",
        ".gitattributes",
        ".gitignore",
        "Makefile",
        "setup.cfg",
        "pyproject.toml",
        "tox.ini",
        ".cargo/config.toml",
        "build.rs",
        "rust-toolchain",
        ".npmrc",
        "conftest.py",
        "sitecustomize.py",
        ".home/.bash_profile",
        ".venv/bin/python3",
        ".profile",
        ".bashrc",
        "src.py",
        "eval/score2.py",
    ] {
        cases.push((
            "A13, A23, W07",
            new_file(path).into(),
            Code::PatchPathNotAllowed,
        ));
    }
    expect(&world, &rules(), cases);
    let glob = allowing(&["src/*.py"]);
    expect(
        &world,
        &glob,
        vec![
            case("A06", new_file("src/a/b.py"), Code::PatchPathNotAllowed),
            case(
                "A06 deep",
                "--- a/src/deep/inner.py\n+++ b/src/deep/inner.py\n@@ -1 +1 @@\n-inner\n+x\n",
                Code::PatchPathNotAllowed,
            ),
            case("A06 matches", change_a(A), Code::Ok),
        ],
    );
    let literal = allowing(&["data[1].py"]);
    expect(
        &world,
        &literal,
        vec![
            case(
                "W05 literal",
                "--- a/data[1].py\n+++ b/data[1].py\n@@ -1 +1 @@\n-literal\n+x\n",
                Code::Ok,
            ),
            case(
                "W05 not the glob",
                "--- a/data1.py\n+++ b/data1.py\n@@ -1 +1 @@\n-glob\n+x\n",
                Code::PatchPathNotAllowed,
            ),
        ],
    );
    for directory in ["src", "src/", "src/**"] {
        expect(
            &world,
            &allowing(&[directory]),
            vec![case("W05 directory", new_file("src/deep/er/x"), Code::Ok)],
        );
    }
}

#[test]
fn entries_that_are_not_regular_files() {
    let world = World::new();
    let link = |path: &str, target: &str| {
        format!(
            "diff --git a/{path} b/{path}\nnew file mode 120000\nindex 0000000..1111111\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
        )
    };
    let to_link = world.diff(&[], |repo| {
        std::fs::remove_file(repo.join("src/a.py")).unwrap();
        std::os::unix::fs::symlink("../eval/score.py", repo.join("src/a.py")).unwrap();
    });
    let dir_to_link = world.diff(&[], |repo| {
        std::fs::remove_dir_all(repo.join("src/deep")).unwrap();
        std::os::unix::fs::symlink("../eval", repo.join("src/deep")).unwrap();
    });
    let retarget = world.diff(&[], |repo| {
        std::fs::remove_file(repo.join("src/link")).unwrap();
        std::os::unix::fs::symlink("/etc", repo.join("src/link")).unwrap();
    });
    let unlink = world.diff(&[], |repo| {
        std::fs::remove_file(repo.join("src/link")).unwrap()
    });
    let link_to_file = world.diff(&[], |repo| {
        std::fs::remove_file(repo.join("src/link")).unwrap();
        write(repo, "src/link", "text\n");
    });
    let chmod = world.diff(&[], |repo| {
        std::fs::set_permissions(
            repo.join("src/b.py"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
    });
    let unchmod = world.diff(&[], |repo| {
        std::fs::set_permissions(
            repo.join("src/run.sh"),
            std::os::unix::fs::PermissionsExt::from_mode(0o644),
        )
        .unwrap();
    });
    let submodule = format!(
        "diff --git a/src/m b/src/m\nnew file mode 160000\nindex 0000000..1111111\n--- /dev/null\n+++ b/src/m\n@@ -0,0 +1 @@\n+Subproject commit {}\n",
        "1".repeat(40)
    );
    expect(
        &world,
        &rules(),
        vec![
            case("A08", link("src/l", "/etc/passwd"), Code::PatchSymlink),
            case(
                "W08",
                link("src/result.json", "../../host"),
                Code::PatchSymlink,
            ),
            case("A09", to_link, Code::PatchSymlink),
            case("A10 as git says it", dir_to_link, Code::PatchSymlink),
            case(
                "A10 then a file under it",
                format!("{}{}", link("src/d", "../eval"), new_file("src/d/score.py")),
                Code::PatchSymlink,
            ),
            case(
                "A10 through a link of the base",
                new_file("src/link/score.py"),
                Code::PatchSymlink,
            ),
            case(
                "A10 traditional",
                "--- a/src/link/score.py\n+++ b/src/link/score.py\n@@ -1 +1 @@\n-score = 1\n+score = 2\n",
                Code::PatchDoesNotApply,
            ),
            case("link retargeted", retarget, Code::PatchSymlink),
            case("link removed", unlink.clone(), Code::Ok),
            case("link to file", link_to_file, Code::PatchSymlink),
            case(
                "link removed without its mode",
                "--- a/src/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-../eval\n\\ No newline at end of file\n",
                Code::PatchSymlink,
            ),
            case(
                "link removed as a file",
                String::from_utf8(unlink)
                    .unwrap()
                    .replace("120000", "100644"),
                Code::PatchSymlink,
            ),
            case(
                "file removed as a link",
                "diff --git a/src/b.py b/src/b.py\ndeleted file mode 120000\n--- a/src/b.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import a\n",
                Code::PatchDoesNotApply,
            ),
            case(
                "link changed without its mode",
                "--- a/src/link\n+++ b/src/link\n@@ -1 +1 @@\n-../eval\n\\ No newline at end of file\n+/etc\n\\ No newline at end of file\n",
                Code::PatchSymlink,
            ),
            case(
                "link renamed",
                "diff --git a/src/link b/src/l2\nsimilarity index 100%\nrename from src/link\nrename to src/l2\n",
                Code::PatchSymlink,
            ),
            case(
                "link copied",
                "diff --git a/src/link b/src/l2\nsimilarity index 100%\ncopy from src/link\ncopy to src/l2\n",
                Code::PatchSymlink,
            ),
            case("A12", submodule, Code::PatchSubmodule),
            case("A15", chmod.clone(), Code::PatchModeChange),
            case(
                "A15 new",
                new_file_with_mode("src/x.sh", "100755"),
                Code::PatchModeChange,
            ),
            case("A15 dropped", unchmod, Code::Ok),
            case(
                "A16 setuid",
                new_file_with_mode("src/x", "104755"),
                Code::PatchModeChange,
            ),
            case(
                "A16 666",
                new_file_with_mode("src/x", "100666"),
                Code::PatchModeChange,
            ),
            case(
                "A16 777",
                new_file_with_mode("src/x", "120777"),
                Code::PatchSymlink,
            ),
            case(
                "A16 directory",
                new_file_with_mode("src/x", "040000"),
                Code::PatchModeChange,
            ),
            case(
                "A16 index line",
                change_a(
                    "diff --git a/src/a.py b/src/a.py\nindex 1111111..2222222 104755\n--- a/src/a.py\n+++ b/src/a.py\n",
                ),
                Code::PatchModeChange,
            ),
            case(
                "mode is no number",
                new_file_with_mode("src/x", "rwxr-x"),
                Code::PatchUnparseable,
            ),
            case(
                "mode too long",
                new_file_with_mode("src/x", "0100644"),
                Code::PatchUnparseable,
            ),
            case("A17", new_file("src/A.py"), Code::Ok),
            case(
                "A21 file where a directory is",
                new_file("src/deep"),
                Code::PatchDoesNotApply,
            ),
            case(
                "A21 file where the allowed directory is",
                new_file("src"),
                Code::PatchDoesNotApply,
            ),
            case(
                "A21 directory where a file is",
                new_file("src/a.py/x"),
                Code::PatchDoesNotApply,
            ),
            case(
                "A21 both new",
                format!("{}{}", new_file("src/n"), new_file("src/n/x")),
                Code::PatchDoesNotApply,
            ),
            case(
                "A21 renamed",
                "diff --git a/src/a.py b/src/deep\nsimilarity index 100%\nrename from src/a.py\nrename to src/deep\n",
                Code::PatchDoesNotApply,
            ),
            case(
                "generated",
                new_file("src/__pycache__/x.txt"),
                Code::PatchGeneratedFile,
            ),
            case(
                "generated by rename",
                "diff --git a/src/a.py b/src/a.pyc\nsimilarity index 100%\nrename from src/a.py\nrename to src/a.pyc\n",
                Code::PatchGeneratedFile,
            ),
            case(
                "A22",
                [
                    new_file("src/conftest.py"),
                    new_file("src/x.pth"),
                    new_file("src/json.py"),
                ]
                .concat(),
                Code::Ok,
            ),
        ],
    );
    let executable = PatchRules {
        allow_executable: true,
        ..rules()
    };
    expect(
        &world,
        &executable,
        vec![
            case("A15 allowed", chmod.clone(), Code::Ok),
            case(
                "A15 allowed, new",
                new_file_with_mode("src/x.sh", "100755"),
                Code::Ok,
            ),
            case(
                "A16 still",
                new_file_with_mode("src/x", "104755"),
                Code::PatchModeChange,
            ),
        ],
    );
    let recorded = world.review(&executable, chmod).unwrap();
    assert_eq!(
        recorded.changes().len(),
        1,
        "A15 shows in the recorded changed set"
    );
}
