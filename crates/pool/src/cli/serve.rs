//! `pool serve`.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use pool::routes::{App, Limits, service};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Place;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// How far a signed timestamp may be from this clock.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    freshness_seconds: u32,
    /// Requests per second of one address, on average; ten times as many may come at
    /// once.
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests_per_address: u32,
    /// Read client addresses from X-Forwarded-For; only behind a proxy that sets it.
    #[arg(long)]
    trust_forwarded_for: bool,
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    super::log();
    let (store, blobs) = options.place.open().await?;
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    // Heard from here on: who reads the next line may end this at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Scripts that asked for port 0 read the port from here.
    println!("listening on http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let limits = Limits {
        requests_per_address: options.requests_per_address,
        trust_forwarded_for: options.trust_forwarded_for,
    };
    let app = App::new(store.clone(), blobs, options.freshness_seconds.into()).with_limits(limits);
    let service = service(app).into_make_service_with_connect_info::<SocketAddr>();
    let told_to_end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending: no new requests, the running ones go on");
    };
    axum::serve(listener, service)
        .with_graceful_shutdown(told_to_end)
        .await?;
    store.close().await;
    Ok(())
}
