//! Reports of earlier checks in a directory, each in a file that is named by the
//! digest of its key. Whoever may write there decides what is reported.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::verdict::Checked;
use crate::readable::write_readable;

/// A directory of finished reports.
#[derive(Debug, Clone)]
pub struct Kept {
    directory: PathBuf,
}

/// Reports cannot be kept in a directory.
#[derive(Debug, thiserror::Error)]
#[error("reports cannot be kept in {}: {source}", directory.display())]
pub struct KeepError {
    directory: PathBuf,
    source: io::Error,
}

/// The content of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: Key,
    report: Checked,
}

/// As much of a file as any version of it has.
#[derive(Debug, Deserialize)]
struct AnyEntry {
    report: AnyReport,
}

#[derive(Debug, Deserialize)]
struct AnyReport {
    schema_version: u32,
}

/// Why a file that is there is of no use.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error("its schema version is {0}, and this runner knows {known}", known = Checked::SCHEMA_VERSION)]
    OtherSchema(u32),
    #[error("it is the report of another check")]
    OtherKey,
}

impl Kept {
    /// Makes `directory` unless it is there, and tries to write to it, so that a
    /// wrong path is known before the replays.
    ///
    /// # Errors
    /// [`KeepError`] if no file can be made in it.
    pub fn open(directory: &Path) -> Result<Self, KeepError> {
        fs::create_dir_all(directory)
            .and_then(|()| tempfile::tempfile_in(directory))
            .map_err(|source| KeepError {
                directory: directory.to_owned(),
                source,
            })?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// The report of a check with `key`, marked as an earlier one's. A file that
    /// cannot be it is left to be replaced, with a warning.
    pub(super) fn find(&self, key: &Key) -> Option<Checked> {
        let path = self.path(key).ok()?;
        match read(&path, key) {
            Ok(report) => Some(Checked {
                reused: true,
                ..report
            }),
            Err(Unusable::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(why) => {
                tracing::warn!(file = %path.display(), %why, "an earlier report is of no use; checking again");
                None
            }
        }
    }

    /// Keeps `report` for the next check with `key`: at once or not at all, in
    /// place of what is there. What was found stands even if that fails.
    pub(super) fn keep(&self, key: Key, report: &Checked) {
        if let Err(error) = self.write(key, report) {
            tracing::warn!(%error, "the next check cannot reuse this one");
        }
    }

    fn write(&self, key: Key, report: &Checked) -> Result<(), KeepError> {
        let failed = |source| KeepError {
            directory: self.directory.clone(),
            source,
        };
        let path = self.path(&key).map_err(|error| failed(error.into()))?;
        let entry = Entry {
            key,
            report: report.clone(),
        };
        let mut json = serde_json::to_vec_pretty(&entry).map_err(|error| failed(error.into()))?;
        json.push(b'\n');
        // A CI system saves it as another user than the one who replays.
        write_readable(&path, &json).map_err(failed)
    }

    fn path(&self, key: &Key) -> Result<PathBuf, serde_json::Error> {
        Ok(self.directory.join(key.file_name()?))
    }
}

fn read(path: &Path, key: &Key) -> Result<Checked, Unusable> {
    let json = fs::read(path)?;
    let AnyEntry { report } = serde_json::from_slice(&json)?;
    if report.schema_version != Checked::SCHEMA_VERSION {
        return Err(Unusable::OtherSchema(report.schema_version));
    }
    let entry: Entry = serde_json::from_slice(&json)?;
    if entry.key != *key || entry.report.spec_digest != key.spec {
        return Err(Unusable::OtherKey);
    }
    Ok(entry.report)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::key::tests::key;
    use super::*;

    /// A report with one of everything, and with numbers that a double would change.
    fn report() -> Checked {
        let text = json!({
            "schema_version": 1,
            "task": "a-task",
            "verdict": "not_deterministic",
            "code": "ok",
            "spec_digest": key().spec,
            "base_commit": "0".repeat(40),
            "patched_tree": "1".repeat(40),
            "image": "sha256:1",
            "tolerance": null,
            "task_repeats": 1,
            "repeats": 5,
            "metrics": [{
                "name": "score",
                "measured": false,
                "values": [],
                "median": 0.1,
                "relative_spread": f64::MAX,
                "median_interval": [0.1, 0.3],
                "needed": [{ "repeats": 1, "tolerance_estimate": 0.5, "tolerance_safe": 0.7 }],
                "verdict": "stable",
            }],
            "variations": [{
                "name": "clock",
                "changes": "a date 400 days later",
                "reach": "differs_between_hosts",
                "status": "not_made",
                "reason": "the image has no faketime",
                "runs": 0,
                "changed": ["the outcome"],
            }],
            "findings": [{
                "cause": "hash_order",
                "title": "the order of a set",
                "reach": "held_by_engine",
                "aspects": ["metric score", "the result file", "the output of benchmark"],
                "decides": true,
                "evidence": "it differs",
                "examples": [{
                    "aspect": "file model.json",
                    "left_run": "the first run",
                    "left": "1",
                    "right_run": "hash-seed",
                    "right": "2",
                    "line": 3,
                }],
                "hint": "sort",
            }],
            "tally": { "seconds": 1.25, "runs": 7 },
            "made_at": "2026-01-02T03:04:05Z",
            "reused": false,
        })
        .to_string();
        let mut report: Checked = serde_json::from_str(&text).unwrap();
        let values = ["1.50", "9007199254740993", "-0"];
        report.metrics[0].values = values.map(|value| value.parse().unwrap()).to_vec();
        report.tolerance = Some("0.10".parse().unwrap());
        report
    }

    fn kept() -> (tempfile::TempDir, Kept) {
        let place = tempfile::tempdir().unwrap();
        let kept = Kept::open(&place.path().join("made/for/it")).unwrap();
        (place, kept)
    }

    /// Keeps a report whose file `damage` has had in its hands; whether it is found.
    fn is_found_after(damage: impl FnOnce(Value) -> String) -> bool {
        let (_place, kept) = kept();
        kept.keep(key(), &report());
        let path = kept.path(&key()).unwrap();
        let entry = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, damage(entry)).unwrap();
        let is_found = kept.find(&key()).is_some();
        kept.keep(key(), &report());
        assert!(kept.find(&key()).is_some(), "it is not replaced");
        is_found
    }

    fn set(entry: &mut Value, place: &str, value: Value) {
        *entry.pointer_mut(place).expect(place) = value;
    }

    #[test]
    fn a_damaged_or_foreign_file_is_ignored_and_replaced() {
        assert!(!is_found_after(|_| String::new()));
        assert!(!is_found_after(|_| "no JSON".to_owned()));
        assert!(!is_found_after(|entry| entry.to_string()[..900].to_owned()));
        let changed = |place: &'static str, value: Value| {
            is_found_after(move |mut entry| {
                set(&mut entry, place, value);
                entry.to_string()
            })
        };
        assert!(!changed("/report/schema_version", json!(2)));
        assert!(!changed("/report/verdict", json!("splendid")));
        assert!(!changed("/key/runs", json!(6)));
        assert!(!changed("/key/host/kernel", json!("another")));
        let another = json!(protocol::Sha256Digest::of(b"another"));
        assert!(!changed("/report/spec_digest", another));
        assert!(
            is_found_after(|entry| entry.to_string()),
            "an untouched one"
        );
    }

    #[test]
    fn a_report_that_was_kept_is_the_same_but_for_saying_so() {
        let (_place, kept) = kept();
        assert!(kept.find(&key()).is_none());
        kept.keep(key(), &report());
        let found = kept.find(&key()).unwrap();
        assert!(found.reused);
        let again = Checked {
            reused: false,
            ..found
        };
        let json = |report: &Checked| serde_json::to_string(report).unwrap();
        assert_eq!(json(&again), json(&report()));
        let other = Key { runs: 6, ..key() };
        assert!(kept.find(&other).is_none(), "of another key");
    }

    #[test]
    fn a_place_where_nothing_can_be_written_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        for directory in [file.as_path(), &file.join("below"), Path::new("/proc")] {
            let error = Kept::open(directory).unwrap_err().to_string();
            assert!(error.contains(&directory.display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_report_that_cannot_be_kept_stands_all_the_same() {
        let (place, kept) = kept();
        fs::remove_dir_all(place.path()).unwrap();
        kept.keep(key(), &report());
        assert!(kept.find(&key()).is_none());
    }
}
