//! Artifacts: fetched or copied, hashed on the way, kept by content, and handed
//! out only when verified.
//!
//! ```no_run
//! # use std::path::Path;
//! # use replay_runner::artifact::{Artifacts, ArtifactError, ArtifactSource, Declared, FetchPolicy, Watch};
//! # async fn example(state: &Path, max_bytes: u64) -> Result<(), ArtifactError> {
//! let artifacts = Artifacts::open(&state.join("artifacts"), FetchPolicy::default())?;
//! let source = ArtifactSource::parse("https://models.example/best.bin")?;
//! let declared = Declared::parse(Some("e3b0…"), Some("0"))?;
//! let verified = artifacts.verify(&source, declared, max_bytes, &Watch::default()).await?;
//! println!("{}", verified.path().display());
//! # Ok(())
//! # }
//! ```

mod address;
mod cache;
mod error;
mod fetch;
mod hashing;
mod incoming;
mod layer;
mod local;
mod policy;
mod seal;
mod source;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use protocol::Sha256Digest;
use url::Url;

use cache::Cache;
use fetch::Fetcher;
use source::Location;

pub use address::{Addresses, is_public};
pub use cache::VerifiedArtifact;
pub use error::ArtifactError;
pub use hashing::digest_of;
pub use policy::{Answer, FetchPolicy, LocalFiles, Lookup, Secrecy, Watch};
pub use source::{ArtifactSource, Declared};

/// Fetches, verifies and keeps artifacts. Cheap to clone; clones share all.
#[derive(Clone)]
pub struct Artifacts(Arc<Shared>);

/// Whoever holds it may download.
type Turn = tokio::sync::Mutex<()>;

struct Shared {
    cache: Arc<Cache>,
    fetcher: Fetcher,
    local_files: LocalFiles,
    /// One download at a time for the same content from the same address.
    /// Never for the same content alone: a slow server that somebody else names
    /// for it would then hold up everybody.
    under_way: Mutex<HashMap<(Sha256Digest, Url), Weak<Turn>>>,
}

impl Artifacts {
    /// Opens the cache at `root` (created with mode 0700 where missing) and
    /// deletes what killed processes left unfinished in it.
    ///
    /// # Errors
    /// `internal` or `sandbox.storage_full` when the directory cannot be used.
    pub fn open(root: &Path, policy: FetchPolicy) -> Result<Self, ArtifactError> {
        let cache = Cache::open(root, policy.secrecy, policy.verify_again_after)?;
        Ok(Self(Arc::new(Shared {
            cache: Arc::new(cache),
            local_files: policy.local_files.clone(),
            fetcher: Fetcher::new(policy),
            under_way: Mutex::default(),
        })))
    }

    /// Verifies the artifact at `source` against what is declared, fetching it
    /// unless the cache has it, and keeps it.
    ///
    /// What can be refused without the network is refused first, so that the
    /// answer does not depend on what this host's cache holds. A file larger
    /// than `max_bytes` is refused before a byte of it is fetched. An address
    /// needs both declarations, a local file neither.
    ///
    /// # Errors
    /// See [`ArtifactError::code`]: `artifact.*`, `spec.invalid`,
    /// `sandbox.storage_full`, `cancelled`, `internal`.
    pub async fn verify(
        &self,
        source: &ArtifactSource,
        declared: Declared,
        max_bytes: u64,
        watch: &Watch,
    ) -> Result<VerifiedArtifact, ArtifactError> {
        watch.check()?;
        match &source.0 {
            Location::Remote(url) => self.verify_remote(url, declared, max_bytes, watch).await,
            Location::Local(path) => self.verify_local(path, declared, max_bytes, watch).await,
        }
    }

    /// Deletes the artifacts that were unused for the longest time until at most
    /// `max_bytes` are kept; returns the number of bytes freed. What a
    /// [`VerifiedArtifact`] stands for is never deleted.
    pub async fn evict(&self, max_bytes: u64) -> Result<u64, ArtifactError> {
        self.blocking(move |cache| cache.evict(max_bytes)).await
    }

    async fn verify_remote(
        &self,
        url: &Url,
        declared: Declared,
        max: u64,
        watch: &Watch,
    ) -> Result<VerifiedArtifact, ArtifactError> {
        let sha256 = declared.sha256.ok_or(ArtifactError::DigestMissing)?;
        let Some(size) = declared.size_bytes else {
            return Err(ArtifactError::SizeMismatch {
                declared: "missing".to_owned(),
                found: "an address needs it".to_owned(),
            });
        };
        if size > max {
            return Err(ArtifactError::TooLarge { size, max });
        }
        self.0.fetcher.check_literal(url)?;
        let turn = self.turn(sha256, url);
        let work = async {
            let _turn = turn.lock().await;
            match self.find(sha256, size, watch).await? {
                Some(kept) => Ok(kept),
                None => self.fetch(url, sha256, size, watch).await,
            }
        };
        watch.until_cancelled(work).await
    }

    async fn fetch(
        &self,
        url: &Url,
        sha256: Sha256Digest,
        size: u64,
        watch: &Watch,
    ) -> Result<VerifiedArtifact, ArtifactError> {
        let incoming = self.blocking(move |cache| cache.receive(size)).await?;
        let (incoming, found) = self.0.fetcher.download(url, size, incoming, watch).await?;
        if found != sha256 {
            return Err(ArtifactError::DigestMismatch {
                declared: sha256,
                found,
            });
        }
        let watch = watch.clone();
        self.blocking(move |cache| cache.keep(incoming, sha256, &watch))
            .await
    }

    async fn verify_local(
        &self,
        path: &Path,
        declared: Declared,
        max: u64,
        watch: &Watch,
    ) -> Result<VerifiedArtifact, ArtifactError> {
        let path: PathBuf = path.to_owned();
        let policy = self.0.local_files.clone();
        let watch = watch.clone();
        self.blocking(move |cache| local::bring_in(cache, &path, &policy, declared, max, &watch))
            .await
    }

    async fn find(
        &self,
        sha256: Sha256Digest,
        size: u64,
        watch: &Watch,
    ) -> Result<Option<VerifiedArtifact>, ArtifactError> {
        let watch = watch.clone();
        let kept = self
            .blocking(move |cache| cache.find(sha256, &watch))
            .await?;
        match kept {
            Some(kept) if kept.size_bytes() != size => {
                let found = format!("the file has {} bytes", kept.size_bytes());
                Err(ArtifactError::size(size, found))
            }
            other => Ok(other),
        }
    }

    fn turn(&self, sha256: Sha256Digest, url: &Url) -> Arc<Turn> {
        let mut under_way = self
            .0
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, turn| turn.strong_count() > 0);
        let slot = under_way.entry((sha256, url.clone())).or_default();
        slot.upgrade().unwrap_or_else(|| {
            let turn = Arc::default();
            *slot = Arc::downgrade(&turn);
            turn
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cache) -> Result<T, ArtifactError> + Send + 'static,
    ) -> Result<T, ArtifactError> {
        let cache = Arc::clone(&self.0.cache);
        tokio::task::spawn_blocking(move || work(&cache))
            .await
            .map_err(|panic| ArtifactError::host("work")(io::Error::other(panic.to_string())))?
    }
}

impl std::fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifacts").finish_non_exhaustive()
    }
}
