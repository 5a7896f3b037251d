//! Diffs that change as little as can be, so that small size limits hold.

use std::fmt::Write as _;

/// Puts `lines` before the first line of the file at `path`, which holds `before`.
pub(super) fn prepended(path: &str, before: &str, lines: &str) -> String {
    let context: Vec<&str> = before.split_inclusive('\n').take(3).collect();
    let mut diff = format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n");
    let (old, new) = (context.len(), context.len() + lines.lines().count());
    let start = usize::from(old > 0);
    let _ = writeln!(diff, "@@ -{start},{old} +1,{new} @@");
    for line in lines.lines() {
        let _ = writeln!(diff, "+{line}");
    }
    for line in context {
        let _ = write!(diff, " {line}");
        if !line.ends_with('\n') {
            diff.push_str("\n\\ No newline at end of file\n");
        }
    }
    diff
}

/// Makes the file at `path`.
pub(super) fn new_file(path: &str, lines: &str) -> String {
    let mut diff = format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{} @@\n",
        lines.lines().count()
    );
    for line in lines.lines() {
        let _ = writeln!(diff, "+{line}");
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepended_payload_keeps_what_was_there() {
        assert_eq!(
            prepended("a.py", "one\ntwo", "new\n"),
            "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n+new\n one\n two\n\\ No newline at end of file\n"
        );
    }
}
