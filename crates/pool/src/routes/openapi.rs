//! What the OpenAPI document has beside the handlers' own descriptions.

use serde::Serialize;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Info, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{PartialSchema as _, ToSchema};

/// Every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// A sentence, or for 422 a list that names each wrong field.
    #[schema(value_type = serde_json::Value)]
    detail: serde_json::Value,
    /// A stable code.
    code: String,
}

/// All that a claim transaction needs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes protocol::claims::ClaimPackage")]
pub(super) struct ClaimPackageView {
    epoch: u64,
    index: u32,
    /// An ss58 address.
    hotkey: String,
    /// An ss58 address.
    recipient_coldkey: String,
    /// Rao, cumulative; the contract pays what of it was not claimed yet.
    amount_units: u64,
    /// From the leaf up, each `0x` and 64 hex digits.
    proof: Vec<String>,
    /// `0x` and 64 hex digits.
    root: String,
}

/// The body of a mapping.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; its one field is read by name"
)]
pub(super) struct RecipientColdkey {
    /// An ss58 address.
    recipient_coldkey: String,
}

/// The body of a mapping from an older client.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; its one field is read by name"
)]
pub(super) struct ColdkeyAddress {
    /// An ss58 address.
    coldkey_address: String,
}

const DESCRIPTION: &str = "Epochs, claim packages and recipient mappings.\n\nA mapping is signed with \
the headers `X-Key` (ss58 address of the hotkey), `X-Timestamp` (Unix seconds) and `X-Signature`, an \
sr25519 signature in hex of `recipient_coldkey:update:{timestamp}:{recipient_coldkey}`. The newest of \
a hotkey counts; between the moment when an epoch freezes and its publication, mappings are refused \
with 409. Refusals are JSON with `detail` and a stable `code`. Whoever wants to recompute an epoch \
starts with `/claims/epoch/{id}`, and finds the epoch file and its inputs by their digests under \
`/claims/documents/`.";

/// Adds what every route has.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    document.info = Info::new("Pool", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(DESCRIPTION.to_owned());
    document.servers = None;
    let components = document.components.get_or_insert_default();
    components
        .schemas
        .insert("Problem".to_owned(), Problem::schema());
    let text = "X-Key, X-Timestamp and X-Signature";
    let value = ApiKeyValue::with_description("X-Signature", text);
    components.add_security_scheme("recipient", SecurityScheme::ApiKey(ApiKey::Header(value)));
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post];
        for operation in operations.into_iter().flatten() {
            let mut add = |status: &str, description: &str| {
                let responses = &mut operation.responses.responses;
                responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::T(problem(description)));
            };
            add("429", "Too many requests of this address; see Retry-After");
            add("503", "Not now; see Retry-After");
            if operation.security.is_some() {
                add("400", "Malformed");
                add("401", "Not signed as it should be");
                add("413", "Too large");
                add("422", "A wrong field, named");
            } else if operation.parameters.is_some() {
                add("422", "A wrong part of the path, named");
            }
        }
    }
    document
}

fn problem(description: &str) -> utoipa::openapi::Response {
    let schema = Some(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(schema).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build()
}
