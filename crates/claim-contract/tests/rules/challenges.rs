//! Challenges: when, with what effect, and how they end.

use claim_contract::epoch::{CHALLENGE_BLOCKS, NEVER};
use claim_contract::error::Error;

use crate::support::account;
use crate::support::tree::Tree;
use crate::support::world::{three_miners, World};

#[test]
fn an_epoch_can_be_challenged_to_the_last_block_of_its_window() {
    World::tell(|world| {
        world.publish(1, &three_miners(1)).unwrap();
        world.pass(CHALLENGE_BLOCKS - 1);
        assert_eq!(world.challenge(1), Ok(()));
        assert!(world.contract.get_epoch_info(1).unwrap().disputed);
    });
    World::tell(|world| {
        world.open(1, &three_miners(1));
        assert_eq!(world.challenge(1), Err(Error::ChallengeWindowOver));
    });
}

#[test]
fn claims_stay_closed_while_the_epoch_is_disputed_however_long() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish(1, &tree).unwrap();
        world.challenge(1).unwrap();
        world.pass(10 * CHALLENGE_BLOCKS);
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::EpochDisputed));
    });
}

#[test]
fn older_epochs_are_paid_while_the_newest_is_disputed() {
    World::tell(|world| {
        let first = three_miners(1);
        world.open(1, &first);
        world.publish(2, &three_miners(2)).unwrap();
        world.challenge(2).unwrap();
        assert_eq!(world.claim(&first.claim(0)), Ok(()));
    });
}

#[test]
fn a_dismissed_challenge_leaves_the_rest_of_the_window() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish(1, &tree).unwrap();
        world.challenge(1).unwrap();
        world.pass(10);
        world.resolve(1, false).unwrap();
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::ClaimsNotOpen));
        world.challenge(1).unwrap();
        world.resolve(1, false).unwrap();
        world.pass(CHALLENGE_BLOCKS - 10);
        assert_eq!(world.claim(&tree.claim(0)), Ok(()));
    });
}

#[test]
fn a_challenge_that_is_dismissed_after_the_window_opens_the_epoch_at_once() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish(1, &tree).unwrap();
        world.challenge(1).unwrap();
        world.pass(CHALLENGE_BLOCKS + 7);
        world.resolve(1, false).unwrap();
        assert_eq!(
            world.contract.get_epoch_info(1).unwrap().claims_open_at,
            world.block()
        );
        assert_eq!(world.challenge(1), Err(Error::ChallengeWindowOver));
        assert_eq!(world.claim(&tree.claim(0)), Ok(()));
    });
}

#[test]
fn an_epoch_that_was_struck_down_is_never_claimed() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish(1, &tree).unwrap();
        world.challenge(1).unwrap();
        world.resolve(1, true).unwrap();
        world.pass(100 * CHALLENGE_BLOCKS);
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::EpochVoid));
        let epoch = world.contract.get_epoch_info(1).unwrap();
        assert_eq!((epoch.disputed, epoch.claims_open_at), (true, NEVER));
    });
}

#[test]
fn striking_an_epoch_down_takes_back_exactly_what_it_promised() {
    World::tell(|world| {
        let first = Tree::of(1, &[(account(11), account(21), 1_000)]);
        world.open(1, &first);
        world
            .publish(2, &Tree::of(2, &[(account(66), account(66), 900_000)]))
            .unwrap();
        assert_eq!(world.contract.get_outstanding_rao(), 900_000);
        world.challenge(2).unwrap();
        world.claim(&first.claim(0)).unwrap();
        world.resolve(2, true).unwrap();
        assert_eq!(world.contract.get_latest_published_epoch(), Some(1));
        assert_eq!(world.contract.get_outstanding_rao(), 0);
        assert_eq!(world.contract.get_publishable_rao(), World::FUNDS - 1_000);
    });
}

/// A number has one root for ever; what was wrong in an epoch is mended in the next.
#[test]
fn the_number_of_a_void_epoch_is_not_used_again() {
    World::tell(|world| {
        world.publish(1, &three_miners(1)).unwrap();
        world.challenge(1).unwrap();
        world.resolve(1, true).unwrap();
        assert_eq!(
            world.publish(1, &three_miners(1)),
            Err(Error::EpochNotNewer)
        );
        assert_eq!(world.publish(2, &three_miners(2)), Ok(()));
    });
}

#[test]
fn a_decision_needs_a_dispute_and_is_made_once() {
    World::tell(|world| {
        world.publish(1, &three_miners(1)).unwrap();
        for slash in [false, true] {
            assert_eq!(world.resolve(1, slash), Err(Error::NotDisputed));
        }
        world.challenge(1).unwrap();
        assert_eq!(world.challenge(1), Err(Error::AlreadyDisputed));
        world.resolve(1, true).unwrap();
        for slash in [false, true] {
            assert_eq!(world.resolve(1, slash), Err(Error::EpochVoid));
        }
        assert_eq!(world.challenge(1), Err(Error::EpochVoid));
    });
}

#[test]
fn an_epoch_that_was_never_published_is_neither_challenged_nor_decided() {
    World::tell(|world| {
        assert_eq!(world.challenge(1), Err(Error::EpochUnknown));
        assert_eq!(world.resolve(1, true), Err(Error::EpochUnknown));
        assert_eq!(world.contract.get_epoch_info(1), Err(Error::EpochUnknown));
    });
}

#[test]
fn a_pause_does_not_protect_a_wrong_epoch() {
    World::tell(|world| {
        world.publish(1, &three_miners(1)).unwrap();
        world.by(World::owner()).pause().unwrap();
        assert_eq!(world.challenge(1), Ok(()));
        assert_eq!(world.resolve(1, true), Ok(()));
    });
}
