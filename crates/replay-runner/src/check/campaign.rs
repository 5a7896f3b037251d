//! The runs of a check: repeats in the same surroundings, then each variation
//! alone and all together, then whatever is needed to be sure of what was seen.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::lab::Lab;
use super::observation::{Aspect, Observation};
use super::setting::{Listing, Setting};
use super::variation::Variation;
use crate::failure::Failure;

/// A chance agreement of unsteady runs should be rarer than this before a
/// variation is said to make them agree: each of [`CURES`] has its chance.
const CHANCE: f64 = 0.001;
/// Runs that agree so rarely were never seen to; it is not taken for never.
const RAREST: f64 = 0.05;
/// More runs than this are not made to tell a cure from chance.
const MOST_RUNS: u32 = 16;
/// So many runs with a variation have to differ from [`SURE_USUAL`] usual ones that
/// agree, before it is said to change a metric. Were there no difference, a value
/// of any frequency `q` would do that with a chance of `q^8 (1 - q)^6`: 1 in 14,000
/// at most, for one variation.
const SURE_CHANGED: usize = 6;
const SURE_USUAL: usize = 8;
/// Runs on a slow machine, to see a shift of a value that varies anyway.
const SLOW_RUNS: u32 = 4;

/// Variations that can make an unsteady program steady, since they fix what is
/// otherwise another thing in each run.
const CURES: &[Variation] = &[
    Variation::HashSeed,
    Variation::FreshMemory,
    Variation::Addresses,
    Variation::Entropy,
    Variation::Clock,
];

/// One variation, or all together, and what came of it.
#[derive(Debug)]
pub(crate) struct Tried {
    /// `None` for all together.
    pub(crate) variation: Option<Variation>,
    pub(crate) result: Result<Vec<Observation>, String>,
    settings: Vec<Setting>,
}

impl Tried {
    /// Its runs; none if it could not be made.
    pub(crate) fn runs(&self) -> &[Observation] {
        self.result.as_deref().unwrap_or_default()
    }

    /// Whether runs in the same surroundings differ among themselves in `aspect`, in
    /// which the plain ones agree.
    pub(crate) fn wavers(&self, aspect: &Aspect) -> bool {
        let kinds = self.settings.len().max(1);
        (0..kinds).any(|kind| {
            let mut runs = self.runs().iter().skip(kind).step_by(kinds);
            let first = runs.next().map(|run| run.text(aspect));
            runs.any(|run| Some(run.text(aspect)) != first)
        })
    }

    /// Its name in reports.
    pub(crate) fn name(&self) -> &'static str {
        self.variation.map_or("all-at-once", Variation::name)
    }
}

/// Everything that was run.
#[derive(Debug)]
pub(crate) struct Campaign {
    /// In the usual surroundings. The first ones are the repeats that were asked
    /// for, then those that confirm something.
    pub(crate) plain: Vec<Observation>,
    /// How many of those are repeats.
    pub(crate) repeats: usize,
    pub(crate) tried: Vec<Tried>,
}

impl Campaign {
    /// Every aspect of any run.
    pub(crate) fn aspects(&self) -> BTreeSet<Aspect> {
        let varied = self.tried.iter().flat_map(Tried::runs);
        self.plain
            .iter()
            .chain(varied)
            .flat_map(|run| run.aspects.keys().cloned())
            .collect()
    }

    /// Whether the plain runs differ in `aspect`.
    pub(crate) fn is_unsteady(&self, aspect: &Aspect) -> bool {
        let first = self.plain[0].text(aspect);
        self.plain.iter().any(|run| run.text(aspect) != first)
    }

    /// Whether every run of `tried` differs from the plain ones in `aspect`, which
    /// agree. Two directory orders are one variation: it is enough if one of
    /// them differs each time.
    pub(crate) fn changes(&self, tried: &Tried, aspect: &Aspect) -> bool {
        let usual = self.plain[0].text(aspect);
        let kinds = tried.settings.len().max(1);
        (0..kinds).any(|kind| {
            let mut runs = tried.runs().iter().skip(kind).step_by(kinds).peekable();
            runs.peek().is_some() && runs.all(|run| run.text(aspect) != usual)
        })
    }

    fn differs_somewhere(&self, tried: &Tried, aspect: &Aspect) -> bool {
        let usual = self.plain[0].text(aspect);
        tried.runs().iter().any(|run| run.text(aspect) != usual)
    }

    /// Whether the runs of `tried` agree in `aspect`, in which the plain ones do
    /// not, and that is no chance.
    pub(crate) fn cures(&self, tried: &Tried, aspect: &Aspect) -> bool {
        let needed = self.runs_for_cure(tried, aspect);
        tried.runs().len() as u64 >= u64::from(needed) && agree(tried, aspect)
    }

    /// How many runs of `tried` have to agree before it is no chance, from how often
    /// two others do: two plain ones, or any two without this variation, whichever
    /// agree more often. A few plain ones alone tell little.
    fn runs_for_cure(&self, tried: &Tried, aspect: &Aspect) -> u32 {
        let others = self.tried.iter().filter(|one| !std::ptr::eq(*one, tried));
        let others = others.flat_map(Tried::runs);
        let share = agreeing(self.plain.iter(), aspect)
            .max(agreeing(self.plain.iter().chain(others), aspect))
            .max(RAREST);
        let mut runs = 1;
        let mut chance = 1.0;
        while chance > CHANCE && runs <= MOST_RUNS {
            chance *= share;
            runs += 1;
        }
        if chance > CHANCE { u32::MAX } else { runs }
    }
}

/// Which share of the pairs of `runs` agree in `aspect`, by Laplace's rule of
/// succession: what was not seen in a few pairs may still be.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn agreeing<'a>(runs: impl Iterator<Item = &'a Observation>, aspect: &Aspect) -> f64 {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for run in runs {
        *counts.entry(run.text(aspect)).or_default() += 1;
    }
    let pairs = |count: usize| (count * count.saturating_sub(1) / 2) as f64;
    let agreeing: f64 = counts.values().map(|count| pairs(*count)).sum();
    (agreeing + 1.0) / (pairs(counts.values().sum()) + 2.0)
}

/// Whether there are runs and they agree in `aspect`.
fn agree(tried: &Tried, aspect: &Aspect) -> bool {
    let mut runs = tried.runs().iter().map(|run| run.text(aspect));
    let first = runs.next();
    first.is_some_and(|first| runs.all(|text| text == first))
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many runs in the usual surroundings; at least two.
    pub runs: u32,
    /// What to change.
    pub variations: Vec<Variation>,
}

impl Plan {
    /// How many runs in the usual surroundings there will be.
    pub(crate) fn repeats(&self) -> u32 {
        self.runs.max(2)
    }
}

impl Campaign {
    /// Runs `plan` in `lab`; `told` hears of every run that ended.
    pub(crate) async fn run(
        lab: &Lab<'_>,
        plan: &Plan,
        told: &(dyn Fn(&'static str) + Sync),
    ) -> Result<Self, Failure> {
        // The supervisor's measurements would see each other.
        let timed = lab.spec.metrics.iter().any(is_measured);
        let at_once = if timed { 1 } else { lab.at_once() };
        let usual = Setting::default();
        let repeats = plan.repeats() as usize;
        let plain = together(lab, vec![("repeat", &usual); repeats], at_once, told).await?;
        let mut campaign = Self {
            plain,
            repeats,
            tried: Vec::new(),
        };
        if campaign.never_runs() {
            return Ok(campaign);
        }
        campaign.tried = variations(lab, &plan.variations);
        campaign.first_round(lab, told).await?;
        campaign.all_at_once(lab, told).await?;
        campaign.confirm(lab, told).await?;
        campaign.look_for_cures(lab, told).await?;
        Ok(campaign)
    }

    /// Whether every repeat failed in the same way.
    pub(crate) fn never_runs(&self) -> bool {
        let code = self.plain[0].code;
        code != protocol::Code::Ok && self.plain.iter().all(|run| run.code == code)
    }

    /// Each variation once.
    async fn first_round(
        &mut self,
        lab: &Lab<'_>,
        told: &(dyn Fn(&'static str) + Sync),
    ) -> Result<(), Failure> {
        let all: Vec<usize> = (0..self.tried.len()).collect();
        self.more(lab, &all, 1, told).await?;
        for tried in &mut self.tried {
            let missing = match tried.settings.first().map(|one| &one.conditions.wrapper) {
                Some(wrapper) => wrapper.first().cloned(),
                None => None,
            };
            let not_started = tried
                .runs()
                .iter()
                .any(|run| run.exit_code == Some(127) && run.code != self.plain[0].code);
            if let Some(program) = missing
                && not_started
            {
                tried.result = Err(match tried.variation {
                    Some(Variation::Clock) => format!(
                        "the image has no {program}, and the kernel keeps one date for all containers"
                    ),
                    _ => format!("the image has no {program}"),
                });
            }
        }
        Ok(())
    }

    /// All that could be made, together.
    async fn all_at_once(
        &mut self,
        lab: &Lab<'_>,
        told: &(dyn Fn(&'static str) + Sync),
    ) -> Result<(), Failure> {
        let made = self.tried.iter().filter(|tried| tried.result.is_ok());
        let variations: Vec<Variation> = made.filter_map(|tried| tried.variation).collect();
        if variations.len() < 2 {
            return Ok(());
        }
        let facts = lab.facts();
        let composed = variations
            .iter()
            .try_fold(Setting::default(), |setting, one| {
                setting.with(*one, &facts)
            });
        let tried = match composed {
            Ok(setting) => Tried {
                variation: None,
                result: Ok(Vec::new()),
                settings: vec![setting],
            },
            Err(reason) => Tried {
                variation: None,
                result: Err(reason),
                settings: Vec::new(),
            },
        };
        self.tried.push(tried);
        let last = self.tried.len() - 1;
        self.more(lab, &[last], 1, told).await
    }

    /// What changed something has to do so again, and the usual surroundings must
    /// go on giving what they gave.
    async fn confirm(
        &mut self,
        lab: &Lab<'_>,
        told: &(dyn Fn(&'static str) + Sync),
    ) -> Result<(), Failure> {
        let aspects = self.aspects();
        let steady: Vec<&Aspect> = aspects
            .iter()
            .filter(|one| !self.is_unsteady(one))
            .collect();
        let changing: Vec<usize> = (0..self.tried.len())
            .filter(|index| {
                let tried = &self.tried[*index];
                steady.iter().any(|one| self.differs_somewhere(tried, one))
            })
            .collect();
        if changing.is_empty() {
            return Ok(());
        }
        self.more(lab, &changing, 1, told).await?;
        let usual = Setting::default();
        let plain = vec![("confirmation", &usual); changing.len().min(3)];
        let confirmed = together(lab, plain, lab.at_once(), told).await?;
        self.plain.extend(confirmed);
        self.insist(lab, told).await
    }

    /// What is going to decide is seen so often that it is no chance: a race that
    /// seldom shows would be laid on whatever was varied when it did.
    async fn insist(
        &mut self,
        lab: &Lab<'_>,
        told: &(dyn Fn(&'static str) + Sync),
    ) -> Result<(), Failure> {
        let aspects = self.aspects();
        let changing = |alone: bool| -> Vec<usize> {
            let steady = aspects.iter().filter(|one| one.decides());
            let steady: Vec<&Aspect> = steady.filter(|one| !self.is_unsteady(one)).collect();
            (0..self.tried.len())
                .filter(|index| {
                    let tried = &self.tried[*index];
                    tried.variation.is_some() == alone
                        && steady.iter().any(|aspect| self.changes(tried, aspect))
                })
                .collect()
        };
        let mut sought = changing(true);
        if sought.is_empty() {
            sought = changing(false);
        }
        if sought.is_empty() {
            return Ok(());
        }
        let usual = Setting::default();
        let missing = SURE_USUAL.saturating_sub(self.plain.len());
        let plain = vec![("confirmation", &usual); missing];
        let confirmed = together(lab, plain, lab.at_once(), told).await?;
        self.plain.extend(confirmed);
        for _ in 2..SURE_CHANGED {
            self.more(lab, &sought, 1, told).await?;
        }
        Ok(())
    }

    /// Where repeats alone differ: what makes them agree?
    async fn look_for_cures(
        &mut self,
        lab: &Lab<'_>,
        told: &(dyn Fn(&'static str) + Sync),
    ) -> Result<(), Failure> {
        let aspects = self.aspects();
        let mut unsteady: Vec<&Aspect> =
            aspects.iter().filter(|one| self.is_unsteady(one)).collect();
        // Where validators would disagree anyhow, what is printed is no concern.
        if unsteady.iter().any(|aspect| aspect.decides()) {
            unsteady.retain(|aspect| aspect.decides());
        }
        if unsteady.is_empty() {
            return Ok(());
        }
        for round in 1..=MOST_RUNS {
            let wanting: Vec<usize> = (0..self.tried.len())
                .filter(|index| {
                    let tried = &self.tried[*index];
                    let runs = u32::try_from(tried.runs().len()).unwrap_or(u32::MAX);
                    let may_cure = tried.variation.is_some_and(|one| CURES.contains(&one))
                        && unsteady.iter().any(|aspect| {
                            let needed = self.runs_for_cure(tried, aspect);
                            agree(tried, aspect) && runs < needed && needed <= MOST_RUNS
                        });
                    let is_slow = tried.variation == Some(Variation::Speed) && round == 1;
                    tried.result.is_ok() && (may_cure || (is_slow && runs < SLOW_RUNS))
                })
                .collect();
            if wanting.is_empty() {
                break;
            }
            let (slow, others): (Vec<usize>, Vec<usize>) = wanting
                .into_iter()
                .partition(|index| self.tried[*index].variation == Some(Variation::Speed));
            self.more(lab, &others, 1, told).await?;
            self.more(lab, &slow, SLOW_RUNS - 1, told).await?;
        }
        Ok(())
    }

    /// Runs each setting of the variations at `indices` so many times more.
    async fn more(
        &mut self,
        lab: &Lab<'_>,
        indices: &[usize],
        times: u32,
        told: &(dyn Fn(&'static str) + Sync),
    ) -> Result<(), Failure> {
        let mut jobs = Vec::new();
        let mut owners = Vec::new();
        for index in indices {
            let tried = &self.tried[*index];
            if tried.result.is_err() {
                continue;
            }
            for setting in (0..times).flat_map(|_| &tried.settings) {
                jobs.push((tried.name(), setting));
                owners.push(*index);
            }
        }
        let seen = together(lab, jobs, lab.at_once(), told).await?;
        for (index, run) in owners.into_iter().zip(seen) {
            if let Ok(runs) = &mut self.tried[index].result {
                runs.push(run);
            }
        }
        Ok(())
    }
}

/// What the machine's speed has a part in.
fn is_measured(metric: &protocol::spec::Metric) -> bool {
    metric.is_supervised()
        && !matches!(
            metric.name.as_str(),
            "supervisor.artifact_bytes" | "supervisor.patch_bytes"
        )
}

/// The variations with the settings that make them, before anything is run.
fn variations(lab: &Lab<'_>, chosen: &[Variation]) -> Vec<Tried> {
    let facts = lab.facts();
    let tried = |variation: &Variation| {
        let setting = Setting::default().with(*variation, &facts);
        let (result, settings) = match setting {
            Ok(setting) if *variation == Variation::DirectoryOrder => {
                let other = Setting {
                    listing: Some(Listing::Descending),
                    ..setting.clone()
                };
                (Ok(Vec::new()), vec![setting, other])
            }
            Ok(setting) => (Ok(Vec::new()), vec![setting]),
            Err(reason) => (Err(reason), Vec::new()),
        };
        Tried {
            variation: Some(*variation),
            result,
            settings,
        }
    };
    chosen.iter().map(tried).collect()
}

/// Runs `jobs`, at most so many at once; their observations in the same order.
async fn together(
    lab: &Lab<'_>,
    jobs: Vec<(&'static str, &Setting)>,
    at_once: usize,
    told: &(dyn Fn(&'static str) + Sync),
) -> Result<Vec<Observation>, Failure> {
    let runs = jobs.into_iter().map(|(name, setting)| async move {
        let seen = lab.run(setting).await;
        told(name);
        seen
    });
    stream::iter(runs).buffered(at_once).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> Aspect {
        Aspect::Metric("score".to_owned())
    }

    fn runs(values: &[&str]) -> Vec<Observation> {
        let run = |value: &&str| Observation {
            code: protocol::Code::Ok,
            message: String::new(),
            metrics: BTreeMap::new(),
            aspects: BTreeMap::from([(metric(), (*value).to_owned())]),
            exit_code: Some(0),
            began_at: 0.0,
            ended_at: 1.0,
        };
        values.iter().map(run).collect()
    }

    fn campaign(plain: &[&str], tried: &[(Variation, &[&str])]) -> Campaign {
        let tried = tried.iter().map(|(variation, values)| Tried {
            variation: Some(*variation),
            result: Ok(runs(values)),
            settings: vec![Setting::default()],
        });
        Campaign {
            plain: runs(plain),
            repeats: plain.len(),
            tried: tried.collect(),
        }
    }

    #[test]
    fn what_agrees_no_more_often_than_all_other_runs_do_is_no_cure() {
        let rarely = ["7"; 6];
        let often = ["7"; 12];
        let of_three = [("1", 4), ("2", 4), ("3", 4)];
        let mixed: Vec<&str> = of_three
            .iter()
            .flat_map(|(value, count)| vec![*value; *count])
            .collect();
        for (agreeing, others, cured) in [
            // Three plain runs that all differ, and nothing else is known.
            (&rarely[..3], &[][..], false),
            (&rarely[..], &[][..], true),
            // The others tell that there are three values in all.
            (&rarely[..], &mixed[..], false),
            (&often[..], &mixed[..], true),
        ] {
            let tried = [
                (Variation::Addresses, agreeing),
                (Variation::Hostname, others),
            ];
            let campaign = campaign(&["1", "2", "3"], &tried);
            let tried = &campaign.tried[0];
            assert_eq!(
                campaign.cures(tried, &metric()),
                cured,
                "{agreeing:?} beside {others:?}"
            );
        }
    }

    #[test]
    fn a_variation_whose_runs_differ_among_themselves_changes_nothing_but_wavers() {
        for (values, changes, wavers) in [
            (&["2", "2"][..], true, false),
            (&["2", "3"], true, true),
            (&["1", "2"], false, true),
            (&["1", "1"], false, false),
        ] {
            let campaign = campaign(&["1", "1"], &[(Variation::Memory, values)]);
            let tried = &campaign.tried[0];
            assert_eq!(campaign.changes(tried, &metric()), changes, "{values:?}");
            assert_eq!(tried.wavers(&metric()), wavers, "{values:?}");
        }
    }
}
