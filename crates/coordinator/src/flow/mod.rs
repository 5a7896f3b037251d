//! Changes of state that take more than one table: each function runs inside
//! one transaction and leaves the state whole.

pub mod accept;
pub mod decide;
pub mod jobs;
pub mod leaders;
pub mod peers;
pub mod plan;
pub mod receipts;
pub mod submit;
