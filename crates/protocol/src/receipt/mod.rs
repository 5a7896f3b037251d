//! Receipts: a signed statement of one replay, in the forms that the ecosystem's
//! verifiers read: an in-toto Statement v1 in a DSSE envelope, signed by ed25519.
//!
//! *Claims* are what honest validators must agree on; *observations* may differ
//! between them. Metrics and integers are strings, because JSON consumers turn
//! numbers into doubles. A missing receipt never raises a reward.

mod binding;
mod envelope;
mod key;
mod statement;
mod text;
mod verify;

pub use binding::KeyBinding;
pub use envelope::{Envelope, EnvelopeError, EnvelopeSignature, PAYLOAD_TYPE, pae};
pub use key::{PublicKey, ReceiptKeyError, SigningKey};
pub use statement::{
    ClaimedOutcome, Claims, Digests, HostFacts, Observations, PREDICATE_TYPE, Predicate,
    STATEMENT_TYPE, Signer, StageFacts, Statement, Subject,
};
pub use text::Text;
pub use verify::{Expect, Expected, Trust, Verified, VerifyError, verify};
