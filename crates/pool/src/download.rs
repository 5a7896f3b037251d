//! Documents from elsewhere: a file or an address, bounded in size and time.

use std::time::Duration;

use protocol::Sha256Digest;
use reqwest::{Client, Url, redirect};

use crate::blobs::{BlobError, Blobs};

/// The largest document: an epoch of four million leaves.
const LIMIT: usize = 1 << 30;

/// Why a document was not had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The request failed.
    #[error("{address}: {source}")]
    Request {
        /// What was asked for.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// Another status than 200.
    #[error("{address} answered {status}")]
    Status {
        /// What was asked for.
        address: String,
        /// What it answered.
        status: u16,
    },
    /// Over the limit.
    #[error("{0} is over {LIMIT} bytes")]
    TooLarge(String),
    /// Something else than what was asked for.
    #[error("{address} gave a document with the digest {found}")]
    Digest {
        /// What was asked for.
        address: String,
        /// What came.
        found: Sha256Digest,
    },
    /// It could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Fetches documents over http and https.
#[derive(Debug, Clone)]
pub struct Downloader {
    client: Client,
}

impl Downloader {
    /// A downloader that follows no redirect and waits ten minutes at most.
    ///
    /// # Errors
    /// That of the TLS library, if it cannot start.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(15))
            .read_timeout(Duration::from_mins(1))
            .timeout(Duration::from_mins(10))
            .build()?;
        Ok(Self { client })
    }

    /// The bytes at `address`.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub async fn get(&self, address: &Url) -> Result<Vec<u8>, DownloadError> {
        let name = || address.to_string();
        let failed = |source| DownloadError::Request {
            address: name(),
            source,
        };
        let sent = self.client.get(address.clone()).send().await;
        let mut response = sent.map_err(failed)?;
        let status = response.status().as_u16();
        if status != 200 {
            let address = name();
            return Err(DownloadError::Status { address, status });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > LIMIT {
                return Err(DownloadError::TooLarge(name()));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The document with this digest, from `blobs`, else from `address`, and then
    /// kept.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub async fn document(
        &self,
        blobs: &Blobs,
        digest: Sha256Digest,
        address: &Url,
    ) -> Result<Vec<u8>, DownloadError> {
        if let Ok(bytes) = blobs.get(digest) {
            return Ok(bytes);
        }
        let bytes = self.get(address).await?;
        let found = Sha256Digest::of(&bytes);
        if found != digest {
            let address = address.to_string();
            return Err(DownloadError::Digest { address, found });
        }
        blobs.put(&bytes)?;
        Ok(bytes)
    }
}
