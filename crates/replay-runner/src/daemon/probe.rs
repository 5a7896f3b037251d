//! Waits until the engine answers, and until a host that failed is well again.

use std::sync::Arc;
use std::time::Duration;

use crate::artifact::{Addresses, Artifacts, FetchPolicy, LocalFiles, Secrecy};
use crate::doctor::{Examination, Severity, WalletFiles, examine};
use crate::failure::Failure;
use crate::host::{Host, HostOptions};
use crate::spec::DEFAULT_IMAGE;
use crate::state::State;

use super::backoff::Backoff;
use super::budget::{Budget, Capacity};
use super::config::{Access, Config};
use super::shared::Shared;

const WAIT: Backoff = Backoff {
    base: Duration::from_secs(2),
    most: Duration::from_mins(2),
};
/// Of the host's memory, this many hundredths are for replays.
const MEMORY_SHARE: u64 = 85;

/// A host that replays under `config`, and what it gives to replays.
pub(super) async fn open_host(
    state: &State,
    config: &Config,
) -> Result<(Arc<Host>, Arc<Budget>), Failure> {
    let options = HostOptions {
        local_files: local_files(&config.access),
        allow_setup_network: config.bounds.setup_network,
        ..HostOptions::default()
    };
    let mut host = Host::open(state.clone(), options).await?;
    if config.access.private_addresses || config.access.root_certificate.is_some() {
        host.artifacts = Artifacts::open(&state.dir("artifacts")?, policy(config)?)?;
        host.private_inputs = Artifacts::open(
            &state.dir("private")?,
            policy(config)?.secrecy(Secrecy::Private),
        )?;
    }
    let cpus = host.cores.count();
    let capacity = Capacity {
        slots: config.slots.unwrap_or(cpus).max(1),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory: host.facts.memory_bytes / 100 * MEMORY_SHARE,
    };
    Ok((Arc::new(host), Arc::new(Budget::new(capacity))))
}

fn local_files(access: &Access) -> LocalFiles {
    match &access.local_artifacts {
        Some(directory) => LocalFiles::Beneath(directory.clone()),
        None => LocalFiles::Refused,
    }
}

fn policy(config: &Config) -> Result<FetchPolicy, Failure> {
    let access = &config.access;
    let mut policy = FetchPolicy::default().local_files(local_files(access));
    if access.private_addresses {
        policy = policy.addresses(Addresses::Any);
    }
    let pem = access
        .read_root_certificate()
        .map_err(|error| Failure::new(protocol::Code::Internal, error.to_string()))?;
    if let Some(pem) = pem {
        policy = policy.extra_root_pem(pem);
    }
    Ok(policy)
}

/// Tries until the engine answers or the daemon ends.
pub(super) async fn wait_for_engine(shared: &Shared) {
    let mut failures = 0;
    while !shared.stop.is_cancelled() {
        shared.turn();
        let config = shared.config();
        match open_host(&shared.state, &config).await {
            // It was asked for by a configuration that has changed meanwhile.
            Ok(_) if shared.config().wants_another_host_than(&config) => {}
            Ok(engine) => {
                shared.set_engine(Some(engine));
                return;
            }
            Err(failure) => {
                failures += 1;
                tracing::error!(code = %failure.code, message = failure.message, "no replay can run");
                shared.set_phase("paused", &failure.message).await;
                tokio::select! {
                    () = tokio::time::sleep(WAIT.after(failures)) => {}
                    () = shared.stop.cancelled() => return,
                }
            }
        }
    }
}

/// Asks the doctor until nothing fails any more, or the daemon ends.
pub(super) async fn wait_until_well(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        let reason = shared.wellness().paused().map(str::to_owned);
        let Some(reason) = reason else { return };
        shared.set_phase("paused", &reason).await;
        let image = shared.config().bounds.image.clone();
        let examination = Examination {
            state: &shared.state,
            image: image.as_deref().unwrap_or(DEFAULT_IMAGE),
            wallet: WalletFiles::default(),
        };
        let findings = examine(&examination, &|_| {}).await;
        // The key was read long ago; where it lies is not this host's condition.
        let failing = findings
            .iter()
            .find(|finding| finding.severity == Severity::Failure && finding.check != "wallet");
        match failing {
            None => {
                tracing::info!("doctor finds nothing that fails; work is taken again");
                shared.wellness().is_well_again();
                shared.wake.notify_one();
                return;
            }
            Some(finding) => {
                failures += 1;
                let (found, mend) = (&finding.found, &finding.mend);
                tracing::error!(check = finding.check, found, mend, "doctor: still not well");
                let reason = format!("{reason}; doctor: {}: {found}", finding.check);
                shared.set_phase("paused", &reason).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(WAIT.after(failures)) => {}
            () = shared.stop.cancelled() => return,
        }
    }
}
