//! No diff that passes the gate changes a path outside the allowed set. Real
//! and hostile diffs, a hundred thousand of them, and an oracle that is not the
//! gate: the base tree with exactly the announced changes must be the tree whose
//! id the gate gave.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use gate_support::generate::{FILES, patch};
use gate_support::*;
use git2::{Index, IndexEntry, IndexTime, ObjectType, Odb, Oid, Repository};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use protocol::limits::Bytes;
use protocol::spec::PatchRules;
use replay_runner::patch::{ChangeKind, PatchedTree};

fn world() -> World {
    World::with(|repo| {
        for (path, text) in FILES {
            write(repo, path, text);
        }
        std::os::unix::fs::symlink("../eval", repo.join("src/link")).unwrap();
        let commit = "1".repeat(40);
        std::fs::create_dir(repo.join("src/sub")).unwrap();
        git(
            repo,
            &[
                "update-index",
                "--add",
                "--cacheinfo",
                &format!("160000,{commit},src/sub"),
            ],
        );
    })
}

/// The base tree with the announced changes, and nothing else.
struct Oracle {
    repo: Repository,
    base: BTreeMap<String, (u32, Oid)>,
}

impl Oracle {
    fn new(world: &World) -> Self {
        let odb = Odb::new().unwrap();
        odb.add_new_mempack_backend(1000).unwrap();
        let disk = Repository::open(world.repo()).unwrap();
        odb.add_disk_alternate(disk.path().join("objects").to_str().unwrap())
            .unwrap();
        let mut index = Index::new().unwrap();
        index
            .read_tree(&disk.head().unwrap().peel_to_tree().unwrap())
            .unwrap();
        let base = index
            .iter()
            .map(|e| (String::from_utf8(e.path.clone()).unwrap(), (e.mode, e.id)))
            .collect();
        Self {
            repo: Repository::from_odb(odb).unwrap(),
            base,
        }
    }

    fn tree(&self, patched: &PatchedTree) -> String {
        let mut files = self.base.clone();
        for change in patched.changes() {
            match &change.kind {
                ChangeKind::Delete => drop(files.remove(&change.path)),
                ChangeKind::Write {
                    blob,
                    executable,
                    content,
                    size,
                } => {
                    let written = content
                        .as_ref()
                        .map(|c| self.repo.odb().unwrap().write(ObjectType::Blob, c).unwrap());
                    assert!(written.is_none_or(|id| id == *blob));
                    assert!(content.as_ref().is_none_or(|c| c.len() as u64 == *size));
                    files.insert(
                        change.path.clone(),
                        (if *executable { 0o100_755 } else { 0o100_644 }, *blob),
                    );
                }
            }
        }
        let mut index = Index::new().unwrap();
        for (path, (mode, id)) in files {
            let zero = IndexTime::new(0, 0);
            index
                .add(&IndexEntry {
                    ctime: zero,
                    mtime: zero,
                    dev: 0,
                    ino: 0,
                    mode,
                    uid: 0,
                    gid: 0,
                    file_size: 0,
                    id,
                    flags: 0,
                    flags_extended: 0,
                    path: path.into_bytes(),
                })
                .unwrap();
        }
        index.write_tree_to(&self.repo).unwrap().to_string()
    }
}

fn may_change(path: &str) -> bool {
    path.starts_with("src/")
        && !path.starts_with("src/eval/")
        && !path.contains("//")
        && !path.contains("..")
        && !path.contains(".git")
        && !path.ends_with(".pyc")
        && path.chars().all(|c| !c.is_control())
}

fn small_rules() -> PatchRules {
    PatchRules {
        max_bytes: 4096,
        max_files: 6,
        max_decoded_bytes: Bytes::new(400),
        allow_binary: true,
        protected_paths: vec!["src/eval".to_owned()],
        ..rules()
    }
}

#[test]
fn whatever_passes_changes_only_what_it_may() {
    const CASES: u32 = 100_000;
    let world = world();
    let oracle = Oracle::new(&world);
    let rules = small_rules();
    let passed = AtomicUsize::new(0);
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    });
    let result = runner.run(&patch(), |patch| {
        let Ok(tree) = world.review(&rules, &patch) else {
            return Ok(());
        };
        passed.fetch_add(1, Ordering::Relaxed);
        prop_assert!(!tree.changes().is_empty());
        prop_assert!(tree.changes().len() <= 6);
        for change in tree.changes() {
            prop_assert!(may_change(&change.path), "{:?} changed", change.path);
            if let Some((mode, _)) = oracle.base.get(&change.path) {
                let link = *mode == 0o120_000 && change.kind == ChangeKind::Delete;
                prop_assert!(
                    link || *mode & 0o170_000 == 0o100_000,
                    "{:?} was not regular",
                    change.path
                );
            }
        }
        prop_assert_eq!(tree.id().to_string(), oracle.tree(&tree));
        prop_assert_ne!(tree.id(), world.base.tree());
        Ok(())
    });
    let passed = passed.into_inner();
    println!("{passed} of {CASES} passed the gate");
    result.unwrap();
    assert!(
        passed > CASES as usize / 50,
        "only {passed} of {CASES} passed: the test says little"
    );
}

/// Where the gate lets a patch through, git must make the same tree of it.
#[test]
fn what_passes_is_what_git_would_apply() {
    let world = world();
    let rules = PatchRules {
        allow_executable: true,
        ..allowing(&["**"])
    };
    let (mut compared, mut refused_by_git, mut wrong) = (0, 0, Vec::new());
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    while compared < 300 {
        let patch = patch().new_tree(&mut runner).unwrap().current();
        let Ok(tree) = world.review(&rules, &patch) else {
            continue;
        };
        compared += 1;
        match world.git_apply(&patch, &["--unidiff-zero"]) {
            Some(id) if id == tree.id().to_string() => {}
            Some(id) => wrong.push(format!(
                "{} and git's {id}\n{}",
                tree.id(),
                String::from_utf8_lossy(&patch)
            )),
            None => {
                refused_by_git += 1;
                println!("git refuses:\n{}", String::from_utf8_lossy(&patch));
            }
        }
    }
    println!("{compared} compared, {refused_by_git} of them refused by git alone");
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
    assert!(
        refused_by_git < 30,
        "{refused_by_git} of {compared} pass here and not in git"
    );
}
