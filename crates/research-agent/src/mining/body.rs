//! The body of `POST /api/v1/submissions` (`WIRE.md` §2).

use anyhow::bail;
use serde_json::{Value, json};

use crate::client::Id;
use crate::submission_file::SubmissionFile;

/// Puts a submission together.
pub(crate) fn submission_body(
    claim: Id,
    base_ref: &str,
    patch: &str,
    file: &SubmissionFile,
) -> anyhow::Result<Value> {
    let Value::Object(said) = serde_json::to_value(file)? else {
        bail!("submission.json is no JSON object");
    };
    let mut body = json!({"claim_id": claim, "base_ref": base_ref, "patch": patch});
    if let Value::Object(fields) = &mut body {
        fields.extend(said);
    }
    Ok(body)
}
