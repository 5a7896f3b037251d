//! This host's receipt key: made on first use, kept in the state directory.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use nix::fcntl::OFlag;
use protocol::hotkey::Keypair;
use protocol::receipt::{
    Envelope, HostFacts, KeyBinding, PublicKey, ReceiptKeyError, Signer, SigningKey,
};
use protocol::{ReplaySpec, Report};
use zeroize::Zeroizing;

use super::{ReceiptError, file};

const KEY_FILE: &str = "receipt.key";
const BINDING_FILE: &str = "receipt.binding.json";
/// A PEM document of an ed25519 key has some 120 bytes.
const MAX_KEY_BYTES: u16 = 4096;

/// The key that signs this host's receipts, and the hotkey's word for it.
#[derive(Debug)]
pub struct ReceiptKey {
    directory: PathBuf,
    key: SigningKey,
    binding: Option<KeyBinding>,
}

impl ReceiptKey {
    /// Reads the key in the state directory `directory`, with its binding if a
    /// hotkey has bound it; makes a key where there is none. Two processes that
    /// do so at the same time get the same key.
    ///
    /// # Errors
    /// [`ReceiptError::KeyExposed`] when others may read the file,
    /// [`ReceiptError::Key`] when it is no key, [`ReceiptError::Io`].
    pub fn open(directory: &Path) -> Result<Self, ReceiptError> {
        let path = directory.join(KEY_FILE);
        let key = match read_key(&path)? {
            Some(key) => key,
            None => make_key(&path)?,
        };
        let binding = read_binding(&directory.join(BINDING_FILE))
            .filter(|binding| binding.public_key == key.public());
        Ok(Self {
            directory: directory.to_owned(),
            key,
            binding,
        })
    }

    /// Lets the hotkey of `keypair` bind the key, unless it has done so before.
    ///
    /// # Errors
    /// [`ReceiptError::Io`] when the binding cannot be stored.
    pub fn bound_by(mut self, keypair: &Keypair) -> Result<Self, ReceiptError> {
        let bound = self
            .binding
            .is_some_and(|binding| binding.hotkey == keypair.hotkey() && binding.is_valid());
        if !bound {
            let binding = KeyBinding::sign(keypair, self.key.public(), unix_seconds());
            let json = serde_json::to_vec_pretty(&binding)?;
            file::replace(&self.directory.join(BINDING_FILE), &json)?;
            self.binding = Some(binding);
        }
        Ok(self)
    }

    /// The public half, for those who check receipts.
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// The hotkey's word for the key, if there is one.
    pub fn binding(&self) -> Option<&KeyBinding> {
        self.binding.as_ref()
    }

    /// The receipt of a replay that has just ended.
    ///
    /// # Errors
    /// As [`statement`](super::statement).
    pub fn sign(
        &self,
        spec: &ReplaySpec,
        report: &Report,
        host: HostFacts,
    ) -> Result<Envelope, ReceiptError> {
        let signer = Signer {
            public_key: self.key.public(),
            binding: self.binding,
        };
        let statement = super::statement(spec, report, host, signer, unix_seconds())?;
        Ok(statement.seal(&self.key)?)
    }
}

/// The key at `path`; `None` if there is no such file.
fn read_key(path: &Path) -> Result<Option<SigningKey>, ReceiptError> {
    let failed = |error| ReceiptError::io(format!("read {KEY_FILE}"))(error);
    let opened = File::options()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(ReceiptError::KeyExposed {
            file: KEY_FILE,
            mode,
        });
    }
    let mut pem = Zeroizing::new(String::with_capacity(MAX_KEY_BYTES.into()));
    file.take(MAX_KEY_BYTES.into())
        .read_to_string(&mut pem)
        .map_err(failed)?;
    SigningKey::from_pem(&pem)
        .map(Some)
        .map_err(|source| ReceiptError::Key {
            file: KEY_FILE,
            source,
        })
}

/// Makes a key and stores it whole, readable by this user alone; if another
/// process was first, its key counts.
fn make_key(path: &Path) -> Result<SigningKey, ReceiptError> {
    let failed = |error| ReceiptError::io(format!("make {KEY_FILE}"))(error);
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(&mut *seed)
        .map_err(|_| failed(io::Error::other("the system gives no random bytes")))?;
    let key = SigningKey::from_seed(&seed);
    let pem = key.to_pem().ok_or(ReceiptError::Key {
        file: KEY_FILE,
        source: ReceiptKeyError::Private,
    })?;
    let directory = path.parent().unwrap_or(path);
    // Made exclusively, with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(pem.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => {
            file::sync_directory(directory).map_err(failed)?;
            tracing::info!(public_key = %key.public(), "made a receipt key");
            Ok(key)
        }
        Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => {
            read_key(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
        }
        Err(other) => Err(failed(other.error)),
    }
}

/// A binding that cannot be read is as good as none: the hotkey makes another.
fn read_binding(path: &Path) -> Option<KeyBinding> {
    let binding: KeyBinding = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    binding.is_valid().then_some(binding)
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
