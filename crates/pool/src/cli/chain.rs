//! Options that name a chain, a contract on it, and who signs.

use std::path::PathBuf;

use clap::Args;
use pool::chain::Live;
use protocol::hotkey::Keypair;
use protocol::ss58::Address;
use subtensor::{Chain, Settings};
use wallet::{Password, WalletPath};

#[derive(Debug, Args)]
pub(super) struct ChainOptions {
    /// The claim contract's address.
    #[arg(long, env = "POOL_CONTRACT")]
    contract: Address,
    /// A node of the chain; again and again, the preferred one first.
    #[arg(
        long = "endpoint",
        value_name = "URL",
        env = "POOL_ENDPOINTS",
        value_delimiter = ',',
        default_value = "wss://entrypoint-finney.opentensor.ai:443"
    )]
    endpoints: Vec<String>,
    /// The hash of the chain's first block; the main network's unless given.
    #[arg(long, value_name = "HEX")]
    genesis: Option<String>,
    /// Speak without TLS to nodes beyond this machine.
    #[arg(long)]
    allow_plaintext: bool,
    /// Milliseconds between two looks at the chain.
    #[arg(long, value_name = "MS", default_value_t = 6_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(super) poll_ms: u64,
}

#[derive(Debug, Args)]
pub(super) struct WalletOptions {
    /// A hotkey's file, instead of the wallet's.
    #[arg(long, value_name = "FILE", env = "POOL_WALLET_FILE")]
    wallet_file: Option<PathBuf>,
    /// The directory of wallets.
    #[arg(long, value_name = "DIR", default_value = wallet::DEFAULT_PATH)]
    wallet_path: String,
    /// The wallet.
    #[arg(long, value_name = "NAME", default_value = wallet::DEFAULT_NAME)]
    wallet_name: String,
    /// The hotkey.
    #[arg(long, value_name = "NAME", default_value = wallet::DEFAULT_HOTKEY)]
    wallet_hotkey: String,
    /// A file whose first line opens an encrypted hotkey.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl ChainOptions {
    /// The contract, seen by `keypair`; asks no node yet.
    pub(super) async fn live(&self, keypair: Option<Keypair>) -> anyhow::Result<Live> {
        let genesis = self.genesis.as_deref();
        let settings = Settings::of_options(&self.endpoints, genesis, self.allow_plaintext)?;
        let chain = Chain::connect(&settings).await?;
        Ok(Live::new(chain, self.contract, keypair))
    }
}

impl WalletOptions {
    pub(super) fn keypair(&self) -> anyhow::Result<Keypair> {
        let file = match &self.wallet_file {
            Some(file) => file.clone(),
            None => WalletPath::new(&self.wallet_path, &self.wallet_name, &self.wallet_hotkey)?
                .hotkey_file(),
        };
        let password = self.password_file.as_deref().map(Password::from_file);
        let opened = wallet::read(&file, password.transpose()?.as_ref())?;
        if opened.open_to_others {
            tracing::warn!(file = %file.display(), "other users of this host can read the hotkey; chmod 600");
        }
        Ok(opened.keypair)
    }
}
