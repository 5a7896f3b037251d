//! Patches that replace, add or remove whole files.

use std::fmt::Write as _;

/// A diff that turns `old` into `new` at `path`; `None` is no file.
pub fn replace(path: &str, old: Option<&str>, new: Option<&str>) -> String {
    let (old_lines, new_lines) = (lines(old), lines(new));
    let mut diff = format!("diff --git a/{path} b/{path}\n");
    let side = |prefix: char, text: Option<&str>| match text {
        Some(_) => format!("{prefix}/{path}"),
        None => "/dev/null".to_owned(),
    };
    if old.is_none() {
        diff.push_str("new file mode 100644\n");
    }
    if new.is_none() {
        diff.push_str("deleted file mode 100644\n");
    }
    let range = |lines: &[&str]| {
        let start = usize::from(!lines.is_empty());
        format!("{start},{}", lines.len())
    };
    let _ = write!(
        diff,
        "--- {}\n+++ {}\n@@ -{} +{} @@\n",
        side('a', old),
        side('b', new),
        range(&old_lines),
        range(&new_lines)
    );
    for (mark, lines) in [('-', &old_lines), ('+', &new_lines)] {
        for line in lines {
            let _ = writeln!(diff, "{mark}{line}");
        }
    }
    diff
}

fn lines(text: Option<&str>) -> Vec<&str> {
    text.map_or_else(Vec::new, |text| text.lines().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_has_all_old_and_all_new_lines() {
        let diff = replace("a.sh", Some("one\ntwo\n"), Some("three\n"));
        assert!(
            diff.ends_with("@@ -1,2 +1,1 @@\n-one\n-two\n+three\n"),
            "{diff}"
        );
    }

    #[test]
    fn a_new_file_comes_from_nothing() {
        let diff = replace("src/a", None, Some("x\n"));
        assert!(
            diff.contains("--- /dev/null\n+++ b/src/a\n@@ -0,0 +1,1 @@\n+x\n"),
            "{diff}"
        );
    }
}
