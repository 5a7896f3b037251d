//! An epoch: what it is made of, what it says, and how the one follows from the
//! other.

mod compute;
mod file;
mod recipients;

pub use compute::{EpochError, Given, Previous, compute};
pub use file::{Balance, Entry, EpochFile, FileError, Inputs};
pub use recipients::{Recipients, RecipientsError};
