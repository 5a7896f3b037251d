//! The compiled contract in a contracts pallet: that it is accepted there, that what the rules promise holds after
//! compilation, that a refused message leaves nothing behind, and what a claim costs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails where it unwraps"
)]

mod pallet;
mod path;
mod runtime;

use claim_contract::epoch::{Epoch, CHALLENGE_BLOCKS};
use claim_contract::error::{Error, Result};
use claim_contract::stake::StakeError;
use ink::env::hash::Blake2x256;
use ink::primitives::{AccountId, Hash};
use ink::scale::Encode;

use pallet::World;
use path::Path;

const AMOUNT: u64 = 100_000;

fn publish(world: &mut World, epoch: u64, path: &Path) -> Result<()> {
    let args = (
        epoch,
        path.root(),
        path.leaves(),
        AMOUNT,
        "https://pool.example/epoch/1",
    );
    world.send("publish_epoch", &args)
}

/// A contract with stake and an open epoch, of which `path` is one leaf.
fn open(path: &Path, world: &mut World) {
    world.set_stake(world.contract(), 1_000_000);
    publish(world, 1, path).unwrap();
    world.pass(CHALLENGE_BLOCKS);
}

/// A tree of a million leaves: proofs of 20 elements.
fn one_of_a_million(world: &World) -> Path {
    Path::of(world.contract(), 1, 654_321, 1 << 20, AMOUNT)
}

#[test]
fn a_claim_is_paid_once_and_within_the_gas_that_clients_pass() {
    let mut world = World::new();
    let path = one_of_a_million(&world);
    open(&path, &mut world);
    assert_eq!(world.send("claim_single", &(path.claim(), true)), Ok(()));
    let gas = world.gas_of_last_call();
    println!(
        "a claim with {} proof elements: {} ref time, {} proof size",
        path.claim().proof.len(),
        gas.ref_time(),
        gas.proof_size()
    );
    assert_eq!(world.stake(path.claim().recipient_coldkey), AMOUNT);
    assert_eq!(world.stake(world.contract()), 1_000_000 - AMOUNT);
    let again: Result<()> = world.send("claim_single", &(path.claim(), true));
    assert_eq!(again, Err(Error::AlreadyClaimed));
    assert_eq!(world.stake(path.claim().recipient_coldkey), AMOUNT);
}

#[test]
fn a_transfer_that_the_chain_refuses_leaves_nothing_behind() {
    let mut world = World::new();
    let path = one_of_a_million(&world);
    open(&path, &mut world);
    world.refuse_transfers(Some(13));
    let refused: Result<()> = world.send("claim_single", &(path.claim(), true));
    assert_eq!(
        refused,
        Err(Error::TransferRefused(StakeError::AmountTooLow))
    );
    let claimed: u64 = world.ask("get_claimed_cumulative_rao", &path.claim().hotkey);
    let epoch: Result<Epoch> = world.ask("get_epoch_info", &1_u64);
    let outstanding: u64 = world.ask("get_outstanding_rao", &());
    assert_eq!(
        (claimed, epoch.unwrap().spent_rao, outstanding),
        (0, 0, AMOUNT)
    );
    world.refuse_transfers(None);
    assert_eq!(world.send("claim_single", &(path.claim(), true)), Ok(()));
}

#[test]
fn a_check_changes_nothing() {
    let mut world = World::new();
    let path = one_of_a_million(&world);
    open(&path, &mut world);
    assert_eq!(world.send("claim_single", &(path.claim(), false)), Ok(()));
    assert_eq!(world.stake(path.claim().recipient_coldkey), 0);
    assert_eq!(world.send("claim_single", &(path.claim(), true)), Ok(()));
}

#[test]
fn a_proof_of_something_else_is_refused() {
    let mut world = World::new();
    let path = one_of_a_million(&world);
    open(&path, &mut world);
    let mut more = path.claim();
    more.amount += 1;
    assert_eq!(
        world.send::<()>("claim_single", &(more, true)),
        Err(Error::ProofInvalid)
    );
    let mut shorter = path.claim();
    shorter.proof.pop();
    assert_eq!(
        world.send::<()>("claim_single", &(shorter, true)),
        Err(Error::ProofLengthWrong)
    );
}

#[test]
fn an_epoch_lives_through_challenge_and_decision() {
    let mut world = World::new();
    let path = one_of_a_million(&world);
    world.set_stake(world.contract(), 1_000_000);
    publish(&mut world, 1, &path).unwrap();
    let early: Result<()> = world.send("claim_single", &(path.claim(), true));
    assert_eq!(early, Err(Error::ClaimsNotOpen));
    let evidence = Hash::from([0xee; 32]);
    assert_eq!(world.send("challenge_epoch", &(1_u64, evidence)), Ok(()));
    world.pass(CHALLENGE_BLOCKS);
    let disputed: Result<()> = world.send("claim_single", &(path.claim(), true));
    assert_eq!(disputed, Err(Error::EpochDisputed));
    let nobody = AccountId::from([0; 32]);
    assert_eq!(
        world.send("resolve_challenge", &(1_u64, true, nobody)),
        Ok(())
    );
    let void: Result<()> = world.send("claim_single", &(path.claim(), true));
    assert_eq!(void, Err(Error::EpochVoid));
    let outstanding: u64 = world.ask("get_outstanding_rao", &());
    assert_eq!(outstanding, 0);
}

/// The pool's verifier finds an epoch's file by this event, which it reads in this encoding.
#[test]
fn a_publication_is_told_as_watchers_read_it() {
    let mut world = World::new();
    let path = one_of_a_million(&world);
    world.set_stake(world.contract(), 1_000_000);
    publish(&mut world, 1, &path).unwrap();
    let uri = "https://pool.example/epoch/1";
    let told = (1_u64, path.root(), AMOUNT, uri).encode();
    let mut signature = [0; 32];
    ink::env::hash_bytes::<Blake2x256>(b"EpochPublished(u64,Hash,u64,String)", &mut signature);
    let emitted = world.emitted();
    assert_eq!(emitted.len(), 1);
    assert_eq!(emitted[0].0, told);
    assert_eq!(emitted[0].1[0], signature);
}

#[test]
fn who_owns_nothing_can_ask() {
    let mut world = World::new();
    world.call_as_contract();
    let latest: Option<u64> = world.ask("get_latest_published_epoch", &());
    assert_eq!(latest, None);
}

#[test]
fn a_stranger_is_refused() {
    let mut world = World::new();
    world.call_as_stranger();
    for message in ["pause", "unpause", "capture_reserve_floor_rao"] {
        assert_eq!(
            world.send::<()>(message, &()),
            Err(Error::NotOwner),
            "{message}"
        );
    }
    let path = one_of_a_million(&world);
    assert_eq!(publish(&mut world, 1, &path), Err(Error::NotGate));
}
