//! A runtime with a contracts pallet and a stake extension, and the compiled contract in it.

use claim_contract::error::Result;
use claim_contract::stake::StakeInfo;
use ink::env::hash::Blake2x256;
use ink::primitives::AccountId;
use ink::scale::{Compact, Decode, Encode};
use ink_sandbox::frame_support::sp_runtime::testing::H256;
use ink_sandbox::frame_support::storage::unhashed;
use ink_sandbox::pallet_contracts::chain_extension::{
    ChainExtension, Config, Environment, Ext, InitState, Result as ExtensionResult, RetVal,
};
use ink_sandbox::pallet_contracts::{Code, CollectEvents, DebugInfo, Determinism};
use ink_sandbox::{AccountId32, TestExternalities, Weight};

use crate::runtime::{self, Contracts, RuntimeEvent, System};

type Event = ink_sandbox::pallet_contracts::Event<runtime::Runtime>;
type EventRecord = ink_sandbox::frame_system::EventRecord<RuntimeEvent, H256>;

const WASM: &[u8] = include_bytes!("../../../wasm/claim_contract.wasm");
const HOTKEY: [u8; 32] = [0xdd; 32];
const NETUID: u16 = 94;
const REFUSAL: &[u8] = b"the status that transfers are refused with";
const OWNER: AccountId32 = AccountId32::new([1; 32]);
const STRANGER: AccountId32 = AccountId32::new([5; 32]);

/// What clients pass with a claim; deposits are of another price here.
const GAS: Weight = Weight::from_parts(50_000_000_000, 2_000_000);

/// The chain's side of extension `0x1000`. Its stakes are in the chain's storage, so that they are reverted with it.
#[derive(Default)]
pub struct StakeExtension;

impl<C: Config> ChainExtension<C> for StakeExtension {
    fn call<E: Ext<T = C>>(&mut self, env: Environment<E, InitState>) -> ExtensionResult<RetVal> {
        assert_eq!(env.ext_id(), 0x1000);
        let function = env.func_id();
        let mut env = env.buf_in_buf_out();
        let contract = AccountId::decode(&mut &env.ext().address().encode()[..]).unwrap();
        let status = if function == 0 {
            let (hotkey, coldkey, netuid): (AccountId, AccountId, u16) = decode(&env.read(66)?);
            let info = StakeInfo {
                hotkey,
                coldkey,
                netuid: Compact(netuid),
                stake: Compact(stake(coldkey)),
                locked: Compact(0),
                emission: Compact(0),
                tao_emission: Compact(0),
                drain: Compact(0),
                is_registered: true,
            };
            env.write(&Some(info).encode(), false, None)?;
            0
        } else {
            assert_eq!(function, 6);
            let (to, hotkey, from_netuid, to_netuid, rao): (AccountId, AccountId, u16, u16, u64) =
                decode(&env.read(76)?);
            assert_eq!((from_netuid, to_netuid), (NETUID, NETUID));
            assert_eq!(hotkey, AccountId::from(HOTKEY));
            transfer(contract, to, rao)
        };
        Ok(RetVal::Converging(status))
    }
}

fn decode<T: Decode>(bytes: &[u8]) -> T {
    let mut rest = bytes;
    let value = T::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    value
}

fn stake(coldkey: AccountId) -> u64 {
    unhashed::get_or_default(coldkey.as_ref())
}

fn transfer(from: AccountId, to: AccountId, rao: u64) -> u32 {
    if let Some(status) = unhashed::get(REFUSAL) {
        return status;
    }
    let Some(left) = stake(from).checked_sub(rao) else {
        return 6;
    };
    unhashed::put(from.as_ref(), &left);
    unhashed::put(to.as_ref(), &(stake(to) + rao));
    0
}

/// The contract, instantiated by an owner who has all its roles.
pub(crate) struct World {
    chain: TestExternalities,
    contract: AccountId32,
    caller: AccountId32,
    gas: Weight,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut chain = runtime::chain(&[OWNER, STRANGER]);
        let data = [selector("new"), (NETUID, HOTKEY).encode()].concat();
        let instantiated = chain.execute_with(|| {
            Contracts::bare_instantiate(
                OWNER,
                0,
                GAS,
                None,
                Code::Upload(WASM.to_vec()),
                data,
                Vec::new(),
                DebugInfo::Skip,
                CollectEvents::Skip,
            )
        });
        let instantiated = instantiated.result.unwrap();
        assert!(!instantiated.result.did_revert());
        Self {
            chain,
            contract: instantiated.account_id,
            caller: OWNER,
            gas: Weight::zero(),
        }
    }

    pub(crate) fn contract(&self) -> AccountId {
        AccountId::from(<[u8; 32]>::from(self.contract.clone()))
    }

    pub(crate) fn call_as_stranger(&mut self) {
        self.caller = STRANGER;
    }

    pub(crate) fn pass(&mut self, blocks: u32) {
        self.chain.execute_with(|| {
            System::set_block_number(System::block_number() + blocks);
        });
    }

    pub(crate) fn stake(&mut self, coldkey: AccountId) -> u64 {
        self.chain.execute_with(|| stake(coldkey))
    }

    pub(crate) fn set_stake(&mut self, coldkey: AccountId, rao: u64) {
        self.chain
            .execute_with(|| unhashed::put(coldkey.as_ref(), &rao));
    }

    /// Answers transfers with this status, or makes them.
    pub(crate) fn refuse_transfers(&mut self, status: Option<u32>) {
        self.chain.execute_with(|| match status {
            Some(status) => unhashed::put(REFUSAL, &status),
            None => unhashed::kill(REFUSAL),
        });
    }

    pub(crate) fn gas_of_last_call(&self) -> Weight {
        self.gas
    }

    /// The events that the last call made the contract emit: what they hold, and their topics.
    pub(crate) fn emitted(&mut self) -> Vec<(Vec<u8>, Vec<[u8; 32]>)> {
        let events = self.chain.execute_with(System::events);
        let emitted = |record: EventRecord| match record.event {
            RuntimeEvent::Contracts(Event::ContractEmitted { data, .. }) => Some((
                data,
                record.topics.into_iter().map(|topic| topic.0).collect(),
            )),
            _ => None,
        };
        events.into_iter().filter_map(emitted).collect()
    }

    /// Sends a message that changes something. It is reverted if and only if it answers an error.
    pub(crate) fn send<T: Decode>(&mut self, message: &str, args: &impl Encode) -> Result<T> {
        let (reverted, answer): (bool, Result<T>) = self.call(message, args);
        assert_eq!(reverted, answer.is_err(), "{message}");
        answer
    }

    /// Lets the contract itself ask, which owns no balance.
    pub(crate) fn call_as_contract(&mut self) {
        self.caller = self.contract.clone();
    }

    /// Asks a view.
    pub(crate) fn ask<T: Decode>(&mut self, message: &str, args: &impl Encode) -> T {
        self.call(message, args).1
    }

    fn call<T: Decode>(&mut self, message: &str, args: &impl Encode) -> (bool, T) {
        let data = [selector(message), args.encode()].concat();
        let contract = self.contract.clone();
        let caller = self.caller.clone();
        let outcome = self.chain.execute_with(|| {
            System::reset_events();
            Contracts::bare_call(
                caller,
                contract,
                0,
                GAS,
                None,
                data,
                DebugInfo::Skip,
                CollectEvents::Skip,
                Determinism::Enforced,
            )
        });
        self.gas = outcome.gas_consumed;
        let answer = outcome.result.unwrap();
        let decoded: core::result::Result<T, ink::LangError> = decode(&answer.data);
        (answer.did_revert(), decoded.unwrap())
    }
}

/// The first four bytes of the hash of a name.
fn selector(name: &str) -> Vec<u8> {
    let mut hash = [0; 32];
    ink::env::hash_bytes::<Blake2x256>(name.as_bytes(), &mut hash);
    hash[..4].to_vec()
}
