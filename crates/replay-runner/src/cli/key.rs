//! `replay-runner key`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use protocol::hotkey::Keypair;
use replay_runner::receipt::ReceiptKey;

use super::{Global, output};

/// Show the key that signs this host's receipts, or bind it to a hotkey
#[derive(Debug, Args)]
#[command(after_help = "\
The key is made on first use and kept in the state directory. A hotkey binds it once, so that
whoever knows the hotkey can check receipts; the hotkey itself never signs a receipt.

Examples:
  replay-runner key                                              show it
  replay-runner key --bind ~/.bittensor/wallets/v/hotkeys/main   let a hotkey vouch for it")]
pub(crate) struct KeyArgs {
    /// The hotkey's file, unencrypted, as the network's wallets write it
    #[arg(long, value_name = "FILE")]
    bind: Option<PathBuf>,
}

pub(crate) fn run(args: &KeyArgs, global: &Global) -> u8 {
    match show(args, global) {
        Ok(shown) => output::ended(&shown, 0),
        Err(error) => {
            eprintln!("replay-runner: {error:#}");
            1
        }
    }
}

fn show(args: &KeyArgs, global: &Global) -> anyhow::Result<String> {
    let mut key = ReceiptKey::open(global.state()?.root())?;
    if let Some(path) = &args.bind {
        key = key.bound_by(&hotkey(path)?)?;
    }
    let hotkey = match key.binding() {
        Some(binding) => binding.hotkey.to_string(),
        None => "none has bound it; see --bind".to_owned(),
    };
    let pem = key.public().to_pem().context("the key has no PEM form")?;
    Ok(format!(
        "key id  {}\nhotkey  {hotkey}\n{pem}",
        key.public().key_id()
    ))
}

fn hotkey(path: &Path) -> anyhow::Result<Keypair> {
    let shown = path.display();
    let text = zeroize::Zeroizing::new(
        fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?,
    );
    let file: HotkeyFile = serde_json::from_str(&text)
        .map_err(|_| anyhow::anyhow!("{shown} is no unencrypted hotkey file"))?;
    if let Some(bytes) = file.private_key.as_deref().and_then(decode::<64>) {
        return Keypair::from_private_key(&bytes).with_context(|| format!("{shown}: privateKey"));
    }
    if let Some(bytes) = file.secret_seed.as_deref().and_then(decode::<32>) {
        return Ok(Keypair::from_seed(&bytes));
    }
    match &file.secret_phrase {
        Some(phrase) => {
            Keypair::from_mnemonic(phrase).with_context(|| format!("{shown}: secretPhrase"))
        }
        None => bail!("{shown} holds no privateKey, secretSeed or secretPhrase"),
    }
}

/// The secrets of a wallet's hotkey file (`CHAIN.md` §3), in memory that is
/// cleared when they are dropped.
#[derive(serde::Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
#[serde(rename_all = "camelCase")]
struct HotkeyFile {
    private_key: Option<String>,
    secret_seed: Option<String>,
    secret_phrase: Option<String>,
}

fn decode<const N: usize>(text: &str) -> Option<zeroize::Zeroizing<[u8; N]>> {
    let mut bytes = zeroize::Zeroizing::new([0; N]);
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), bytes.as_mut()).ok()?;
    Some(bytes)
}
