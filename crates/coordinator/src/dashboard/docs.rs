//! The page that shows the OpenAPI document.

use utoipa::openapi::OpenApi;

/// Renders the page.
pub fn page(document: &OpenApi) -> String {
    document.info.title.clone()
}
