//! `peer-evaluate-once`.

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::options::CommonArgs;
use crate::failure::{Done, Ended};
use crate::lab::Lab;
use crate::mining::{Evaluated, Peer};
use crate::terminal::Output;

/// Replay another miner's pending submission in the sandbox, and say what was observed
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bitsota-research-agent peer-evaluate-once --task-slug judged-by-peers

Exit status: 0 evaluated, or nothing to evaluate; 1 error, and nothing is said of the submission.")]
pub(crate) struct PeerEvaluateOnceArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &PeerEvaluateOnceArgs, cancel: &CancellationToken) -> Done {
    let lab = args.common.lab.open(cancel).await?;
    evaluate(&args.common, &lab, Output::new(args.json), cancel).await
}

pub(super) async fn evaluate(
    common: &CommonArgs,
    lab: &Lab,
    output: Output,
    cancel: &CancellationToken,
) -> Done {
    let client = common.network.client(cancel)?;
    let keypair = common.wallet.keypair()?;
    let peer = Peer {
        client: &client,
        keypair: &keypair,
        lab,
    };
    let tasks = common.task.tasks(&client).await?;
    for task in tasks.iter().filter(|task| task.is_decided_by_peers()) {
        if let Some(submission) = peer.next(task).await? {
            let source = common.lab.source(task, &client)?;
            let evaluated = peer.evaluate(task, source, &submission).await?;
            output.print(&evaluated, told)?;
            return Ok(Ended::Well);
        }
    }
    output.print(&serde_json::json!({"status": "idle"}), |_| {
        "nothing waits for your evaluation".to_owned()
    })?;
    Ok(Ended::Well)
}

fn told(evaluated: &Evaluated) -> String {
    format!(
        "{}: said {} ({})",
        evaluated.submission_id, evaluated.status, evaluated.code
    )
}
