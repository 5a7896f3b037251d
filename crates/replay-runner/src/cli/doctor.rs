//! `replay-runner doctor`.

use std::path::PathBuf;

use clap::Args;
use replay_runner::doctor::{Examination, Finding, Severity, WalletFiles, examine};
use replay_runner::spec::DEFAULT_IMAGE;

use super::terminal::{Paint, Style};
use super::{Global, output};

/// Is this machine fit to replay? Tries the limits instead of believing them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  replay-runner doctor
  replay-runner doctor --json | jq '.[] | select(.severity != \"ok\")'

Exit status: 0 if nothing fails (warnings included), 1 otherwise.")]
pub(crate) struct DoctorArgs {
    /// The image to try the limits in
    #[arg(long, value_name = "REF", default_value = DEFAULT_IMAGE)]
    image: String,

    /// The directory of wallets [default: ~/.bittensor/wallets]
    #[arg(long, value_name = "DIR")]
    wallet_path: Option<PathBuf>,

    /// The wallet
    #[arg(long, value_name = "NAME", default_value = "default")]
    wallet_name: String,

    /// The hotkey in it
    #[arg(long, value_name = "NAME", default_value = "default")]
    wallet_hotkey: String,

    /// Print a JSON array on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &DoctorArgs, global: &Global) -> u8 {
    let state = match global.state() {
        Ok(state) => state,
        Err(failure) => {
            eprintln!("replay-runner: {failure}");
            return 1;
        }
    };
    let wallet = WalletFiles {
        path: args
            .wallet_path
            .clone()
            .unwrap_or_else(|| WalletFiles::default().path),
        name: args.wallet_name.clone(),
        hotkey: args.wallet_hotkey.clone(),
    };
    let style = Style::of_stdout();
    let examination = Examination {
        state: &state,
        image: &args.image,
        wallet,
    };
    let lines = output::Lines::default();
    let findings = examine(&examination, &|finding| {
        if !args.json {
            lines.write(&line(finding, style));
        }
    })
    .await;
    if args.json {
        lines.write(&serde_json::json!(findings).to_string());
    }
    let fails = findings
        .iter()
        .any(|finding| finding.severity == Severity::Failure);
    output::status_after(lines.written(), u8::from(fails))
}

fn line(finding: &Finding, style: Style) -> String {
    let (paint, mark) = match finding.severity {
        Severity::Ok => (Paint::Green, "ok  "),
        Severity::Warning => (Paint::Yellow, "warn"),
        Severity::Failure => (Paint::Red, "FAIL"),
    };
    let mend = if finding.mend.is_empty() {
        String::new()
    } else {
        format!("\n       mend: {}", finding.mend)
    };
    format!(
        "{} {:<12} {}{mend}",
        style.paint(paint, mark),
        finding.check,
        finding.found
    )
}
