//! `pool serve`.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use pool::routes::{App, service};
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
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    super::log();
    let (store, blobs) = options.place.open().await?;
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    // Scripts that asked for port 0 read the port from here.
    println!("listening on http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let app = App::new(store.clone(), blobs, options.freshness_seconds.into());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told_to_end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending: no new requests, the running ones go on");
    };
    axum::serve(listener, service(app))
        .with_graceful_shutdown(told_to_end)
        .await?;
    store.close().await;
    Ok(())
}
