//! Publisher and verifier on the stand-in's chain: recorded metadata, JSON-RPC over
//! HTTP, extrinsics checked byte by byte, and the claim contract as the Wasm that is
//! deployed.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use parity_scale_codec::{DecodeAll as _, Encode as _};
use pool::Blobs;
use pool::chain::{Chain as _, ChainError, Live};
use pool::delivery::DeliveryError;
use pool::download::Downloader;
use pool::epoch::EpochFile;
use pool::publisher::{PublishError, Publisher, Step as Publishing};
use pool::store::Store;
use pool::verifier::{Role, Step, Verifier};
use serde_json::json;
use subtensor::Message;
use subtensor::claims::{EpochInfo, claim_single, publish_epoch};

use crate::common::{Backend, CONTRACT, Pool, coldkey, key, now, snapshot};
use crate::stand_in::{StandIn, State};
use crate::wasm::Claims;

pub(crate) const OPERATOR: u8 = 77;
const STAKE: u64 = 10_000_000_000;
const HALF_A_DAY: u64 = 3_600;

/// What `publish_epoch` was sent with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Published {
    epoch: u64,
    root: [u8; 32],
    num_of_leaves: u32,
    total_rao: u64,
    uri: String,
}

impl Published {
    /// What a file should be published as.
    pub(crate) fn of(file: &EpochFile, uri: String) -> Self {
        Self {
            epoch: file.epoch,
            root: *file.root.as_bytes(),
            num_of_leaves: file.num_of_leaves,
            total_rao: file.total_rao.0,
            uri,
        }
    }
}

/// Reads a message by the contract's interface, not by the code that wrote it.
pub(crate) fn published_by(input: &[u8]) -> Published {
    type Arguments = (u64, [u8; 32], u32, u64, String);
    let (selector, arguments) = input.split_at(4);
    assert_eq!(selector, [0x2c, 0x13, 0x90, 0x04], "publish_epoch");
    let (epoch, root, num_of_leaves, total_rao, uri) =
        Arguments::decode_all(&mut &*arguments).unwrap();
    Published {
        epoch,
        root,
        num_of_leaves,
        total_rao,
        uri,
    }
}

/// A pool, a chain with the contract, and who acts on it.
pub(crate) struct Scene {
    pub(crate) pool: Pool,
    pub(crate) node: StandIn,
    pub(crate) claims: Claims,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let pool = Pool::start(Backend::Sqlite).await;
        pool.map(&key(1), coldkey(1), now()).await;
        pool.map(&key(2), coldkey(2), now()).await;
        let operator = *key(OPERATOR).hotkey().as_bytes();
        let claims = Claims::new(*CONTRACT.as_bytes(), operator, STAKE);
        let mut chain = State::new(94, Vec::new());
        chain.contract = Some(Box::new(claims.clone()));
        Self {
            pool,
            node: StandIn::start(chain).await,
            claims,
        }
    }

    async fn live(&self, who: Option<u8>) -> Live {
        Live::new(self.node.chain().await, CONTRACT, who.map(key))
    }

    pub(crate) async fn publisher(&self, who: u8) -> Publisher<Live> {
        Publisher {
            store: self.pool.store.clone(),
            blobs: self.pool.blobs.clone(),
            chain: self.live(Some(who)).await,
            uri_prefix: format!("{}/claims/documents/", self.pool.url),
            account: coldkey(who),
        }
    }

    async fn verifier(&self, role: Role) -> Verifier<Live> {
        let directory = self.pool.directory.path().join(format!("{role:?}"));
        std::fs::create_dir_all(&directory).unwrap();
        let database = format!("sqlite://{}/watch.db", directory.display());
        Verifier {
            store: Store::open(&database).await.unwrap(),
            blobs: Blobs::in_directory(directory.join("data")),
            chain: self.live((role == Role::Vetoer).then_some(OPERATOR)).await,
            downloader: Downloader::new().unwrap(),
            role,
            passed: AtomicU64::new(0),
            newest_void: AtomicU64::new(0),
        }
    }

    /// Publishes, without any publisher, what is no epoch of this pool.
    async fn forge(&self, epoch: u64, change: impl FnOnce(&mut EpochFile)) {
        let mut file = EpochFile::parse(&self.pool.file(epoch).await).unwrap();
        change(&mut file);
        file.root = file.tree().unwrap().root();
        let digest = self.pool.blobs.put(&file.to_bytes()).unwrap();
        let uri = format!("{}/claims/documents/{digest}", self.pool.url);
        let message = publish_epoch(
            epoch,
            *file.root.as_bytes(),
            file.num_of_leaves,
            file.total_rao.0,
            &uri,
        );
        let chain = self.node.chain().await;
        let call = subtensor::claims::call(*CONTRACT.as_bytes(), &message);
        let call = subtensor::PinnedCall::Contract(call);
        let at = chain.at_finalized().await.unwrap();
        let signed = at.sign(&call, &key(OPERATOR)).await.unwrap();
        chain.send(&signed).await.unwrap();
    }

    fn send(&self, message: &Message) {
        let block = self.node.with(|chain| chain.height);
        let operator = *key(OPERATOR).hotkey().as_bytes();
        self.claims.send(block, operator, message).unwrap();
    }

    pub(crate) fn half_a_day_passes(&self) {
        self.node.with(|chain| chain.height += HALF_A_DAY);
    }
}

#[tokio::test]
async fn an_epoch_is_published_checked_and_claimed_once() {
    let scene = Scene::new().await;
    let file = scene
        .pool
        .build(1, snapshot(&[(1, 2), (2, 1)]))
        .await
        .unwrap();
    let publisher = scene.publisher(OPERATOR).await;
    assert_eq!(publisher.step().await.unwrap(), Publishing::Waiting(1));
    assert_eq!(publisher.step().await.unwrap(), Publishing::Published(1));
    assert_eq!(publisher.step().await.unwrap(), Publishing::Idle);
    let uri = format!("{}/claims/documents/{}", scene.pool.url, file.digest());
    let executed: Vec<_> = scene
        .claims
        .executed()
        .iter()
        .map(|it| published_by(it))
        .collect();
    assert_eq!(executed, [Published::of(&file, uri)]);

    let watcher = scene.verifier(Role::Watcher).await;
    assert_eq!(watcher.step().await.unwrap(), Step::Right(1));
    assert_eq!(watcher.step().await.unwrap(), Step::Idle);

    let status =
        async || scene.pool.get("/status").await.1["onchain_runtime"]["contract_status"].clone();
    assert_eq!(status().await["claim_ready"], false);
    scene.half_a_day_passes();
    assert_eq!(publisher.step().await.unwrap(), Publishing::Idle);
    let open = json!({"read_error": null, "active_veto_count": 0, "is_veto_active": false, "claim_ready": true});
    assert_eq!(status().await, open);

    // The contract pays what the pool's own routes prove, once.
    let block = scene.node.with(|chain| chain.height);
    let tree = file.tree().unwrap();
    for leaf in &file.leaves {
        let package = file.package(&tree, &leaf.hotkey).unwrap();
        let mut more = package.clone();
        more.amount_units += 1;
        let refused = scene
            .claims
            .send(block, [9; 32], &claim_single(&more, true));
        assert_eq!(refused.unwrap_err().name(), Some("ProofInvalid"));
        let claim = claim_single(&package, true);
        scene.claims.send(block, [9; 32], &claim).unwrap();
        let again = scene.claims.send(block, [9; 32], &claim).unwrap_err();
        assert_eq!(again.name(), Some("AlreadyClaimed"));
        let recipient = *leaf.recipient_coldkey.as_bytes();
        assert_eq!(scene.claims.stake(recipient), leaf.amount_rao.0);
    }
    let left = scene.claims.stake(*CONTRACT.as_bytes());
    assert_eq!(left, STAKE - file.total_rao.0);
    scene.node.no_surprises();
}

#[tokio::test]
async fn the_contracts_reasons_are_told_before_anything_is_signed() {
    let scene = Scene::new().await;
    scene.pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let told = async |publisher: &Publisher<Live>| match publisher.step().await {
        Err(PublishError::Delivery(DeliveryError::Chain(ChainError::Refused(why)))) => why,
        other => panic!("{other:?}"),
    };
    let stranger = scene.publisher(5).await;
    assert!(told(&stranger).await.contains("only the gate may publish"));
    let operator = scene.publisher(OPERATOR).await;
    scene.send(&Message::new("pause"));
    assert!(told(&operator).await.contains("the owner has paused"));
    scene.send(&Message::new("unpause"));
    while operator.step().await.unwrap() != Publishing::Published(1) {}

    scene.pool.build(2, snapshot(&[(1, 1)])).await.unwrap();
    let why = told(&operator).await;
    assert!(why.contains("PreviousEpochUnsettled: "), "{why}");
    scene.half_a_day_passes();
    while operator.step().await.unwrap() != Publishing::Published(2) {}
    assert_eq!(scene.claims.executed().len(), 2);

    scene
        .node
        .with(|chain| chain.contract = Some(Box::new(elsewhere())));
    scene.pool.build(3, snapshot(&[(1, 1)])).await.unwrap();
    let why = told(&operator).await;
    assert!(why.contains("would not run"), "{why}");
    assert_eq!(scene.node.with(|chain| chain.submitted.len()), 2);
    scene.node.no_surprises();
}

fn elsewhere() -> Claims {
    Claims::new([7; 32], [7; 32], STAKE)
}

#[tokio::test]
async fn a_wrong_epoch_is_disputed_and_what_was_struck_down_is_passed_over() {
    let scene = Scene::new().await;
    scene
        .pool
        .build(1, snapshot(&[(1, 1), (2, 1)]))
        .await
        .unwrap();
    let steal = |file: &mut EpochFile| {
        file.leaves[0].amount_rao.0 += 5;
        file.total_rao.0 += 5;
    };
    scene.forge(1, steal).await;
    let vetoer = scene.verifier(Role::Vetoer).await;
    let Step::Wrong { epoch: 1, evidence } = vetoer.step().await.unwrap() else {
        panic!("a forged epoch is right");
    };
    let Step::Wrong { .. } = vetoer.step().await.unwrap() else {
        panic!("the challenge is not on its way");
    };
    assert_eq!(vetoer.step().await.unwrap(), Step::Challenged(1));
    assert_eq!(vetoer.step().await.unwrap(), Step::Idle);
    let challenge = scene.claims.executed().pop().unwrap();
    let expected = [
        &[0x0c, 0x74, 0x85, 0x6a][..],
        &1u64.encode(),
        evidence.as_bytes(),
    ];
    assert_eq!(challenge, expected.concat(), "challenge_epoch");
    let info: Result<EpochInfo, subtensor::Refusal> = scene
        .claims
        .ask(&Message::new("get_epoch_info").argument(&1u64));
    assert!(info.unwrap().disputed);

    let nobody = [0u8; 32];
    scene.send(&Message::new("resolve_challenge").argument(&(1u64, true, nobody)));
    let seen = vetoer.chain.epoch(1).await.unwrap().epoch.unwrap();
    assert!(seen.is_void && seen.is_disputed);
    let newcomer = scene.verifier(Role::Watcher).await;
    assert_eq!(newcomer.step().await.unwrap(), Step::Idle);
    scene.node.no_surprises();
}

#[tokio::test]
async fn an_event_that_the_node_has_forgotten_leaves_an_epoch_undecided() {
    let scene = Scene::new().await;
    scene.pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let publisher = scene.publisher(OPERATOR).await;
    while publisher.step().await.unwrap() != Publishing::Published(1) {}
    let kept = scene.node.with(|chain| std::mem::take(&mut chain.events));
    let watcher = scene.verifier(Role::Watcher).await;
    let error = watcher.step().await.unwrap_err().to_string();
    assert!(error.contains("where the file of epoch 1 is"), "{error}");
    assert_eq!(watcher.store.checks().await.unwrap(), []);

    // Nor is another contract's event taken for it.
    let foreign: BTreeMap<_, _> = kept
        .iter()
        .map(|(block, bytes)| (*block, foreign(bytes)))
        .collect();
    scene.node.with(|chain| chain.events = foreign);
    assert!(watcher.step().await.is_err());
    scene.node.with(|chain| chain.events = kept);
    assert_eq!(watcher.step().await.unwrap(), Step::Right(1));
    scene.node.no_surprises();
}

/// The same events, of a contract at another address.
fn foreign(events: &[u8]) -> Vec<u8> {
    let ours = CONTRACT.as_bytes();
    let place = events.windows(32).position(|bytes| bytes == ours).unwrap();
    let mut events = events.to_vec();
    events[place] ^= 1;
    events
}
