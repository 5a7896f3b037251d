//! Why a message was refused. A refused message changes nothing: the chain takes back whatever it did.
//!
//! The codes (SCALE indices) are stable: add, never change. 0 and 1 mean what they meant to clients of the contract that
//! this one replaces; a client that knows only those two still sees that the call was reverted.

use crate::stake::StakeError;

/// The result of a message.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[ink::scale_derive(Encode, Decode, TypeInfo)]
pub enum Error {
    /// The chain did not tell how much stake the contract has.
    #[codec(index = 0)]
    ReadFailed,
    /// The runtime refused a call that the contract made. (Today's runtime refuses every registration by a contract.)
    #[codec(index = 1)]
    WriteFailed,
    /// Only the owner may do this.
    #[codec(index = 2)]
    NotOwner,
    /// Only the gate may publish.
    #[codec(index = 3)]
    NotGate,
    /// Only the vetoer may challenge.
    #[codec(index = 4)]
    NotVetoer,
    /// Only the arbiter may resolve a challenge.
    #[codec(index = 5)]
    NotArbiter,
    /// The owner has paused publishing and claiming.
    #[codec(index = 6)]
    Paused,
    /// No epoch of this number was published.
    #[codec(index = 7)]
    EpochUnknown,
    /// An epoch of this or a higher number was published before.
    #[codec(index = 8)]
    EpochNotNewer,
    /// The epoch published before can still be challenged or is disputed; a new one would build on it.
    #[codec(index = 9)]
    PreviousEpochUnsettled,
    /// An epoch has at least one leaf and declares at least one rao.
    #[codec(index = 10)]
    EpochEmpty,
    /// The address of the epoch's file is longer than [`MAX_URI_BYTES`](crate::epoch::MAX_URI_BYTES).
    #[codec(index = 11)]
    UriTooLong,
    /// The epoch declares less in all than the one before; amounts are cumulative and never fall.
    #[codec(index = 12)]
    TotalDecreased,
    /// The epoch promises more than the contract has beyond its reserve floor and its earlier promises.
    #[codec(index = 13)]
    NotFunded,
    /// The time to challenge the epoch is over.
    #[codec(index = 14)]
    ChallengeWindowOver,
    /// The epoch is disputed already.
    #[codec(index = 15)]
    AlreadyDisputed,
    /// The epoch is not disputed.
    #[codec(index = 16)]
    NotDisputed,
    /// The epoch is disputed: nothing can be claimed until the arbiter has decided.
    #[codec(index = 17)]
    EpochDisputed,
    /// The epoch was struck down; its leaves are in a later one.
    #[codec(index = 18)]
    EpochVoid,
    /// The epoch can still be challenged; claims open at its `claims_open_at`.
    #[codec(index = 19)]
    ClaimsNotOpen,
    /// The epoch has not so many leaves.
    #[codec(index = 20)]
    IndexOutOfRange,
    /// The proof has more or fewer elements than the leaf's place asks for.
    #[codec(index = 21)]
    ProofLengthWrong,
    /// The proof does not lead to the epoch's root.
    #[codec(index = 22)]
    ProofInvalid,
    /// This leaf was paid.
    #[codec(index = 23)]
    AlreadyClaimed,
    /// The hotkey was paid as much or more already.
    #[codec(index = 24)]
    NothingDue,
    /// The payment would exceed what the epoch declared: its leaves add up to more than its total.
    #[codec(index = 25)]
    EpochExhausted,
    /// The payment would exceed what all epochs together declared.
    #[codec(index = 26)]
    DeclaredExhausted,
    /// The contract has not enough stake above its reserve floor.
    #[codec(index = 27)]
    StakeTooLow,
    /// The floor would reserve stake that is owed to claimants.
    #[codec(index = 28)]
    FloorTooHigh,
    /// The withdrawal would take stake that is owed to claimants.
    #[codec(index = 29)]
    Owed,
    /// A sum does not fit into its type.
    #[codec(index = 30)]
    Overflow,
    /// The chain moved no stake.
    #[codec(index = 31)]
    TransferRefused(StakeError),
}
