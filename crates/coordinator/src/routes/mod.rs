//! The routes of the wire, by resource. Each file has its handlers, what they
//! read and what they answer; `openapi.json` is generated from them.

pub mod claims;
pub mod disclaimer;
pub mod health;
pub mod jobs;
pub mod onchain;
pub mod openapi;
pub mod peers;
pub mod plans;
pub mod rewards;
pub mod submissions;
pub mod tasks;
pub mod verifications;

use axum::Router;
use axum::middleware;
use axum::response::IntoResponse as _;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiError;
use crate::http::frame;

/// Every route with its description.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(onchain::status))
        .routes(routes!(disclaimer::json))
        .routes(routes!(disclaimer::markdown))
        .routes(routes!(disclaimer::markdown_at_root))
        .routes(routes!(tasks::create, tasks::list))
        .routes(routes!(tasks::get))
        .routes(routes!(tasks::onboarding))
        .routes(routes!(tasks::pause))
        .routes(routes!(tasks::resume))
        .routes(routes!(tasks::close))
        .routes(routes!(tasks::best))
        .routes(routes!(claims::create))
        .routes(routes!(claims::list))
        .routes(routes!(claims::cancel))
        .routes(routes!(submissions::create, submissions::list))
        .routes(routes!(submissions::get))
        .routes(routes!(submissions::detail))
        .routes(routes!(submissions::execution_log))
        .routes(routes!(submissions::artifact))
        .routes(routes!(submissions::replay_log))
        .routes(routes!(jobs::scan))
        .routes(routes!(jobs::claim))
        .routes(routes!(jobs::result))
        .routes(routes!(jobs::heartbeat))
        .routes(routes!(verifications::verify))
        .routes(routes!(verifications::list))
        .routes(routes!(peers::evaluate))
        .routes(routes!(peers::consensus))
        .routes(routes!(peers::list))
        .routes(routes!(plans::run))
        .routes(routes!(plans::list))
        .routes(routes!(plans::claim))
        .routes(routes!(rewards::ideas))
        .routes(routes!(rewards::snapshot))
        .routes(routes!(rewards::policy, rewards::put_policy))
        .routes(routes!(crate::dashboard::data::dashboard))
}

/// The whole service.
pub fn service(app: App) -> Router {
    let (router, document) = api().split_for_parts();
    let document = openapi::finish(document);
    router
        .merge(openapi::router(&document))
        .merge(crate::dashboard::router())
        .fallback(async || ApiError::not_found("no_such_route", "no such route"))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        // Each extractor has its own limit, and the small ones need none.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(app.clone(), frame::frame))
        .with_state(app)
}

/// The document that describes the service.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::finish(api().split_for_parts().1)
}

async fn method_not_allowed() -> ApiError {
    ApiError::Refused {
        status: axum::http::StatusCode::METHOD_NOT_ALLOWED,
        code: "method_not_allowed",
        detail: "the route has other methods".to_owned(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(cause: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied());
    ApiError::Internal(format!("a handler panicked: {}", text.unwrap_or("?"))).into_response()
}
