//! The DSSE envelope (version 1 of the protocol): a payload, its type, and
//! signatures over both.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::{Deserialize, Serialize};

use super::{PublicKey, SigningKey};

/// The payload type of an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const FROM_STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const FROM_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A payload with signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Base64 of the payload.
    pub payload: String,
    /// What the payload is; signed with it.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// In any order.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// A hint for finding the key; never evidence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyid: String,
    /// Base64 of the signature over [`pae`].
    pub sig: String,
}

/// An envelope that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload is not base64")]
pub struct EnvelopeError;

/// The bytes that are signed: type and payload, each with its length, so that
/// neither can pass for a part of the other.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Wraps and signs `payload`.
    pub fn sign(payload: &[u8], payload_type: &str, key: &SigningKey) -> Self {
        let signature = key.sign(&pae(payload_type, payload));
        Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![EnvelopeSignature {
                keyid: key.public().key_id().to_string(),
                sig: STANDARD.encode(signature),
            }],
        }
    }

    /// The decoded payload; nothing is known of it until a signature is verified.
    ///
    /// # Errors
    /// [`EnvelopeError`] when it is not base64.
    pub fn payload(&self) -> Result<Vec<u8>, EnvelopeError> {
        decode(&self.payload).ok_or(EnvelopeError)
    }

    /// Whether `key` made one of the signatures over `payload`, whatever the
    /// `keyid` beside it says.
    pub(super) fn is_signed_by(&self, key: &PublicKey, payload: &[u8]) -> bool {
        let message = pae(&self.payload_type, payload);
        self.signatures
            .iter()
            .filter_map(|signature| decode(&signature.sig))
            .any(|signature| key.verifies(&message, &signature))
    }
}

/// Either alphabet, as DSSE demands of verifiers.
fn decode(text: &str) -> Option<Vec<u8>> {
    FROM_STANDARD
        .decode(text)
        .or_else(|_| FROM_URL_SAFE.decode(text))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the DSSE specification.
    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        let signed = pae("http://example.com/HelloWorld", b"hello world");
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(signed, expected);
        // Lengths are of bytes.
        assert_eq!(pae("é", b""), "DSSEv1 2 é 0 ".as_bytes());
    }

    #[test]
    fn the_bare_payload_is_not_what_is_signed() {
        let key = SigningKey::from_seed(&[1; 32]);
        let mut envelope = Envelope::sign(b"{}", PAYLOAD_TYPE, &key);
        assert!(envelope.is_signed_by(&key.public(), b"{}"));
        envelope.signatures[0].sig = STANDARD.encode(key.sign(b"{}"));
        assert!(!envelope.is_signed_by(&key.public(), b"{}"));
    }

    #[test]
    fn both_alphabets_are_read_and_nothing_else() {
        for text in ["-_8=", "-_8", "+/8=", "+/8"] {
            assert_eq!(decode(text).as_deref(), Some(&[0xfb, 0xff][..]), "{text}");
        }
        for text in ["+_8=", "+/8 ", "\n+/8=", "+", "é"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
