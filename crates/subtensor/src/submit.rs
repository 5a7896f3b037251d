//! Signing a call, and sending it.

use protocol::hotkey::Keypair;
use serde_json::value::RawValue;
use subxt::client::OfflineClientAtBlockT;
use subxt::config::DefaultExtrinsicParamsBuilder;
use subxt::config::substrate::H256;
use subxt::transactions::TransactionsClient;
use subxt::utils::AccountId32;

use crate::error::one_line;
use crate::failover::Sent;
use crate::node::NodeError;
use crate::signer::HotkeySigner;
use crate::{At, Chain, ChainConfig, ChainError, PinnedCall};

/// For how many blocks an extrinsic is valid: a power of two; at 12 s a block, about
/// 13 minutes.
pub const ERA_BLOCKS: u64 = 64;

/// A signed extrinsic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What it calls.
    pub call: &'static str,
    /// Its bytes, as they are sent and as a block holds them.
    pub bytes: Vec<u8>,
    /// Its hash, by which explorers find it.
    pub hash: [u8; 32],
    /// The finalized block that its validity begins with.
    pub born_at: u64,
    /// The last block that can hold it.
    pub last_block: u64,
}

/// What an extrinsic says beside its call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) nonce: u64,
    pub(crate) era_blocks: u64,
    pub(crate) born_at: u64,
    pub(crate) birth_hash: [u8; 32],
}

/// Signs `call`: version 4 of extrinsics, mortal, without a tip.
pub(crate) fn sign<C: OfflineClientAtBlockT<ChainConfig>>(
    transactions: &TransactionsClient<ChainConfig, C>,
    call: &PinnedCall,
    terms: Terms,
    keypair: &Keypair,
) -> Result<Signed, ChainError> {
    let encode = |error: subxt::error::ExtrinsicError| ChainError::Encode {
        call: call.name(),
        problem: one_line(&error.to_string()),
    };
    let payload = call.payload(transactions)?;
    let params = DefaultExtrinsicParamsBuilder::<ChainConfig>::new()
        .nonce(terms.nonce)
        .mortal_from_unchecked(terms.era_blocks, terms.born_at, H256(terms.birth_hash))
        .build();
    let signed = transactions
        .create_v4_signable_offline(&payload, params)
        .and_then(|mut signable| signable.sign(&HotkeySigner(keypair)))
        .map_err(encode)?;
    Ok(Signed {
        call: call.name(),
        hash: signed.hash().0,
        bytes: signed.into_encoded(),
        born_at: terms.born_at,
        last_block: terms.born_at.saturating_add(terms.era_blocks - 1),
    })
}

impl At {
    /// Signs `call` with the account's next nonce at this block, valid for
    /// [`ERA_BLOCKS`] from it on. Nothing is sent.
    ///
    /// # Errors
    /// [`ChainError::CallChanged`] and [`ChainError::Encode`]; what reading the nonce
    /// gives.
    pub async fn sign(&self, call: &PinnedCall, keypair: &Keypair) -> Result<Signed, ChainError> {
        let transactions = self.client().transactions();
        let account = AccountId32(*keypair.hotkey().as_bytes());
        let nonce = transactions
            .account_nonce(&account)
            .await
            .map_err(|error| ChainError::read("the account's nonce", &error))?;
        let terms = Terms {
            nonce,
            era_blocks: ERA_BLOCKS,
            born_at: self.block_number(),
            birth_hash: self.block_hash(),
        };
        sign(&transactions, call, terms, keypair)
    }
}

impl Chain {
    /// Sends an extrinsic; [`wait_for`](Chain::wait_for) tells what became of it.
    ///
    /// # Errors
    /// [`ChainError::Refused`] and [`ChainError::Nodes`]: then no node has it.
    pub async fn send(&self, signed: &Signed) -> Result<(), ChainError> {
        self.send_bytes(signed.call, &signed.bytes).await
    }

    /// Sends the [`bytes`](Signed::bytes) of an extrinsic that was signed before,
    /// perhaps by a process that has died since.
    ///
    /// # Errors
    /// Those of [`send`](Chain::send).
    pub async fn send_bytes(&self, call: &'static str, bytes: &[u8]) -> Result<(), ChainError> {
        let params = format!(r#"["0x{}"]"#, hex::encode(bytes));
        let params = RawValue::from_string(params).map_err(|error| ChainError::Encode {
            call,
            problem: error.to_string(),
        })?;
        match self.nodes.send(&params).await? {
            Sent::Taken => Ok(()),
            Sent::Refused(error) => Err(ChainError::Refused {
                call,
                reason: explain(&error),
            }),
        }
    }
}

/// The meaning of the numbers with which this chain's pool refuses.
fn explain(error: &NodeError) -> String {
    let text = error.to_string();
    let number = text
        .split_once("Custom error: ")
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit))
        .and_then(|digits| digits.collect::<String>().parse::<u8>().ok());
    let meaning = match number {
        Some(0) => "the account's coldkey is about to be swapped",
        Some(1) => "the stake is too low",
        Some(2) => "the balance is too low",
        Some(3) => "there is no such subnet",
        Some(4) => "the hotkey has no account",
        Some(6) => "the rate limit has not passed yet",
        Some(10) => "the hotkey is not registered on the subnet",
        _ => return text,
    };
    format!("{text}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_words_and_keeps_the_nodes_own() {
        let refusal = |message: &str| {
            explain(&NodeError::Answered {
                code: 1010,
                message: message.to_owned(),
            })
        };
        assert_eq!(
            refusal("Invalid Transaction: \"Custom error: 6\""),
            "Invalid Transaction: \"Custom error: 6\" (code 1010): the rate limit has not passed yet"
        );
        for unknown in [
            "Custom error: 999",
            "Custom error: ",
            "Custom error: 77",
            "",
        ] {
            assert_eq!(refusal(unknown), format!("{unknown} (code 1010)"));
        }
    }
}
