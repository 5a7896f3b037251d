//! From a reward snapshot to what each miner has earned so far, in rao.

mod balances;
mod snapshot;

pub use balances::{BalanceError, Balances};
pub use snapshot::{Shares, SnapshotError};
