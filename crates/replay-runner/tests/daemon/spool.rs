//! The spool: what it takes, what it remembers, and what a power cut leaves.

use std::fs;

use protocol::Code;
use protocol::task::Redactor;
use replay_runner::daemon::ResultBody;
use replay_runner::daemon::client::WireJob;
use replay_runner::daemon::spool::{Admitted, Spool, overview};
use replay_runner::failure::Failure;

fn job(id: &str) -> WireJob {
    WireJob {
        job_id: id.to_owned(),
        submission_id: format!("of {id}"),
        document: "{\"private\": 1}".to_owned(),
        task_id: "task".to_owned(),
        created_at: 1,
        lease_expires_at: None,
    }
}

fn result(code: Code) -> ResultBody {
    ResultBody::unreplayed(&Failure::new(code, "why"), "of a", &Redactor::default())
}

#[tokio::test]
async fn a_job_goes_from_taken_to_posted_and_is_known_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    assert!(spool.wants("a").await.unwrap());
    assert_eq!(spool.admit(job("a")).await.unwrap(), Admitted::New);
    assert_eq!(spool.admit(job("a")).await.unwrap(), Admitted::Known);
    assert!(!spool.wants("a").await.unwrap());
    assert_eq!(spool.due().await.unwrap()[0].job_id, "a");
    spool.reserved("a").await.unwrap();
    assert!(spool.due().await.unwrap().is_empty());
    spool.started("a").await.unwrap();
    spool
        .finish("a", &result(Code::PatchEmpty), None, false)
        .await
        .unwrap();
    let outgoing = spool.outgoing().await.unwrap();
    assert!(
        outgoing[0].result.contains("\"patch.empty\""),
        "{outgoing:?}"
    );
    spool.posted("a").await.unwrap();
    assert!(spool.outgoing().await.unwrap().is_empty());
    assert_eq!(spool.admit(job("a")).await.unwrap(), Admitted::Known);
    let overview = overview(dir.path(), 5).unwrap().unwrap();
    assert_eq!(overview.last[0].code.as_deref(), Some("patch.empty"));
    assert_eq!(overview.counts.states["posted"], 1);
}

#[tokio::test]
async fn a_job_that_ended_in_an_error_is_taken_again_when_it_is_offered_again() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    spool.admit(job("a")).await.unwrap();
    spool
        .finish("a", &result(Code::SandboxStorageFull), None, false)
        .await
        .unwrap();
    spool.posted("a").await.unwrap();
    assert_eq!(spool.admit(job("a")).await.unwrap(), Admitted::New);
    assert_eq!(spool.due().await.unwrap()[0].attempts, 0);
}

#[tokio::test]
async fn what_was_running_when_the_power_went_has_its_turn_again_and_the_attempt_counts() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    for id in ["a", "b"] {
        spool.admit(job(id)).await.unwrap();
    }
    spool.reserved("a").await.unwrap();
    spool.started("a").await.unwrap();
    spool
        .finish("b", &result(Code::PatchEmpty), None, false)
        .await
        .unwrap();
    drop(spool);
    let spool = Spool::open(dir.path()).unwrap();
    assert_eq!(spool.recover().await.unwrap(), 1);
    let due = spool.due().await.unwrap();
    assert_eq!((due[0].job_id.as_str(), due[0].attempts), ("a", 1));
    assert_eq!(spool.outgoing().await.unwrap()[0].job_id, "b");
}

#[tokio::test]
async fn an_attempt_that_ends_without_a_word_leaves_its_job_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    spool.admit(job("a")).await.unwrap();
    spool.reserved("a").await.unwrap();
    spool.release("a").await.unwrap();
    assert_eq!(spool.unfinished().await.unwrap(), 1);
    spool
        .finish("a", &result(Code::PatchEmpty), None, false)
        .await
        .unwrap();
    spool.release("a").await.unwrap();
    assert_eq!(spool.outgoing().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_result_of_the_same_content_is_found_and_an_error_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let key = Some("key".to_owned());
    spool.admit(job("a")).await.unwrap();
    spool
        .finish("a", &result(Code::Internal), key.clone(), false)
        .await
        .unwrap();
    assert!(spool.earlier("key").await.unwrap().is_none());
    spool
        .finish("a", &result(Code::PatchEmpty), key, false)
        .await
        .unwrap();
    assert_eq!(
        spool.earlier("key").await.unwrap().unwrap().submission_id,
        "of a"
    );
}

#[tokio::test]
async fn a_damaged_spool_is_moved_aside_and_a_new_one_begins() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        Spool::path(dir.path()),
        "no database, however long it is".repeat(500),
    )
    .unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    assert_eq!(spool.admit(job("a")).await.unwrap(), Admitted::New);
    let kept = fs::read_dir(dir.path()).unwrap().flatten();
    let aside = kept.filter(|entry| entry.file_name().to_string_lossy().contains("damaged"));
    assert_eq!(aside.count(), 1);
}

#[tokio::test]
async fn nobody_else_reads_jobs_and_settled_ones_keep_no_private_words() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    for entry in fs::read_dir(dir.path()).unwrap().flatten() {
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} {mode:o}", entry.file_name());
    }
    spool.admit(job("a")).await.unwrap();
    spool
        .drop_job("a", "decided elsewhere".to_owned())
        .await
        .unwrap();
    spool.admit(job("b")).await.unwrap();
    spool
        .finish("b", &result(Code::PatchEmpty), None, false)
        .await
        .unwrap();
    spool.posted("b").await.unwrap();
    drop(spool);
    let bytes = fs::read(Spool::path(dir.path())).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("decided elsewhere"));
    assert!(
        !text.contains("private"),
        "a settled job's document is still in the file"
    );
}

#[test]
fn a_spool_of_a_newer_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Spool::open(dir.path()).unwrap());
    let path = Spool::path(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    // The version that the file's header carries for its user.
    bytes[60..64].copy_from_slice(&9_u32.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let refused = Spool::open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("version 9"), "{refused}");
}
