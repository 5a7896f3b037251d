//! Listens, with bounds on what a client may hold: connections, and the time
//! that headers take. Ends when it is told to, after the requests that it has.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::app::App;
use crate::error::ApiResult;
use crate::http::crowd::{Crowd, Place};
use crate::metrics::gauges;
use crate::settings::Settings;
use crate::store::{signatures, submissions, verifications};

/// How long requests may go on after the service was told to end.
const GRACE: Duration = Duration::from_secs(20);

/// What clients may hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    header_patience: Duration,
    connections: usize,
    of_one_address: usize,
}

impl Bounds {
    /// The bounds that go with these settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            // A connection between two requests is waited for by the same clock: longer than
            // the field's clients leave between two looks.
            header_patience: settings.patience * 2,
            connections: settings.connections,
            of_one_address: if settings.trust_forwarded_for {
                settings.connections
            } else {
                settings.connections_of_one_address
            },
        }
    }
}

/// What a connection holds until it ends.
struct Slot {
    _one: OwnedSemaphorePermit,
    _of_address: Place<IpAddr>,
}

/// Serves `router` until `stop`.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let crowd = Crowd::new(bounds.of_one_address);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a client that was gone at once.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let place = crowd.enter(peer.ip().to_canonical());
        let (Ok(one), Some(place)) = (slots.clone().try_acquire_owned(), place) else {
            tracing::warn!(%peer, "too many connections");
            continue;
        };
        let slot = Slot {
            _one: one,
            _of_address: place,
        };
        connection(
            stream,
            peer,
            slot,
            router.clone(),
            bounds.header_patience,
            &graceful,
        );
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    router: Router,
    header_patience: Duration,
    graceful: &GracefulShutdown,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_patience)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, %peer, "a connection ended early");
        }
        drop(slot);
    });
}

/// The metrics, for a listener that is not public.
pub fn metrics_router(app: App) -> Router {
    let show = async |State(app): State<App>| -> ApiResult<String> {
        let mut conn = app.store.read().await?;
        let submissions = submissions::all_counts(&mut conn).await?;
        let jobs = verifications::counts(&mut conn).await?;
        let pending = submissions::oldest_pending(&mut conn).await?;
        let age = pending.map_or(0, |since| app.clock.now().seconds() - since.seconds());
        Ok(app.metrics.text()
            + &gauges(
                "coordinator_submissions",
                "Submissions.",
                "status",
                &submissions,
            )
            + &gauges(
                "coordinator_verifications",
                "Jobs and results.",
                "status",
                &jobs,
            )
            + &format!(
                "# HELP coordinator_oldest_pending_seconds Age of the oldest undecided submission.\n\
                 # TYPE coordinator_oldest_pending_seconds gauge\n\
                 coordinator_oldest_pending_seconds {age}\n"
            ))
    };
    Router::new().route("/metrics", get(show)).with_state(app)
}

/// Ends what is over, every few seconds, until `stop`.
pub async fn housekeeping(app: App, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(15));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = app.clock.now();
        let work = async {
            crate::routes::claims::sweep(&app).await?;
            app.store
                .write(move |conn| {
                    Box::pin(async move { signatures::forget_stale(conn, now).await })
                })
                .await
        };
        if let Err(error) = work.await {
            tracing::warn!(%error, "housekeeping failed, and will be tried again");
        }
    }
}
