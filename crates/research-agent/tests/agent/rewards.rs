//! `rewards list`, `claim` and `set-recipient`: against a real pool, and the double
//! of the live chain.

use protocol::claims::RecipientUpdate;
use protocol::hotkey::{Hotkey, Keypair};
use protocol::ss58::Address;
use serde_json::{Value, json};

use super::claims_chain::{ClaimsChain, FEE, Table};
use super::coordinator::key;
use super::liar::{Liar, answer};
use super::pool_service::{BUDGET, CONTRACT, PoolService};
use super::program::{ADDRESS, Bench, Ran};

/// The coldkey that is to be paid.
const COLDKEY: Address = Address::from_bytes([0x77; 32]);
const OPEN: u32 = ClaimsChain::BLOCK - 1;

fn me() -> Hotkey {
    ADDRESS.parse().unwrap()
}

struct World {
    pool: PoolService,
    chain: ClaimsChain,
    bench: Bench,
}

impl World {
    async fn new() -> Self {
        Self {
            pool: PoolService::start().await,
            chain: ClaimsChain::start().await,
            bench: Bench::new("http://127.0.0.1:1"),
        }
    }

    /// A world in which the miner has named its coldkey.
    async fn with_recipient() -> Self {
        let world = Self::new().await;
        let coldkey = COLDKEY.to_string();
        world.ran(&["set-recipient", &coldkey]).json(0);
        world
    }

    /// `rewards …` with this pool.
    fn ran_at(&self, pool: &str, arguments: &[&str]) -> Ran {
        let line = [&["rewards"][..], arguments].concat();
        let mut command = self.bench.command(&line);
        command.env("BITSOTA_POOL_URL", pool);
        tokio::task::block_in_place(|| Ran::of(command))
    }

    fn ran(&self, arguments: &[&str]) -> Ran {
        self.ran_at(&self.pool.url, arguments)
    }

    /// The same with the chain and the contract named.
    fn on_chain_at(&self, pool: &str, arguments: &[&str]) -> Ran {
        let contract = CONTRACT.to_string();
        let chain = ["--endpoint", &self.chain.url, "--contract", &contract];
        self.ran_at(pool, &[arguments, &chain].concat())
    }

    fn on_chain(&self, arguments: &[&str]) -> Ran {
        self.on_chain_at(&self.pool.url, arguments)
    }

    fn nothing_was_signed(&self) {
        let (sent, priced) = self
            .chain
            .with(|table| (table.sent.len(), table.priced.clone()));
        assert_eq!(sent, 0);
        let mine = priced.iter().any(|one| Table::is_signed_by(one, me()));
        assert!(!mine, "a node was shown the miner's signature");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_is_shown_its_claim_is_paid_once_and_later_the_difference() {
    let world = World::with_recipient().await;
    let file = world
        .pool
        .build(1, &[(me(), 3), (key(9).hotkey(), 1)])
        .await;

    // The pool alone.
    let list = world.ran(&["list"]).json(0);
    let line = &list["epochs"][0];
    assert_eq!(
        (&line["epoch"], &line["proof"], &line["pool_state"]),
        (&json!(1), &json!("good"), &json!("built"))
    );
    assert_eq!(line["amount_rao"], (BUDGET / 4 * 3).to_string());
    assert_eq!(line["recipient_coldkey"], COLDKEY.to_string());
    assert_eq!(line["recipient_signed"], true);
    assert_eq!(
        (&line["due_rao"], &line["claims"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        list["notes"]
            .to_string()
            .contains("the chain was not asked")
    );

    // On the chain, step by step.
    let list = world.on_chain(&["list"]).json(0);
    assert_eq!(list["epochs"][0]["claims"], "not_published");
    world
        .on_chain(&["claim"])
        .refused(3, "not published on the chain");
    world.chain.publish(&file, ClaimsChain::BLOCK + 300);
    let list = world.on_chain(&["list"]).json(0);
    assert_eq!(list["epochs"][0]["claims"], "not_open_yet");
    assert_eq!(
        list["epochs"][0]["claims_open_at"],
        ClaimsChain::BLOCK + 300
    );
    world.on_chain(&["claim"]).refused(3, "in about 60 min");
    world.nothing_was_signed();
    world.chain.publish(&file, OPEN);
    let list = world.on_chain(&["list"]).json(0);
    assert_eq!(list["claimable_epoch"], 1);
    assert_eq!(list["due_rao"], (BUDGET / 4 * 3).to_string());
    assert_eq!(list["fee_rao"], FEE.to_string());

    // A dry run shows the call, byte by byte, and leaves everything as it was.
    let shown = world.on_chain(&["claim", "--dry-run"]).json(0);
    assert_eq!(shown["call"]["message"], "claim_single");
    assert_eq!(
        shown["call"]["arguments"]["data"]["amount"],
        (BUDGET / 4 * 3).to_string()
    );
    assert_eq!(
        shown["call"]["gas_limit"],
        json!({"ref_time": "3750", "proof_size": "5000"})
    );
    assert_eq!(shown["sent"], Value::Null);
    world.nothing_was_signed();

    let paid = world.on_chain(&["claim"]).json(0);
    assert_eq!(paid["due_rao"], (BUDGET / 4 * 3).to_string());
    assert_eq!(paid["sent"]["claimed_rao"], (BUDGET / 4 * 3).to_string());
    let sent = world.chain.with(|table| table.sent.clone());
    assert!(Table::is_signed_by(&sent[0], me()));
    let call = hex::decode(&shown["call"]["call_data"].as_str().unwrap()[2..]).unwrap();
    assert!(sent[0].ends_with(&call), "what was shown is what is sent");
    world.on_chain(&["claim"]).refused(3, "nothing is due");
    assert_eq!(world.chain.with(|table| table.sent.len()), 1);

    world.pool.store.set_published(1).await.unwrap();
    let file = world.pool.build(2, &[(me(), 1)]).await;
    world.chain.publish(&file, OPEN);
    let paid = world.on_chain(&["claim"]).json(0);
    assert_eq!(
        (&paid["epoch"], &paid["due_rao"]),
        (&json!(2), &json!(BUDGET.to_string()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_a_table_and_what_to_do_next() {
    let world = World::with_recipient().await;
    let file = world.pool.build(1, &[(me(), 1)]).await;
    world.chain.publish(&file, OPEN);
    let line = format!(
        "rewards list --hotkey {ADDRESS} --pool-url {} --endpoint {} --contract {CONTRACT}",
        world.pool.url, world.chain.url
    );
    let shown = tokio::task::block_in_place(|| world.bench.at_terminal(&line));
    for words in [
        "EPOCH",
        "1.000000000",
        "open",
        "good",
        "claimable now: 1.000000000 of epoch 1, for a fee of at most 0.000123456",
    ] {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_before_any_key_is_read() {
    let world = World::new().await;
    world.ran(&["claim"]).refused(2, "--contract ADDRESS");
    let contract = CONTRACT.to_string();
    world
        .ran(&["claim", "--contract", &contract])
        .refused(2, "--endpoint URL");
    world
        .ran(&["list", "--endpoint", &world.chain.url])
        .refused(2, "without --contract");
    world
        .ran(&[
            "list",
            "--contract",
            &contract,
            "--endpoint",
            "ws://node.example:9944",
        ])
        .refused(2, "without TLS");
    world
        .ran(&["set-recipient", "5Nobody"])
        .refused(2, "5Nobody");
    let empty = world.on_chain(&["list"]).json(0);
    assert_eq!(empty["epochs"], json!([]));
    assert!(empty["notes"].to_string().contains("no recipient is set"));
    world.on_chain(&["claim"]).refused(3, "no claim for");
    // Whoever only looks needs no secret.
    let mut bare = world.bench.bare(&["rewards", "list", "--hotkey", ADDRESS]);
    bare.env("BITSOTA_POOL_URL", &world.pool.url);
    tokio::task::block_in_place(|| Ran::of(bare)).json(0);
}

/// A pool that passes on what the real one answers, changed.
async fn lying(
    pool: &PoolService,
    change: impl Fn(&str, &mut Value) + Send + Sync + 'static,
) -> Liar {
    let (real, http) = (pool.url.clone(), reqwest::Client::new());
    Liar::start(move |_, asked| {
        let url = format!("{real}{}", asked.path);
        let (status, body) = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let got = http.get(&url).send().await.unwrap();
                (got.status().as_u16(), got.text().await.unwrap())
            })
        });
        let mut body: Value = serde_json::from_str(&body).unwrap();
        change(&asked.path, &mut body);
        let status = if body == Value::Null { 404 } else { status };
        answer(status, &[], body.to_string())
    })
    .await
}

/// What a pool lies about: its name, the exit status, what is said, and the lie.
type Lie = (&'static str, i32, &'static str, fn(&mut Value));

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_not_good_for_the_published_root_is_never_signed() {
    let world = World::with_recipient().await;
    // Four leaves: every proof has two hashes, whatever its place.
    let others = [
        (me(), 3),
        (key(8).hotkey(), 1),
        (key(9).hotkey(), 1),
        (key(10).hotkey(), 1),
    ];
    for n in 8..=10 {
        let update = RecipientUpdate::sign(&key(n), COLDKEY, now());
        world.pool.store.set_recipient(update).await.unwrap();
    }
    let file = world.pool.build(1, &others).await;
    world.chain.publish(&file, OPEN);
    let lies: [Lie; 9] = [
        ("a larger amount", 3, "leads to the root", |package| {
            package["amount_units"] = json!(BUDGET);
        }),
        ("another recipient", 3, "leads to the root", |package| {
            package["recipient_coldkey"] = json!(Address::from_bytes([6; 32]));
        }),
        ("another place", 3, "leads to the root", |package| {
            package["index"] = json!(1 - package["index"].as_u64().unwrap().min(1));
        }),
        (
            "a place outside",
            3,
            "not below the number of leaves",
            |package| package["index"] = json!(99),
        ),
        ("a hash too few", 3, "hashes; this leaf's has", |package| {
            package["proof"] = json!([]);
        }),
        (
            "another root",
            3,
            "the package is for the root",
            |package| package["root"] = json!(format!("0x{}", "ab".repeat(32))),
        ),
        ("another hotkey's", 1, "another hotkey's", |package| {
            package["hotkey"] = json!(key(9).hotkey());
        }),
        ("another epoch's", 1, "about epoch 2", |package| {
            package["epoch"] = json!(2);
        }),
        ("no number", 1, "amount_units", |package| {
            package["amount_units"] = json!("\u{1b}[2J");
        }),
    ];
    for (name, status, words, lie) in lies {
        let liar = lying(&world.pool, move |path, body| {
            if path.contains("/proof/") {
                lie(body);
            }
        })
        .await;
        // The same check, whoever says what the root is; the chain takes longer to ask.
        let ran = world.ran_at(&liar.url, &["list"]);
        assert_eq!(ran.status, status, "{name}: {ran:#?}");
        let said = format!("{}{}", ran.out, ran.err);
        assert!(
            said.contains(words) && !said.contains('\u{1b}'),
            "{name}: {ran:#?}"
        );
        if ["a larger amount", "another root", "another hotkey's"].contains(&name) {
            let ran = world.on_chain_at(&liar.url, &["claim"]);
            ran.refused(status, words);
            world.nothing_was_signed();
        }
    }
    // The same lie about root and package together: the chain knows the root.
    let liar = lying(&world.pool, |path, body| {
        if path.contains("/epoch/1") && !body["root"].is_null() {
            body["root"] = json!(format!("0x{}", "ab".repeat(32)));
        }
    })
    .await;
    world
        .on_chain_at(&liar.url, &["claim"])
        .refused(3, "the package is for the root");
    let list = world.ran_at(&liar.url, &["list"]).json(3);
    assert_eq!(list["epochs"][0]["proof"], "bad");
    // Another contract than the miner names.
    let liar = lying(&world.pool, |path, body| {
        if path.ends_with("/epoch/1") {
            body["contract"] = json!(Address::from_bytes([1; 32]));
        }
    })
    .await;
    world
        .on_chain_at(&liar.url, &["claim"])
        .refused(3, "ask the operator");
    world.nothing_was_signed();
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_claims_api_are_refused_and_steer_no_terminal() {
    let world = World::new().await;
    for (body, words) in [
        ("<html>", "not what it should be"),
        ("{\"epochs\": [\"\u{1b}[2J\"]}", "not what it should be"),
        ("{\"epochs\": [-1]}", "not what it should be"),
        ("[]", "not what it should be"),
    ] {
        let text = body.to_owned();
        let liar = Liar::start(move |_, asked| {
            let is_list = asked.path == "/claims/epochs";
            let body = if is_list {
                text.clone()
            } else {
                "[]".to_owned()
            };
            answer(200, &[], body)
        })
        .await;
        let ran = world.ran_at(&liar.url, &["list"]);
        ran.refused(1, words);
        assert!(!ran.err.contains('\u{1b}'), "{ran:#?}");
    }
    let liar = Liar::start(|_, _| answer(200, &[], vec![b' '; (16 << 20) + 1])).await;
    world
        .ran_at(&liar.url, &["list"])
        .refused(1, "no honest pool");
    let away = world.ran_at("http://127.0.0.1:1", &["list", "--request-attempts", "1"]);
    away.refused(1, "look at --pool-url");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_the_hotkey_never_signed_for_is_paid_only_if_the_miner_names_it() {
    let world = World::with_recipient().await;
    let file = world.pool.build(1, &[(me(), 1)]).await;
    world.chain.publish(&file, OPEN);
    let mute = lying(&world.pool, |path, body| {
        if path.contains("recipient-coldkey") {
            *body = Value::Null;
        }
    })
    .await;
    world
        .on_chain_at(&mute.url, &["claim"])
        .refused(3, "no signature of this hotkey");
    let other = Address::from_bytes([5; 32]).to_string();
    world
        .on_chain(&["claim", "--recipient", &other])
        .refused(3, "not 5");
    world.nothing_was_signed();
    let coldkey = COLDKEY.to_string();
    world
        .on_chain_at(&mute.url, &["claim", "--recipient", &coldkey])
        .json(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_nothing_can_be_claimed_is_told_in_words_and_a_small_or_unpaid_claim_warned_of() {
    let world = World::with_recipient().await;
    let file = world.pool.build(1, &[(me(), 1)]).await;
    world.chain.publish(&file, OPEN);
    for (refusal, words) in [
        (vec![31, 13], "less than it moves at a time"),
        (vec![27], "too little stake"),
        (vec![77], "code 77"),
    ] {
        world.chain.with(|table| table.refusal = Some(refusal));
        world.on_chain(&["claim"]).refused(3, words);
    }
    let list = world.on_chain(&["list"]).json(0);
    assert!(list["notes"].to_string().contains("code 77"), "{list}");
    world.chain.with(|table| table.refusal = None);
    world.chain.with(|table| table.paused = true);
    world.on_chain(&["claim"]).refused(3, "paused");
    world.chain.with(|table| table.paused = false);
    world
        .chain
        .with(|table| table.epochs.get_mut(&1).unwrap().disputed = true);
    world.on_chain(&["claim"]).refused(3, "disputed");
    world.chain.publish(&file, u32::MAX);
    world.on_chain(&["claim"]).refused(3, "struck down");
    world.chain.publish(&file, OPEN);
    world
        .on_chain(&["claim", "--epoch", "9"])
        .refused(3, "no epoch 9");

    world.chain.with(|table| {
        table.claimed.insert(*me().as_bytes(), BUDGET - 5);
        table.balance = 1;
    });
    let ran = world.on_chain(&["claim", "--dry-run"]);
    assert_eq!(ran.json(0)["due_rao"], "5");
    for words in [
        "5 rao are due",
        "2000000 rao worth at a time",
        "the signer has 1 rao",
    ] {
        assert!(ran.err.contains(words), "{words:?} is not in {ran:#?}");
    }
    world.nothing_was_signed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_is_set_seen_and_refused_while_an_epoch_waits() {
    let world = World::new().await;
    let coldkey = COLDKEY.to_string();
    let dry = world.ran(&["set-recipient", &coldkey, "--dry-run"]).json(0);
    assert_eq!(dry["is_set"], false);
    assert_eq!(
        world
            .pool
            .store
            .recipients_of(&me(), 9)
            .await
            .unwrap()
            .len(),
        0
    );
    let set = world.ran(&["set-recipient", &coldkey]).json(0);
    assert_eq!(
        (&set["is_set"], &set["before"]),
        (&json!(true), &Value::Null)
    );
    let rows = world.pool.store.recipients_of(&me(), 9).await.unwrap();
    assert_eq!(rows[0].update.recipient_coldkey, COLDKEY);
    assert!(rows[0].update.is_signed());
    world
        .ran(&["set-recipient", ADDRESS])
        .refused(3, "name a coldkey");

    let other = Keypair::from_seed(&[3; 32]).hotkey().to_string();
    world.ran(&["set-recipient", &other]).json(0);
    world.ran(&["set-recipient", &coldkey]).json(0);

    world.pool.build(1, &[(me(), 1)]).await;
    world
        .ran(&["set-recipient", &other])
        .refused(3, "epoch_frozen");
    let list = world.ran(&["list"]).json(0);
    assert_eq!(list["recipient"]["recipient_coldkey"], coldkey);
}
