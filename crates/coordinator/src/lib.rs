//! The coordinator: owners post tasks, miners claim and submit, validators fetch
//! what to replay and post what they saw, and everyone sees who is best and what
//! is to be paid.
//!
//! It is thin: nothing that is submitted is ever run, cloned or applied here.
//! `rules` decides, purely; `flow` changes state, in one transaction each;
//! `store` is the database; `http` reads requests; `routes` is the wire; `pool`
//! asks another service what it knows of the chain.

pub mod app;
pub mod dashboard;
pub mod error;
pub mod flow;
pub mod git;
pub mod http;
pub mod metrics;
pub mod pool;
pub mod routes;
pub mod rules;
pub mod server;
pub mod settings;
pub mod store;
pub mod time;

pub use app::App;
pub use settings::{AdminToken, Settings};
pub use store::Store;
pub use time::Clock;
