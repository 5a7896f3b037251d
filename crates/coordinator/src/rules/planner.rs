//! The planner: the current best and the open ideas of a task as work items.
//! The same state gives the same plan, and planning twice changes nothing.

use protocol::task::{CompetitionMode, Direction, Task};

/// What kind of work an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is accepted yet.
    FirstResult,
    /// Beat the best.
    ImproveBest,
    /// Implement what another miner proposed.
    ImplementIdea,
}

impl Kind {
    /// The text on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstResult => "first_result",
            Self::ImproveBest => "improve_best",
            Self::ImplementIdea => "implement_idea",
        }
    }
}

/// A work item to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What kind.
    pub kind: Kind,
    /// What it follows from: with the kind, its identity.
    pub source: String,
    /// Larger is more urgent.
    pub priority: i64,
    /// One line.
    pub title: String,
    /// What to do.
    pub description: String,
    /// The submission to build on.
    pub base_submission_id: Option<String>,
    /// The submission whose idea it is.
    pub idea_submission_id: Option<String>,
}

/// A best submission as the planner sees it.
#[derive(Debug)]
pub struct Best {
    /// The submission.
    pub id: String,
    /// The deciding metric's text.
    pub metric: String,
}

/// A proposed idea as the planner sees it.
#[derive(Debug)]
pub struct Idea {
    /// The submission that proposed it.
    pub submission_id: String,
    /// Its text, a miner's.
    pub text: String,
}

/// How much of a miner's text a title repeats.
const TITLE_CHARS: usize = 80;

/// The plan of a task. `ideas` come newest first.
pub fn plan(task: &Task, bests: &[Best], ideas: &[Idea]) -> Vec<Planned> {
    let mut items = Vec::new();
    if bests.is_empty() {
        items.push(first_result(task));
    }
    items.extend(bests.iter().map(|best| improve(task, best)));
    if task.competition_mode == CompetitionMode::Centerless {
        let newest_first = ideas.iter().zip((0..50i64).rev());
        items.extend(newest_first.map(|(idea, rank)| implement(idea, rank)));
    }
    items
}

fn first_result(task: &Task) -> Planned {
    Planned {
        kind: Kind::FirstResult,
        source: "task".to_owned(),
        priority: 100,
        title: format!("Be the first to improve {}", task.metric_name),
        description: "Nothing is accepted yet: any honest result is the best one.".to_owned(),
        base_submission_id: None,
        idea_submission_id: None,
    }
}

fn improve(task: &Task, best: &Best) -> Planned {
    let aim = match task.metric_direction {
        Direction::Minimize => "below",
        Direction::Maximize => "above",
    };
    Planned {
        kind: Kind::ImproveBest,
        source: best.id.clone(),
        priority: 80,
        title: format!("Bring {} {aim} {}", task.metric_name, best.metric),
        description: format!("Start from submission {} and improve on it.", best.id),
        base_submission_id: Some(best.id.clone()),
        idea_submission_id: None,
    }
}

fn implement(idea: &Idea, rank: i64) -> Planned {
    let title: String = idea.text.chars().take(TITLE_CHARS).collect();
    Planned {
        kind: Kind::ImplementIdea,
        source: idea.submission_id.clone(),
        priority: 10 + rank,
        title: format!("Implement: {title}"),
        description: idea.text.clone(),
        base_submission_id: None,
        idea_submission_id: Some(idea.submission_id.clone()),
    }
}
