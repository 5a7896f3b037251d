//! Reads a container's output to its end, on a thread of its own: a reader that
//! stops reading would stall the container, and one that is busy with a flood must
//! not keep those waiting who watch the clock.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bollard::container::LogOutput;
use futures_util::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::output::HeadTail;
use crate::metrics::MarkerScanner;

/// How long output may still be in the engine's pipes after the container's end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was read: some of the text, and what was looked for in all of it.
pub(super) type Read = (HeadTail, MarkerScanner);

/// A reader at work; it stops when this is dropped.
pub(super) struct Drain {
    stop: DropGuard,
    read: oneshot::Receiver<Read>,
}

impl Drain {
    /// Begins to read `output`, of which `cap` bytes are kept.
    pub(super) fn spawn(
        output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static,
        cap: u64,
        markers: &[String],
    ) -> io::Result<Self> {
        let mut kept = (HeadTail::new(cap), MarkerScanner::new(markers));
        let (sender, read) = oneshot::channel();
        let stop = CancellationToken::new();
        let (stopped, runtime) = (stop.clone(), Handle::current());
        std::thread::Builder::new()
            .name("drain".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let mut output = pin!(output);
                    while let Some(Some(Ok(chunk))) =
                        stopped.run_until_cancelled(output.next()).await
                    {
                        let is_stderr = matches!(chunk, LogOutput::StdErr { .. });
                        kept.0.push(chunk.as_ref());
                        kept.1.push(is_stderr, chunk.as_ref());
                    }
                });
                // Whoever does not wait for it has no use for it.
                let _ = sender.send(kept);
            })?;
        Ok(Self {
            stop: stop.drop_guard(),
            read,
        })
    }

    /// Waits for the end of the output.
    pub(super) async fn finish(mut self) -> Read {
        let empty = || (HeadTail::new(0), MarkerScanner::new(&[]));
        if let Ok(read) = tokio::time::timeout(PATIENCE, &mut self.read).await {
            return read.unwrap_or_else(|_| empty());
        }
        tracing::warn!("output did not end with its container");
        drop(self.stop);
        self.read.await.unwrap_or_else(|_| empty())
    }
}
