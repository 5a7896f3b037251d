//! What verifying signatures alone allows on this machine.

use std::thread;
use std::time::{Duration, Instant};

use protocol::auth::Request;

use crate::service::key;

/// Requests verified per second by threads that do nothing else.
pub(crate) fn verifications_per_second(threads: usize, time: Duration) -> anyhow::Result<f64> {
    let request = Request {
        method: "POST",
        path: "/api/v1/submissions",
        query: "",
        body: br#"{"a":1}"#,
    };
    let headers = request.sign(&key(1), 1_000_000)?;
    let one = || {
        let (began, mut count) = (Instant::now(), 0.0);
        while began.elapsed() < time {
            let verified = request.authenticate(&headers.as_deref(), 1_000_000, 300);
            count += f64::from(u8::from(std::hint::black_box(verified).is_ok()));
        }
        count / began.elapsed().as_secs_f64()
    };
    Ok(thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().filter_map(|one| one.join().ok()).sum()
    }))
}
