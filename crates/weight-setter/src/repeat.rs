//! Round after round, until the process is asked to end.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use weight_setter::metrics::Metrics;
use weight_setter::round::{Mode, Report, Setter};

use crate::cli::Cli;
use crate::{page, print};

/// Runs rounds. A round that fails is told of, and the next one tries again.
///
/// # Errors
/// Metrics cannot be served, or signals not be caught.
pub(crate) async fn run(cli: &Cli, setter: &Setter) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::default());
    if let Some(address) = cli.metrics {
        page::serve(address, Arc::clone(&metrics)).await?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut committed = None;
    loop {
        // A signal ends the wait for finality, too: what was sent goes its way, and
        // the next start finds it on the chain.
        let round = tokio::select! {
            round = setter.run(Mode::Set, committed.as_ref()) => round,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        metrics.note(&round);
        match round {
            Ok(report) => {
                tracing::info!("{}", print::sentence(&report));
                if let Report::Committed { vector, .. } = report {
                    committed = Some(vector);
                }
            }
            Err(error) if error.is_refusal() => tracing::error!("{error}"),
            Err(error) => tracing::warn!("{error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(cli.interval)) => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}
