//! The only git operation of the coordinator: which commit a task's `base_ref`
//! is. It lists the remote's references; it fetches nothing.

use std::sync::Arc;
use std::time::Duration;

use git2::{Direction, Remote};
use protocol::CommitId;
use tokio::sync::Semaphore;

use crate::error::{ApiError, ApiResult};

/// How long a remote may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Resolves references, a few at a time.
#[derive(Debug, Clone)]
pub struct References {
    slots: Arc<Semaphore>,
}

impl Default for References {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(4)),
        }
    }
}

impl References {
    /// The commit that `reference` names in `repository` now.
    pub async fn resolve(&self, repository: &str, reference: Option<&str>) -> ApiResult<CommitId> {
        // A whole commit id cannot move, and whether it exists shows at replay.
        if let Some(commit) = reference.and_then(|text| text.parse().ok()) {
            return Ok(commit);
        }
        let busy =
            || ApiError::unavailable("repository_unreachable", "the repository did not answer");
        let slot = self
            .slots
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| busy())?;
        let (url, wanted) = (repository.to_owned(), reference.map(str::to_owned));
        let listing = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            list(&url, wanted.as_deref())
        });
        match tokio::time::timeout(PATIENCE, listing).await {
            Ok(Ok(Ok(found))) => found.ok_or_else(|| {
                let shown = reference.unwrap_or("HEAD").escape_debug().to_string();
                ApiError::field("base_ref", format!("the repository has no {shown:?}"))
            }),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "cannot list a repository");
                let why = reason(&error);
                Err(ApiError::field(
                    "repository",
                    format!("cannot be read: {why}"),
                ))
            }
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

/// Why a remote could not be listed, in words of our own: libgit2's may hold a path
/// of this host.
fn reason(error: &git2::Error) -> String {
    use git2::{ErrorClass, ErrorCode};
    let status: String = error
        .message()
        .rsplit_once("http status code: ")
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    let words = match (error.code(), error.class()) {
        _ if !status.is_empty() => {
            return format!("its server answers with HTTP status {status}");
        }
        (ErrorCode::Auth, _) => "it asks for a password, and a task's repository is public",
        (ErrorCode::Certificate, _) | (_, ErrorClass::Ssl) => {
            "its server's TLS certificate is not valid, or TLS fails"
        }
        (ErrorCode::NotFound, _) => "there is no repository",
        (_, ErrorClass::Net | ErrorClass::Os) => "its host does not answer",
        (_, ErrorClass::Http) => "its server does not speak git over HTTP",
        _ => "what is there is no git repository",
    };
    words.to_owned()
}

fn list(url: &str, wanted: Option<&str>) -> Result<Option<CommitId>, git2::Error> {
    let mut remote = Remote::create_detached(url)?;
    let mut callbacks = git2::RemoteCallbacks::new();
    // Public repositories only: nothing on this host may answer for a password.
    callbacks.credentials(|_, _, _| Err(git2::Error::from_str("credentials are not given")));
    let mut proxy = git2::ProxyOptions::new();
    proxy.auto();
    let connection = remote.connect_auth(Direction::Fetch, Some(callbacks), Some(proxy))?;
    let heads = connection.list()?;
    let find = |name: &str| {
        let head = heads.iter().find(|head| head.name() == name)?;
        head.oid()
            .as_bytes()
            .try_into()
            .ok()
            .map(CommitId::from_bytes)
    };
    let Some(wanted) = wanted else {
        return Ok(find("HEAD"));
    };
    // An annotated tag is an object of its own; `^{}` is the commit behind it.
    let names = [
        format!("refs/heads/{wanted}"),
        format!("refs/tags/{wanted}^{{}}"),
        format!("refs/tags/{wanted}"),
        wanted.to_owned(),
    ];
    Ok(names.iter().find_map(|name| find(name)))
}

#[cfg(test)]
mod tests {
    use git2::{Error, ErrorClass, ErrorCode};

    use super::*;

    #[test]
    fn a_reason_is_told_without_a_path_of_this_host() {
        for (code, class, message, words) in [
            (
                ErrorCode::Auth,
                ErrorClass::Http,
                "/root/.netrc",
                "asks for a password",
            ),
            (
                ErrorCode::GenericError,
                ErrorClass::Http,
                "unexpected http status code: 404",
                "HTTP status 404",
            ),
            (
                ErrorCode::Certificate,
                ErrorClass::Ssl,
                "/etc/ssl",
                "TLS certificate",
            ),
            (
                ErrorCode::GenericError,
                ErrorClass::Net,
                "failed to resolve",
                "host does not answer",
            ),
            (
                ErrorCode::NotFound,
                ErrorClass::Repository,
                "/srv/x",
                "no repository",
            ),
            (
                ErrorCode::GenericError,
                ErrorClass::Odb,
                "/srv/x",
                "no git repository",
            ),
        ] {
            let told = reason(&Error::new(code, class, message));
            assert!(told.contains(words) && !told.contains('/'), "{told}");
        }
    }

    #[tokio::test]
    async fn a_directory_that_is_no_repository_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let error = References::default()
            .resolve(&path, None)
            .await
            .unwrap_err();
        let ApiError::Fields(fields) = error else {
            panic!("{error:?}");
        };
        assert_eq!(fields[0].field, "repository");
        assert_eq!(
            fields[0].problem,
            "cannot be read: what is there is no git repository"
        );
    }
}
