//! Events that a contract emitted on a block, and the one that tells where a
//! published epoch's file is.

use parity_scale_codec::{Decode, DecodeAll as _};
use subxt::config::substrate::H256;

use crate::{At, ChainError};

const WHAT: &str = "the events of a block";

/// What `Contracts.ContractEmitted` says.
#[derive(Decode)]
struct Emitted {
    contract: [u8; 32],
    data: Vec<u8>,
}

/// The event of a published epoch, as the contract encodes it.
#[derive(Debug, Clone, PartialEq, Eq, Decode)]
pub struct EpochPublished {
    /// The epoch's number.
    pub epoch: u64,
    /// Its Merkle root.
    pub root: [u8; 32],
    /// The sum of its leaves, in rao.
    pub total_rao: u64,
    /// Where its file is.
    pub uri: String,
}

impl EpochPublished {
    /// What tells this event from others: its first topic, the hash of its signature.
    const SIGNATURE: &str = "EpochPublished(u64,Hash,u64,String)";
}

impl At {
    /// The epochs that the claim contract at `contract` published on this block. A
    /// node that keeps no old states cannot tell for a block older than some 256.
    pub async fn epochs_published_by(
        &self,
        contract: [u8; 32],
    ) -> Result<Vec<EpochPublished>, ChainError> {
        let signature = H256(sp_crypto_hashing::blake2_256(
            EpochPublished::SIGNATURE.as_bytes(),
        ));
        let events = self
            .client()
            .events()
            .fetch()
            .await
            .map_err(|error| ChainError::read(WHAT, &error))?;
        let mut published = Vec::new();
        for event in events.iter() {
            let event = event.map_err(|error| ChainError::read(WHAT, &error))?;
            let is_emitted = (event.pallet_name(), event.event_name())
                == ("Contracts", "ContractEmitted")
                && event.topics().first() == Some(&signature);
            if !is_emitted {
                continue;
            }
            let emitted = Emitted::decode_all(&mut event.field_bytes())
                .map_err(|error| ChainError::read(WHAT, &error))?;
            if emitted.contract == contract {
                let one = EpochPublished::decode_all(&mut &*emitted.data)
                    .map_err(|error| ChainError::read(WHAT, &error))?;
                published.push(one);
            }
        }
        Ok(published)
    }
}
