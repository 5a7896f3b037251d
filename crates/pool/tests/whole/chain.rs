//! Publisher and verifier against the stand-in.

use std::sync::atomic::AtomicU64;

use pool::Blobs;
use pool::chain::{Call, ChainError, Published, SignedCall};
use pool::delivery::{DeliveryError, publish_name};
use pool::download::Downloader;
use pool::publisher::{PublishError, Publisher, Step as Publishing};
use pool::store::{State, Store, StoreError, Verdict};
use pool::verifier::{Role, Step, Verifier, WatchError};

use crate::common::{Backend, Pool, coldkey, key, now, snapshot};
use crate::world::World;

on_both_databases! {
    each_epoch_is_published_once_over_a_chain_that_loses_things,
    an_epoch_that_is_on_the_chain_with_another_root_is_never_sent,
    a_wrong_epoch_is_challenged_once_and_told_by_who_may_not,
    a_withheld_document_decides_nothing,
    an_epoch_far_away_is_challenged_at_once,
    what_is_for_another_contract_is_not_published,
    what_was_struck_down_is_stood_on_by_nobody,
    what_was_only_tried_is_taken_back_and_what_was_signed_is_not,
    a_number_far_above_one_that_was_struck_down_is_no_leap,
    a_node_that_tells_of_less_than_before_makes_no_leap,
    a_number_that_a_stranger_spent_is_left_out,
}

/// More steps than any of these tests needs.
pub(crate) const STEPS: usize = 5_000;

pub(crate) fn publisher(pool: &Pool, chain: World) -> Publisher<World> {
    Publisher {
        store: pool.store.clone(),
        blobs: pool.blobs.clone(),
        chain,
        uri_prefix: format!("{}/claims/documents/", pool.url),
        account: coldkey(77),
    }
}

async fn verifier(pool: &Pool, name: &str, chain: World, role: Role) -> Verifier<World> {
    let directory = pool.directory.path().join(name);
    std::fs::create_dir(&directory).unwrap();
    let database = format!("sqlite://{}/verifier.db", directory.display());
    Verifier {
        store: Store::open(&database).await.unwrap(),
        blobs: Blobs::in_directory(directory.join("data")),
        chain,
        downloader: Downloader::new().unwrap(),
        role,
        passed: AtomicU64::new(0),
        newest_void: AtomicU64::new(0),
    }
}

pub(crate) async fn publish_all(publisher: &Publisher<World>) {
    for _ in 0..STEPS {
        match publisher.step().await {
            Ok(Publishing::Idle) => return,
            Ok(_)
            | Err(PublishError::Delivery(DeliveryError::Chain(ChainError::Unreachable(_)))) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("not published");
}

/// Steps until there is nothing to do; returns what was found.
async fn watch(verifier: &Verifier<World>) -> Vec<Step> {
    let mut found = Vec::new();
    for _ in 0..STEPS {
        match verifier.step().await {
            Ok(Step::Idle) => return found,
            Ok(step) if found.last() != Some(&step) => found.push(step),
            Ok(_)
            | Err(
                WatchError::Chain(ChainError::Unreachable(_))
                | WatchError::Delivery(DeliveryError::Chain(ChainError::Unreachable(_))),
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("still watching");
}

async fn each_epoch_is_published_once_over_a_chain_that_loses_things(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let world = World::new(1);
    let publisher = publisher(&pool, world.clone());
    let twin = Publisher {
        chain: world.clone(),
        ..self::publisher(&pool, world.clone())
    };
    let mut roots = Vec::new();
    for epoch in 1..=10 {
        roots.push(pool.build(epoch, snapshot(&[(1, 1)])).await.unwrap().root);
        for _ in 0..3 {
            // Two publishers by mistake, taking turns.
            let _ = publisher.step().await;
            let _ = twin.step().await;
        }
        publish_all(&publisher).await;
    }
    let sent: Vec<_> = world.with(|state| state.executed.clone());
    let sent: Vec<_> = sent
        .into_iter()
        .map(|call| match call {
            Call::PublishEpoch { epoch, root, .. } => (epoch, root),
            other @ Call::ChallengeEpoch { .. } => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<_> = (1..=10).zip(roots).collect();
    assert_eq!(sent, expected);
    let rows = pool.store.epochs().await.unwrap();
    assert!(rows.iter().all(|row| row.state == State::Published));
    let verifier = verifier(&pool, "v", world, Role::Vetoer).await;
    let right: Vec<_> = (1..=10).map(Step::Right).collect();
    assert_eq!(watch(&verifier).await, right);
    assert!(
        pool.store.thaw(10).await.is_err(),
        "it cannot be taken back"
    );
}

async fn an_epoch_that_is_on_the_chain_with_another_root_is_never_sent(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let world = World::new(2);
    let mine = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let (mut other, uri) = forged(&pool, &mine);
    other.root = protocol::claims::MerkleHash::of(b"another");
    world.publish(1, other, uri);
    let publisher = publisher(&pool, world.clone());
    for _ in 0..STEPS {
        match publisher.step().await {
            Err(PublishError::Delivery(DeliveryError::Conflict { epoch: 1, .. })) => {
                assert_eq!(world.with(|state| state.executed.len()), 0);
                return;
            }
            Err(PublishError::Delivery(DeliveryError::Chain(_))) => {}
            // The forged epoch is not final yet, so ours may be under way.
            other => panic!("{other:?}"),
        }
    }
    panic!("no conflict was seen");
}

/// What a publisher would put on the chain for this file.
pub(crate) fn forged(pool: &Pool, file: &pool::epoch::EpochFile) -> (Published, String) {
    let digest = pool.blobs.put(&file.to_bytes()).unwrap();
    let published = Published {
        root: file.root,
        num_of_leaves: file.num_of_leaves,
        total_rao: file.total_rao,
        is_disputed: false,
        is_void: false,
        claims_open_at: 100,
    };
    (published, format!("{}/claims/documents/{digest}", pool.url))
}

async fn a_wrong_epoch_is_challenged_once_and_told_by_who_may_not(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    pool.map(&key(2), coldkey(2), now()).await;
    let world = World::new(3);
    let mut file = pool.build(1, snapshot(&[(1, 1), (2, 1)])).await.unwrap();
    file.leaves[0].amount_rao.0 += 5;
    file.root = file.tree().unwrap().root();
    file.total_rao.0 += 5;
    let (published, uri) = forged(&pool, &file);
    world.publish(1, published, uri);

    let watcher = verifier(&pool, "watcher", world.clone(), Role::Watcher).await;
    let told = watch(&watcher).await;
    let [Step::Wrong { epoch: 1, evidence }] = told[..] else {
        panic!("{told:?}");
    };
    let text = String::from_utf8(watcher.blobs.get(evidence).unwrap()).unwrap();
    assert!(text.contains("leaves[0]"), "{text}");
    assert_eq!(world.with(|state| state.executed.len()), 0);

    let vetoer = verifier(&pool, "vetoer", world.clone(), Role::Vetoer).await;
    let steps = watch(&vetoer).await;
    assert_eq!(steps.last(), Some(&Step::Challenged(1)), "{steps:?}");
    assert_eq!(watch(&vetoer).await, [], "once");
    let sent = world.with(|state| state.executed.clone());
    let hash = protocol::claims::MerkleHash::from_bytes(*evidence.as_bytes());
    let expected = Call::ChallengeEpoch {
        epoch: 1,
        evidence_hash: hash,
    };
    assert_eq!(sent, [expected], "two verifiers find the same evidence");
    let checks = vetoer.store.checks().await.unwrap();
    assert_eq!(checks[0].verdict, Verdict::Wrong);
}

async fn a_withheld_document_decides_nothing(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let world = World::new(4);
    let file = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let (published, uri) = forged(&pool, &file);
    world.publish(1, published, uri);
    let path = pool.blobs.path(file.inputs.snapshot_sha256);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let verifier = verifier(&pool, "v", world, Role::Vetoer).await;
    let mut steps = 0;
    let error = loop {
        match verifier.step().await {
            Err(WatchError::Chain(_)) | Ok(Step::Idle) if steps < STEPS => steps += 1,
            other => break other.unwrap_err(),
        }
    };
    let told = error.to_string();
    assert!(
        matches!(error, WatchError::Withheld { epoch: 1, .. }),
        "{told}"
    );
    assert!(told.contains("claims open at block 100"), "{told}");
    assert_eq!(verifier.store.checks().await.unwrap(), []);
    std::fs::write(path, bytes).unwrap();
    assert_eq!(watch(&verifier).await, [Step::Right(1)]);
}

async fn an_epoch_far_away_is_challenged_at_once(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let world = World::new(6);
    let file = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let (published, uri) = forged(&pool, &file);
    world.publish(1, published.clone(), uri.clone());
    let verifier = verifier(&pool, "v", world.clone(), Role::Vetoer).await;
    assert_eq!(watch(&verifier).await, [Step::Right(1)]);
    // No verifier would live to count up to it.
    world.publish(u64::MAX, published, uri);
    let steps = loop {
        // There is nothing to do until the stand-in has finalized it.
        let steps = watch(&verifier).await;
        if !steps.is_empty() {
            break steps;
        }
    };
    assert_eq!(steps.last(), Some(&Step::Challenged(u64::MAX)), "{steps:?}");
}

async fn what_is_for_another_contract_is_not_published(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let mut order = crate::common::order(1, snapshot(&[(1, 1)]));
    order.contract = coldkey(9);
    pool::build::build(&pool.store, &pool.blobs, &order)
        .await
        .unwrap();
    let refused = publisher(&pool, World::new(7)).step().await.unwrap_err();
    assert!(
        matches!(refused, PublishError::Contract { epoch: 1, .. }),
        "{refused}"
    );
}

/// Steps until the publisher sees that an epoch is void.
pub(crate) async fn sees_void(publisher: &Publisher<World>, epoch: u64) {
    for _ in 0..STEPS {
        match publisher.step().await {
            Ok(Publishing::StruckDown(seen)) if seen == epoch => return,
            Ok(_)
            | Err(PublishError::Delivery(
                DeliveryError::Conflict { .. } | DeliveryError::Chain(_),
            )) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("epoch {epoch} is not seen as void");
}

async fn what_was_struck_down_is_stood_on_by_nobody(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let world = World::new(8);
    let publisher = publisher(&pool, world.clone());
    let verifier = verifier(&pool, "v", world.clone(), Role::Vetoer).await;
    let first = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    publish_all(&publisher).await;
    pool.build(2, snapshot(&[(1, 1)])).await.unwrap();
    publish_all(&publisher).await;
    assert_eq!(watch(&verifier).await, [Step::Right(1), Step::Right(2)]);

    // Somebody else's arbiter, wrong or not. The next epoch is built before it is seen.
    world.strike_down(2);
    pool.build(3, snapshot(&[(1, 1)])).await.unwrap();
    sees_void(&publisher, 2).await;
    let (status, _) = pool.get("/claims/epoch/2").await;
    assert_eq!(status, 404);
    let baseless = loop {
        match publisher.step().await {
            Err(PublishError::Delivery(DeliveryError::Chain(_))) => {}
            other => break other.unwrap_err(),
        }
    };
    assert!(matches!(baseless, PublishError::Baseless(3)), "{baseless}");
    pool.store.thaw(3).await.unwrap();
    let third = pool.build(3, snapshot(&[(1, 1)])).await.unwrap();
    assert_eq!(third.inputs.previous_sha256, Some(first.digest()));
    publish_all(&publisher).await;
    assert_eq!(watch(&verifier).await, [Step::Right(3)]);
}

async fn what_was_only_tried_is_taken_back_and_what_was_signed_is_not(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let file = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let call = Call::PublishEpoch {
        epoch: 1,
        root: file.root,
        num_of_leaves: file.num_of_leaves,
        total_rao: file.total_rao,
        uri: format!("https://pool/{}", file.digest()),
    };
    let name = publish_name(1);
    // As far as a publisher comes whose dry run the contract refuses, again and again.
    pool.store.delivery(&name, &call).await.unwrap();
    pool.store.thaw(1).await.unwrap();
    let meanwhile = pool.store.delivery(&name, &call).await;
    assert!(
        matches!(meanwhile, Err(StoreError::State { epoch: 1, .. })),
        "a publisher that read the epoch before goes no further: {meanwhile:?}"
    );
    pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let begun = pool.store.delivery(&name, &call).await.unwrap();
    let signed = SignedCall {
        hex: "0x00".to_owned(),
        valid_until_block: 9,
    };
    let mut before = call.clone();
    if let Call::PublishEpoch { uri, .. } = &mut before {
        uri.insert(0, 'x');
    }
    assert!(
        !pool
            .store
            .keep_signed(&name, &before, begun.attempt, &signed)
            .await
            .unwrap(),
        "what was signed for the epoch before it was built anew is not kept for this one"
    );
    assert!(
        pool.store
            .keep_signed(&name, &call, begun.attempt, &signed)
            .await
            .unwrap()
    );
    let refused = pool.store.thaw(1).await.unwrap_err();
    assert!(refused.to_string().contains("was signed"), "{refused}");
}

async fn a_number_far_above_one_that_was_struck_down_is_no_leap(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let world = World::new(12);
    let publisher = publisher(&pool, world.clone());
    let verifier = verifier(&pool, "v", world.clone(), Role::Vetoer).await;
    let first = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    publish_all(&publisher).await;
    assert_eq!(watch(&verifier).await, [Step::Right(1)]);

    // Whoever stole the gate's key spends a number as far away as is allowed.
    let (mut other, uri) = forged(&pool, &first);
    other.root = protocol::claims::MerkleHash::of(b"another");
    world.publish(1_001, other, uri);
    world.strike_down(1_001);
    let mut next = crate::common::order(1_002, snapshot(&[(1, 1)]));
    let refused = pool::build::build(&pool.store, &pool.blobs, &next).await;
    assert!(
        refused.unwrap_err().to_string().contains("--may-leap"),
        "it is told how to go on"
    );
    next.may_leap = true;
    pool::build::build(&pool.store, &pool.blobs, &next)
        .await
        .unwrap();
    publish_all(&publisher).await;
    assert_eq!(watch(&verifier).await, [Step::Right(1_002)]);
}

async fn a_node_that_tells_of_less_than_before_makes_no_leap(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let world = World::new(13);
    let mine = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let (published, uri) = forged(&pool, &mine);
    world.publish(1, published, uri);
    let verifier = verifier(&pool, "v", world, Role::Vetoer).await;
    // As after a node that was further on, and had nothing at these numbers.
    verifier
        .passed
        .store(7, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(watch(&verifier).await, []);
    assert!(verifier.store.checks().await.unwrap().is_empty());
}

async fn a_number_that_a_stranger_spent_is_left_out(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let world = World::new(9);
    let mine = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let (mut other, uri) = forged(&pool, &mine);
    other.root = protocol::claims::MerkleHash::of(b"another");
    world.publish(1, other, uri);
    world.strike_down(1);
    let publisher = publisher(&pool, world.clone());
    sees_void(&publisher, 1).await;
    let next = pool.build(2, snapshot(&[(1, 1)])).await.unwrap();
    assert_eq!(next.inputs.previous_sha256, None);
    assert_eq!(pool.map(&key(1), coldkey(2), now() + 1).await.0, 409);
    publish_all(&publisher).await;
    assert_eq!(pool.map(&key(1), coldkey(2), now() + 1).await.0, 200);
}
