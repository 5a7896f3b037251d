//! The service's routes (`WIRE.md` §6), and the document that describes them.

mod claimed;
mod claims;
mod crowd;
mod documents;
mod error;
mod openapi;
mod recipients;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::blobs::Blobs;
use crate::served::ServedEpochs;
use crate::store::Store;
use crowd::Crowd;
use error::ApiError;

pub use crowd::Limits;

/// The largest body: a mapping.
const BODY_LIMIT: usize = 16 << 10;

/// What every route shares.
#[derive(Debug, Clone)]
pub struct App {
    store: Store,
    epochs: Arc<ServedEpochs>,
    freshness_seconds: u64,
    crowd: Arc<Crowd>,
}

impl App {
    /// The service over an open database and its documents. A signed timestamp
    /// may be `freshness_seconds` from this machine's clock.
    pub fn new(store: Store, blobs: Blobs, freshness_seconds: u64) -> Self {
        Self {
            store,
            epochs: Arc::new(ServedEpochs::new(blobs)),
            freshness_seconds,
            crowd: Arc::new(Crowd::new(Limits::default())),
        }
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self {
            crowd: Arc::new(Crowd::new(limits)),
            ..self
        }
    }
}

fn api() -> OpenApiRouter<App> {
    let claims = OpenApiRouter::new()
        .routes(routes!(claims::health))
        .routes(routes!(claims::epochs))
        .routes(routes!(claims::default_epoch))
        .routes(routes!(claims::epoch))
        .routes(routes!(claims::proof))
        .routes(routes!(claims::claim))
        .routes(routes!(claims::default_proof))
        .routes(routes!(claims::default_claim))
        .routes(routes!(claimed::claimed))
        .routes(routes!(documents::document));
    OpenApiRouter::new()
        .nest("/claims", claims)
        .routes(routes!(recipients::put, recipients::post))
        .routes(routes!(recipients::get))
        .routes(routes!(recipients::history))
        .routes(routes!(recipients::update))
        .routes(routes!(recipients::update_below_miners))
        .routes(routes!(status::status))
        .routes(routes!(status::readyz))
}

/// The whole service. Serve it with connection info of [`std::net::SocketAddr`], or
/// all clients count as one.
pub fn service(app: App) -> Router {
    let (router, document) = api().split_for_parts();
    let document: Arc<str> = openapi::finish(document)
        .to_json()
        .unwrap_or_default()
        .into();
    let show = async move || {
        (
            [(header::CONTENT_TYPE, "application/json")],
            document.to_string(),
        )
    };
    router
        .route("/openapi.json", axum::routing::get(show))
        .fallback(async || ApiError::not_found("no_such_route", "no such route"))
        .method_not_allowed_fallback(async || {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            ApiError::new(status, "method_not_allowed", "the route has other methods")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::new())
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            crowd::limit,
        ))
        .with_state(app)
}

/// The document that describes the service.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::finish(api().split_for_parts().1)
}
