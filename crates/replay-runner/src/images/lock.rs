//! The recorded packages of an image: one `name=version` a line, sorted.

use std::collections::BTreeMap;
use std::fmt;

/// Why a text is not a package lock, or a package database not one we can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// A line is not `name=version`.
    #[error("line {line} is not name=version: {text:?}")]
    NotAPackage {
        /// Counted from one.
        line: usize,
        /// The line.
        text: String,
    },

    /// A line repeats a package or comes before its predecessor in the alphabet.
    #[error("line {line} is out of order or repeated: {text:?}")]
    OutOfOrder {
        /// Counted from one.
        line: usize,
        /// The line.
        text: String,
    },

    /// The package database has an entry without a name or version.
    #[error("the package database has an entry without {field}: {entry:?}")]
    IncompleteEntry {
        /// The field.
        field: &'static str,
        /// The beginning of the entry.
        entry: String,
    },
}

/// Packages and their exact versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageLock(BTreeMap<String, String>);

impl PackageLock {
    /// Reads a lock. Empty lines and lines that begin with `#` say nothing.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let mut packages = BTreeMap::new();
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, version) = split_package(text).ok_or_else(|| LockError::NotAPackage {
                line,
                text: text.to_owned(),
            })?;
            if packages
                .last_key_value()
                .is_some_and(|(last, _): (&String, _)| last.as_str() >= name)
            {
                return Err(LockError::OutOfOrder {
                    line,
                    text: text.to_owned(),
                });
            }
            packages.insert(name.to_owned(), version.to_owned());
        }
        Ok(Self(packages))
    }

    /// Reads what is installed from dpkg's database (`var/lib/dpkg/status`),
    /// except the packages that are only pretended to be.
    pub fn from_dpkg_status(status: &str, stand_ins: &[String]) -> Result<Self, LockError> {
        let mut packages = BTreeMap::new();
        for entry in status
            .split("\n\n")
            .filter(|entry| !entry.trim().is_empty())
        {
            if field(entry, "Status") != Some("install ok installed") {
                continue;
            }
            let required = |name| {
                field(entry, name).ok_or_else(|| LockError::IncompleteEntry {
                    field: name,
                    entry: entry.chars().take(80).collect(),
                })
            };
            let name = required("Package")?;
            if !stand_ins.iter().any(|stand_in| stand_in == name) {
                packages.insert(name.to_owned(), required("Version")?.to_owned());
            }
        }
        Ok(Self(packages))
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no package at all: nothing has been recorded yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How `built` differs from these recorded packages, by name.
    pub fn changes_to(&self, built: &Self) -> Vec<PackageChange> {
        let mut names: Vec<&String> = self.0.keys().chain(built.0.keys()).collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| PackageChange::between(name, self.0.get(name), built.0.get(name)))
            .collect()
    }
}

impl fmt::Display for PackageLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, version) in &self.0 {
            writeln!(f, "{name}={version}")?;
        }
        Ok(())
    }
}

/// One difference between recorded and installed packages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackageChange {
    /// Installed, but not recorded.
    Added {
        /// The package.
        name: String,
        /// Its version.
        version: String,
    },
    /// Recorded, but not installed.
    Removed {
        /// The package.
        name: String,
        /// The version that was recorded.
        version: String,
    },
    /// Installed in another version than recorded.
    Changed {
        /// The package.
        name: String,
        /// The version that was recorded.
        recorded: String,
        /// The version that is installed.
        built: String,
    },
}

impl PackageChange {
    fn between(name: &str, recorded: Option<&String>, built: Option<&String>) -> Option<Self> {
        let name = name.to_owned();
        match (recorded.cloned(), built.cloned()) {
            (Some(recorded), Some(built)) if recorded != built => Some(Self::Changed {
                name,
                recorded,
                built,
            }),
            (None, Some(version)) => Some(Self::Added { name, version }),
            (Some(version), None) => Some(Self::Removed { name, version }),
            _ => None,
        }
    }
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { name, version } => write!(f, "{name} {version} is new"),
            Self::Removed { name, version } => write!(f, "{name} {version} is gone"),
            Self::Changed {
                name,
                recorded,
                built,
            } => write!(f, "{name} {recorded} is now {built}"),
        }
    }
}

/// `name=version`, if both are plausible: no spaces, something on both sides.
fn split_package(text: &str) -> Option<(&str, &str)> {
    let (name, version) = text.split_once('=')?;
    let plausible =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
    (plausible(name) && plausible(version)).then_some((name, version))
}

fn field<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    entry
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> PackageLock {
        PackageLock::parse(text).expect("a valid lock")
    }

    #[test]
    fn refuses_lines_that_name_no_package_and_version() {
        for text in ["gcc", "gcc=", "=1", "gcc 12", "gcc = 12", "gcc=1 2"] {
            let line = 2;
            let expected = LockError::NotAPackage {
                line,
                text: text.into(),
            };
            assert_eq!(
                PackageLock::parse(&format!("# first\n{text}\n")),
                Err(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_a_list_that_is_unsorted_or_repeats_a_package() {
        for text in ["make=1\ngcc=1", "gcc=1\ngcc=2"] {
            assert!(
                matches!(
                    PackageLock::parse(text),
                    Err(LockError::OutOfOrder { line: 2, .. })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let text = "gcc=4:12.2.0-3\nlibstdc++6=12.2.0-14+deb12u1\nmake=4.3-4.1\n";
        assert_eq!(parse(text).to_string(), text);
    }

    #[test]
    fn reads_installed_packages_from_a_package_database() {
        let status = "Package: gcc\nStatus: install ok installed\nDescription: compiler\n Version: not this\nVersion: 4:12.2.0-3\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                      Package: pretended\nStatus: install ok installed\nVersion: 999999\n\n";
        let packages = PackageLock::from_dpkg_status(status, &["pretended".into()]);
        assert_eq!(packages, Ok(parse("gcc=4:12.2.0-3")));
    }

    #[test]
    fn refuses_a_package_database_entry_without_a_version() {
        let status = "Package: gcc\nStatus: install ok installed\n";
        let error = PackageLock::from_dpkg_status(status, &[]);
        assert!(matches!(
            error,
            Err(LockError::IncompleteEntry {
                field: "Version",
                ..
            })
        ));
    }

    #[test]
    fn names_every_difference() {
        let changes = parse("a=1\nb=1\nc=1").changes_to(&parse("b=1\nc=2\nd=1"));
        let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["a 1 is gone", "c 1 is now 2", "d 1 is new"]);
    }
}
