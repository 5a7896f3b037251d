//! From a file to a configuration: TOML or YAML by its name, flat, the same keys.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::reader::{ConfigProblem, Reader};
use super::{Config, WalletConfig};

/// Far more than every key together.
const LARGEST: u64 = 1 << 20;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that it names is not there, or not for this user.
    #[error("extra_root_certificate: {path} cannot be read: {source}; name a PEM file")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no table of keys.
    #[error("{path}: {problem}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        problem: String,
    },
    /// Values that cannot be used, all at once.
    #[error("{path}: {}", list(problems))]
    Values {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Vec<ConfigProblem>,
    },
}

fn list(problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// A configuration, and what a person should know about its file.
#[derive(Debug)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// Keys that are not used, and what is unwise.
    pub warnings: Vec<String>,
}

/// Reads the configuration at `path`.
///
/// # Errors
/// [`ConfigError`], with everything that is wrong.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let unreadable = |source| ConfigError::Io {
        path: path.to_owned(),
        source,
    };
    // It may hold the mnemonic.
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > LARGEST {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let syntax = |problem| ConfigError::Syntax {
        path: path.to_owned(),
        problem,
    };
    let mut reader = Reader::new(parse(path, &text).map_err(syntax)?);
    let config = Config::read(&mut reader);
    reader.finish();
    match config {
        Some(config) if reader.problems.is_empty() => {
            let mut warnings = reader.warnings;
            if matches!(config.wallet, WalletConfig::Mnemonic(_)) {
                warnings.extend(exposed(path));
            }
            Ok(Loaded { config, warnings })
        }
        _ => Err(ConfigError::Values {
            path: path.to_owned(),
            problems: reader.problems,
        }),
    }
}

/// That others may read the key.
fn exposed(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        let shown = path.display();
        format!("{shown} holds the key and others may read it; run chmod 600 {shown}")
    })
}

/// The keys of a file. No message quotes a line: it may be the mnemonic's.
fn parse(path: &Path, text: &str) -> Result<Map<String, Value>, String> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    if matches!(extension, Some("yaml" | "yml")) {
        return serde_saphyr::from_str(text).map_err(|error| match error.location() {
            Some(at) => format!("is no YAML table of keys (line {})", at.line()),
            None => "is no YAML table of keys".to_owned(),
        });
    }
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        format!("line {line}: {}", error.message())
    })
}
