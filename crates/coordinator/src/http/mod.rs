//! How requests are read before a route sees them: strict JSON, named fields,
//! signatures, rates and pages.

pub mod auth;
pub mod body;
pub mod crowd;
pub mod fields;
pub mod frame;
pub mod pages;
pub mod rate;

pub mod stake;
