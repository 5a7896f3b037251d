//! From what the stages left to the metrics that the replay reports.

mod markers;
mod result;
mod samples;

pub use markers::MarkerScanner;
pub use result::{ResultError, ResultFile};
pub use samples::{Samples, SamplesError};
