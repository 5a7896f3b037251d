//! Which mounts this process sees below a directory.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// The mount points at and below `dir`, a path without links, in the order they were
/// mounted.
///
/// # Errors
/// The kernel's list cannot be read: then nothing is known, which is not the same as
/// no mounts.
pub(super) fn below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    // Bytes: one mount of somebody else's with a name that is no text hides no other.
    let list = fs::read("/proc/self/mountinfo")?;
    let points = list.split(|byte| *byte == b'\n').filter_map(mount_point);
    Ok(points.filter(|point| point.starts_with(dir)).collect())
}

/// The fifth field of a line, in which the kernel writes space, tab, line feed and
/// backslash as `\` and three octal digits (proc(5)).
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut name = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        if let (
            b'\\',
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ],
        ) = (byte, after)
        {
            name.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
            rest = after;
        } else {
            name.push(*byte);
            rest = after;
        }
    }
    Some(PathBuf::from(OsString::from_vec(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &[u8]) -> PathBuf {
        let line = [
            b"36 35 98:0 / ",
            name,
            b" rw,noatime master:1 - ext4 /dev/x rw",
        ]
        .concat();
        mount_point(&line).unwrap()
    }

    #[test]
    fn a_mount_point_is_read_as_it_is_called_whatever_the_kernel_escapes() {
        for (written, called) in [
            (r"/var/lib/replay-runner", &b"/var/lib/replay-runner"[..]),
            (r"/my\040state/runs", b"/my state/runs"),
            (r"/a\011b\012c\134d", b"/a\tb\nc\\d"),
            (r"/a\04", b"/a\\04"),
            (r"/a\888", b"/a\\888"),
        ] {
            let called = PathBuf::from(OsString::from_vec(called.to_vec()));
            assert_eq!(point(written.as_bytes()), called, "{written}");
        }
        assert_eq!(point(b"/\xff").as_os_str().len(), 2, "no text");
        assert_eq!(mount_point(b"36 35 98:0 /"), None);
    }

    #[test]
    fn the_root_is_a_mount_below_itself_and_nothing_is_below_an_absent_directory() {
        assert!(below(Path::new("/")).unwrap().contains(&"/".into()));
        assert!(below(Path::new("/no/such/directory")).unwrap().is_empty());
    }
}
