//! Where the time of one replay goes, by the engine's own spans.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use protocol::Status;
use replay_runner::host::{Host, HostOptions};
use replay_runner::patch::Patch;
use replay_runner::progress::Silent;
use replay_runner::replay::replay;
use replay_runner::spec::{Request, Submission};
use replay_runner::state::State;
use replay_runner::task;
use tokio_util::sync::CancellationToken;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::sample::Samples;
use crate::section::Bench;
use crate::tasks::{Made, Wanted};

/// Sums the time between the making and the closing of spans, by name.
#[derive(Debug, Clone, Default)]
struct Phases(Arc<Mutex<Vec<Phase>>>);

/// The spans of one name at one place.
#[derive(Debug, Clone)]
struct Phase {
    /// The names of the spans around it, outermost first, and its own.
    path: Vec<&'static str>,
    wall: Duration,
    count: u32,
}

struct Opened(Instant);

impl Phases {
    fn take(&self) -> Vec<Phase> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The place of a name in the order in which the spans were opened.
    fn open(&self, path: Vec<&'static str>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().all(|phase| phase.path != path) {
            known.push(Phase {
                path,
                wall: Duration::ZERO,
                count: 0,
            });
        }
    }

    fn close(&self, path: &[&'static str], wall: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(phase) = known.iter_mut().find(|phase| phase.path == path) {
            phase.wall += wall;
            phase.count += 1;
        }
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Phases {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !attributes.metadata().target().starts_with("replay_runner") {
            return;
        }
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Opened(Instant::now()));
            self.open(span.scope().from_root().map(|span| span.name()).collect());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let opened = span.extensions().get::<Opened>().map(|opened| opened.0);
        if let Some(opened) = opened {
            let path: Vec<_> = span.scope().from_root().map(|span| span.name()).collect();
            self.close(&path, opened.elapsed());
        }
    }
}

/// Replays in this process, and prints what each phase took.
pub(crate) fn of_a_replay(bench: &Bench) -> Result<()> {
    let made = bench.workshop.task(&Wanted {
        name: "phases",
        stages: 3,
        ..Wanted::default()
    })?;
    let state = bench.workshop.path("phases-state");
    let phases = Phases::default();
    let subscriber = tracing_subscriber::registry().with(phases.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut seen = Seen::default();
    let rounds = bench.effort.rounds;
    tracing::subscriber::set_global_default(subscriber)?;
    for round in 0..=rounds {
        let total = runtime.block_on(once(&made, &state))?;
        let taken = phases.take();
        // The first one fetches.
        if round > 0 {
            seen.add(total, taken);
        }
    }
    println!(
        "\nwhere the time of a replay with three stages goes (medians of {rounds}, in this process)"
    );
    seen.print();
    Ok(())
}

async fn once(made: &Made, state: &std::path::Path) -> Result<f64> {
    let started = Instant::now();
    let source = task::load(&made.directory)?;
    let request = Request {
        task: source.task,
        directory: source.directory,
        repository: None,
        base_ref: None,
        submission: Submission {
            patch: Some(Patch::new(std::fs::read(&made.patch)?)),
            ..Submission::default()
        },
    };
    let failed = |failure: replay_runner::failure::Failure| anyhow::anyhow!("{failure:?}");
    let state = State::open(state)?;
    let host = Host::open(state, HostOptions::default())
        .await
        .map_err(failed)?;
    let report = replay(&host, &request, &Silent, &CancellationToken::new())
        .await
        .report;
    drop(host);
    ensure!(
        report.status == Status::Accepted,
        "{}: {}",
        report.code,
        report.message
    );
    Ok(started.elapsed().as_secs_f64())
}

/// What several replays took, by phase, in the order of the first.
#[derive(Default)]
struct Seen {
    order: Vec<Vec<&'static str>>,
    walls: BTreeMap<Vec<&'static str>, Samples>,
    count: BTreeMap<Vec<&'static str>, u32>,
    totals: Samples,
}

impl Seen {
    fn add(&mut self, total: f64, phases: Vec<Phase>) {
        self.totals.push(total);
        for phase in phases {
            if !self.order.contains(&phase.path) {
                self.order.push(phase.path.clone());
            }
            self.count.insert(phase.path.clone(), phase.count);
            let walls = self.walls.entry(phase.path).or_default();
            walls.push(phase.wall.as_secs_f64() * 1e3);
        }
    }

    fn print(&self) {
        let total = self.totals.median();
        println!("  {:<36} {:>8.1} ms", "all", total * 1e3);
        // Depth first: a phase stands below the one that it is part of.
        let mut order = self.order.clone();
        let rank = |path: &[&'static str]| -> Vec<usize> {
            let prefixes = (1..=path.len()).map(|end| &path[..end]);
            prefixes
                .map(|prefix| {
                    self.order
                        .iter()
                        .position(|known| known == prefix)
                        .unwrap_or(usize::MAX)
                })
                .collect()
        };
        order.sort_by_key(|path| rank(path));
        for path in &order {
            let name = path.last().copied().unwrap_or_default();
            let count = self.count.get(path).copied().unwrap_or_default();
            let times = if count > 1 {
                format!("{count} ×")
            } else {
                String::new()
            };
            let wall = self.walls[path].median();
            let label = format!("{}{name}", "  ".repeat(path.len()));
            println!(
                "  {label:<36} {wall:>8.1} ms {:>4.0} %  {times}",
                wall / total / 10.0
            );
        }
    }
}
