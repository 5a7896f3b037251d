//! What a check changes around a task, one thing at a time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// Whether honest hosts can differ in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Every replay of this engine has the same; other runners, and a miner's own
    /// machine, may not.
    HeldByEngine,
    /// It differs from host to host, or from run to run.
    DiffersBetweenHosts,
}

macro_rules! variations {
    ($($variant:ident = $name:literal, $reach:ident, $changes:literal;)+) => {
        /// One thing that can be changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Variation {
            $(#[doc = $changes] $variant,)+
        }

        impl Variation {
            /// All of them, in the order in which they are tried.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name on the command line and in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What is changed, and to what.
            pub const fn changes(self) -> &'static str {
                match self { $(Self::$variant => $changes,)+ }
            }

            /// Whether honest hosts can differ in it.
            pub const fn reach(self) -> Reach {
                match self { $(Self::$variant => Reach::$reach,)+ }
            }
        }
    };
}

variations! {
    Hostname = "hostname", HeldByEngine, "another host name";
    User = "user", DiffersBetweenHosts, "another user id";
    TimeZone = "time-zone", HeldByEngine, "a time zone 13 h 45 min east";
    Locale = "locale", HeldByEngine, "another locale (the C locale where the image has no German)";
    Umask = "umask", HeldByEngine, "umask 077";
    Environment = "environment", HeldByEngine, "the environment in reverse order, and 4 KiB longer";
    Path = "path", HeldByEngine, "the work tree at a deeper path";
    DirectoryOrder = "directory-order", DiffersBetweenHosts, "directories listed in ascending and in descending order";
    Clock = "clock", DiffersBetweenHosts, "a date 400 days later";
    CpuCount = "cpu-count", DiffersBetweenHosts, "another number of cores, and a host that seems to have more";
    CpuPinning = "cpu-pinning", DiffersBetweenHosts, "other cores";
    Memory = "memory", HeldByEngine, "half as much memory again";
    Addresses = "addresses", DiffersBetweenHosts, "no randomisation of addresses";
    HashSeed = "hash-seed", HeldByEngine, "other seeds for the hashes of Python and Perl";
    Threads = "threads", HeldByEngine, "another number of threads for the numeric libraries";
    Entropy = "entropy", DiffersBetweenHosts, "the same bytes from the kernel's random devices each time";
    FreshMemory = "fresh-memory", DiffersBetweenHosts, "memory from malloc filled with a pattern";
    Speed = "speed", DiffersBetweenHosts, "a quarter of the processor's speed";
    Neighbour = "neighbour", DiffersBetweenHosts, "the same replay once more at the same time, on the same cores";
}

/// A name that no variation has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no variation; known: {}", names())]
pub struct UnknownVariation {
    name: String,
}

fn names() -> String {
    let names: Vec<&str> = Variation::ALL.iter().map(|one| one.name()).collect();
    names.join(", ")
}

impl FromStr for Variation {
    type Err = UnknownVariation;

    fn from_str(text: &str) -> Result<Self, UnknownVariation> {
        let found = Self::ALL.iter().find(|one| one.name() == text);
        found.copied().ok_or_else(|| UnknownVariation {
            name: text.to_owned(),
        })
    }
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Variation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Reads `all`, `none`, or names with commas between them; a name with a minus
/// sign before it is left out of what stands before.
pub fn parse_list(text: &str) -> Result<Vec<Variation>, UnknownVariation> {
    let mut chosen: Vec<Variation> = Vec::new();
    for (index, word) in text.split(',').map(str::trim).enumerate() {
        match word {
            "" | "none" => {}
            "all" => chosen = Variation::ALL.to_vec(),
            word => match word.strip_prefix('-') {
                Some(left_out) => {
                    if index == 0 {
                        chosen = Variation::ALL.to_vec();
                    }
                    let left_out: Variation = left_out.parse()?;
                    chosen.retain(|one| *one != left_out);
                }
                None => chosen.push(word.parse()?),
            },
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_variations_or_leaves_them_out() {
        assert_eq!(parse_list("all").unwrap(), Variation::ALL);
        assert_eq!(parse_list("none").unwrap(), []);
        let two = [Variation::Hostname, Variation::Locale];
        assert_eq!(parse_list("locale, hostname").unwrap(), two);
        for text in ["all,-path", "-path"] {
            let rest = parse_list(text).unwrap();
            assert_eq!(rest.len(), Variation::ALL.len() - 1);
            assert!(!rest.contains(&Variation::Path));
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_the_known_ones() {
        let error = parse_list("hostnam").unwrap_err().to_string();
        assert!(
            error.contains("\"hostnam\"") && error.contains("directory-order"),
            "{error}"
        );
    }
}
