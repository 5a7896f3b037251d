//! Every way in which a coordinator does not answer what was asked.

use std::time::Duration;

/// Why there is no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection, or it broke before the answer was whole.
    #[error("the coordinator cannot be reached: {0}")]
    Unreachable(String),
    /// The answer is not what the protocol has.
    #[error("the coordinator answered what the protocol does not have: {0}")]
    Protocol(String),
    /// An error status.
    #[error("the coordinator answers {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The stable code beside the detail, where there is one.
        code: Option<String>,
        /// What it says, shortened and on one line.
        detail: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The request could not be made at all.
    #[error("the request could not be made: {0}")]
    Request(String),
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The coordinator's, and it passes: try again later.
    Passing,
    /// This validator is not let in: a person must mend it, and later may do.
    Access,
    /// This very request will never be taken.
    Final,
}

impl ClientError {
    /// How it is met.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Unreachable(_) | Self::Protocol(_) => Trouble::Passing,
            Self::Refused { status, .. } => match status {
                408 | 425 | 429 | 500..=599 => Trouble::Passing,
                400 | 404 | 409 | 410 | 413 | 422 => Trouble::Final,
                // Not let in, or something stands between here and there.
                _ => Trouble::Access,
            },
            Self::Request(_) => Trouble::Final,
        }
    }

    /// Whether the coordinator does not know this validator, or does not let it work.
    pub fn is_barred(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// Whether this is how a coordinator says that there is nothing to do.
    pub fn is_no_work(&self) -> bool {
        matches!(self, Self::Refused { status: 404, code, detail, .. }
            if code.as_deref() == Some("no_pending_jobs") || detail.contains("no pending validator jobs"))
    }

    /// The HTTP status, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The stable code, if there was one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// When the coordinator wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What a person can do about it, if anything.
    pub fn mend(&self) -> Option<&'static str> {
        let Self::Refused { status, detail, .. } = self else {
            return None;
        };
        match status {
            401 if detail.contains("clock") || detail.contains("X-Timestamp") => {
                Some("set this host's clock (timedatectl), then nothing else is needed")
            }
            401 => Some("check that the wallet is the one the coordinator knows"),
            300..=399 => Some("write the address that it redirects to as coordinator_url"),
            403 => Some("ask the coordinator's operator to allow this hotkey as a validator"),
            _ => None,
        }
    }

    /// The error with what can be done about it.
    pub fn told(&self) -> String {
        match self.mend() {
            Some(mend) => format!("{self}; {mend}"),
            None => self.to_string(),
        }
    }
}

/// Text of a coordinator for a log line: short, and without control characters.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .take(400)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
