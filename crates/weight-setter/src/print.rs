//! What a round came to, for people and for scripts.

use std::io::Write as _;

use serde_json::{Value, json};
use subtensor::WeightVector;
use weight_setter::round::{Report, show};

/// Prints a report to standard output.
pub(crate) fn report(report: &Report, as_json: bool) {
    let text = if as_json {
        object(report).to_string()
    } else {
        sentence(report)
    };
    // A reader that is gone is no reason to fail: the weights are where they are.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A report in one line or two.
pub(crate) fn sentence(report: &Report) -> String {
    match report {
        Report::Local => "the policy leaves weights to each validator; nothing was set".to_owned(),
        Report::TooEarly {
            vector,
            block,
            until,
        } => format!(
            "too early: the rate limit ends with block {until}, and it is block {block}; to be set: {}",
            show(vector.pairs())
        ),
        Report::Unchanged(vector) => {
            format!("unchanged: the chain has {} already", show(vector.pairs()))
        }
        Report::WouldSet {
            vector,
            call,
            call_data,
        } => format!(
            "would set: {}\n  by {call}, 0x{}",
            show(vector.pairs()),
            hex::encode(call_data)
        ),
        Report::Set { vector, inclusion } => format!(
            "set and confirmed at block {}: {}",
            inclusion.block,
            show(vector.pairs())
        ),
        Report::Committed {
            vector,
            inclusion,
            reveal_round,
        } => format!(
            "sealed and confirmed at block {}, to be revealed with drand round {reveal_round}: {}",
            inclusion.block,
            show(vector.pairs())
        ),
        _ => format!("{report:?}"),
    }
}

fn object(report: &Report) -> Value {
    let pairs = |vector: &WeightVector| json!({"uids": vector.uids(), "weights": vector.values()});
    match report {
        Report::Local => json!({"status": "local"}),
        Report::TooEarly {
            vector,
            block,
            until,
        } => {
            json!({"status": "too_early", "vector": pairs(vector), "block": block, "not_before_block": until})
        }
        Report::Unchanged(vector) => json!({"status": "unchanged", "vector": pairs(vector)}),
        Report::WouldSet {
            vector,
            call,
            call_data,
        } => {
            json!({"status": "would_set", "vector": pairs(vector), "call": call, "call_data": format!("0x{}", hex::encode(call_data))})
        }
        Report::Set { vector, inclusion } => {
            json!({"status": "set", "vector": pairs(vector), "block": inclusion.block})
        }
        Report::Committed {
            vector,
            inclusion,
            reveal_round,
        } => {
            json!({"status": "committed", "vector": pairs(vector), "block": inclusion.block, "reveal_round": reveal_round})
        }
        _ => json!({"status": "other"}),
    }
}
