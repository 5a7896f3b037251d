//! What may be published, and when.

use claim_contract::epoch::{CHALLENGE_BLOCKS, MAX_URI_BYTES, NEVER};
use claim_contract::error::Error;

use crate::support::account;
use crate::support::tree::Tree;
use crate::support::world::{three_miners, World};

fn one_miner(epoch: u64, amount: u64) -> Tree {
    Tree::of(epoch, &[(account(11), account(21), amount)])
}

#[test]
fn an_epoch_is_remembered_as_it_was_published() {
    World::tell(|world| {
        assert_eq!(world.contract.get_latest_published_epoch(), None);
        let tree = three_miners(5);
        world.publish(5, &tree).unwrap();
        let epoch = world.contract.get_epoch_info(5).unwrap();
        assert_eq!(epoch.root, <[u8; 32]>::from(tree.root()));
        assert_eq!((epoch.num_of_leaves, epoch.total_rao), (3, 123_000));
        assert_eq!(
            (epoch.spent_rao, epoch.bond_rao, epoch.disputed),
            (0, 0, false)
        );
        assert_eq!(world.contract.get_latest_published_epoch(), Some(5));
        assert_eq!(world.contract.get_outstanding_rao(), 123_000);
    });
}

#[test]
fn epoch_zero_can_be_the_first() {
    World::tell(|world| {
        world.open(0, &one_miner(0, 10));
        assert_eq!(world.contract.get_latest_published_epoch(), Some(0));
        assert_eq!(
            world.publish(0, &one_miner(0, 20)),
            Err(Error::EpochNotNewer)
        );
    });
}

#[test]
fn numbers_only_rise_and_may_skip() {
    World::tell(|world| {
        world.open(5, &one_miner(5, 10));
        for epoch in [0, 4, 5] {
            assert_eq!(
                world.publish(epoch, &one_miner(epoch, 20)),
                Err(Error::EpochNotNewer)
            );
        }
        assert_eq!(world.publish(u64::MAX, &one_miner(u64::MAX, 20)), Ok(()));
    });
}

#[test]
fn one_epoch_at_a_time_is_open_to_challenge() {
    World::tell(|world| {
        world.publish(1, &one_miner(1, 10)).unwrap();
        world.pass(CHALLENGE_BLOCKS - 1);
        assert_eq!(
            world.publish(2, &one_miner(2, 20)),
            Err(Error::PreviousEpochUnsettled)
        );
        world.pass(1);
        assert_eq!(world.publish(2, &one_miner(2, 20)), Ok(()));
    });
}

#[test]
fn nothing_is_published_on_top_of_a_dispute() {
    World::tell(|world| {
        world.publish(1, &one_miner(1, 10)).unwrap();
        world.challenge(1).unwrap();
        world.pass_window();
        assert_eq!(
            world.publish(2, &one_miner(2, 20)),
            Err(Error::PreviousEpochUnsettled)
        );
        world.resolve(1, false).unwrap();
        assert_eq!(world.publish(2, &one_miner(2, 20)), Ok(()));
    });
}

#[test]
fn a_total_never_falls() {
    World::tell(|world| {
        world.open(1, &one_miner(1, 1_000));
        assert_eq!(
            world.publish(2, &one_miner(2, 999)),
            Err(Error::TotalDecreased)
        );
        assert_eq!(world.publish(2, &one_miner(2, 1_000)), Ok(()));
    });
}

#[test]
fn an_epoch_without_leaves_or_without_money_is_refused() {
    World::tell(|world| {
        let tree = three_miners(1);
        assert_eq!(world.publish_declaring(1, &tree, 0), Err(Error::EpochEmpty));
        let none = world
            .by(World::gate())
            .publish_epoch(1, tree.root(), 0, 1, String::new());
        assert_eq!(none, Err(Error::EpochEmpty));
    });
}

#[test]
fn an_address_has_a_longest_length() {
    World::tell(|world| {
        let root = three_miners(1).root();
        let longer = "x".repeat(MAX_URI_BYTES + 1);
        let longest = "x".repeat(MAX_URI_BYTES);
        assert_eq!(
            world.by(World::gate()).publish_epoch(1, root, 3, 9, longer),
            Err(Error::UriTooLong)
        );
        assert_eq!(
            world
                .by(World::gate())
                .publish_epoch(1, root, 3, 9, longest),
            Ok(())
        );
    });
}

#[test]
fn nothing_is_published_while_paused() {
    World::tell(|world| {
        world.by(World::owner()).pause().unwrap();
        assert_eq!(world.publish(1, &three_miners(1)), Err(Error::Paused));
    });
}

#[test]
fn an_epoch_promises_no_more_than_the_contract_owns() {
    World::tell(|world| {
        assert_eq!(
            world.publish(1, &one_miner(1, World::FUNDS + 1)),
            Err(Error::NotFunded)
        );
        assert_eq!(world.publish(1, &one_miner(1, World::FUNDS)), Ok(()));
        assert_eq!(world.contract.get_publishable_rao(), 0);
    });
}

/// What was promised and not yet claimed is not promised again; what was claimed is promised no more.
#[test]
fn only_what_is_new_in_an_epoch_needs_new_funds() {
    World::tell(|world| {
        let first = one_miner(1, 600_000);
        world.open(1, &first);
        assert_eq!(
            world.publish(2, &one_miner(2, 1_000_001)),
            Err(Error::NotFunded)
        );
        world.claim(&first.claim(0)).unwrap();
        assert_eq!(world.owned(), 400_000);
        assert_eq!(
            world.publish(2, &one_miner(2, 1_000_001)),
            Err(Error::NotFunded)
        );
        assert_eq!(world.publish(2, &one_miner(2, 1_000_000)), Ok(()));
    });
}

#[test]
fn at_the_end_of_numbers_sums_are_refused_and_not_wrapped() {
    World::tell(|world| {
        world.chain.set_stake(account(0xcc), u64::MAX);
        let most = one_miner(1, u64::MAX);
        world.open(1, &most);
        assert_eq!(world.contract.get_outstanding_rao(), u64::MAX);
        world.claim(&most.claim(0)).unwrap();
        assert_eq!(world.chain.stake(account(21)), u64::MAX);

        world.pass(NEVER - world.block() - CHALLENGE_BLOCKS);
        assert_eq!(
            world.publish(2, &one_miner(2, u64::MAX)),
            Err(Error::Overflow)
        );
    });
}
