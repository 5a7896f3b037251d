//! Whether this host is fit to replay, as its own failures tell.

use protocol::{Code, Fault, Report};

/// Counts failures of this host in a row.
#[derive(Debug, Default)]
pub(super) struct Wellness {
    in_a_row: u32,
    paused: Option<String>,
}

/// What one replay says of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Containers ran as they should.
    Well,
    /// Engine, disk or runner failed.
    Ill,
    /// Nothing.
    None,
}

impl Sign {
    /// What a report says of the host that made it. A repository that cannot be
    /// fetched and limits that are too large are not the host's condition.
    pub(super) fn of(report: &Report) -> Self {
        match report.code {
            Code::CheckoutFetchFailed
            | Code::SandboxLimitsUnsatisfiable
            | Code::SandboxImageUnavailable
            | Code::CoordinatorProtocol
            | Code::Cancelled => Self::None,
            _ if report.fault == Some(Fault::Validator) => Self::Ill,
            _ if !report.stages.is_empty() => Self::Well,
            _ => Self::None,
        }
    }
}

impl Wellness {
    /// Notes a sign. True if claiming pauses because of it.
    pub(super) fn note(&mut self, sign: Sign, limit: u32, what: &str) -> bool {
        match sign {
            Sign::None => false,
            Sign::Well => {
                self.in_a_row = 0;
                false
            }
            Sign::Ill => {
                self.in_a_row += 1;
                if self.in_a_row < limit || self.paused.is_some() {
                    return false;
                }
                let count = self.in_a_row;
                self.paused = Some(format!("{count} failures of this host in a row: {what}"));
                true
            }
        }
    }

    /// Why no work is taken, if none is.
    pub(super) fn paused(&self) -> Option<&str> {
        self.paused.as_deref()
    }

    /// The doctor found nothing that fails.
    pub(super) fn is_well_again(&mut self) {
        self.in_a_row = 0;
        self.paused = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_failures_in_a_row_pause_and_one_success_starts_the_count_again() {
        let mut wellness = Wellness::default();
        assert!(!wellness.note(Sign::Ill, 3, "x") && !wellness.note(Sign::Ill, 3, "x"));
        assert!(!wellness.note(Sign::Well, 3, ""));
        assert!(!wellness.note(Sign::Ill, 3, "x") && !wellness.note(Sign::None, 3, ""));
        assert!(!wellness.note(Sign::Ill, 3, "x") && wellness.paused().is_none());
        assert!(wellness.note(Sign::Ill, 3, "no engine"));
        assert_eq!(
            wellness.paused(),
            Some("3 failures of this host in a row: no engine")
        );
        wellness.is_well_again();
        assert!(wellness.paused().is_none() && !wellness.note(Sign::Ill, 3, "x"));
    }
}
