//! The adversarial corpus against the gate, section 1: parsing and applying.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use gate_support::*;
use protocol::Code;
use protocol::spec::PatchRules;

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
                "P06 in the first line",
                "diff --git a/src/a.py b/src/a.py\n",
                Code::PatchUnparseable,
            ),
            case(
                "P06 in a name",
                "diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a",
                Code::PatchUnparseable,
            ),
            case(
                "P06 after a cut name",
                "diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/z\n",
                Code::PatchUnparseable,
            ),
            case(
                "P06 in a rename",
                "diff --git a/src/a.py b/src/z.py\nsimilarity index 100%\nrename from src/a.py\nrename to src/z",
                Code::PatchUnparseable,
            ),
            case(
                "P06 in a mode",
                "diff --git a/src/run.sh b/src/run.sh\nold mode 100755\nnew mode 100644",
                Code::PatchUnparseable,
            ),
            case(
                "P06 in a second file",
                format!("{good}diff --git a/src/b.py b/src/b.py\nindex 11111"),
                Code::PatchUnparseable,
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
                "second hunk's old side is wrong",
                "--- a/src/a.py\n+++ b/src/a.py\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n@@ -1 +3 @@\n-three\n+3\n",
                Code::PatchDoesNotApply,
            ),
            case(
                "new file with old lines",
                "diff --git a/src/n b/src/n\nnew file mode 100644\n--- /dev/null\n+++ b/src/n\n@@ -1 +1 @@\n-x\n+y\n",
                Code::PatchUnparseable,
            ),
            case(
                "deleted file with new lines",
                "diff --git a/src/b.py b/src/b.py\ndeleted file mode 100644\n--- a/src/b.py\n+++ /dev/null\n@@ -1 +1 @@\n-import a\n+y\n",
                Code::PatchUnparseable,
            ),
            case(
                "a header twice",
                "diff --git a/src/run.sh b/src/run.sh\nold mode 100755\nold mode 100755\nnew mode 100644\n",
                Code::PatchUnparseable,
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
