//! `wallet new` and `wallet show`, and which hotkey signs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::program::{ADDRESS, Bench, Ran, WORDS};

/// Wallets that the network's own wallet wrote.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wallet/tests/data/wallets");

#[test]
fn a_new_hotkey_is_made_in_the_usual_place_and_its_words_go_to_no_log() {
    let bench = Bench::new("http://127.0.0.1:1");
    let made = Ran::of(bench.bare(&["wallet", "new"]));
    let file = bench
        .path()
        .join("home/.bittensor/wallets/default/hotkeys/default");
    assert_eq!(made.json(0)["file"], file.display().to_string());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let words = written["secretPhrase"].as_str().unwrap();
    assert_eq!(words.split(' ').count(), 12);
    assert!(!made.out.contains(words) && !made.err.contains(words));

    let shown = Ran::of(bench.bare(&["wallet", "show"]));
    assert_eq!(shown.json(0)["ss58_address"], made.json(0)["ss58_address"]);
    assert!(!shown.err.contains(words) && !shown.out.contains(words));
    let mut from_words = bench.bare(&["wallet", "show"]);
    from_words.env("HOTKEY_MNEMONIC", words);
    let from_words = Ran::of(from_words).json(0);
    assert_eq!(from_words["ss58_address"], made.json(0)["ss58_address"]);
    Ran::of(bench.bare(&["wallet", "new"])).refused(3, "never overwritten");
}

#[test]
fn a_person_at_a_terminal_is_shown_the_words_of_a_new_hotkey() {
    let bench = Bench::new("http://127.0.0.1:1");
    let shown = bench.at_terminal("wallet new --wallet-name another");
    let file = bench
        .path()
        .join("home/.bittensor/wallets/another/hotkeys/default");
    let written: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert!(
        shown.contains(written["secretPhrase"].as_str().unwrap()),
        "{shown}"
    );
}

#[test]
fn the_hotkey_comes_from_words_a_file_or_a_wallet_and_an_encrypted_one_asks_for_its_password() {
    let bench = Bench::new("http://127.0.0.1:1");
    let file = bench.path().join("words");
    fs::write(&file, WORDS).unwrap();
    let password = bench.path().join("password");
    fs::write(&password, "correct horse\n").unwrap();
    let (file, password) = (file.to_str().unwrap(), password.to_str().unwrap());
    let wallet = [
        "--wallet-path",
        RECORDED,
        "--wallet-name",
        "miner",
        "--wallet-hotkey",
    ];
    let first = [&wallet[..], &["first"]].concat();
    let locked = [&wallet[..], &["locked"]].concat();
    let opened = [&locked[..], &["--wallet-password-file", password]].concat();
    for options in [
        &["--hotkey-mnemonic", WORDS][..],
        &["--hotkey-file", file],
        &first,
        &opened,
    ] {
        let shown = Ran::of(bench.bare(&[&["wallet", "show"][..], options].concat()));
        assert_eq!(shown.json(0)["ss58_address"], ADDRESS, "{options:?}");
    }
    let show = |options: &[&str]| Ran::of(bench.bare(&[&["wallet", "show"][..], options].concat()));
    show(&locked).refused(2, "--wallet-password-file");
    show(&[]).refused(2, "wallet new");
    show(&["--wallet-name", "../x"]).refused(2, "wallet name");
    let refused = show(&["--hotkey-mnemonic", "bottom drive obey"]);
    refused.refused(2, "mnemonic");
    assert!(!refused.err.contains("bottom"), "{}", refused.err);
}

#[test]
fn a_new_hotkey_refuses_the_options_of_one_that_is_there() {
    let bench = Bench::new("http://127.0.0.1:1");
    for option in [
        "--hotkey-mnemonic",
        "--hotkey-file",
        "--wallet-password-file",
    ] {
        let ran = Ran::of(bench.bare(&["wallet", "new", option, WORDS]));
        ran.refused(2, option);
    }
    assert!(
        fs::read_dir(bench.path().join("home"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn an_empty_variable_is_as_good_as_none_and_the_command_line_comes_before_it() {
    let bench = Bench::new("http://127.0.0.1:1");
    let file = bench.path().join("words");
    fs::write(&file, WORDS).unwrap();
    let show = |variable: &str, options: &[&str]| {
        let mut command = bench.bare(&[&["wallet", "show"][..], options].concat());
        command.env("HOTKEY_MNEMONIC", variable);
        Ran::of(command)
    };
    let from_file = ["--hotkey-file", file.to_str().unwrap()];
    for variable in ["", "   ", "bottom drive"] {
        let shown = show(variable, &from_file);
        assert_eq!(shown.json(0)["ss58_address"], ADDRESS, "{variable:?}");
    }
    show("", &[]).refused(2, "there is no hotkey at");
    show("bottom drive", &[]).refused(2, "HOTKEY_MNEMONIC: ");
    show(WORDS, &["--hotkey-mnemonic", ""]).refused(2, "--hotkey-mnemonic is empty");
    let ran = show("", &["--hotkey-mnemonic", "bottom drive"]);
    ran.refused(2, "--hotkey-mnemonic: ");
}
