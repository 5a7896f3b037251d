//! Lists are read newest first, one page at a time, by key and not by offset:
//! page one thousand costs what page one does.

use crate::error::{ApiError, ApiResult};
use crate::time::Timestamp;

/// Which part of a list is wanted.
#[derive(Debug, Clone)]
pub struct Page {
    /// Only what is older than this moment and id.
    pub before: (Timestamp, String),
    /// At most so many.
    pub limit: i64,
}

impl Page {
    /// The page of `limit` entries after `cursor`.
    pub fn new(limit: i64, cursor: Option<&str>) -> ApiResult<Self> {
        let before = match cursor {
            None => (Timestamp::from_micros(i64::MAX), String::new()),
            Some(text) => parse(text).ok_or_else(|| {
                ApiError::field("cursor", "is not a cursor that this service gave out")
            })?,
        };
        Ok(Self { before, limit })
    }

    /// The cursor of the page after an entry.
    pub fn cursor_after(created_at: Timestamp, id: &str) -> String {
        format!("{}_{id}", created_at.micros())
    }
}

fn parse(text: &str) -> Option<(Timestamp, String)> {
    let (micros, id) = text.split_once('_')?;
    let micros: i64 = micros.parse().ok()?;
    let id: uuid::Uuid = id.parse().ok()?;
    Some((Timestamp::from_micros(micros), id.to_string()))
}

/// One list query in four texts: with or without a filter by one column and by
/// another. A filter that is always there in the form `$1 = '' OR …` would cost
/// the index.
macro_rules! list_sql {
    ($columns:expr, $table:literal, $one:literal, $two:literal, ($first:expr, $second:expr)) => {
        match ($first.is_some(), $second.is_some()) {
            (false, false) => concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT $3"
            ),
            (true, false) => concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE (created_at, id) < ($1, $2) AND ",
                $one,
                " = $4 ORDER BY created_at DESC, id DESC LIMIT $3"
            ),
            (false, true) => concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE (created_at, id) < ($1, $2) AND ",
                $two,
                " = $4 ORDER BY created_at DESC, id DESC LIMIT $3"
            ),
            (true, true) => concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE (created_at, id) < ($1, $2) AND ",
                $one,
                " = $4 AND ",
                $two,
                " = $5 ORDER BY created_at DESC, id DESC LIMIT $3"
            ),
        }
    };
}
pub(crate) use list_sql;

/// Reads one page with [`list_sql`]'s text.
macro_rules! list {
    ($conn:expr, $row:ty, $columns:expr, $table:literal, $one:literal = $first:expr, $two:literal = $second:expr, $page:expr) => {{
        let (first, second): (Option<&str>, Option<&str>) = ($first, $second);
        let sql = crate::store::page::list_sql!($columns, $table, $one, $two, (first, second));
        let mut query = sqlx::query_as::<_, $row>(sql)
            .bind($page.before.0)
            .bind($page.before.1.clone())
            .bind($page.limit);
        for value in [first, second].into_iter().flatten() {
            query = query.bind(value.to_owned());
        }
        query.fetch_all($conn).await
    }};
}
pub(crate) use list;
