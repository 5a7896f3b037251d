//! Room on disk, and whether a work tree can be mounted.

use nix::sys::statvfs::statvfs;
use protocol::Limits;

use super::Finding;
use crate::sandbox::SandboxUser;
use crate::state::State;
use crate::workspace::Workspace;

pub(super) fn examine(state: &State) -> Vec<Finding> {
    vec![disk(state), mounts(state)]
}

fn disk(state: &State) -> Finding {
    let root = state.root().display();
    let Ok(stat) = statvfs(state.root()) else {
        return Finding::failure(
            "disk",
            format!("{root} cannot be examined"),
            "name another directory with --state",
        );
    };
    let free_gib = (stat.blocks_available() * stat.fragment_size()) >> 30;
    let found = format!("{free_gib} GiB free at {root}");
    match free_gib {
        0 => Finding::failure(
            "disk",
            found,
            "free some space, or name another directory with --state",
        ),
        1..10 => Finding::warning(
            "disk",
            found,
            "10 GiB leave room for mirrors, trees and artifacts",
        ),
        _ => Finding::ok("disk", found),
    }
}

fn mounts(state: &State) -> Finding {
    let tried = tempfile::tempdir_in(state.root())
        .map_err(|error| error.to_string())
        .and_then(|dir| {
            let lower = dir.path().join("lower");
            std::fs::create_dir(&lower).map_err(|error| error.to_string())?;
            Workspace::mount(
                dir.path(),
                &[&lower],
                &Limits::default(),
                SandboxUser::default(),
            )
            .map(drop)
            .map_err(|error| error.to_string())
        });
    match tried {
        Ok(()) => Finding::ok("work tree", "size-limited overlays can be mounted"),
        Err(error) => Finding::failure(
            "work tree",
            error,
            "run as root on the engine's host, on a kernel with overlayfs",
        ),
    }
}
