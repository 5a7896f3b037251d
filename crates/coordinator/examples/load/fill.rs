//! Fills the database as months of use would: one submission in ten pending, the
//! rest accepted, by a thousand miners.

use coordinator::store::Dialect;

use crate::service::Service;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) rows: i64,
    pub(crate) tasks: i64,
}

/// What is executed in turn; `$1` is the number of rows, `$2` that of tasks, `$3`
/// the time of the first, and `series(n)` has the rows' numbers.
const CLAIMS: &str = "INSERT INTO claims SELECT 'c' || n, (SELECT id FROM tasks WHERE slug = 'task-' || (n % $2)), \
    'm' || (n % 1000), 'x', NULL, NULL, 'submitted', 0, $3, $3 FROM series WHERE n <= $1";
const SUBMISSIONS: &str = "INSERT INTO submissions SELECT 's' || n, 'c' || n, \
    (SELECT id FROM tasks WHERE slug = 'task-' || (n % $2)), 'm' || (n % 1000), \
    CASE WHEN n % 10 = 0 THEN 'pending_verification' ELSE 'accepted' END, 'waiting', 'main', 'load', '{}', \
    NULL, NULL, NULL, 100, NULL, NULL, NULL, 'd' || n, NULL, NULL, '{\"score\":1}', NULL, \
    $3, $3 + n, $3, 'patch', '', '{}' FROM series WHERE n <= $1";
const STANDINGS: &str = "INSERT INTO standings SELECT task_id, miner_hotkey, MIN(id), COUNT(*) FROM submissions \
    WHERE status = 'accepted' AND created_at > $3 AND $1 > $2 GROUP BY task_id, miner_hotkey";
const BESTS: &str = "INSERT INTO bests SELECT MIN(submission_id), task_id, $3, NULL FROM standings \
    WHERE $1 > $2 GROUP BY task_id";

/// Fills it.
pub(crate) async fn fill(service: &Service, size: Size) -> anyhow::Result<()> {
    for number in 0..size.tasks {
        service.task(&format!("task-{number}")).await?;
    }
    let store = &service.app.store;
    let series = match store.dialect() {
        Dialect::Postgres => "WITH series AS (SELECT n FROM generate_series(1, $1) AS n) ",
        Dialect::Sqlite => {
            "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < $1) "
        }
    };
    let texts = [
        format!("{series}{CLAIMS}"),
        format!("{series}{SUBMISSIONS}"),
        STANDINGS.to_owned(),
        BESTS.to_owned(),
    ];
    let first = service.app.clock.now().micros() - size.rows - 1_000_000;
    store
        .write(move |conn| {
            Box::pin(async move {
                for text in texts {
                    sqlx::query(sqlx::AssertSqlSafe(text))
                        .bind(size.rows)
                        .bind(size.tasks)
                        .bind(first)
                        .execute(&mut *conn)
                        .await?;
                }
                Ok(())
            })
        })
        .await?;
    sqlx::query("ANALYZE").execute(store.reads()).await?;
    Ok(())
}
