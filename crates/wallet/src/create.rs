//! Making a hotkey that the network's own wallet reads.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use protocol::hotkey::Keypair;
use sp_core::crypto::Pair as _;
use sp_core::sr25519;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{WalletError, WalletPath};

/// Twelve words.
const ENTROPY_BYTES: usize = 16;

/// A hotkey that was just made.
pub struct Created {
    /// The key pair.
    pub keypair: Keypair,
    /// The words that make it again, for its owner to write down. Shown once.
    pub phrase: Zeroizing<String>,
    /// The file with the secret, readable by its owner only.
    pub file: PathBuf,
}

impl fmt::Debug for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Created")
            .field("keypair", &self.keypair)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Makes a new hotkey at `wallet`, as a plain wallet file of mode 0600 with its
/// public half beside it.
///
/// # Errors
/// [`WalletError::Exists`]: nothing is ever overwritten; [`WalletError::Io`].
pub fn create(wallet: &WalletPath) -> Result<Created, WalletError> {
    let phrase = new_phrase()?;
    // The words are sound: they were just made from their own checksum.
    let (pair, mut seed) = sr25519::Pair::from_phrase(&phrase, None)
        .map_err(|_| WalletError::Random("the phrase made no key".to_owned()))?;
    let keypair = Keypair::from_seed(&seed);
    let account = hex::encode(keypair.hotkey().as_bytes());
    let address = keypair.hotkey();
    let public = format!(
        r#"{{"accountId":"0x{account}","publicKey":"0x{account}","ss58Address":"{address}","cryptoType":1}}"#
    );
    let private_key = Zeroizing::new(hex::encode(&*Zeroizing::new(pair.to_raw_vec())));
    let seed_hex = Zeroizing::new(hex::encode(seed));
    seed.zeroize();
    let secret = Zeroizing::new(format!(
        r#"{{"accountId":"0x{account}","publicKey":"0x{account}","privateKey":"0x{}","secretPhrase":"{}","secretSeed":"0x{}","ss58Address":"{address}","cryptoType":1}}"#,
        *private_key, *phrase, *seed_hex
    ));

    make_directory(wallet.directory())?;
    let file = wallet.hotkey_file();
    write_new(&file, secret.as_bytes(), 0o600)?;
    // The public half may be there from a wallet whose secret is elsewhere: then
    // the names would lie about each other, and the new secret goes again.
    if let Err(error) = write_new(&wallet.public_file(), public.as_bytes(), 0o644) {
        let _ = std::fs::remove_file(&file);
        return Err(error);
    }
    sync_directory(wallet.directory())?;
    Ok(Created {
        keypair,
        phrase,
        file,
    })
}

fn new_phrase() -> Result<Zeroizing<String>, WalletError> {
    let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
    getrandom::fill(entropy.as_mut()).map_err(|error| WalletError::Random(error.to_string()))?;
    let words = bip39::Mnemonic::from_entropy(entropy.as_ref())
        .map_err(|error| WalletError::Random(error.to_string()))?;
    // Room for the longest words, so that the text is never moved.
    let mut phrase = Zeroizing::new(String::with_capacity(12 * 9));
    for word in words.words() {
        if !phrase.is_empty() {
            phrase.push(' ');
        }
        phrase.push_str(word);
    }
    Ok(phrase)
}

fn make_directory(path: &Path) -> Result<(), WalletError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| io(path, source))
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), WalletError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(|source| io(path, source))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(|source| {
        // Half a key would be found by the next start, and believed to be one.
        let _ = std::fs::remove_file(path);
        io(path, source)
    })
}

fn sync_directory(path: &Path) -> Result<(), WalletError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| io(path, source))
}

fn io(path: &Path, source: std::io::Error) -> WalletError {
    if source.kind() == ErrorKind::AlreadyExists {
        return WalletError::Exists(path.to_owned());
    }
    WalletError::Io {
        path: path.to_owned(),
        source,
    }
}
