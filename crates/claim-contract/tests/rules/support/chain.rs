//! The chain's side of the stake extension: it holds stake, moves it, and refuses when a test wants it to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use claim_contract::stake::StakeInfo;
use ink::primitives::AccountId;
use ink::scale::{Compact, Decode, Encode};

/// The hotkey that the contract's stake is with.
pub(crate) const HOTKEY: [u8; 32] = [0xdd; 32];
/// The subnet on which it is.
pub(crate) const NETUID: u16 = 94;

/// Stakes with the contract's hotkey on its subnet.
#[derive(Clone)]
pub(crate) struct Chain(Rc<RefCell<State>>);

struct State {
    contract: AccountId,
    stakes: BTreeMap<AccountId, u64>,
    refusal: Option<u32>,
    unreadable: bool,
}

impl Chain {
    /// A chain on which `contract` has `rao`.
    pub(crate) fn with(contract: AccountId, rao: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            contract,
            stakes: BTreeMap::from([(contract, rao)]),
            refusal: None,
            unreadable: false,
        })))
    }

    pub(crate) fn stake(&self, coldkey: AccountId) -> u64 {
        self.0
            .borrow()
            .stakes
            .get(&coldkey)
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn set_stake(&self, coldkey: AccountId, rao: u64) {
        self.0.borrow_mut().stakes.insert(coldkey, rao);
    }

    /// Answers every transfer with this status from now on.
    pub(crate) fn refuse_transfers(&self, status: u32) {
        self.0.borrow_mut().refusal = Some(status);
    }

    pub(crate) fn allow_transfers(&self) {
        self.0.borrow_mut().refusal = None;
    }

    /// Answers no question about stake any more.
    pub(crate) fn become_unreadable(&self) {
        self.0.borrow_mut().unreadable = true;
    }

    fn tell(&self, mut input: &[u8], output: &mut Vec<u8>) -> u32 {
        let (hotkey, coldkey, netuid) = <(AccountId, AccountId, u16)>::decode(&mut input)
            .expect("the contract encodes its calls");
        assert_eq!((hotkey, netuid), (AccountId::from(HOTKEY), NETUID));
        if self.0.borrow().unreadable {
            return 1;
        }
        let info = StakeInfo {
            hotkey,
            coldkey,
            netuid: Compact(netuid),
            stake: Compact(self.stake(coldkey)),
            locked: Compact(0),
            emission: Compact(12_345),
            tao_emission: Compact(67),
            drain: Compact(0),
            is_registered: true,
        };
        Some(info).encode_to(output);
        0
    }

    fn transfer(&self, mut input: &[u8]) -> u32 {
        let (to, hotkey, from_netuid, to_netuid, rao) =
            <(AccountId, AccountId, u16, u16, u64)>::decode(&mut input)
                .expect("the contract encodes its calls");
        assert!(input.is_empty());
        assert_eq!(hotkey, AccountId::from(HOTKEY));
        assert_eq!((from_netuid, to_netuid), (NETUID, NETUID));
        if let Some(status) = self.0.borrow().refusal {
            return status;
        }
        let from = self.0.borrow().contract;
        let Some(left) = self.stake(from).checked_sub(rao) else {
            return 6;
        };
        self.set_stake(from, left);
        self.set_stake(to, self.stake(to) + rao);
        0
    }
}

impl ink::env::test::ChainExtension for Chain {
    fn ext_id(&self) -> u16 {
        0x1000
    }

    fn call(&mut self, function: u16, input: &[u8], output: &mut Vec<u8>) -> u32 {
        // ink!'s off-chain engine puts a length before the input; the chain does not.
        let input = Vec::<u8>::decode(&mut &*input).expect("the engine encodes its input");
        match function {
            0 => self.tell(&input, output),
            6 => self.transfer(&input),
            other => panic!("the contract called function {other} of the extension"),
        }
    }
}
