//! How long one request takes, from sending it to the last byte of the answer.

use std::time::Instant;

use serde_json::{Value, json};

/// Requests before the first that counts, and those that count.
const WARM_UP: usize = 20;
const COUNTED: usize = 300;

/// The median and the 99th percentile, in milliseconds, and the answer's length.
pub(crate) async fn of(
    request: impl Fn() -> anyhow::Result<reqwest::RequestBuilder>,
) -> anyhow::Result<Value> {
    let (mut times, mut bytes) = (Vec::new(), 0);
    for round in 0..WARM_UP + COUNTED {
        let request = request()?;
        let began = Instant::now();
        let answer = request.send().await?.error_for_status()?;
        bytes = answer.bytes().await?.len();
        if round >= WARM_UP {
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[COUNTED * part / 100];
    Ok(json!({"p50_ms": at(50), "p99_ms": at(99), "bytes": bytes}))
}
