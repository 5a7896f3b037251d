//! Where a coordinator may send this host: https, and files only as far as the
//! operator says.

use std::path::Path;

use protocol::Task;

use crate::checkout::Source;
use crate::daemon::config::Access;
use crate::failure::Failure;

use super::protocol;

/// Where the repository is.
pub(super) fn repository(task: &Task, access: &Access) -> Result<Source, Failure> {
    let Some(text) = &task.repository else {
        return Err(protocol("the job names no repository"));
    };
    if access.local_repositories {
        return Ok(Source::parse(text, Path::new("/"))?);
    }
    Ok(Source::remote(text)?)
}

/// The place that `uri` names, as the artifact cache reads it: a `file://` address
/// below the operator's directory as a path relative to that. Everything else
/// stays as it is, and the cache refuses what it does not allow.
pub(super) fn local(uri: &str, access: &Access) -> String {
    let relative = access.local_artifacts.as_ref().and_then(|directory| {
        let path = Path::new(uri.strip_prefix("file://")?);
        path.strip_prefix(directory).ok()?.to_str()
    });
    relative.unwrap_or(uri).to_owned()
}
