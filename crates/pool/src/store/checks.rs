//! What a verifier found about each published epoch. A finding is never changed.

use protocol::Sha256Digest;
use sqlx::Row as _;

use super::{Store, StoreError, read};

/// Whether an epoch follows from its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Right,
    /// It does not.
    Wrong,
}

/// A finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// About which epoch.
    pub epoch: u64,
    /// What was found.
    pub verdict: Verdict,
    /// The epoch file, where one was found.
    pub file_sha256: Option<Sha256Digest>,
    /// The evidence against it.
    pub evidence_sha256: Option<Sha256Digest>,
}

impl Store {
    /// The findings, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn checks(&self) -> Result<Vec<Check>, StoreError> {
        let rows = sqlx::query("SELECT * FROM checks ORDER BY epoch")
            .fetch_all(&self.pool)
            .await?;
        let mut checks = Vec::with_capacity(rows.len());
        for row in &rows {
            let digest = |name| -> Result<Option<Sha256Digest>, StoreError> {
                let value: Option<String> = row.try_get(name)?;
                value.map(|value| read("digest", &value)).transpose()
            };
            let verdict: String = row.try_get("verdict")?;
            checks.push(Check {
                epoch: read("epoch", &row.try_get::<String, _>("epoch")?)?,
                verdict: if verdict == "right" {
                    Verdict::Right
                } else {
                    Verdict::Wrong
                },
                file_sha256: digest("file_sha256")?,
                evidence_sha256: digest("evidence_sha256")?,
            });
        }
        Ok(checks)
    }

    /// Notes a finding, unless there is one about the same epoch.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_check(&self, check: Check) -> Result<(), StoreError> {
        let verdict = match check.verdict {
            Verdict::Right => "right",
            Verdict::Wrong => "wrong",
        };
        sqlx::query(
            "INSERT INTO checks (epoch, verdict, file_sha256, evidence_sha256) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (epoch) DO NOTHING",
        )
        .bind(format!("{:020}", check.epoch))
        .bind(verdict)
        .bind(check.file_sha256.map(|digest| digest.to_string()))
        .bind(check.evidence_sha256.map(|digest| digest.to_string()))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
