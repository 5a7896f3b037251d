//! Ctrl-C: once to end cleanly, twice to end now.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `cancel` at the first SIGINT or SIGTERM. At the second the program
/// ends at once; the next start cleans up after it.
pub(super) fn cancel_on_signal(cancel: &CancellationToken) {
    // Here and not in the task: a signal right after the start counts, too.
    let streams = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = streams else {
        return;
    };
    let cancel = cancel.clone();
    tokio::spawn(async move {
        for count in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if count > 0 {
                std::process::exit(130);
            }
            eprintln!("ending: cleaning up first; once more to end at once");
            cancel.cancel();
        }
    });
}
