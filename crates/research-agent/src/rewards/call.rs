//! The call that claims, in every form that a wallet may want: message and
//! arguments, the contract's input, and the whole call as it is signed.

use protocol::claims::ClaimPackage;
use protocol::ss58::Address;
use serde::Serialize;
use subtensor::{ContractCall, Gas, Message, PinnedCall};

use super::as_text;

/// A call, for whoever signs it elsewhere.
#[derive(Debug, Serialize)]
pub(crate) struct ShownCall {
    pallet: &'static str,
    call: &'static str,
    contract: Address,
    #[serde(serialize_with = "as_text")]
    value_rao: u64,
    gas_limit: ShownGas,
    #[serde(serialize_with = "super::as_text_if_known")]
    storage_deposit_limit_rao: Option<u64>,
    message: String,
    arguments: Arguments,
    /// What the contract gets: the selector, then the arguments in SCALE.
    input: String,
    /// What is signed: pallet, call, and its arguments in SCALE.
    call_data: String,
}

#[derive(Debug, Serialize)]
struct ShownGas {
    #[serde(serialize_with = "as_text")]
    ref_time: u64,
    #[serde(serialize_with = "as_text")]
    proof_size: u64,
}

#[derive(Debug, Serialize)]
struct Arguments {
    data: Data,
    transfer: bool,
}

/// `ClaimData`, by the names of the contract's metadata.
#[derive(Debug, Serialize)]
struct Data {
    epoch: u64,
    index: u32,
    hotkey: Address,
    recipient_coldkey: Address,
    #[serde(serialize_with = "as_text")]
    amount: u64,
    proof: Vec<String>,
}

impl ShownCall {
    /// Shows the call of `message`, which pays `package`.
    pub(crate) fn of(call: &ContractCall, message: &Message, package: &ClaimPackage) -> Self {
        let Gas {
            ref_time,
            proof_size,
        } = call.gas;
        Self {
            pallet: "Contracts",
            call: "call",
            contract: Address::from_bytes(call.contract),
            value_rao: call.value_rao,
            gas_limit: ShownGas {
                ref_time,
                proof_size,
            },
            storage_deposit_limit_rao: call.storage_deposit_limit_rao,
            message: message.name().to_owned(),
            arguments: Arguments {
                data: Data {
                    epoch: package.epoch,
                    index: package.index,
                    hotkey: package.hotkey,
                    recipient_coldkey: package.recipient_coldkey,
                    amount: package.amount_units,
                    proof: package.proof.iter().map(ToString::to_string).collect(),
                },
                transfer: true,
            },
            input: hexed(message.input()),
            call_data: hexed(&PinnedCall::Contract(call.clone()).encode()),
        }
    }

    /// The whole call in hex.
    pub(crate) fn call_data(&self) -> &str {
        &self.call_data
    }

    /// The contract's input in hex.
    pub(crate) fn input(&self) -> &str {
        &self.input
    }
}

pub(crate) fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use protocol::claims::MerkleHash;
    use subtensor::claims::claim_single;

    use super::*;

    #[test]
    fn the_input_is_the_contracts_own_encoding_and_the_call_the_pallets() {
        let package = ClaimPackage {
            epoch: 7,
            index: 3,
            hotkey: Address::from_bytes([1; 32]),
            recipient_coldkey: Address::from_bytes([2; 32]),
            amount_units: 9,
            proof: vec![MerkleHash::from_bytes([4; 32])],
            root: MerkleHash::from_bytes([5; 32]),
        };
        let message = claim_single(&package, true);
        let input = format!(
            "0xc8284e970700000000000000{}{}{}090000000000000004{}01",
            "03000000",
            "01".repeat(32),
            "02".repeat(32),
            "04".repeat(32)
        );
        let call = ContractCall {
            contract: [9; 32],
            value_rao: 0,
            gas: Gas {
                ref_time: 1,
                proof_size: 2,
            },
            storage_deposit_limit_rao: Some(3),
            input: message.input().to_vec(),
        };
        let shown = ShownCall::of(&call, &message, &package);
        assert_eq!(shown.input(), input);
        let length = message.input().len();
        // Contracts is pallet 29, its `call` number 6; SCALE writes 122 bytes as 122 · 4 + 1.
        assert_eq!(length, 122);
        let head = format!("0x1d0600{}000408010ce901", "09".repeat(32));
        assert_eq!(shown.call_data(), format!("{head}{}", &input[2..]));
        assert!(claim_single(&package, false).input().ends_with(&[0]));
    }
}
