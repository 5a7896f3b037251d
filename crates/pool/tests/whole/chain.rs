//! Publisher and verifier against the stand-in.

use pool::Blobs;
use pool::chain::{Call, ChainError, Published};
use pool::delivery::DeliveryError;
use pool::download::Downloader;
use pool::publisher::{PublishError, Publisher, Step as Publishing};
use pool::store::{State, Store, Verdict};
use pool::verifier::{Role, Step, Verifier, WatchError};

use crate::common::{Backend, Pool, coldkey, key, now, snapshot};
use crate::world::World;

on_both_databases! {
    each_epoch_is_published_once_over_a_chain_that_loses_things,
    an_epoch_that_is_on_the_chain_with_another_root_is_never_sent,
    a_wrong_epoch_is_challenged_once_and_told_by_who_may_not,
    a_withheld_document_decides_nothing,
}

/// More steps than any of these tests needs.
const STEPS: usize = 5_000;

fn publisher(pool: &Pool, chain: World) -> Publisher<World> {
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
    }
}

async fn publish_all(publisher: &Publisher<World>) {
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
    let mut other = forged(&pool, &mine);
    other.root = protocol::claims::MerkleHash::of(b"another");
    world.publish(1, other);
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
fn forged(pool: &Pool, file: &pool::epoch::EpochFile) -> Published {
    let digest = pool.blobs.put(&file.to_bytes()).unwrap();
    Published {
        root: file.root,
        num_of_leaves: file.num_of_leaves,
        total_rao: file.total_rao,
        uri: format!("{}/claims/documents/{digest}", pool.url),
        is_disputed: false,
        claims_open_at: 100,
    }
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
    world.publish(1, forged(&pool, &file));

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
    world.publish(1, forged(&pool, &file));
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
