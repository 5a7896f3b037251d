//! A replay from beginning to end: the only file that knows the whole order.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use protocol::report::{Report, Timing};
use protocol::{Code, Decimal, Outcome, ReplaySpec};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use crate::artifact::Watch;
use crate::bench::{Bench, Observed};
use crate::failure::Failure;
use crate::host::Host;
use crate::layout::{RunDir, Sides, lay_out_trees};
use crate::progress::{Event, Progress};
use crate::sandbox::{Conditions, EtcFiles, Sandbox, SandboxError, SandboxUser};
use crate::spec::{Prepared, Request};
use crate::stages::{Keep, REJECTION_MARKER};
use crate::workspace::WorkspaceError;

/// A replay that has ended.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// What was observed.
    pub report: Report,
    /// What was replayed; `None` if it could not be pinned.
    pub spec: Option<ReplaySpec>,
}

/// Replays `request` on `host`. There is always a report; cancelling gives one
/// with code `cancelled`, after the sandbox is gone.
pub async fn replay(
    host: &Host,
    request: &Request,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Replayed {
    let started = Instant::now();
    let mut seen = Observed::default();
    let result = observe(host, request, progress, cancel, &mut seen)
        .instrument(debug_span!("replay"))
        .await;
    let (outcome, message, metrics) = match result {
        Ok(metrics) => (
            Outcome::of(Code::Ok, None),
            "replayed to the end".to_owned(),
            metrics,
        ),
        Err(failure) => (
            Outcome::of(failure.code, failure.control),
            failure.message,
            BTreeMap::new(),
        ),
    };
    let total = started.elapsed().as_secs_f64();
    let inside: f64 = seen.stages.iter().map(|stage| stage.wall_seconds).sum();
    let report = Report {
        status: outcome.status,
        code: outcome.code,
        message: shortened(message),
        fault: outcome.fault,
        observed_metrics: metrics,
        spread: seen.spread,
        spec_digest: seen.partial.spec.as_ref().map(protocol::ReplaySpec::digest),
        base_commit: seen.partial.base_commit,
        patched_tree: seen.partial.patched_tree,
        image: seen.partial.image,
        result_digest: seen.result_digest,
        stages: seen.stages,
        notes: seen.notes,
        timing: Timing {
            total_seconds: total,
            overhead_seconds: (total - inside).max(0.0),
        },
    };
    Replayed {
        report,
        spec: seen.partial.spec,
    }
}

async fn observe(
    host: &Host,
    request: &Request,
    progress: &dyn Progress,
    cancel: &CancellationToken,
    seen: &mut Observed,
) -> Result<BTreeMap<String, Decimal>, Failure> {
    let watch = Watch::default().cancelled_by(cancel.clone());
    let prepared = request
        .prepare(host, &watch, progress, &mut seen.partial)
        .instrument(debug_span!("prepare"))
        .await?;
    seen.partial.spec = Some(prepared.spec.clone());
    progress.event(Event::Step("cores"));
    let cores = tokio::select! {
        cores = host.cores.reserve(prepared.spec.limits.cpus).instrument(debug_span!("cores")) => cores?,
        () = cancel.cancelled() => return Err(SandboxError::Cancelled.into()),
    };
    let room = RunDir::make(host)?;
    let trees = lay_out_trees(
        host,
        &prepared,
        prepared.patched.clone(),
        &room,
        cores.user(),
    )
    .instrument(debug_span!("lay_out"))
    .await?;
    let sides = Sides::new(request, &prepared, trees, &room)?;
    let etc = EtcFiles::write(host.files.path(), cores.user())
        .map_err(WorkspaceError::io("writing the files of /etc"))?;
    let place = Place {
        cpuset: cores.cpuset(),
        user: cores.user(),
        etc,
        conditions: Conditions::default(),
    };
    let sandbox = sandbox(host, &prepared, &room, place);
    let bench = Bench {
        host,
        keep: Keep::Metrics,
        prepared: &prepared,
        sides: &sides,
        sandbox: &sandbox,
        room: &room,
        progress,
        cancel,
    };
    let result = bench.candidate(seen).await;
    let result = match result {
        Err(failure) => Err(bench.attribute(failure, seen).await),
        Ok(metrics) => Ok(metrics),
    };
    drop(cores);
    result
}

/// Where on the host, and in what surroundings, the stages of a replay run.
pub(crate) struct Place {
    pub(crate) cpuset: String,
    pub(crate) user: SandboxUser,
    pub(crate) etc: EtcFiles,
    pub(crate) conditions: Conditions,
}

/// The sandbox for the stages of `prepared`.
pub(crate) fn sandbox(host: &Host, prepared: &Prepared, room: &RunDir, place: Place) -> Sandbox {
    let spec = &prepared.spec;
    // Shorter values are words such as "1" and "true", which are no secrets.
    let mut secrets: Vec<String> = spec
        .env
        .values()
        .filter(|value| value.len() >= 4)
        .cloned()
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut markers = vec![REJECTION_MARKER.to_owned()];
    if spec.result_path.is_none() {
        markers.extend(
            spec.metrics
                .iter()
                .filter(|metric| !metric.is_supervised())
                .map(|metric| metric.name.clone()),
        );
    }
    Sandbox {
        engine: host.engine.clone(),
        systemd_cgroups: host.facts.systemd_cgroups,
        owner: host.owner.id().to_owned(),
        replay: room.replay.clone(),
        image: prepared.image.clone(),
        limits: spec.limits.clone(),
        cpuset: place.cpuset,
        user: place.user,
        etc: place.etc,
        conditions: place.conditions,
        secrets,
        markers,
        begun: AtomicU32::new(0),
    }
}

/// A message is for a person; what names things in it may have been chosen by a miner.
fn shortened(message: String) -> String {
    const LONGEST: usize = 1024;
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}
