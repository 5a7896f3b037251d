//! Task repositories made for measuring: as small as can be, or as large as said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The image of all of them: the smallest of ours.
pub(crate) const IMAGE: &str = "replay-sandbox/c:1";

const RESULT: &str = r#"echo '{"score": 1}' > result.json"#;

/// A directory in which tasks are made.
pub(crate) struct Workshop(PathBuf);

/// A task repository, and a patch for it.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) directory: PathBuf,
    pub(crate) patch: PathBuf,
}

/// What a task should be like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    /// 1: benchmark; 2: with setup; 3: with score, too.
    pub(crate) stages: usize,
    /// Run before the result is written.
    pub(crate) benchmark: &'a str,
    /// How many files more, and of how many bytes each.
    pub(crate) files: usize,
    pub(crate) file_bytes: usize,
    /// More lines for the task file, before its tables.
    pub(crate) task_lines: &'a str,
}

impl Workshop {
    pub(crate) fn new(place: &Path) -> Self {
        Self(place.to_owned())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a task repository with one commit, and a patch of one line.
    pub(crate) fn task(&self, wanted: &Wanted<'_>) -> Result<Made> {
        let directory = self.path(wanted.name);
        fs::create_dir(&directory)?;
        fs::write(directory.join("task.toml"), task_file(wanted))?;
        fs::write(directory.join("candidate.txt"), "base\n")?;
        write_files(&directory.join("data"), wanted)?;
        git(&directory, &["init", "--quiet"])?;
        git(&directory, &["add", "--all"])?;
        git(&directory, &["commit", "--quiet", "--message", "Task"])?;
        let patch = directory.with_extension("diff");
        fs::write(&patch, PATCH)?;
        Ok(Made { directory, patch })
    }
}

const PATCH: &str = "\
diff --git a/candidate.txt b/candidate.txt
--- a/candidate.txt
+++ b/candidate.txt
@@ -1 +1 @@
-base
+candidate
";

fn task_file(wanted: &Wanted<'_>) -> String {
    let (name, lines) = (wanted.name, wanted.task_lines);
    let setup = if wanted.stages >= 2 {
        "setup_command = 'true'\n"
    } else {
        ""
    };
    let decide = format!("{} {RESULT}", wanted.benchmark);
    let run = if wanted.stages >= 3 {
        format!(
            "benchmark_command = '''\n{} echo 1 > out.txt'''\nscore_command = '''\n{RESULT}'''\noutputs = ['out.txt']\n",
            wanted.benchmark
        )
    } else {
        format!("benchmark_command = '''\n{decide}'''\n")
    };
    format!(
        "slug = 'bench-{name}'\nimage = '{IMAGE}'\nallowed_patch_paths = ['candidate.txt']\n{setup}{run}\
         result_path = 'result.json'\nmetric_name = 'score'\nmetric_direction = 'maximize'\n\
         time_budget_seconds = 600\n{lines}\n"
    )
}

/// Files that do not shrink and are all different.
fn write_files(directory: &Path, wanted: &Wanted<'_>) -> Result<()> {
    let mut noise = Noise(1);
    for number in 0..wanted.files {
        let shelf = directory.join(format!("{:02}", number / 100));
        fs::create_dir_all(&shelf)?;
        fs::write(
            shelf.join(format!("{number}.bin")),
            noise.bytes(wanted.file_bytes),
        )?;
    }
    Ok(())
}

/// Marsaglia's xorshift: quick, and nothing that zlib could shrink.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend_from_slice(&self.0.to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

fn git(directory: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("git")
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"])
        .args(["-c", "core.compression=0", "-c", "gc.auto=0"])
        .args(arguments)
        .output()
        .context("git")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
