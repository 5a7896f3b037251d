//! The participation disclaimer, which every claim repeats.

use axum::Json;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

/// What a participant must have been shown.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the wire")]
pub struct Disclaimer {
    pub code: &'static str,
    pub version: &'static str,
    pub title: &'static str,
    pub must_display: bool,
    pub url: &'static str,
    pub summary: &'static str,
    pub text: &'static str,
}

/// The disclaimer in force.
pub const DISCLAIMER: Disclaimer = Disclaimer {
    code: "participation-disclaimer",
    version: "1",
    title: "Participation disclaimer",
    must_display: true,
    url: "/api/v1/disclaimer.md",
    summary: "Rewards follow only from independent replays, and nothing is promised.",
    text: "By claiming a task you agree that your patch, artifact, summary and metrics are public; \
           that you may publish them; that validators run them in sandboxes on their own machines; \
           that only what validators observe decides, and never what you claim; that results can be \
           rejected, corrected or outdone at any time; and that a reward is neither promised nor \
           owed before it is paid. Do not submit anybody's personal data, secrets, or code that you \
           have no right to publish.",
};

fn page() -> impl IntoResponse + use<> {
    let text = format!(
        "# {}\n\n{}\n\nVersion {}\n",
        DISCLAIMER.title, DISCLAIMER.text, DISCLAIMER.version
    );
    (
        [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")],
        text,
    )
}

/// The disclaimer.
#[utoipa::path(get, path = "/api/v1/disclaimer", tag = "claims",
    responses((status = 200, description = "The disclaimer", body = Disclaimer)))]
pub async fn json() -> Json<Disclaimer> {
    Json(DISCLAIMER)
}

/// The disclaimer as Markdown.
#[utoipa::path(get, path = "/api/v1/disclaimer.md", tag = "claims",
    responses((status = 200, description = "The disclaimer", body = String, content_type = "text/markdown")))]
pub async fn markdown() -> impl IntoResponse {
    page()
}

/// The disclaimer as Markdown.
#[utoipa::path(get, path = "/disclaimer.md", tag = "claims",
    responses((status = 200, description = "The disclaimer", body = String, content_type = "text/markdown")))]
pub async fn markdown_at_root() -> impl IntoResponse {
    page()
}
