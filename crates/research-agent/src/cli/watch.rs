//! `watch`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::options::NetworkArgs;
use crate::client::answers::{Submission, Verification};
use crate::client::{Client, ClientError, Id};
use crate::failure::{Done, Ended, Failure};
use crate::terminal::{Output, in_one_line, plain};

/// Follow a submission until validators have decided
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bitsota-research-agent watch 67e55044-10b1-426f-9247-bb680e5fe0c8

Exit status: 0 accepted, 3 rejected, 1 error or out of patience.")]
pub(crate) struct WatchArgs {
    /// The submission's id
    #[arg(value_name = "SUBMISSION")]
    submission: Id,

    #[command(flatten)]
    network: NetworkArgs,

    /// How often to look
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    interval_seconds: u64,

    /// Give up after so long [default: never]
    #[arg(long, value_name = "SECONDS")]
    patience_seconds: Option<u64>,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &WatchArgs, cancel: &CancellationToken) -> Done {
    let client = args.network.client(cancel)?;
    let following = follow(
        &client,
        args.submission,
        Duration::from_secs(args.interval_seconds),
        cancel,
    );
    let decided = match args.patience_seconds.map(Duration::from_secs) {
        None => following.await?,
        Some(patience) => tokio::time::timeout(patience, following)
            .await
            .map_err(|_| {
                let seconds = patience.as_secs();
                anyhow::anyhow!("{} is not decided after {seconds} s", args.submission)
            })??,
    };
    Output::new(args.json).print(&decided, verdict)?;
    Ok(match decided.submission.status.as_str() {
        "accepted" => Ended::Well,
        "rejected" => Ended::Rejected,
        _ => Ended::Undecided,
    })
}

/// A submission, and what every validator said of it.
#[derive(Debug, Serialize)]
struct Decided {
    #[serde(flatten)]
    submission: Submission,
    verifications: Vec<Verification>,
}

async fn follow(
    client: &Client,
    id: Id,
    interval: Duration,
    cancel: &CancellationToken,
) -> Done<Decided> {
    let mut seen: BTreeMap<Id, String> = BTreeMap::new();
    loop {
        // In this order, so that what decided a submission is told with it.
        let submission = client.submission(id).await.map_err(undecided)?;
        let verifications = client.verifications(id).await.map_err(undecided)?;
        for one in &verifications {
            let code = one.outcome_code.as_deref().unwrap_or_default();
            let state = plain(format!("{} {code}", one.status).trim_end());
            if seen.get(&one.id) != Some(&state) {
                let validator = one
                    .validator_hotkey
                    .map_or_else(|| one.id.to_string(), |key| key.to_string());
                let metrics = in_one_line(&one.observed_metrics);
                eprintln!("validator {validator}: {state}{metrics}");
                seen.insert(one.id, state);
            }
        }
        if !submission.is_pending() {
            return Ok(Decided {
                submission,
                verifications,
            });
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = cancel.cancelled() => return Err(Failure::Interrupted),
        }
    }
}

/// A coordinator that does not answer about a submission has not rejected it: exit
/// status 3 is for those that validators have seen.
fn undecided(error: ClientError) -> Failure {
    match error {
        ClientError::Refused { .. } => Failure::Broken(error.into()),
        error => error.into(),
    }
}

fn verdict(decided: &Decided) -> String {
    let submission = &decided.submission;
    let code = submission.outcome_code.as_deref().unwrap_or_default();
    format!(
        "{} {}{}",
        plain(&submission.status).to_uppercase(),
        plain(code),
        in_one_line(&submission.observed_metrics)
    )
}
