//! `signed-request`: any route, signed, for scripts.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::options::CommonArgs;
use crate::client::Call;
use crate::failure::{Done, Ended, Failure};

/// Larger than any body that a coordinator takes.
const LARGEST_BODY: u64 = 64 << 20;

/// Send one signed request, and print the answer's body
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent signed-request --path /api/v1/claims
  bitsota-research-agent signed-request --method POST --path /api/v1/tasks/ID/claim \\
      --body '{\"claim_description\": \"a faster kernel\"}'
  jq -n '{claim_description: \"x\"}' | bitsota-research-agent signed-request --path /api/v1/tasks/ID/claim --body-file -")]
pub(crate) struct SignedRequestArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// GET, POST, PUT … [default: POST with a body, else GET]
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,

    /// The path on the coordinator, with its query if there is one
    #[arg(long, value_name = "/PATH?QUERY")]
    path: String,

    /// The raw query, if it is not in the path
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,

    /// The JSON body
    #[arg(long, visible_aliases = ["json", "data"], aliases = ["json-body", "body-json", "payload"], value_name = "JSON", conflicts_with = "body_file")]
    body: Option<String>,

    /// A file with the JSON body, or - for standard input
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
}

pub(super) async fn run(args: &SignedRequestArgs, cancel: &CancellationToken) -> Done {
    if !args.path.starts_with('/') || args.path.starts_with("//") {
        return Err(Failure::Usage(format!(
            "--path {:?} does not begin with one /",
            args.path
        )));
    }
    let body = match (&args.body, &args.body_file) {
        (Some(body), _) => Some(body.clone()),
        (None, Some(file)) => Some(read(file)?),
        (None, None) => None,
    };
    let method = args.method.clone().unwrap_or_else(|| {
        let implied = if body.is_some() { "POST" } else { "GET" };
        implied.to_owned()
    });
    let client = args.common.network.client(cancel)?;
    let keypair = args.common.wallet.keypair()?;
    let (path, in_path) = args.path.split_once('?').unwrap_or((&args.path, ""));
    let query = args.query.as_deref().unwrap_or(in_path);
    let mut call = Call::get(path)
        .query(query.to_owned())
        .method(&method)
        .signed(&keypair);
    if let Some(body) = body {
        call = call.body(body);
    }
    let answer = client.send(call).await?;
    let mut out = std::io::stdout().lock();
    out.write_all(&answer.body)?;
    if !answer.body.ends_with(b"\n") {
        writeln!(out)?;
    }
    Ok(Ended::Well)
}

fn read(path: &Path) -> Done<String> {
    let mut text = String::new();
    let input: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(
            fs::File::open(path)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?,
        )
    };
    input.take(LARGEST_BODY).read_to_string(&mut text)?;
    Ok(text)
}
