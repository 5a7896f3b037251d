//! What was claimed, read from the contract's Wasm on the stand-in's chain.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pool::claimed::{ClaimedError, Look, keep};
use pool::epoch::EpochFile;
use pool::store::State;
use serde_json::{Value, json};
use subtensor::Message;
use subtensor::claims::claim_single;

use crate::common::{CONTRACT, coldkey, key, now, snapshot};
use crate::live::{OPERATOR, Scene};
use crate::stand_in::{Contract, Ran};
use crate::wasm::Claims;

const MINERS: u8 = 12;
const PATIENCE: Duration = Duration::from_mins(1);

/// The contract on a node that is watched while it is asked about hotkeys.
struct Watched<F> {
    claims: Claims,
    asked: Arc<AtomicU64>,
    /// Is told how many questions came before, and at which block this one is; says
    /// whether it is answered.
    at_question: F,
}

impl<F: Fn(u64, u64) -> bool + Send> Contract for Watched<F> {
    fn account(&self) -> [u8; 32] {
        self.claims.account()
    }

    fn run(&mut self, block: u64, origin: [u8; 32], input: &[u8]) -> Ran {
        self.claims.run(block, origin, input)
    }

    fn try_out(&self, block: u64, origin: [u8; 32], input: &[u8]) -> Ran {
        let question = Message::new("get_claimed_cumulative_rao");
        if input.starts_with(question.input()) {
            let before = self.asked.fetch_add(1, Ordering::SeqCst);
            if !(self.at_question)(before, block) {
                return Ran {
                    reverted: true,
                    data: Vec::new(),
                    events: Vec::new(),
                };
            }
        }
        self.claims.try_out(block, origin, input)
    }
}

impl Scene {
    /// Watches the contract; counts the questions about hotkeys.
    fn watch(&self, at_question: impl Fn(u64, u64) -> bool + Send + 'static) -> Arc<AtomicU64> {
        let asked = Arc::new(AtomicU64::new(0));
        let watched = Watched {
            claims: self.claims.clone(),
            asked: Arc::clone(&asked),
            at_question,
        };
        self.node
            .with(|chain| chain.contract = Some(Box::new(watched)));
        asked
    }

    /// An epoch of [`MINERS`] that can be claimed.
    async fn open_epoch(&self) -> EpochFile {
        for n in 3..=MINERS {
            self.pool.map(&key(n), coldkey(n), now()).await;
        }
        let shares: Vec<_> = (1..=MINERS).map(|n| (n, u64::from(n))).collect();
        let file = self.pool.build(1, snapshot(&shares)).await.unwrap();
        let publisher = self.publisher(OPERATOR).await;
        for _ in 0..3 {
            publisher.step().await.unwrap();
        }
        self.half_a_day_passes();
        file
    }

    async fn keep(&self) -> Result<Look, ClaimedError> {
        let chain = self.publisher(OPERATOR).await.chain;
        keep(&self.pool.store, &self.pool.blobs, &chain).await
    }

    fn height(&self) -> u64 {
        self.node.with(|chain| chain.height)
    }

    /// What the service tells: the block, and who was paid what.
    async fn told(&self) -> (u64, Value) {
        let (status, mut body) = self.pool.get("/claims/claimed").await;
        assert_eq!(status, 200);
        (body["block"].as_u64().unwrap(), body["claimed"].take())
    }
}

fn claim(claims: &Claims, file: &EpochFile, leaf: usize, block: u64) {
    let hotkey = file.leaves[leaf].hotkey;
    let package = file.package(&file.tree().unwrap(), &hotkey).unwrap();
    let message = claim_single(&package, true);
    claims.send(block, [9; 32], &message).unwrap();
}

/// That these leaves are paid.
fn paid(file: &EpochFile, leaves: &[usize]) -> Value {
    let leaves = leaves.iter().map(|leaf| file.leaves[*leaf]);
    leaves
        .map(|leaf| json!({"hotkey": leaf.hotkey, "amount_rao": leaf.amount_rao}))
        .collect()
}

fn read(finalized_block: u64) -> Look {
    Look::Read {
        finalized_block,
        hotkeys: usize::from(MINERS),
    }
}

#[tokio::test]
async fn all_amounts_are_of_one_block_while_claims_go_on() {
    let scene = Scene::new().await;
    let file = scene.open_epoch().await;
    scene.node.with(|chain| chain.pace = 1);
    // The books are looked at on the block before.
    let first = scene.height() + 2;
    assert_eq!(scene.keep().await.unwrap(), read(first));
    assert_eq!(scene.told().await, (first, json!([])));

    claim(&scene.claims, &file, 4, scene.height());
    let (claims, epoch) = (scene.claims.clone(), file.clone());
    let asked = scene.watch(move |before, block| {
        if before == 0 {
            for leaf in [1, 7, 11] {
                claim(&claims, &epoch, leaf, block + 1);
            }
        }
        true
    });
    let second = scene.height() + 2;
    assert_eq!(scene.keep().await.unwrap(), read(second));
    assert_eq!(scene.told().await, (second, paid(&file, &[4])));
    assert_eq!(asked.load(Ordering::SeqCst), u64::from(MINERS));

    let third = scene.height() + 2;
    assert_eq!(scene.keep().await.unwrap(), read(third));
    let all = paid(&file, &[1, 4, 7, 11]);
    assert_eq!(scene.told().await, (third, all.clone()));
    // From here on nobody claims.
    for block in third + 1..third + 4 {
        assert_eq!(scene.keep().await.unwrap(), Look::Current);
        assert_eq!(scene.told().await, (block, all.clone()));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2 * u64::from(MINERS));
    scene.node.no_surprises();
}

#[tokio::test]
async fn a_reading_that_breaks_off_leaves_the_one_before() {
    let scene = Scene::new().await;
    let file = scene.open_epoch().await;
    claim(&scene.claims, &file, 2, scene.height());
    scene.keep().await.unwrap();
    let before = scene.told().await;
    assert_eq!(before.1, paid(&file, &[2]));

    scene.node.with(|chain| chain.height += 1);
    claim(&scene.claims, &file, 0, scene.height());
    scene.watch(|before, _| before < u64::from(MINERS) - 1);
    let refused = scene.keep().await.unwrap_err();
    assert!(matches!(refused, ClaimedError::Chain(_)), "{refused}");
    assert_eq!(scene.told().await, before);

    scene.watch(|_, _| true);
    assert_eq!(scene.keep().await.unwrap(), read(scene.height()));
    assert_eq!(scene.told().await.1, paid(&file, &[0, 2]));
    scene.node.no_surprises();
}

/// A program that ends with its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn publish(scene: &Scene) -> Command {
    let directory = scene.pool.directory.path();
    let seed = json!({"secretSeed": format!("0x{}", hex::encode([OPERATOR; 32]))});
    std::fs::write(directory.join("operator"), seed.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pool"));
    command
        .args(["publish", "--poll-ms", "20"])
        .env(
            "POOL_DATABASE",
            format!("sqlite://{}/pool.db", directory.display()),
        )
        .env("POOL_DATA", directory.join("data"))
        .env("POOL_CONTRACT", CONTRACT.to_string())
        .env("POOL_ENDPOINTS", scene.node.url())
        .env("POOL_WALLET_FILE", directory.join("operator"))
        .env("POOL_PUBLIC_URL", &scene.pool.url)
        .stdout(Stdio::null());
    command
}

/// Waits until this is so.
async fn wait_for(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn wait_until_published(scene: &Scene) {
    wait_for("every epoch is published", async || {
        let rows = scene.pool.store.epochs().await.unwrap();
        rows.iter().all(|row| row.state == State::Published)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_publishes_on_while_claims_cannot_be_read() {
    let scene = Scene::new().await;
    scene.node.with(|chain| chain.lag = 63);
    let file = scene.open_epoch().await;
    let asked = scene.watch(|_, _| false);
    let program = Program(publish(&scene).stderr(Stdio::null()).spawn().unwrap());
    wait_for("the claims are asked for", async || {
        asked.load(Ordering::SeqCst) > 0
    })
    .await;
    scene.pool.build(2, snapshot(&[(1, 1)])).await.unwrap();
    wait_until_published(&scene).await;
    assert_eq!(scene.pool.get("/claims/claimed").await.0, 404);

    claim(&scene.claims, &file, 3, scene.height());
    scene.watch(|_, _| true);
    wait_for("the claims are read", async || {
        scene.pool.get("/claims/claimed").await.0 == 200
    })
    .await;
    assert_eq!(scene.told().await.1, paid(&file, &[3]));
    drop(program);
    scene.node.no_surprises();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_reads_the_claims_before_it_ends_by_itself() {
    let scene = Scene::new().await;
    let file = scene.open_epoch().await;
    claim(&scene.claims, &file, 3, scene.height());
    let run = async || {
        let output = publish(&scene).arg("--once").output();
        assert!(output.unwrap().status.success());
    };
    scene.watch(|_, _| false);
    run().await;
    assert_eq!(scene.pool.get("/claims/claimed").await.0, 404);
    scene.watch(|_, _| true);
    run().await;
    assert_eq!(scene.told().await.1, paid(&file, &[3]));
    scene.node.no_surprises();
}
