//! A new task repository, to start from: small, complete, and fit to post.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What submitted code is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python 3.
    Python,
    /// C, compiled in setup.
    C,
}

/// Where the answer is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// In a score stage, which submitted code never sees.
    ScoreStage,
    /// In the benchmark's container, in a process of its own.
    SameContainer,
}

/// A task repository could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The directory has something in it already.
    #[error("{0} is there and not empty; name a directory that is not")]
    NotEmpty(PathBuf),
    /// The directory's name makes no slug.
    #[error(
        "{0:?} makes no slug; a directory's name of 3 to 120 letters, digits, '-', '_' and '.' does"
    )]
    Name(String),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

macro_rules! template {
    ($dir:literal: $($file:literal),+) => {
        &[$(($file, include_str!(concat!("templates/", $dir, "/", $file)))),+]
    };
}

/// The files of a template. `gitignore` gets its dot when it is written.
const fn template(language: Language, judge: Judge) -> &'static [(&'static str, &'static str)] {
    match (language, judge) {
        (Language::Python, Judge::ScoreStage) => template!("python-score":
            "task.toml", "train.py", "score.py", "README.md", "example.diff", "gitignore"),
        (Language::Python, Judge::SameContainer) => template!("python-no-score":
            "task.toml", "primes.py", "check.py", "README.md", "example.diff", "gitignore"),
        (Language::C, Judge::ScoreStage) => template!("c-score":
            "task.toml", "solve.c", "solve.h", "main.c", "check.c", "Makefile", "README.md", "example.diff", "gitignore"),
        (Language::C, Judge::SameContainer) => template!("c-no-score":
            "task.toml", "solve.c", "solve.h", "main.c", "check.c", "Makefile", "README.md", "example.diff", "gitignore"),
    }
}

/// Writes a task repository into `dir`, which is made; its name is the slug. The
/// files written, in order.
pub fn write(dir: &Path, language: Language, judge: Judge) -> Result<Vec<PathBuf>, ScaffoldError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ScaffoldError::Io { path, source }
    };
    // Whatever is refused leaves nothing behind.
    let absolute = if dir.exists() {
        if fs::read_dir(dir).map_err(io(dir))?.next().is_some() {
            return Err(ScaffoldError::NotEmpty(dir.to_owned()));
        }
        dir.canonicalize()
    } else {
        std::path::absolute(dir)
    }
    .map_err(io(dir))?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !(3..=120).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(ScaffoldError::Name(name.into_owned()));
    }
    fs::create_dir_all(dir).map_err(io(dir))?;
    let mut written = Vec::new();
    for (file, content) in template(language, judge) {
        let file = if *file == "gitignore" {
            ".gitignore"
        } else {
            file
        };
        let path = dir.join(file);
        let content = if file == "task.toml" {
            content.replacen("NAME", &name, 1)
        } else {
            (*content).to_owned()
        };
        fs::write(&path, content).map_err(io(&path))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_task_without_problems() {
        for language in [Language::Python, Language::C] {
            for judge in [Judge::ScoreStage, Judge::SameContainer] {
                let place = tempfile::tempdir().unwrap();
                let dir = place.path().join("my-task");
                write(&dir, language, judge).unwrap();
                let task = crate::task::load(&dir).unwrap().task;
                assert_eq!(task.slug, "my-task");
                assert_eq!(task.score_command.is_some(), judge == Judge::ScoreStage);
            }
        }
    }

    #[test]
    fn a_name_that_makes_no_slug_leaves_no_directory_behind() {
        let place = tempfile::tempdir().unwrap();
        for name in ["zz", "a task", "new/zz", "x/.."] {
            let dir = place.path().join(name);
            let error = write(&dir, Language::Python, Judge::ScoreStage).unwrap_err();
            assert!(matches!(error, ScaffoldError::Name(_)), "{name}: {error}");
        }
        assert!(fs::read_dir(place.path()).unwrap().next().is_none());
    }

    #[test]
    fn nothing_that_is_there_is_overwritten() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("mine"), "").unwrap();
        let error = write(place.path(), Language::C, Judge::ScoreStage).unwrap_err();
        assert!(matches!(error, ScaffoldError::NotEmpty(_)));
    }
}
