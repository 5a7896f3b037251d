//! Recomputes an epoch from its inputs, and every epoch before it, with nothing
//! but the documents that the epoch file names.

use protocol::Sha256Digest;

use crate::blobs::{BlobError, Blobs};
use crate::epoch::{EpochError, EpochFile, FileError, Given, Previous, compute};

/// What an epoch file says, and what follows from its inputs instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which field.
    pub field: String,
    /// What the file says.
    pub stated: String,
    /// What follows.
    pub recomputed: String,
}

/// Why an epoch is not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No epoch file.
    #[error(transparent)]
    File(#[from] FileError),
    /// An input is missing, and nothing is decided.
    #[error("epoch {epoch}: {source}")]
    Input {
        /// Of which epoch.
        epoch: u64,
        /// Which one.
        source: BlobError,
    },
    /// No epoch follows from the inputs.
    #[error("epoch {epoch} does not follow from its inputs: {source}")]
    Impossible {
        /// Which epoch.
        epoch: u64,
        /// Why.
        source: EpochError,
    },
    /// Another epoch follows from the inputs.
    #[error("epoch {epoch} says {} = {}, and its inputs give {}", difference.field, difference.stated, difference.recomputed)]
    Different {
        /// Which epoch.
        epoch: u64,
        /// The first difference.
        difference: Difference,
    },
}

impl VerifyError {
    /// Whether the epoch is wrong, and not merely undecided.
    pub fn is_proof(&self) -> bool {
        !matches!(self, Self::Input { .. })
    }
}

/// Recomputes the epoch in `bytes` and all before it, back to the first, and
/// returns them, newest first.
///
/// # Errors
/// [`VerifyError`], for the newest epoch that is not as it should be.
pub fn history(blobs: &Blobs, bytes: &[u8]) -> Result<Vec<EpochFile>, VerifyError> {
    let mut verified: Vec<EpochFile> = Vec::new();
    let mut next = Some(bytes.to_vec());
    while let Some(bytes) = next.take() {
        let (file, previous) = one(blobs, &bytes)?;
        verified.push(file);
        next = previous;
    }
    Ok(verified)
}

/// Recomputes one epoch, believing the epoch file before it; returns the bytes of
/// that one, too.
///
/// # Errors
/// [`VerifyError`].
pub fn one(blobs: &Blobs, bytes: &[u8]) -> Result<(EpochFile, Option<Vec<u8>>), VerifyError> {
    let file = EpochFile::parse(bytes)?;
    let epoch = file.epoch;
    let get = |digest: Sha256Digest| {
        let found = blobs.get(digest);
        found.map_err(|source| VerifyError::Input { epoch, source })
    };
    let snapshot = get(file.inputs.snapshot_sha256)?;
    let recipients = get(file.inputs.recipients_sha256)?;
    let previous = file.inputs.previous_sha256.map(get).transpose()?;
    // What is no epoch file names no mappings, and is found wrong below.
    let recipients_before = match previous.as_deref().map(EpochFile::parse) {
        Some(Ok(previous)) => get(previous.inputs.recipients_sha256)?,
        _ => Vec::new(),
    };
    let recomputed = compute(&Given {
        epoch,
        contract: file.contract,
        budget_rao: file.budget_rao,
        snapshot: &snapshot,
        recipients: &recipients,
        previous: previous.as_deref().map(|file| Previous {
            file,
            recipients: &recipients_before,
        }),
    });
    let recomputed = recomputed.map_err(|source| VerifyError::Impossible { epoch, source })?;
    match difference(&file, &recomputed) {
        None => Ok((file, previous)),
        Some(difference) => Err(VerifyError::Different { epoch, difference }),
    }
}

/// The first thing in which two epochs of the same inputs differ.
fn difference(stated: &EpochFile, recomputed: &EpochFile) -> Option<Difference> {
    let differ = |field: String, stated: String, recomputed: String| Difference {
        field,
        stated,
        recomputed,
    };
    for (place, (a, b)) in stated.leaves.iter().zip(&recomputed.leaves).enumerate() {
        if a != b {
            let (a, b) = (format!("{a:?}"), format!("{b:?}"));
            return Some(differ(format!("leaves[{place}]"), a, b));
        }
    }
    let fields = [
        (
            "leaves",
            stated.leaves.len().to_string(),
            recomputed.leaves.len().to_string(),
        ),
        (
            "num_of_leaves",
            stated.num_of_leaves.to_string(),
            recomputed.num_of_leaves.to_string(),
        ),
        ("root", stated.root.to_string(), recomputed.root.to_string()),
        (
            "total_rao",
            stated.total_rao.to_string(),
            recomputed.total_rao.to_string(),
        ),
    ];
    for (field, a, b) in fields {
        if a != b {
            return Some(differ(field.to_owned(), a, b));
        }
    }
    (stated != recomputed).then(|| {
        differ(
            "unassigned".to_owned(),
            format!("{} balances", stated.unassigned.len()),
            format!("{} others", recomputed.unassigned.len()),
        )
    })
}
