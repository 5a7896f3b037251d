//! What comes over the wire: only the declared bytes, in bounded time and space.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use protocol::{Code, Sha256Digest};
use replay_runner::artifact::{ArtifactSource, Artifacts, Declared, FetchPolicy, Watch};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::server::{Serve, Server};
use crate::{MAX, declared, kept, loopback, verify};

struct Case {
    id: &'static str,
    serve: Serve,
    declared: Declared,
    code: Code,
    /// The most body bytes that the server may get rid of.
    at_most: u64,
}

#[rustfmt::skip] // one case a line
fn refused() -> Vec<Case> {
    let good = vec![3; 100];
    let of = |bytes: &[u8]| declared(bytes);
    let mut bit = good.clone();
    bit[50] ^= 1;
    let page = b"<html><body>503 try later</body></html>".to_vec();
    let mut page_padded = page.clone();
    page_padded.resize(100, b' ');
    let case = |id, serve, declared, code, at_most| Case {
        id,
        serve,
        declared,
        code,
        at_most,
    };
    let none = Declared::default();
    let size = |size| Declared {
        size_bytes: size,
        ..of(&good)
    };
    // What a socket swallows before the server feels that the client is gone.
    let buffered = 8 << 20;
    vec![
        case("R01", Serve::Body(bit), of(&good), Code::ArtifactDigestMismatch, 100),
        case("R02 announced 101", Serve::Body(vec![3; 101]), size(Some(100)), Code::ArtifactSizeMismatch, 101),
        case("R02 announced 99", Serve::Body(vec![3; 99]), size(Some(100)), Code::ArtifactSizeMismatch, 99),
        case("R02 chunked 101", Serve::Chunked(vec![3; 101]), of(&good), Code::ArtifactSizeMismatch, 101),
        case("R02 chunked 99", Serve::Chunked(vec![3; 99]), of(&good), Code::ArtifactSizeMismatch, 99),
        case("R02 until close 99", Serve::UntilClose(vec![3; 99]), of(&good), Code::ArtifactSizeMismatch, 99),
        case("R02 announced, nothing sent", Serve::Announce(101, vec![]), of(&good), Code::ArtifactSizeMismatch, 0),
        case("R02 empty", Serve::Body(vec![]), of(&good), Code::ArtifactSizeMismatch, 0),
        case("R03", Serve::Body(good.clone()), size(Some(MAX + 1)), Code::ArtifactTooLarge, 0),
        case("R03 huge", Serve::Body(good.clone()), size(Some(u64::MAX)), Code::ArtifactTooLarge, 0),
        case("R04", Serve::Endless, size(Some(64 << 10)), Code::ArtifactSizeMismatch, buffered),
        case("R06", Serve::Body(page_padded), of(&good), Code::ArtifactDigestMismatch, 100),
        case("R06 length", Serve::Body(page), of(&good), Code::ArtifactSizeMismatch, 100),
        case("R07 404", Serve::Status(404, ""), of(&good), Code::ArtifactUnavailable, 0),
        case("R07 500", Serve::Status(500, ""), of(&good), Code::ArtifactUnavailable, 0),
        case("R07 206", Serve::Status(206, ""), of(&good), Code::ArtifactUnavailable, 0),
        case("R07 cut off", Serve::Announce(100, vec![3; 60]), of(&good), Code::ArtifactUnavailable, 60),
        case("R10", Serve::Body(good.clone()), Declared { size_bytes: Some(100), ..none }, Code::ArtifactDigestMissing, 0),
        case("R10 no size", Serve::Body(good.clone()), size(None), Code::ArtifactSizeMismatch, 0),
        case("W21", Serve::Announce(600 << 20, vec![3; 64 << 20]), size(Some(64 << 10)), Code::ArtifactSizeMismatch, buffered),
        case("W21 chunked", Serve::Chunked(vec![3; 64 << 20]), size(Some(64 << 10)), Code::ArtifactSizeMismatch, buffered),
        case("redirect 302", Serve::Status(302, "\r\nLocation: https://localhost/x"), of(&good), Code::ArtifactRedirectNotAllowed, 0),
        case("redirect 308", Serve::Status(308, "\r\nLocation: http://169.254.169.254/"), of(&good), Code::ArtifactRedirectNotAllowed, 0),
        case("redirect to nowhere", Serve::Status(303, ""), of(&good), Code::ArtifactRedirectNotAllowed, 0),
        case("not modified", Serve::Status(304, ""), of(&good), Code::ArtifactRedirectNotAllowed, 0),
    ]
}

#[tokio::test]
async fn what_is_not_the_declared_file_is_refused_and_leaves_nothing() {
    for case in refused() {
        let server = Server::start(case.serve).await;
        let root = TempDir::new().unwrap();
        let policy = loopback(&server);
        let found = verify(root.path(), policy, &server.url(), case.declared).await;
        let error = found.expect_err(case.id);
        assert_eq!(error.code(), case.code, "{}: {error}", case.id);
        let left = kept(root.path());
        assert!(left.is_empty(), "{}: {left:?} are left", case.id);
        assert!(server.requests() <= 1, "{}: asked twice", case.id);
        let sent = server.body_bytes();
        assert!(sent <= case.at_most, "{}: {sent} bytes were sent", case.id);
        let text = error.to_string();
        assert!(!text.contains("hidden"), "{}: {text}", case.id);
        assert!(!text.contains(root.path().to_str().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn a_file_over_the_cap_is_refused_without_any_request() {
    let server = Server::start(Serve::Body(vec![1])).await;
    let root = TempDir::new().unwrap();
    let too_large = Declared {
        size_bytes: Some(MAX + 1),
        ..declared(&[1])
    };
    for wrong in [too_large, Declared::default()] {
        let found = verify(root.path(), loopback(&server), &server.url(), wrong).await;
        assert!(found.is_err());
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn the_declared_file_is_kept_by_its_content_and_fetched_once() {
    let gzip_with_garbage = [&[0x1f, 0x8b, 8, 0][..], b"no gzip at all"].concat();
    for body in [vec![], vec![5; 70_000], gzip_with_garbage] {
        for serve in [
            Serve::Body(body.clone()),
            Serve::Chunked(body.clone()),
            Serve::UntilClose(body.clone()),
        ] {
            let server = Server::start(serve).await;
            let root = TempDir::new().unwrap();
            for _ in 0..2 {
                let policy = loopback(&server);
                let found = verify(root.path(), policy, &server.url(), declared(&body)).await;
                let found = found.unwrap();
                assert_eq!(found.sha256(), Sha256Digest::of(&body));
                assert_eq!(found.size_bytes(), body.len() as u64);
                assert_eq!(fs::read(found.path()).unwrap(), body);
            }
            assert_eq!(server.requests(), 1);
            assert_eq!(kept(root.path()).len(), 1);
        }
    }
}

#[tokio::test]
async fn the_request_asks_for_the_raw_bytes_and_says_nothing_of_this_host() {
    let server = Server::start(Serve::Body(vec![1])).await;
    let root = TempDir::new().unwrap();
    verify(
        root.path(),
        loopback(&server),
        &server.url(),
        declared(&[1]),
    )
    .await
    .unwrap();
    let head = server.last_head().to_ascii_lowercase();
    assert!(
        head.starts_with("get /artifact?token=hidden http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    for header in ["authorization", "cookie", "referer"] {
        assert!(!head.contains(header), "{head}");
    }
}

/// R05: a server that drips, and one that never answers.
#[tokio::test]
async fn a_server_that_drips_or_sleeps_is_given_up_at_the_deadline() {
    for (serve, idle) in [
        (Serve::Drip(100), 5),
        (Serve::Silent, 300),
        (Serve::Silent, 600),
        (Serve::Announce(100, vec![0; 50]), 300),
    ] {
        let server = Server::start(serve.clone()).await;
        let root = TempDir::new().unwrap();
        let policy = loopback(&server)
            .deadline(Duration::from_secs(1), 1 << 20)
            .idle_timeout(Duration::from_secs(idle));
        let started = Instant::now();
        let found = verify(root.path(), policy, &server.url(), declared(&[b'x'; 100])).await;
        let error = found.expect_err("it never ends");
        assert_eq!(
            error.code(),
            Code::ArtifactUnavailable,
            "{serve:?}: {error}"
        );
        let took = started.elapsed();
        assert!(took < Duration::from_mins(1), "{serve:?} took {took:?}");
        assert!(kept(root.path()).is_empty());
    }
}

#[tokio::test]
async fn a_server_that_stops_is_given_up_after_the_idle_timeout() {
    let server = Server::start(Serve::Silent).await;
    let root = TempDir::new().unwrap();
    let policy = loopback(&server)
        .idle_timeout(Duration::from_millis(300))
        .connect_timeout(Duration::from_millis(700));
    let started = Instant::now();
    let found = verify(root.path(), policy, &server.url(), declared(&[1])).await;
    assert_eq!(found.expect_err("silent").code(), Code::ArtifactUnavailable);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_cached_file_does_not_excuse_what_is_refused_without_the_network() {
    let body = vec![9; 10];
    let server = Server::start(Serve::Body(body.clone())).await;
    let root = TempDir::new().unwrap();
    verify(
        root.path(),
        loopback(&server),
        &server.url(),
        declared(&body),
    )
    .await
    .unwrap();
    let strict = || FetchPolicy::default();
    let wrong_size = Declared {
        size_bytes: Some(11),
        ..declared(&body)
    };
    let literal = "https://127.0.0.1/x";
    for (url, declared, code) in [
        (literal, declared(&body), Code::ArtifactAddressNotAllowed),
        (
            "http://a.example/x",
            declared(&body),
            Code::ArtifactSchemeNotAllowed,
        ),
        (
            "../../etc/passwd",
            declared(&body),
            Code::ArtifactSchemeNotAllowed,
        ),
        (
            "/etc/passwd",
            declared(&body),
            Code::ArtifactSchemeNotAllowed,
        ),
        (
            "https://a.example/x",
            wrong_size,
            Code::ArtifactSizeMismatch,
        ),
    ] {
        let error = verify(root.path(), strict(), url, declared)
            .await
            .expect_err(url);
        assert_eq!(error.code(), code, "{url}: {error}");
    }
}

#[tokio::test]
async fn cancelling_ends_a_download_at_once_and_leaves_nothing() {
    let server = Server::start(Serve::Drip(1000)).await;
    let root = TempDir::new().unwrap();
    let artifacts = Artifacts::open(root.path(), loopback(&server)).unwrap();
    let source = ArtifactSource::parse(&server.url()).unwrap();
    let cancel = CancellationToken::new();
    let so_far = Arc::new(AtomicU64::new(0));
    let (told, cancelled) = (Arc::clone(&so_far), cancel.clone());
    let watch = Watch::default()
        .cancelled_by(cancel)
        .on_progress(move |bytes| {
            told.store(bytes, SeqCst);
            if bytes >= 3 {
                cancelled.cancel();
            }
        });
    let started = Instant::now();
    let found = artifacts
        .verify(&source, declared(&[b'x'; 1000]), MAX, &watch)
        .await;
    assert_eq!(found.expect_err("cancelled").code(), Code::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(so_far.load(SeqCst) >= 3);
    wait_until(|| kept(root.path()).is_empty());
}

fn wait_until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(5), "it never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_cache_or_a_root_certificate_that_cannot_be_read_is_this_hosts_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Artifacts::open(&file.path().join("x"), FetchPolicy::default()).unwrap_err();
    assert_eq!(error.code(), Code::Internal, "{error}");
    let broken = FetchPolicy::default().extra_root_pem("-----BEGIN CERTIFICATE-----\nx\n");
    let root = TempDir::new().unwrap();
    let url = "https://a.example/x";
    let error = verify(root.path(), broken, url, declared(&[1])).await;
    assert_eq!(error.unwrap_err().code(), Code::Internal);
    assert!(kept(root.path()).is_empty());
}
