//! Artifacts against a real https server (`CORPUS.md` §3, W21, W22).

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

mod addresses;
mod cache;
mod fetch;
mod server;
#[path = "../tls/mod.rs"]
mod tls;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::Sha256Digest;
use replay_runner::artifact::{
    Addresses, ArtifactError, ArtifactSource, Artifacts, Declared, FetchPolicy, VerifiedArtifact,
    Watch,
};
use server::Server;

pub(crate) const MAX: u64 = 1 << 20;

/// What the tests need to reach loopback, and short deadlines.
pub(crate) fn loopback(server: &Server) -> FetchPolicy {
    FetchPolicy::default()
        .addresses(Addresses::Any)
        .extra_root_pem(server.ca_pem.clone())
        .deadline(Duration::from_secs(10), 1 << 20)
        .idle_timeout(Duration::from_secs(5))
}

pub(crate) fn declared(bytes: &[u8]) -> Declared {
    Declared {
        sha256: Some(Sha256Digest::of(bytes)),
        size_bytes: Some(bytes.len() as u64),
    }
}

pub(crate) async fn verify(
    root: &Path,
    policy: FetchPolicy,
    url: &str,
    declared: Declared,
) -> Result<VerifiedArtifact, ArtifactError> {
    let artifacts = Artifacts::open(root, policy)?;
    let source = ArtifactSource::parse(url)?;
    artifacts
        .verify(&source, declared, MAX, &Watch::default())
        .await
}

/// The files below `root`, without seals and the lock.
pub(crate) fn kept(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let suffix = path.extension().unwrap_or_default().to_owned();
            if path.is_dir() {
                open.push(path);
            } else if suffix != "verified" && suffix != "lock" {
                found.push(path);
            }
        }
    }
    found
}
