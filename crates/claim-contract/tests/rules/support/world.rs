//! A contract whose roles are four accounts, on a chain where it has stake.

use claim_contract::claim::ClaimData;
use claim_contract::epoch::CHALLENGE_BLOCKS;
use claim_contract::error::Result;
use claim_contract::{ClaimContract, SubtensorEnvironment};
use ink::env::test;
use ink::primitives::{AccountId, Hash};

use super::chain::{Chain, HOTKEY, NETUID};
use super::tree::Tree;
use super::{account, CONTRACT};

pub(crate) struct World {
    pub(crate) contract: ClaimContract,
    pub(crate) chain: Chain,
    block: u32,
}

impl World {
    pub(crate) const FUNDS: u64 = 1_000_000;
    pub(crate) const FIRST_BLOCK: u32 = 1_000;

    pub(crate) fn owner() -> AccountId {
        account(1)
    }
    pub(crate) fn gate() -> AccountId {
        account(2)
    }
    pub(crate) fn vetoer() -> AccountId {
        account(3)
    }
    pub(crate) fn arbiter() -> AccountId {
        account(4)
    }
    pub(crate) fn stranger() -> AccountId {
        account(5)
    }

    /// Runs `story` in a world of its own, in which the contract has [`World::FUNDS`].
    pub(crate) fn tell(story: impl FnOnce(&mut World)) {
        test::run_test::<SubtensorEnvironment, _>(|_| {
            let chain = Chain::with(AccountId::from(CONTRACT), Self::FUNDS);
            test::register_chain_extension(chain.clone());
            test::set_callee::<SubtensorEnvironment>(AccountId::from(CONTRACT));
            test::set_block_number::<SubtensorEnvironment>(Self::FIRST_BLOCK);
            test::set_caller::<SubtensorEnvironment>(Self::owner());
            let mut contract = ClaimContract::new(NETUID, AccountId::from(HOTKEY));
            contract.set_gate(Self::gate()).unwrap();
            contract.set_vetoer(Self::vetoer()).unwrap();
            contract.set_arbiter(Self::arbiter()).unwrap();
            let block = Self::FIRST_BLOCK;
            story(&mut World {
                contract,
                chain,
                block,
            });
            Ok(())
        })
        .unwrap();
    }

    /// The contract, called by `caller`.
    pub(crate) fn by(&mut self, caller: AccountId) -> &mut ClaimContract {
        test::set_caller::<SubtensorEnvironment>(caller);
        &mut self.contract
    }

    pub(crate) fn block(&self) -> u32 {
        self.block
    }

    pub(crate) fn pass(&mut self, blocks: u32) {
        self.block += blocks;
        test::set_block_number::<SubtensorEnvironment>(self.block);
    }

    pub(crate) fn pass_window(&mut self) {
        self.pass(CHALLENGE_BLOCKS);
    }

    pub(crate) fn owned(&self) -> u64 {
        self.chain.stake(AccountId::from(CONTRACT))
    }

    pub(crate) fn publish(&mut self, epoch: u64, tree: &Tree) -> Result<()> {
        self.publish_declaring(epoch, tree, tree.total_rao())
    }

    pub(crate) fn publish_declaring(
        &mut self,
        epoch: u64,
        tree: &Tree,
        total_rao: u64,
    ) -> Result<()> {
        let uri = format!("https://pool.example/epoch/{epoch}");
        self.by(Self::gate())
            .publish_epoch(epoch, tree.root(), tree.len(), total_rao, uri)
    }

    /// Publishes and lets the window pass.
    pub(crate) fn open(&mut self, epoch: u64, tree: &Tree) {
        self.publish(epoch, tree).unwrap();
        self.pass_window();
    }

    pub(crate) fn challenge(&mut self, epoch: u64) -> Result<()> {
        self.by(Self::vetoer())
            .challenge_epoch(epoch, Hash::from([0xee; 32]))
    }

    pub(crate) fn resolve(&mut self, epoch: u64, slash: bool) -> Result<()> {
        self.by(Self::arbiter())
            .resolve_challenge(epoch, slash, Self::owner())
    }

    /// A claim that anybody may bring.
    pub(crate) fn claim(&mut self, claim: &ClaimData) -> Result<()> {
        self.by(Self::stranger()).claim_single(claim.clone(), true)
    }
}

/// Three miners with their own recipients: cumulative amounts of 100, 20 and 3 thousand rao.
pub(crate) fn three_miners(epoch: u64) -> Tree {
    Tree::of(
        epoch,
        &[
            (account(11), account(21), 100_000),
            (account(12), account(22), 20_000),
            (account(13), account(23), 3_000),
        ],
    )
}
