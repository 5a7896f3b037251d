//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use protocol::hotkey::Keypair;
use subtensor::{Chain, Settings};
use wallet::{Password, WalletPath};
use weight_setter::lock;
use weight_setter::round::Setter;
use weight_setter::snapshot::Source;

/// Sets a validator's weights on the chain as the published reward policy says.
///
/// Exit status: 0 set, or nothing to set; 1 error; 2 usage; 3 the policy is refused;
/// 4 the rate limit has not passed.
#[derive(Debug, Parser)]
#[command(
    name = "weight-setter",
    args_override_self = true,
    version,
    after_help = "Examples:\n  weight-setter --dry-run --netuid 94 --snapshot https://coordinator.example/api/v1/reward-snapshot\n  weight-setter --once --netuid 94 --snapshot snapshot.json --endpoint ws://127.0.0.1:9944\n  weight-setter --loop --netuid 94 --snapshot https://coordinator.example/api/v1/reward-snapshot --metrics 127.0.0.1:9101"
)]
#[command(group(ArgGroup::new("how").required(true).args(["dry_run", "once", "repeat"])))]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct Cli {
    /// Show what would be set; sign and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Set weights once, confirm them, and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// Set weights again and again.
    #[arg(long = "loop")]
    pub(crate) repeat: bool,

    /// The subnet.
    #[arg(long, env = "WEIGHT_SETTER_NETUID")]
    netuid: u16,
    /// The reward snapshot: an address of a coordinator, or a file.
    #[arg(long, value_name = "URL|FILE", env = "WEIGHT_SETTER_SNAPSHOT")]
    snapshot: String,
    /// The oldest snapshot that is followed, in hours.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8760))]
    oldest_snapshot: u64,

    /// A node of the chain; again and again, the preferred one first.
    #[arg(
        long = "endpoint",
        value_name = "URL",
        env = "WEIGHT_SETTER_ENDPOINTS",
        // An address of a node may hold the key to it.
        hide_env_values = true,
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

    /// A hotkey's file, instead of the wallet's.
    #[arg(long, value_name = "FILE", env = "WEIGHT_SETTER_WALLET_FILE")]
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

    /// The version key; the subnet's own unless given.
    #[arg(long, value_name = "NUMBER")]
    version_key: Option<u64>,
    /// Set unchanged weights again after so many blocks.
    #[arg(long, value_name = "BLOCKS", default_value_t = 1080)]
    refresh_blocks: u64,
    /// Seconds between two rounds of --loop.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) interval: u64,
    /// Serve metrics and health at this address.
    #[arg(long, value_name = "ADDR", requires = "repeat")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Print one JSON object instead of text.
    #[arg(long, conflicts_with = "repeat")]
    pub(crate) json: bool,
    /// The directory of locks, the same for all users of this host.
    #[arg(long, value_name = "DIR", default_value = lock::DIRECTORY)]
    pub(crate) lock_dir: PathBuf,
}

impl Cli {
    /// Makes a setter of the options; asks no node yet.
    ///
    /// # Errors
    /// For options that cannot be right; the message names the option.
    pub(crate) async fn setter(&self) -> anyhow::Result<Setter> {
        let genesis = self.genesis.as_deref();
        let settings = Settings::of_options(&self.endpoints, genesis, self.allow_plaintext)?;
        Ok(Setter {
            keypair: self.keypair()?,
            chain: Chain::connect(&settings).await?,
            netuid: self.netuid,
            snapshot: Source::parse(&self.snapshot)?,
            oldest_snapshot: Duration::from_secs(self.oldest_snapshot * 3600),
            refresh_blocks: self.refresh_blocks,
            version_key: self.version_key,
        })
    }

    fn keypair(&self) -> anyhow::Result<Keypair> {
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
