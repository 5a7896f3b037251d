//! Any history: whatever is called in whatever order, the money is where it should be.

use std::collections::BTreeMap;

use claim_contract::epoch::CHALLENGE_BLOCKS;
use ink::primitives::AccountId;
use proptest::prelude::*;

use crate::support::account;
use crate::support::tree::Tree;
use crate::support::world::World;

const MINERS: u8 = 5;

#[derive(Debug, Clone)]
enum Step {
    /// Miners earn, and an epoch is published that declares `declared` ‰ of the sum of its leaves.
    Publish {
        earned: Vec<u16>,
        declared: u64,
    },
    Pass(u32),
    Challenge(u64),
    Resolve {
        epoch: u64,
        slash: bool,
    },
    /// A claim of an epoch that was published, perhaps void, perhaps not yet open.
    Claim {
        epoch: prop::sample::Index,
        miner: u8,
    },
    Pause(bool),
    Floor(u64),
    TakeOut(u64),
    Fund(u64),
}

fn steps() -> impl Strategy<Value = Step> {
    let declared = prop_oneof![4 => Just(1_000_u64), 1 => 500..1_500_u64];
    let earned = prop::collection::vec(0..2_000_u16, usize::from(MINERS));
    let blocks = prop_oneof![Just(CHALLENGE_BLOCKS), 0..CHALLENGE_BLOCKS];
    prop_oneof![
        6 => (earned, declared).prop_map(|(earned, declared)| Step::Publish { earned, declared }),
        6 => blocks.prop_map(Step::Pass),
        1 => (0..12_u64).prop_map(Step::Challenge),
        1 => (0..12_u64, any::<bool>()).prop_map(|(epoch, slash)| Step::Resolve { epoch, slash }),
        12 => (any::<prop::sample::Index>(), 0..MINERS).prop_map(|(epoch, miner)| Step::Claim { epoch, miner }),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (0..50_000_u64).prop_map(Step::Floor),
        1 => (0..50_000_u64).prop_map(Step::TakeOut),
        1 => (0..20_000_u64).prop_map(Step::Fund),
    ]
}

/// What the test knows without asking the contract.
struct History {
    earned: Vec<u64>,
    trees: Vec<(u64, Tree)>,
    funded: u64,
    taken_out: u64,
    paid: BTreeMap<(u64, u8), u64>,
}

fn hotkey(miner: u8) -> AccountId {
    account(100 + miner)
}

fn recipient(miner: u8) -> AccountId {
    account(150 + miner)
}

fn owner_safe() -> AccountId {
    account(200)
}

impl History {
    fn take(&mut self, world: &mut World, step: &Step) {
        match step {
            Step::Publish { earned, declared } => self.publish(world, earned, *declared),
            Step::Pass(blocks) => world.pass(*blocks),
            Step::Challenge(epoch) => drop(world.challenge(*epoch)),
            Step::Resolve { epoch, slash } => drop(world.resolve(*epoch, *slash)),
            Step::Claim { epoch, miner } => self.claim(world, *epoch, *miner),
            Step::Pause(true) => world.by(World::owner()).pause().unwrap(),
            Step::Pause(false) => world.by(World::owner()).unpause().unwrap(),
            Step::Floor(rao) => drop(world.by(World::owner()).set_reserve_floor_rao(*rao)),
            Step::TakeOut(rao) => {
                if world
                    .by(World::owner())
                    .transfer_stake_safety(owner_safe(), *rao)
                    .is_ok()
                {
                    self.taken_out += rao;
                }
            }
            Step::Fund(rao) => {
                world.chain.set_stake(account(0xcc), world.owned() + rao);
                self.funded += rao;
            }
        }
    }

    fn publish(&mut self, world: &mut World, earned: &[u16], declared: u64) {
        let epoch = u64::try_from(self.trees.len()).unwrap();
        let amounts: Vec<u64> = self
            .earned
            .iter()
            .zip(earned)
            .map(|(before, new)| before + u64::from(*new))
            .collect();
        let leaves: Vec<_> = (0..MINERS)
            .zip(&amounts)
            .map(|(miner, amount)| (hotkey(miner), recipient(miner), *amount))
            .collect();
        let tree = Tree::of(epoch, &leaves);
        let total = tree.total_rao() * declared / 1_000;
        if world.publish_declaring(epoch, &tree, total).is_ok() {
            self.earned = amounts;
            self.trees.push((total, tree));
        }
    }

    fn claim(&mut self, world: &mut World, epoch: prop::sample::Index, miner: u8) {
        if self.trees.is_empty() {
            return;
        }
        let epoch = epoch.index(self.trees.len());
        let claim = self.trees[epoch].1.claim(u32::from(miner));
        let info = world.contract.get_epoch_info(claim.epoch).unwrap();
        let was_open =
            !info.disputed && world.block() >= info.claims_open_at && !world.contract.is_paused();
        let before = world.chain.stake(recipient(miner));
        if world.claim(&claim).is_ok() {
            assert!(was_open, "a closed epoch paid");
            let moved = world.chain.stake(recipient(miner)) - before;
            assert!(moved > 0);
            assert_eq!(
                self.paid.insert((claim.epoch, miner), moved),
                None,
                "a leaf paid twice"
            );
            assert_eq!(
                world.chain.stake(recipient(miner)),
                claim.amount,
                "paid up to the cumulative amount"
            );
        }
    }

    fn check(&self, world: &World) {
        let owned = world.owned();
        let received: u64 = (0..MINERS)
            .map(|miner| world.chain.stake(recipient(miner)))
            .sum();
        assert_eq!(
            owned + received + self.taken_out,
            World::FUNDS + self.funded,
            "stake was created or lost"
        );
        assert_eq!(world.chain.stake(owner_safe()), self.taken_out);
        assert!(
            world.contract.get_outstanding_rao() <= owned,
            "more is owed than owned"
        );
        for (epoch, (total, _)) in (0..).zip(&self.trees) {
            let spent: u64 = self
                .paid
                .iter()
                .filter(|((paid, _), _)| *paid == epoch)
                .map(|(_, rao)| rao)
                .sum();
            let info = world.contract.get_epoch_info(epoch).unwrap();
            assert_eq!(info.spent_rao, spent);
            assert!(spent <= *total, "an epoch paid more than it declared");
        }
        for miner in 0..MINERS {
            let claimed = world.contract.get_claimed_cumulative_rao(hotkey(miner));
            assert_eq!(claimed, world.chain.stake(recipient(miner)));
        }
        let most = self
            .trees
            .iter()
            .map(|(total, _)| *total)
            .max()
            .unwrap_or_default();
        assert!(received <= most, "more was paid than ever declared");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_money_is_where_it_should_be(steps in prop::collection::vec(steps(), 1..60)) {
        World::tell(|world| {
            let mut history = History {
                earned: vec![0; usize::from(MINERS)],
                trees: Vec::new(),
                funded: 0,
                taken_out: 0,
                paid: BTreeMap::new(),
            };
            for step in &steps {
                history.take(world, step);
                history.check(world);
            }
        });
    }
}
