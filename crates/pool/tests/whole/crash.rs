//! Kills the pool's service, its publisher, a verifier and the building of epochs,
//! each the program as an operator runs it, again and again, while answers and
//! transactions get lost. Afterwards the contract, executed as the Wasm that is
//! deployed, has each epoch once, with its own root; nothing that was answered is
//! lost; and every leaf is paid once.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pool::epoch::EpochFile;
use pool::store::{State, Verdict};
use pool::{Blobs, Store};
use protocol::claims::{ClaimPackage, RecipientUpdate};
use serde_json::json;
use subtensor::claims::claim_single;
use tokio::task::JoinHandle;

use crate::common::{CONTRACT, coldkey, key, now, signed, snapshot};
use crate::live::{Published, published_by};
use crate::stand_in::{StandIn, State as Node, Weather};
use crate::wasm::Claims;

/// How many, unless [`KILLS`] says otherwise: enough to see that the test works. A
/// hundred take some minutes.
const FEW: u64 = 10;
const KILLS: &str = "POOL_KILLS";
const MINERS: u8 = 6;
const BUDGET: u64 = 1_000_003;
/// What the contract can pay at most.
const STAKE: u64 = 1_000 * BUDGET;
/// The one who publishes and challenges, as a seed.
const OPERATOR: u8 = 77;
const HALF_A_DAY: u64 = 3_600;

const PATIENCE: Duration = Duration::from_mins(4);

/// All that lives and dies.
struct Stage<'a> {
    directory: &'a Path,
    endpoint: String,
    port: u16,
    children: Vec<(&'static str, Child)>,
}

const PARTS: [&str; 3] = ["serve", "publish", "watch"];

impl Stage<'_> {
    fn service(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn database(&self, name: &str) -> String {
        format!("sqlite://{}/{name}.db", self.directory.display())
    }

    fn pool(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pool"));
        command
            .env("POOL_DATABASE", self.database("pool"))
            .env("POOL_DATA", self.directory.join("data"))
            .env("POOL_WATCH_DATABASE", self.database("watch"))
            .env("POOL_WATCH_DATA", self.directory.join("copies"))
            .env("POOL_CONTRACT", CONTRACT.to_string())
            .env("POOL_ENDPOINTS", &self.endpoint)
            .env("POOL_WALLET_FILE", self.directory.join("operator"))
            .env("POOL_PUBLIC_URL", self.service())
            .env("RUST_LOG", "off")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Starts every part that does not live.
    fn revive(&mut self) {
        // Whatever ended by itself begins anew, too.
        self.children
            .retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
        for part in PARTS {
            if self.children.iter().any(|(name, _)| *name == part) {
                continue;
            }
            let listen = format!("127.0.0.1:{}", self.port);
            let options: &[&str] = match part {
                "serve" => &["--listen", &listen],
                "publish" => &["--poll-ms", "20"],
                _ => &["--poll-ms", "20", "--challenge"],
            };
            let child = self.pool().arg(part).args(options).spawn();
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

    /// Waits for the answer to a mapping, unless there is nobody to give it.
    async fn heard(&self, sent: &JoinHandle<bool>) {
        let is_served = self.children.iter().any(|(name, _)| *name == "serve");
        while is_served && !sent.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the service listens.
    async fn ready(&self, http: &reqwest::Client) {
        let asked = async {
            let address = format!("{}/readyz", self.service());
            while http.get(&address).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap();
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

/// Sends a mapping until somebody answers; true if it was taken.
async fn map(http: reqwest::Client, service: String, update: RecipientUpdate) -> bool {
    loop {
        let put = http.put(format!("{service}/api/v1/miners/recipient-coldkey"));
        let body = json!({"recipient_coldkey": update.recipient_coldkey});
        if let Ok(answer) = signed(put, &update).json(&body).send().await {
            return answer.status() == 200;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_nothing_is_paid_twice_or_lost() {
    let wanted: u64 = std::env::var(KILLS).map_or(FEW, |text| text.parse().unwrap());
    let directory = tempfile::tempdir_in(crate::scratch()).unwrap();
    let shares: Vec<_> = (1..=MINERS).map(|n| (n, u64::from(n))).collect();
    std::fs::write(directory.path().join("snapshot.json"), snapshot(&shares)).unwrap();
    let seed = json!({"secretSeed": format!("0x{}", hex::encode([OPERATOR; 32]))});
    std::fs::write(directory.path().join("operator"), seed.to_string()).unwrap();
    let operator = *key(OPERATOR).hotkey().as_bytes();
    let claims = Claims::new(*CONTRACT.as_bytes(), operator, STAKE);
    let node = StandIn::start(rough_chain(claims.clone())).await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stage = Stage {
        directory: directory.path(),
        endpoint: node.url(),
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
    let listed = stage.pool().args(["epoch", "list"]).status().unwrap();
    assert!(listed.success());
    let longest = 8 * u64::try_from(started.elapsed().as_millis()).unwrap() + 600;
    // The chain's clock stands still, and a head that is minutes old is believed by none.
    let longest = longest.min(3000);
    let (mut kills, mut turn) = (0, 0);
    while kills < wanted {
        stage.revive();
        turn += 1;
        let n = u8::try_from(dice(u64::from(MINERS))).unwrap() + 1;
        // Each one second newer than the one before, and all of them fresh.
        let update = RecipientUpdate::sign(&key(n), coldkey(100 + n), now() - 250 + turn);
        let sent = tokio::spawn(map(http.clone(), stage.service(), update));
        let epochs = store.epochs().await.unwrap();
        let delay = Duration::from_millis(dice(longest));
        if epochs.iter().any(|row| row.state != State::Published) {
            tokio::time::sleep(delay).await;
            stage.kill(PARTS[usize::try_from(dice(3)).unwrap()]);
            kills += 1;
        } else {
            // The one before can be challenged no more.
            node.with(|chain| chain.height += HALF_A_DAY);
            let next = epochs.last().map_or(1, |row| row.epoch + 1);
            // Mostly the mapping comes first, else at the same moment as the freeze.
            if dice(4) > 0 {
                stage.heard(&sent).await;
            }
            let mut builder = stage.build(next).spawn().unwrap();
            if dice(2) == 0 {
                tokio::time::sleep(delay).await;
                builder.kill().unwrap();
                kills += 1;
            }
            builder.wait().unwrap();
            continue_build(&stage, &store).await;
        }
        stage.heard(&sent).await;
        if sent.is_finished() {
            if sent.await.unwrap() {
                answered.push(update);
            }
        } else {
            sent.abort();
        }
    }
    stage.revive();
    settle(&store, &stage).await;
    stage.ready(&http).await;
    check(&store, &stage, &claims, &http, &answered).await;
    let height = node.with(|chain| chain.height) + HALF_A_DAY;
    let paid = pay(&store, &stage, &claims, &http, height).await;
    node.no_surprises();
    println!(
        "{wanted} kills: {} epochs published once each, {} answered mappings kept, {paid} rao paid once",
        store.epochs().await.unwrap().len(),
        answered.len()
    );
}

/// A chain with bad weather, whose blocks come as fast as anybody looks.
fn rough_chain(claims: Claims) -> Node {
    let mut chain = Node::new(94, Vec::new());
    chain.contract = Some(Box::new(claims));
    chain.weather = Some(Weather::new(5));
    chain.pace = 1;
    chain.lag = 63;
    chain
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
async fn settle(store: &Store, stage: &Stage<'_>) {
    let findings = Store::open(&stage.database("watch")).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let epochs = store.epochs().await.unwrap();
        let checks = findings.checks().await.unwrap();
        let is_published = epochs.iter().all(|row| row.state == State::Published);
        if is_published && checks.len() == epochs.len() {
            assert!(checks.iter().all(|check| check.verdict == Verdict::Right));
            return;
        }
        assert!(Instant::now() < deadline, "{epochs:?}, {checks:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every epoch was executed once, as it was built, and no answer was forgotten.
async fn check(
    store: &Store,
    stage: &Stage<'_>,
    claims: &Claims,
    http: &reqwest::Client,
    answered: &[RecipientUpdate],
) {
    let files = files(store, stage).await;
    let expected: Vec<_> = files
        .iter()
        .map(|file| {
            let uri = format!("{}/claims/documents/{}", stage.service(), file.digest());
            Published::of(file, uri)
        })
        .collect();
    let executed = claims.executed();
    let executed: Vec<_> = executed.iter().map(|input| published_by(input)).collect();
    assert_eq!(executed, expected, "each epoch once, with its own root");
    let balances = files.last().unwrap().balances().unwrap();
    let sum: u64 = balances.iter().map(|(_, amount)| amount.0).sum();
    let budgets = BUDGET * u64::try_from(files.len()).unwrap();
    assert_eq!(sum, budgets, "nothing created or lost");
    for file in &files {
        for leaf in &file.leaves {
            let package = package(http, stage, file.epoch, &leaf.hotkey.to_string()).await;
            package.verify(CONTRACT, file.num_of_leaves).unwrap();
            let told = (package.root, package.amount_units);
            assert_eq!(told, (file.root, leaf.amount_rao.0));
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
}

async fn files(store: &Store, stage: &Stage<'_>) -> Vec<EpochFile> {
    let blobs = Blobs::in_directory(stage.directory.join("data"));
    let epochs = store.epochs().await.unwrap();
    let file = |digest| EpochFile::parse(&blobs.get(digest).unwrap()).unwrap();
    let digests = epochs.iter().map(|row| row.file_sha256.unwrap());
    digests.map(file).collect()
}

async fn package(
    http: &reqwest::Client,
    stage: &Stage<'_>,
    epoch: u64,
    hotkey: &str,
) -> ClaimPackage {
    let address = format!("{}/claims/epoch/{epoch}/proof/{hotkey}", stage.service());
    let answer = http.get(address).send().await.unwrap();
    answer.json().await.unwrap()
}

/// Claims every leaf of the newest epoch, twice; tells what was paid in all.
async fn pay(
    store: &Store,
    stage: &Stage<'_>,
    claims: &Claims,
    http: &reqwest::Client,
    block: u64,
) -> u64 {
    let files = files(store, stage).await;
    let newest = files.last().unwrap();
    for leaf in &newest.leaves {
        let package = package(http, stage, newest.epoch, &leaf.hotkey.to_string()).await;
        let message = claim_single(&package, true);
        claims.send(block, [9; 32], &message).unwrap();
        let again = claims.send(block, [9; 32], &message).unwrap_err();
        assert_eq!(again.name(), Some("AlreadyClaimed"));
        let paid = claims.stake(*leaf.recipient_coldkey.as_bytes());
        assert_eq!(
            paid, leaf.amount_rao.0,
            "each miner has a coldkey of its own"
        );
    }
    let paid = STAKE - claims.stake(*CONTRACT.as_bytes());
    assert_eq!(paid, newest.total_rao.0);
    paid
}
