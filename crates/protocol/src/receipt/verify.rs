//! Checking a receipt: who signed it, and that it speaks of the right things.

use std::collections::HashSet;
use std::fmt::Display;

use super::{
    Envelope, EnvelopeError, KeyBinding, PAYLOAD_TYPE, PREDICATE_TYPE, PublicKey, STATEMENT_TYPE,
    Statement, Subject,
};
use crate::canonical_json::{CanonicalJsonError, canonicalize};
use crate::hotkey::Hotkey;
use crate::{CommitId, ReplaySpec, Sha256Digest, TreeId};

/// Whom a verifier trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The holder of this receipt key.
    PublicKey(PublicKey),
    /// The holder of the receipt key with this id ([`PublicKey::key_id`]).
    KeyId(Sha256Digest),
    /// The holder of any receipt key that this hotkey has bound.
    Hotkey(Hotkey),
}

/// What a verifier knows of one subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expect<T> {
    /// Nothing.
    #[default]
    Anything,
    /// There is none.
    Absent,
    /// It is this.
    Is(T),
}

impl<T> Expect<T> {
    fn of(known: Option<T>) -> Self {
        known.map_or(Self::Absent, Self::Is)
    }
}

/// What a receipt must speak of. By default nothing is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected {
    /// The patch text.
    pub patch: Expect<Sha256Digest>,
    /// The artifact.
    pub artifact: Expect<Sha256Digest>,
    /// The pinned commit.
    pub base_commit: Expect<CommitId>,
    /// The tree after the patch.
    pub patched_tree: Expect<TreeId>,
    /// The replay's spec.
    pub spec_digest: Expect<Sha256Digest>,
}

impl Expected {
    /// All that a spec determines: a receipt for any other replay is refused.
    pub fn by(spec: &ReplaySpec) -> Self {
        Self {
            patch: Expect::of(spec.patch.as_ref().map(|patch| patch.sha256)),
            artifact: Expect::of(spec.artifact.as_ref().map(|artifact| artifact.sha256)),
            base_commit: Expect::Is(spec.base_commit),
            patched_tree: Expect::Anything,
            spec_digest: Expect::Is(spec.digest()),
        }
    }
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not a readable envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The envelope holds something else.
    #[error("payloadType is {0:?}, not {PAYLOAD_TYPE:?}")]
    PayloadType(String),
    /// The payload can be read in two ways, or in none.
    #[error("payload: {0}")]
    Ambiguous(#[from] CanonicalJsonError),
    /// The payload is no statement of ours.
    #[error("payload: {0}")]
    Statement(#[from] serde_json::Error),
    /// A statement of another kind.
    #[error("{field} is {found:?}, not {expected:?}")]
    Type {
        /// `_type` or `predicateType`.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it must say.
        expected: &'static str,
    },
    /// Nobody is asked for.
    #[error("the threshold is 0; at least one signature must be asked for")]
    NoThreshold,
    /// Too few of those who are trusted signed it.
    #[error("{found} of the trusted keys signed; {threshold} must")]
    TooFewSignatures {
        /// How many different trusted keys signed.
        found: usize,
        /// How many must.
        threshold: usize,
    },
    /// The statement speaks of something else.
    #[error("{subject} is {found}, not {expected}")]
    Subject {
        /// Which subject or claim.
        subject: &'static str,
        /// What the statement says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A subject is listed twice, or without the digest that names it.
    #[error("subject {0:?} is listed twice or without its digest")]
    MalformedSubject(String),
}

/// A receipt that holds.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What was signed.
    pub statement: Statement,
    /// The trusted keys that signed it, each once.
    pub signers: Vec<PublicKey>,
    /// The hotkey behind the receipt's own key, if it has bound it.
    pub hotkey: Option<Hotkey>,
}

/// Checks that at least `threshold` different keys that are trusted signed the
/// receipt, and that it speaks of what is `expected`. A signature that is listed
/// twice, or a key that is trusted in two ways, counts once.
///
/// # Errors
/// Any [`VerifyError`]; then nothing in the receipt is evidence of anything.
pub fn verify(
    envelope: &Envelope,
    trust: &[Trust],
    threshold: usize,
    expected: &Expected,
) -> Result<Verified, VerifyError> {
    if threshold == 0 {
        return Err(VerifyError::NoThreshold);
    }
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(VerifyError::PayloadType(envelope.payload_type.clone()));
    }
    let payload = envelope.payload()?;
    // Read before it is trusted, to find the key that it names.
    canonicalize(&payload)?;
    let statement: Statement = serde_json::from_slice(&payload)?;
    let signers = signers(envelope, &payload, &statement, trust);
    if signers.len() < threshold {
        return Err(VerifyError::TooFewSignatures {
            found: signers.len(),
            threshold,
        });
    }
    check_types(&statement)?;
    check_subjects(&statement, expected)?;
    let hotkey = bound_hotkey(&statement);
    Ok(Verified {
        hotkey: hotkey.filter(|_| signers.contains(&statement.predicate.signer.public_key)),
        statement,
        signers,
    })
}

fn signers(
    envelope: &Envelope,
    payload: &[u8],
    statement: &Statement,
    trust: &[Trust],
) -> Vec<PublicKey> {
    let named = statement.predicate.signer.public_key;
    let mut seen = HashSet::new();
    trust
        .iter()
        .filter_map(|trust| match trust {
            Trust::PublicKey(key) => Some(*key),
            Trust::KeyId(id) => (named.key_id() == *id).then_some(named),
            Trust::Hotkey(trusted) => (bound_hotkey(statement) == Some(*trusted)).then_some(named),
        })
        .filter(|key| seen.insert(*key) && envelope.is_signed_by(key, payload))
        .collect()
}

/// The hotkey that has bound the key which the statement names.
fn bound_hotkey(statement: &Statement) -> Option<Hotkey> {
    let signer = &statement.predicate.signer;
    signer
        .binding
        .filter(|binding| binding.public_key == signer.public_key && KeyBinding::is_valid(binding))
        .map(|binding| binding.hotkey)
}

fn check_types(statement: &Statement) -> Result<(), VerifyError> {
    for (field, found, expected) in [
        ("_type", &statement.statement_type, STATEMENT_TYPE),
        ("predicateType", &statement.predicate_type, PREDICATE_TYPE),
    ] {
        if found != expected {
            return Err(VerifyError::Type {
                field,
                found: found.clone(),
                expected,
            });
        }
    }
    Ok(())
}

fn check_subjects(statement: &Statement, expected: &Expected) -> Result<(), VerifyError> {
    let claims = &statement.predicate.claims;
    let subject = |name| subject_digest(statement, name);
    let base_commit = subject(Subject::BASE_COMMIT)?;
    let patched_tree = subject(Subject::PATCHED_TREE)?;
    // The claims and the subjects speak of the same replay.
    let claimed = Expect::Is(claims.base_commit);
    check("subject base-commit", base_commit, claimed)?;
    let claimed = Expect::of(claims.patched_tree);
    check("subject patched-tree", patched_tree, claimed)?;
    check("subject patch", subject(Subject::PATCH)?, expected.patch)?;
    check(
        "subject artifact",
        subject(Subject::ARTIFACT)?,
        expected.artifact,
    )?;
    check("subject base-commit", base_commit, expected.base_commit)?;
    check("subject patched-tree", patched_tree, expected.patched_tree)?;
    let spec_digest = claims.spec_digest.to_string();
    check("spec_digest", Some(&spec_digest), expected.spec_digest)
}

/// The digest of the subject with this name, if there is one.
fn subject_digest<'a>(
    statement: &'a Statement,
    name: &'static str,
) -> Result<Option<&'a str>, VerifyError> {
    let malformed = || VerifyError::MalformedSubject(name.to_owned());
    let mut named = statement
        .subject
        .iter()
        .filter(|subject| subject.name == name);
    let Some(subject) = named.next() else {
        return Ok(None);
    };
    let algorithm = Subject::algorithm(name).ok_or_else(malformed)?;
    let digest = subject.digest.get(algorithm).ok_or_else(malformed)?;
    match named.next() {
        None => Ok(Some(digest)),
        Some(_) => Err(malformed()),
    }
}

fn check<T: Display>(
    subject: &'static str,
    found: Option<&str>,
    expected: Expect<T>,
) -> Result<(), VerifyError> {
    let expected = match expected {
        Expect::Anything => return Ok(()),
        Expect::Absent => None,
        Expect::Is(value) => Some(value.to_string()),
    };
    if found == expected.as_deref() {
        return Ok(());
    }
    Err(VerifyError::Subject {
        subject,
        found: found.unwrap_or("absent").to_owned(),
        expected: expected.unwrap_or_else(|| "absent".to_owned()),
    })
}
