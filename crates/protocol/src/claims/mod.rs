//! Claims: what an epoch's tree is made of, how one claim is proved, and how a
//! miner says who is paid.
//!
//! The pool that makes proofs, the miner's tool that checks one before it signs
//! anything, and whoever challenges an epoch decide by this one module.

mod hash;
mod leaf;
mod package;
mod proof;
mod recipient;

pub use hash::{HashError, MerkleHash};
pub use leaf::{Leaf, parent};
pub use package::ClaimPackage;
pub use proof::{ProofError, path, proof_length, verify};
pub use recipient::{
    KEY_HEADER, RecipientUpdate, SIGNATURE_HEADER, TIMESTAMP_HEADER, UpdateError, UpdateHeaders,
};
