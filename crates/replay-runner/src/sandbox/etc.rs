//! The files of `/etc` that every container gets, whatever its image has: without
//! network the engine leaves the hosts file empty, and no image knows our users.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SandboxUser;
use crate::readable::write_readable;

const HOSTS: &str = "127.0.0.1 localhost replay\n::1 localhost ip6-localhost\n";

/// They are on the host, to be mounted read-only.
#[derive(Debug, Clone)]
pub struct EtcFiles {
    dir: PathBuf,
}

impl EtcFiles {
    /// How many files and directories a user's are.
    pub const FILES: u64 = 4;

    /// Writes `user`'s below `dir`, which should be in memory: its path shows
    /// in a container's list of mounts.
    pub fn write(dir: &Path, user: SandboxUser) -> io::Result<Self> {
        let id = user.id();
        let dir = dir.join(id.to_string());
        fs::create_dir_all(&dir)?;
        let passwd = format!(
            "root:x:0:0:root:/root:/bin/sh\nsandbox:x:{id}:{id}:sandbox:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
        );
        let group = format!("root:x:0:\nsandbox:x:{id}:\nnogroup:x:65534:\n");
        write_readable(&dir.join("hosts"), HOSTS.as_bytes())?;
        write_readable(&dir.join("passwd"), passwd.as_bytes())?;
        write_readable(&dir.join("group"), group.as_bytes())?;
        Ok(Self { dir })
    }

    /// Each file with its place in a container.
    pub(super) fn mounts(&self) -> [(PathBuf, &'static str); 3] {
        [
            (self.dir.join("hosts"), "/etc/hosts"),
            (self.dir.join("passwd"), "/etc/passwd"),
            (self.dir.join("group"), "/etc/group"),
        ]
    }
}
