//! The OpenAPI document, generated from the handlers, and a page that shows it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Info, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::app::App;

/// Every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A sentence, or for 422 a list that names each wrong field.
    #[schema(value_type = serde_json::Value)]
    detail: serde_json::Value,
    /// A stable code.
    code: String,
}

/// A task as its owner posts it. Fields that are not listed here are those of
/// the answer, by the same names, and `private_inputs`, `validator_benchmark_env`,
/// `artifact` and `baseline_artifact`, which the answer does not show.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; the fields are read one by one"
)]
pub struct TaskRequest {
    #[schema(min_length = 3, max_length = 120, pattern = "^[A-Za-z0-9._-]+$")]
    slug: String,
    #[schema(min_length = 3, max_length = 255)]
    title: String,
    #[schema(max_length = 20000)]
    brief: Option<String>,
    #[schema(max_length = 40000)]
    onboard_md: Option<String>,
    /// Public https clone URL.
    repository: String,
    /// Branch, tag or commit; resolved now.
    base_ref: Option<String>,
    setup_command: Option<String>,
    benchmark_command: String,
    result_path: Option<String>,
    #[schema(min_items = 1, max_items = 64)]
    allowed_patch_paths: Vec<String>,
    #[schema(minimum = 1)]
    max_patch_bytes: Option<u64>,
    #[schema(min_length = 1, max_length = 120)]
    metric_name: String,
    #[schema(pattern = "^(minimize|maximize)$")]
    metric_direction: String,
    #[schema(pattern = "^(scalar|pareto)$")]
    ranking_mode: Option<String>,
    secondary_metric_name: Option<String>,
    #[schema(pattern = "^(minimize|maximize)$")]
    secondary_metric_direction: Option<String>,
    #[schema(pattern = "^(centerless|standard|peer_evaluation)$")]
    competition_mode: Option<String>,
    #[schema(minimum = 1, maximum = 20)]
    min_peer_evaluations: Option<u32>,
    #[schema(minimum = 1, maximum = 86400)]
    time_budget_seconds: u64,
    /// Distinct validators that decide a submission.
    #[schema(minimum = 1, maximum = 32)]
    quorum: Option<u32>,
}

/// Adds what every route has: its security scheme and its usual refusals.
pub fn finish(mut document: OpenApi) -> OpenApi {
    document.info = Info::new("Coordinator", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(DESCRIPTION.to_owned());
    document.servers = None;
    let components = document.components.get_or_insert_default();
    components
        .schemas
        .insert("Problem".to_owned(), Problem::schema());
    for (name, header, text) in [
        ("admin_token", "X-Admin-Token", "The operator's token"),
        (
            "hotkey",
            "X-Signature",
            "BT-AUTH-V1: X-Hotkey, X-Timestamp and X-Signature",
        ),
    ] {
        let value = ApiKeyValue::with_description(header, text);
        components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(value)));
    }
    for item in document.paths.paths.values_mut() {
        for (method, operation) in [
            (HttpMethod::Get, item.get.as_mut()),
            (HttpMethod::Post, item.post.as_mut()),
            (HttpMethod::Put, item.put.as_mut()),
        ] {
            if let Some(operation) = operation {
                refusals(&method, operation);
            }
        }
    }
    document
}

const DESCRIPTION: &str = "Tasks, signed claims, submissions, replay jobs, consensus, best results \
and the reward snapshot.\n\nSigned requests carry `X-Hotkey` (ss58 address), `X-Timestamp` (unix \
seconds) and `X-Signature`, an sr25519 signature in hex of six lines joined by line feeds: \
`BT-AUTH-V1`, the method, the path, the raw query, the timestamp, and the SHA-256 in hex of the body \
in canonical JSON. A signature is accepted once, within 300 s. Refusals are JSON with `detail` and a \
stable `code`; lists are bare arrays, newest first, and `Link: <…>; rel=\"next\"` names the next page. \
An id that is no UUID is answered with 404.";

fn refusals(method: &HttpMethod, operation: &mut Operation) {
    let is_secure = operation.security.is_some();
    let mut add = |status: &str, description: &str| {
        let known = &mut operation.responses.responses;
        known
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(description)));
    };
    add("429", "Too many requests; see Retry-After");
    add("503", "Not now; see Retry-After");
    let has_parameters = operation
        .parameters
        .as_ref()
        .is_some_and(|list| !list.is_empty());
    if is_secure {
        add("400", "Malformed");
        add("401", "Not authenticated");
        add("403", "Not allowed");
        add("413", "Too large");
    }
    if is_secure || has_parameters {
        add("422", "Wrong fields, each named");
    }
    if has_parameters && *method == HttpMethod::Get {
        add("404", "No such thing");
    }
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build()
}

/// The document and its page.
pub fn router(document: &OpenApi) -> Router<App> {
    let json: Arc<str> = document.to_json().unwrap_or_default().into();
    let page: Arc<str> = crate::dashboard::docs::page(document).into();
    let show_json = async |State(json): State<Arc<str>>| {
        (
            [(header::CONTENT_TYPE, "application/json")],
            json.to_string(),
        )
    };
    let show_page =
        async |State(page): State<Arc<str>>| axum::response::Html(page.to_string()).into_response();
    Router::new()
        .route("/openapi.json", get(show_json).with_state(json))
        .route("/docs", get(show_page).with_state(page))
}
