//! Kills the pool's service, its publisher, a verifier and the building of epochs,
//! each a process of its own, again and again. Afterwards every epoch was executed
//! on the chain once, with its own root, and nothing that was answered is lost.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pool::chain::Call;
use pool::download::Downloader;
use pool::epoch::EpochFile;
use pool::publisher::Publisher;
use pool::store::{State, Verdict};
use pool::verifier::{Role, Verifier};
use pool::{Blobs, Store};
use protocol::claims::{ClaimPackage, RecipientUpdate};
use serde_json::json;

use crate::common::{CONTRACT, coldkey, key, now, signed, snapshot};
use crate::world::World;

const KILLS: u64 = 100;
const MINERS: u8 = 6;
const BUDGET: u64 = 1_000_003;

/// What a child is told.
const PART: &str = "POOL_CRASH_PART";
const PATIENCE: Duration = Duration::from_mins(4);

/// Not a test: the publisher or the verifier in a process that will be killed.
#[tokio::test]
async fn child() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    // Whatever becomes of the test, nobody is left behind.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
    let told = |name| std::env::var(name).unwrap();
    let (database, data) = (told("POOL_DATABASE"), told("POOL_DATA"));
    let chain = World::at(told("POOL_CRASH_CHAIN"));
    let store = Store::open(&database).await.unwrap();
    let blobs = Blobs::in_directory(data);
    if part == "publisher" {
        let publisher = Publisher {
            store,
            blobs,
            chain,
            uri_prefix: format!("{}/claims/documents/", told("POOL_CRASH_SERVICE")),
            account: coldkey(77),
        };
        loop {
            let _ = publisher.step().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let verifier = Verifier {
        store,
        blobs,
        chain,
        downloader: Downloader::new().unwrap(),
        role: Role::Vetoer,
    };
    loop {
        let _ = verifier.step().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// All that lives and dies.
struct Stage<'a> {
    directory: &'a Path,
    chain: String,
    port: u16,
    children: Vec<(&'static str, Child)>,
}

const PARTS: [&str; 3] = ["service", "publisher", "verifier"];

impl Stage<'_> {
    fn service(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn database(&self, part: &str) -> String {
        let file = if part == "verifier" {
            "verifier"
        } else {
            "pool"
        };
        format!("sqlite://{}/{file}.db", self.directory.display())
    }

    fn command(&self, part: &str, program: &Path) -> Command {
        let data = if part == "verifier" { "copies" } else { "data" };
        let mut command = Command::new(program);
        command
            .env(PART, part)
            .env("POOL_DATABASE", self.database(part))
            .env("POOL_DATA", self.directory.join(data))
            .env("POOL_CRASH_CHAIN", &self.chain)
            .env("POOL_CRASH_SERVICE", self.service())
            .env("RUST_LOG", "off")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn pool(&self) -> Command {
        self.command("pool", Path::new(env!("CARGO_BIN_EXE_pool")))
    }

    /// Starts every part that does not live.
    fn revive(&mut self) {
        for part in PARTS {
            if self.children.iter().any(|(name, _)| *name == part) {
                continue;
            }
            let child = if part == "service" {
                let listen = format!("127.0.0.1:{}", self.port);
                self.pool().args(["serve", "--listen", &listen]).spawn()
            } else {
                let program = std::env::current_exe().unwrap();
                self.command(part, &program)
                    .args(["--exact", "crash::child"])
                    .spawn()
            };
            self.children.push((part, child.unwrap()));
        }
    }

    fn kill(&mut self, part: &str) {
        self.children.retain_mut(|(name, child)| {
            if *name == part {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            *name != part
        });
    }

    fn build(&self, epoch: u64) -> Command {
        let mut command = self.pool();
        command
            .args(["epoch", "build", &epoch.to_string(), "--snapshot"])
            .arg(self.directory.join("snapshot.json"))
            .args([
                "--contract",
                &CONTRACT.to_string(),
                "--budget-rao",
                &BUDGET.to_string(),
            ]);
        command
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        for part in PARTS {
            self.kill(part);
        }
    }
}

/// Sends a mapping; true if it was answered with success.
async fn map(http: &reqwest::Client, service: &str, update: &RecipientUpdate) -> bool {
    let put = http.put(format!("{service}/api/v1/miners/recipient-coldkey"));
    let body = json!({"recipient_coldkey": update.recipient_coldkey});
    let sent = signed(put, update).json(&body).send().await;
    sent.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_a_hundred_times_nothing_is_paid_twice_or_lost() {
    let directory = tempfile::tempdir_in(crate::scratch()).unwrap();
    let shares: Vec<_> = (1..=MINERS).map(|n| (n, u64::from(n))).collect();
    std::fs::write(directory.path().join("snapshot.json"), snapshot(&shares)).unwrap();
    let world = World::new(5);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stage = Stage {
        directory: directory.path(),
        chain: world.serve().await,
        port: free.local_addr().unwrap().port(),
        children: Vec::new(),
    };
    drop(free);
    let store = Store::open(&stage.database("pool")).await.unwrap();
    store
        .set_recipient(RecipientUpdate::sign(&key(1), coldkey(1), now() - 280))
        .await
        .unwrap();
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let mut answered = Vec::new();
    let mut seed = 11;
    let mut dice = |sides: u64| {
        seed = u64::wrapping_mul(seed, 6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % sides
    };
    // So long does a process take here to begin: some are killed before, some after.
    let started = Instant::now();
    assert!(
        stage
            .pool()
            .args(["epoch", "list"])
            .status()
            .unwrap()
            .success()
    );
    let longest = 4 * u64::try_from(started.elapsed().as_millis()).unwrap() + 50;
    let (mut kills, mut turn) = (0, 0);
    while kills < KILLS {
        stage.revive();
        turn += 1;
        let n = u8::try_from(dice(u64::from(MINERS))).unwrap() + 1;
        // Each one second newer than the one before, and all of them fresh.
        let update = RecipientUpdate::sign(&key(n), coldkey(100 + n), now() - 250 + turn);
        let sent = tokio::spawn({
            let (http, service) = (http.clone(), stage.service());
            async move { map(&http, &service, &update).await }
        });
        let epochs = store.epochs().await.unwrap();
        let delay = Duration::from_millis(dice(longest));
        if epochs.iter().any(|row| row.state != State::Published) {
            tokio::time::sleep(delay).await;
            stage.kill(PARTS[usize::try_from(dice(3)).unwrap()]);
            kills += 1;
        } else {
            let next = epochs.last().map_or(1, |row| row.epoch + 1);
            let mut builder = stage.build(next).spawn().unwrap();
            if dice(2) == 0 {
                tokio::time::sleep(delay).await;
                builder.kill().unwrap();
                kills += 1;
            }
            builder.wait().unwrap();
            continue_build(&stage, &store).await;
        }
        if sent.await.unwrap() {
            answered.push(update);
        }
    }
    stage.revive();
    settle(&store, &stage, &world).await;
    check(&store, &stage, &world, &http, &answered).await;
}

/// Builds what was frozen when its builder was killed.
async fn continue_build(stage: &Stage<'_>, store: &Store) {
    let epochs = store.epochs().await.unwrap();
    let Some(row) = epochs.last().filter(|row| row.state == State::Frozen) else {
        return;
    };
    let done = stage
        .pool()
        .args(["epoch", "finish", &row.epoch.to_string()])
        .status();
    assert!(done.unwrap().success(), "a frozen epoch can be finished");
}

/// Waits until everything is published and checked.
async fn settle(store: &Store, stage: &Stage<'_>, world: &World) {
    let findings = Store::open(&stage.database("verifier")).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let epochs = store.epochs().await.unwrap();
        let is_published = epochs.iter().all(|row| row.state == State::Published);
        if is_published && findings.checks().await.unwrap().len() == epochs.len() {
            break;
        }
        let executed = world.with(|state| state.executed.len());
        assert!(Instant::now() < deadline, "{epochs:?}, {executed} executed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let checks = findings.checks().await.unwrap();
    assert!(checks.iter().all(|check| check.verdict == Verdict::Right));
}

async fn check(
    store: &Store,
    stage: &Stage<'_>,
    world: &World,
    http: &reqwest::Client,
    answered: &[RecipientUpdate],
) {
    let blobs = Blobs::in_directory(stage.directory.join("data"));
    let epochs = store.epochs().await.unwrap();
    let mut expected = Vec::new();
    let mut files = Vec::new();
    for row in &epochs {
        let file = EpochFile::parse(&blobs.get(row.file_sha256.unwrap()).unwrap()).unwrap();
        expected.push((row.epoch, file.root));
        files.push(file);
    }
    let executed = world.with(|state| state.executed.clone());
    let executed: Vec<_> = executed
        .into_iter()
        .map(|call| match call {
            Call::PublishEpoch { epoch, root, .. } => (epoch, root),
            other @ Call::ChallengeEpoch { .. } => panic!("an honest pool: {other:?}"),
        })
        .collect();
    assert_eq!(executed, expected, "each epoch once, with its own root");

    let last = files.last().expect("some epoch was built");
    let balances = last.balances().unwrap();
    let sum: u64 = balances.iter().map(|(_, amount)| amount.0).sum();
    assert_eq!(
        sum,
        BUDGET * u64::try_from(files.len()).unwrap(),
        "nothing created or lost"
    );
    for file in &files {
        for leaf in &file.leaves {
            let path = format!("/claims/epoch/{}/proof/{}", file.epoch, leaf.hotkey);
            let answer = http.get(stage.service() + &path).send().await.unwrap();
            let package: ClaimPackage = answer.json().await.unwrap();
            package.verify(CONTRACT, file.num_of_leaves).unwrap();
            assert_eq!(
                (package.root, package.amount_units),
                (file.root, leaf.amount_rao.0)
            );
        }
    }
    for update in answered {
        let rows = store.recipients_of(&update.hotkey, 1000).await.unwrap();
        assert!(
            rows.iter().any(|row| row.update == *update),
            "an answered mapping is there"
        );
    }
    assert!(!answered.is_empty());
    println!(
        "{KILLS} kills: {} epochs published once each, {} answered mappings kept",
        files.len(),
        answered.len()
    );
}
