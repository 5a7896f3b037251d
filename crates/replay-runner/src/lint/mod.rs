//! The posting checklist, done by a machine: is this task fit to be paid for?
//!
//! Some rules read the task file and the pinned tree, some replay the baseline,
//! and the last one rehearses the forgeries that miners will try.

mod content;
mod finding;
mod measured;
mod paths;
mod pinned;
mod rehearsal;

use protocol::{Code, Fault, Report};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::artifact::Watch;
use crate::failure::Failure;
use crate::host::Host;
use crate::patch::Patch;
use crate::progress::Progress;
use crate::replay::replay;
use crate::spec::{PartialSpec, Request, blocking};

pub use finding::{Finding, Rule, Severity};
pub use rehearsal::{Forgery, Rehearsed};

use finding::Findings;
use measured::Expected;
use pinned::Tree;

/// What an author brings beside the task.
#[derive(Debug, Clone, Default)]
pub struct Examples {
    /// A submission that should be better than the baseline.
    pub better: Option<Patch>,
    /// One that should be worse.
    pub worse: Option<Patch>,
}

/// Whether forgeries are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rehearse {
    /// All that make sense.
    Yes,
    /// None.
    No,
}

/// Everything that lint found: the object of `lint --format json`.
#[derive(Debug, Clone, Serialize)]
pub struct Linted {
    /// The version of this shape; fields are added, never renamed.
    pub schema_version: u32,
    /// The task's slug.
    pub task: String,
    /// Whether no rule is broken.
    pub passed: bool,
    /// The checklist, in order; each rule has at least one line.
    pub findings: Vec<Finding>,
    /// What came of each forgery.
    pub rehearsed: Vec<Rehearsed>,
}

/// Goes through the checklist for the task of `request`. Fails only where this
/// host cannot replay, or `cancel` stops it; what is wrong with the task is a finding.
pub async fn lint(
    host: &Host,
    request: &Request,
    examples: &Examples,
    rehearse: Rehearse,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Linted, Failure> {
    let mut found = Findings::default();
    let mut rehearsed = Vec::new();
    match read_tree(host, request, progress, cancel, &mut found).await {
        Ok(tree) => {
            static_rules(request, &tree, &mut found);
            rehearsed = replays(
                host, request, examples, rehearse, &tree, progress, cancel, &mut found,
            )
            .await?;
        }
        Err(failure) if is_ours(&failure) => return Err(failure),
        Err(failure) => {
            let rule = if failure.code == Code::CheckoutRefNotFound {
                Rule::Pinned
            } else {
                Rule::BaselineRuns
            };
            found.error(
                rule,
                failure.message,
                "`replay-runner run TASK` must be accepted",
            );
            for rule in Rule::ALL.iter().filter(|one| **one != rule) {
                found.skipped(*rule, "not looked at: the task cannot be prepared");
            }
        }
    }
    let findings = found.complete();
    Ok(Linted {
        schema_version: 1,
        task: request.task.slug.clone(),
        passed: findings
            .iter()
            .all(|finding| finding.severity != Severity::Error),
        findings,
        rehearsed,
    })
}

fn is_ours(failure: &Failure) -> bool {
    protocol::Outcome::of(failure.code, failure.control).fault == Some(Fault::Validator)
}

/// Pins the task and reads its tree.
async fn read_tree(
    host: &Host,
    request: &Request,
    progress: &dyn Progress,
    cancel: &CancellationToken,
    found: &mut Findings,
) -> Result<Tree, Failure> {
    let watch = Watch::default().cancelled_by(cancel.clone());
    let mut partial = PartialSpec::default();
    let prepared = request
        .prepare(host, &watch, progress, &mut partial)
        .await?;
    let (mirrors, source, commit) = (
        host.mirrors.clone(),
        prepared.source.clone(),
        prepared.spec.base_commit,
    );
    let task = request.task.clone();
    let tree = blocking(move || {
        let base = mirrors.pinned(&source, commit)?;
        Tree::read(&base, &task)
    })
    .await?;
    let private: Vec<_> = prepared
        .private_inputs
        .iter()
        .map(|(name, file)| (name.clone(), file.sha256()))
        .collect();
    content::hidden(&tree, &private, found);
    Ok(tree)
}

fn static_rules(request: &Request, tree: &Tree, found: &mut Findings) {
    let task = &request.task;
    pinned_by(request, found);
    paths::allowed(task, tree, found);
    paths::judges(task, tree, found);
    paths::score_stage(task, tree, found);
    content::stale(task, tree, found);
    content::setup_network(task, found);
    content::files(task, found);
    content::onboarding(task, tree, found);
}

/// Says what could move.
fn pinned_by(request: &Request, found: &mut Findings) {
    let task = &request.task;
    let reference = request.base_ref.as_ref().or(task.base_ref.as_ref());
    let is_commit = reference
        .is_some_and(|text| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    if !is_commit
        && task
            .repository
            .as_ref()
            .is_some_and(|text| text.contains("://"))
    {
        found.warning(
            Rule::Pinned,
            format!("base_ref {:?} can move", reference.map_or("(the default branch)", String::as_str)),
            "name the commit by its 40 digits; the coordinator pins what it finds when the task is posted",
        );
    }
    if let Some(image) = task
        .image
        .as_ref()
        .filter(|image| !image.contains("sha256:"))
    {
        found.warning(
            Rule::Pinned,
            format!("image {image:?} is a tag, which can be another image elsewhere"),
            "name it by digest where last digits matter: NAME@sha256:…",
        );
    }
}

/// A report that says something of the task; where this host failed or the replay
/// was stopped, there is nothing to judge by.
fn by_the_task(report: Report) -> Result<Report, Failure> {
    if report.fault == Some(Fault::Validator) {
        return Err(Failure::new(report.code, report.message));
    }
    Ok(report)
}

/// The rules that take replays.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of `lint`, cut off for its length"
)]
async fn replays(
    host: &Host,
    request: &Request,
    examples: &Examples,
    rehearse: Rehearse,
    tree: &Tree,
    progress: &dyn Progress,
    cancel: &CancellationToken,
    found: &mut Findings,
) -> Result<Vec<Rehearsed>, Failure> {
    let task = &request.task;
    let baseline = by_the_task(replay(host, request, progress, cancel).await.report)?;
    if !measured::baseline(task, &baseline, found) {
        for rule in [
            Rule::Direction,
            Rule::MetricRange,
            Rule::Headroom,
            Rule::Rehearsal,
        ] {
            found.skipped(rule, "not looked at: the baseline does not run");
        }
        return Ok(Vec::new());
    }
    let given = [
        (&examples.better, Expected::Better),
        (&examples.worse, Expected::Worse),
    ];
    for (patch, expected) in given {
        let Some(patch) = patch else { continue };
        let mut example = request.clone();
        example.submission.patch = Some(patch.clone());
        let report = by_the_task(replay(host, &example, progress, cancel).await.report)?;
        measured::direction(task, &baseline, &report, expected, found);
    }
    if examples.better.is_none() && examples.worse.is_none() {
        found.skipped(
            Rule::Direction,
            "not looked at: no submission was given with --better or --worse",
        );
    }
    if rehearse == Rehearse::No {
        found.skipped(Rule::Rehearsal, "not asked for");
        return Ok(Vec::new());
    }
    let rehearsed = rehearsal::rehearse(host, request, tree, &baseline, cancel).await?;
    for one in rehearsed.iter().filter(|one| one.scores) {
        found.error(
            Rule::Rehearsal,
            format!("a submission that {} would score", one.forgery.does()),
            one.forgery.mend(),
        );
    }
    if rehearsed.is_empty() {
        found.skipped(
            Rule::Rehearsal,
            "no Python, shell or C file may be changed, so there was nothing to try",
        );
    } else if rehearsed.iter().all(|one| !one.scores) {
        found.ok(
            Rule::Rehearsal,
            format!("{} forgeries tried, none scores", rehearsed.len()),
        );
    }
    Ok(rehearsed)
}
