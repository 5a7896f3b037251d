//! The calls that are signed here, encoded twice: by the chain's metadata, and by
//! this program's own knowledge. Both have to agree, or nothing is signed.
//!
//! Metadata comes from a node. A hostile one could name another call
//! `set_weights`, and have a hotkey sign it. Call indices and argument types have
//! never changed for a call of the same name, because offline signers depend on
//! them; where one does, this program has to learn of it before it signs.

use parity_scale_codec::{Compact, Encode};
use subxt::client::OfflineClientAtBlockT;
use subxt::ext::scale_value::{Composite, Value};
use subxt::transactions::{DynamicPayload, TransactionsClient};

use crate::error::one_line;
use crate::{ChainConfig, ChainError, ContractCall, WeightVector};

/// A call that this program knows byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinnedCall {
    /// Sets weights for all to see.
    SetWeights {
        /// The subnet.
        netuid: u16,
        /// The weights.
        vector: WeightVector,
        /// The version key of the subnet.
        version_key: u64,
    },
    /// Sets weights that are revealed later.
    CommitTimelockedWeights {
        /// The subnet.
        netuid: u16,
        /// The sealed weights.
        commit: Vec<u8>,
        /// The drand round that opens them.
        reveal_round: u64,
        /// The version of the scheme.
        version: u16,
    },
    /// Calls a contract.
    Contract(ContractCall),
}

impl PinnedCall {
    /// The call's name, for people.
    pub fn name(&self) -> &'static str {
        let (_, call, _, _) = self.place();
        call
    }

    /// Pallet and call: their names, and their indices.
    fn place(&self) -> (&'static str, &'static str, u8, u8) {
        match self {
            Self::SetWeights { .. } => (crate::at::PALLET, "set_weights", 7, 0),
            Self::CommitTimelockedWeights { .. } => {
                (crate::at::PALLET, "commit_timelocked_weights", 7, 113)
            }
            Self::Contract(_) => ("Contracts", "call", 29, 6),
        }
    }

    /// The call as this program knows it.
    pub fn encode(&self) -> Vec<u8> {
        let (_, _, pallet, call) = self.place();
        let mut bytes = vec![pallet, call];
        match self {
            Self::SetWeights {
                netuid,
                vector,
                version_key,
            } => (netuid, vector.uids(), vector.values(), version_key).encode_to(&mut bytes),
            Self::CommitTimelockedWeights {
                netuid,
                commit,
                reveal_round,
                version,
            } => (netuid, commit, reveal_round, version).encode_to(&mut bytes),
            Self::Contract(call) => {
                // A `MultiAddress`, whose first variant is an account.
                bytes.push(0);
                bytes.extend_from_slice(&call.contract);
                Compact(call.value_rao).encode_to(&mut bytes);
                Compact(call.gas.ref_time).encode_to(&mut bytes);
                Compact(call.gas.proof_size).encode_to(&mut bytes);
                let limit = call.storage_deposit_limit_rao.map(Compact);
                (limit, &call.input).encode_to(&mut bytes);
            }
        }
        bytes
    }

    fn arguments(&self) -> Composite<()> {
        let number = |n: u64| Value::u128(n.into());
        let list =
            |list: &[u16]| Value::unnamed_composite(list.iter().map(|n| number((*n).into())));
        match self {
            Self::SetWeights {
                netuid,
                vector,
                version_key,
            } => Composite::named([
                ("netuid", number((*netuid).into())),
                ("dests", list(vector.uids())),
                ("weights", list(vector.values())),
                ("version_key", number(*version_key)),
            ]),
            Self::CommitTimelockedWeights {
                netuid,
                commit,
                reveal_round,
                version,
            } => Composite::named([
                ("netuid", number((*netuid).into())),
                ("commit", Value::from_bytes(commit)),
                ("reveal_round", number(*reveal_round)),
                ("commit_reveal_version", number((*version).into())),
            ]),
            Self::Contract(call) => call.arguments(),
        }
    }

    /// The call for the transaction at hand, once the metadata's encoding of it is
    /// this program's.
    pub(crate) fn payload<C: OfflineClientAtBlockT<ChainConfig>>(
        &self,
        transactions: &TransactionsClient<ChainConfig, C>,
    ) -> Result<DynamicPayload<Composite<()>>, ChainError> {
        let (pallet, call, _, _) = self.place();
        let payload = subxt::dynamic::transaction(pallet, call, self.arguments());
        let found = transactions
            .call_data(&payload)
            .map_err(|error| ChainError::Encode {
                call,
                problem: one_line(&error.to_string()),
            })?;
        let expected = self.encode();
        if found == expected {
            return Ok(payload);
        }
        let first = |bytes: &[u8]| format!("0x{}", hex::encode(&bytes[..bytes.len().min(24)]));
        Err(ChainError::CallChanged {
            call,
            expected: first(&expected),
            found: first(&found),
        })
    }
}
