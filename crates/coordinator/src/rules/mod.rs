//! What is decided, as pure functions: the same input gives the same answer on
//! every machine, and no database or clock is near.

pub mod consensus;
pub mod diff;
pub mod freeze;
pub mod onboarding;
pub mod places;
pub mod planner;
pub mod policy;
pub mod ranking;
pub mod snapshot;
pub mod task_document;
