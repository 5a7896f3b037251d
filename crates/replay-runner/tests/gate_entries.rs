//! The adversarial corpus against the gate, section 2: links, submodules, modes.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use gate_support::*;
use protocol::Code;
use protocol::spec::PatchRules;

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
    let one_file = allowing(&["src/b.py"]);
    let into_directory = world.diff(&[], |repo| {
        std::fs::remove_file(repo.join("src/b.py")).unwrap();
        write(repo, "src/b.py/__init__.py", "x\n");
    });
    expect(
        &world,
        &one_file,
        vec![case(
            "an allowed file becomes a directory",
            into_directory,
            Code::PatchPathNotAllowed,
        )],
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
