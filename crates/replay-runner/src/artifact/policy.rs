//! What the operator allows, and how long a fetch may take.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Addresses, ArtifactError};

/// Which local paths may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LocalFiles {
    /// None: what a submission names is an https address.
    #[default]
    Refused,
    /// Relative paths below this directory, no symbolic link anywhere in them.
    Beneath(PathBuf),
    /// Any regular file: only for paths that the operator typed.
    Anywhere,
}

/// Who may read what the cache keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Secrecy {
    /// Any user, so that a sandbox's user can read a mounted file (mode 0444).
    #[default]
    Public,
    /// The runner's own user alone (mode 0400): private inputs.
    Private,
}

impl Secrecy {
    pub(super) const fn mode(self) -> u32 {
        match self {
            Self::Public => 0o444,
            Self::Private => 0o400,
        }
    }
}

/// The addresses of a host, or why there are none.
pub type Answer<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Turns a host name into addresses. Every answer is checked before use.
pub trait Lookup: Send + Sync {
    /// All addresses of `host`.
    fn lookup<'a>(&'a self, host: &'a str) -> Answer<'a>;
}

/// The host's own resolver.
struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup<'a>(&'a self, host: &'a str) -> Answer<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// How artifacts are fetched and kept. The default is what a validator needs
/// for submissions of strangers.
#[derive(Clone)]
#[must_use]
pub struct FetchPolicy {
    pub(super) addresses: Addresses,
    pub(super) local_files: LocalFiles,
    pub(super) secrecy: Secrecy,
    pub(super) extra_roots_pem: Vec<Vec<u8>>,
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) base_deadline: Duration,
    pub(super) min_bytes_per_second: u64,
    pub(super) verify_again_after: Duration,
}

impl Default for FetchPolicy {
    fn default() -> Self {
        Self {
            addresses: Addresses::default(),
            local_files: LocalFiles::default(),
            secrecy: Secrecy::default(),
            extra_roots_pem: Vec::new(),
            lookup: Arc::new(SystemLookup),
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            base_deadline: Duration::from_mins(1),
            min_bytes_per_second: 1 << 20,
            verify_again_after: Duration::from_hours(24),
        }
    }
}

impl FetchPolicy {
    /// Which addresses a host may have.
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = addresses;
        self
    }

    /// Which local paths may be read.
    pub fn local_files(mut self, local_files: LocalFiles) -> Self {
        self.local_files = local_files;
        self
    }

    /// Who may read the kept files.
    pub fn secrecy(mut self, secrecy: Secrecy) -> Self {
        self.secrecy = secrecy;
        self
    }

    /// Trusts the certificates in `pem` beside the host's own roots.
    pub fn extra_root_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_roots_pem.push(pem.into());
        self
    }

    /// Resolves host names by `lookup` in place of the host's own resolver.
    pub fn lookup(mut self, lookup: impl Lookup + 'static) -> Self {
        self.lookup = Arc::new(lookup);
        self
    }

    /// How long name look-up, connection and TLS may take together.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long the server may be silent.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// The deadline of a whole download: `base`, plus the time that the declared
    /// size takes at `min_bytes_per_second`.
    pub fn deadline(mut self, base: Duration, min_bytes_per_second: u64) -> Self {
        self.base_deadline = base;
        self.min_bytes_per_second = min_bytes_per_second.max(1);
        self
    }

    /// After how long a kept file is hashed again before use.
    pub fn verify_again_after(mut self, age: Duration) -> Self {
        self.verify_again_after = age;
        self
    }

    pub(super) fn deadline_for(&self, size_bytes: u64) -> Duration {
        let seconds = size_bytes / self.min_bytes_per_second;
        self.base_deadline
            .saturating_add(Duration::from_secs(seconds))
    }
}

impl fmt::Debug for FetchPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchPolicy")
            .field("addresses", &self.addresses)
            .field("secrecy", &self.secrecy)
            .finish_non_exhaustive()
    }
}

/// How the caller follows a verification and ends it early.
#[derive(Clone, Default)]
#[must_use]
pub struct Watch {
    cancel: CancellationToken,
    progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Watch {
    /// Ends the work when `cancel` is cancelled.
    pub fn cancelled_by(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Calls `progress` with the number of bytes so far, from any thread.
    pub fn on_progress(mut self, progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    pub(super) fn tell(&self, bytes_so_far: u64) {
        if let Some(progress) = &self.progress {
            progress(bytes_so_far);
        }
    }

    pub(super) fn check(&self) -> Result<(), ArtifactError> {
        if self.cancel.is_cancelled() {
            return Err(ArtifactError::Cancelled);
        }
        Ok(())
    }

    /// Runs `work` until it ends or the caller cancels.
    pub(super) async fn until_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, ArtifactError>>,
    ) -> Result<T, ArtifactError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ArtifactError::Cancelled),
            done = work => done,
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
