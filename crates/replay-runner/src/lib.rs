//! The replay engine as a library.

pub mod artifact;
pub mod receipt;
