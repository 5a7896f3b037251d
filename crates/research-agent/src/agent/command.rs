//! An agent that is a program on this machine: the miner's own choice, with the
//! miner's own rights. It is told where things are, runs in a process group of
//! its own, and the whole group dies with its time.

use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::AgentError;
use super::group::Group;
use crate::workspace::Workspace;

/// Variables of this program that an agent has no use for.
const SECRETS: &[&str] = &["HOTKEY_MNEMONIC", "BITSOTA_LLM_API_KEY"];

/// A shell command with placeholders (`WIRE.md` §5).
#[derive(Debug, Clone)]
pub(crate) struct CommandAgent {
    /// As it was given.
    pub(crate) template: String,
    /// How long one attempt may take.
    pub(crate) limit: Duration,
}

impl CommandAgent {
    pub(super) async fn attempt(
        &self,
        workspace: &Workspace,
        cancel: &CancellationToken,
    ) -> Result<(), AgentError> {
        let failed =
            |error: std::io::Error| AgentError::Failed(format!("could not be started: {error}"));
        // Standard output is ours, for scripts: what the agent says goes where
        // our own messages go.
        let talk = || Ok(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?));
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(fill_in(&self.template, workspace))
            .current_dir(&workspace.directory)
            .stdin(Stdio::null())
            .stdout(talk().map_err(failed)?)
            .stderr(talk().map_err(failed)?)
            .process_group(0)
            .kill_on_drop(true);
        if !std::io::stderr().is_terminal() {
            command.env("NO_COLOR", "1");
        }
        for secret in SECRETS {
            command.env_remove(secret);
        }
        let mut child = command.spawn().map_err(failed)?;
        let group = child.id().and_then(Group::led_by);
        let ended = tokio::select! {
            status = child.wait() => Ok(status.map_err(failed)?),
            () = tokio::time::sleep(self.limit) => Err(AgentError::TimedOut(self.limit.as_secs_f64())),
            () = cancel.cancelled() => Err(AgentError::Interrupted),
        };
        // Also after a good end: what it left in the background must not change
        // the files while they are measured.
        if let Some(group) = group {
            if ended.is_err() {
                group.ask_to_end().await;
            }
            group.kill().await;
        }
        match ended? {
            status if status.success() => Ok(()),
            status => Err(AgentError::Failed(describe(status))),
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(127) => "ended with status 127: its command was not found".to_owned(),
        Some(code) => format!("ended with status {code}"),
        None => format!("was ended by a signal ({status})"),
    }
}

/// Puts quoted paths in place of the placeholders. Other braces stay as they
/// are: shells use them.
fn fill_in(template: &str, workspace: &Workspace) -> String {
    let values = [
        ("{workspace_dir_quoted}", workspace.directory.clone()),
        ("{repo_dir_quoted}", workspace.repo()),
        ("{intro_path_quoted}", workspace.intro()),
        ("{submission_path_quoted}", workspace.submission()),
        (
            "{submission_result_path_quoted}",
            workspace.submission_result(),
        ),
    ];
    // In one pass: a path that looks like a placeholder stays a path.
    let mut filled = String::new();
    let mut rest = template;
    'template: while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        for (name, path) in &values {
            if let Some(after) = rest.strip_prefix(name) {
                filled.push_str(&quoted(path));
                rest = after;
                continue 'template;
            }
        }
        filled.push('{');
        rest = &rest[1..];
    }
    filled.push_str(rest);
    filled
}

/// `path` as one word of a POSIX shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_becomes_one_quoted_word_and_other_braces_stay() {
        let workspace = Workspace {
            directory: "/w/it's {repo_dir_quoted}".into(),
        };
        let filled = fill_in(
            "a {workspace_dir_quoted} ${HOME} {x,y} {repo_dir_quoted} {",
            &workspace,
        );
        assert_eq!(
            filled,
            r"a '/w/it'\''s {repo_dir_quoted}' ${HOME} {x,y} '/w/it'\''s {repo_dir_quoted}/repo' {"
        );
        for name in ["intro_path", "submission_path", "submission_result_path"] {
            let filled = fill_in(&format!("{{{name}_quoted}}"), &workspace);
            assert!(
                filled.starts_with("'/w/") && !filled.contains("{intro"),
                "{filled}"
            );
        }
    }

    fn agent(template: &str, limit: Duration) -> CommandAgent {
        CommandAgent {
            template: template.to_owned(),
            limit,
        }
    }

    #[tokio::test]
    async fn a_failing_or_missing_program_is_told_and_secrets_do_not_reach_it() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(directory.path()).unwrap();
        let cancel = CancellationToken::new();
        let minute = Duration::from_mins(1);
        let run = async |template: &str| agent(template, minute).attempt(&workspace, &cancel).await;
        assert!(
            run("test -z \"${HOTKEY_MNEMONIC+x}\" && touch {submission_path_quoted}")
                .await
                .is_ok()
        );
        assert!(workspace.submission().exists());
        assert!(
            run("exit 7")
                .await
                .unwrap_err()
                .to_string()
                .contains("status 7")
        );
        assert!(
            run("no-such-program-here")
                .await
                .unwrap_err()
                .to_string()
                .contains("not found")
        );
    }

    #[tokio::test]
    async fn an_agent_out_of_time_dies_with_everything_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(directory.path()).unwrap();
        let deaf = "trap '' TERM; (trap '' TERM; while :; do :; done) & echo $! > pid; wait; while :; do :; done";
        let error = agent(deaf, Duration::from_millis(500))
            .attempt(&workspace, &CancellationToken::new())
            .await
            .unwrap_err();
        assert!(matches!(error, AgentError::TimedOut(_)), "{error}");
        let pid = std::fs::read_to_string(directory.path().join("pid")).unwrap();
        assert!(is_gone(pid.trim()), "process {pid} lives");
    }

    #[tokio::test]
    async fn what_an_agent_leaves_in_the_background_is_killed_at_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(directory.path()).unwrap();
        let command = agent("sleep 1000 & echo $! > pid", Duration::from_mins(1));
        command
            .attempt(&workspace, &CancellationToken::new())
            .await
            .unwrap();
        let pid = std::fs::read_to_string(directory.path().join("pid")).unwrap();
        assert!(is_gone(pid.trim()), "process {pid} lives");
    }

    /// Whether the process is dead, if perhaps not yet buried by its new parent.
    fn is_gone(pid: &str) -> bool {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat
                .rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with(['Z', 'X'])),
            Err(_) => true,
        }
    }
}
