//! A real pool: its own library over a real SQLite file, served over real HTTP, and
//! its own program, which builds epochs as an operator does.

use std::fs;
use std::path::Path;
use std::process::Command;

use pool::epoch::EpochFile;
use pool::routes::{App, service};
use pool::{Blobs, Store};
use protocol::hotkey::Hotkey;
use protocol::ss58::Address;
use serde_json::{Value, json};

/// The contract that pays.
pub(crate) const CONTRACT: Address = Address::from_bytes([0xcc; 32]);
/// What each epoch divides.
pub(crate) const BUDGET: u64 = 1_000_000_000;

pub(crate) struct PoolService {
    pub(crate) store: Store,
    pub(crate) url: String,
    blobs: Blobs,
    directory: tempfile::TempDir,
}

impl PoolService {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}/pool.db", directory.path().display());
        let store = Store::open(&database).await.unwrap();
        let blobs = Blobs::in_directory(directory.path().join("data"));
        let app = App::new(store.clone(), blobs.clone(), 300);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, service(app)).await });
        Self {
            store,
            url,
            blobs,
            directory,
        }
    }

    /// Builds an epoch that divides [`BUDGET`] by these shares.
    pub(crate) async fn build(&self, epoch: u64, shares: &[(Hotkey, u64)]) -> EpochFile {
        let miners: Vec<Value> = shares
            .iter()
            .map(|(hotkey, share)| json!({"hotkey": hotkey, "share_ppb": share}))
            .collect();
        let total: u64 = shares.iter().map(|(_, share)| share).sum();
        let snapshot = json!({"generated_at": "2026-01-01T00:00:00Z", "share_total": total,
            "reward_policy": {}, "eligible_miners": miners});
        fs::write(
            self.directory.path().join("snapshot.json"),
            snapshot.to_string(),
        )
        .unwrap();
        let own = Path::new(env!("CARGO_BIN_EXE_bitsota-research-agent"));
        let program = own.with_file_name("pool");
        assert!(
            program.is_file(),
            "{} is not there; `cargo build -p pool` makes it",
            program.display()
        );
        let built = Command::new(program)
            .args(["epoch", "build", &epoch.to_string()])
            .args(["--contract", &CONTRACT.to_string()])
            .args(["--snapshot", "snapshot.json"])
            .args(["--budget-rao", &BUDGET.to_string()])
            .args(["--database", "sqlite://pool.db", "--data", "data"])
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        let row = self.store.epoch(epoch).await.unwrap().unwrap();
        EpochFile::parse(&self.blobs.get(row.file_sha256.unwrap()).unwrap()).unwrap()
    }
}
