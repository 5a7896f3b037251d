//! Only the right role may do each thing.

use claim_contract::error::Error;
use claim_contract::ClaimContract;
use ink::primitives::{AccountId, Hash};

use crate::support::account;
use crate::support::chain::{HOTKEY, NETUID};
use crate::support::world::{three_miners, World};

fn everybody() -> [AccountId; 5] {
    [
        World::owner(),
        World::gate(),
        World::vetoer(),
        World::arbiter(),
        World::stranger(),
    ]
}

/// A deed by its name, who may do it, and what everybody else is told.
type Deed = (
    &'static str,
    fn() -> AccountId,
    Error,
    fn(&mut ClaimContract) -> Result<(), Error>,
);

fn deeds() -> Vec<Deed> {
    vec![
        ("publish", World::gate, Error::NotGate, |contract| {
            contract.publish_epoch(2, Hash::from([1; 32]), 1, 123_001, String::new())
        }),
        ("challenge", World::vetoer, Error::NotVetoer, |contract| {
            contract.challenge_epoch(1, Hash::from([1; 32]))
        }),
        (
            "strike down",
            World::arbiter,
            Error::NotArbiter,
            |contract| contract.resolve_challenge(1, true, account(9)),
        ),
        ("dismiss", World::arbiter, Error::NotArbiter, |contract| {
            contract.resolve_challenge(1, false, account(9))
        }),
        ("set gate", World::owner, Error::NotOwner, |contract| {
            contract.set_gate(account(9))
        }),
        ("set vetoer", World::owner, Error::NotOwner, |contract| {
            contract.set_vetoer(account(9))
        }),
        ("set arbiter", World::owner, Error::NotOwner, |contract| {
            contract.set_arbiter(account(9))
        }),
        ("pause", World::owner, Error::NotOwner, ClaimContract::pause),
        (
            "unpause",
            World::owner,
            Error::NotOwner,
            ClaimContract::unpause,
        ),
        ("set floor", World::owner, Error::NotOwner, |contract| {
            contract.set_reserve_floor_rao(1)
        }),
        ("capture floor", World::owner, Error::NotOwner, |contract| {
            contract.capture_reserve_floor_rao().map(|_| ())
        }),
        ("take out", World::owner, Error::NotOwner, |contract| {
            contract.transfer_stake_safety(account(9), 1)
        }),
    ]
}

/// The state in which a deed is possible: publishing after a window, challenging in one, deciding in a dispute.
fn prepare(world: &mut World, deed: &str) {
    world.publish(1, &three_miners(1)).unwrap();
    match deed {
        "publish" => world.pass_window(),
        "strike down" | "dismiss" => world.challenge(1).unwrap(),
        _ => {}
    }
}

#[test]
fn each_deed_is_done_by_its_role_and_by_nobody_else() {
    for (name, role, refusal, deed) in deeds() {
        World::tell(|world| {
            prepare(world, name);
            for caller in everybody().into_iter().filter(|caller| *caller != role()) {
                assert_eq!(deed(world.by(caller)), Err(refusal), "{name} by {caller:?}");
            }
            assert_eq!(deed(world.by(role())), Ok(()), "{name}");
        });
    }
}

/// Whether the runtime accepts the call is for the chain to show; here, nobody else gets so far.
#[test]
fn nobody_but_the_owner_registers_the_hotkey() {
    World::tell(|world| {
        for caller in everybody().into_iter().skip(1) {
            assert_eq!(
                world.by(caller).burned_register_contract_hotkey(),
                Err(Error::NotOwner)
            );
        }
    });
}

#[test]
fn a_role_that_was_given_away_is_lost() {
    World::tell(|world| {
        world.by(World::owner()).set_gate(account(9)).unwrap();
        assert_eq!(world.publish(1, &three_miners(1)), Err(Error::NotGate));
        let tree = three_miners(1);
        let published = world.by(account(9)).publish_epoch(
            1,
            tree.root(),
            tree.len(),
            tree.total_rao(),
            String::new(),
        );
        assert_eq!(published, Ok(()));
    });
}

#[test]
fn whoever_instantiates_the_contract_has_all_roles() {
    World::tell(|world| {
        for constructor in [ClaimContract::new, ClaimContract::default] {
            world.by(account(9));
            let contract = constructor(NETUID, AccountId::from(HOTKEY));
            assert_eq!(contract.get_owner(), account(9));
            assert_eq!(contract.get_gate(), account(9));
            assert_eq!(contract.get_vetoer(), account(9));
            assert_eq!(contract.get_arbiter(), account(9));
            assert_eq!(contract.get_contract_hotkey(), AccountId::from(HOTKEY));
            assert!(!contract.is_paused());
        }
    });
}

#[test]
fn the_views_tell_who_has_which_role() {
    World::tell(|world| {
        assert_eq!(world.contract.get_owner(), World::owner());
        assert_eq!(world.contract.get_gate(), World::gate());
        assert_eq!(world.contract.get_vetoer(), World::vetoer());
        assert_eq!(world.contract.get_arbiter(), World::arbiter());
        assert_eq!(world.contract.get_challenge_blocks(), 3_600);
    });
}
