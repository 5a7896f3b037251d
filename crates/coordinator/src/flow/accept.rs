//! What follows when a submission is accepted: copies are found out, the best
//! changes, standings move, and ideas earn.

use protocol::Task;
use protocol::task::CompetitionMode;
use serde_json::json;

use super::leaders::entry;
use crate::error::ApiResult;
use crate::rules::consensus::Metrics;
use crate::rules::ranking::{Entry, Ranking};
use crate::store::events::{self, Cause, Event};
use crate::store::rows::{Flag, IdeaRewardRow, SubmissionRow};
use crate::store::{Conn, bests, ideas, submissions};

/// Applies an acceptance. The task's row is locked first, so that two
/// acceptances of one task never compare with the same best.
pub async fn accepted(
    conn: &mut Conn,
    task: &Task,
    submission: &SubmissionRow,
    metrics: &Metrics,
    cause: &Cause,
) -> ApiResult<()> {
    sqlx::query("UPDATE tasks SET updated_at = updated_at WHERE id = $1")
        .bind(submission.task_id.clone())
        .execute(&mut *conn)
        .await?;
    if settle_copies(conn, task, submission, cause).await? {
        return Ok(());
    }
    let improved = rank(conn, task, submission, metrics, cause).await?;
    stand(conn, task, submission).await?;
    reward_idea(conn, task, submission, improved, cause).await
}

/// Finds those with the same content: the same spec, or the same patched tree
/// and artifact. The earliest submitted one is the original, whoever was
/// replayed first. True if this one is a copy.
async fn settle_copies(
    conn: &mut Conn,
    task: &Task,
    submission: &SubmissionRow,
    cause: &Cause,
) -> ApiResult<bool> {
    let same = submissions::accepted_alike(conn, submission).await?;
    // An artifact is not in the tree: the same tree with another artifact is
    // other content.
    let mut same = same
        .into_iter()
        .filter(|other| other.artifact_sha256 == submission.artifact_sha256);
    let Some(original) = same.next() else {
        return Ok(false);
    };
    if original.id != submission.id {
        mark(conn, submission, &original.id, cause).await?;
        return Ok(true);
    }
    let mut vacated = false;
    for copy in same {
        mark(conn, &copy, &submission.id, cause).await?;
        vacated |= demote(conn, task, &copy, cause).await?;
    }
    if vacated {
        refill(conn, task, submission, cause).await?;
    }
    Ok(false)
}

async fn mark(conn: &mut Conn, copy: &SubmissionRow, of: &str, cause: &Cause) -> ApiResult<()> {
    submissions::mark_duplicate(conn, &copy.id, of, cause.at).await?;
    let event = Event {
        action: "submission.is_copy",
        subject: &copy.id,
        task_id: Some(&copy.task_id),
    };
    events::record(
        conn,
        &Cause::system(cause.at),
        event,
        &json!({"duplicate_of": of}),
    )
    .await
}

/// Takes the best, the standing and the idea's reward from a copy that was replayed before its
/// original. True if it was best.
async fn demote(
    conn: &mut Conn,
    task: &Task,
    copy: &SubmissionRow,
    cause: &Cause,
) -> ApiResult<bool> {
    let was_best = bests::leave(conn, &copy.id, cause.at).await?;
    bests::forget_standing(conn, &copy.task_id, &copy.miner_hotkey).await?;
    if ideas::revoke(conn, &copy.id).await? {
        let event = Event {
            action: "idea.reward_revoked",
            subject: &copy.id,
            task_id: Some(&copy.task_id),
        };
        events::record(conn, &Cause::system(cause.at), event, &json!({})).await?;
    }
    for own in bests::originals_of(conn, &copy.task_id, &copy.miner_hotkey).await? {
        stand(conn, task, &own).await?;
    }
    Ok(was_best)
}

/// Finds the best anew when a copy lost it: whoever the copy had displaced may
/// be better than the original's own replay.
async fn refill(
    conn: &mut Conn,
    task: &Task,
    submission: &SubmissionRow,
    cause: &Cause,
) -> ApiResult<()> {
    let ranking = Ranking::of(task);
    let mut best: Vec<Entry> = Vec::new();
    for row in bests::originals(conn, &submission.task_id).await? {
        // The new one is compared afterwards, as every new one is.
        if row.id == submission.id {
            continue;
        }
        if let Some(new) = entry(ranking, task, &row) {
            let change = ranking.admit(&new, &best);
            best.retain(|old| !change.leaves.contains(&old.id));
            if change.enters {
                best.push(new);
            }
        }
    }
    for one in best {
        bests::enter(conn, &submission.task_id, &one.id, cause.at).await?;
    }
    Ok(())
}

/// Compares with the current best. True if the submission is best, or on the
/// frontier, now.
async fn rank(
    conn: &mut Conn,
    task: &Task,
    submission: &SubmissionRow,
    metrics: &Metrics,
    cause: &Cause,
) -> ApiResult<bool> {
    let ranking = Ranking::of(task);
    let Some(new) = ranking.entry(task, &submission.id, metrics, submission.created_at) else {
        return Ok(false);
    };
    let current = bests::current(conn, &submission.task_id).await?;
    let current: Vec<Entry> = current
        .iter()
        .filter_map(|row| entry(ranking, task, row))
        .collect();
    let change = ranking.admit(&new, &current);
    for old in &change.leaves {
        bests::leave(conn, old, cause.at).await?;
    }
    if change.enters {
        bests::enter(conn, &submission.task_id, &submission.id, cause.at).await?;
        let event = Event {
            action: "best.changed",
            subject: &submission.id,
            task_id: Some(&submission.task_id),
        };
        events::record(
            conn,
            &Cause::system(cause.at),
            event,
            &json!({"replaces": change.leaves}),
        )
        .await?;
    }
    Ok(change.enters)
}

/// Counts the submission for its miner, and keeps the better of two as the
/// miner's own best.
async fn stand(conn: &mut Conn, task: &Task, submission: &SubmissionRow) -> ApiResult<()> {
    let ranking = Ranking::of(task);
    let held = bests::standing(conn, &submission.task_id, &submission.miner_hotkey).await?;
    let old = match held {
        Some(held) => submissions::find(conn, &held.submission_id).await?,
        None => None,
    };
    let is_best = match (entry(ranking, task, submission), old) {
        (Some(new), Some(old)) => {
            entry(ranking, task, &old).is_none_or(|old| ranking.order(&new, &old).is_lt())
        }
        (_, None) => true,
        (None, Some(_)) => false,
    };
    bests::count_accepted(conn, submission, is_best).await
}

/// Rewards the proposer of the idea that this submission implemented, if that
/// is another miner of the same task.
async fn reward_idea(
    conn: &mut Conn,
    task: &Task,
    submission: &SubmissionRow,
    improved: bool,
    cause: &Cause,
) -> ApiResult<()> {
    if task.competition_mode != CompetitionMode::Centerless {
        return Ok(());
    }
    let Some(idea) = &submission.implemented_submission_id else {
        return Ok(());
    };
    let Some(idea) = submissions::find(conn, idea).await? else {
        return Ok(());
    };
    if idea.miner_hotkey == submission.miner_hotkey || idea.task_id != submission.task_id {
        return Ok(());
    }
    let reward = IdeaRewardRow {
        idea_submission_id: idea.id.clone(),
        implementing_submission_id: submission.id.clone(),
        task_id: submission.task_id.clone(),
        proposer_hotkey: idea.miner_hotkey.clone(),
        implementer_hotkey: submission.miner_hotkey.clone(),
        improved_best: Flag(improved),
        created_at: cause.at,
    };
    ideas::insert(conn, &reward).await?;
    let event = Event {
        action: "idea.rewarded",
        subject: &idea.id,
        task_id: Some(&submission.task_id),
    };
    let detail = json!({"implemented_by": submission.id, "improved_best": improved});
    events::record(conn, &Cause::system(cause.at), event, &detail).await
}
