//! The user that submitted code runs as: another one on other cores. The kernel
//! counts some things by user and not by container (descriptors in flight between
//! processes, inotify instances, locked memory): replays that shared a user could
//! starve one another.

use std::fmt;

/// The first of them; no host has users of such numbers by default.
const FIRST: u32 = 10_001;

/// A user of the sandbox, with a group of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxUser(u32);

impl SandboxUser {
    /// The user of whoever has reserved this core, and none below it.
    pub fn of_core(core: usize) -> Self {
        Self(u32::try_from(core).map_or(FIRST, |core| FIRST.saturating_add(core)))
    }

    /// Its number, which is its group's as well.
    pub fn id(self) -> u32 {
        self.0
    }
}

impl Default for SandboxUser {
    fn default() -> Self {
        Self(FIRST)
    }
}

/// As the engine writes it: `10001:10001`.
impl fmt::Display for SandboxUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{0}:{0}", self.0)
    }
}
