//! The one writer of an SQLite file. Changes that arrive while a transaction is
//! being written share the next one, each behind its own savepoint, so that a
//! disk flush is paid once for all of them; nobody is answered before it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{AnyPool, Connection as _};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Conn, Work};
use crate::error::{ApiError, ApiResult};

/// The most changes behind one commit: a bound on how long the first waits.
const GROUP: usize = 128;

/// Tells a caller how the commit went.
type Answer = Box<dyn FnOnce(Committed) + Send>;
type Job = Box<dyn for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Answer> + Send>;

#[derive(Clone, Copy)]
enum Committed {
    Yes,
    No,
}

#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
    stop: tokio_util::sync::CancellationToken,
}

impl Writer {
    pub(super) fn start(pool: AnyPool) -> Self {
        let (queue, jobs) = mpsc::channel(1024);
        let stop = tokio_util::sync::CancellationToken::new();
        let task = tokio::spawn(write_all(pool, jobs, stop.clone()));
        Self {
            queue,
            task: Arc::new(Mutex::new(Some(task))),
            stop,
        }
    }

    pub(super) async fn run<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |conn| Box::pin(in_savepoint(conn, work, sender)));
        let closed = || ApiError::unavailable("shutting_down", "the service is shutting down");
        self.queue.send(job).await.map_err(|_| closed())?;
        receiver.await.map_err(|_| closed())?
    }

    pub(super) async fn close(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take() {
            let _ = task.await;
        }
    }
}

async fn write_all(
    pool: AnyPool,
    mut jobs: mpsc::Receiver<Job>,
    stop: tokio_util::sync::CancellationToken,
) {
    loop {
        let first = tokio::select! {
            biased;
            job = jobs.recv() => job,
            () = stop.cancelled() => { jobs.close(); jobs.recv().await }
        };
        let Some(first) = first else { break };
        write_group(&pool, first, &mut jobs).await;
    }
    pool.close().await;
}

/// One transaction: the first change, and those that wait by now.
async fn write_group(pool: &AnyPool, first: Job, jobs: &mut mpsc::Receiver<Job>) {
    // A change whose transaction cannot begin is dropped with its channel,
    // which tells its caller that the service is unavailable.
    let mut transaction = match pool.begin_with("BEGIN IMMEDIATE").await {
        Ok(transaction) => transaction,
        Err(error) => return tracing::error!(%error, "cannot begin a transaction"),
    };
    let mut answers = vec![first(&mut transaction).await];
    while answers.len() < GROUP
        && let Ok(job) = jobs.try_recv()
    {
        answers.push(job(&mut transaction).await);
    }
    let committed = match transaction.commit().await {
        Ok(()) => Committed::Yes,
        Err(error) => {
            tracing::error!(%error, "cannot commit");
            Committed::No
        }
    };
    for answer in answers {
        answer(committed);
    }
}

async fn in_savepoint<T, F>(
    conn: &mut Conn,
    work: F,
    sender: oneshot::Sender<ApiResult<T>>,
) -> Answer
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
{
    let result = attempt(conn, work).await;
    Box::new(move |committed| {
        let result = match committed {
            Committed::Yes => result,
            Committed::No => Err(ApiError::unavailable(
                "database_busy",
                "the change was not written; try again",
            )),
        };
        // The caller may have hung up; the change stands all the same.
        let _ = sender.send(result);
    })
}

async fn attempt<T, F>(conn: &mut Conn, work: F) -> ApiResult<T>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
{
    let mut savepoint = conn.begin().await?;
    // A panic in one change must not take the others' transaction with it.
    let done = AssertUnwindSafe(work(&mut savepoint)).catch_unwind().await;
    match done {
        Ok(Ok(answer)) => {
            savepoint.commit().await?;
            Ok(answer)
        }
        Ok(Err(refusal)) => {
            savepoint.rollback().await?;
            Err(refusal)
        }
        Err(_) => {
            savepoint.rollback().await?;
            Err(ApiError::Internal("a change panicked".to_owned()))
        }
    }
}
