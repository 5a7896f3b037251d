//! What a model answers, and putting it into the workspace.

use protocol::paths::{AllowedPaths, check_safe};
use serde::Deserialize;

use crate::submission_file::SubmissionFile;
use crate::task::ServedTask;
use crate::workspace::{Workspace, beneath, write};

/// More files than any honest change of a model has.
const MOST_FILES: usize = 200;

/// The object that a model is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    summary: String,
    #[serde(default)]
    proposed_idea: Option<String>,
    files: Vec<NewFile>,
}

#[derive(Debug, Deserialize)]
struct NewFile {
    path: String,
    content: Option<String>,
}

impl Reply {
    /// Finds the object in the answer: bare, in a code fence, or after thoughts.
    pub(super) fn find(text: &str) -> Result<Self, String> {
        let mut problem = "there is no JSON object in it".to_owned();
        for (at, _) in text.match_indices('{') {
            let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Self>();
            match values.next() {
                Some(Ok(reply)) => return Ok(reply),
                Some(Err(error)) if at == 0 || text[..at].trim_end().ends_with("```json") => {
                    problem = error.to_string();
                }
                _ => {}
            }
        }
        Err(problem)
    }

    /// Writes the files and `submission.json`. Nothing is written if a path is
    /// not allowed.
    pub(super) fn apply(&self, workspace: &Workspace, task: &ServedTask) -> Result<(), String> {
        if self.files.is_empty() || self.files.len() > MOST_FILES {
            return Err(format!(
                "it changes {} files; 1 to {MOST_FILES} are taken",
                self.files.len()
            ));
        }
        let rules = &task.task;
        let allowed = AllowedPaths::new(&rules.allowed_patch_paths, &rules.protected_paths)
            .map_err(|error| error.to_string())?;
        for file in &self.files {
            let path = check_safe(file.path.as_bytes()).map_err(|error| error.to_string())?;
            if !allowed.allows(path) {
                return Err(format!(
                    "{path:?} is not below an allowed path, or is protected"
                ));
            }
        }
        for file in &self.files {
            let repo = workspace.repo();
            let done = match &file.content {
                Some(content) => beneath::write(&repo, &file.path, content.as_bytes()),
                None => beneath::remove(&repo, &file.path),
            };
            done.map_err(|error| format!("{:?} cannot be written: {error}", file.path))?;
        }
        let submission = SubmissionFile {
            summary: self.summary.clone(),
            proposed_idea: self.proposed_idea.clone(),
            ..SubmissionFile::default()
        };
        let text = serde_json::to_vec_pretty(&submission).map_err(|error| error.to_string())?;
        write(&workspace.submission(), &text).map_err(|error| format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = r#"{"summary": "s {x}", "files": [{"path": "src/a", "content": "}{\n"}]}"#;

    #[test]
    fn the_object_is_found_bare_fenced_or_after_thoughts() {
        for text in [
            OBJECT.to_owned(),
            format!("```json\n{OBJECT}\n```\n"),
            format!("I think {{a}} of {{\"b\": 1}}.\n\n{OBJECT}\nThat is all."),
        ] {
            let reply = Reply::find(&text).unwrap();
            assert_eq!(reply.files[0].content.as_deref(), Some("}{\n"), "{text}");
        }
        for (text, words) in [
            ("", "no JSON object"),
            ("sorry", "no JSON object"),
            (r#"{"files": []}"#, "summary"),
            ("```json\n{\"summary\": 1}\n```", "string"),
        ] {
            let problem = Reply::find(text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
