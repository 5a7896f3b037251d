//! What the claim contract says, read at one finalized block (`CHAIN.md` §1).

use protocol::ss58::Address;
use subtensor::claims::{Claims, EpochInfo};
use subtensor::{At, Chain, ChainError};

/// How long a block takes, in seconds.
const BLOCK_SECONDS: u64 = 12;

/// The claim contract at one block.
#[derive(Debug, Clone)]
pub(crate) struct Contract {
    pub(crate) address: Address,
    pub(crate) at: At,
}

/// Whether an epoch can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Now.
    Open,
    /// From this block on.
    OpensAt(u32),
    /// Not before somebody has decided.
    Disputed,
    /// Never.
    Void,
}

impl Gate {
    /// Whether `epoch` can be claimed at `block`.
    pub(crate) fn of(epoch: &EpochInfo, block: u64) -> Self {
        if epoch.is_void() {
            Self::Void
        } else if epoch.disputed {
            Self::Disputed
        } else if block < u64::from(epoch.claims_open_at) {
            Self::OpensAt(epoch.claims_open_at)
        } else {
            Self::Open
        }
    }

    /// For people who see `block` as the newest one.
    pub(crate) fn told(self, block: u64) -> String {
        match self {
            Self::Open => "open".to_owned(),
            Self::OpensAt(opens) => {
                let minutes = u64::from(opens).saturating_sub(block) * BLOCK_SECONDS / 60;
                format!("from block {opens}, in about {minutes} min")
            }
            Self::Disputed => "disputed".to_owned(),
            Self::Void => "struck down".to_owned(),
        }
    }

    /// For scripts.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::OpensAt(_) => "not_open_yet",
            Self::Disputed => "disputed",
            Self::Void => "void",
        }
    }
}

impl Contract {
    /// The contract as the newest finalized block has it.
    pub(crate) async fn read(chain: &Chain, address: Address) -> Result<Self, ChainError> {
        let at = chain.at_finalized().await?;
        Ok(Self { address, at })
    }

    /// The block that is read.
    pub(crate) fn block(&self) -> u64 {
        self.at.block_number()
    }

    /// What it says there.
    pub(crate) fn claims(&self) -> Claims<'_> {
        self.at.claims(*self.address.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_open_at_their_block_and_never_while_disputed() {
        let gate = |disputed, claims_open_at, block| {
            let epoch = EpochInfo {
                root: [3; 32],
                num_of_leaves: 2,
                total_rao: 10,
                spent_rao: 1,
                disputed,
                claims_open_at,
                bond_rao: 0,
            };
            Gate::of(&epoch, block)
        };
        assert_eq!(gate(false, 100, 99), Gate::OpensAt(100));
        assert_eq!(gate(false, 100, 100), Gate::Open);
        assert_eq!(gate(true, 100, 100), Gate::Disputed);
        assert_eq!(gate(true, u32::MAX, u64::MAX), Gate::Void);
        assert_eq!(
            Gate::OpensAt(100).told(50),
            "from block 100, in about 10 min"
        );
    }
}
