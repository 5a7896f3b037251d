//! The adversarial corpus as tables: small tasks made on the spot, what a miner
//! submits to them, and how the real runner has to end on the real engine.

pub mod engine;
pub mod lab;
pub mod patch;
pub mod private_engine;
pub mod proxy;
pub mod row;
pub mod running;
pub mod small_disk;
pub mod table;
pub mod task;

pub use lab::Lab;
pub use row::{Row, row};
pub use running::Seen;
pub use table::Table;
pub use task::Task;
