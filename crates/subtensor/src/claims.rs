//! The claim contract: its messages, and what it answers. Types and names are those
//! of its interface; `crates/claim-contract` says what they promise.

use parity_scale_codec::{Decode, Encode};
use protocol::claims::ClaimPackage;
use protocol::hotkey::Hotkey;

use crate::{At, ChainError, ContractCall, Gas, Message, Refusal, decode_return};

/// The gas limit that existing clients pass with a call; the chain charges what is
/// used.
pub const MOST_GAS: Gas = Gas {
    ref_time: 50_000_000_000,
    proof_size: 2_000_000,
};
/// The most that they let be deposited for storage, in rao.
const STORAGE_DEPOSIT_RAO: u64 = 1_000_000_000;

/// The block of `claims_open_at` that never comes: the epoch was struck down.
const NEVER: u32 = u32::MAX;

/// A published epoch, as the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct EpochInfo {
    /// The Merkle root of its leaves.
    pub root: [u8; 32],
    /// How many leaves it has.
    pub num_of_leaves: u32,
    /// The sum of its leaves, in rao.
    pub total_rao: u64,
    /// What was paid by its proofs, in rao.
    pub spent_rao: u64,
    /// It was challenged, and the challenge was not dismissed.
    pub disputed: bool,
    /// The first block in which it can be claimed.
    pub claims_open_at: u32,
    /// Always 0.
    pub bond_rao: u64,
}

impl EpochInfo {
    /// Whether it was struck down, and can never be claimed.
    pub fn is_void(&self) -> bool {
        self.claims_open_at == NEVER
    }
}

/// The message that publishes an epoch.
pub fn publish_epoch(
    epoch: u64,
    root: [u8; 32],
    num_of_leaves: u32,
    total_rao: u64,
    uri: &str,
) -> Message {
    Message::new("publish_epoch").argument(&(epoch, root, num_of_leaves, total_rao, uri))
}

/// The message that challenges an epoch.
pub fn challenge_epoch(epoch: u64, evidence_hash: [u8; 32]) -> Message {
    Message::new("challenge_epoch").argument(&(epoch, evidence_hash))
}

/// The message that claims what `package` proves. Without `transfer` everything is
/// checked and nothing is paid.
pub fn claim_single(package: &ClaimPackage, transfer: bool) -> Message {
    let proof: Vec<[u8; 32]> = package.proof.iter().map(|hash| *hash.as_bytes()).collect();
    let leaf = (package.epoch, package.index, *package.hotkey.as_bytes());
    let paid = (*package.recipient_coldkey.as_bytes(), package.amount_units);
    Message::new("claim_single").argument(&(leaf, paid, proof, transfer))
}

/// The call that brings `message` to the claim contract at `contract`, with the
/// limits that clients of this network pass.
pub fn call(contract: [u8; 32], message: &Message) -> ContractCall {
    ContractCall {
        contract,
        value_rao: 0,
        gas: MOST_GAS,
        storage_deposit_limit_rao: Some(STORAGE_DEPOSIT_RAO),
        input: message.input().to_vec(),
    }
}

/// The claim contract in the state of one block.
#[derive(Debug)]
pub struct Claims<'a> {
    at: &'a At,
    contract: [u8; 32],
}

impl At {
    /// The claim contract at this address.
    pub fn claims(&self, contract: [u8; 32]) -> Claims<'_> {
        Claims { at: self, contract }
    }
}

impl Claims<'_> {
    /// A published epoch.
    pub async fn epoch(&self, epoch: u64) -> Result<Option<EpochInfo>, ChainError> {
        let message = Message::new("get_epoch_info").argument(&epoch);
        match self.ask::<Result<EpochInfo, Refusal>>(&message).await? {
            Ok(info) => Ok(Some(info)),
            // Contracts before ours know no other error of a view than `ReadFailed`.
            Err(refusal) if matches!(refusal.name(), Some("EpochUnknown" | "ReadFailed")) => {
                Ok(None)
            }
            Err(refusal) => Err(refused(&message, refusal)),
        }
    }

    /// The newest epoch that was not struck down.
    pub async fn latest_epoch(&self) -> Result<Option<u64>, ChainError> {
        self.ask(&Message::new("get_latest_published_epoch")).await
    }

    /// For how many blocks an epoch can be challenged.
    pub async fn challenge_blocks(&self) -> Result<u32, ChainError> {
        self.ask(&Message::new("get_challenge_blocks")).await
    }

    /// What a hotkey was paid in all, in rao.
    pub async fn claimed_rao(&self, hotkey: &Hotkey) -> Result<u64, ChainError> {
        let message = Message::new("get_claimed_cumulative_rao").argument(hotkey.as_bytes());
        self.ask(&message).await
    }

    /// Whether its owner has stopped publishing and claiming.
    pub async fn is_paused(&self) -> Result<bool, ChainError> {
        self.ask(&Message::new("is_paused")).await
    }

    /// What the contract owes, in rao.
    pub async fn outstanding_rao(&self) -> Result<u64, ChainError> {
        self.ask(&Message::new("get_outstanding_rao")).await
    }

    /// Tries a message that changes something, as if `origin` sent it with
    /// [`call`]'s limits, and gives the gas that it needs. Nothing is changed.
    ///
    /// # Errors
    /// [`ChainError::ContractRefused`] with the contract's reason if it would refuse it.
    pub async fn try_out(&self, origin: &Hotkey, message: &Message) -> Result<Gas, ChainError> {
        let run = self
            .at
            .dry_run(origin, &call(self.contract, message), message)
            .await?;
        match decode_return::<Result<(), Refusal>>(message, &run.data)? {
            Ok(()) if !run.reverted => Ok(run.gas_required),
            Ok(()) => Err(ChainError::Contract {
                message: message.name().to_owned(),
                problem: "it was undone without a reason".to_owned(),
            }),
            Err(refusal) => Err(refused(message, refusal)),
        }
    }

    /// Asks a view. Any origin would do, so the contract asks itself. It may own
    /// nothing, and the chain refuses a limit for deposits that the origin could not
    /// pay, needed or not; without one it takes what there is.
    async fn ask<T: Decode>(&self, message: &Message) -> Result<T, ChainError> {
        let origin = Hotkey::from_bytes(self.contract);
        let call = ContractCall {
            storage_deposit_limit_rao: None,
            ..call(self.contract, message)
        };
        let run = self.at.dry_run(&origin, &call, message).await?;
        decode_return(message, &run.data)
    }
}

fn refused(message: &Message, refusal: Refusal) -> ChainError {
    ChainError::ContractRefused {
        message: message.name().to_owned(),
        refusal,
    }
}
