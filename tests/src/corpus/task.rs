//! Small tasks, made in a directory of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result};

/// A task to be written into a directory. The baseline of every one passes
/// unless its file is replaced, with a score of 1.
#[derive(Debug, Clone)]
pub struct Task {
    entry: &'static str,
    fields: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    private: Option<(String, String)>,
    files: BTreeMap<String, String>,
    links: BTreeMap<String, String>,
}

impl Task {
    /// One whose benchmark is `run.sh`, in the image with a C compiler.
    pub fn sh() -> Self {
        let honest = "echo '{\"score\": 1}' > result.json\n";
        Self::new("replay-sandbox/c:1", "run.sh", "sh run.sh", honest)
    }

    /// One whose benchmark is `main.py`, in the image with Python.
    pub fn python() -> Self {
        let honest = "open('result.json', 'w').write('{\"score\": 1}')\n";
        Self::new(
            "replay-sandbox/python:1",
            "main.py",
            "python3 main.py",
            honest,
        )
    }

    /// One whose benchmark writes `answer`, which `score.sh` judges: the score
    /// is the answer if that is a number of one digit.
    pub fn scored() -> Self {
        let score = "grep -qx '[0-9]' answer || exit 1\necho \"{\\\"score\\\": $(cat answer)}\" > result.json\n";
        Self::sh()
            .file("run.sh", "echo 1 > answer\n")
            .file("score.sh", score)
            .set("score_command", "\"sh score.sh\"")
            .set("outputs", "[\"answer\"]")
    }

    fn new(image: &str, entry: &'static str, command: &str, honest: &str) -> Self {
        let task = Self {
            entry,
            fields: BTreeMap::new(),
            limits: BTreeMap::new(),
            environment: BTreeMap::new(),
            private: None,
            files: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        task.file(entry, honest)
            .file("eval/expected.json", "{\"score\": 5}\n")
            .set("slug", "\"corpus\"")
            .set("image", &format!("\"{image}\""))
            .set("benchmark_command", &format!("\"{command}\""))
            .set("allowed_patch_paths", &format!("[\"{entry}\", \"src\"]"))
            .set("result_path", "\"result.json\"")
            .set("metric_name", "\"score\"")
            .set("metric_direction", "\"maximize\"")
            .set("time_budget_seconds", "5")
            .limit("memory", "\"128m\"")
            .limit("workspace", "\"16m\"")
            .limit("tmp", "\"16m\"")
            .limit("pids", "128")
            .limit("workspace_files", "2000")
    }

    /// Sets a field of the task file; `value` is TOML.
    #[must_use]
    pub fn set(mut self, field: &str, value: &str) -> Self {
        self.fields.insert(field.to_owned(), value.to_owned());
        self
    }

    /// Leaves a field of the task file out.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.fields.remove(field);
        self
    }

    /// Gives all stages of a pass `seconds` together.
    #[must_use]
    pub fn budget(self, seconds: u32) -> Self {
        self.set("time_budget_seconds", &seconds.to_string())
    }

    /// Sets one of the limits; `value` is TOML.
    #[must_use]
    pub fn limit(mut self, name: &str, value: &str) -> Self {
        self.limits.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a variable to the benchmark's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a file that only the deciding stage may see.
    #[must_use]
    pub fn private(mut self, name: &str, content: &str) -> Self {
        self.private = Some((name.to_owned(), content.to_owned()));
        self
    }

    /// Adds or replaces a file of the repository.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), content.to_owned());
        self
    }

    /// Adds a symbolic link to the repository.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.links.insert(path.to_owned(), target.to_owned());
        self
    }

    /// The file that a miner usually replaces.
    pub fn entry(&self) -> &'static str {
        self.entry
    }

    /// The content of a file of the repository, if it has one.
    pub fn content(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Writes the task's repository into `directory`, and what is private beside it.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let write = |path: &Path, content: &str| -> Result<()> {
            let parent = path.parent().context("a file has a directory")?;
            fs::create_dir_all(parent)?;
            fs::write(path, content).with_context(|| path.display().to_string())
        };
        for (path, content) in &self.files {
            write(&directory.join(path), content)?;
        }
        for (path, target) in &self.links {
            symlink(target, directory.join(path))?;
        }
        if let Some((name, content)) = &self.private {
            write(&directory.with_extension("private").join(name), content)?;
        }
        write(&directory.join("task.toml"), &self.toml(directory)?)
    }

    fn toml(&self, directory: &Path) -> Result<String> {
        let mut text = String::new();
        for (field, value) in &self.fields {
            writeln!(text, "{field} = {value}")?;
        }
        for (header, table) in [
            ("limits", &self.limits),
            ("validator_benchmark_env", &self.environment),
        ] {
            writeln!(text, "[{header}]")?;
            for (name, value) in table {
                let quoted = if header == "limits" {
                    value.clone()
                } else {
                    format!("{value:?}")
                };
                writeln!(text, "{name} = {quoted}")?;
            }
        }
        if let Some((name, _)) = &self.private {
            let place = directory.with_extension("private");
            let place = place.file_name().context("a task has a name")?;
            let uri = format!("../{}/{name}", place.to_string_lossy());
            writeln!(text, "[[private_inputs]]\nname = {name:?}\nuri = {uri:?}")?;
        }
        Ok(text)
    }
}
