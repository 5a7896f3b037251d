//! Is a replay deterministic? A check replays one spec several times in the same
//! surroundings and then with one thing changed at a time, compares what it
//! observes, and says what the answer depends on.
//!
//! Blame follows from two kinds of evidence. Where repeats agree, a variation
//! that changes the answer, and does so again, is the cause. Where repeats differ
//! already, the cause is the variation that makes them agree: the same random
//! bytes for each run, the same addresses, memory filled with a pattern. What no
//! variation makes steady is the clock, if the value follows it, or a race.

mod agreement;
mod campaign;
mod cause;
mod diagnosis;
mod digits;
mod files;
mod kept;
mod key;
mod lab;
mod normalise;
mod observation;
mod reordered;
pub mod report;
mod setting;
mod statistics;
mod variation;
mod verdict;

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::host::Host;
use crate::progress::Progress;
use crate::spec::Request;

pub use agreement::{Needed, PROBABILITY};
pub use campaign::Plan;
pub use cause::Cause;
pub use diagnosis::{Example, Finding};
pub(crate) use files::FileDigests;
pub use kept::{KeepError, Kept};
pub use observation::Aspect;
pub use statistics::CONFIDENCE;
pub use variation::{Reach, UnknownVariation, Variation, parse_list};
pub use verdict::{Checked, MetricChecked, Tally, VariationChecked, VariationStatus, Verdict};

/// Hears which run of a check has ended: `repeat`, or a variation's name.
pub type Told<'a> = &'a (dyn Fn(&'static str) + Sync);

/// Checks `request` on `host` by `plan`. Fails if nothing could be compared: the
/// task or the patch is refused, the replay fails in each repeat alike, or this
/// host cannot run it.
///
/// With `kept`, the report of an earlier check that would have found the same is
/// returned in place of replays, and one that is made is kept there, whatever its
/// verdict: nothing that it depends on has changed.
pub async fn check(
    host: &Host,
    request: &Request,
    plan: &Plan,
    kept: Option<&Kept>,
    progress: &dyn Progress,
    told: Told<'_>,
    cancel: &CancellationToken,
) -> Result<Checked, Failure> {
    let started = Instant::now();
    let lab = lab::Lab::open(host, request, progress, cancel).await?;
    let kept = match kept {
        Some(kept) => Some((kept, key::Key::of(&lab, plan).await?)),
        None => None,
    };
    if let Some((kept, key)) = &kept
        && let Some(earlier) = kept.find(key)
    {
        return Ok(earlier);
    }
    let campaign = campaign::Campaign::run(&lab, plan, told).await?;
    if campaign.never_runs() {
        let first = &campaign.plain[0];
        return Err(Failure::new(first.code, first.message.clone()));
    }
    let findings = diagnosis::diagnose(&campaign);
    let checked = verdict::judge(&lab, request, &campaign, findings, started.elapsed());
    if let Some((kept, key)) = kept {
        kept.keep(key, &checked);
    }
    Ok(checked)
}
