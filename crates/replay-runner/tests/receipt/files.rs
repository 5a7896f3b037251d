//! Key files and receipt files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use protocol::hotkey::Keypair;
use protocol::receipt::{Envelope, Expected, HostFacts, PAYLOAD_TYPE, SigningKey, Trust};
use replay_runner::receipt::{ReceiptError, ReceiptKey, can_write, read, verify_file, write};
use tempfile::TempDir;

use crate::{report, spec};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_key_file_that_others_read_or_that_is_no_key_is_refused() {
    let state = TempDir::new().unwrap();
    let path = state.path().join("receipt.key");
    ReceiptKey::open(state.path()).unwrap();
    for exposed in [0o640, 0o604, 0o660, 0o644] {
        fs::set_permissions(&path, Permissions::from_mode(exposed)).unwrap();
        let error = ReceiptKey::open(state.path()).unwrap_err();
        assert!(matches!(error, ReceiptError::KeyExposed { .. }), "{error}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    for bad in ["", "x", &good[..60], &good.replace("PRIVATE", "PUBLIC")] {
        fs::write(&path, bad).unwrap();
        let error = ReceiptKey::open(state.path()).unwrap_err();
        assert!(matches!(error, ReceiptError::Key { .. }), "{error}");
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            bad,
            "it was overwritten"
        );
    }
    fs::remove_file(&path).unwrap();
    let elsewhere = state.path().join("elsewhere");
    fs::write(&elsewhere, &good).unwrap();
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o600)).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(
        ReceiptKey::open(state.path()).is_err(),
        "a link was followed"
    );
    let nowhere = state.path().join("nowhere");
    assert!(matches!(
        ReceiptKey::open(&nowhere),
        Err(ReceiptError::Io { .. })
    ));
}

#[test]
fn a_key_is_made_once_and_only_for_this_user() {
    let state = TempDir::new().unwrap();
    let keys: Vec<_> = std::thread::scope(|scope| {
        let open = || ReceiptKey::open(state.path()).unwrap().public();
        let running: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(mode(&state.path().join("receipt.key")), 0o600);
    assert_eq!(
        fs::read_dir(state.path()).unwrap().count(),
        1,
        "something is left"
    );
    let other = TempDir::new().unwrap();
    assert_ne!(ReceiptKey::open(other.path()).unwrap().public(), keys[0]);
}

#[test]
fn openssl_reads_the_key_file_as_it_is() {
    let state = TempDir::new().unwrap();
    let key = ReceiptKey::open(state.path()).unwrap();
    let path = state.path().join("receipt.key");
    let args = ["pkey", "-pubout", "-in"];
    let openssl = Command::new("openssl")
        .args(args)
        .arg(&path)
        .output()
        .unwrap();
    let printed = String::from_utf8(openssl.stdout).unwrap();
    assert_eq!(Some(printed), key.public().to_pem());
    // And the other way round.
    let args = ["genpkey", "-algorithm", "ed25519", "-out"];
    let made = Command::new("openssl")
        .args(args)
        .arg(&path)
        .output()
        .unwrap();
    assert!(made.status.success());
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_ne!(
        ReceiptKey::open(state.path()).unwrap().public(),
        key.public()
    );
}

#[test]
fn the_hotkey_binds_the_key_once() {
    let state = TempDir::new().unwrap();
    let hotkey = Keypair::from_seed(&[9; 32]);
    let open = || ReceiptKey::open(state.path()).unwrap();
    assert!(open().binding().is_none());
    let first = *open().bound_by(&hotkey).unwrap().binding().unwrap();
    assert!(first.is_valid());
    assert_eq!(first.hotkey, hotkey.hotkey());
    // Found again without the hotkey, and not signed anew with it.
    assert_eq!(open().binding(), Some(&first));
    assert_eq!(open().bound_by(&hotkey).unwrap().binding(), Some(&first));
    let other = Keypair::from_seed(&[8; 32]);
    let second = *open().bound_by(&other).unwrap().binding().unwrap();
    assert_eq!(second.hotkey, other.hotkey());
    // A binding of another key, or a damaged one, is none.
    fs::remove_file(state.path().join("receipt.key")).unwrap();
    assert!(open().binding().is_none());
    fs::write(state.path().join("receipt.binding.json"), "{").unwrap();
    assert!(
        open()
            .bound_by(&hotkey)
            .unwrap()
            .binding()
            .unwrap()
            .is_valid()
    );
}

#[test]
fn a_receipt_file_is_replaced_whole_or_not_at_all() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("receipt.json");
    let envelope = |text: &str| {
        Envelope::sign(
            text.as_bytes(),
            PAYLOAD_TYPE,
            &SigningKey::from_seed(&[1; 32]),
        )
    };
    for text in ["first", "second"] {
        write(&path, &envelope(text)).unwrap();
        assert_eq!(read(&path).unwrap(), envelope(text));
        assert_eq!(mode(&path), 0o644);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let missing = directory.path().join("no/such/receipt.json");
    assert!(matches!(
        write(&missing, &envelope("x")),
        Err(ReceiptError::Io { .. })
    ));
    let taken = directory.path().join("taken");
    fs::create_dir_all(taken.join("x")).unwrap();
    assert!(write(&taken, &envelope("x")).is_err());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    for bad in ["", "{}", "[]", r#"{"payload":1}"#] {
        fs::write(&path, bad).unwrap();
        assert!(matches!(read(&path), Err(ReceiptError::Json(_))), "{bad}");
    }
    fs::File::create(&path).unwrap().set_len(1 << 34).unwrap();
    assert!(matches!(read(&path), Err(ReceiptError::Io { .. })));
}

#[test]
fn a_replays_receipt_is_verified_by_key_key_id_and_hotkey() {
    let state = TempDir::new().unwrap();
    let path = state.path().join("receipt.json");
    let hotkey = Keypair::from_seed(&[9; 32]);
    let key = ReceiptKey::open(state.path()).unwrap();
    let key = key.bound_by(&hotkey).unwrap();
    let receipt = key.sign(&spec(), &report(), HostFacts::default()).unwrap();
    write(&path, &receipt).unwrap();
    let expected = Expected::by(&spec());
    for trust in [
        Trust::PublicKey(key.public()),
        Trust::KeyId(key.public().key_id()),
        Trust::Hotkey(hotkey.hotkey()),
    ] {
        let found = verify_file(&path, &[trust], 1, &expected).unwrap();
        assert_eq!(found.hotkey, Some(hotkey.hotkey()));
        let claims = found.statement.predicate.claims;
        assert_eq!(claims.metrics["loss"].0.as_str(), "1e-7");
    }
    let stranger = Trust::Hotkey(Keypair::from_seed(&[8; 32]).hotkey());
    let found = verify_file(&path, &[stranger], 1, &expected);
    assert!(matches!(found, Err(ReceiptError::Refused(_))));
}

#[test]
fn a_place_that_no_receipt_can_be_written_to_is_known_before_the_replay() {
    let place = TempDir::new().unwrap();
    let good = place.path().join("receipt.json");
    can_write(&good).unwrap();
    assert!(!good.exists(), "asking wrote something");
    fs::write(place.path().join("file"), "").unwrap();
    for bad in ["", "nowhere/receipt.json", "file/receipt.json"] {
        let path = place.path().join(bad);
        let error = can_write(&path).unwrap_err();
        assert!(matches!(error, ReceiptError::Io { .. }), "{bad:?}: {error}");
    }
}
