//! The chain's extension for contracts that hold stake (`0x1000`): what of it is used here, and what it answers.

use ink::env::chain_extension::FromStatusCode;
use ink::primitives::AccountId;
use ink::scale::Compact;

/// Reads and moves stake. The contract itself is the coldkey that moves.
#[ink::chain_extension(extension = 0x1000)]
pub trait Staking {
    /// What is not zero among the statuses of a call.
    type ErrorCode = StakeError;

    /// The stake of `coldkey` with `hotkey` on subnet `netuid`; none for a hotkey that nobody knows.
    #[ink(function = 0)]
    fn stake_info(hotkey: AccountId, coldkey: AccountId, netuid: u16) -> Option<StakeInfo>;

    /// Gives `amount` (rao) of the contract's stake with `hotkey` to `destination_coldkey`.
    #[ink(function = 6)]
    fn transfer_stake(
        destination_coldkey: AccountId,
        hotkey: AccountId,
        origin_netuid: u16,
        destination_netuid: u16,
        amount: u64,
    );
}

/// What the chain tells about a stake. Only `stake` matters here; the rest is there because SCALE has no field names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[ink::scale_derive(Encode, Decode, TypeInfo)]
pub struct StakeInfo {
    /// With whom.
    pub hotkey: AccountId,
    /// Whose.
    pub coldkey: AccountId,
    /// On which subnet.
    pub netuid: Compact<u16>,
    /// How much, in rao.
    pub stake: Compact<u64>,
    /// Always 0 on the present chain.
    pub locked: Compact<u64>,
    /// The hotkey's emission at the last epoch of the subnet, in rao.
    pub emission: Compact<u64>,
    /// The same in the chain's main currency.
    pub tao_emission: Compact<u64>,
    /// Always 0 on the present chain.
    pub drain: Compact<u64>,
    /// Whether the hotkey is registered on the subnet.
    pub is_registered: bool,
}

/// Why the chain moved no stake: its status codes, one by one. The index of a variant is the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[ink::scale_derive(Encode, Decode, TypeInfo)]
pub enum StakeError {
    /// A refusal that the chain has no code for, such as a subnet that disallows transfers.
    #[codec(index = 1)]
    RuntimeError,
    /// Too little free balance to stake.
    #[codec(index = 2)]
    NotEnoughBalanceToStake,
    /// The coldkey does not own the hotkey.
    #[codec(index = 3)]
    NonAssociatedColdKey,
    /// The balance could not be withdrawn.
    #[codec(index = 4)]
    BalanceWithdrawalError,
    /// The hotkey is not registered anywhere.
    #[codec(index = 5)]
    NotRegistered,
    /// The contract has less stake with its hotkey than is to be moved.
    #[codec(index = 6)]
    NotEnoughStakeToWithdraw,
    /// Too many stake operations in a short time; try again some blocks later.
    #[codec(index = 7)]
    TxRateLimitExceeded,
    /// The price moved too far.
    #[codec(index = 8)]
    SlippageTooHigh,
    /// There is no such subnet.
    #[codec(index = 9)]
    SubnetNotExists,
    /// The hotkey is not registered on the subnet.
    #[codec(index = 10)]
    HotKeyNotRegisteredInSubNet,
    /// The automatic stake goes to this hotkey already.
    #[codec(index = 11)]
    SameAutoStakeHotkeyAlreadySet,
    /// Too little balance.
    #[codec(index = 12)]
    InsufficientBalance,
    /// Less than the chain moves at a time; claim again when more is due.
    #[codec(index = 13)]
    AmountTooLow,
    /// The subnet's pool is too small.
    #[codec(index = 14)]
    InsufficientLiquidity,
    /// Origin and destination are the same.
    #[codec(index = 15)]
    SameNetuid,
    /// Too many proxies.
    #[codec(index = 16)]
    ProxyTooMany,
    /// The proxy exists.
    #[codec(index = 17)]
    ProxyDuplicate,
    /// Nobody is a proxy of himself.
    #[codec(index = 18)]
    ProxyNoSelfProxy,
    /// There is no such proxy.
    #[codec(index = 19)]
    ProxyNotFound,
    /// An account of the chain itself cannot take part.
    #[codec(index = 20)]
    CannotUseSystemAccount,
    /// The root subnet neither burns nor recycles.
    #[codec(index = 21)]
    CannotBurnOrRecycleOnRootSubnet,
    /// The subnet's currency is not enabled yet.
    #[codec(index = 22)]
    SubtokenDisabled,
    /// A code that was not known when this contract was written.
    #[codec(index = 255)]
    Unknown(u32),
}

impl FromStatusCode for StakeError {
    fn from_status_code(status: u32) -> Result<(), Self> {
        Err(match status {
            0 => return Ok(()),
            1 => Self::RuntimeError,
            2 => Self::NotEnoughBalanceToStake,
            3 => Self::NonAssociatedColdKey,
            4 => Self::BalanceWithdrawalError,
            5 => Self::NotRegistered,
            6 => Self::NotEnoughStakeToWithdraw,
            7 => Self::TxRateLimitExceeded,
            8 => Self::SlippageTooHigh,
            9 => Self::SubnetNotExists,
            10 => Self::HotKeyNotRegisteredInSubNet,
            11 => Self::SameAutoStakeHotkeyAlreadySet,
            12 => Self::InsufficientBalance,
            13 => Self::AmountTooLow,
            14 => Self::InsufficientLiquidity,
            15 => Self::SameNetuid,
            16 => Self::ProxyTooMany,
            17 => Self::ProxyDuplicate,
            18 => Self::ProxyNoSelfProxy,
            19 => Self::ProxyNotFound,
            20 => Self::CannotUseSystemAccount,
            21 => Self::CannotBurnOrRecycleOnRootSubnet,
            22 => Self::SubtokenDisabled,
            unknown => Self::Unknown(unknown),
        })
    }
}
