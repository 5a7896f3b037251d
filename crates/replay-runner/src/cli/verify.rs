//! `replay-runner verify RECEIPT`.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use protocol::Sha256Digest;
use protocol::hotkey::Hotkey;
use protocol::receipt::{Claims, Expect, Expected, PublicKey, Trust, Verified};
use replay_runner::failure::Failure;
use replay_runner::host::Host;
use replay_runner::receipt::{ReceiptKey, claims, verify_file};

use super::request::{Refused, RequestArgs};
use super::run::{cancel_on_signal, replay_until};
use super::{Global, USAGE, output};

/// Exit status for a receipt that does not hold.
const REFUSED: u8 = 3;

/// Check a signed receipt, and replay it if a task is given
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  replay-runner verify receipt.json --hotkey 5F7M…             signed by a key that this hotkey has bound?
  replay-runner verify receipt.json --key validator.pem --patch fast.diff
  replay-runner verify receipt.json --replay my-task --patch fast.diff   does this host see the same?

Without --key, --key-id and --hotkey the key of this host is trusted.
Exit status: 0 it holds, 3 it does not, 1 error, 2 usage.")]
pub(crate) struct VerifyArgs {
    /// The receipt
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,

    /// Trust this ed25519 public key, in PEM
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,

    /// Trust the key with this id
    #[arg(long, value_name = "HEX")]
    key_id: Vec<Sha256Digest>,

    /// Trust every key that this hotkey has bound
    #[arg(long, value_name = "SS58")]
    hotkey: Vec<Hotkey>,

    /// How many trusted keys must have signed
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: usize,

    /// Replay this task, with the options below, and compare
    #[arg(long, value_name = "TASK")]
    replay: Option<PathBuf>,

    #[command(flatten)]
    request: RequestArgs,
}

/// How the command ends.
enum Verdict {
    Holds(Box<Verified>),
    DoesNot(String),
}

pub(crate) async fn run(args: &VerifyArgs, global: &Global) -> u8 {
    match verified(args, global).await {
        Ok(Verdict::Holds(verified)) => {
            let mut shown = describe(&verified);
            if args.replay.is_some() {
                shown.push_str("  replayed here: the same claims\n");
            }
            output::ended(&shown, 0)
        }
        Ok(Verdict::DoesNot(why)) => output::ended(&format!("REFUSED\n  {why}\n"), REFUSED),
        Err(Refused::Usage(message)) => {
            eprintln!("replay-runner: {message}");
            USAGE
        }
        Err(Refused::Failure(failure)) => {
            eprintln!("replay-runner: {failure}");
            1
        }
    }
}

async fn verified(args: &VerifyArgs, global: &Global) -> Result<Verdict, Refused> {
    let usage = |error: &dyn std::fmt::Display| Refused::Usage(error.to_string());
    if !args.receipt.is_file() {
        return Err(Refused::Usage(format!(
            "{} is no file",
            args.receipt.display()
        )));
    }
    let trust = trust(args, global)?;
    let patch = args.request.patch()?.map(|patch| patch.content().sha256);
    if args.replay.is_none() {
        args.request.refuse_what_only_a_replay_uses()?;
    }
    let expected = Expected {
        patch: patch.map_or(Expect::Anything, Expect::Is),
        artifact: args
            .request
            .artifact_digest()?
            .map_or(Expect::Anything, Expect::Is),
        ..Expected::default()
    };
    let verified = match verify_file(&args.receipt, &trust, args.threshold, &expected) {
        Ok(verified) => verified,
        Err(error) => return Ok(Verdict::DoesNot(error.to_string())),
    };
    let Some(task) = &args.replay else {
        return Ok(Verdict::Holds(Box::new(verified)));
    };
    let request = args.request.request(task)?;
    let host = Host::open(global.state()?, args.request.host_options()).await?;
    let replayed = replay_until(&host, &request, false, &cancel_on_signal()).await;
    let Some(spec) = &replayed.spec else {
        return Err(Failure::new(replayed.report.code, replayed.report.message).into());
    };
    let ours = claims(spec, &replayed.report).map_err(|error| usage(&error))?;
    match difference(&verified.statement.predicate.claims, &ours) {
        None => Ok(Verdict::Holds(Box::new(verified))),
        Some(difference) => Ok(Verdict::DoesNot(format!(
            "replayed here, it differs: {difference}"
        ))),
    }
}

fn trust(args: &VerifyArgs, global: &Global) -> Result<Vec<Trust>, Refused> {
    let mut trust: Vec<Trust> = Vec::new();
    for path in &args.key {
        let shown = path.display();
        let pem = fs::read_to_string(path)
            .map_err(|error| Refused::Usage(format!("{shown}: {error}")))?;
        let key = PublicKey::from_pem(&pem)
            .map_err(|error| Refused::Usage(format!("{shown}: {error}")))?;
        trust.push(Trust::PublicKey(key));
    }
    trust.extend(args.key_id.iter().copied().map(Trust::KeyId));
    trust.extend(args.hotkey.iter().copied().map(Trust::Hotkey));
    if trust.is_empty() {
        let own = ReceiptKey::open(global.state()?.root())
            .map_err(|error| Refused::Usage(error.to_string()))?;
        trust.push(Trust::PublicKey(own.public()));
    }
    Ok(trust)
}

fn describe(verified: &Verified) -> String {
    use std::fmt::Write as _;
    let claims = &verified.statement.predicate.claims;
    let mut text = format!(
        "HOLDS\n  {} {}\n",
        claims.outcome.status, claims.outcome.code
    );
    // Writing to a string cannot fail.
    for (name, value) in &claims.metrics {
        let _ = writeln!(text, "  {} = {}", name.escape_debug(), value.0);
    }
    let _ = writeln!(text, "  spec {}", claims.spec_digest);
    let _ = writeln!(text, "  base commit {}", claims.base_commit);
    if let Some(tree) = claims.patched_tree {
        let _ = writeln!(text, "  patched tree {tree}");
    }
    for signer in &verified.signers {
        let _ = writeln!(text, "  signed by key {}", signer.key_id());
    }
    if let Some(hotkey) = &verified.hotkey {
        let _ = writeln!(text, "  bound by hotkey {hotkey}");
    }
    text
}

/// The first claim that differs, with both values.
fn difference(theirs: &Claims, ours: &Claims) -> Option<String> {
    let as_json = |claims: &Claims| serde_json::to_value(claims).unwrap_or_default();
    let (theirs, ours) = (as_json(theirs), as_json(ours));
    let names: std::collections::BTreeSet<&String> = [&theirs, &ours]
        .into_iter()
        .filter_map(|claims| claims.as_object())
        .flat_map(serde_json::Map::keys)
        .collect();
    names
        .into_iter()
        .find(|name| theirs.get(*name) != ours.get(*name))
        .map(|name| {
            format!(
                "{name} is {} in the receipt and {} here",
                theirs[name], ours[name]
            )
        })
}
