//! Every change is announced, with what a watcher needs.

use ink::env::test::recorded_events;
use ink::primitives::Hash;
use ink::scale::{Decode, Encode};

use claim_contract::events::Role;

use crate::support::account;
use crate::support::world::{three_miners, World};

/// The data and the second topic of the newest event; the first topic is its signature.
fn newest() -> (Vec<u8>, Vec<Vec<u8>>) {
    let event = recorded_events().last().expect("nothing was announced");
    (event.data, event.topics)
}

fn assert_announced(what: &str, expected: &impl Encode) {
    let (data, topics) = newest();
    assert_eq!(data, expected.encode(), "{what}");
    let signature = {
        let mut hash = [0; 32];
        ink::env::hash_bytes::<ink::env::hash::Blake2x256>(what.as_bytes(), &mut hash);
        hash
    };
    assert_eq!(
        topics.first().map(Vec::as_slice),
        Some(&signature[..]),
        "{what}"
    );
}

#[test]
fn the_life_of_an_epoch_is_announced() {
    World::tell(|world| {
        let tree = three_miners(1);
        world.publish(1, &tree).unwrap();
        let uri = "https://pool.example/epoch/1";
        assert_announced(
            "EpochPublished(u64,Hash,u64,String)",
            &(1_u64, tree.root(), 123_000_u64, uri),
        );
        assert_eq!(
            u64::decode(&mut &newest().1[1][..]),
            Ok(1),
            "the epoch is a topic"
        );
        world.challenge(1).unwrap();
        assert_announced(
            "Challenged(u64,Hash,AccountId)",
            &(1_u64, Hash::from([0xee; 32]), World::vetoer()),
        );
        world.resolve(1, false).unwrap();
        assert_announced(
            "ChallengeResolved(u64,bool,AccountId)",
            &(1_u64, false, World::arbiter()),
        );
    });
}

#[test]
fn a_claim_announces_what_was_transferred_and_to_whom() {
    World::tell(|world| {
        let first = three_miners(1);
        world.open(1, &first);
        world.claim(&first.claim(2)).unwrap();
        let second = crate::support::tree::Tree::of(2, &[(account(13), account(33), 123_000)]);
        world.open(2, &second);
        world.claim(&second.claim(0)).unwrap();
        assert_announced(
            "Claimed(u64,u32,AccountId,AccountId,u64)",
            &(2_u64, 0_u32, account(13), account(33), 120_000_u64),
        );
    });
}

#[test]
fn what_the_owner_does_is_announced() {
    World::tell(|world| {
        world.by(World::owner()).set_vetoer(account(9)).unwrap();
        assert_announced("RoleChanged(Role,AccountId)", &(Role::Vetoer, account(9)));
        world.by(World::owner()).pause().unwrap();
        assert_announced("PauseChanged(bool)", &true);
        world.by(World::owner()).set_reserve_floor_rao(5).unwrap();
        assert_announced("ReserveFloorChanged(u64)", &5_u64);
        world
            .by(World::owner())
            .transfer_stake_safety(account(9), 6)
            .unwrap();
        assert_announced("StakeWithdrawn(AccountId,u64)", &(account(9), 6_u64));
    });
}
