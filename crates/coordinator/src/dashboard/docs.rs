//! The page that shows the API's document, without anything from elsewhere.

use maud::{Markup, html};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use super::{Refresh, document};

/// Renders the page.
pub fn page(api: &OpenApi) -> String {
    let body = html! {
        h1 { (api.info.title) " " (api.info.version) }
        p.text { (api.info.description.as_deref().unwrap_or_default()) }
        p { a href="/openapi.json" { "openapi.json" } }
        @for (path, item) in &api.paths.paths {
            @for (method, operation) in operations(item) { (route(method, path, operation)) }
        }
    };
    document("API", Refresh::Never, &body).into_string()
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn route(method: &str, path: &str, operation: &Operation) -> Markup {
    let text = operation
        .summary
        .as_deref()
        .or(operation.description.as_deref())
        .unwrap_or_default();
    html! {
        div.card {
            div { b { (method) " " code { (path) } } @if operation.security.is_some() { " " span.tag { "signed or admin" } } }
            div { (text) }
            @for parameter in operation.parameters.iter().flatten() {
                @if let RefOr::T(parameter) = parameter {
                    div { small { code { (parameter.name) } " " (parameter.description.as_deref().unwrap_or_default()) } }
                }
            }
            div { small {
                @for (status, answer) in &operation.responses.responses {
                    b { (status) } " "
                    @if let RefOr::T(answer) = answer { (answer.description) }
                    " · "
                }
            } }
        }
    }
}
