//! What the whole-system tests and the demo share: the fixtures, the real
//! runner, and the comparison of what happened with what should have.

pub mod corpus;
pub mod fixtures;
pub mod leftovers;
pub mod network;
pub mod runner;
pub mod stop;
pub mod tool;
pub mod verdict;
