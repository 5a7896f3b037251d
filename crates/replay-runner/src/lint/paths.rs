//! What a patch may change, and what it must not be able to.

use std::collections::BTreeSet;

use protocol::Task;

use super::finding::{Findings, Rule};
use super::pinned::{File, Tree};
use crate::task;

/// Looks at the allowed paths.
pub(super) fn allowed(task: &Task, tree: &Tree, found: &mut Findings) {
    for path in &task.allowed_patch_paths {
        let alone = protocol::paths::AllowedPaths::new(std::slice::from_ref(path), &[]);
        let literal = path.trim_end_matches('/');
        let is_there = tree.file(literal).is_some()
            || tree.files.iter().any(|file| {
                file.path.starts_with(&format!("{literal}/"))
                    || alone.as_ref().is_ok_and(|alone| alone.allows(&file.path))
            });
        if !is_there {
            found.error(
                Rule::AllowedPaths,
                format!("allowed_patch_paths: no file is at or below {path:?}"),
                "correct the path, or commit a file there; paths are relative to the repository",
            );
        }
    }
    let open = tree.files.iter().filter(|file| file.is_allowed).count();
    if open == tree.files.len() || tree.allows("a-new-file-at-the-top") {
        found.error(
            Rule::AllowedPaths,
            format!(
                "allowed_patch_paths opens {open} of {} files, and new ones at the top",
                tree.files.len()
            ),
            "name the files or directories that miners should improve",
        );
    }
}

/// Looks for judges that a patch may change.
pub(super) fn judges(task: &Task, tree: &Tree, found: &mut Findings) {
    for name in task::NAMES {
        if tree.file(name).is_some_and(|file| file.is_allowed) {
            found.error(
                Rule::JudgeProtected,
                format!("a patch may change the task file {name}"),
                format!("add {name:?} to protected_paths, or narrow allowed_patch_paths"),
            );
        }
    }
    let (command, field) = match &task.score_command {
        Some(command) => (command, "score_command"),
        None => (&task.benchmark_command, "benchmark_command"),
    };
    let judges: Vec<&File> = tree.named_in(command).collect();
    // A benchmark runs submitted code, and something else has to judge it.
    let is_judged =
        task.score_command.is_none() && judges.iter().any(|file| !file.is_allowed && is_code(file));
    let patchable: Vec<&str> = judges
        .iter()
        .filter(|file| file.is_allowed && is_code(file) && !is_judged)
        .map(|file| file.path.as_str())
        .collect();
    for path in &patchable {
        found.error(
            Rule::JudgeProtected,
            format!("a patch may change {path}, which {field} runs to judge"),
            "let a file outside allowed_patch_paths compute the metric, best in a score_command",
        );
    }
    if task.score_command.is_none() {
        return;
    }
    let mut seen = BTreeSet::new();
    let mut queue: Vec<&File> = judges.into_iter().filter(|file| !file.is_allowed).collect();
    while let Some(judge) = queue.pop() {
        for import in imports(judge, tree) {
            if !seen.insert(&import.path) {
                continue;
            }
            if import.is_allowed {
                found.error(
                    Rule::JudgeProtected,
                    format!(
                        "{} imports {}, which a patch may change",
                        judge.path, import.path
                    ),
                    "copy what the scorer needs to a file outside allowed_patch_paths",
                );
            } else {
                queue.push(import);
            }
        }
    }
}

fn is_code(file: &File) -> bool {
    matches!(
        file.extension(),
        "py" | "sh" | "c" | "h" | "js" | "rb" | "pl" | "lua" | "rs" | "go" | "mk"
    ) || file
        .content
        .as_deref()
        .is_some_and(|content| content.starts_with(b"#!"))
}

/// The files of the tree that a Python or C file takes in by name.
fn imports<'a>(file: &File, tree: &'a Tree) -> Vec<&'a File> {
    let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let near = |name: &str| {
        let beside = if dir.is_empty() {
            name.to_owned()
        } else {
            format!("{dir}/{name}")
        };
        tree.file(&beside).or_else(|| tree.file(name))
    };
    let mut imported = Vec::new();
    for line in file.text().unwrap_or_default().lines().map(str::trim) {
        let python = file.extension() == "py";
        if let Some(rest) = line.strip_prefix("#include \"") {
            imported.extend(rest.split('"').next().and_then(near));
        } else if let Some(rest) = python.then(|| line.strip_prefix("import ")).flatten() {
            let names = rest
                .split(',')
                .filter_map(|name| name.split_whitespace().next());
            imported.extend(names.filter_map(|name| module(name, near)));
        } else if let Some(rest) = python.then(|| line.strip_prefix("from ")).flatten() {
            let name = rest.split_whitespace().next().unwrap_or_default();
            imported.extend(module(name.trim_start_matches('.'), near));
        }
    }
    imported
}

fn module<'a>(name: &str, near: impl Fn(&str) -> Option<&'a File>) -> Option<&'a File> {
    let path = name.replace('.', "/");
    near(&format!("{path}.py")).or_else(|| near(&format!("{path}/__init__.py")))
}

/// Says what kind of task it is.
pub(super) fn score_stage(task: &Task, tree: &Tree, found: &mut Findings) {
    if task.score_command.is_some() {
        return;
    }
    let code: Vec<&str> = tree
        .files
        .iter()
        .filter(|file| file.is_allowed && is_code(file))
        .map(|file| file.path.as_str())
        .collect();
    if code.is_empty() {
        found.ok(
            Rule::ScoreStage,
            "no score_command, and no code that a patch may change",
        );
    } else {
        found.warning(
            Rule::ScoreStage,
            format!(
                "{} runs in the stage that decides the metric",
                code.join(", ")
            ),
            "add a score_command: whoever shares a process with the judge can be the judge",
        );
    }
}
