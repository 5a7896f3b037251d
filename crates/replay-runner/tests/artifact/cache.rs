//! The artifact cache on disk: local files, corruption, age, eviction, several
//! users at once, and a full disk.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime};

use protocol::{Code, Sha256Digest};
use replay_runner::artifact::{
    ArtifactError, ArtifactSource, Artifacts, Declared, FetchPolicy, LocalFiles, Secrecy,
    VerifiedArtifact, Watch,
};
use tempfile::TempDir;

use crate::server::{Serve, Server};
use crate::{declared, loopback};

const MAX: u64 = 8 << 20;

fn operator() -> FetchPolicy {
    FetchPolicy::default().local_files(LocalFiles::Anywhere)
}

async fn verify(
    artifacts: &Artifacts,
    source: &ArtifactSource,
    declared: Declared,
) -> Result<VerifiedArtifact, ArtifactError> {
    artifacts
        .verify(source, declared, MAX, &Watch::default())
        .await
}

/// Verifies a local file in a cache of its own.
async fn local(
    policy: FetchPolicy,
    path: &Path,
    declared: Declared,
) -> Result<Vec<u8>, ArtifactError> {
    let root = TempDir::new().unwrap();
    let artifacts = Artifacts::open(root.path(), policy)?;
    let kept = verify(&artifacts, &ArtifactSource::local(path), declared).await?;
    assert_ne!(kept.path(), path, "it is used where it lies");
    Ok(fs::read(kept.path()).unwrap())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Changes a kept file behind the cache's back.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn age(path: &Path, by: Duration) {
    let file = File::options().read(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

fn seal_of(path: &Path) -> PathBuf {
    path.with_added_extension("verified")
}

#[tokio::test]
async fn a_local_file_is_copied_hashed_and_checked() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("model.bin");
    for length in [0, 1, (1 << 20) + 1, 3 << 20] {
        let bytes = vec![7; length];
        fs::write(&path, &bytes).unwrap();
        for declared in [Declared::default(), declared(&bytes)] {
            assert!(local(operator(), &path, declared).await.unwrap() == bytes);
        }
    }
    let bytes = vec![7; 3 << 20];
    let wrong = |sha256: &[u8], size| Declared {
        sha256: Some(Sha256Digest::of(sha256)),
        size_bytes: Some(size),
    };
    for (declared, code) in [
        (wrong(b"other", 3 << 20), Code::ArtifactDigestMismatch),
        (wrong(&bytes, (3 << 20) - 1), Code::ArtifactSizeMismatch),
        (wrong(&bytes, (3 << 20) + 1), Code::ArtifactSizeMismatch),
    ] {
        let error = local(operator(), &path, declared).await.expect_err("wrong");
        assert_eq!(error.code(), code, "{error}");
        let text = error.to_string();
        assert!(!text.contains(directory.path().to_str().unwrap()), "{text}");
    }
    let more_than_allowed = Declared {
        sha256: None,
        size_bytes: Some(MAX + 1),
    };
    let error = local(operator(), &path, more_than_allowed).await;
    assert_eq!(error.unwrap_err().code(), Code::ArtifactTooLarge);
    File::create(&path).unwrap().set_len(MAX + 1).unwrap();
    let error = local(operator(), &path, Declared::default()).await;
    assert_eq!(error.unwrap_err().code(), Code::ArtifactTooLarge);
}

#[tokio::test]
async fn only_regular_files_are_read_and_only_where_the_operator_allows() {
    let directory = TempDir::new().unwrap();
    let inside = directory.path().join("inside");
    fs::create_dir_all(inside.join("sub")).unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    fs::write(inside.join("sub/file"), "good").unwrap();
    symlink(&secret, inside.join("link")).unwrap();
    symlink(directory.path(), inside.join("up")).unwrap();
    let fifo = Command::new("mkfifo").arg(inside.join("fifo")).status();
    assert!(fifo.unwrap().success());
    let beneath = || FetchPolicy::default().local_files(LocalFiles::Beneath(inside.clone()));
    let none = Declared::default();
    let good = local(beneath(), Path::new("sub/file"), none).await;
    assert_eq!(good.unwrap(), b"good");
    for (path, code) in [
        ("../secret", Code::ArtifactAddressNotAllowed),
        ("sub/../../secret", Code::ArtifactAddressNotAllowed),
        (secret.to_str().unwrap(), Code::ArtifactAddressNotAllowed),
        ("link", Code::ArtifactAddressNotAllowed),
        ("up/secret", Code::ArtifactAddressNotAllowed),
        ("sub", Code::ArtifactAddressNotAllowed),
        ("fifo", Code::ArtifactAddressNotAllowed),
        ("nothing", Code::ArtifactUnavailable),
    ] {
        let error = local(beneath(), Path::new(path), none)
            .await
            .expect_err(path);
        assert_eq!(error.code(), code, "{path}: {error}");
        let error = local(FetchPolicy::default(), Path::new(path), none).await;
        assert_eq!(error.unwrap_err().code(), Code::ArtifactSchemeNotAllowed);
    }
    for path in ["link", "sub", "fifo", "nothing"] {
        let error = local(operator(), &inside.join(path), none).await;
        assert!(error.is_err(), "{path} was read");
    }
    for device in ["/dev/zero", "/dev/null", "/proc/self/fd"] {
        let error = local(operator(), Path::new(device), none).await;
        assert_eq!(error.unwrap_err().code(), Code::ArtifactAddressNotAllowed);
    }
}

#[tokio::test]
async fn a_local_file_is_not_read_again_until_it_changes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("model.bin");
    fs::write(&path, "first").unwrap();
    let root = TempDir::new().unwrap();
    let artifacts = Artifacts::open(root.path(), operator()).unwrap();
    let source = ArtifactSource::local(&path);
    let notes = root.path().join("local");
    verify(&artifacts, &source, Declared::default())
        .await
        .unwrap();
    assert!(!notes.exists(), "a file that has just changed was trusted");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    for _ in 0..2 {
        let kept = verify(&artifacts, &source, Declared::default())
            .await
            .unwrap();
        assert_eq!(fs::read(kept.path()).unwrap(), b"first");
        assert_eq!(fs::read_dir(&notes).unwrap().count(), 1);
    }
    let error = verify(&artifacts, &source, declared(b"other")).await;
    assert_eq!(error.unwrap_err().code(), Code::ArtifactDigestMismatch);
    // Same length, same inode, the old modification time put back.
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all(b"other")
        .unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(before)
        .unwrap();
    let kept = verify(&artifacts, &source, Declared::default())
        .await
        .unwrap();
    assert_eq!(fs::read(kept.path()).unwrap(), b"other");
}

#[tokio::test]
async fn kept_files_are_read_only_below_a_private_directory() {
    for (secrecy, expected) in [(Secrecy::Public, 0o444), (Secrecy::Private, 0o400)] {
        let server = Server::start(Serve::Body(vec![1])).await;
        let parent = TempDir::new().unwrap();
        let root = parent.path().join("artifacts");
        let artifacts = Artifacts::open(&root, loopback(&server).secrecy(secrecy)).unwrap();
        let source = ArtifactSource::parse(&server.url()).unwrap();
        let kept = verify(&artifacts, &source, declared(&[1])).await.unwrap();
        assert_eq!(mode(kept.path()), expected);
        let name = Sha256Digest::of(&[1]).to_string();
        assert_eq!(kept.path(), root.join(&name[..2]).join(&name));
        for directory in [&root, &root.join(&name[..2]), &root.join("incoming")] {
            assert_eq!(mode(directory), 0o700, "{}", directory.display());
        }
    }
}

#[tokio::test]
async fn a_changed_file_is_found_out_dropped_and_fetched_again() {
    let body = vec![4; 3000];
    let server = Server::start(Serve::Body(body.clone())).await;
    let root = TempDir::new().unwrap();
    let artifacts = Artifacts::open(root.path(), loopback(&server)).unwrap();
    let source = ArtifactSource::parse(&server.url()).unwrap();
    let path = verify(&artifacts, &source, declared(&body))
        .await
        .unwrap()
        .path()
        .to_owned();
    let mut flipped = body.clone();
    flipped[1500] ^= 1;
    for (fetches, corrupt) in [(2, flipped), (3, body[..2999].to_vec()), (4, vec![])] {
        overwrite(&path, &corrupt);
        let kept = verify(&artifacts, &source, declared(&body)).await.unwrap();
        assert_eq!(fs::read(kept.path()).unwrap(), body);
        assert_eq!(server.requests(), fetches);
    }
}

/// A flipped bit on the disk changes no time: only the age of the seal tells.
#[tokio::test]
async fn a_file_is_hashed_again_when_its_seal_is_old_missing_or_from_the_future() {
    let body = vec![4; 3000];
    let server = Server::start(Serve::Body(body.clone())).await;
    let root = TempDir::new().unwrap();
    let artifacts = Artifacts::open(root.path(), loopback(&server)).unwrap();
    let source = ArtifactSource::parse(&server.url()).unwrap();
    let verified = verify(&artifacts, &source, declared(&body)).await.unwrap();
    let seal = seal_of(verified.path());
    let good = fs::read_to_string(&seal).unwrap();
    let fields: Vec<&str> = good.split(' ').collect();
    let at: u64 = fields[1].parse().unwrap();
    for (verified_at, again) in [(at - 60, false), (at - 90_000, true), (at + 1000, true)] {
        let text = good.replacen(fields[1], &verified_at.to_string(), 1);
        fs::write(&seal, &text).unwrap();
        verify(&artifacts, &source, declared(&body)).await.unwrap();
        assert_eq!(fs::read_to_string(&seal).unwrap() != text, again, "{text}");
    }
    fs::remove_file(&seal).unwrap();
    verify(&artifacts, &source, declared(&body)).await.unwrap();
    assert!(seal.exists());
    assert_eq!(server.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_of_one_cache_get_the_same_file() {
    let body = vec![8; 2 << 20];
    let server = Server::start(Serve::Body(body.clone())).await;
    let root = TempDir::new().unwrap();
    let mut running = Vec::new();
    for _ in 0..4 {
        // A cache opened twice stands for two processes.
        let artifacts = Artifacts::open(root.path(), loopback(&server)).unwrap();
        for _ in 0..4 {
            let (artifacts, body) = (artifacts.clone(), body.clone());
            let source = ArtifactSource::parse(&server.url()).unwrap();
            running.push(tokio::spawn(async move {
                let kept = verify(&artifacts, &source, declared(&body)).await.unwrap();
                assert!(fs::read(kept.path()).unwrap() == body);
                kept
            }));
        }
    }
    let mut held = Vec::new();
    for user in running {
        held.push(user.await.unwrap());
    }
    assert!(server.requests() <= 4, "{} downloads", server.requests());
    let artifacts = Artifacts::open(root.path(), loopback(&server)).unwrap();
    assert_eq!(artifacts.evict(0).await.unwrap(), 0, "evicted while in use");
    drop(held);
    assert_eq!(artifacts.evict(0).await.unwrap(), 2 << 20);
    assert_eq!(
        fs::read_dir(root.path().join("incoming")).unwrap().count(),
        0
    );
}

#[tokio::test]
async fn the_least_recently_used_files_are_evicted() {
    let directory = TempDir::new().unwrap();
    let root = TempDir::new().unwrap();
    let artifacts = Artifacts::open(root.path(), operator()).unwrap();
    let mut paths = Vec::new();
    for (name, hours) in [("a", 3), ("b", 1), ("c", 2)] {
        let path = directory.path().join(name);
        fs::write(&path, name.repeat(100)).unwrap();
        let source = ArtifactSource::local(&path);
        let kept = verify(&artifacts, &source, Declared::default())
            .await
            .unwrap();
        age(&seal_of(kept.path()), Duration::from_hours(hours));
        paths.push(kept.path().to_owned());
    }
    let left = || paths.iter().map(|path| path.exists()).collect::<Vec<_>>();
    assert_eq!(artifacts.evict(300).await.unwrap(), 0);
    assert_eq!(left(), [true, true, true]);
    assert_eq!(artifacts.evict(250).await.unwrap(), 100);
    assert_eq!(left(), [false, true, true]);
    assert!(!seal_of(&paths[0]).exists());
    // Use makes young again.
    let again = ArtifactSource::local(directory.path().join("c"));
    drop(
        verify(&artifacts, &again, Declared::default())
            .await
            .unwrap(),
    );
    assert_eq!(artifacts.evict(100).await.unwrap(), 100);
    assert_eq!(left(), [false, false, true]);
}

#[tokio::test]
async fn a_layer_holds_the_file_at_its_place_and_costs_no_further_hashing() {
    let directory = TempDir::new().unwrap();
    let root = TempDir::new().unwrap();
    let artifacts = Artifacts::open(root.path(), operator()).unwrap();
    let path = directory.path().join("model.bin");
    fs::write(&path, "weights").unwrap();
    let source = ArtifactSource::local(&path);
    let kept = verify(&artifacts, &source, Declared::default())
        .await
        .unwrap();
    let layer = kept.layer("place/artifact").unwrap();
    assert_eq!(kept.layer("place/artifact").unwrap(), layer);
    assert_eq!(fs::read(layer.join("place/artifact")).unwrap(), b"weights");
    assert_eq!(
        [&layer, &layer.join("place")].map(|dir| mode(dir)),
        [0o755; 2]
    );
    drop(kept);

    let hashed = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&hashed);
    let watch = Watch::default().on_progress(move |bytes| told.store(bytes, SeqCst));
    let nowhere = ArtifactSource::parse("https://kept.invalid/model.bin").unwrap();
    let kept = artifacts
        .verify(&nowhere, declared(b"weights"), MAX, &watch)
        .await
        .unwrap();
    assert_eq!(hashed.load(SeqCst), 0, "its seal was broken");

    drop(kept);
    assert_eq!(artifacts.evict(0).await.unwrap(), 7);
    assert!(!layer.exists(), "its bytes are still on the disk");
}

/// Re-runs itself in a mount namespace with a cache of one megabyte.
#[tokio::test]
async fn a_full_disk_is_this_hosts_error_and_leaves_nothing() {
    const NAME: &str = "cache::a_full_disk_is_this_hosts_error_and_leaves_nothing";
    let Some(root) = std::env::var_os("ARTIFACT_TEST_SMALL_DISK").map(PathBuf::from) else {
        let mount = TempDir::new().unwrap();
        let script = r#"mount -t tmpfs -o size=1m tmpfs "$ARTIFACT_TEST_SMALL_DISK" || exit 99
            exec "$0" --exact "$1""#;
        let child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(std::env::current_exe().unwrap())
            .arg(NAME)
            .env("ARTIFACT_TEST_SMALL_DISK", mount.path())
            .output();
        match child {
            Ok(done) if done.status.success() => {}
            Ok(done) if done.status.code() == Some(101) => {
                panic!("{}", String::from_utf8_lossy(&done.stdout))
            }
            // Some hosts give no user namespaces to anybody.
            other => eprintln!("skipped, no mount namespace here: {other:?}"),
        }
        return;
    };
    let body = vec![6; 2 << 20];
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &body).unwrap();
    let server = Server::start(Serve::Body(body.clone())).await;
    let policy = loopback(&server).local_files(LocalFiles::Anywhere);
    let artifacts = Artifacts::open(&root, policy).unwrap();
    for source in [
        ArtifactSource::parse(&server.url()).unwrap(),
        ArtifactSource::local(file.path()),
    ] {
        let error = verify(&artifacts, &source, declared(&body)).await;
        assert_eq!(error.unwrap_err().code(), Code::SandboxStorageFull);
        assert_eq!(fs::read_dir(root.join("incoming")).unwrap().count(), 0);
    }
    assert_eq!(
        server.requests(),
        0,
        "the download began without room for it"
    );
}
