//! Messages to an ink! contract, and what it answers: the encoding of its ABI, dry
//! runs through the runtime's `ContractsApi`, and calls to sign.

use parity_scale_codec::{Decode, DecodeAll as _, Encode};
use protocol::hotkey::Hotkey;
use subxt::ext::scale_decode::DecodeAsType;
use subxt::ext::scale_value::{Composite, Value};

use crate::error::one_line;
use crate::{At, ChainError};

/// A message of a contract with its arguments: the selector, then each argument in
/// SCALE.
///
/// ```
/// let message = subtensor::Message::new("publish_epoch").argument(&7u64);
/// assert_eq!(message.input()[..4], [0x2c, 0x13, 0x90, 0x04]);
/// assert_eq!(message.input()[4..], 7u64.to_le_bytes());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    name: String,
    input: Vec<u8>,
}

impl Message {
    /// A message by its name in the ABI, whose selector follows from it: the first
    /// four bytes of its blake2b-256 hash.
    pub fn new(name: &str) -> Self {
        let hash = sp_crypto_hashing::blake2_256(name.as_bytes());
        Self {
            name: name.to_owned(),
            input: hash[..4].to_vec(),
        }
    }

    /// Adds the next argument.
    #[must_use]
    pub fn argument(mut self, argument: &impl Encode) -> Self {
        argument.encode_to(&mut self.input);
        self
    }

    /// The message's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes that the contract gets.
    pub fn input(&self) -> &[u8] {
        &self.input
    }
}

/// Reads what a message returned: ink! wraps every return value in a result that
/// tells whether the message was understood.
///
/// # Errors
/// [`ChainError::Contract`] for bytes that are no `T`, and for a contract that did not
/// know the message.
pub fn decode_return<T: Decode>(message: &Message, data: &[u8]) -> Result<T, ChainError> {
    /// `LangError`: a `u8` variant, 1 for a message that could not be read.
    #[derive(Decode)]
    struct LangError(u8);
    let problem = match Result::<T, LangError>::decode_all(&mut &*data) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(LangError(1))) => "the contract does not know this message".to_owned(),
        Ok(Err(LangError(number))) => format!("the contract failed with LangError {number}"),
        Err(error) => format!("its answer cannot be read: {error}"),
    };
    Err(ChainError::Contract {
        message: message.name.clone(),
        problem,
    })
}

/// The two dimensions of gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gas {
    /// Picoseconds of computing.
    pub ref_time: u64,
    /// Bytes of proof.
    pub proof_size: u64,
}

/// A call of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractCall {
    /// The contract's account.
    pub contract: [u8; 32],
    /// What is paid to it, in rao.
    pub value_rao: u64,
    /// The most gas that may be used.
    pub gas: Gas,
    /// The most that may be deposited for storage, in rao; `None` leaves it to the
    /// chain.
    pub storage_deposit_limit_rao: Option<u64>,
    /// [`Message::input`].
    pub input: Vec<u8>,
}

impl ContractCall {
    pub(crate) fn arguments(&self) -> Composite<()> {
        let number = |n: u64| Value::u128(n.into());
        let limit = match self.storage_deposit_limit_rao {
            None => Value::unnamed_variant("None", []),
            Some(rao) => Value::unnamed_variant("Some", [number(rao)]),
        };
        let gas = Value::named_composite([
            ("ref_time", number(self.gas.ref_time)),
            ("proof_size", number(self.gas.proof_size)),
        ]);
        Composite::named([
            (
                "dest",
                Value::unnamed_variant("Id", [Value::from_bytes(self.contract)]),
            ),
            ("value", number(self.value_rao)),
            ("gas_limit", gas),
            ("storage_deposit_limit", limit),
            ("data", Value::from_bytes(&self.input)),
        ])
    }
}

/// What a call would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// The gas that it used.
    pub gas_consumed: Gas,
    /// The gas limit that it needs.
    pub gas_required: Gas,
    /// Whether the contract undid everything: its own error.
    pub reverted: bool,
    /// What it returned; [`decode_return`] reads it.
    pub data: Vec<u8>,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Weight {
    ref_time: u64,
    proof_size: u64,
}

/// The fields of the runtime's `ContractResult` that count here.
#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct ContractResult {
    gas_consumed: Weight,
    gas_required: Weight,
    result: Result<ExecReturnValue, Value>,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct ExecReturnValue {
    flags: ReturnFlags,
    data: Vec<u8>,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct ReturnFlags {
    bits: u32,
}

/// The contract undid what it did.
const REVERT: u32 = 1;

impl At {
    /// Runs a message at this block without changing anything, as if `origin` had
    /// sent it.
    ///
    /// # Errors
    /// [`ChainError::Contract`] when the chain would not even run it: no such
    /// contract, too little gas, a trap.
    pub async fn dry_run(
        &self,
        origin: &Hotkey,
        call: &ContractCall,
        message: &Message,
    ) -> Result<DryRun, ChainError> {
        let number = |n: u64| Value::u128(n.into());
        let gas = Value::named_composite([
            ("ref_time", number(call.gas.ref_time)),
            ("proof_size", number(call.gas.proof_size)),
        ]);
        let limit = match call.storage_deposit_limit_rao {
            None => Value::unnamed_variant("None", []),
            Some(rao) => Value::unnamed_variant("Some", [number(rao)]),
        };
        let arguments = vec![
            Value::from_bytes(origin.as_bytes()),
            Value::from_bytes(call.contract),
            number(call.value_rao),
            Value::unnamed_variant("Some", [gas]),
            limit,
            Value::from_bytes(&call.input),
        ];
        let answer: ContractResult = self.runtime("ContractsApi", "call", arguments).await?;
        let gas = |weight: &Weight| Gas {
            ref_time: weight.ref_time,
            proof_size: weight.proof_size,
        };
        match answer.result {
            Ok(returned) => Ok(DryRun {
                gas_consumed: gas(&answer.gas_consumed),
                gas_required: gas(&answer.gas_required),
                reverted: returned.flags.bits & REVERT != 0,
                data: returned.data,
            }),
            Err(error) => Err(ChainError::Contract {
                message: message.name.clone(),
                problem: one_line(&format!("it would not run: {error}")),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_those_of_the_existing_abi() {
        for (name, selector) in [
            ("publish_epoch", "2c139004"),
            ("challenge_epoch", "0c74856a"),
            ("resolve_challenge", "64911ae8"),
            ("claim_single", "c8284e97"),
            ("get_epoch_info", "85b1df5b"),
            ("get_latest_published_epoch", "73c7aa3a"),
            ("get_claimed_cumulative_rao", "0d12e708"),
        ] {
            assert_eq!(hex::encode(Message::new(name).input()), selector, "{name}");
        }
    }

    #[test]
    fn arguments_follow_each_other_without_gaps() {
        let message = Message::new("claim_single")
            .argument(&(7u64, 3u32, [1u8; 32], [2u8; 32], 9u64, vec![[4u8; 32]]))
            .argument(&true);
        let expected = format!(
            "c8284e97{}{}{}{}{}04{}01",
            "0700000000000000",
            "03000000",
            "01".repeat(32),
            "02".repeat(32),
            "0900000000000000",
            "04".repeat(32)
        );
        assert_eq!(hex::encode(message.input()), expected);
    }

    #[test]
    fn a_return_value_is_read_through_inks_wrapper() {
        let message = Message::new("get_outstanding_rao");
        let data = (0u8, 5u64).encode();
        assert_eq!(decode_return::<u64>(&message, &data).unwrap(), 5);
        for (data, part) in [
            (vec![1, 1], "does not know this message"),
            (vec![1, 9], "LangError 9"),
            (vec![], "cannot be read"),
            (vec![0, 5], "cannot be read"),
            ([data, vec![0]].concat(), "cannot be read"),
            (vec![2], "cannot be read"),
        ] {
            let error = decode_return::<u64>(&message, &data).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
