//! Query parameters: the filters and the page of a list.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use crate::error::{ApiError, ApiResult};
use crate::store::page::Page;
use crate::time::Timestamp;

/// The largest page.
const MAX: i64 = 1000;

/// The query of a list: filters by name, `limit` and `cursor`.
#[derive(Debug)]
pub struct ListQuery {
    pairs: Vec<(String, String)>,
    path: String,
}

impl<S: Sync> FromRequestParts<S> for ListQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Ok(Self {
            pairs,
            path: parts.uri.path().to_owned(),
        })
    }
}

impl ListQuery {
    fn one(&self, name: &str) -> ApiResult<Option<&str>> {
        let mut values = self.pairs.iter().filter(|(given, _)| given == name);
        let value = values.next().map(|(_, value)| value.as_str());
        if values.next().is_some() {
            return Err(ApiError::field(name, "is given more than once"));
        }
        Ok(value)
    }

    /// A filter by id.
    pub fn uuid(&self, name: &str) -> ApiResult<Option<String>> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let id: uuid::Uuid = text
            .parse()
            .map_err(|_| ApiError::field(name, "is not a UUID"))?;
        Ok(Some(id.to_string()))
    }

    /// A filter by a hotkey's address.
    pub fn hotkey(&self, name: &str) -> ApiResult<Option<String>> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let hotkey: protocol::ss58::Address = text
            .parse()
            .map_err(|_| ApiError::field(name, "is not an ss58 address of this network"))?;
        Ok(Some(hotkey.to_string()))
    }

    /// A filter by one of these texts.
    pub fn choice(&self, name: &str, choices: &[&str]) -> ApiResult<Option<String>> {
        match self.one(name)? {
            Some(text) if !choices.contains(&text) => Err(ApiError::field(
                name,
                format!("is not one of {}", choices.join(", ")),
            )),
            found => Ok(found.map(str::to_owned)),
        }
    }

    /// The wanted page, `default` entries long unless `limit` says otherwise.
    pub fn page(&self, default: i64) -> ApiResult<Page> {
        let limit = match self.one("limit")? {
            None => default,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX).contains(limit))
                .ok_or_else(|| ApiError::field("limit", format!("is not from 1 to {MAX}")))?,
        };
        Page::new(limit, self.one("cursor")?)
    }

    /// The answer: a bare array, and `Link: …; rel="next"` if it is full.
    pub fn answer<T: Serialize>(
        &self,
        rows: Vec<T>,
        page: &Page,
        key: impl Fn(&T) -> (Timestamp, &str),
    ) -> (HeaderMap, Json<Vec<T>>) {
        let mut headers = HeaderMap::new();
        let full = i64::try_from(rows.len()).is_ok_and(|count| count >= page.limit);
        if let Some(last) = rows.last().filter(|_| full) {
            let (at, id) = key(last);
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in self.pairs.iter().filter(|(name, _)| name != "cursor") {
                query.append_pair(name, value);
            }
            query.append_pair("cursor", &Page::cursor_after(at, id));
            let link = format!("<{}?{}>; rel=\"next\"", self.path, query.finish());
            if let Ok(link) = HeaderValue::from_str(&link) {
                headers.insert(header::LINK, link);
            }
        }
        (headers, Json(rows))
    }
}

/// The id in a path; 404 for anything that is no UUID, since there is no such thing.
#[derive(Debug)]
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let axum::extract::Path(text) =
            axum::extract::Path::<String>::from_request_parts(parts, state)
                .await
                .map_err(|_| no_such_id())?;
        let id: uuid::Uuid = text.parse().map_err(|_| no_such_id())?;
        Ok(Self(id.to_string()))
    }
}

fn no_such_id() -> ApiError {
    ApiError::not_found("no_such_id", "the path has no UUID of anything here")
}
