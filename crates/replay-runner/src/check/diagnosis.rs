//! From runs to causes, by evidence: what changes the answer, or is the only
//! thing that makes it steady.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::campaign::{Campaign, Tried};
use super::cause::Cause;
use super::observation::{Aspect, Observation};
use super::statistics::median;
use super::variation::{Reach, Variation};

/// Values on a slow machine that are so many times as large, or as small, are
/// no chance if none of them is among the usual ones.
const SHIFT: f64 = 1.5;
/// A clock in a result was read at most so long before or after the run, in seconds.
const CLOCK_SLACK: f64 = 2.0;

/// Two texts that should be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What they are of.
    pub aspect: Aspect,
    /// Where the first was seen.
    pub left_run: String,
    /// The first; a line of it, if it has several.
    pub left: String,
    /// Where the second was seen.
    pub right_run: String,
    /// The second.
    pub right: String,
    /// Which line, from 1, if there are several.
    pub line: Option<usize>,
}

/// One reason why replays differ.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// Why.
    pub cause: Cause,
    /// It in words.
    pub title: String,
    /// Whether honest hosts can differ in it.
    pub reach: Reach,
    /// In what replays differ, what decides first.
    pub aspects: Vec<Aspect>,
    /// Whether validators would disagree.
    pub decides: bool,
    /// What was seen.
    pub evidence: String,
    /// The first difference of each kind, side by side.
    pub examples: Vec<Example>,
    /// What to do.
    pub hint: String,
}

/// A cause, and how it is known.
struct Blame<'a> {
    cause: Cause,
    evidence: String,
    /// What to show beside the first plain run.
    other: (&'a str, &'a Observation),
}

/// Every cause that the runs of `campaign` show.
pub(crate) fn diagnose(campaign: &Campaign) -> Vec<Finding> {
    let mut findings: BTreeMap<Cause, Finding> = BTreeMap::new();
    let mut unsteady = false;
    for aspect in campaign.aspects() {
        let blames = if campaign.is_unsteady(&aspect) {
            // Times and random bytes in what is printed beside a steady metric
            // matter to nobody who compares metrics.
            unsteady |= aspect.decides();
            if unsteady && !aspect.decides() {
                continue;
            }
            vec![why_unsteady(campaign, &aspect)]
        } else {
            why_changed(campaign, &aspect)
        };
        for blame in blames {
            let (name, other) = blame.other;
            let finding = findings.entry(blame.cause).or_insert_with(|| Finding {
                cause: blame.cause,
                title: blame.cause.title().to_owned(),
                reach: blame.cause.reach(),
                aspects: Vec::new(),
                decides: false,
                evidence: blame.evidence,
                examples: Vec::new(),
                hint: blame.cause.hint().to_owned(),
            });
            finding.decides |= aspect.decides();
            finding.add_example(&aspect, &campaign.plain[0], name, other);
            finding.aspects.push(aspect.clone());
        }
    }
    let mut findings: Vec<Finding> = findings.into_values().collect();
    findings.sort_by_key(|finding| !finding.decides);
    findings
}

impl Finding {
    /// The first difference in an aspect of this kind.
    fn add_example(
        &mut self,
        aspect: &Aspect,
        usual: &Observation,
        name: &str,
        other: &Observation,
    ) {
        let kind = std::mem::discriminant(aspect);
        let known = |example: &Example| std::mem::discriminant(&example.aspect) == kind;
        if self.examples.iter().any(known) {
            return;
        }
        let (left, right) = (usual.text(aspect), other.text(aspect));
        let (line, left, right) = first_difference(left, right);
        self.examples.push(Example {
            aspect: aspect.clone(),
            left_run: "the first run".to_owned(),
            left,
            right_run: name.to_owned(),
            right,
            line,
        });
    }
}

/// The first line that differs, with its number.
fn first_difference(left: Option<&str>, right: Option<&str>) -> (Option<usize>, String, String) {
    const ABSENT: &str = "(not there)";
    let (Some(left), Some(right)) = (left, right) else {
        let shown = |text: Option<&str>| {
            text.map_or(ABSENT, |text| text.lines().next().unwrap_or(""))
                .to_owned()
        };
        return (None, shown(left), shown(right));
    };
    let (mut lefts, mut rights) = (left.lines(), right.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (lefts.next(), rights.next()) {
            (None, None) => return (None, left.to_owned(), right.to_owned()),
            (a, b) if a != b => {
                let several = left.lines().count() > 1 || right.lines().count() > 1;
                let text = |line: Option<&str>| line.unwrap_or(ABSENT).to_owned();
                return (several.then_some(number), text(a), text(b));
            }
            _ => {}
        }
    }
}

/// What changes `aspect`, in which repeats agree.
fn why_changed<'a>(campaign: &'a Campaign, aspect: &Aspect) -> Vec<Blame<'a>> {
    let count = campaign.plain.len();
    let blame = |tried: &'a Tried, cause: Cause| {
        let runs = tried.runs().len();
        let evidence = match tried.variation {
            Some(variation) => format!(
                "{count} runs in the usual surroundings agree; {variation} ({}) changes it in each of {runs} runs",
                variation.changes()
            ),
            None => format!(
                "{count} runs in the usual surroundings agree, no variation alone changes it, and all together do"
            ),
        };
        let usual = campaign.plain[0].text(aspect);
        let differs = |run: &&Observation| run.text(aspect) != usual;
        let other = tried.runs().iter().find(differs)?;
        Some(Blame {
            cause,
            evidence,
            other: (tried.name(), other),
        })
    };
    let changing = |alone: bool| {
        campaign.tried.iter().filter(move |tried| {
            tried.variation.is_some() == alone && campaign.changes(tried, aspect)
        })
    };
    let alone: Vec<Blame<'_>> = changing(true)
        .filter_map(|tried| blame(tried, Cause::of(tried.variation?)))
        .collect();
    if !alone.is_empty() {
        return alone;
    }
    let together: Vec<Blame<'_>> = changing(false)
        .filter_map(|tried| blame(tried, Cause::Combination))
        .collect();
    if !together.is_empty() {
        return together;
    }
    why_wavering(campaign, aspect).into_iter().collect()
}

/// What is seen of a deciding `aspect` in which repeats agree, and nothing changes it
/// each time, but some runs in equal surroundings differ.
fn why_wavering<'a>(campaign: &'a Campaign, aspect: &Aspect) -> Option<Blame<'a>> {
    let usual = campaign.plain[0].text(aspect);
    let wavers = |tried: &&Tried| aspect.decides() && tried.wavers(aspect);
    let tried = campaign.tried.iter().find(wavers)?;
    let other = tried.runs().iter().find(|run| run.text(aspect) != usual)?;
    let cause = match tried.variation {
        Some(Variation::Speed) => Cause::Time,
        _ => Cause::Race,
    };
    Some(Blame {
        cause,
        evidence: format!(
            "{} runs in the usual surroundings agree; {} runs with {} do not, among themselves",
            campaign.plain.len(),
            tried.runs().len(),
            tried.name()
        ),
        other: (tried.name(), other),
    })
}

/// Why repeats differ in `aspect`.
fn why_unsteady<'a>(campaign: &'a Campaign, aspect: &Aspect) -> Blame<'a> {
    let usual = campaign.plain[0].text(aspect);
    let number = campaign
        .plain
        .iter()
        .position(|run| run.text(aspect) != usual)
        .unwrap_or(0);
    let other = (
        "another run in the same surroundings",
        &campaign.plain[number],
    );
    let count = campaign.plain.len();
    let cure = [
        Variation::Clock,
        Variation::HashSeed,
        Variation::FreshMemory,
        Variation::Addresses,
        Variation::Entropy,
    ]
    .into_iter()
    .find_map(|variation| {
        let tried = campaign
            .tried
            .iter()
            .find(|tried| tried.variation == Some(variation))?;
        campaign
            .cures(tried, aspect)
            .then_some((variation, tried.runs().len()))
    });
    if let Some((variation, runs)) = cure {
        return Blame {
            cause: Cause::of(variation),
            evidence: format!(
                "{count} runs in the same surroundings differ; with {variation} ({}) {runs} of {runs} agree",
                variation.changes()
            ),
            other,
        };
    }
    if let Some(evidence) = clock_in(campaign, aspect).or_else(|| shift_of_speed(campaign, aspect))
    {
        return Blame {
            cause: Cause::Time,
            evidence,
            other,
        };
    }
    let mut texts: Vec<_> = campaign.plain.iter().map(|run| run.text(aspect)).collect();
    texts.sort_unstable();
    texts.dedup();
    Blame {
        cause: Cause::Race,
        evidence: format!(
            "{count} runs in the same surroundings gave {} different values, and neither the same random bytes, hash seed, addresses nor memory make them agree: what is left is who comes first",
            texts.len()
        ),
        other,
    }
}

/// Whether the metric is the time at which it was computed.
fn clock_in(campaign: &Campaign, aspect: &Aspect) -> Option<String> {
    let units = [
        ("seconds", 1.0),
        ("milliseconds", 1e3),
        ("microseconds", 1e6),
        ("nanoseconds", 1e9),
    ];
    let is_clock = |scale: f64| {
        campaign.plain.iter().all(|run| {
            let value = run.text(aspect).and_then(|text| text.parse::<f64>().ok());
            value.is_some_and(|value| {
                let seconds = value / scale;
                (run.began_at - CLOCK_SLACK..=run.ended_at + CLOCK_SLACK).contains(&seconds)
            })
        })
    };
    let (unit, _) = units.into_iter().find(|(_, scale)| is_clock(*scale))?;
    Some(format!(
        "in each of {} runs the value is the time of that run, in {unit} since 1970",
        campaign.plain.len()
    ))
}

/// Whether a slower machine moves the value, out of all that it usually is.
fn shift_of_speed(campaign: &Campaign, aspect: &Aspect) -> Option<String> {
    let slow = campaign
        .tried
        .iter()
        .find(|tried| tried.variation == Some(Variation::Speed))?;
    let values = |runs: &[Observation]| -> Option<Vec<f64>> {
        runs.iter()
            .map(|run| run.text(aspect)?.parse().ok())
            .collect()
    };
    let (usual, slowed) = (values(&campaign.plain)?, values(slow.runs())?);
    if slowed.len() < 3 {
        return None;
    }
    let bounds = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    };
    let ((low, high), (slow_low, slow_high)) = (bounds(&usual), bounds(&slowed));
    let ratio = (median(&slowed) / median(&usual)).abs();
    let moved = (slow_low > high && ratio >= SHIFT) || (slow_high < low && ratio <= 1.0 / SHIFT);
    moved.then(|| {
        format!(
            "{} runs gave {low} to {high}; on a quarter of the processor's speed {} runs gave {slow_low} to {slow_high}",
            usual.len(),
            slowed.len()
        )
    })
}
