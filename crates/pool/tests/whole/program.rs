//! The program, as an operator runs it.

use std::fs;
use std::process::{Command, Output};

use pool::Store;
use protocol::claims::RecipientUpdate;
use tempfile::TempDir;

use crate::common::{CONTRACT, coldkey, key, now, snapshot};

fn run(directory: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pool"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("POOL_DATABASE")
        .env_remove("POOL_DATA")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn an_operator_builds_shows_and_verifies_an_epoch() {
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite://{}/pool.db", directory.path().display());
    let store = Store::open(&url).await.unwrap();
    let update = RecipientUpdate::sign(&key(1), coldkey(1), now());
    store.set_recipient(update).await.unwrap();
    store.close().await;
    fs::write(
        directory.path().join("snapshot.json"),
        snapshot(&[(1, 9), (2, 1)]),
    )
    .unwrap();
    let contract = CONTRACT.to_string();
    let build = [
        "epoch",
        "build",
        "1",
        "--contract",
        &contract,
        "--snapshot",
        "snapshot.json",
        "--budget-rao",
        "1000",
    ];
    let built = run(&directory, &build);
    assert!(built.status.success(), "{}", text(&built.stderr));
    let said = text(&built.stdout);
    assert!(said.contains("total       900 rao"), "{said}");
    assert_eq!(text(&run(&directory, &["epoch", "show", "1"]).stdout), said);
    assert_eq!(
        text(&run(&directory, &["epoch", "finish", "1"]).stdout),
        said
    );
    let hotkey = key(1).hotkey().to_string();
    let package = text(&run(&directory, &["epoch", "show", "1", "--hotkey", &hotkey]).stdout);
    assert!(package.contains("\"amount_units\": 900"), "{package}");
    assert!(text(&run(&directory, &["epoch", "list"]).stdout).contains("1  built"));

    let file = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("file"))
        .unwrap();
    let file = file.trim();
    let verified = run(&directory, &["verify", file]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    assert!(text(&verified.stdout).contains("epoch 1 follows from its inputs: 0x"));
    let path = directory.path().join(file);
    let forged = fs::read_to_string(&path)
        .unwrap()
        .replace("\"900\"", "\"901\"");
    fs::write(directory.path().join("forged.json"), forged).unwrap();
    let wrong = run(
        &directory,
        &["verify", "forged.json", "--inputs", "pool-data"],
    );
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong.stderr));
    assert!(
        text(&wrong.stdout).contains("leaves[0]"),
        "{}",
        text(&wrong.stdout)
    );
    let alone = run(&directory, &["verify", "forged.json"]);
    assert_eq!(alone.status.code(), Some(1), "its inputs are not beside it");
    assert!(run(&directory, &["epoch", "thaw", "1"]).status.success());
}

#[test]
fn what_is_missing_for_the_chain_is_named_before_any_node_is_asked() {
    let directory = TempDir::new().unwrap();
    let contract = CONTRACT.to_string();
    let there = ["--contract", &contract, "--endpoint"];
    let publish = [
        "publish",
        "--public-url",
        "http://127.0.0.1:1",
        "--wallet-file",
    ];
    for (arguments, part) in [
        (vec!["publish"], "--contract"),
        (vec!["watch"], "--contract"),
        (vec!["watch", "--contract", "5F"], "--contract"),
        (
            [&["watch"], &there[..], &["ws://example.org"]].concat(),
            "--endpoint",
        ),
        (
            [
                &["watch"],
                &there[..],
                &["ws://127.0.0.1:1", "--genesis", "1"],
            ]
            .concat(),
            "--genesis",
        ),
        (
            [&publish[..], &["nowhere"], &there, &["ws://127.0.0.1:1"]].concat(),
            "nowhere",
        ),
    ] {
        let refused = run(&directory, &arguments);
        assert!(!refused.status.success(), "{arguments:?}");
        let said = text(&refused.stderr);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}
