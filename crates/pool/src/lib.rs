//! The pool: confirmed progress turned into claims that anybody can recompute.
//!
//! A reward snapshot and an epoch's budget become integer amounts ([`ledger`]),
//! the cumulative amounts of all miners an epoch file with a Merkle root
//! ([`epoch`], [`merkle`]). Every input is kept by its digest ([`blobs`]), so
//! that [`verify`] can recompute the whole history offline. The service hands
//! out claim packages and takes recipient mappings ([`routes`], [`store`]); the
//! [`publisher`] puts each root on the chain once and keeps what was [`claimed`]
//! there, and the [`verifier`] challenges one that does not follow from its inputs.

pub mod blobs;
pub mod build;
pub mod chain;
pub mod claimed;
pub mod delivery;
pub mod download;
pub mod epoch;
pub mod ledger;
pub mod merkle;
pub mod publisher;
pub mod rao;
pub mod routes;
pub mod served;
pub mod store;
pub mod verifier;
pub mod verify;

pub use blobs::Blobs;
pub use rao::Rao;
pub use store::Store;
