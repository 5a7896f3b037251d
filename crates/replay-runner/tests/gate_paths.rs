//! The adversarial corpus against the gate, section 2: paths.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use gate_support::*;
use protocol::Code;

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
