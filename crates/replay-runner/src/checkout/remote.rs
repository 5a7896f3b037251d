//! The network side of a checkout. libgit2 has no deadline of its own, so that
//! every exchange runs on a thread that is left behind when it hangs: what it
//! may still do is add objects, which are named by their content.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use git2::{
    AutotagOption, Direction, FetchOptions, FetchPrune, Oid, ProxyOptions, Remote, RemoteCallbacks,
    RemoteRedirect, Repository,
};
use protocol::CommitId;
use url::Url;

use super::mirror::bytes;
use super::{CheckoutError, FetchProblem};

/// Exchanges that were given up and still hang.
static STALLED: AtomicUsize = AtomicUsize::new(0);
const MAX_STALLED: usize = 16;

/// The commit that `reference` names on the server now.
pub(super) fn resolve(
    url: &Url,
    reference: Option<&str>,
    deadline: Duration,
) -> Result<Option<CommitId>, CheckoutError> {
    let address = url.to_string();
    let heads = within(deadline, move |cancelled| list(&address, cancelled))?;
    Ok(pick(&heads, reference))
}

/// Brings `commit` into the mirror: by the server's branches and tags, and by
/// its id if none of them reaches it.
pub(super) fn fetch(
    mirror: &Repository,
    url: &Url,
    commit: Oid,
    deadline: Duration,
) -> Result<(), CheckoutError> {
    let address = url.to_string();
    let path = mirror.path().to_owned();
    within(deadline, move |cancelled| {
        download(
            &path,
            &address,
            &["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"],
            cancelled,
        )?;
        let repo = open(&path)?;
        if repo.find_commit(commit).is_err() {
            let alone = format!("+{commit}:refs/pins/{commit}");
            if let Err(error) = download(&path, &address, &[&alone], cancelled) {
                tracing::debug!(%error, "the server does not serve the commit by its id");
            }
        }
        Ok(())
    })
}

type Heads = Vec<(String, Oid)>;

fn list(address: &str, cancelled: &Arc<AtomicBool>) -> Result<Heads, CheckoutError> {
    let run = || -> Result<Heads, git2::Error> {
        let mut remote = Remote::create_detached(address)?;
        let connection =
            remote.connect_auth(Direction::Fetch, Some(callbacks(cancelled)), Some(proxy()))?;
        let heads = connection.list()?;
        Ok(heads
            .iter()
            .map(|head| (head.name().to_owned(), head.oid()))
            .collect())
    };
    run().map_err(|e| CheckoutError::from_transport(&e))
}

/// The head that `reference` means: as git does, a tag before a branch. An
/// annotated tag is listed a second time, peeled.
fn pick(heads: &[(String, Oid)], reference: Option<&str>) -> Option<CommitId> {
    let find = |name: &str| {
        let peeled = format!("{name}^{{}}");
        let by = |wanted: &str| heads.iter().find(|(n, _)| n == wanted).map(|(_, id)| *id);
        by(&peeled).or_else(|| by(name))
    };
    let id = match reference {
        None | Some("HEAD") => find("HEAD"),
        Some(name) if name.starts_with("refs/") => find(name),
        Some(name) => {
            find(&format!("refs/tags/{name}")).or_else(|| find(&format!("refs/heads/{name}")))
        }
    };
    id.map(|id| CommitId::from_bytes(bytes(id)))
}

fn download(
    mirror: &PathBuf,
    address: &str,
    refspecs: &[&str],
    cancelled: &Arc<AtomicBool>,
) -> Result<(), CheckoutError> {
    let repo = open(mirror)?;
    let mut remote = repo
        .remote_anonymous(address)
        .map_err(|e| CheckoutError::from_transport(&e))?;
    if remote.url_bytes() != address.as_bytes() {
        return Err(CheckoutError::FetchFailed(FetchProblem::Rewritten));
    }
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(callbacks(cancelled))
        .proxy_options(proxy())
        .download_tags(AutotagOption::None)
        .prune(FetchPrune::Off)
        .update_fetchhead(false)
        .follow_redirects(RemoteRedirect::Initial);
    remote
        .fetch(refspecs, Some(&mut options), None)
        .map_err(|e| CheckoutError::from_transport(&e))
}

fn open(mirror: &PathBuf) -> Result<Repository, CheckoutError> {
    Repository::open_bare(mirror).map_err(|e| CheckoutError::from_objects(&e))
}

/// No credentials, ever; and an end as soon as the caller has given up.
fn callbacks(cancelled: &Arc<AtomicBool>) -> RemoteCallbacks<'static> {
    let mut callbacks = RemoteCallbacks::new();
    let on_progress = Arc::clone(cancelled);
    let on_text = Arc::clone(cancelled);
    callbacks
        .transfer_progress(move |_| !on_progress.load(Ordering::Relaxed))
        .sideband_progress(move |_| !on_text.load(Ordering::Relaxed))
        .credentials(|_, _, _| {
            Err(git2::Error::new(
                git2::ErrorCode::Auth,
                git2::ErrorClass::Http,
                "no credentials are sent",
            ))
        });
    callbacks
}

fn proxy() -> ProxyOptions<'static> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

fn within<T: Send + 'static>(
    deadline: Duration,
    exchange: impl FnOnce(&Arc<AtomicBool>) -> Result<T, CheckoutError> + Send + 'static,
) -> Result<T, CheckoutError> {
    if STALLED.load(Ordering::Relaxed) >= MAX_STALLED {
        return Err(CheckoutError::FetchFailed(FetchProblem::TooManyStalled));
    }
    let cancelled = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&cancelled);
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("fetch".to_owned())
        .spawn(move || {
            STALLED.fetch_add(1, Ordering::Relaxed);
            let result = exchange(&seen);
            STALLED.fetch_sub(1, Ordering::Relaxed);
            let _ = sender.send(result);
        })?;
    receiver.recv_timeout(deadline).unwrap_or_else(|_| {
        cancelled.store(true, Ordering::Relaxed);
        Err(CheckoutError::FetchFailed(FetchProblem::Deadline))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_before_a_branch_and_is_peeled() {
        let id = |digit: u8| Oid::from_bytes(&[digit; 20]).expect("an id");
        let heads = vec![
            ("HEAD".to_owned(), id(1)),
            ("refs/heads/main".to_owned(), id(1)),
            ("refs/heads/v1".to_owned(), id(2)),
            ("refs/tags/v1".to_owned(), id(3)),
            ("refs/tags/v1^{}".to_owned(), id(4)),
        ];
        let picked = |name| pick(&heads, name).map(|c| c.as_bytes()[0]);
        assert_eq!(picked(None), Some(1));
        assert_eq!(picked(Some("main")), Some(1));
        assert_eq!(picked(Some("v1")), Some(4));
        assert_eq!(picked(Some("refs/heads/v1")), Some(2));
        for name in ["", "nope", "ain", "refs/heads", "main^{}", "v1^"] {
            assert_eq!(picked(Some(name)), None, "{name}");
        }
    }
}
