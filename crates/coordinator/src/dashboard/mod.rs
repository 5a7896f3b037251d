//! The dashboard: server-rendered, without scripts.

pub mod data;
pub mod docs;

use axum::Router;

use crate::app::App;

/// The dashboard's pages.
pub fn router() -> Router<App> {
    Router::new()
}
