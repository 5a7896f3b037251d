//! The process itself keeps no secret where others find it.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// Forbids core dumps of this process, and reading its memory, to everybody but
/// root: the key is in it.
///
/// # Errors
/// The kernel's, which no kernel gives in practice.
pub fn seal_process() -> std::io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_sealed_process_leaves_no_core_dump() {
        super::seal_process().unwrap();
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core"))
            .unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
}
