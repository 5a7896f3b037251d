//! One round, from the snapshot to the weights on the chain.

use std::time::Duration;

use protocol::hotkey::Keypair;
use subtensor::{At, Chain, ChainError, Inclusion, PinnedCall, VectorError, WeightVector};

use crate::normalise::normalise;
use crate::plan::{PlanError, Situation, Step, decide, validator};
use crate::resolve::{ResolveError, resolve};
use crate::snapshot::{SnapshotError, Source};

/// For how long finality is waited for: longer than an extrinsic's validity.
const PATIENCE: Duration = Duration::from_mins(20);

/// What the operator decided.
#[derive(Debug)]
pub struct Setter {
    /// The chain.
    pub chain: Chain,
    /// The subnet.
    pub netuid: u16,
    /// Whose weights.
    pub keypair: Keypair,
    /// Where the policy is.
    pub snapshot: Source,
    /// The oldest snapshot that is followed.
    pub oldest_snapshot: Duration,
    /// Unchanged weights are set again after so many blocks.
    pub refresh_blocks: u64,
    /// The version key, instead of the subnet's own.
    pub version_key: Option<u64>,
}

/// Whether anything is signed and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Shows what would be set.
    DryRun,
    /// Sets it.
    Set,
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Report {
    /// The policy leaves weights to each validator.
    Local,
    /// The rate limit has not passed.
    TooEarly {
        /// What will be set.
        vector: WeightVector,
        /// The block now.
        block: u64,
        /// Not before this one.
        until: u64,
    },
    /// The chain has these weights already.
    Unchanged(WeightVector),
    /// A dry run: these would be set.
    WouldSet {
        /// The weights.
        vector: WeightVector,
        /// By which call.
        call: &'static str,
        /// The call's bytes.
        call_data: Vec<u8>,
    },
    /// They are on the chain, and were read back from it.
    Set {
        /// The weights.
        vector: WeightVector,
        /// Where.
        inclusion: Inclusion,
    },
    /// They are sealed on the chain, and were read back from it.
    Committed {
        /// The weights.
        vector: WeightVector,
        /// Where.
        inclusion: Inclusion,
        /// The drand round that opens them.
        reveal_round: u64,
    },
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// No policy to follow.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A target is not on the subnet.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No weights come of it.
    #[error("the policy gives no weights: {0}")]
    Vector(#[from] VectorError),
    /// The chain would refuse them.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The chain could not be read, or did not take them.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// What the chain has is not what was sent.
    #[error("block {block} holds the extrinsic, but the chain has {found} and not {sent}")]
    NotConfirmed {
        /// The block.
        block: u64,
        /// What was sent.
        sent: String,
        /// What is there.
        found: String,
    },
}

impl RoundError {
    /// Whether the policy is at fault, and not this host or the chain.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Snapshot(error) => error.is_refusal(),
            Self::Resolve(_) | Self::Vector(_) => true,
            _ => false,
        }
    }
}

impl Setter {
    /// One round. `committed` are the weights that this process sealed last, which the
    /// chain does not show yet.
    ///
    /// # Errors
    /// [`RoundError`]; nothing was sent unless it is of [`ChainError`]'s later kinds
    /// or [`RoundError::NotConfirmed`].
    pub async fn run(
        &self,
        mode: Mode,
        committed: Option<&WeightVector>,
    ) -> Result<Report, RoundError> {
        let policy = self.snapshot.policy(self.oldest_snapshot).await?;
        if policy == crate::policy::Policy::Local {
            return Ok(Report::Local);
        }
        let at = self.chain.at_finalized().await?;
        let rules = at.subnet_rules(self.netuid).await?;
        let metagraph = at.metagraph(self.netuid).await?;
        let Some(shares) = resolve(&policy, &metagraph)? else {
            return Ok(Report::Local);
        };
        let normalised = normalise(&shares)?;
        for uid in &normalised.rounded_away {
            tracing::warn!(
                uid,
                "its share is too small beside the largest and rounds to nothing"
            );
        }
        let vector = normalised.vector;
        let hotkey = self.keypair.hotkey();
        let me = validator(&metagraph, &hotkey)?;
        let present = match committed {
            Some(committed) if rules.commit_reveal => committed.pairs().collect(),
            _ => at.weights_of(self.netuid, me.uid).await?,
        };
        let situation = Situation {
            metagraph: &metagraph,
            rules: &rules,
            present: &present,
            refresh_blocks: self.refresh_blocks,
            version_key: self.version_key,
        };
        let step = decide(me, &vector, &situation)?;
        match (step, mode) {
            (Step::WaitUntil(until), Mode::Set) => {
                return Ok(Report::TooEarly {
                    vector,
                    block: at.block_number(),
                    until,
                });
            }
            (Step::Unchanged, Mode::Set) => return Ok(Report::Unchanged(vector)),
            // A dry run shows the call whether or not it is the time for it.
            (Step::Set, _) | (_, Mode::DryRun) => {}
        }
        let version_key = self.version_key.unwrap_or(rules.version_key);
        let call = at
            .weights_call(&rules, &hotkey, &vector, version_key)
            .await?;
        match mode {
            Mode::DryRun => Ok(Report::WouldSet {
                vector,
                call: call.name(),
                call_data: call.encode(),
            }),
            Mode::Set => self.send(&at, me.uid, vector, call).await,
        }
    }

    async fn send(
        &self,
        at: &At,
        uid: u16,
        vector: WeightVector,
        call: PinnedCall,
    ) -> Result<Report, RoundError> {
        let signed = at.sign(&call, &self.keypair).await?;
        tracing::info!(
            call = signed.call,
            extrinsic = hex::encode(signed.hash),
            last_block = signed.last_block,
            "sending"
        );
        self.chain.send(&signed).await?;
        let inclusion = self.chain.wait_for(&signed, PATIENCE).await?;
        let there = self.chain.at(inclusion.block).await?;
        if let PinnedCall::CommitTimelockedWeights {
            commit,
            reveal_round,
            ..
        } = call
        {
            self.confirm_commit(&there, &commit, reveal_round).await?;
            return Ok(Report::Committed {
                vector,
                inclusion,
                reveal_round,
            });
        }
        let found = there.weights_of(self.netuid, uid).await?;
        if !vector.pairs().eq(found.iter().copied()) {
            return Err(RoundError::NotConfirmed {
                block: inclusion.block,
                sent: show(vector.pairs()),
                found: show(found),
            });
        }
        Ok(Report::Set { vector, inclusion })
    }

    /// Looks for sealed weights in the epochs around a block: which of them a commit
    /// belongs to depends on its place in the block.
    async fn confirm_commit(
        &self,
        there: &At,
        commit: &[u8],
        reveal_round: u64,
    ) -> Result<(), RoundError> {
        let hotkey = self.keypair.hotkey();
        let epoch = there.epoch_schedule(self.netuid).await?.epoch_index;
        for epoch in [epoch, epoch.saturating_add(1), epoch.saturating_sub(1)] {
            let commits = there.commits_of(self.netuid, epoch, &hotkey).await?;
            let same = |one: &subtensor::CommittedWeights| {
                one.commit == commit && one.reveal_round == reveal_round
            };
            if commits.iter().any(same) {
                return Ok(());
            }
        }
        Err(RoundError::NotConfirmed {
            block: there.block_number(),
            sent: "these sealed weights".to_owned(),
            found: "others, or none".to_owned(),
        })
    }
}

/// Pairs for people: `0=65535 37=7282`.
pub fn show(pairs: impl IntoIterator<Item = (u16, u16)>) -> String {
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(uid, value)| format!("{uid}={value}"))
        .collect();
    if pairs.is_empty() {
        return "no weights".to_owned();
    }
    pairs.join(" ")
}
