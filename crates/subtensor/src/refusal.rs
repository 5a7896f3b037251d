//! Why the claim contract refused a message: its codes, in words.

use std::fmt;

use parity_scale_codec::{Decode, Error, Input};

/// A refusal of the claim contract, by the code that its interface gives it. The
/// codes are stable; one that is not known here was added later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    code: u8,
    /// With [`Refusal::TRANSFER`]: why the chain moved no stake.
    stake: Option<u32>,
}

/// Name and meaning of each code, in their order.
const CODES: [(&str, &str); 32] = [
    ("ReadFailed", "the chain did not tell the contract's stake"),
    ("WriteFailed", "the runtime refused a call of the contract"),
    ("NotOwner", "only the contract's owner may do this"),
    ("NotGate", "only the gate may publish; `set_gate` names it"),
    (
        "NotVetoer",
        "only the vetoer may challenge; `set_vetoer` names it",
    ),
    ("NotArbiter", "only the arbiter may decide a challenge"),
    ("Paused", "the owner has paused publishing and claiming"),
    ("EpochUnknown", "no epoch of this number was published"),
    (
        "EpochNotNewer",
        "an epoch of this or a higher number was published before",
    ),
    (
        "PreviousEpochUnsettled",
        "the epoch before can still be challenged or is disputed; wait until its claims open",
    ),
    ("EpochEmpty", "an epoch has at least one leaf and one rao"),
    ("UriTooLong", "the address of the epoch's file is too long"),
    (
        "TotalDecreased",
        "the total is less than the epoch's before; amounts are cumulative",
    ),
    (
        "NotFunded",
        "the contract has too little stake for what the epoch adds; stake more, or lower the reserve floor",
    ),
    (
        "ChallengeWindowOver",
        "the time to challenge the epoch is over",
    ),
    ("AlreadyDisputed", "the epoch is disputed already"),
    ("NotDisputed", "the epoch is not disputed"),
    (
        "EpochDisputed",
        "the epoch is disputed, and the arbiter has not decided",
    ),
    (
        "EpochVoid",
        "the epoch was struck down; its leaves are in a later one",
    ),
    (
        "ClaimsNotOpen",
        "the epoch can still be challenged; claims are not open yet",
    ),
    ("IndexOutOfRange", "the epoch has not so many leaves"),
    (
        "ProofLengthWrong",
        "the proof has more or fewer elements than the leaf's place asks for",
    ),
    (
        "ProofInvalid",
        "the proof does not lead to the epoch's root",
    ),
    ("AlreadyClaimed", "this leaf was paid"),
    ("NothingDue", "the hotkey was paid as much or more already"),
    (
        "EpochExhausted",
        "the payment would exceed what the epoch declared",
    ),
    (
        "DeclaredExhausted",
        "the payment would exceed what all epochs declared",
    ),
    (
        "StakeTooLow",
        "the contract has too little stake above its reserve floor",
    ),
    (
        "FloorTooHigh",
        "the floor would reserve stake that is owed to claimants",
    ),
    (
        "Owed",
        "the withdrawal would take stake that is owed to claimants",
    ),
    ("Overflow", "a sum does not fit into its type"),
    ("TransferRefused", "the chain moved no stake"),
];

impl Refusal {
    /// The code whose reason is a status of the chain's stake extension.
    const TRANSFER: u8 = 31;
    /// The statuses that the contract does not know come with their number.
    const UNKNOWN_STATUS: u8 = 255;
    /// That status means: less than the chain moves at a time.
    const AMOUNT_TOO_LOW: u32 = 13;
    /// That status means: its rate limit.
    const TOO_MANY_STAKE_CALLS: u32 = 7;

    /// The contract's name of it, where it is known here.
    pub fn name(&self) -> Option<&'static str> {
        CODES.get(usize::from(self.code)).map(|(name, _)| *name)
    }

    /// Its stable number.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl Decode for Refusal {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let code = u8::decode(input)?;
        let stake = match code {
            Self::TRANSFER => Some(match u8::decode(input)? {
                Self::UNKNOWN_STATUS => u32::decode(input)?,
                status => status.into(),
            }),
            _ => None,
        };
        Ok(Self { code, stake })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((name, meaning)) = CODES.get(usize::from(self.code)) else {
            return write!(f, "code {}, which this program does not know", self.code);
        };
        write!(f, "{name}: {meaning}")?;
        match self.stake {
            None => Ok(()),
            Some(Self::AMOUNT_TOO_LOW) => {
                f.write_str(" (status 13: less than it moves at a time; claim when more is due)")
            }
            Some(Self::TOO_MANY_STAKE_CALLS) => f.write_str(
                " (status 7: too many stake operations in a short time; try again some blocks later)",
            ),
            Some(status) => write!(f, " (status {status} of its stake extension)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_contracts_own() {
        let list = include_str!("../../claim-contract/tests/data/error_codes.txt");
        let mut known = 0;
        for (line, (code, (name, _))) in list.lines().zip(CODES.iter().enumerate()) {
            assert_eq!(line, format!("{code} {name}"));
            known += 1;
        }
        assert_eq!((known, list.lines().count()), (CODES.len(), CODES.len()));
    }

    #[test]
    fn a_refusal_is_told_in_words_with_what_the_chain_said() {
        let told = |bytes: &[u8]| Refusal::decode(&mut &*bytes).unwrap().to_string();
        assert_eq!(
            told(&[3]),
            "NotGate: only the gate may publish; `set_gate` names it"
        );
        assert!(told(&[31, 13]).contains("less than it moves at a time"));
        assert!(told(&[31, 255, 99, 0, 0, 0]).contains("status 99"));
        assert!(told(&[77]).contains("code 77"));
        assert!(Refusal::decode(&mut &[31][..]).is_err());
    }
}
