//! What a stage may use at most. Every field has a default that is safe on a
//! small machine; a task may ask for more, and a host that has less says so.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes. Written as an integer, or as text with a binary unit:
/// `"512m"`, `"16g"`, `"2GiB"`, `"64 KiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

/// The largest integer that every JSON reader keeps exact (RFC 8785 §3.2.2.3).
const MAX_EXACT: u64 = (1 << 53) - 1;

impl Bytes {
    /// `count` bytes.
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// `count` × 1,024 bytes.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// `count` × 1,048,576 bytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// `count` × 1,073,741,824 bytes.
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let digits_end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(digits_end);
        let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return None,
        };
        let count: u64 = digits.parse().ok()?;
        count
            .checked_mul(1 << shift)
            .filter(|bytes| *bytes <= MAX_EXACT)
            .map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 >= 1 << shift && self.0.trailing_zeros() >= shift {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or text such as \"512m\" or \"2GiB\"")
            }
            fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Bytes, E> {
                (count <= MAX_EXACT)
                    .then_some(Bytes(count))
                    .ok_or_else(|| E::custom(format!("{count} bytes is beyond 2^53")))
            }
            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Bytes, E> {
                match u64::try_from(count) {
                    Ok(count) => self.visit_u64(count),
                    Err(_) => Err(E::custom(format!("{count} is not a number of bytes"))),
                }
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                Bytes::parse(text).ok_or_else(|| {
                    E::custom(format!(
                        "{text:?} is not a number of bytes; write an integer, or \"512m\" or \"2GiB\""
                    ))
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The limits of one stage's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory, files in `/tmp` and new files in `/workspace` included; no swap.
    pub memory: Bytes,
    /// Whole processor cores, reserved for this replay while it runs.
    pub cpus: u32,
    /// Processes and threads.
    pub pids: u32,
    /// What the stages together may write to `/workspace`.
    pub workspace: Bytes,
    /// How many files and directories they may make there.
    pub workspace_files: u64,
    /// What a stage may write to `/tmp`.
    pub tmp: Bytes,
    /// Shared memory (`/dev/shm`).
    pub shared_memory: Bytes,
    /// The largest single file.
    pub file_size: Bytes,
    /// Open files of one process.
    pub open_files: u64,
    /// How much of a stage's output is kept, half from its start and half from its end.
    pub output: Bytes,
    /// The largest result file.
    pub result: Bytes,
    /// GPUs given to the replay; none by default.
    pub gpus: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Bytes::gib(2),
            cpus: 1,
            pids: 1024,
            workspace: Bytes::gib(1),
            workspace_files: 200_000,
            tmp: Bytes::mib(256),
            shared_memory: Bytes::mib(64),
            file_size: Bytes::gib(1),
            open_files: 1024,
            output: Bytes::kib(64),
            result: Bytes::mib(1),
            gpus: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_operators_write_them() {
        for (text, bytes) in [
            ("16g", 16 << 30),
            ("512m", 512 << 20),
            ("2GiB", 2 << 30),
            ("64 KiB", 65536),
            ("7", 7),
            ("7b", 7),
        ] {
            assert_eq!(Bytes::parse(text), Some(Bytes(bytes)), "{text}");
        }
        for text in ["", "g", "-1g", "1.5g", "12abc", "1 0", "99999999t", "0x10"] {
            assert_eq!(Bytes::parse(text), None, "{text}");
        }
    }
}
