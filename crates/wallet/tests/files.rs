//! Hotkey files: those in `data` were written by the network's own wallet
//! (`bittensor-wallet` 4.1.1), from the phrase below and, for `locked`, with the
//! password below.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use wallet::{Password, WalletError, WalletPath};

const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const ADDRESS: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";
const PASSWORD: &str = "correct horse";

fn recorded(hotkey: &str) -> PathBuf {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/wallets");
    WalletPath::new(path, "miner", hotkey)
        .unwrap()
        .hotkey_file()
}

fn with(content: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hotkey");
    fs::write(&file, content).unwrap();
    (directory, file)
}

fn refusal(content: &str) -> String {
    let (_directory, file) = with(content);
    let error = wallet::read(&file, None).expect_err(content).to_string();
    for secret in ["bottom", "fac7959d", "05d65584"] {
        assert!(!error.contains(secret), "{error}");
    }
    error
}

#[test]
fn a_plain_file_of_the_networks_wallet_is_read() {
    let opened = wallet::read(&recorded("first"), None).unwrap();
    assert_eq!(opened.keypair.hotkey().to_string(), ADDRESS);
}

#[test]
fn an_encrypted_file_of_the_networks_wallet_opens_with_its_password_only() {
    let file = recorded("locked");
    assert!(matches!(
        wallet::read(&file, None),
        Err(WalletError::Encrypted(_))
    ));
    let wrong = Password::new("correct horsf".to_owned());
    assert!(matches!(
        wallet::read(&file, Some(&wrong)),
        Err(WalletError::WrongPassword(_))
    ));
    let right = Password::new(PASSWORD.to_owned());
    let opened = wallet::read(&file, Some(&right)).unwrap();
    assert_eq!(opened.keypair.hotkey().to_string(), ADDRESS);
}

#[test]
fn a_damaged_encrypted_file_is_refused_and_not_a_panic() {
    let whole = fs::read(recorded("locked")).unwrap();
    let password = Password::new(PASSWORD.to_owned());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hotkey");
    for length in [5, 10, 29, 44] {
        fs::write(&file, &whole[..length]).unwrap();
        let error = wallet::read(&file, Some(&password)).unwrap_err();
        assert!(
            matches!(error, WalletError::WrongPassword(_)),
            "{length}: {error}"
        );
    }
    let mut flipped = whole;
    flipped[100] ^= 1;
    fs::write(&file, &flipped).unwrap();
    let error = wallet::read(&file, Some(&password)).unwrap_err();
    assert!(matches!(error, WalletError::WrongPassword(_)), "{error}");
}

#[test]
fn old_encryptions_are_named_and_refused() {
    for (content, scheme) in [
        ("$ANSIBLE_VAULT;1.1;AES256\n6162", "Ansible Vault"),
        ("gAAAAABh", "Fernet"),
    ] {
        assert!(refusal(content).contains(scheme));
    }
}

#[test]
fn a_phrase_file_is_read_with_any_blanks() {
    let (_directory, file) = with(&format!("\n{}\n\n", PHRASE.replace(' ', "\n ")));
    assert_eq!(
        wallet::read(&file, None)
            .unwrap()
            .keypair
            .hotkey()
            .to_string(),
        ADDRESS
    );
}

#[test]
fn each_secret_alone_is_enough_and_order_does_not_matter() {
    let whole: serde_json::Value =
        serde_json::from_slice(&fs::read(recorded("first")).unwrap()).unwrap();
    for secret in ["privateKey", "secretSeed", "secretPhrase"] {
        let content =
            serde_json::json!({ "unknown": [1, {}], secret: whole[secret], "publicKey": null });
        let (_directory, file) = with(&content.to_string());
        let opened = wallet::read(&file, None).unwrap();
        assert_eq!(opened.keypair.hotkey().to_string(), ADDRESS, "{secret}");
    }
}

#[test]
fn a_file_that_is_two_keys_is_refused() {
    let whole = fs::read_to_string(recorded("first")).unwrap();
    for (field, from, to) in [
        ("secretSeed", "0xfac7959d", "0xfac7959e"),
        (
            "secretPhrase",
            PHRASE,
            "legal winner thank year wave sausage worth useful legal winner thank yellow",
        ),
        ("publicKey", r#""publicKey":"0x46"#, r#""publicKey":"0x47"#),
        ("accountId", r#""accountId":"0x46"#, r#""accountId":"0x"#),
        (
            "ss58Address",
            ADDRESS,
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
        ),
    ] {
        assert!(whole.contains(from), "{from}");
        let error = refusal(&whole.replace(from, to));
        assert!(error.contains(field), "{field}: {error}");
    }
}

#[test]
fn what_is_no_hotkey_is_refused_in_words() {
    for (content, words) in [
        ("", "neither JSON nor a phrase"),
        ("bottom drive obey", "neither JSON nor a phrase"),
        ("{}", "has no secret"),
        (r#"{"publicKey":"0x00"}"#, "has no secret"),
        (r#"{"secretSeed":7}"#, "not a JSON object"),
        (r#"{"secretSeed":"0x00"}"#, "secretSeed"),
        (r#"{"privateKey":"zz"}"#, "privateKey"),
        (r#"{"secretPhrase":"bottom drive obey"}"#, "secretPhrase"),
        (r#"{"secretSeed":"0x00","cryptoType":0}"#, "cryptoType"),
        ("{", "not a JSON object"),
        (&" ".repeat(70_000), "more than 65536 bytes"),
    ] {
        let error = refusal(content);
        assert!(error.contains(words), "{content:.40}: {error}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    for path in [directory.path(), &pipe, Path::new("/dev/zero")] {
        let error = wallet::read(path, None).unwrap_err();
        assert!(matches!(error, WalletError::NotAFile(_)), "{error}");
    }
    let missing = directory.path().join("no/such");
    assert!(matches!(
        wallet::read(&missing, None),
        Err(WalletError::Missing(_))
    ));
}

#[test]
fn a_link_to_a_hotkey_is_followed_and_an_open_mode_is_told() {
    let (directory, file) = with(PHRASE);
    let link = directory.path().join("link");
    symlink(&file, &link).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!wallet::read(&link, None).unwrap().open_to_others);
    for mode in [0o640, 0o604, 0o622] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert!(
            wallet::read(&link, None).unwrap().open_to_others,
            "{mode:o}"
        );
    }
}

#[test]
fn a_new_hotkey_is_private_is_read_again_and_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wallets");
    let place = WalletPath::new(path.to_str().unwrap(), "miner", "first").unwrap();
    let created = wallet::create(&place).unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&created.file), 0o600);
    assert_eq!(mode(place.directory()), 0o700);
    assert_eq!(created.phrase.split(' ').count(), 12);
    let again = wallet::read(&place.hotkey_file(), None).unwrap();
    assert_eq!(again.keypair.hotkey(), created.keypair.hotkey());
    let (_directory, phrase) = with(&created.phrase);
    let from_words = wallet::read(&phrase, None).unwrap();
    assert_eq!(from_words.keypair.hotkey(), created.keypair.hotkey());
    let public = fs::read_to_string(place.public_file()).unwrap();
    assert!(public.contains(&created.keypair.hotkey().to_string()));
    assert!(!public.contains("secret"), "{public}");

    let before = fs::read(&created.file).unwrap();
    assert!(matches!(
        wallet::create(&place),
        Err(WalletError::Exists(_))
    ));
    assert_eq!(fs::read(&created.file).unwrap(), before);
    let other = WalletPath::new(path.to_str().unwrap(), "miner", "second").unwrap();
    let other = wallet::create(&other).unwrap();
    assert_ne!(other.keypair.hotkey(), created.keypair.hotkey());
}

#[test]
fn a_secret_beside_a_foreign_public_file_is_not_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let place = WalletPath::new(directory.path().to_str().unwrap(), "miner", "first").unwrap();
    fs::create_dir_all(place.directory()).unwrap();
    fs::write(place.public_file(), "{}").unwrap();
    assert!(matches!(
        wallet::create(&place),
        Err(WalletError::Exists(_))
    ));
    assert!(!place.hotkey_file().exists());
}

#[test]
fn nothing_prints_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let place = WalletPath::new(directory.path().to_str().unwrap(), "miner", "first").unwrap();
    let created = wallet::create(&place).unwrap();
    let opened = wallet::read(&created.file, None).unwrap();
    let printed = format!(
        "{created:?} {opened:?} {:?}",
        Password::new("hunter2".to_owned())
    );
    for word in created.phrase.split(' ') {
        assert!(!printed.contains(&format!(" {word}")), "{printed}");
    }
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn a_password_is_the_first_line_of_its_file() {
    let (_directory, file) = with("correct horse\nbattery\n");
    let password = Password::from_file(&file).unwrap();
    assert!(wallet::read(&recorded("locked"), Some(&password)).is_ok());
}
