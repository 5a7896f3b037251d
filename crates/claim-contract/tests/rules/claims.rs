//! Who is paid what, when, and how often.

use claim_contract::epoch::CHALLENGE_BLOCKS;
use claim_contract::error::Error;
use claim_contract::stake::StakeError;

use crate::support::account;
use crate::support::tree::Tree;
use crate::support::world::{three_miners, World};

#[test]
fn a_leaf_pays_its_recipient_whoever_brings_the_proof() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.open(1, &tree);
        world.claim(&tree.claim(1)).unwrap();
        assert_eq!(world.chain.stake(account(22)), 20_000);
        assert_eq!(world.chain.stake(World::stranger()), 0);
        assert_eq!(world.owned(), World::FUNDS - 20_000);
        assert_eq!(
            world.contract.get_claimed_cumulative_rao(account(12)),
            20_000
        );
        assert_eq!(world.contract.get_epoch_info(1).unwrap().spent_rao, 20_000);
        assert_eq!(world.contract.get_outstanding_rao(), 103_000);
    });
}

#[test]
fn a_leaf_pays_once() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.open(1, &tree);
        world.claim(&tree.claim(0)).unwrap();
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::AlreadyClaimed));
        assert_eq!(world.chain.stake(account(21)), 100_000);
    });
}

#[test]
fn a_later_cumulative_amount_pays_only_the_difference() {
    World::tell(|world| {
        let first = three_miners(1);
        world.open(1, &first);
        world.claim(&first.claim(0)).unwrap();
        let second = Tree::of(
            2,
            &[
                (account(11), account(31), 130_000),
                (account(12), account(22), 20_000),
            ],
        );
        world.open(2, &second);
        world.claim(&second.claim(0)).unwrap();
        assert_eq!(world.chain.stake(account(21)), 100_000);
        assert_eq!(
            world.chain.stake(account(31)),
            30_000,
            "the new recipient gets what is new"
        );
        assert_eq!(
            world.contract.get_claimed_cumulative_rao(account(11)),
            130_000
        );
    });
}

#[test]
fn an_epoch_that_was_skipped_is_paid_with_the_next() {
    World::tell(|world| {
        world.open(1, &three_miners(1));
        let second = Tree::of(
            2,
            &[
                (account(11), account(21), 130_000),
                (account(12), account(22), 20_000),
            ],
        );
        world.open(2, &second);
        world.claim(&second.claim(0)).unwrap();
        world.claim(&second.claim(1)).unwrap();
        assert_eq!(world.chain.stake(account(21)), 130_000);
        assert_eq!(
            world.claim(&three_miners(1).claim(0)),
            Err(Error::NothingDue)
        );
        assert_eq!(world.contract.get_outstanding_rao(), 0);
    });
}

#[test]
fn an_older_epoch_can_be_claimed_after_others_claimed_the_newer() {
    World::tell(|world| {
        let first = Tree::of(1, &[(account(11), account(21), 100)]);
        world.open(1, &first);
        let second = Tree::of(
            2,
            &[
                (account(11), account(21), 100),
                (account(12), account(22), 100),
            ],
        );
        world.open(2, &second);
        world.claim(&second.claim(1)).unwrap();
        world.claim(&first.claim(0)).unwrap();
        assert_eq!(world.chain.stake(account(21)), 100);
    });
}

#[test]
fn two_leaves_of_one_hotkey_pay_the_larger_amount_in_all() {
    World::tell(|world| {
        let tree = Tree::of(
            1,
            &[
                (account(11), account(21), 50),
                (account(11), account(22), 80),
            ],
        );
        world.open(1, &tree);
        world.claim(&tree.claim(0)).unwrap();
        world.claim(&tree.claim(1)).unwrap();
        assert_eq!(
            (
                world.chain.stake(account(21)),
                world.chain.stake(account(22))
            ),
            (50, 30)
        );
    });
}

#[test]
fn claims_are_closed_to_the_last_block_of_the_window() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish(1, &tree).unwrap();
        let opens_at = world.contract.get_epoch_info(1).unwrap().claims_open_at;
        assert_eq!(opens_at, World::FIRST_BLOCK + CHALLENGE_BLOCKS);
        world.pass(CHALLENGE_BLOCKS - 1);
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::ClaimsNotOpen));
        world.pass(1);
        assert_eq!(world.block(), opens_at);
        assert_eq!(world.claim(&tree.claim(0)), Ok(()));
    });
}

#[test]
fn a_check_without_transfer_says_what_the_claim_would_say_and_changes_nothing() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish(1, &tree).unwrap();
        let check = |world: &mut World| world.by(account(99)).claim_single(tree.claim(0), false);
        assert_eq!(check(world), Err(Error::ClaimsNotOpen));
        world.pass_window();
        assert_eq!(check(world), Ok(()));
        assert_eq!(check(world), Ok(()));
        assert_eq!(world.owned(), World::FUNDS);
        assert_eq!(world.contract.get_claimed_cumulative_rao(account(11)), 0);
        assert_eq!(world.contract.get_epoch_info(1).unwrap().spent_rao, 0);
        world.claim(&tree.claim(0)).unwrap();
        assert_eq!(check(world), Err(Error::AlreadyClaimed));
    });
}

#[test]
fn nothing_is_paid_while_paused() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.open(1, &tree);
        world.by(World::owner()).pause().unwrap();
        assert!(world.contract.is_paused());
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::Paused));
        world.by(World::owner()).unpause().unwrap();
        assert_eq!(world.claim(&tree.claim(0)), Ok(()));
    });
}

#[test]
fn a_claim_of_an_epoch_that_was_never_published_is_refused() {
    World::tell(|world| {
        assert_eq!(
            world.claim(&three_miners(9).claim(0)),
            Err(Error::EpochUnknown)
        );
    });
}

/// Leaves that add up to more than the epoch declared are paid up to what it declared.
#[test]
fn payments_never_exceed_what_the_epoch_declared() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish_declaring(1, &tree, 110_000).unwrap();
        world.pass_window();
        world.claim(&tree.claim(0)).unwrap();
        assert_eq!(world.claim(&tree.claim(1)), Err(Error::EpochExhausted));
        assert_eq!(world.claim(&tree.claim(2)), Ok(()));
    });
}

/// An epoch's own total does not allow what all epochs together never declared.
#[test]
fn payments_never_exceed_what_was_declared_in_all() {
    World::tell(|world| {
        let first = Tree::of(1, &[(account(11), account(21), 1_000)]);
        world.open(1, &first);
        world.claim(&first.claim(0)).unwrap();
        let without_the_first = Tree::of(2, &[(account(12), account(22), 1_200)]);
        world.open(2, &without_the_first);
        assert_eq!(
            world.claim(&without_the_first.claim(0)),
            Err(Error::DeclaredExhausted)
        );
    });
}

/// While the newest epoch can be struck down, nobody is paid from what only it declared.
#[test]
fn payments_never_lean_on_an_epoch_that_may_still_fall() {
    World::tell(|world| {
        let first = Tree::of(
            1,
            &[
                (account(11), account(21), 1_000),
                (account(12), account(22), 1_000),
            ],
        );
        world.publish_declaring(1, &first, 1_500).unwrap();
        world.pass_window();
        world.claim(&first.claim(0)).unwrap();
        let second = Tree::of(2, &[(account(11), account(21), 5_000)]);
        world.publish(2, &second).unwrap();
        assert_eq!(world.claim(&first.claim(1)), Err(Error::EpochExhausted));
        assert_eq!(world.claim(&second.claim(0)), Err(Error::ClaimsNotOpen));
    });
}

#[test]
fn payments_never_exceed_what_the_contract_owns() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.open(1, &tree);
        world.chain.set_stake(account(0xcc), 99_999);
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::StakeTooLow));
        world.chain.set_stake(account(0xcc), 100_000);
        assert_eq!(world.claim(&tree.claim(0)), Ok(()));
    });
}

#[test]
fn a_stake_that_cannot_be_read_is_an_error_and_not_nothing() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.open(1, &tree);
        world.chain.become_unreadable();
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::ReadFailed));
        assert_eq!(world.publish(2, &tree), Err(Error::ReadFailed));
    });
}

/// The off-chain environment takes nothing back when a message fails, so after a refused transfer it shows what was
/// written before the stake moved: everything. (On the chain, an error reverts everything.)
#[test]
fn the_books_are_written_before_the_stake_moves() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.open(1, &tree);
        world.chain.refuse_transfers(13);
        assert_eq!(
            world.claim(&tree.claim(0)),
            Err(Error::TransferRefused(StakeError::AmountTooLow))
        );
        assert_eq!(
            world.contract.get_claimed_cumulative_rao(account(11)),
            100_000
        );
        assert_eq!(world.contract.get_epoch_info(1).unwrap().spent_rao, 100_000);
        assert_eq!(world.contract.get_outstanding_rao(), 23_000);
        world.chain.allow_transfers();
        assert_eq!(world.claim(&tree.claim(0)), Err(Error::AlreadyClaimed));
    });
}
