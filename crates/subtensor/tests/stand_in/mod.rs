//! A stand-in for a node: serves the chain's recorded metadata, and storage that a
//! test writes, over JSON-RPC; and checks every byte that it gets. What it did not
//! expect, it keeps as a surprise; a test ends by asking that there was none.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test's own part, of which each test program uses some"
)]

mod contract;
mod extrinsic;
mod node;
mod state;
mod weather;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use subtensor::{Chain, Endpoint, Plaintext, Settings};

pub use contract::{Contract, Emitted, Ran};
pub use state::{Account, OnSubmit, State, storage_key};
pub use weather::Weather;

/// A running stand-in.
pub struct StandIn {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl StandIn {
    /// Starts one on a port of its own.
    pub async fn start(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let router = Router::new().route(
            "/",
            post(
                move |body: Bytes| async move { node::answer(&mut shared.lock().unwrap(), &body) },
            ),
        );
        Self {
            address: serve(router).await,
            state,
        }
    }

    /// Changes or looks at the state.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub fn endpoint(&self) -> Endpoint {
        endpoint(self.address)
    }

    /// Its address, as another process is told of it.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub async fn chain(&self) -> Chain {
        chain(vec![self.endpoint()]).await
    }

    /// Asserts that nothing came that was not expected.
    pub fn no_surprises(&self) {
        let surprises = self.with(|state| std::mem::take(&mut state.surprises));
        assert!(surprises.is_empty(), "{surprises:#?}");
    }
}

/// A chain by these endpoints, with little patience.
pub async fn chain(endpoints: Vec<Endpoint>) -> Chain {
    let mut settings = Settings::finney(endpoints);
    settings.request_timeout = Duration::from_secs(20);
    settings.poll = Duration::from_millis(1);
    Chain::connect(&settings).await.unwrap()
}

pub fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::parse(&format!("ws://{address}"), Plaintext::LoopbackOnly).unwrap()
}

/// A server that answers everything in one way.
pub async fn always(status: StatusCode, body: impl Into<Vec<u8>>) -> Endpoint {
    let body = body.into();
    let router = Router::new().route("/", post(move || async move { (status, body.clone()) }));
    endpoint(serve(router).await)
}

/// An address at which nobody listens.
pub async fn nobody() -> Endpoint {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    endpoint(listener.local_addr().unwrap())
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}
