//! What a stage finds around it beside its own files: host name, environment,
//! randomness and the like. Every replay has the same; only a check of a task's
//! determinism changes some of it, to see what the answer depends on.

use std::path::PathBuf;

use super::WORKSPACE;

/// In which order the environment is handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EnvironmentOrder {
    /// The engine's own variables first.
    #[default]
    Usual,
    /// The other way round.
    Reversed,
}

/// Where the system call `getrandom` takes its bytes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Randomness {
    /// The kernel.
    #[default]
    Kernel,
    /// Nowhere: it answers that there is no such call, so that libraries turn to
    /// `/dev/urandom`, which can be replaced by a file.
    DevicesOnly,
}

/// Whether the kernel places stacks, heaps and libraries at random.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressRandomisation {
    /// As it always does.
    #[default]
    On,
    /// A program may switch it off for itself.
    MayBeOff,
}

/// What a stage finds around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// Its host name.
    pub hostname: String,
    /// Where its work tree is.
    pub workspace: String,
    /// In place of the engine's own variables, or beside them; the task's own win.
    pub env: Vec<(String, String)>,
    /// How they are ordered.
    pub env_order: EnvironmentOrder,
    /// The mask for new files, if not the engine's.
    pub umask: Option<u16>,
    /// Programs of the image that run the shell, outermost first.
    pub wrapper: Vec<String>,
    /// Read-only files that stand in for those of every container.
    pub files: Vec<(PathBuf, String)>,
    /// Where random bytes come from.
    pub randomness: Randomness,
    /// Where memory is.
    pub addresses: AddressRandomisation,
    /// How many seconds of processor time it gets each second, if not all of
    /// those that its cores have.
    pub cpu_seconds_per_second: Option<f64>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            hostname: "replay".to_owned(),
            workspace: WORKSPACE.to_owned(),
            env: Vec::new(),
            env_order: EnvironmentOrder::Usual,
            umask: None,
            wrapper: Vec::new(),
            files: Vec::new(),
            randomness: Randomness::Kernel,
            addresses: AddressRandomisation::On,
            cpu_seconds_per_second: None,
        }
    }
}

impl Conditions {
    /// What runs the command: a shell, and what runs that. It waits for a line on
    /// its input, so that nothing of the command runs before the clock does.
    pub(super) fn entrypoint(&self) -> Vec<String> {
        let umask = self
            .umask
            .map_or_else(String::new, |umask| format!("umask {umask:03o}; "));
        let begin = format!("read -r replay_begin && {{ {umask}exec \"$@\" </dev/null; }}");
        let mut words: Vec<String> = ["/bin/sh", "-c", &begin, "sh"].map(str::to_owned).into();
        words.extend(self.wrapper.iter().cloned());
        words.extend(["/bin/sh", "-c"].map(str::to_owned));
        words
    }

    /// The profile of system calls, changed where these conditions need it.
    pub(super) fn seccomp(&self, usual: &str) -> String {
        let unchanged =
            self.randomness == Randomness::Kernel && self.addresses == AddressRandomisation::On;
        let parsed = || serde_json::from_str::<serde_json::Value>(usual).ok();
        let Some(mut profile) = (!unchanged).then(parsed).flatten() else {
            return usual.to_owned();
        };
        if let Some(rules) = profile["syscalls"].as_array_mut() {
            if self.randomness == Randomness::DevicesOnly {
                for rule in rules.iter_mut() {
                    if let Some(names) = rule["names"].as_array_mut() {
                        names.retain(|name| name != "getrandom");
                    }
                }
                let enosys = nix::errno::Errno::ENOSYS as i32;
                rules.push(serde_json::json!({
                    "names": ["getrandom"], "action": "SCMP_ACT_ERRNO", "errnoRet": enosys
                }));
            }
            if self.addresses == AddressRandomisation::MayBeOff {
                // ADDR_NO_RANDOMIZE of personality(2), and nothing beside it.
                rules.push(serde_json::json!({
                    "names": ["personality"], "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 0, "value": 0x0004_0000, "op": "SCMP_CMP_EQ"}]
                }));
            }
        }
        profile.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str =
        r#"{"syscalls": [{"names": ["read", "getrandom"], "action": "SCMP_ACT_ALLOW"}]}"#;

    #[test]
    fn usual_conditions_leave_the_profile_and_the_shell_as_they_are() {
        let usual = Conditions::default();
        assert_eq!(usual.seccomp(PROFILE), PROFILE);
        let words = usual.entrypoint();
        assert_eq!(
            words[2],
            "read -r replay_begin && { exec \"$@\" </dev/null; }"
        );
        assert_eq!(words[4..], ["/bin/sh", "-c"]);
    }

    #[test]
    fn without_the_kernels_randomness_the_call_is_in_no_rule_that_allows() {
        let conditions = Conditions {
            randomness: Randomness::DevicesOnly,
            ..Conditions::default()
        };
        let profile: serde_json::Value =
            serde_json::from_str(&conditions.seccomp(PROFILE)).unwrap();
        assert_eq!(profile["syscalls"][0]["names"], serde_json::json!(["read"]));
        assert_eq!(profile["syscalls"][1]["errnoRet"], 38);
    }

    #[test]
    fn a_umask_is_set_before_whatever_else_runs_the_command() {
        let conditions = Conditions {
            umask: Some(0o77),
            wrapper: vec!["setarch".to_owned(), "-R".to_owned()],
            ..Conditions::default()
        };
        let words = conditions.entrypoint();
        assert!(words[2].contains("{ umask 077; exec"), "{words:?}");
        assert_eq!(words[4..], ["setarch", "-R", "/bin/sh", "-c"]);
    }
}
