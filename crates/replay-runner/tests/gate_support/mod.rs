//! A small repository, and short ways to send patches through the gate.
// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod generate;
pub mod overlay;
pub mod place;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use protocol::limits::Bytes;
use protocol::spec::PatchRules;
use protocol::{Code, CommitId};
use replay_runner::checkout::{Mirrors, PinnedCommit, Source};
use replay_runner::patch::{Patch, PatchGate, PatchRefusal, PatchedTree};

/// Runs git as nobody in particular, whatever this machine is set to.
pub fn git(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = git_command(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success() || arguments[0] == "diff",
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

pub fn git_command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "a")
        .env("GIT_AUTHOR_EMAIL", "a@localhost")
        .env("GIT_COMMITTER_NAME", "a")
        .env("GIT_COMMITTER_EMAIL", "a@localhost")
        .env("GIT_AUTHOR_DATE", "1700000000 +0000")
        .env("GIT_COMMITTER_DATE", "1700000000 +0000");
    command
}

pub fn write(directory: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A repository with an allowed `src/`, a protected `eval/` and what else
/// patches meet.
pub struct World {
    pub home: tempfile::TempDir,
    pub base: PinnedCommit,
}

pub const NUMBERED: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n";

impl World {
    pub fn new() -> Self {
        Self::with(|repo| {
            write(repo, "src/a.py", NUMBERED);
            write(repo, "src/b.py", "import a\n");
            write(repo, "src/no_end.py", "first\nlast");
            write(repo, "src/crlf.txt", "one\r\ntwo\r\nthree\r\n");
            write(repo, "src/latin.txt", b"caf\xe9\nna\xefve\n");
            write(repo, "src/query.sql", "select 1;\n-- comment\nselect 2;\n");
            write(repo, "src/empty.py", "");
            write(repo, "src/deep/inner.py", "inner\n");
            write(repo, "src/deep/other.py", "other\n");
            write(repo, "src/my file.py", "blank\n");
            write(repo, "src/größe.py", "unicode\n");
            write(repo, "src/data.bin", b"\0\x01\x02binary\xff\n".repeat(20));
            write(repo, "src/run.sh", "#!/bin/sh\necho run\n");
            write(repo, "src/eval/score.py", "inner score\n");
            write(repo, "data[1].py", "literal\n");
            write(repo, "data1.py", "glob\n");
            write(repo, "eval/score.py", "score = 1\n");
            write(repo, "README.md", "read me\n");
            let mut mode = fs::metadata(repo.join("src/run.sh")).unwrap().permissions();
            mode.set_mode(0o755);
            fs::set_permissions(repo.join("src/run.sh"), mode).unwrap();
            symlink("../eval", repo.join("src/link")).unwrap();
        })
    }

    pub fn with(fill: impl FnOnce(&Path)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let repo = home.path().join("repo");
        fs::create_dir(&repo).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        fill(&repo);
        git(&repo, &["add", "-A"]);
        git(&repo, &["commit", "-q", "--allow-empty", "-m", "base"]);
        let source = Source::Local(repo);
        let mirrors = Mirrors::new(home.path().join("mirrors"));
        let commit: CommitId = mirrors.resolve(&source, None).unwrap();
        let base = mirrors.pinned(&source, commit).unwrap();
        Self { home, base }
    }

    pub fn repo(&self) -> PathBuf {
        self.home.path().join("repo")
    }

    /// What `git diff` says after `change`, with these options; the work tree
    /// is then as before.
    pub fn diff(&self, options: &[&str], change: impl FnOnce(&Path)) -> Vec<u8> {
        let repo = self.repo();
        change(&repo);
        git(&repo, &["add", "-A"]);
        let mut arguments = vec!["diff", "--cached"];
        arguments.extend(options);
        arguments.push("HEAD");
        let diff = git(&repo, &arguments);
        self.reset();
        diff
    }

    pub fn reset(&self) {
        // git crashes on some patches, and leaves its lock behind.
        let _ = fs::remove_file(self.repo().join(".git/index.lock"));
        git(&self.repo(), &["reset", "-q", "--hard"]);
        git(&self.repo(), &["clean", "-qfdx"]);
    }

    pub fn review(
        &self,
        rules: &PatchRules,
        patch: impl AsRef<[u8]>,
    ) -> Result<PatchedTree, PatchRefusal> {
        PatchGate::new(rules)
            .unwrap()
            .review(&self.base, &Patch::new(patch.as_ref().to_vec()))
    }

    /// The outcome code of a patch; [`Code::Ok`] if it passes.
    pub fn code(&self, rules: &PatchRules, patch: impl AsRef<[u8]>) -> Code {
        match self.review(rules, patch) {
            Ok(_) => Code::Ok,
            Err(refusal) => {
                check_message(&refusal);
                refusal.code()
            }
        }
    }

    /// What git makes of the patch in the work tree: the tree's id, or `None`
    /// if git refuses it or shifts a hunk.
    pub fn git_apply(&self, patch: &[u8], options: &[&str]) -> Option<String> {
        use std::io::Write as _;
        let repo = self.repo();
        let mut child = git_command(&repo)
            .args(["apply", "--index", "-v", "--whitespace=nowarn"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // git may end before it has read everything.
        let _ = stdin.write_all(patch);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let shifted = String::from_utf8_lossy(&output.stderr).contains("(offset ");
        let tree = (output.status.success() && !shifted).then(|| {
            String::from_utf8(git(&repo, &["write-tree"]))
                .unwrap()
                .trim()
                .to_owned()
        });
        self.reset();
        tree
    }
}

fn check_message(refusal: &PatchRefusal) {
    let message = refusal.to_string();
    assert!(!message.contains("/tmp"), "a host path in {message:?}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(message.len() < 600, "{message:?}");
}

/// Only `src/` may change, `src/eval` may not.
pub fn rules() -> PatchRules {
    PatchRules {
        allowed_paths: vec!["src/".to_owned()],
        protected_paths: vec!["src/eval/**".to_owned()],
        max_bytes: 262_144,
        max_files: 10_000,
        max_decoded_bytes: Bytes::mib(16),
        allow_binary: false,
        allow_executable: false,
    }
}

pub fn allowing(paths: &[&str]) -> PatchRules {
    PatchRules {
        allowed_paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        protected_paths: Vec::new(),
        ..rules()
    }
}

pub fn with_binary() -> PatchRules {
    PatchRules {
        allow_binary: true,
        ..rules()
    }
}

/// A diff that makes a new file of one line.
pub fn new_file(path: &str) -> String {
    new_file_with_mode(path, "100644")
}

pub fn new_file_with_mode(path: &str, mode: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode {mode}\nindex 0000000..1111111\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
    )
}

/// A diff that changes the first line of `src/a.py`, headers as given.
pub fn change_a(headers: &str) -> String {
    format!("{headers}@@ -1,4 +1,4 @@\n-one\n+ONE\n two\n three\n four\n")
}

/// A corpus id, a patch, and the code that it must get.
pub type Case<'a> = (&'a str, Vec<u8>, Code);

/// Sends every case through the gate and tells all that went wrong.
pub fn expect(world: &World, rules: &PatchRules, cases: Vec<Case<'_>>) {
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

pub fn case(id: &str, patch: impl Into<Vec<u8>>, code: Code) -> Case<'_> {
    (id, patch.into(), code)
}

/// The git headers of a change to `src/a.py`.
pub const A: &str = "diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a.py\n";
