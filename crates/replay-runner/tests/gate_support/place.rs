//! A repository and a place for its mirrors.

use std::fs;
use std::path::PathBuf;

use protocol::{Code, CommitId};
use replay_runner::checkout::{CheckoutError, Mirrors, Source};

use super::{git, write};

pub struct Place {
    pub home: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let repo = home.path().join("repo");
        fs::create_dir(&repo).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        write(&repo, "a.txt", "a\n");
        write(&repo, "d/b.txt", "b\n".repeat(1000));
        let place = Self { home };
        place.commit("first");
        place
    }

    pub fn repo(&self) -> PathBuf {
        self.home.path().join("repo")
    }

    pub fn commit(&self, message: &str) -> CommitId {
        git(&self.repo(), &["add", "-A"]);
        git(
            &self.repo(),
            &["commit", "-q", "--allow-empty", "-m", message],
        );
        self.rev("HEAD")
    }

    pub fn rev(&self, name: &str) -> CommitId {
        String::from_utf8(git(&self.repo(), &["rev-parse", name]))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    pub fn source(&self) -> Source {
        Source::Local(self.repo())
    }

    pub fn mirrors(&self) -> Mirrors {
        Mirrors::new(self.home.path().join("mirrors"))
    }

    /// The one mirror's packs and loose objects.
    pub fn mirror_objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut pending = vec![self.home.path().join("mirrors")];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    pending.push(path);
                } else if path.components().any(|c| c.as_os_str() == "objects") {
                    found.push(path);
                }
            }
        }
        found
    }
}

pub fn code<T: std::fmt::Debug>(result: Result<T, CheckoutError>) -> Code {
    let error = result.unwrap_err();
    let message = error.to_string();
    assert!(!message.contains("/tmp"), "a host path in {message:?}");
    assert!(!message.contains("secret"), "a credential in {message:?}");
    error.code()
}

impl Place {
    pub fn mirror_verified_marks(&self) -> Vec<PathBuf> {
        fs::read_dir(self.home.path().join("mirrors"))
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read_dir(entry.path().join("verified")).ok())
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect()
    }
}
