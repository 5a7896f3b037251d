//! Asking a pool over HTTP: no redirects, a bound on time and on bytes, and digests
//! checked where they are known.

use protocol::Sha256Digest;
use reqwest::redirect;
use serde::de::DeserializeOwned;
use url::Url;

use super::answers::{Claimed, EpochAnswer, EpochList};

/// The longest answer but for an epoch's file.
const ANSWER_BYTES: usize = 1 << 20;
/// The longest epoch's file that is read here: some 50,000 miners.
const FILE_BYTES: usize = 16 << 20;

/// Why the pool's answer is of no use. Shown to everybody, so it names no address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// This host cannot ask at all.
    #[error("this host cannot speak TLS")]
    Client(#[source] reqwest::Error),
    /// No connection, or one that broke off.
    #[error("the pool does not answer")]
    Away(#[source] reqwest::Error),
    /// It takes too long.
    #[error("the pool does not answer in time")]
    Slow,
    /// Another status than 200.
    #[error("the pool answers with status {0}")]
    Status(u16),
    /// More than is read.
    #[error("the pool's answer has more than {0} bytes")]
    TooLarge(usize),
    /// Not what the interface promises.
    #[error("the pool's answer to {0} cannot be read")]
    Unreadable(&'static str),
    /// Another document than was asked for.
    #[error("the pool's document has another digest than its name")]
    Digest,
}

/// The pool's routes.
#[derive(Debug)]
pub(super) struct Fetcher {
    http: reqwest::Client,
    base: Url,
}

impl Fetcher {
    pub(super) fn new(base: Url) -> Result<Self, FetchError> {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("coordinator/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(FetchError::Client)?;
        Ok(Self { http, base })
    }

    /// Which epochs there are.
    pub(super) async fn epochs(&self) -> Result<EpochList, FetchError> {
        const ROUTE: &str = "/claims/epochs";
        parse(&self.get(ROUTE, ANSWER_BYTES).await?, ROUTE)
    }

    /// One epoch.
    pub(super) async fn epoch(&self, epoch: u64) -> Result<EpochAnswer, FetchError> {
        const ROUTE: &str = "/claims/epoch";
        let body = self.get(&format!("{ROUTE}/{epoch}"), ANSWER_BYTES).await?;
        let answer: EpochAnswer = parse(&body, ROUTE)?;
        if answer.epoch != epoch {
            return Err(FetchError::Unreadable(ROUTE));
        }
        Ok(answer)
    }

    /// What the pool says of its processes and of the contract, where it says that.
    pub(super) async fn runtime(&self) -> Option<serde_json::Value> {
        let body = self.get("/status", ANSWER_BYTES).await.ok()?;
        let mut status: serde_json::Value = serde_json::from_slice(&body).ok()?;
        let runtime = status.get_mut("onchain_runtime")?.take();
        runtime.is_object().then_some(runtime)
    }

    /// What the contract had paid; a pool that does not report it has no such route.
    pub(super) async fn claimed(&self) -> Result<Option<Claimed>, FetchError> {
        const ROUTE: &str = "/claims/claimed";
        match self.get(ROUTE, FILE_BYTES).await {
            Ok(body) => parse(&body, ROUTE).map(Some),
            Err(FetchError::Status(404)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A document, if it is the one of that name.
    pub(super) async fn document(&self, digest: Sha256Digest) -> Result<Vec<u8>, FetchError> {
        let body = self
            .get(&format!("/claims/documents/{digest}"), FILE_BYTES)
            .await?;
        if Sha256Digest::of(&body) != digest {
            return Err(FetchError::Digest);
        }
        Ok(body)
    }

    async fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let mut url = self.base.clone();
        let root = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{root}{path}"));
        let mut response = self.http.get(url).send().await.map_err(FetchError::Away)?;
        let status = response.status();
        if status != reqwest::StatusCode::OK {
            return Err(FetchError::Status(status.as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(FetchError::Away)? {
            if body.len() + chunk.len() > limit {
                return Err(FetchError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8], route: &'static str) -> Result<T, FetchError> {
    serde_json::from_slice(body).map_err(|_| FetchError::Unreadable(route))
}
