//! Why the claim contract refuses, in words. Its codes are stable; those that only
//! publishers and owners meet have no words of their own here.

use std::fmt;

use parity_scale_codec::{Decode, Error, Input};

/// `TransferRefused`, which says in another byte what the chain answered.
const TRANSFER_REFUSED: u8 = 31;
/// The status that the contract does not know; its number follows.
const UNKNOWN_STATUS: u8 = 255;
/// The chain's status for less than it moves at a time.
const AMOUNT_TOO_LOW: u32 = 13;

/// A contract's refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u8,
    /// The status of the chain's stake extension.
    status: Option<u32>,
}

impl Refusal {
    /// No epoch of this number was published.
    pub(crate) const EPOCH_UNKNOWN: u8 = 7;
}

impl Decode for Refusal {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let code = u8::decode(input)?;
        let status = match code {
            TRANSFER_REFUSED => Some(match u8::decode(input)? {
                UNKNOWN_STATUS => u32::decode(input)?,
                status => status.into(),
            }),
            _ => None,
        };
        Ok(Self { code, status })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match (self.code, self.status) {
            (0, _) => "the chain did not tell it how much stake it has; try again later",
            (6, _) => "its owner has paused claiming",
            (Self::EPOCH_UNKNOWN, _) => "this epoch is not published",
            (17, _) => "this epoch is disputed; wait for the arbiter",
            (18, _) => "this epoch was struck down; what it owed is in a later one",
            (19, _) => "claims of this epoch are not open yet",
            (20, _) => "this epoch has not so many leaves",
            (21 | 22, _) => "the proof is not good for the published root",
            (23, _) => "this claim was paid",
            (24, _) => "as much or more was paid to this hotkey already",
            (25, _) => "the epoch declared less than its leaves add up to",
            (26, _) => "all epochs together declared less than their leaves add up to",
            (27, _) => "it has not enough stake; tell the pool",
            (TRANSFER_REFUSED, Some(AMOUNT_TOO_LOW)) => {
                "the amount is less than the chain moves at a time; claim again when more is due"
            }
            (TRANSFER_REFUSED, Some(7)) => {
                "too many stake operations in a short time; try again some blocks later"
            }
            (TRANSFER_REFUSED, Some(status)) => {
                return write!(f, "the chain moved no stake (status {status})");
            }
            (code, _) => return write!(f, "code {code}"),
        };
        f.write_str(words)
    }
}

#[cfg(test)]
mod tests {
    use parity_scale_codec::DecodeAll as _;

    use super::*;

    #[test]
    fn a_code_is_read_with_the_chains_status_where_it_has_one() {
        let read = |bytes: &[u8]| Refusal::decode_all(&mut &*bytes);
        let told = |bytes| read(bytes).unwrap().to_string();
        assert!(told(&[31, 13]).contains("less than the chain moves"));
        assert!(told(&[31, 1]).contains("status 1"));
        assert!(told(&[31, 255, 99, 0, 0, 0]).contains("status 99"));
        assert_eq!(read(&[7]).unwrap().code, Refusal::EPOCH_UNKNOWN);
        assert_eq!(told(&[99]), "code 99");
        for bytes in [&[][..], &[31], &[31, 255], &[7, 0], &[31, 13, 0]] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
