//! What no honest path in a repository looks like.

use std::fmt::{self, Write as _};

/// The longest path that Linux takes, its final NUL included.
const MAX_PATH: usize = 4096;
/// The longest name in a directory.
const MAX_COMPONENT: usize = 255;
/// Deeper than any real source tree, and shallow enough for every recursion.
const MAX_DEPTH: usize = 100;

/// A path that is refused, with the reason. Its text is escaped and cut, so
/// that it can be shown and logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path} {reason}")]
pub struct UnsafePath {
    path: String,
    reason: UnsafeReason,
}

impl UnsafePath {
    /// Why it is refused.
    pub fn reason(&self) -> UnsafeReason {
        self.reason
    }
}

/// Why a path is not safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsafeReason {
    /// No path at all.
    Empty,
    /// Begins with `/`.
    Absolute,
    /// `//`, or a `/` at the end.
    EmptyComponent,
    /// A component `.` or `..`.
    DotComponent,
    /// `.git`, or what some file system takes for it.
    GitDirectory,
    /// A NUL, another control character, or one that changes how text is shown.
    ControlCharacter,
    /// Not UTF-8.
    NotUtf8,
    /// A name over 255 bytes.
    ComponentTooLong,
    /// 4,096 bytes or more.
    PathTooLong,
    /// More than 100 directories deep.
    TooDeep,
}

impl fmt::Display for UnsafeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Absolute => "is absolute; name it from the root of the repository",
            Self::EmptyComponent => "has an empty component; write one '/' between names",
            Self::DotComponent => "has a '.' or '..' component; name the file directly",
            Self::GitDirectory => "names git's own directory, which no patch may touch",
            Self::ControlCharacter => {
                "has a control or invisible character; use printable characters"
            }
            Self::NotUtf8 => "is not UTF-8",
            Self::ComponentTooLong => "has a name over 255 bytes",
            Self::PathTooLong => "is longer than 4,095 bytes",
            Self::TooDeep => "is more than 100 directories deep",
        })
    }
}

/// The path as text if it is a plain relative path below a repository's root.
pub fn check_safe(path: &[u8]) -> Result<&str, UnsafePath> {
    let refuse = |reason| UnsafePath {
        path: escaped(path),
        reason,
    };
    if path.is_empty() {
        return Err(refuse(UnsafeReason::Empty));
    }
    if path.len() >= MAX_PATH {
        return Err(refuse(UnsafeReason::PathTooLong));
    }
    let text = std::str::from_utf8(path).map_err(|_| refuse(UnsafeReason::NotUtf8))?;
    if text.starts_with('/') {
        return Err(refuse(UnsafeReason::Absolute));
    }
    if text.chars().any(misleads) {
        // `.g\u{200c}it` is git's directory on some file systems; either reason
        // refuses it.
        return Err(refuse(UnsafeReason::ControlCharacter));
    }
    for (depth, component) in text.split('/').enumerate() {
        if let Some(reason) = component_problem(component) {
            return Err(refuse(reason));
        }
        if depth >= MAX_DEPTH {
            return Err(refuse(UnsafeReason::TooDeep));
        }
    }
    Ok(text)
}

fn component_problem(component: &str) -> Option<UnsafeReason> {
    if component.is_empty() {
        return Some(UnsafeReason::EmptyComponent);
    }
    if component.len() > MAX_COMPONENT {
        return Some(UnsafeReason::ComponentTooLong);
    }
    if component == "." {
        return Some(UnsafeReason::DotComponent);
    }
    // A backslash is part of a name here and a separator elsewhere.
    for part in component.split('\\') {
        if part == ".." {
            return Some(UnsafeReason::DotComponent);
        }
        if is_git_directory(part) {
            return Some(UnsafeReason::GitDirectory);
        }
    }
    None
}

/// Whether some file system opens `.git` when asked for `name`: by case, by
/// ignored code points (HFS+), by stream, trailing dots and blanks, or by its
/// short name (NTFS).
fn is_git_directory(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| !hfs_ignores(*c))
        .collect::<String>()
        .to_ascii_lowercase();
    let stem = plain.split(':').next().unwrap_or_default();
    let stem = stem.trim_end_matches(['.', ' ']);
    let short = stem
        .strip_prefix("git~")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    stem == ".git" || short
}

const fn hfs_ignores(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Characters with which a name looks like another one, or like none. Joiners
/// (U+200C, U+200D) stay allowed: several scripts cannot be written without.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Compiled or generated files, which a patch may not bring: `*.pyc`, `*.pyo`
/// and everything in a `__pycache__` directory.
pub fn is_generated(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let by_suffix = name
        .rsplit_once('.')
        .is_some_and(|(_, end)| end.eq_ignore_ascii_case("pyc") || end.eq_ignore_ascii_case("pyo"));
    by_suffix || path.split('/').any(|part| part == "__pycache__")
}

/// `path` in quotes, fit for a message or a log: what does not print is
/// escaped, and a long path is cut.
pub fn escaped(path: &[u8]) -> String {
    const SHOWN: usize = 160;
    let mut out = String::from("\"");
    for chunk in path[..path.len().min(SHOWN)].utf8_chunks() {
        for c in chunk.valid().chars() {
            if misleads(c) || hfs_ignores(c) || matches!(c, '"' | '\\') {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        // Writing to a string cannot fail.
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    if path.len() > SHOWN {
        let _ = write!(out, "… ({} bytes)", path.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_unsafe_path_is_refused_with_its_reason() {
        let long_name = format!("src/{}", "x".repeat(300));
        let long_path = "abcdefg/".repeat(625) + "x";
        let deep = "d/".repeat(400) + "x";
        let cases: &[(&[u8], UnsafeReason)] = &[
            (b"", UnsafeReason::Empty),
            (b"/etc/x", UnsafeReason::Absolute),
            (b"/", UnsafeReason::Absolute),
            (b"../x", UnsafeReason::DotComponent),
            (b"src/../../x", UnsafeReason::DotComponent),
            (b"src/..", UnsafeReason::DotComponent),
            (b"src/./b", UnsafeReason::DotComponent),
            (b".", UnsafeReason::DotComponent),
            (b"..\\x", UnsafeReason::DotComponent),
            (b"src//b", UnsafeReason::EmptyComponent),
            (b"src/b/", UnsafeReason::EmptyComponent),
            (b".git", UnsafeReason::GitDirectory),
            (b".git/hooks/post-checkout", UnsafeReason::GitDirectory),
            (b"src/.git/config", UnsafeReason::GitDirectory),
            (b".GIT/config", UnsafeReason::GitDirectory),
            (b".gIt", UnsafeReason::GitDirectory),
            (b"git~1/config", UnsafeReason::GitDirectory),
            (b"GIT~12/config", UnsafeReason::GitDirectory),
            (b".git./config", UnsafeReason::GitDirectory),
            (b".git /config", UnsafeReason::GitDirectory),
            (b".git . ./config", UnsafeReason::GitDirectory),
            (
                b".git::$INDEX_ALLOCATION/config",
                UnsafeReason::GitDirectory,
            ),
            (b".git:x/config", UnsafeReason::GitDirectory),
            (b".git\\config", UnsafeReason::GitDirectory),
            (b"src\\.git\\config", UnsafeReason::GitDirectory),
            (".g\u{200c}it/config".as_bytes(), UnsafeReason::GitDirectory),
            (".gi\u{200d}t".as_bytes(), UnsafeReason::GitDirectory),
            (".g\u{200f}it".as_bytes(), UnsafeReason::ControlCharacter),
            ("a\u{202e}yp.b".as_bytes(), UnsafeReason::ControlCharacter),
            ("a\u{feff}".as_bytes(), UnsafeReason::ControlCharacter),
            ("a\u{200b}".as_bytes(), UnsafeReason::ControlCharacter),
            ("a\u{85}".as_bytes(), UnsafeReason::ControlCharacter),
            (b"a\0b", UnsafeReason::ControlCharacter),
            (b"a\nb", UnsafeReason::ControlCharacter),
            (b"a\tb", UnsafeReason::ControlCharacter),
            (b"a\rb", UnsafeReason::ControlCharacter),
            (b"a\r", UnsafeReason::ControlCharacter),
            (b"a\x1b[2J", UnsafeReason::ControlCharacter),
            (b"a\x7f", UnsafeReason::ControlCharacter),
            (b"a\xff", UnsafeReason::NotUtf8),
            (b"\xed\xa0\x80", UnsafeReason::NotUtf8),
            (long_name.as_bytes(), UnsafeReason::ComponentTooLong),
            (long_path.as_bytes(), UnsafeReason::PathTooLong),
            (deep.as_bytes(), UnsafeReason::TooDeep),
        ];
        for (path, reason) in cases {
            let got = check_safe(path).map_err(|e| e.reason());
            assert_eq!(got, Err(*reason), "{}", escaped(path));
        }
    }

    #[test]
    fn odd_but_legal_names_are_kept() {
        for path in [
            "a",
            "src/a.py",
            "src/a b.py",
            "-x",
            "--help",
            ".hidden",
            "..data",
            "a..b",
            "...",
            "a\"b",
            "a'b",
            "a\\b",
            "größe.py",
            "数据/模型.py",
            "data[1].py",
            "*",
            ".gitignore",
            ".gitattributes",
            ".github/x",
            "git",
            "git~x",
            "a.git/x",
            "~",
            "a:b",
            "x ",
            "x.",
            "می\u{200c}خواهم.txt",
            "👩\u{200d}💻.py",
            "#a#",
            "%00",
            "$HOME",
        ] {
            assert_eq!(check_safe(path.as_bytes()), Ok(path));
        }
        assert!(check_safe("x".repeat(255).as_bytes()).is_ok());
    }

    #[test]
    fn messages_never_carry_a_raw_control_character() {
        for path in [
            &b"a\x1b[2J\n\r\0"[..],
            "a\u{202e}b".as_bytes(),
            b"\xff\xfe",
            &[b'/'; 9999],
        ] {
            let message = check_safe(path).expect_err("unsafe").to_string();
            assert!(!message.chars().any(misleads), "{message:?}");
            assert!(message.len() < 1000);
        }
    }

    #[test]
    fn bytecode_is_generated_and_source_is_not() {
        for path in [
            "a.pyc",
            "src/a.PYO",
            "__pycache__/x",
            "src/__pycache__/a.cpython-312.py",
        ] {
            assert!(is_generated(path), "{path}");
        }
        for path in [
            "a.py",
            "pyc",
            "src/__pycache__.py",
            "my__pycache__/x",
            "a.pyc.txt",
        ] {
            assert!(!is_generated(path), "{path}");
        }
    }
}
