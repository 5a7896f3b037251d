//! Where repositories, private inputs and artifacts may be: at https addresses,
//! since whoever replays fetches them. Files of this host are for tests and
//! demos, where the validator runs on it, too.

use url::Url;

/// Which places may be named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Places {
    /// https addresses and nothing else.
    #[default]
    RemoteOnly,
    /// `file:///…`, and absolute paths of repositories, too.
    LocalToo,
}

impl Places {
    /// What is wrong with a repository's address.
    pub fn repository_problem(self, address: &str) -> Option<&'static str> {
        if self.is_local(address) || (self == Self::LocalToo && address.starts_with('/')) {
            return None;
        }
        // Nobody sends it, so one repository would have many names.
        if address.contains('#') {
            return Some("has a #fragment, which is no part of a clone URL");
        }
        remote_problem(address, "is not an https clone URL")
    }

    /// What is wrong with the address of a private input or an artifact.
    pub fn file_problem(self, address: &str) -> Option<&'static str> {
        if self.is_local(address) {
            return None;
        }
        remote_problem(address, "is not an https address")
    }

    fn is_local(self, address: &str) -> bool {
        self == Self::LocalToo && address.starts_with("file:///")
    }
}

fn remote_problem(address: &str, otherwise: &'static str) -> Option<&'static str> {
    match Url::parse(address) {
        Ok(url) if url.scheme() != "https" || !url.has_host() => Some(otherwise),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("holds a user name or password, and is shown to everybody")
        }
        Ok(_) => None,
        Err(_) => Some(otherwise),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_without_secrets_is_remote() {
        for good in ["https://example.org/x.git", "HTTPS://example.org/"] {
            assert_eq!(Places::RemoteOnly.repository_problem(good), None, "{good}");
            assert_eq!(Places::RemoteOnly.file_problem(good), None, "{good}");
        }
        for bad in [
            "http://example.org/x",
            "git@example.org:x",
            "ssh://example.org/x",
            "ext::sh -c true",
            "https://user@example.org/x",
            "https://:secret@example.org/x",
            "https://",
            "/etc/passwd",
            "file:///etc/passwd",
            "",
        ] {
            assert!(
                Places::RemoteOnly.repository_problem(bad).is_some(),
                "{bad}"
            );
            assert!(Places::RemoteOnly.file_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_repository_has_no_fragment_and_an_artifact_may() {
        let address = "https://example.org/x.git#main";
        let problem = Places::RemoteOnly.repository_problem(address);
        assert!(problem.is_some_and(|problem| problem.contains("#fragment")));
        assert_eq!(Places::RemoteOnly.file_problem(address), None);
        assert_eq!(Places::LocalToo.repository_problem("/srv/a#b"), None);
    }

    #[test]
    fn local_files_are_absolute() {
        let places = Places::LocalToo;
        assert_eq!(places.repository_problem("/srv/task"), None);
        assert_eq!(places.repository_problem("file:///srv/task"), None);
        assert_eq!(places.file_problem("file:///srv/heldout"), None);
        for bad in ["srv/task", "file://srv/task", "files", "../x"] {
            assert!(places.repository_problem(bad).is_some(), "{bad}");
            assert!(places.file_problem(bad).is_some(), "{bad}");
        }
    }
}
