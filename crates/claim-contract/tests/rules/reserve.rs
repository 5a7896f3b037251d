//! The reserve floor, and what the owner may take out.

use claim_contract::error::Error;
use claim_contract::stake::StakeError;

use crate::support::account;
use crate::support::tree::Tree;
use crate::support::world::{three_miners, World};

fn one_miner(epoch: u64, amount: u64) -> Tree {
    Tree::of(epoch, &[(account(11), account(21), amount)])
}

#[test]
fn the_floor_is_not_promised() {
    World::tell(|world| {
        world
            .by(World::owner())
            .set_reserve_floor_rao(400_000)
            .unwrap();
        assert_eq!(world.contract.get_reserve_floor_rao(), 400_000);
        assert_eq!(world.contract.get_free_reserve_rao(), 1_000_000);
        assert_eq!(world.contract.get_publishable_rao(), 600_000);
        assert_eq!(
            world.publish(1, &one_miner(1, 600_001)),
            Err(Error::NotFunded)
        );
        assert_eq!(world.publish(1, &one_miner(1, 600_000)), Ok(()));
    });
}

#[test]
fn claims_leave_the_floor_untouched() {
    World::tell(|world| {
        world
            .by(World::owner())
            .set_reserve_floor_rao(900_000)
            .unwrap();
        let tree = one_miner(1, 100_000);
        world.open(1, &tree);
        world.chain.set_stake(account(0xcc), 999_999);
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::StakeTooLow));
        world.chain.set_stake(account(0xcc), 1_000_000);
        assert_eq!(world.claim(&tree.claim(0)), Ok(()));
        assert_eq!(world.owned(), 900_000);
    });
}

#[test]
fn the_floor_cannot_be_raised_into_what_is_owed() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.open(1, &tree);
        let free = World::FUNDS - tree.total_rao();
        assert_eq!(
            world.by(World::owner()).set_reserve_floor_rao(free + 1),
            Err(Error::FloorTooHigh)
        );
        assert_eq!(world.by(World::owner()).set_reserve_floor_rao(free), Ok(()));
        for index in 0..3 {
            assert_eq!(world.claim(&tree.claim(index)), Ok(()));
        }
        assert_eq!(world.owned(), free);
    });
}

#[test]
fn the_floor_can_always_be_lowered() {
    World::tell(|world| {
        world
            .by(World::owner())
            .set_reserve_floor_rao(500_000)
            .unwrap();
        world.chain.set_stake(account(0xcc), 10);
        assert_eq!(
            world.by(World::owner()).set_reserve_floor_rao(400_000),
            Ok(())
        );
    });
}

#[test]
fn capturing_the_floor_reserves_all_that_is_owed_to_nobody() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.open(1, &tree);
        let free = World::FUNDS - tree.total_rao();
        assert_eq!(
            world.by(World::owner()).capture_reserve_floor_rao(),
            Ok(free)
        );
        assert_eq!(world.contract.get_reserve_floor_rao(), free);
        assert_eq!(world.contract.get_publishable_rao(), 0);
        assert_eq!(world.claim(&tree.claim(0)), Ok(()));
    });
}

#[test]
fn the_owner_takes_out_only_what_is_owed_to_nobody() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish(1, &tree).unwrap();
        let free = World::FUNDS - tree.total_rao();
        let to = account(77);
        assert_eq!(
            world.by(World::owner()).transfer_stake_safety(to, free + 1),
            Err(Error::Owed)
        );
        world.by(World::owner()).pause().unwrap();
        assert_eq!(
            world.by(World::owner()).transfer_stake_safety(to, free),
            Ok(())
        );
        assert_eq!(world.chain.stake(to), free);
        world.by(World::owner()).unpause().unwrap();
        world.pass_window();
        for index in 0..3 {
            assert_eq!(world.claim(&tree.claim(index)), Ok(()));
        }
        assert_eq!(world.owned(), 0);
    });
}

/// A floor that stayed where it was would refuse claims after the reserve is gone.
#[test]
fn taking_out_the_reserve_lowers_the_floor_with_it() {
    World::tell(|world| {
        let tree = one_miner(1, 100_000);
        world
            .by(World::owner())
            .set_reserve_floor_rao(900_000)
            .unwrap();
        world.open(1, &tree);
        world
            .by(World::owner())
            .transfer_stake_safety(account(77), 800_000)
            .unwrap();
        assert_eq!(world.contract.get_reserve_floor_rao(), 100_000);
        assert_eq!(world.claim(&tree.claim(0)), Ok(()));
    });
}

#[test]
fn a_refused_withdrawal_says_why() {
    World::tell(|world| {
        world.chain.refuse_transfers(7);
        let refused = world
            .by(World::owner())
            .transfer_stake_safety(account(77), 1);
        assert_eq!(
            refused,
            Err(Error::TransferRefused(StakeError::TxRateLimitExceeded))
        );
    });
}

#[test]
fn the_views_tell_stake_with_the_contracts_hotkey() {
    World::tell(|world| {
        world.chain.set_stake(account(77), 42);
        assert_eq!(world.contract.get_stake_for_coldkey(account(77)), 42);
        assert_eq!(world.contract.get_stake_for_coldkey(account(78)), 0);
        assert_eq!(world.contract.get_contract_owned_stake(), World::FUNDS);
    });
}

#[test]
#[should_panic(expected = "the chain told no stake")]
fn a_view_of_a_stake_that_cannot_be_read_answers_nothing() {
    World::tell(|world| {
        world.chain.become_unreadable();
        world.contract.get_publishable_rao();
    });
}
