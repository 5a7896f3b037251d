//! What happens around every request: an id, a span, the address's rate, the
//! numbers, and the headers that every answer has.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use crate::app::App;
use crate::error::ApiError;

/// The address of a request's client, by the name that its bounds go by.
#[derive(Debug, Clone)]
pub struct ClientAddress(pub String);

/// The middleware.
pub async fn frame(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // Ours, never the client's: what is in our log must not be anybody's choice.
    let id = uuid::Uuid::new_v4().to_string();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let address = address(&app, &request);
    let span = tracing::info_span!("request", %id, %method, route, address);
    let started = Instant::now();
    let mut response = match app.addresses.take(&address) {
        Ok(()) => {
            request.extensions_mut().insert(ClientAddress(address));
            let answer = next.run(request).instrument(span.clone());
            let patience = app.settings.patience * 4;
            match tokio::time::timeout(patience, answer).await {
                Ok(response) => response,
                Err(_) => too_slow().into_response(),
            }
        }
        Err(refused) => refused.into_response(),
    };
    let took = started.elapsed();
    let status = response.status();
    span.in_scope(|| tracing::info!(status = status.as_u16(), ?took, "answered"));
    app.metrics
        .answered(method.as_str(), &route, status.as_u16(), took);
    decorate(response.headers_mut(), &id);
    response
}

/// A change that was begun is still made whole, or not at all.
fn too_slow() -> ApiError {
    ApiError::unavailable(
        "too_slow",
        "the service took too long; look before you try again",
    )
}

fn decorate(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// Nothing runs and nothing is loaded but this service's own style sheet.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The client's address: the socket's, or what a trusted proxy says, whose own
/// addition is the last entry. An IPv6 client has a whole /64 to choose from,
/// so that is its name.
fn address(app: &App, request: &Request) -> String {
    let socket = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip());
    let forwarded = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .next_back()
        .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok())
        .filter(|_| app.settings.trust_forwarded_for);
    match forwarded.or(socket) {
        Some(std::net::IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Some(address) => address.to_canonical().to_string(),
        None => "unknown".to_owned(),
    }
}
