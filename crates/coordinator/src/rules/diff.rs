//! What can be refused of a patch without the repository: the paths that its
//! headers name. The gate of the replay compares trees and decides; this only
//! spares everybody a replay whose end is certain.

use protocol::Task;
use protocol::paths::{AllowedPaths, check_safe, is_generated};
use protocol::task::FieldError;

/// How many problems are listed.
const MOST: usize = 20;

/// Everything that the gate is certain to refuse.
pub fn problems(task: &Task, patch: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    let mut report = |problem: String| {
        if found.len() < MOST {
            found.push(FieldError {
                field: "patch".to_owned(),
                problem,
            });
        }
    };
    let length = u64::try_from(patch.len()).unwrap_or(u64::MAX);
    if length > task.max_patch_bytes {
        report(format!(
            "patch.too_large: {length} bytes; the task allows {}",
            task.max_patch_bytes
        ));
        return found;
    }
    let named: Vec<Header<'_>> = headers(patch).collect();
    if !patch.lines().any(begins_file) {
        report("patch.empty: no file header of a unified git diff".to_owned());
    }
    // A task whose own globs do not compile was refused when it was created.
    let allowed = AllowedPaths::new(&task.allowed_patch_paths, &task.protected_paths).ok();
    for one in &named {
        match one {
            Header::Path(name) => {
                if let Some(problem) = path_problem(name, allowed.as_ref()) {
                    report(problem);
                }
            }
            Header::Mode("120000") => report("patch.symlink: a symbolic link".to_owned()),
            Header::Mode("160000") => report("patch.submodule: a submodule".to_owned()),
            Header::Binary if !task.allow_binary_patch => {
                report("patch.binary: binary hunks are not allowed".to_owned());
            }
            Header::Mode(_) | Header::Binary => {}
        }
    }
    found
}

fn path_problem(path: &str, allowed: Option<&AllowedPaths>) -> Option<String> {
    match check_safe(path.as_bytes()) {
        Err(refused) => Some(format!("patch.path_unsafe: {refused}")),
        Ok(path) if is_generated(path) => Some(format!(
            "patch.generated_file: {}",
            protocol::paths::escaped(path.as_bytes())
        )),
        Ok(path) if allowed.is_some_and(|rules| !rules.allows(path)) => Some(format!(
            "patch.path_not_allowed: {}",
            protocol::paths::escaped(path.as_bytes())
        )),
        Ok(_) => None,
    }
}

enum Header<'a> {
    Path(&'a str),
    Mode(&'a str),
    Binary,
}

/// The header lines of a diff, hunks skipped by the line counts they declare,
/// so that a changed line which looks like a header is not taken for one.
fn headers(patch: &str) -> impl Iterator<Item = Header<'_>> {
    let (mut old, mut new) = (0u64, 0u64);
    // What stands before the first file is a mail's prose.
    let diff = patch.lines().skip_while(|line| !begins_file(line));
    diff.filter_map(move |line| {
        if old > 0 || new > 0 {
            match line.as_bytes().first() {
                Some(b'-') => old = old.saturating_sub(1),
                Some(b'+') => new = new.saturating_sub(1),
                Some(b'\\') => {}
                _ => {
                    old = old.saturating_sub(1);
                    new = new.saturating_sub(1);
                }
            }
            return None;
        }
        if let Some(counts) = line.strip_prefix("@@ ").and_then(hunk_lines) {
            (old, new) = counts;
            return None;
        }
        header(line)
    })
}

fn begins_file(line: &str) -> bool {
    line.starts_with("diff --git ") || line.starts_with("--- ")
}

fn hunk_lines(ranges: &str) -> Option<(u64, u64)> {
    let mut parts = ranges.split(' ');
    let count = |range: &str, sign: char| -> Option<u64> {
        let range = range.strip_prefix(sign)?;
        range
            .split_once(',')
            .map_or(Some(1), |(_, n)| n.parse().ok())
    };
    Some((count(parts.next()?, '-')?, count(parts.next()?, '+')?))
}

fn header(line: &str) -> Option<Header<'_>> {
    for (prefix, side) in [("--- ", "a/"), ("+++ ", "b/")] {
        if let Some(rest) = line.strip_prefix(prefix) {
            // A quoted name has escapes that only git's own reader decides.
            let name = rest.split('\t').next().unwrap_or(rest);
            return name.strip_prefix(side).map(Header::Path);
        }
    }
    for prefix in ["rename from ", "rename to ", "copy to "] {
        if let Some(name) = line.strip_prefix(prefix) {
            return (!name.starts_with('"')).then_some(Header::Path(name));
        }
    }
    for prefix in ["new file mode ", "new mode "] {
        if let Some(mode) = line.strip_prefix(prefix) {
            return Some(Header::Mode(mode.trim_end()));
        }
    }
    (line.starts_with("GIT binary patch") || line.starts_with("Binary files "))
        .then_some(Header::Binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        serde_json::from_str(
            r#"{"slug": "sort", "benchmark_command": "true", "metric_name": "score",
                "metric_direction": "maximize", "time_budget_seconds": 10,
                "allowed_patch_paths": ["src"], "protected_paths": ["src/eval"]}"#,
        )
        .unwrap()
    }

    fn diff(path: &str, change: &str) -> String {
        format!(
            "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-x\n+{change}\n"
        )
    }

    fn refused_with(patch: &str, code: &str) {
        let found = problems(&task(), patch);
        assert!(
            found.iter().any(|one| one.problem.starts_with(code)),
            "{patch:?} gave {found:?}"
        );
    }

    #[test]
    fn an_honest_patch_has_no_problems() {
        assert_eq!(problems(&task(), &diff("src/a.py", "y")), []);
        assert_eq!(
            problems(
                &task(),
                "diff --git a/src/e b/src/e\ndeleted file mode 100644\n"
            ),
            []
        );
    }

    #[test]
    fn changed_lines_that_look_like_headers_are_content() {
        assert_eq!(
            problems(&task(), &diff("src/a.py", "++ b/eval/score.py")),
            []
        );
    }

    #[test]
    fn what_the_gate_is_certain_to_refuse_is_refused() {
        refused_with(&diff("eval/score.py", "y"), "patch.path_not_allowed");
        refused_with(&diff("src/eval/score.py", "y"), "patch.path_not_allowed");
        refused_with(&diff("src/../x", "y"), "patch.path_unsafe");
        refused_with(&diff("src/.git/config", "y"), "patch.path_unsafe");
        refused_with(&diff("src/a.pyc", "y"), "patch.generated_file");
        refused_with(
            "diff --git a/src/l b/src/l\nnew file mode 120000\n",
            "patch.symlink",
        );
        refused_with(
            "diff --git a/src/l b/src/l\nnew file mode 160000\n",
            "patch.submodule",
        );
        refused_with(
            "diff --git a/src/b b/src/b\nGIT binary patch\n",
            "patch.binary",
        );
        refused_with(
            "diff --git a/src/a b/eval/a\nrename from src/a\nrename to eval/a\n",
            "patch.path_not_allowed",
        );
        refused_with("hello", "patch.empty");
        refused_with(&"x".repeat(300_000), "patch.too_large");
    }

    #[test]
    fn a_second_file_after_a_hunk_is_seen() {
        let two = diff("src/a.py", "y") + &diff("eval/b.py", "y");
        refused_with(&two, "patch.path_not_allowed");
    }
}
