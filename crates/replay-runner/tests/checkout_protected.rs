//! What a stage did to protected files, read off the layer that it wrote. The
//! layers are mounted for real, so this needs root.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use gate_support::overlay::{Overlay, list, pristine};
use gate_support::*;
use protocol::Code;
use replay_runner::tree::{Protected, Written};

#[test]
fn changed_protected_files_are_found_and_can_be_restored() {
    let world = World::with(|repo| {
        write(repo, "src/a.py", "a\n");
        write(repo, "eval/score.py", "score\n");
        write(repo, "eval/deep/er/data", "data\n");
        write(repo, "evil.txt", "beside\n");
        write(repo, "eval.txt", "beside\n");
        write(repo, "README", "read me\n");
        symlink("README", repo.join("link")).unwrap();
    });
    let tree = pristine(&world);
    let protected = Protected::of(&tree, &rules()).unwrap();
    assert!(
        protected.contains(Path::new("eval/score.py"))
            && !protected.contains(Path::new("src/a.py"))
    );
    assert_eq!(protected.files().count(), 6);
    type Deed = fn(&Path);
    let rows: [(&str, Deed, &[&str]); 19] = [
        ("nothing", |_| {}, &[]),
        ("an allowed file", |r| write(r, "src/a.py", "b\n"), &[]),
        (
            "new files",
            |r| {
                write(r, "eval/new", "x");
                write(r, "eval/deep/new", "x")
            },
            &[],
        ),
        (
            "S09 rewritten",
            |r| write(r, "eval/score.py", "SCORE\n"),
            &["eval/score.py"],
        ),
        (
            "same length",
            |r| write(r, "eval/score.py", "sc0re\n"),
            &["eval/score.py"],
        ),
        ("touched", |r| write(r, "eval/score.py", "score\n"), &[]),
        (
            "mode",
            |r| {
                fs::set_permissions(r.join("eval/score.py"), fs::Permissions::from_mode(0o755))
                    .unwrap()
            },
            &[],
        ),
        (
            "removed",
            |r| fs::remove_file(r.join("README")).unwrap(),
            &["README"],
        ),
        (
            "directory removed",
            |r| fs::remove_dir_all(r.join("eval")).unwrap(),
            &["eval/deep/er/data", "eval/score.py"],
        ),
        (
            "directory made again",
            |r| {
                fs::remove_dir_all(r.join("eval")).unwrap();
                fs::create_dir(r.join("eval")).unwrap()
            },
            &["eval/deep/er/data", "eval/score.py"],
        ),
        (
            "made again with the same file",
            |r| {
                fs::remove_dir_all(r.join("eval")).unwrap();
                write(r, "eval/score.py", "score\n")
            },
            &["eval/deep/er/data"],
        ),
        (
            "inner directory made again",
            |r| {
                fs::remove_dir_all(r.join("eval/deep")).unwrap();
                fs::create_dir_all(r.join("eval/deep/er")).unwrap()
            },
            &["eval/deep/er/data"],
        ),
        (
            "renamed over",
            |r| {
                write(r, "src/x", "mine\n");
                fs::rename(r.join("src/x"), r.join("eval/score.py")).unwrap()
            },
            &["eval/score.py"],
        ),
        (
            "replaced by a link",
            |r| {
                fs::remove_file(r.join("eval/score.py")).unwrap();
                symlink("../src/a.py", r.join("eval/score.py")).unwrap()
            },
            &["eval/score.py"],
        ),
        (
            "directory replaced by a link",
            |r| {
                fs::remove_dir_all(r.join("eval")).unwrap();
                symlink("src", r.join("eval")).unwrap()
            },
            &["eval/deep/er/data", "eval/score.py"],
        ),
        (
            "replaced by a directory",
            |r| {
                fs::remove_file(r.join("README")).unwrap();
                fs::create_dir(r.join("README")).unwrap()
            },
            &["README"],
        ),
        (
            "replaced by a FIFO",
            |r| {
                fs::remove_file(r.join("README")).unwrap();
                nix::unistd::mkfifo(&r.join("README"), nix::sys::stat::Mode::S_IRWXU).unwrap()
            },
            &["README"],
        ),
        (
            "link turned",
            |r| {
                fs::remove_file(r.join("link")).unwrap();
                symlink("src/a.py", r.join("link")).unwrap()
            },
            &["link"],
        ),
        (
            "directory replaced by a file",
            |r| {
                fs::remove_dir_all(r.join("eval")).unwrap();
                write(r, "eval", "x")
            },
            &["eval/deep/er/data", "eval/score.py"],
        ),
    ];
    for (name, deed, expected) in rows {
        let home = tempfile::tempdir().unwrap();
        let overlay = Overlay::mount(home.path(), &[&tree.path()]);
        deed(&overlay.0);
        let changed = protected.changed(&overlay.1).unwrap();
        assert_eq!(changed, expected, "{name}");
        let upper = overlay.1.clone();
        drop(overlay);
        let (restored, next) = (home.path().join("restored"), home.path().join("next"));
        fs::create_dir_all(&restored).unwrap();
        fs::create_dir_all(&next).unwrap();
        protected.restore(&changed, &restored).unwrap();
        let overlay = Overlay::mount(&next, &[&restored, &upper, &tree.path()]);
        let (seen, pristine) = (list(&overlay.0), list(&tree.path()));
        for entry in protected.files() {
            assert_eq!(
                seen[&entry.path].3, pristine[&entry.path].3,
                "{name}: {}",
                entry.path
            );
        }
    }
}

fn written(result: &str, outputs: &[&str]) -> Written {
    Written {
        result: Some(result.to_owned()),
        outputs: outputs.iter().map(|path| (*path).to_owned()).collect(),
    }
}

#[test]
fn what_a_task_says_that_stages_write_is_a_path_and_no_glob() {
    let world = World::with(|repo| {
        for path in [
            "src/a.py",
            "bench.py",
            "result.json",
            "out/answer",
            "out/.gitkeep",
        ] {
            write(repo, path, "x\n");
        }
    });
    let tree = pristine(&world);
    for (written, protected, displaced) in [
        (written("*.*", &["*", "**", "?ut", "{out,src}/"]), 4, vec![]),
        (written("result.json", &[]), 3, vec![]),
        (written("result.json", &["out/"]), 1, vec!["out/answer"]),
        (
            written("result.json", &["out/answer"]),
            2,
            vec!["out/answer"],
        ),
        (written("result.json", &["src", "ou"]), 3, vec![]),
    ] {
        let found = Protected::beside(&tree, &rules(), &written).unwrap();
        assert!(found.contains(Path::new("bench.py")), "{written:?}");
        assert_eq!(found.files().count(), protected, "{written:?}");
        assert_eq!(found.displaced(), displaced, "{written:?}");
    }
}

#[test]
fn a_task_that_says_of_a_file_that_it_is_protected_and_written_is_refused() {
    let world = World::with(|repo| {
        for path in ["src/a.py", "eval/score.py", "eval/data/1", "eval/.gitkeep"] {
            write(repo, path, "x\n");
        }
    });
    let tree = pristine(&world);
    let guarding = |paths: &[&str]| protocol::spec::PatchRules {
        protected_paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..rules()
    };
    let refused = |paths: &[&str], written: &Written| {
        let found = Protected::beside(&tree, &guarding(paths), written);
        found.err().map(|error| error.code())
    };
    let eval = written("result.json", &["eval/"]);
    assert_eq!(refused(&["eval/data"], &eval), Some(Code::SpecInvalid));
    assert_eq!(refused(&["eval/data", "eval/score.py"], &eval), None);
    assert_eq!(refused(&["eval"], &eval), None);
    assert_eq!(refused(&[], &eval), None);
    assert_eq!(refused(&[], &written("eval", &[])), Some(Code::SpecInvalid));
}
