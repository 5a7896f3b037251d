//! Where a download may go: addresses after name resolution, certificates, proxies.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use protocol::Code;
use replay_runner::artifact::{Addresses, Answer, FetchPolicy, Lookup};
use tempfile::TempDir;

use crate::server::{Serve, Server};
use crate::{declared, loopback, verify};

/// What a name resolves to, by turns.
struct Names {
    answers: Vec<Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Lookup for Names {
    fn lookup<'a>(&'a self, _host: &'a str) -> Answer<'a> {
        let turn = self.asked.fetch_add(1, SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[turn].clone();
        Box::pin(async move { Ok(answer) })
    }
}

#[tokio::test]
async fn a_name_or_address_that_is_not_public_is_refused_by_default() {
    let server = Server::start(Serve::Body(vec![1])).await;
    let port = server.port;
    let literals = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "0.0.0.0",
        "[::]",
        "127.0.0.1.",
        "１２７.0.0.1",
    ];
    for host in literals.into_iter().chain(["localhost", "LOCALHOST"]) {
        let root = TempDir::new().unwrap();
        let policy = FetchPolicy::default().extra_root_pem(server.ca_pem.clone());
        let url = format!("https://{host}:{port}/x");
        let found = verify(root.path(), policy, &url, declared(&[1])).await;
        let error = found.expect_err(host);
        assert_eq!(
            error.code(),
            Code::ArtifactAddressNotAllowed,
            "{host}: {error}"
        );
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn one_private_address_among_public_ones_refuses_the_name() {
    let server = Server::start(Serve::Body(vec![1])).await;
    for answer in [
        vec!["127.0.0.1"],
        vec!["8.8.8.8", "127.0.0.1"],
        vec!["2606:4700::1111", "::1"],
        vec!["8.8.8.8", "::ffff:10.0.0.1"],
    ] {
        let root = TempDir::new().unwrap();
        let asked = Arc::default();
        let names = Names {
            answers: vec![answer.iter().map(|ip| ip.parse().unwrap()).collect()],
            asked: Arc::clone(&asked),
        };
        let policy = FetchPolicy::default()
            .extra_root_pem(server.ca_pem.clone())
            .lookup(names);
        let found = verify(root.path(), policy, &server.url(), declared(&[1])).await;
        let error = found.expect_err("refused");
        assert_eq!(error.code(), Code::ArtifactAddressNotAllowed, "{error}");
        assert_eq!(asked.load(SeqCst), 1);
    }
    assert_eq!(server.requests(), 0);
}

/// DNS rebinding: the answer that was checked is the answer that is used.
#[tokio::test]
async fn a_name_is_resolved_once_and_the_checked_address_is_used() {
    let server = Server::start(Serve::Body(vec![1])).await;
    let root = TempDir::new().unwrap();
    let asked = Arc::default();
    let names = Names {
        // The second answer would be refused by the connection itself.
        answers: vec![
            vec!["127.0.0.1".parse().unwrap()],
            vec!["127.0.0.2".parse().unwrap()],
        ],
        asked: Arc::clone(&asked),
    };
    let policy = loopback(&server).lookup(names);
    let found = verify(root.path(), policy, &server.url(), declared(&[1])).await;
    assert!(found.is_ok(), "{found:?}");
    assert_eq!(asked.load(SeqCst), 1);
}

#[tokio::test]
async fn dns_failures_refused_connections_and_bad_certificates_are_unavailable() {
    let good = Server::start(Serve::Body(vec![1])).await;
    let other = Server::start_as(Serve::Body(vec![1]), &["other.example"]).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = nobody.local_addr().unwrap().port();
    drop(nobody);
    let untrusted = FetchPolicy::default().addresses(Addresses::Any);
    let cases = [
        (
            "unknown name",
            loopback(&good),
            "https://does-not-exist.invalid/x".to_owned(),
        ),
        (
            "closed port",
            loopback(&good),
            format!("https://localhost:{closed}/x"),
        ),
        ("K13 unknown authority", untrusted, good.url()),
        (
            "K13 other host's certificate",
            loopback(&other),
            other.url(),
        ),
    ];
    for (id, policy, url) in cases {
        let root = TempDir::new().unwrap();
        let error = verify(root.path(), policy, &url, declared(&[1]))
            .await
            .expect_err(id);
        assert_eq!(error.code(), Code::ArtifactUnavailable, "{id}: {error}");
        assert!(!error.to_string().contains("hidden"), "{id}: {error}");
    }
    assert_eq!(good.requests() + other.requests(), 0);
}

/// Runs as a child with proxy variables set; alone it has nothing to do.
#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    const NAME: &str = "addresses::proxies_of_the_environment_are_not_used";
    if std::env::var_os("HTTPS_PROXY").is_none() {
        let dead = "http://127.0.0.1:9";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .envs(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].map(|n| (n, dead)))
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .status();
        assert!(child.unwrap().success());
        return;
    }
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
}
