//! Hotkeys on disk: the files of a Bittensor wallet, a file with a mnemonic, and
//! new ones.
//!
//! What is read here signs for money. Secrets live in buffers that are wiped when
//! they are dropped, no `Debug` or error prints one, and no file is followed by
//! guesswork: it is a regular, small file, or it is refused.
//!
//! ```no_run
//! let wallet = wallet::WalletPath::new("~/.bittensor/wallets", "miner", "default")?;
//! let opened = wallet::read(&wallet.hotkey_file(), None)?;
//! println!("signing as {}", opened.keypair.hotkey());
//! # Ok::<(), wallet::WalletError>(())
//! ```

mod create;
mod encrypted;
mod error;
mod keyfile;
mod layout;
mod open;
mod password;
mod secret_file;

pub use create::{Created, create};
pub use error::WalletError;
pub use layout::{DEFAULT_HOTKEY, DEFAULT_NAME, DEFAULT_PATH, WalletPath};
pub use open::{Opened, read};
pub use password::Password;
