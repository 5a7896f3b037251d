//! Many rows, a few at a time, and what must hold when they are over.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::lab::Lab;
use super::row::{Row, row};

/// As many runners at a time: while one computes the other prepares. The
/// runners themselves see to it that stages do not share a core.
const AT_ONCE: usize = 3;

/// The rows of one test.
#[derive(Debug)]
pub struct Table {
    lab: Lab,
    rows: Vec<Row>,
}

impl Table {
    /// The `rows`, to be run in a place of their own.
    ///
    /// # Panics
    /// If there is no runner or no room for a directory.
    pub fn new(rows: Vec<Row>) -> Self {
        let lab = Lab::new().expect("a place to run in, and the runner is built");
        Self { lab, rows }
    }

    /// The rows that `rows` makes for a lab.
    ///
    /// # Panics
    /// If there is no runner or no room for a directory.
    pub fn in_lab(rows: impl FnOnce(&Lab) -> Vec<Row>) -> Self {
        let lab = Lab::new().expect("a place to run in, and the runner is built");
        let rows = rows(&lab);
        Self { lab, rows }
    }

    /// Runs every row, and then: nothing is left of any, and an honest replay
    /// gives what it gave before.
    ///
    /// # Panics
    /// With everything that is not so.
    pub fn holds(self) {
        let mut failures = honest_replay(&self.lab, "before the table");
        failures.extend(self.run_rows());
        match self.lab.residue() {
            Ok(left) => failures.extend(
                left.into_iter()
                    .map(|thing| format!("left behind: {thing}")),
            ),
            Err(error) => failures.push(format!("the engine cannot be asked: {error:#}")),
        }
        failures.extend(honest_replay(&self.lab, "after the table"));
        assert!(failures.is_empty(), "\n  {}\n", failures.join("\n  "));
    }

    fn run_rows(&self) -> Vec<String> {
        let queue = Mutex::new(self.rows.iter());
        let failures = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(row) = next else { break };
                        let found = problems(&self.lab, row);
                        failures
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .extend(found);
                    }
                });
            }
        });
        failures
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong with one row; empty if all is well.
pub fn problems(lab: &Lab, row: &Row) -> Vec<String> {
    let found = match lab.replay(row) {
        Ok(seen) => row.differences(&seen),
        Err(error) => vec![format!("{error:#}")],
    };
    found
        .into_iter()
        .map(|problem| format!("{row:?}\n    {problem}"))
        .collect()
}

/// What is wrong with a replay that nothing should disturb.
pub fn honest_replay(lab: &Lab, when: &'static str) -> Vec<String> {
    let honest = row("honest", when)
        .miner("echo '{\"score\": 7.250}' > result.json")
        .scores("7.250");
    problems(lab, &honest)
}
