//! Who asks: one extractor for each class of WIRE §1.
//!
//! Only a valid signature reaches the replay cache, so that nobody can fill it.
//! A signature is used up before the route decides anything: a refused request
//! cannot be sent again when the state of things has changed.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use protocol::auth::{
    self, AuthError, Authenticated, HOTKEY_HEADER, Headers, SIGNATURE_HEADER, TIMESTAMP_HEADER,
};

use super::body::{LARGE, StrictJson};
use super::fields::Fields;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::store::events::Cause;
use crate::store::signatures;
use crate::time::Timestamp;

/// A request signed by a hotkey, its body at most `LIMIT` bytes.
#[derive(Debug)]
pub struct Signed<const LIMIT: usize> {
    /// Who signed.
    pub hotkey: String,
    body: StrictJson,
    received_at: Timestamp,
}

/// A signed request of a hotkey that passes the stake gate.
#[derive(Debug)]
pub struct Miner<const LIMIT: usize>(pub Signed<LIMIT>);

/// A signed request of a hotkey on the validator allowlist.
#[derive(Debug)]
pub struct Validator<const LIMIT: usize>(pub Signed<LIMIT>);

/// A request with the admin token.
#[derive(Debug)]
pub struct Admin {
    body: StrictJson,
    received_at: Timestamp,
}

impl<const LIMIT: usize> Signed<LIMIT> {
    /// The fields of the body.
    pub fn fields(&self) -> ApiResult<Fields> {
        self.body.fields()
    }

    /// The fields of a body that may be left out.
    pub fn fields_if_any(&self) -> ApiResult<Fields> {
        self.body.fields_if_any()
    }

    /// This request as the cause of a change.
    pub fn cause(&self) -> Cause {
        Cause {
            actor: self.hotkey.clone(),
            request_digest: Some(self.body.digest().to_string()),
            at: self.received_at,
        }
    }
}

impl Admin {
    /// The fields of the body.
    pub fn fields(&self) -> ApiResult<Fields> {
        self.body.fields()
    }

    /// The fields of a body that may be left out.
    pub fn fields_if_any(&self) -> ApiResult<Fields> {
        self.body.fields_if_any()
    }

    /// The body's text.
    pub fn text(&self) -> &str {
        &self.body.text
    }

    /// This request as the cause of a change.
    pub fn cause(&self) -> Cause {
        Cause {
            actor: "admin".to_owned(),
            request_digest: Some(self.body.digest().to_string()),
            at: self.received_at,
        }
    }
}

/// The one value of a header. A second one is refused: a proxy might check one
/// of them and pass on both.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> ApiResult<Option<&'a [u8]>> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(ApiError::malformed(
            "repeated_header",
            format!("more than one {name}"),
        ));
    }
    Ok(value.map(axum::http::HeaderValue::as_bytes))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> ApiResult<&'a str> {
    only(headers, name)?
        .and_then(|value| std::str::from_utf8(value).ok())
        .ok_or_else(|| ApiError::unauthenticated("not_signed", format!("{name} is missing")))
}

/// Everything up to, and without, the replay cache.
async fn verified<const LIMIT: usize>(
    app: &App,
    request: Request,
) -> ApiResult<(Signed<LIMIT>, Authenticated)> {
    let (parts, body) = request.into_parts();
    let headers = Headers {
        hotkey: text(&parts.headers, HOTKEY_HEADER)?,
        timestamp: text(&parts.headers, TIMESTAMP_HEADER)?,
        signature: text(&parts.headers, SIGNATURE_HEADER)?,
    };
    let body = StrictJson::read(app, &parts, body, LIMIT).await?;
    let request = auth::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        body: body.text.as_bytes(),
    };
    let now = app.clock.now();
    let seconds = now.seconds().unsigned_abs();
    let authenticate = || request.authenticate(&headers, seconds, app.settings.freshness_seconds);
    // A long body takes a while to canonicalise: not on the reactor's time.
    let by = if body.text.len() > LARGE {
        tokio::task::block_in_place(authenticate)
    } else {
        authenticate()
    };
    let by = by.map_err(|error| refusal(&error))?;
    let hotkey = by.hotkey.to_string();
    app.hotkeys.take(&hotkey)?;
    let signed = Signed {
        hotkey,
        body,
        received_at: now,
    };
    Ok((signed, by))
}

fn refusal(error: &AuthError) -> ApiError {
    let code = match error {
        AuthError::Stale { .. } => "stale_timestamp",
        AuthError::Mismatch => "wrong_signature",
        error if error.is_malformed_request() => {
            return ApiError::malformed("malformed_request", error.to_string());
        }
        _ => "malformed_signature",
    };
    ApiError::unauthenticated(code, error.to_string())
}

async fn use_up(app: &App, by: &Authenticated) -> ApiResult<()> {
    // The bytes are the key, however their hex was written; and sr25519
    // signatures cannot be rewritten into other valid ones.
    let signature = by.signature.to_string();
    let stale_after = by
        .signed_at
        .saturating_add(app.settings.freshness_seconds + 60);
    let stale_at = Timestamp::from_seconds(stale_after);
    if signatures::consume(&app.store, signature, stale_at).await? {
        return Ok(());
    }
    Err(ApiError::unauthenticated(
        "signature_reused",
        "this signature was used before",
    ))
}

impl<const LIMIT: usize> FromRequest<App> for Signed<LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let (signed, by) = verified(app, request).await?;
        use_up(app, &by).await?;
        Ok(signed)
    }
}

impl<const LIMIT: usize> FromRequest<App> for Miner<LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let (signed, by) = verified(app, request).await?;
        if let Some(stakes) = &app.stakes {
            stakes.check(&signed.hotkey)?;
        }
        use_up(app, &by).await?;
        Ok(Self(signed))
    }
}

impl<const LIMIT: usize> FromRequest<App> for Validator<LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let (signed, by) = verified(app, request).await?;
        if !app.settings.validators.contains(&signed.hotkey) {
            let detail = "this hotkey is not on the validator allowlist";
            return Err(ApiError::forbidden("not_a_validator", detail));
        }
        use_up(app, &by).await?;
        Ok(Self(signed))
    }
}

impl FromRequest<App> for Admin {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        let given = only(&parts.headers, "x-admin-token")?.ok_or_else(|| {
            ApiError::unauthenticated("admin_token_missing", "X-Admin-Token is missing")
        })?;
        if !app.settings.admin_token.is(given) {
            let detail = "X-Admin-Token is not the admin token";
            return Err(ApiError::unauthenticated("admin_token_wrong", detail));
        }
        let limit = super::body::TASK;
        let body = StrictJson::read(app, &parts, body, limit).await?;
        Ok(Self {
            body,
            received_at: app.clock.now(),
        })
    }
}
