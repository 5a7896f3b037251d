//! Which pool, which contract, and through which nodes it is seen.

use std::time::Duration;

use clap::Args;
use protocol::ss58::Address;
use subtensor::{Chain, Settings};
use tokio_util::sync::CancellationToken;

use crate::cli::options::WalletArgs;
use crate::client::{Client, Retry, Server};
use crate::failure::{Done, Failure};
use crate::rewards::pool::Pool;

/// Which pool.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pool")]
pub(super) struct PoolArgs {
    /// The pool's address
    #[arg(long, value_name = "URL", env = "BITSOTA_POOL_URL")]
    pool_url: String,

    /// How long one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_seconds: u64,

    /// How often a request is sent while the pool is busy or away
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    request_attempts: u32,
}

impl PoolArgs {
    pub(super) fn open(&self, cancel: &CancellationToken) -> Done<Pool> {
        let retry = Retry {
            attempts: self.request_attempts,
            first: Duration::from_millis(500),
        };
        let timeout = Duration::from_secs(self.timeout_seconds);
        let client = Client::new(Server::Pool, &self.pool_url, timeout, retry, cancel.clone())?;
        Ok(Pool::new(client))
    }
}

/// Which contract on which chain.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Chain")]
pub(super) struct ChainArgs {
    /// A node of the chain; again and again, the preferred one first
    #[arg(
        long = "endpoint",
        value_name = "URL",
        env = "BITSOTA_CHAIN_ENDPOINTS",
        // An address of a node may hold the key to it.
        hide_env_values = true,
        value_delimiter = ','
    )]
    endpoints: Vec<String>,

    /// The claim contract
    #[arg(long, value_name = "ADDRESS", env = "BITSOTA_CLAIM_CONTRACT")]
    pub(super) contract: Option<Address>,

    /// The hash of the chain's first block [default: the main network's]
    #[arg(long, value_name = "HEX")]
    genesis: Option<String>,

    /// Speak without TLS to nodes beyond this machine
    #[arg(long)]
    allow_plaintext: bool,
}

impl ChainArgs {
    /// The chain, if a node is named.
    pub(super) async fn chain(&self) -> Done<Option<Chain>> {
        if self.endpoints.is_empty() {
            return Ok(None);
        }
        let genesis = self.genesis.as_deref();
        let settings = Settings::of_options(&self.endpoints, genesis, self.allow_plaintext);
        let settings = settings.map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Some(Chain::connect(&settings).await?))
    }
}

/// Whose rewards.
#[derive(Debug, Clone, Args)]
pub(super) struct WhoseArgs {
    /// Whose rewards [default: the wallet's hotkey]; a claim pays the recipient whoever brings it
    #[arg(long, value_name = "ADDRESS")]
    pub(super) hotkey: Option<Address>,

    /// How many epochs are looked at, the newest first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) epochs: u16,
}

impl WhoseArgs {
    /// The hotkey that is meant.
    pub(super) fn hotkey(&self, wallet: &WalletArgs) -> Done<Address> {
        match self.hotkey {
            Some(hotkey) => Ok(hotkey),
            None => Ok(wallet.keypair()?.hotkey().address()),
        }
    }
}
