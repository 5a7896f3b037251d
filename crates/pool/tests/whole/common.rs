//! A pool over a database of its own, served over real HTTP.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use pool::build::{BuildError, Order, build};
use pool::epoch::EpochFile;
use pool::routes::{App, service};
use pool::{Blobs, Rao, Store};
use protocol::claims::RecipientUpdate;
use protocol::hotkey::Keypair;
use protocol::ss58::Address;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const CONTRACT: Address = Address::from_bytes([0xcc; 32]);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// A pool under test.
pub(crate) struct Pool {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) url: String,
    pub(crate) directory: TempDir,
    http: reqwest::Client,
}

impl Pool {
    pub(crate) async fn start(backend: Backend) -> Self {
        let directory = tempfile::tempdir_in(crate::scratch()).unwrap();
        let database = match backend {
            Backend::Sqlite => format!("sqlite://{}/pool.db", directory.path().display()),
            Backend::Postgres => crate::postgres::new_database(),
        };
        let store = Store::open(&database).await.unwrap();
        let blobs = Blobs::in_directory(directory.path().join("data"));
        let app = App::new(store.clone(), blobs.clone(), 300);
        let url = serve(app).await;
        Self {
            store,
            blobs,
            url,
            directory,
            http: reqwest::Client::new(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.request(Method::GET, path)).await
    }

    /// Sends a mapping as a client of today does.
    pub(crate) async fn map(&self, key: &Keypair, to: Address, at: u64) -> (u16, Value) {
        let path = "/api/v1/miners/recipient-coldkey";
        let update = RecipientUpdate::sign(key, to, at);
        let request = signed(self.request(Method::PUT, path), &update);
        self.send(request.json(&json!({"recipient_coldkey": to})))
            .await
    }

    pub(crate) async fn build(
        &self,
        epoch: u64,
        snapshot: Vec<u8>,
    ) -> Result<EpochFile, BuildError> {
        build(&self.store, &self.blobs, &order(epoch, snapshot)).await
    }

    /// The bytes of an epoch's file.
    pub(crate) async fn file(&self, epoch: u64) -> Vec<u8> {
        let row = self.store.epoch(epoch).await.unwrap().unwrap();
        self.blobs.get(row.file_sha256.unwrap()).unwrap()
    }
}

/// Serves a pool over HTTP; returns its address.
pub(crate) async fn serve(app: App) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = service(app).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    url
}

pub(crate) fn order(epoch: u64, snapshot: Vec<u8>) -> Order {
    Order {
        epoch,
        contract: CONTRACT,
        budget_rao: Rao(1_000_000_007),
        snapshot,
        may_leap: false,
    }
}

pub(crate) fn signed(request: RequestBuilder, update: &RecipientUpdate) -> RequestBuilder {
    let headers = update.headers();
    request
        .header("X-Key", headers.key)
        .header("X-Timestamp", headers.timestamp)
        .header("X-Signature", headers.signature)
}

pub(crate) fn key(n: u8) -> Keypair {
    Keypair::from_seed(&[n; 32])
}

pub(crate) fn coldkey(n: u8) -> Address {
    Address::from_bytes([n; 32])
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A snapshot as the coordinator writes it, with these miners and shares.
pub(crate) fn snapshot(shares: &[(u8, u64)]) -> Vec<u8> {
    let miners: Vec<Value> = shares
        .iter()
        .map(|(n, share)| json!({"hotkey": key(*n).hotkey(), "share_ppb": share}))
        .collect();
    let total: u64 = shares.iter().map(|(_, share)| share).sum();
    let snapshot = json!({"generated_at": "2026-01-01T00:00:00Z", "share_total": total,
        "reward_policy": {}, "eligible_miners": miners});
    snapshot.to_string().into_bytes()
}

/// Runs each test on both databases.
macro_rules! on_both_databases {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::common::Backend::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::common::Backend::Postgres).await;
            })+
        }
    };
}
