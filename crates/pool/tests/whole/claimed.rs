//! What was claimed, read from the stand-in and told by the service.

use std::collections::BTreeMap;

use pool::Rao;
use pool::chain::{Books, BooksSeen, ChainError, Paid};
use pool::claimed::{ClaimedError, Look, keep};
use pool::store::{State, StoreError};
use protocol::Sha256Digest;
use protocol::ss58::Address;
use serde_json::{Value, json};

use crate::chain::{STEPS, forged, publish_all, publisher, sees_void};
use crate::common::{Backend, Pool, coldkey, key, now, order, snapshot};
use crate::world::World;

on_both_databases! {
    before_a_publisher_has_read_it_nothing_is_reported,
    an_amount_is_there_after_its_claim_with_the_block_of_the_reading,
    a_quiet_chain_is_asked_about_no_miner,
    a_claim_behind_a_publication_of_the_same_amount_is_seen,
    a_chain_that_tells_nothing_leaves_the_reading_and_publishing_goes_on,
    a_node_that_is_behind_takes_nothing_back,
    the_miners_are_those_of_the_newest_standing_epoch,
    another_contracts_epoch_is_not_asked_about,
    a_reading_replaces_the_one_before_as_a_whole,
}

const ROUTE: &str = "/claims/claimed";

fn hotkey(n: u8) -> Address {
    key(n).hotkey().address()
}

/// What the service should tell.
fn told(block: u64, amounts: &[(u8, u64)]) -> (u16, Value) {
    let mut amounts: Vec<_> = amounts.iter().map(|(n, rao)| (hotkey(*n), rao)).collect();
    amounts.sort_unstable();
    let claimed: Vec<Value> = amounts
        .into_iter()
        .map(|(hotkey, rao)| json!({"hotkey": hotkey, "amount_rao": rao.to_string()}))
        .collect();
    (200, json!({"block": block, "claimed": claimed}))
}

/// A pool whose epoch 1, of these miners in equal parts, is on the chain.
async fn published(backend: Backend, seed: u64, miners: &[u8]) -> (Pool, World) {
    let pool = Pool::start(backend).await;
    for n in miners {
        pool.map(&key(*n), coldkey(*n), now()).await;
    }
    let world = World::new(seed);
    next_epoch(&pool, &world, 1, miners).await;
    (pool, world)
}

async fn next_epoch(pool: &Pool, world: &World, epoch: u64, miners: &[u8]) {
    let shares: Vec<_> = miners.iter().map(|n| (*n, 1)).collect();
    pool.build(epoch, snapshot(&shares)).await.unwrap();
    publish_all(&publisher(pool, world.clone())).await;
}

/// Looks until an answer comes back.
async fn look(pool: &Pool, world: &World) -> Look {
    for _ in 0..STEPS {
        match keep(&pool.store, &pool.blobs, world).await {
            Ok(look) => return look,
            Err(ClaimedError::Chain(ChainError::Unreachable(_))) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no answer comes back");
}

/// Looks until the amounts are read again; tells of which block.
async fn reading(pool: &Pool, world: &World, miners: usize) -> u64 {
    for _ in 0..STEPS {
        if let Look::Read {
            finalized_block,
            hotkeys,
        } = look(pool, world).await
        {
            assert_eq!(hotkeys, miners);
            return finalized_block;
        }
    }
    panic!("nothing is read");
}

async fn before_a_publisher_has_read_it_nothing_is_reported(backend: Backend) {
    let pool = Pool::start(backend).await;
    let (status, body) = pool.get(ROUTE).await;
    assert_eq!((status, &body["code"]), (404, &json!("not_reported")));
    let world = World::new(20);
    assert_eq!(look(&pool, &world).await, Look::Nothing);
    pool.map(&key(1), coldkey(1), now()).await;
    pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    assert_eq!(look(&pool, &world).await, Look::Nothing, "not published");
    pool.store.set_published(1).await.unwrap();
    assert_eq!(pool.get(ROUTE).await.0, 404, "there is no publisher");
    assert_eq!(world.with(|state| state.asked), 0);
    let (_, document) = pool.get("/openapi.json").await;
    assert!(document["paths"][ROUTE]["get"]["responses"]["404"].is_object());
}

async fn an_amount_is_there_after_its_claim_with_the_block_of_the_reading(backend: Backend) {
    let (pool, world) = published(backend, 21, &[1, 2, 3]).await;
    let block = reading(&pool, &world, 3).await;
    assert_eq!(pool.get(ROUTE).await, told(block, &[]));
    world.pay(hotkey(2), 250);
    world.pay(hotkey(1), 70);
    let later = reading(&pool, &world, 3).await;
    assert!(later > block);
    assert_eq!(pool.get(ROUTE).await, told(later, &[(1, 70), (2, 250)]));
    world.pay(hotkey(2), 50);
    let later = reading(&pool, &world, 3).await;
    assert_eq!(pool.get(ROUTE).await, told(later, &[(1, 70), (2, 300)]));
}

async fn a_quiet_chain_is_asked_about_no_miner(backend: Backend) {
    let (pool, world) = published(backend, 22, &[1, 2]).await;
    reading(&pool, &world, 2).await;
    world.pay(hotkey(1), 70);
    let read_at = reading(&pool, &world, 2).await;
    let asked = world.with(|state| state.asked);
    for _ in 0..30 {
        assert_eq!(look(&pool, &world).await, Look::Current);
    }
    assert_eq!(world.with(|state| state.asked), asked);
    let (_, body) = pool.get(ROUTE).await;
    let block = body["block"].as_u64().unwrap();
    assert!(block >= read_at + 30, "what holds still is told as of now");
    assert_eq!((200, body), told(block, &[(1, 70)]));
}

async fn a_claim_behind_a_publication_of_the_same_amount_is_seen(backend: Backend) {
    let (pool, world) = published(backend, 23, &[1]).await;
    reading(&pool, &world, 1).await;
    let owed = pool.store.claimed_reading().await.unwrap().unwrap();
    let owed = owed.seen.books.outstanding_rao;
    // All of it is claimed and promised again on one block, of which the database does
    // not know: what is owed is what it was.
    let mut second = pool::epoch::EpochFile::parse(&pool.file(1).await).unwrap();
    second.total_rao.0 += owed.0;
    let (published, uri) = forged(&pool, &second);
    world.pay(hotkey(1), owed.0);
    world.publish(2, published, uri);
    let block = reading(&pool, &world, 1).await;
    assert_eq!(pool.get(ROUTE).await, told(block, &[(1, owed.0)]));
    let after = pool.store.claimed_reading().await.unwrap().unwrap();
    assert_eq!(after.seen.books.outstanding_rao, owed);
}

async fn a_chain_that_tells_nothing_leaves_the_reading_and_publishing_goes_on(backend: Backend) {
    let (pool, world) = published(backend, 24, &[1]).await;
    let block = reading(&pool, &world, 1).await;
    world.pay(hotkey(1), 70);
    world.with(|state| state.hides_payments = true);
    next_epoch(&pool, &world, 2, &[1]).await;
    for _ in 0..5 {
        let refused = keep(&pool.store, &pool.blobs, &world).await.unwrap_err();
        assert!(matches!(refused, ClaimedError::Chain(_)), "{refused}");
        assert_eq!(pool.get(ROUTE).await, told(block, &[]));
    }
    next_epoch(&pool, &world, 3, &[1]).await;
    let rows = pool.store.epochs().await.unwrap();
    assert!(rows.iter().all(|row| row.state == State::Published));
    world.with(|state| state.hides_payments = false);
    let later = reading(&pool, &world, 1).await;
    assert_eq!(pool.get(ROUTE).await, told(later, &[(1, 70)]));
}

async fn a_node_that_is_behind_takes_nothing_back(backend: Backend) {
    let (pool, world) = published(backend, 25, &[1]).await;
    reading(&pool, &world, 1).await;
    world.pay(hotkey(1), 70);
    let block = reading(&pool, &world, 1).await;
    let before = pool.get(ROUTE).await;
    assert_eq!(before, told(block, &[(1, 70)]));
    // So far that the payment is unheard of.
    world.fall_behind(block / 2);
    assert_eq!(look(&pool, &world).await, Look::Current);
    assert_eq!(pool.get(ROUTE).await, before);
}

async fn the_miners_are_those_of_the_newest_standing_epoch(backend: Backend) {
    let (pool, world) = published(backend, 26, &[1]).await;
    reading(&pool, &world, 1).await;
    pool.map(&key(2), coldkey(2), now()).await;
    next_epoch(&pool, &world, 2, &[1, 2]).await;
    reading(&pool, &world, 2).await;
    world.strike_down(2);
    sees_void(&publisher(&pool, world.clone()), 2).await;
    reading(&pool, &world, 1).await;
}

async fn another_contracts_epoch_is_not_asked_about(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let mut order = order(1, snapshot(&[(1, 1)]));
    order.contract = coldkey(9);
    pool::build::build(&pool.store, &pool.blobs, &order)
        .await
        .unwrap();
    pool.store.set_published(1).await.unwrap();
    assert_eq!(look(&pool, &World::new(27)).await, Look::Nothing);
}

async fn a_reading_replaces_the_one_before_as_a_whole(backend: Backend) {
    let pool = Pool::start(backend).await;
    let paid = |finalized_block, latest_epoch, amounts: &[(u8, u64)]| Paid {
        seen: BooksSeen {
            finalized_block,
            books: Books {
                latest_epoch,
                outstanding_rao: Rao(u64::MAX),
            },
        },
        amounts: amounts
            .iter()
            .map(|(n, rao)| (hotkey(*n), Rao(*rao)))
            .collect(),
    };
    let file = Sha256Digest::of(b"an epoch file");
    let most = [(1, u64::MAX), (2, 5), (3, 0), (4, 9)];
    let first = paid(70, Some(u64::MAX), &most);
    pool.store.keep_claimed(file, &first).await.unwrap();
    let paid_to: Vec<_> = most.into_iter().filter(|(_, rao)| *rao > 0).collect();
    assert_eq!(pool.get(ROUTE).await, told(70, &paid_to));
    let kept = pool.store.claimed_reading().await.unwrap().unwrap();
    assert_eq!((kept.file_sha256, kept.seen), (file, first.seen));

    let second = paid(71, None, &[(2, 6), (4, 9)]);
    pool.store.keep_claimed(file, &second).await.unwrap();
    assert_eq!(pool.get(ROUTE).await, told(71, &[(2, 6), (4, 9)]));
    let kept = pool.store.claimed_reading().await.unwrap().unwrap();
    assert_eq!(kept.seen, second.seen);

    let other = Sha256Digest::of(b"another epoch file");
    for (digest, block, holds_at) in [(file, 80, 80), (file, 79, 80), (other, 81, 80)] {
        pool.store.claimed_still_holds(digest, block).await.unwrap();
        assert_eq!(pool.get(ROUTE).await, told(holds_at, &[(2, 6), (4, 9)]));
    }

    // A number of a block that no database has: nothing of such a reading is kept.
    let unfit = paid(u64::MAX, None, &[(2, 7)]);
    let refused = pool.store.keep_claimed(file, &unfit).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Unreadable { .. }),
        "{refused}"
    );
    let kept = pool.store.claimed().await.unwrap().unwrap();
    let amounts = BTreeMap::from([(hotkey(2), Rao(6)), (hotkey(4), Rao(9))]);
    assert_eq!((kept.finalized_block, kept.amounts), (80, amounts));
}
