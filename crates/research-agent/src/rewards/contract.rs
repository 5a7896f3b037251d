//! What the claim contract says, read at one finalized block (`CHAIN.md` §1).

use parity_scale_codec::Decode;
use protocol::claims::MerkleHash;
use protocol::hotkey::Hotkey;
use protocol::ss58::Address;
use subtensor::{At, Chain, ChainError, ContractCall, Gas, Message, decode_return};

use super::refusal::Refusal;

/// What existing claim clients allow a call to use; the chain gives back what it
/// does not need.
pub(crate) const MOST_GAS: Gas = Gas {
    ref_time: 50_000_000_000,
    proof_size: 2_000_000,
};
/// The most that existing claim clients let the chain hold for new storage, in rao.
pub(crate) const MOST_DEPOSIT_RAO: u64 = 1_000_000_000;

/// Where the claims of an epoch that was struck down open: the block that never comes.
const NEVER: u32 = u32::MAX;
/// How long a block takes, in seconds.
const BLOCK_SECONDS: u64 = 12;

/// The claim contract at one block.
#[derive(Debug, Clone)]
pub(crate) struct Contract {
    pub(crate) address: Address,
    pub(crate) at: At,
}

/// A published epoch, in the order of the contract's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Decode)]
#[cfg_attr(test, derive(parity_scale_codec::Encode))]
pub(crate) struct PublishedEpoch {
    root: [u8; 32],
    pub(crate) num_of_leaves: u32,
    /// The sum of its leaves, in rao.
    pub(crate) total_rao: u64,
    /// What was paid by its proofs, in rao.
    pub(crate) spent_rao: u64,
    disputed: bool,
    pub(crate) claims_open_at: u32,
    bond_rao: u64,
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

impl PublishedEpoch {
    pub(crate) const fn root(&self) -> MerkleHash {
        MerkleHash::from_bytes(self.root)
    }

    /// Whether it can be claimed at `block`.
    pub(crate) fn gate(&self, block: u64) -> Gate {
        if self.claims_open_at == NEVER {
            Gate::Void
        } else if self.disputed {
            Gate::Disputed
        } else if block < u64::from(self.claims_open_at) {
            Gate::OpensAt(self.claims_open_at)
        } else {
            Gate::Open
        }
    }
}

impl Gate {
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

    /// An epoch, if it is published.
    pub(crate) async fn epoch(&self, epoch: u64) -> Result<Option<PublishedEpoch>, ChainError> {
        let message = Message::new("get_epoch_info").argument(&epoch);
        match self
            .view::<Result<PublishedEpoch, Refusal>>(&message)
            .await?
        {
            Ok(found) => Ok(Some(found)),
            // A contract that only knows `ReadFailed` says it so.
            Err(Refusal {
                code: 0 | Refusal::EPOCH_UNKNOWN,
                ..
            }) => Ok(None),
            Err(refusal) => Err(ChainError::Contract {
                message: message.name().to_owned(),
                problem: refusal.to_string(),
            }),
        }
    }

    /// What was paid to `hotkey` in all, in rao.
    pub(crate) async fn claimed_rao(&self, hotkey: Address) -> Result<u64, ChainError> {
        let message = Message::new("get_claimed_cumulative_rao").argument(hotkey.as_bytes());
        self.view(&message).await
    }

    /// Whether its owner has stopped claiming.
    pub(crate) async fn is_paused(&self) -> Result<bool, ChainError> {
        self.view(&Message::new("is_paused")).await
    }

    /// The call of `message`, with the usual bounds.
    pub(crate) fn call(&self, message: &Message, gas: Gas) -> ContractCall {
        ContractCall {
            contract: *self.address.as_bytes(),
            value_rao: 0,
            gas,
            storage_deposit_limit_rao: Some(MOST_DEPOSIT_RAO),
            input: message.input().to_vec(),
        }
    }

    async fn view<T: Decode>(&self, message: &Message) -> Result<T, ChainError> {
        // A view asks nothing of who looks; nobody's account is named.
        let nobody = Hotkey::from_bytes([0; 32]);
        // Nobody could pay a deposit, and the chain refuses a limit beyond that,
        // needed or not; without one it takes what there is.
        let call = ContractCall {
            storage_deposit_limit_rao: None,
            ..self.call(message, MOST_GAS)
        };
        let seen = self.at.dry_run(&nobody, &call, message).await?;
        decode_return(message, &seen.data)
    }
}

#[cfg(test)]
mod tests {
    use parity_scale_codec::{DecodeAll as _, Encode as _};

    use super::*;

    fn epoch(disputed: bool, claims_open_at: u32) -> PublishedEpoch {
        PublishedEpoch {
            root: [3; 32],
            num_of_leaves: 2,
            total_rao: 10,
            spent_rao: 1,
            disputed,
            claims_open_at,
            bond_rao: 0,
        }
    }

    #[test]
    fn an_epoch_is_read_in_the_contracts_order_of_fields() {
        let expected = format!(
            "{}02000000{}{}0164000000{}",
            "03".repeat(32),
            "0a00000000000000",
            "0100000000000000",
            "0000000000000000"
        );
        let bytes = hex::decode(expected).unwrap();
        let read = PublishedEpoch::decode_all(&mut &*bytes).unwrap();
        assert_eq!(read, epoch(true, 100));
        assert_eq!(read.encode(), bytes);
    }

    #[test]
    fn claims_open_at_their_block_and_never_while_disputed() {
        assert_eq!(epoch(false, 100).gate(99), Gate::OpensAt(100));
        assert_eq!(epoch(false, 100).gate(100), Gate::Open);
        assert_eq!(epoch(true, 100).gate(100), Gate::Disputed);
        assert_eq!(epoch(true, NEVER).gate(u64::MAX), Gate::Void);
        assert_eq!(
            Gate::OpensAt(100).told(50),
            "from block 100, in about 10 min"
        );
    }
}
