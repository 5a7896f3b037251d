//! One https download: addresses checked after name resolution and used as
//! checked, no redirect, no proxy, no decompression, every wait bounded.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use protocol::Sha256Digest;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::{Certificate, Client, Response, redirect};
use tokio::sync::{OnceCell, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use url::{Host, Url};

use super::hashing::Hasher;
use super::incoming::Incoming;
use super::policy::Lookup;
use super::{Addresses, ArtifactError, FetchPolicy, Watch};

/// How many pieces of a download may wait for the disk.
const PIECES_AHEAD: usize = 8;

pub(super) struct Fetcher {
    /// Made for the first download: reading this host's root certificates takes
    /// longer than a replay that downloads nothing has to spare.
    client: OnceCell<Client>,
    policy: FetchPolicy,
}

impl Fetcher {
    pub(super) fn new(policy: FetchPolicy) -> Self {
        Self {
            client: OnceCell::new(),
            policy,
        }
    }

    /// Fails when this host's root certificates cannot be read.
    async fn client(&self) -> Result<&Client, ArtifactError> {
        let policy = self.policy.clone();
        let make = || async {
            let made = tokio::task::spawn_blocking(move || client(&policy)).await;
            made.map_err(|panic| {
                ArtifactError::host("set up https")(io::Error::other(panic.to_string()))
            })?
        };
        self.client.get_or_try_init(make).await
    }

    /// Refuses an address that is written out in `url`: the connector asks the
    /// resolver for names only.
    pub(super) fn check_literal(&self, url: &Url) -> Result<(), ArtifactError> {
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            _ => return Ok(()),
        };
        if self.policy.addresses.allow(address) {
            return Ok(());
        }
        Err(ArtifactError::Address {
            host: host_of(url),
            address,
        })
    }

    /// Downloads exactly `size` bytes into `incoming` and returns it with their
    /// digest. Dropping the future ends the download and deletes the file.
    pub(super) async fn download(
        &self,
        url: &Url,
        size: u64,
        incoming: Incoming,
        watch: &Watch,
    ) -> Result<(Incoming, Sha256Digest), ArtifactError> {
        let allowed = self.policy.deadline_for(size);
        let deadline = Instant::now() + allowed;
        let (pieces, arrived) = mpsc::channel(PIECES_AHEAD);
        let storing = tokio::task::spawn_blocking(move || store(incoming, arrived));
        let receiving = self.receive(url, size, pieces, watch);
        let received = timeout_at(deadline, receiving).await.unwrap_or_else(|_| {
            let limit = format!("the download took longer than {} s", allowed.as_secs());
            Err(unavailable(url, limit))
        });
        // A disk failure ends the receiver, too, and is the cause to name.
        let stored = storing.await.map_err(|panic| {
            ArtifactError::host("store a download")(io::Error::other(panic.to_string()))
        })?;
        let stored = stored?;
        received.map(|()| stored)
    }

    async fn receive(
        &self,
        url: &Url,
        size: u64,
        pieces: mpsc::Sender<Bytes>,
        watch: &Watch,
    ) -> Result<(), ArtifactError> {
        let mut response = self.ask(url, size).await?;
        let mut so_far = 0;
        while let Some(piece) = self.next_piece(url, &mut response).await? {
            so_far += piece.len() as u64;
            if so_far > size {
                return Err(ArtifactError::size(size, "the server sends more bytes"));
            }
            if pieces.send(piece).await.is_err() {
                // The disk failed; the storing side says how.
                return Ok(());
            }
            watch.tell(so_far);
        }
        if so_far < size {
            let found = format!("the server sends {so_far} bytes");
            return Err(ArtifactError::size(size, found));
        }
        Ok(())
    }

    /// Sends the request and judges the head of the answer.
    async fn ask(&self, url: &Url, size: u64) -> Result<Response, ArtifactError> {
        let identity = HeaderValue::from_static("identity");
        let request = self
            .client()
            .await?
            .get(url.clone())
            .header(ACCEPT_ENCODING, identity);
        let limit = self.policy.connect_timeout + self.policy.idle_timeout;
        let response = timeout(limit, request.send())
            .await
            .map_err(|_| unavailable(url, "the server does not answer"))?
            .map_err(|error| refusal(url, &error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(ArtifactError::Redirect {
                host: host_of(url),
                status: status.as_u16(),
            });
        }
        if status != reqwest::StatusCode::OK {
            let answer = format!("the server answers with status {}", status.as_u16());
            return Err(unavailable(url, answer));
        }
        match response.content_length() {
            Some(length) if length != size => Err(ArtifactError::size(
                size,
                format!("the server announces {length} bytes"),
            )),
            _ => Ok(response),
        }
    }

    async fn next_piece(
        &self,
        url: &Url,
        response: &mut Response,
    ) -> Result<Option<Bytes>, ArtifactError> {
        timeout(self.policy.idle_timeout, response.chunk())
            .await
            .map_err(|_| unavailable(url, "the server stopped sending"))?
            .map_err(|error| unavailable(url, innermost(&error)))
    }
}

/// A client that goes to checked addresses by https only, and follows nothing.
fn client(policy: &FetchPolicy) -> Result<Client, ArtifactError> {
    let failed = ArtifactError::host("set up https");
    let mut roots = Vec::new();
    for pem in &policy.extra_roots_pem {
        let found = Certificate::from_pem_bundle(pem)
            .map_err(|error| failed(io::Error::other(innermost(&error))))?;
        roots.extend(found);
    }
    let resolver = CheckedResolver {
        lookup: Arc::clone(&policy.lookup),
        addresses: policy.addresses,
    };
    Client::builder()
        .https_only(true)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .connect_timeout(policy.connect_timeout)
        .user_agent(concat!("replay-runner/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(resolver)
        .tls_certs_merge(roots)
        .build()
        .map_err(|error| failed(io::Error::other(innermost(&error))))
}

/// Writes and hashes what arrives, until the sender is dropped.
fn store(
    mut incoming: Incoming,
    mut arrived: mpsc::Receiver<Bytes>,
) -> Result<(Incoming, Sha256Digest), ArtifactError> {
    let mut hasher = Hasher::new();
    while let Some(piece) = arrived.blocking_recv() {
        incoming.write(&piece)?;
        hasher.update(&piece);
    }
    Ok((incoming, hasher.finish()))
}

/// Resolves a name once, checks every address, and hands the connector exactly
/// what was checked. One address that is not public refuses the name: a name
/// with both kinds is an attempt or a mistake, and which of them a connection
/// would use differs from host to host.
struct CheckedResolver {
    lookup: Arc<dyn Lookup>,
    addresses: Addresses,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.lookup);
        let addresses = self.addresses;
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            if let Some(refused) = found.iter().find(|address| !addresses.allow(**address)) {
                return Err(RefusedAddress(*refused).into());
            }
            let found = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}

/// The resolver's refusal, on its way through the connector's errors.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a public address")]
struct RefusedAddress(IpAddr);

/// Tells a refused address from a failed connection.
fn refusal(url: &Url, error: &reqwest::Error) -> ArtifactError {
    let refused = chain(error).find_map(|cause| cause.downcast_ref::<RefusedAddress>());
    match refused {
        Some(RefusedAddress(address)) => ArtifactError::Address {
            host: host_of(url),
            address: *address,
        },
        None if error.is_timeout() => unavailable(url, "the connection took too long"),
        None => unavailable(url, innermost(error)),
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| Error::source(*cause))
}

/// The innermost cause alone: the outer ones repeat the whole address, whose
/// query may hold a token.
fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

fn unavailable(url: &Url, reason: impl Into<String>) -> ArtifactError {
    ArtifactError::Unavailable {
        host: host_of(url),
        reason: reason.into(),
    }
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}
