//! The claim contract as it is deployed: its compiled Wasm in an interpreter, on
//! the stand-in's chain. It is no contracts pallet: nothing is metered, and the
//! stake that the contract moves is played ([`host`]).

mod host;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use parity_scale_codec::{Decode, Encode as _};
use subtensor::{Message, Refusal, decode_return};
use wasmi::{Engine, Linker, Memory, MemoryType, Module, Store};

use crate::stand_in::{Contract, Ran};
use host::{HOTKEY, NETUID, Run, Storage, stake_key};

const WASM: &[u8] = include_bytes!("../../../../claim-contract/wasm/claim_contract.wasm");

/// An instance of the contract. Clones are the same instance.
#[derive(Clone)]
pub(crate) struct Claims(Arc<Mutex<Instance>>);

struct Instance {
    account: [u8; 32],
    engine: Engine,
    module: Module,
    /// What is stored after a block, for each block that changed something.
    states: BTreeMap<u64, Storage>,
    /// What blocks executed, also what was undone.
    executed: Vec<Vec<u8>>,
}

impl Claims {
    /// Instantiated at `account` on block 0 by `owner`, who has all its roles, with
    /// `stake_rao` of stake.
    pub(crate) fn new(account: [u8; 32], owner: [u8; 32], stake_rao: u64) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, WASM).unwrap();
        let stake = (stake_key(&account), stake_rao.encode());
        let claims = Self(Arc::new(Mutex::new(Instance {
            account,
            engine,
            module,
            states: BTreeMap::from([(0, Storage::from([stake]))]),
            executed: Vec::new(),
        })));
        let new = Message::new("new").argument(&NETUID).argument(&HOTKEY);
        let ran = claims.execute("deploy", 0, owner, new.input(), true);
        assert!(!ran.reverted);
        claims
    }

    /// Sends a message; it is undone if and only if it answers an error.
    pub(crate) fn send(
        &self,
        block: u64,
        caller: [u8; 32],
        message: &Message,
    ) -> Result<(), Refusal> {
        let ran = self.execute("call", block, caller, message.input(), true);
        let answer = decode_return::<Result<(), Refusal>>(message, &ran.data).unwrap();
        assert_eq!(ran.reverted, answer.is_err(), "{}", message.name());
        answer
    }

    /// Asks a view in the newest state.
    pub(crate) fn ask<T: Decode>(&self, message: &Message) -> T {
        let newest = *self.0.lock().unwrap().states.keys().next_back().unwrap();
        let ran = self.execute("call", newest, [0; 32], message.input(), false);
        decode_return(message, &ran.data).unwrap()
    }

    /// The messages that blocks executed, in their order.
    pub(crate) fn executed(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().executed.clone()
    }

    /// The stake of a coldkey with the contract's hotkey.
    pub(crate) fn stake(&self, coldkey: [u8; 32]) -> u64 {
        self.ask(&Message::new("get_stake_for_coldkey").argument(&coldkey))
    }

    fn execute(&self, entry: &str, block: u64, caller: [u8; 32], input: &[u8], keep: bool) -> Ran {
        let mut instance = self.0.lock().unwrap();
        let (_, storage) = instance.states.range(..=block).next_back().unwrap();
        let run = Run {
            contract: instance.account,
            caller,
            block: u32::try_from(block).unwrap(),
            input: input.to_vec(),
            storage: storage.clone(),
            events: Vec::new(),
            returned: None,
            memory: None,
        };
        let mut store = Store::new(&instance.engine, run);
        let mut linker = Linker::new(&instance.engine);
        host::link(&mut linker).unwrap();
        let memory = Memory::new(&mut store, MemoryType::new(2, Some(16))).unwrap();
        store.data_mut().memory = Some(memory);
        linker.define("env", "memory", memory).unwrap();
        let started = linker.instantiate_and_start(&mut store, &instance.module);
        let function = started.unwrap().get_typed_func::<(), ()>(&store, entry);
        let ended = function.unwrap().call(&mut store, ());
        let run = store.into_data();
        // A constructor that went well may end without returning anything.
        let (flags, data) = match (run.returned, ended) {
            (Some(returned), _) => returned,
            (None, Ok(())) => (0, Vec::new()),
            (None, Err(trap)) => panic!("the contract trapped: {trap}"),
        };
        let reverted = flags & 1 == 1;
        if keep && !reverted {
            instance.states.insert(block, run.storage);
        }
        Ran {
            reverted,
            data,
            events: run.events,
        }
    }
}

impl Contract for Claims {
    fn account(&self) -> [u8; 32] {
        self.0.lock().unwrap().account
    }

    fn run(&mut self, block: u64, origin: [u8; 32], input: &[u8]) -> Ran {
        self.0.lock().unwrap().executed.push(input.to_vec());
        self.execute("call", block, origin, input, true)
    }

    fn try_out(&self, block: u64, origin: [u8; 32], input: &[u8]) -> Ran {
        self.execute("call", block, origin, input, false)
    }
}
