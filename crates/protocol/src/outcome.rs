//! What a replay ends with: a status, a stable dotted code, and whose fault it is.
//!
//! The list of codes is the contract of `DESIGN.md` §3: codes are added, never
//! renamed. [`Outcome::of`] is the one place that turns a code into a status.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What was decided about a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The replay ran to its end, and its metrics count.
    Accepted,
    /// The submission broke a rule or failed where the baseline does not.
    Rejected,
    /// Nothing was decided about the submission.
    Error,
}

impl Status {
    /// The exit status that `replay-runner run` promises to scripts.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Error => 1,
            Self::Rejected => 3,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Error => "error",
        })
    }
}

/// Whose doing an outcome other than `ok` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The miner's: the patch, the artifact, or what they did when they ran.
    Submission,
    /// The task author's: the unpatched baseline fails as well, or the spec is wrong.
    Task,
    /// This host's: engine, disk, network, or the runner itself.
    Validator,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submission => "submission",
            Self::Task => "task",
            Self::Validator => "validator",
        })
    }
}

/// Who has to be asked before a code is somebody's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Accepted,
    /// A rule of the task or of the gate was broken; nothing else could be the cause.
    Submission,
    /// Submitted code ran: the unpatched baseline on the same host decides.
    Control,
    SubmissionUnavailable,
    Task,
    Validator,
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $rule:ident, $doc:literal;)+) => {
        /// A stable outcome code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $doc] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The dotted text that scripts, reports and receipts carry.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            const fn rule(self) -> Rule {
                match self {
                    $(Self::$variant => Rule::$rule,)+
                }
            }
        }
    };
}

codes! {
    Ok = "ok", Accepted, "The replay ran to its end.";
    PatchTooLarge = "patch.too_large", Submission, "More bytes, decoded bytes or files than the task allows.";
    PatchUnparseable = "patch.unparseable", Submission, "Not a diff that git can read.";
    PatchEmpty = "patch.empty", Submission, "No hunk in it.";
    PatchDoesNotApply = "patch.does_not_apply", Submission, "Its context is not what the pinned commit has.";
    PatchPathNotAllowed = "patch.path_not_allowed", Submission, "It changes a path outside the allowed ones.";
    PatchPathUnsafe = "patch.path_unsafe", Submission, "A path that no honest patch has.";
    PatchSymlink = "patch.symlink", Submission, "It makes or changes a symbolic link.";
    PatchSubmodule = "patch.submodule", Submission, "It makes or changes a submodule.";
    PatchModeChange = "patch.mode_change", Submission, "It sets a file mode that the task does not allow.";
    PatchBinary = "patch.binary", Submission, "A binary hunk, and the task does not allow them.";
    PatchGeneratedFile = "patch.generated_file", Submission, "Compiled or generated files.";
    ArtifactMissing = "artifact.missing", Submission, "The task needs an artifact.";
    ArtifactSchemeNotAllowed = "artifact.scheme_not_allowed", Submission, "Not an https address.";
    ArtifactAddressNotAllowed = "artifact.address_not_allowed", Submission, "The host resolves to an address that is not public.";
    ArtifactRedirectNotAllowed = "artifact.redirect_not_allowed", Submission, "The server redirects.";
    ArtifactDigestMissing = "artifact.digest_missing", Submission, "A remote artifact without its SHA-256.";
    ArtifactSizeMismatch = "artifact.size_mismatch", Submission, "More or fewer bytes than declared.";
    ArtifactDigestMismatch = "artifact.digest_mismatch", Submission, "The bytes are not the declared ones.";
    ArtifactTooLarge = "artifact.too_large", Submission, "Declared larger than the task allows.";
    ArtifactUnavailable = "artifact.unavailable", SubmissionUnavailable, "It could not be downloaded.";
    CheckoutFetchFailed = "checkout.fetch_failed", Validator, "The repository could not be fetched.";
    CheckoutRefNotFound = "checkout.ref_not_found", Task, "The repository has no such commit, branch or tag.";
    CheckoutSchemeNotAllowed = "checkout.scheme_not_allowed", Task, "Not an https address or a path.";
    SandboxEngineUnavailable = "sandbox.engine_unavailable", Validator, "The container engine does not answer, or lost the container.";
    SandboxEngineTimeout = "sandbox.engine_timeout", Validator, "The container engine took longer than its deadline.";
    SandboxImageUnavailable = "sandbox.image_unavailable", Validator, "The image is not here and could not be pulled.";
    SandboxLimitsUnsatisfiable = "sandbox.limits_unsatisfiable", Validator, "The task asks for more than this machine has.";
    SandboxStartFailed = "sandbox.start_failed", Validator, "The engine could not start the container.";
    SandboxStorageFull = "sandbox.storage_full", Validator, "No room on this host's disk.";
    SetupFailed = "setup.failed", Control, "The setup command failed.";
    SetupTimeout = "setup.timeout", Control, "The setup command ran out of its own time.";
    SetupOutOfMemory = "setup.out_of_memory", Control, "The setup command ran out of memory.";
    BenchmarkFailed = "benchmark.failed", Control, "The benchmark command failed.";
    BenchmarkRejected = "benchmark.rejected", Submission, "The benchmark said that it refuses the submission, and failed.";
    BenchmarkTimeout = "benchmark.timeout", Control, "The time budget of the replay ended.";
    BenchmarkOutOfMemory = "benchmark.out_of_memory", Control, "The benchmark ran out of memory.";
    ScoreFailed = "score.failed", Control, "The score command failed.";
    ScoreTimeout = "score.timeout", Control, "The score command ran out of time.";
    ScoreOutOfMemory = "score.out_of_memory", Control, "The score command ran out of memory.";
    ResultMissing = "result.missing", Control, "No result was written.";
    ResultNotAFile = "result.not_a_file", Control, "The result is not a regular file.";
    ResultTooLarge = "result.too_large", Control, "The result is larger than its cap.";
    ResultInvalidJson = "result.invalid_json", Control, "The result is not one strict JSON object.";
    ResultMetricMissing = "result.metric_missing", Control, "The result has no such metric.";
    ResultMetricNotANumber = "result.metric_not_a_number", Control, "The metric is not a JSON number.";
    ResultMetricNotFinite = "result.metric_not_finite", Control, "The metric is too large for a double.";
    ResultMetricOutOfRange = "result.metric_out_of_range", Control, "The metric is outside the range that the task declares.";
    ResultNotReproducible = "result.not_reproducible", Control, "Repeats disagree by more than the task tolerates.";
    IntegrityProtectedPathModified = "integrity.protected_path_modified", Submission, "Submitted code changed a protected file while it ran.";
    SpecInvalid = "spec.invalid", Task, "The task or spec is wrong, or asks for what is never given.";
    CoordinatorProtocol = "coordinator.protocol", Validator, "The coordinator answered what the protocol does not have.";
    Cancelled = "cancelled", Validator, "Stopped by a signal or by the coordinator.";
    Internal = "internal", Validator, "A mistake of ours.";
}

/// A text that is no outcome code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an outcome code")]
pub struct UnknownCode(String);

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Code {
    /// Whether the unpatched baseline must be replayed before this code is
    /// anybody's fault.
    pub fn needs_control(self) -> bool {
        self.rule() == Rule::Control
    }
}

/// What the unpatched baseline of the same task did on the same host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It ran to its end: the host and the task are sound.
    Passed,
    /// It failed too.
    Failed,
}

/// A decided replay: the code with the status and fault that follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Accepted, rejected, or nothing decided.
    pub status: Status,
    /// The stable code.
    pub code: Code,
    /// Whose doing it is; `None` only for an accepted replay.
    pub fault: Option<Fault>,
}

impl Outcome {
    /// The outcome of `code`, given what the control did. A code that depends
    /// on the control and has none is an error of the task: that is a run of
    /// the baseline itself.
    pub fn of(code: Code, control: Option<Control>) -> Self {
        let (status, fault) = match (code.rule(), control) {
            (Rule::Accepted, _) => (Status::Accepted, None),
            (Rule::Submission, _) | (Rule::Control, Some(Control::Passed)) => {
                (Status::Rejected, Some(Fault::Submission))
            }
            (Rule::Control, Some(Control::Failed) | None) | (Rule::Task, _) => {
                (Status::Error, Some(Fault::Task))
            }
            (Rule::SubmissionUnavailable, _) => (Status::Error, Some(Fault::Submission)),
            (Rule::Validator, _) => (Status::Error, Some(Fault::Validator)),
        };
        Self {
            status,
            code,
            fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_round_trips_through_its_text() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
        }
        assert!("benchmark.Failed".parse::<Code>().is_err());
    }

    #[test]
    fn a_failed_stage_is_the_submissions_fault_only_when_the_baseline_passes() {
        let rejected = Outcome::of(Code::BenchmarkTimeout, Some(Control::Passed));
        assert_eq!(
            (rejected.status, rejected.fault),
            (Status::Rejected, Some(Fault::Submission))
        );
        for control in [Some(Control::Failed), None] {
            let error = Outcome::of(Code::BenchmarkTimeout, control);
            assert_eq!(
                (error.status, error.fault),
                (Status::Error, Some(Fault::Task))
            );
        }
    }

    #[test]
    fn no_control_turns_a_gate_rejection_into_anything_else() {
        for control in [Some(Control::Passed), Some(Control::Failed), None] {
            for code in Code::ALL
                .iter()
                .filter(|code| code.as_str().starts_with("patch."))
            {
                assert_eq!(Outcome::of(*code, control).status, Status::Rejected);
            }
        }
    }

    #[test]
    fn an_unreachable_artifact_is_the_submissions_error_and_no_rejection() {
        let outcome = Outcome::of(Code::ArtifactUnavailable, Some(Control::Passed));
        assert_eq!(
            (outcome.status, outcome.fault),
            (Status::Error, Some(Fault::Submission))
        );
    }
}
