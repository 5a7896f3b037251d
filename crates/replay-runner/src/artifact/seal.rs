//! What was known about a kept file when it was last hashed. While the file is
//! still that very file, and the seal is young, its content is trusted.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::num::ParseIntError;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The state of a file at the time of its verification. Any write, replacement
/// or change of mode moves the change time, which no program can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    verified_at_unix: u64,
    device: u64,
    inode: u64,
    size_bytes: u64,
    changed_seconds: i64,
    changed_nanoseconds: i64,
}

impl Seal {
    pub(super) fn now(file: &Metadata) -> Self {
        Self {
            verified_at_unix: unix_seconds(SystemTime::now()),
            device: file.dev(),
            inode: file.ino(),
            size_bytes: file.len(),
            changed_seconds: file.ctime(),
            changed_nanoseconds: file.ctime_nsec(),
        }
    }

    /// Whether `file` is what was verified, at most `max_age` ago. A seal from
    /// the future (the clock was set back) is worth nothing.
    pub(super) fn holds(self, file: &Metadata, max_age: Duration) -> bool {
        let now = Self::now(file);
        let age = now.verified_at_unix.checked_sub(self.verified_at_unix);
        let same = Self {
            verified_at_unix: self.verified_at_unix,
            ..now
        };
        same == self && age.is_some_and(|seconds| seconds <= max_age.as_secs())
    }

    /// Whether `file` is what was verified, however long ago.
    pub(super) fn is_of(self, file: &Metadata) -> bool {
        self.holds(file, Duration::MAX)
    }

    /// The same seal for `file`, which has got another name since.
    pub(super) fn renewed(self, file: &Metadata) -> Self {
        Self {
            verified_at_unix: self.verified_at_unix,
            ..Self::now(file)
        }
    }

    /// Reads the seal at `path`; anything unreadable is no seal.
    pub(super) fn read(path: &Path) -> Option<Self> {
        fs::read_to_string(path).ok()?.parse().ok()
    }

    /// Whether the file changed so shortly before it was sealed that a further
    /// change could bear the same time: file systems count in steps.
    pub(super) fn is_racy(self) -> bool {
        let sealed = i64::try_from(self.verified_at_unix).unwrap_or(i64::MAX);
        sealed - self.changed_seconds < 2
    }

    /// Writes the seal beside the file that it is of.
    pub(super) fn write(self, path: &Path) -> io::Result<()> {
        write_whole(path, &self.to_string())
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "1 {} {} {} {} {} {}",
            self.verified_at_unix,
            self.device,
            self.inode,
            self.size_bytes,
            self.changed_seconds,
            self.changed_nanoseconds
        )
    }
}

/// A text that is no seal; then nothing is known of the file.
#[derive(Debug)]
pub(super) struct NoSeal;

impl From<ParseIntError> for NoSeal {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl FromStr for Seal {
    type Err = NoSeal;

    fn from_str(text: &str) -> Result<Self, NoSeal> {
        let fields: Vec<&str> = text.split(' ').collect();
        let ["1", verified_at, device, inode, size, seconds, nanoseconds] = fields[..] else {
            return Err(NoSeal);
        };
        Ok(Self {
            verified_at_unix: verified_at.parse()?,
            device: device.parse()?,
            inode: inode.parse()?,
            size_bytes: size.parse()?,
            changed_seconds: seconds.parse()?,
            changed_nanoseconds: nanoseconds.parse()?,
        })
    }
}

/// Writes a small file whole or not at all. It need not survive a power cut:
/// without it, files are hashed again.
pub(super) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(path);
    let file = tempfile::NamedTempFile::new_in(directory)?;
    fs::write(file.path(), text)?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// Notes the use of the file that the seal at `path` belongs to. Only eviction
/// looks at it, so that a failure does no harm.
pub(super) fn touch(path: &Path) {
    let _ = File::options()
        .write(true)
        .open(path)
        .and_then(|seal| seal.set_modified(SystemTime::now()));
}

/// When the file that the seal at `path` belongs to was last used.
pub(super) fn last_used(path: &Path) -> SystemTime {
    fs::symlink_metadata(path)
        .and_then(|seal| seal.modified())
        .unwrap_or(UNIX_EPOCH)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_for_the_same_young_file_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "x").unwrap();
        let file = fs::metadata(&path).unwrap();
        let seal = Seal::now(&file);
        let hour = Duration::from_hours(1);
        assert!(seal.holds(&file, hour));
        for other in [
            Seal {
                verified_at_unix: seal.verified_at_unix - 3601,
                ..seal
            },
            Seal {
                verified_at_unix: seal.verified_at_unix + 60,
                ..seal
            },
            Seal {
                inode: seal.inode + 1,
                ..seal
            },
            Seal {
                size_bytes: 2,
                ..seal
            },
            Seal {
                changed_seconds: seal.changed_seconds - 1,
                ..seal
            },
            Seal {
                changed_nanoseconds: seal.changed_nanoseconds ^ 1,
                ..seal
            },
        ] {
            assert!(!other.holds(&file, hour), "{other:?}");
        }
    }

    #[test]
    fn what_is_not_a_whole_seal_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal");
        let seal = Seal::now(&fs::metadata(directory.path()).unwrap());
        seal.write(&path).unwrap();
        assert_eq!(Seal::read(&path), Some(seal));
        for text in [
            "",
            "1 ",
            "1 2 3 4 5 6",
            "2 1 2 3 4 5 6",
            "1 1 2 3 4 5 6 7",
            "1 a 2 3 4 5 6",
            "1 1 2 3 4 5 6\n",
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(Seal::read(&path), None, "{text:?}");
        }
    }
}
