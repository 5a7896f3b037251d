//! A task's repository: a benchmark that reads its score from a file that may change.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{IndexAddOption, Repository as Git, Signature};

pub(crate) struct Repository {
    _directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) commit: String,
}

const BENCH: &str = "\
import json, pathlib
score = float(pathlib.Path('src/value.txt').read_text())
print('measured', score)
pathlib.Path('result.json').write_text(json.dumps({'metric_name': 'score', 'metric_value': score}))
";

impl Repository {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("task");
        fs::create_dir_all(path.join("src")).unwrap();
        fs::write(path.join("bench.py"), BENCH).unwrap();
        fs::write(path.join("src/value.txt"), "1.0\n").unwrap();
        fs::write(path.join("README.md"), "# A number\n").unwrap();
        let commit = commit_all(&path);
        Self {
            _directory: directory,
            path,
            commit,
        }
    }
}

fn commit_all(path: &Path) -> String {
    let mut options = git2::RepositoryInitOptions::new();
    options.external_template(false).initial_head("main");
    let git = Git::init_opts(path, &options).unwrap();
    let mut index = git.index().unwrap();
    index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
    let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
    index.write().unwrap();
    let author = Signature::now("Author", "author@example.org").unwrap();
    git.commit(Some("HEAD"), &author, &author, "the task", &tree, &[])
        .unwrap()
        .to_string()
}
