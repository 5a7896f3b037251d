//! What the unpatched baseline of a task does on this host: it decides whose
//! fault a failed stage is. Remembered by what it depends on, so that a thousand
//! failing submissions cost one control.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use protocol::outcome::Control;
use protocol::{Code, ReplaySpec};
use serde::{Deserialize, Serialize};

use crate::readable::write_readable;
use crate::sandbox::Network;

/// Hosts change: a success is believed for so long. A failure is not remembered
/// at all: a neighbour may have brought it about, and it would excuse everyone.
const LIFETIME: Duration = Duration::from_hours(24);

/// What a control observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControlRecord {
    /// How it ended.
    pub(crate) code: Code,
    /// Protected files that the baseline itself changes.
    pub(crate) changed: Vec<String>,
}

impl ControlRecord {
    /// Whether host and task are sound.
    pub(crate) fn control(&self) -> Control {
        if self.code == Code::Ok {
            Control::Passed
        } else {
            Control::Failed
        }
    }
}

/// The controls that this host remembers.
#[derive(Debug)]
pub(crate) struct ControlCache {
    file: PathBuf,
}

impl ControlCache {
    /// The place below `dir` for a control of `spec` in `passes` passes, with or
    /// without network in setup.
    pub(crate) fn new(
        dir: &std::path::Path,
        spec: &ReplaySpec,
        passes: u32,
        network: Network,
    ) -> Self {
        let network = if network == Network::None {
            ""
        } else {
            "-network"
        };
        Self {
            file: dir.join(format!(
                "{}-{passes}{network}.json",
                spec.baseline().digest()
            )),
        }
    }

    /// What is remembered and still believed.
    pub(crate) fn get(&self) -> Option<ControlRecord> {
        let record: ControlRecord = serde_json::from_slice(&fs::read(&self.file).ok()?).ok()?;
        let written = fs::metadata(&self.file)
            .and_then(|meta| meta.modified())
            .ok()?;
        let is_recent = written.elapsed().is_ok_and(|age| age < LIFETIME);
        (record.code == Code::Ok && is_recent).then_some(record)
    }

    /// Remembers a success. What cannot be written is observed again next time.
    pub(crate) fn put(&self, record: &ControlRecord) {
        if record.code != Code::Ok {
            return;
        }
        let written = serde_json::to_vec(record)
            .map_err(std::io::Error::from)
            .and_then(|bytes| write_readable(&self.file, &bytes));
        if let Err(error) = written {
            tracing::warn!(%error, "a control could not be remembered");
        }
    }
}
