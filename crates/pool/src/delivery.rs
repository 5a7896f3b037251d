//! Brings one call to the chain, once, whatever is killed on the way.
//!
//! The order is what makes it safe: look at finalized state; sign only when no
//! transaction of ours can still be included; keep what was signed; only then
//! send it. After a crash at any point the next step looks again, and sends the
//! same bytes again or nothing.

use crate::chain::{Call, Chain, ChainError, Published, Seen};
use crate::store::{Store, StoreError};

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Sent, and not in finalized state yet.
    Waiting,
    /// In finalized state.
    Done,
}

/// Why a call is not brought to the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The database failed, or has another call by that name.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain did not answer, or refuses the call.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The chain has the epoch with another content.
    #[error(
        "epoch {epoch} is on the chain with the root {there}, and this pool's is {ours}; nothing is sent, and a person must look"
    )]
    Conflict {
        /// Which epoch.
        epoch: u64,
        /// What this pool built.
        ours: String,
        /// What is published.
        there: String,
    },
    /// The number was struck down, with our root or another: it is spent.
    #[error("epoch {0} was struck down on the chain; its number is spent")]
    StruckDown(u64),
    /// A challenge of what is not there.
    #[error("epoch {0} is not on the chain, so it cannot be challenged")]
    NotPublished(u64),
}

/// The name of the delivery that publishes an epoch.
pub fn publish_name(epoch: u64) -> String {
    format!("publish:{epoch}")
}

fn challenge_name(epoch: u64) -> String {
    format!("challenge:{epoch}")
}

impl Call {
    fn epoch(&self) -> u64 {
        match self {
            Self::PublishEpoch { epoch, .. } | Self::ChallengeEpoch { epoch, .. } => *epoch,
        }
    }

    /// The name of this call's delivery.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::PublishEpoch { epoch, .. } => publish_name(*epoch),
            Self::ChallengeEpoch { epoch, .. } => challenge_name(*epoch),
        }
    }

    /// Whether finalized state has what this call does.
    fn is_in(&self, there: Option<&Published>) -> Result<bool, DeliveryError> {
        match (self, there) {
            (Self::PublishEpoch { .. }, None) => Ok(false),
            (Self::ChallengeEpoch { epoch, .. }, None) => Err(DeliveryError::NotPublished(*epoch)),
            (Self::ChallengeEpoch { .. }, Some(there)) => Ok(there.is_disputed || there.is_void),
            (Self::PublishEpoch { epoch, .. }, Some(there)) if there.is_void => {
                Err(DeliveryError::StruckDown(*epoch))
            }
            (
                Self::PublishEpoch {
                    epoch,
                    root,
                    num_of_leaves,
                    total_rao,
                    ..
                },
                Some(there),
            ) => {
                let is_ours = *root == there.root
                    && *num_of_leaves == there.num_of_leaves
                    && *total_rao == there.total_rao;
                is_ours
                    .then_some(true)
                    .ok_or_else(|| DeliveryError::Conflict {
                        epoch: *epoch,
                        ours: format!("{root} ({num_of_leaves} leaves, {total_rao} rao)"),
                        there: format!(
                            "{} ({} leaves, {} rao)",
                            there.root, there.num_of_leaves, there.total_rao
                        ),
                    })
            }
        }
    }
}

/// Takes the next step with `call`. Call it again until it is done.
///
/// # Errors
/// [`DeliveryError`]; after [`ChainError::Unreachable`] and the database's it may
/// be called again.
pub async fn advance<C: Chain>(
    store: &Store,
    chain: &C,
    call: &Call,
) -> Result<Progress, DeliveryError> {
    let name = call.name();
    let delivery = store.delivery(&name, call).await?;
    if delivery.done_at_block.is_some() {
        return Ok(Progress::Done);
    }
    // Read after the delivery: a transaction that ran out by this state's block
    // is not in this state, and never will be in a later one.
    let Seen {
        finalized_block,
        epoch,
    } = chain.epoch(call.epoch()).await?;
    if call.is_in(epoch.as_ref())? {
        store.set_delivered(&name, finalized_block).await?;
        return Ok(Progress::Done);
    }
    let alive = delivery
        .signed
        .filter(|signed| finalized_block < signed.valid_until_block);
    let signed = if let Some(signed) = alive {
        signed
    } else {
        let signed = chain.sign(call).await?;
        if !store
            .keep_signed(&name, call, delivery.attempt, &signed)
            .await?
        {
            // Another process signed at the same moment: its bytes count.
            return Ok(Progress::Waiting);
        }
        signed
    };
    // An answer may be lost, or say that the transaction is old because it is
    // included: only finalized state decides, at the next step.
    if let Err(error) = chain.submit(&signed).await {
        tracing::warn!(%error, name, "submitting did not succeed; looking again");
    }
    Ok(Progress::Waiting)
}
