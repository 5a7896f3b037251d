//! What a task says that its own stages write. Plain paths, as they are
//! everywhere else: a `*` in one is a `*`, and stands for nothing.

use protocol::ReplaySpec;

/// The place of the result file, and of the outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// A file.
    pub result: Option<String>,
    /// Files and directories.
    pub outputs: Vec<String>,
}

/// What keeps a directory in git that is empty otherwise, or its contents out.
const PLACEHOLDERS: &[&str] = &[".gitkeep", ".keep", ".gitignore"];

impl Written {
    /// What the task of `spec` says.
    pub fn of(spec: &ReplaySpec) -> Self {
        Self {
            result: spec.result_path.clone(),
            outputs: spec.outputs.clone(),
        }
    }

    /// Whether `path` is the result file.
    pub(super) fn is_result(&self, path: &str) -> bool {
        self.result.as_deref() == Some(path)
    }

    /// The output that `path` is, or lies in.
    pub(super) fn output_over(&self, path: &str) -> Option<&str> {
        let names = self
            .outputs
            .iter()
            .map(|output| output.trim_end_matches('/'));
        names.into_iter().find(|output| {
            path.strip_prefix(output)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// Whether nobody would miss the file at `path` while a stage runs.
pub(super) fn is_placeholder(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    PLACEHOLDERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_a_plain_path_and_no_glob() {
        let written = Written {
            result: Some("*.*".to_owned()),
            outputs: vec!["*".to_owned(), "out/".to_owned()],
        };
        assert!(written.is_result("*.*") && !written.is_result("bench.py"));
        for (path, output) in [
            ("*", Some("*")),
            ("*/x", Some("*")),
            ("bench.py", None),
            ("out", Some("out")),
            ("out/deep/x", Some("out")),
            ("outer", None),
            ("a/out", None),
        ] {
            assert_eq!(written.output_over(path), output, "{path}");
        }
    }
}
