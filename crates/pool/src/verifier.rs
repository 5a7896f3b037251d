//! Watches published epochs, recomputes each from its public inputs, and
//! challenges one that does not follow from them. Anybody can run it: it believes
//! nothing but the chain and the documents whose digests it checks.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::Sha256Digest;
use protocol::claims::MerkleHash;
use reqwest::Url;
use serde::Serialize;

use crate::blobs::{BlobError, Blobs};
use crate::build::LARGEST_LEAP;
use crate::chain::{Call, Chain, ChainError, Published};
use crate::delivery::{DeliveryError, Progress, advance};
use crate::download::{DownloadError, Downloader};
use crate::epoch::{EpochFile, FileError};
use crate::store::{Check, Store, StoreError, Verdict};
use crate::verify::{VerifyError, one};

/// Whether a wrong epoch is challenged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The chain's account may challenge.
    Vetoer,
    /// There is no such key: a wrong epoch is only told.
    Watcher,
}

/// The verifier.
#[derive(Debug)]
pub struct Verifier<C> {
    /// Its own findings; never the pool's database.
    pub store: Store,
    /// Its own copies of the documents.
    pub blobs: Blobs,
    /// The chain.
    pub chain: C,
    /// Fetches documents.
    pub downloader: Downloader,
    /// Whether it challenges.
    pub role: Role,
    /// How far the numbers without a finding are known to have no epoch; 0 to begin
    /// with. The contract never fills a number below its newest.
    pub passed: AtomicU64,
    /// The newest number that was seen struck down; 0 to begin with. The contract wants
    /// the next one above it, however far it was.
    pub newest_void: AtomicU64,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Every published epoch is checked.
    Idle,
    /// This epoch follows from its inputs.
    Right(u64),
    /// This epoch does not: sound the alarm. The challenge, if this verifier may
    /// challenge, is on its way.
    Wrong {
        /// Which epoch.
        epoch: u64,
        /// The document that shows it.
        evidence: Sha256Digest,
    },
    /// The chain has the challenge of this epoch for good.
    Challenged(u64),
}

/// Why an epoch is not checked. It is undecided, and will be looked at again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain does not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The challenge could not be sent.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// A document cannot be had. Whoever withholds one keeps everybody from
    /// checking: look at it before the claims open.
    #[error("epoch {epoch} (claims open at block {claims_open_at}) is undecided: {source}")]
    Withheld {
        /// Which epoch.
        epoch: u64,
        /// When money can leave.
        claims_open_at: u64,
        /// Which document, and why not.
        source: DownloadError,
    },
    /// A document could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// What is wrong with an epoch; the same findings are always the same bytes, so
/// that a challenge after a crash names the same evidence.
#[derive(Debug, Serialize)]
struct Evidence {
    format: &'static str,
    epoch: u64,
    published_root: MerkleHash,
    published_num_of_leaves: u32,
    published_total_rao: crate::Rao,
    uri: String,
    file_sha256: Option<Sha256Digest>,
    problem: String,
}

impl<C: Chain> Verifier<C> {
    /// Looks at the oldest published epoch that was not checked, or goes on with
    /// a challenge.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn step(&self) -> Result<Step, WatchError> {
        let checks = self.store.checks().await?;
        if let Some(step) = self.challenge(&checks).await? {
            return Ok(step);
        }
        let Some(latest) = self.chain.latest_epoch().await? else {
            return Ok(Step::Idle);
        };
        let last = checks.last().map(|check| check.epoch);
        if last >= Some(latest) {
            return Ok(Step::Idle);
        }
        let first = last.map_or(0, |last| last.saturating_add(1));
        let first = first.max(self.passed.load(Ordering::Relaxed));
        let void = self.newest_void.load(Ordering::Relaxed);
        let mut before = last.unwrap_or(0).max(void);
        let mut epoch = first;
        while epoch <= latest.min(before.saturating_add(LARGEST_LEAP)) {
            // Numbers may be left out; what was struck down needs no judge any more.
            match self.chain.epoch(epoch).await?.epoch {
                Some(published) if !published.is_void => {
                    let standing = self.standing(&checks).await?;
                    return self.check(epoch, &published, standing).await;
                }
                Some(_) => {
                    self.newest_void.store(epoch, Ordering::Relaxed);
                    before = epoch;
                }
                None => {}
            }
            if epoch == latest {
                return Ok(Step::Idle);
            }
            epoch += 1;
            self.passed.store(epoch, Ordering::Relaxed);
        }
        // A node may have told of less than the one before: that is no leap.
        if latest <= before.saturating_add(LARGEST_LEAP) {
            return Ok(Step::Idle);
        }
        // To look at every number up to one far away would take until its claims are
        // open. It follows from no inputs, since none allow the leap.
        let Some(published) = self.chain.epoch(latest).await?.epoch else {
            return Ok(Step::Idle);
        };
        let uri = self.chain.uri(latest, &published).await?;
        let problem = format!(
            "its number is more than {LARGEST_LEAP} above {before}, the last one before it"
        );
        self.wrong(latest, &published, uri, None, problem).await
    }

    /// Goes on with the oldest challenge that is not on the chain yet.
    async fn challenge(&self, checks: &[Check]) -> Result<Option<Step>, WatchError> {
        if self.role == Role::Watcher {
            return Ok(None);
        }
        for check in checks {
            let Some(evidence) = check.evidence_sha256 else {
                continue;
            };
            let call = Call::ChallengeEpoch {
                epoch: check.epoch,
                evidence_hash: MerkleHash::from_bytes(*evidence.as_bytes()),
            };
            let delivery = self.store.delivery(&call.name(), &call).await?;
            if delivery.done_at_block.is_some() {
                continue;
            }
            match advance(&self.store, &self.chain, &call).await {
                Ok(Progress::Waiting) => {
                    return Ok(Some(Step::Wrong {
                        epoch: check.epoch,
                        evidence,
                    }));
                }
                Ok(Progress::Done) => return Ok(Some(Step::Challenged(check.epoch))),
                // The window may be over: that must not keep later epochs unchecked.
                Err(DeliveryError::Chain(ChainError::Refused(why))) => {
                    tracing::error!(epoch = check.epoch, why, "a wrong epoch stays unchallenged");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    async fn check(
        &self,
        epoch: u64,
        published: &Published,
        before: Option<Sha256Digest>,
    ) -> Result<Step, WatchError> {
        let withheld = |source| WatchError::Withheld {
            epoch,
            claims_open_at: published.claims_open_at,
            source,
        };
        let uri = self.chain.uri(epoch, published).await?;
        let (file, problem) = match place(&uri) {
            None => (
                None,
                Some("the uri names no document by its digest".to_owned()),
            ),
            Some((base, digest)) => {
                let fetched = self.fetch(&base, digest).await.map_err(withheld)?;
                let problem = self.problem(epoch, published, &fetched, before)?;
                (Some(digest), problem)
            }
        };
        let Some(problem) = problem else {
            let check = Check {
                epoch,
                verdict: Verdict::Right,
                file_sha256: file,
                evidence_sha256: None,
            };
            self.store.add_check(check).await?;
            return Ok(Step::Right(epoch));
        };
        self.wrong(epoch, published, uri, file, problem).await
    }

    /// Keeps the evidence against an epoch, and that it is wrong.
    async fn wrong(
        &self,
        epoch: u64,
        published: &Published,
        uri: String,
        file: Option<Sha256Digest>,
        problem: String,
    ) -> Result<Step, WatchError> {
        let evidence = self.keep_evidence(epoch, published, uri, file, problem)?;
        let check = Check {
            epoch,
            verdict: Verdict::Wrong,
            file_sha256: file,
            evidence_sha256: Some(evidence),
        };
        self.store.add_check(check).await?;
        Ok(Step::Wrong { epoch, evidence })
    }

    /// The file of the newest epoch that was right, and was not struck down for all
    /// that.
    async fn standing(&self, checks: &[Check]) -> Result<Option<Sha256Digest>, ChainError> {
        let right = checks
            .iter()
            .rev()
            .filter(|one| one.verdict == Verdict::Right);
        for check in right {
            let there = self.chain.epoch(check.epoch).await?.epoch;
            if there.is_some_and(|published| !published.is_void) {
                return Ok(check.file_sha256);
            }
        }
        Ok(None)
    }

    /// The epoch file and everything that it names.
    async fn fetch(&self, base: &Url, digest: Sha256Digest) -> Result<Vec<u8>, DownloadError> {
        let get = async |digest: Sha256Digest| {
            let address = beside(base, digest);
            self.downloader
                .document(&self.blobs, digest, &address)
                .await
        };
        let bytes = get(digest).await?;
        // What is no epoch file names nothing, and is found wrong afterwards.
        if let Ok(file) = EpochFile::parse(&bytes) {
            get(file.inputs.snapshot_sha256).await?;
            get(file.inputs.recipients_sha256).await?;
            if let Some(digest) = file.inputs.previous_sha256 {
                let previous = get(digest).await?;
                if let Ok(previous) = EpochFile::parse(&previous) {
                    get(previous.inputs.recipients_sha256).await?;
                }
            }
        }
        Ok(bytes)
    }

    /// What is wrong, if anything.
    fn problem(
        &self,
        epoch: u64,
        published: &Published,
        bytes: &[u8],
        before: Option<Sha256Digest>,
    ) -> Result<Option<String>, BlobError> {
        let file = match one(&self.blobs, bytes) {
            Ok((file, _)) => file,
            // A document of ours was lost: that says nothing of the epoch.
            Err(VerifyError::Input { source, .. }) => return Err(source),
            Err(error) => return Ok(Some(told(&error))),
        };
        let stated = (file.epoch, file.root, file.num_of_leaves, file.total_rao);
        let there = (
            epoch,
            published.root,
            published.num_of_leaves,
            published.total_rao,
        );
        if stated != there {
            return Ok(Some(format!(
                "the file is of epoch {}, root {}, {} leaves and {} rao",
                file.epoch, file.root, file.num_of_leaves, file.total_rao
            )));
        }
        let contract = self.chain.contract();
        if file.contract != contract {
            return Ok(Some(format!(
                "the file is for the contract {}, and it is published by {contract}",
                file.contract
            )));
        }
        // An epoch must stand on the last right one, or what was earned could be
        // rewritten.
        Ok((file.inputs.previous_sha256 != before).then(|| {
            let name = |digest: Option<Sha256Digest>| {
                digest.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string())
            };
            format!(
                "it stands on {}, and the last right epoch before it is {}",
                name(file.inputs.previous_sha256),
                name(before)
            )
        }))
    }

    fn keep_evidence(
        &self,
        epoch: u64,
        published: &Published,
        uri: String,
        file_sha256: Option<Sha256Digest>,
        problem: String,
    ) -> Result<Sha256Digest, BlobError> {
        let evidence = Evidence {
            format: "pool-evidence-v1",
            epoch,
            published_root: published.root,
            published_num_of_leaves: published.num_of_leaves,
            published_total_rao: published.total_rao,
            uri,
            file_sha256,
            problem,
        };
        let bytes = serde_json::to_vec(&evidence);
        self.blobs
            .put(&bytes.expect("strings and numbers are always JSON"))
    }
}

/// An error as evidence: without anything that differs between machines.
fn told(error: &VerifyError) -> String {
    match error {
        VerifyError::File(FileError::Unreadable(_)) => "the epoch file is unreadable".to_owned(),
        error => error.to_string(),
    }
}

/// Where an epoch's documents are, and which one is the epoch file.
fn place(uri: &str) -> Option<(Url, Sha256Digest)> {
    let address: Url = uri.parse().ok()?;
    let digest = address.path_segments()?.next_back()?.parse().ok()?;
    Some((address, digest))
}

/// The address of a document beside another.
fn beside(base: &Url, digest: Sha256Digest) -> Url {
    let mut address = base.clone();
    if let Ok(mut segments) = address.path_segments_mut() {
        segments.pop().push(&digest.to_string());
    }
    address
}
