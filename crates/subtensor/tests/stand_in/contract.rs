//! A contract on the stand-in's chain: what is asked of it and what it answers, in
//! the encoding of the runtime's contracts pallet.

use parity_scale_codec::{Compact, Decode, DecodeAll as _, Encode};

use super::extrinsic::Event;
use super::state::State;

/// A contract that can be executed.
pub trait Contract: Send {
    /// Where it is.
    fn account(&self) -> [u8; 32];

    /// Runs a message on block `block`, and keeps what it does unless it reverts.
    fn run(&mut self, block: u64, origin: [u8; 32], input: &[u8]) -> Ran;

    /// Runs a message in the state after block `block`; keeps nothing.
    fn try_out(&self, block: u64, origin: [u8; 32], input: &[u8]) -> Ran;
}

/// What a message did.
pub struct Ran {
    /// Whether it undid everything.
    pub reverted: bool,
    pub data: Vec<u8>,
    pub events: Vec<Emitted>,
}

/// An event of a contract.
pub struct Emitted {
    pub topics: Vec<[u8; 32]>,
    pub data: Vec<u8>,
}

/// `ContractNotFound`, `StorageDepositNotEnoughFunds` and `ContractReverted` of the
/// contracts pallet.
const NOT_FOUND: [u8; 6] = [3, 29, 6, 0, 0, 0];
const NOT_ENOUGH_FUNDS: [u8; 6] = [3, 29, 23, 0, 0, 0];
const REVERTED: [u8; 6] = [3, 29, 26, 0, 0, 0];
/// `ContractEmitted` of the contracts pallet.
const EMITTED: [u8; 2] = [29, 3];

/// The limits that clients of this network pass.
const GAS: (u64, u64) = (50_000_000_000, 2_000_000);
const DEPOSIT: u64 = 1_000_000_000;

type GasLimit = (Compact<u64>, Compact<u64>);

impl State {
    /// `ContractsApi_call`.
    pub(super) fn try_contract(&mut self, mut arguments: &[u8], block: u64) -> Vec<u8> {
        type Arguments = (
            ([u8; 32], [u8; 32], u64),
            (Option<GasLimit>, Option<u64>, Vec<u8>),
        );
        let Ok(((origin, dest, value), (gas, deposit, input))) =
            Arguments::decode_all(&mut arguments)
        else {
            self.surprises.push("a dry run cannot be read".to_owned());
            return Vec::new();
        };
        let gas = gas.map(|(time, size)| (time.0, size.0));
        self.check_limits(value, gas, deposit.or(Some(DEPOSIT)));
        let mut answer = (
            (Compact(11u64), Compact(12u64)),
            (Compact(13u64), Compact(14u64)),
            // No deposit, no words.
            (0u8, 0u64, 0u8),
        )
            .encode();
        match self.contract.as_ref() {
            // The pallet refuses a limit that its origin could not pay, and a contract
            // has stake, but no balance.
            Some(contract) if contract.account() == origin && deposit.is_some() => {
                (1u8, NOT_ENOUGH_FUNDS).encode_to(&mut answer);
            }
            Some(contract) if contract.account() == dest => {
                let ran = contract.try_out(block, origin, &input);
                (0u8, u32::from(ran.reverted), ran.data).encode_to(&mut answer);
            }
            _ => (1u8, NOT_FOUND).encode_to(&mut answer),
        }
        answer.push(0);
        answer
    }

    /// `Contracts.call`.
    pub(super) fn call_contract(
        &mut self,
        signer: &[u8; 32],
        mut arguments: &[u8],
    ) -> Result<Vec<Event>, [u8; 6]> {
        type Arguments = (
            (u8, [u8; 32], Compact<u64>),
            (GasLimit, Option<Compact<u64>>, Vec<u8>),
        );
        let Ok(((0, dest, value), (gas, deposit, input))) = Arguments::decode_all(&mut arguments)
        else {
            self.surprises
                .push("a contract call cannot be read".to_owned());
            return Err(NOT_FOUND);
        };
        let gas = Some((gas.0.0, gas.1.0));
        self.check_limits(value.0, gas, deposit.map(|rao| rao.0));
        let block = self.height;
        let contract = self.contract.as_mut();
        let Some(contract) = contract.filter(|contract| contract.account() == dest) else {
            return Err(NOT_FOUND);
        };
        let ran = contract.run(block, *signer, &input);
        if ran.reverted {
            return Err(REVERTED);
        }
        let event = |one: Emitted| ((EMITTED, dest, one.data).encode(), one.topics);
        Ok(ran.events.into_iter().map(event).collect())
    }

    fn check_limits(&mut self, value: u64, gas: Option<(u64, u64)>, deposit: Option<u64>) {
        if (value, gas, deposit) != (0, Some(GAS), Some(DEPOSIT)) {
            self.surprises
                .push(format!("value {value}, gas {gas:?}, deposit {deposit:?}"));
        }
    }
}
