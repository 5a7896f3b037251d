//! The reward snapshot (`GET /api/v1/reward-snapshot`), from an address or a file.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::policy::{Policy, PolicyError};

/// The largest snapshot that is read: it has every miner's best of every task.
const MAX_BYTES: usize = 128 << 20;
/// A snapshot from further in the future than this was made by a wrong clock.
const CLOCK_SKEW: time::Duration = time::Duration::minutes(10);

/// Where the snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// At a coordinator's address.
    Address(Url),
    /// In a file.
    File(PathBuf),
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// An address that would be read without TLS.
    #[error("the snapshot's address has to be https, or http on this machine; {0} is neither")]
    Scheme(String),
    /// It could not be fetched.
    #[error("the snapshot could not be fetched: {0}")]
    Fetch(String),
    /// The file could not be read.
    #[error("the snapshot {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// More than is read.
    #[error("the snapshot has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Two readers could take it for different things.
    #[error("the snapshot is no strict JSON: {0}")]
    Json(#[from] protocol::canonical_json::CanonicalJsonError),
    /// `generated_at` is missing or no time.
    #[error("generated_at is not an RFC 3339 time")]
    GeneratedAt,
    /// It was made too long ago, or in the future.
    #[error(
        "generated_at: the snapshot is of {generated_at}, and only one of the last {limit_hours} hours is followed"
    )]
    Age {
        /// When it was made.
        generated_at: String,
        /// The oldest that is followed, in hours.
        limit_hours: u64,
    },
    /// Its policy is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl SnapshotError {
    /// Whether the document itself is at fault, so that asking again gives the same.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Json(_) | Self::GeneratedAt | Self::Age { .. } | Self::Policy(_) | Self::TooLarge
        )
    }
}

impl Source {
    /// Tells addresses from files.
    ///
    /// # Errors
    /// [`SnapshotError::Scheme`].
    pub fn parse(text: &str) -> Result<Self, SnapshotError> {
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(Self::File(text.into()));
        };
        let scheme_error = || SnapshotError::Scheme(text.chars().take(200).collect());
        let url = Url::parse(text).map_err(|_| scheme_error())?;
        let here = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        match scheme {
            "https" => Ok(Self::Address(url)),
            "http" if here => Ok(Self::Address(url)),
            _ => Err(scheme_error()),
        }
    }

    /// Reads the policy of the snapshot, which has to be of the last `oldest`.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub async fn policy(&self, oldest: Duration) -> Result<Policy, SnapshotError> {
        let bytes = match self {
            Self::Address(url) => fetch(url).await?,
            Self::File(path) => read_file(path)?,
        };
        read(&bytes, OffsetDateTime::now_utc(), oldest)
    }
}

/// Reads the policy of a snapshot's bytes at the time `now`.
///
/// # Errors
/// [`SnapshotError`].
pub fn read(bytes: &[u8], now: OffsetDateTime, oldest: Duration) -> Result<Policy, SnapshotError> {
    // Duplicate keys and the like end here; what is left parses in one way.
    let canonical = protocol::canonical_json::canonicalize(bytes)?;
    let document: Value = serde_json::from_str(&canonical).unwrap_or(Value::Null);
    let policy = Policy::read(document.get("reward_policy").unwrap_or(&Value::Null))?;
    let generated_at = document.get("generated_at").and_then(Value::as_str);
    let generated_at = generated_at
        .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
        .ok_or(SnapshotError::GeneratedAt)?;
    let age = now - generated_at;
    if age > oldest || -age > CLOCK_SKEW {
        return Err(SnapshotError::Age {
            generated_at: generated_at.to_string(),
            limit_hours: oldest.as_secs() / 3600,
        });
    }
    Ok(policy)
}

async fn fetch(url: &Url) -> Result<Vec<u8>, SnapshotError> {
    // Without the address, whose path and query are nobody's business.
    let failed = |error: reqwest::Error| SnapshotError::Fetch(error.without_url().to_string());
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_mins(1))
        .user_agent(concat!("weight-setter/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(failed)?;
    let mut response = client.get(url.clone()).send().await.map_err(failed)?;
    let status = response.status();
    if !status.is_success() {
        return Err(SnapshotError::Fetch(format!(
            "the coordinator answered {status}"
        )));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(SnapshotError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, SnapshotError> {
    let failed = |source| SnapshotError::File {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(SnapshotError::TooLarge);
    }
    Ok(bytes)
}
