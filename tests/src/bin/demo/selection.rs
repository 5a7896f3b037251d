//! Which tasks and submissions are shown.

use anyhow::{Result, bail};
use system_tests::fixtures::{BASELINE, Fixture};

/// What is shown unless all of it is asked for.
const SHOWN: &[(&str, &[&str])] = &[
    (
        "digits-frontier",
        &[
            BASELINE,
            "larger-steps",
            "principal-components",
            "slow-learner",
            "syntax-error",
            "patch-the-scorer",
            "rewrite-the-scorer",
            "forge-result-file",
            "plant-modules",
            "nan-model",
            "hunt-for-labels",
            "memory-bomb",
            "flood-output",
            "never-ends",
        ],
    ),
    (
        "matmul-kernel",
        &[
            BASELINE,
            "tiles",
            "twice",
            "exit-early",
            "one-wrong-element",
            "endless-include",
        ],
    ),
    (
        "compressed-model",
        &[BASELINE, "four-bits", "one-bit", "wrong-digest", "pickle"],
    ),
];

/// The tasks, each with the cases to show: a selection, or all of them.
pub(crate) fn chosen(all: bool, task: Option<&str>) -> Result<Vec<Fixture>> {
    let mut chosen = Vec::new();
    for (name, shown) in SHOWN {
        if task.is_some_and(|wanted| wanted != *name) {
            continue;
        }
        let mut fixture = Fixture::load(name)?;
        if !all {
            let mut known = std::mem::take(&mut fixture.cases);
            for wanted in *shown {
                let Some(at) = known.iter().position(|case| case.name == *wanted) else {
                    bail!("{name} has no submission {wanted}");
                };
                fixture.cases.push(known.swap_remove(at));
            }
        }
        chosen.push(fixture);
    }
    if chosen.is_empty() {
        let known: Vec<&str> = SHOWN.iter().map(|(name, _)| *name).collect();
        bail!("no such task; there are {}", known.join(", "));
    }
    Ok(chosen)
}
