//! The chain's status codes: each has its own error, on the way in and on the way out.

use claim_contract::error::Error;
use claim_contract::stake::{StakeError, StakeInfo};
use ink::env::chain_extension::FromStatusCode;
use ink::primitives::AccountId;
use ink::scale::{Compact, Decode, Encode};
use proptest::prelude::*;

use crate::support::world::{three_miners, World};

/// As the chain numbers them.
const CODES: [(u32, StakeError); 22] = [
    (1, StakeError::RuntimeError),
    (2, StakeError::NotEnoughBalanceToStake),
    (3, StakeError::NonAssociatedColdKey),
    (4, StakeError::BalanceWithdrawalError),
    (5, StakeError::NotRegistered),
    (6, StakeError::NotEnoughStakeToWithdraw),
    (7, StakeError::TxRateLimitExceeded),
    (8, StakeError::SlippageTooHigh),
    (9, StakeError::SubnetNotExists),
    (10, StakeError::HotKeyNotRegisteredInSubNet),
    (11, StakeError::SameAutoStakeHotkeyAlreadySet),
    (12, StakeError::InsufficientBalance),
    (13, StakeError::AmountTooLow),
    (14, StakeError::InsufficientLiquidity),
    (15, StakeError::SameNetuid),
    (16, StakeError::ProxyTooMany),
    (17, StakeError::ProxyDuplicate),
    (18, StakeError::ProxyNoSelfProxy),
    (19, StakeError::ProxyNotFound),
    (20, StakeError::CannotUseSystemAccount),
    (21, StakeError::CannotBurnOrRecycleOnRootSubnet),
    (22, StakeError::SubtokenDisabled),
];

#[test]
fn each_code_is_its_own_error_with_the_code_as_its_index() {
    assert_eq!(StakeError::from_status_code(0), Ok(()));
    for (code, error) in CODES {
        assert_eq!(StakeError::from_status_code(code), Err(error));
        assert_eq!(error.encode(), [u8::try_from(code).unwrap()]);
    }
}

#[test]
fn a_claim_that_the_chain_refuses_says_why() {
    for (code, error) in CODES {
        World::tell(|world| {
            let tree = three_miners(1);
            world.open(1, &tree);
            world.chain.refuse_transfers(code);
            assert_eq!(
                world.claim(&tree.claim(0)),
                Err(Error::TransferRefused(error))
            );
        });
    }
}

proptest! {
    #[test]
    fn a_code_that_nobody_knows_is_kept(code in 23_u32..) {
        prop_assert_eq!(StakeError::from_status_code(code), Err(StakeError::Unknown(code)));
    }
}

/// Fields and their order are those of the metadata of runtime 424.
#[test]
fn stake_is_read_from_the_bytes_that_the_chain_sends() {
    let mut bytes = vec![1];
    bytes.extend([7; 32]);
    bytes.extend([8; 32]);
    bytes.extend([0x79, 0x01]); // 94, compact
    bytes.extend([0x03, 0x00, 0x00, 0x00, 0x80]); // 2³¹, compact
    bytes.extend([0, 4, 8, 0, 1]);
    let info = Option::<StakeInfo>::decode(&mut &bytes[..])
        .unwrap()
        .unwrap();
    assert_eq!(
        (info.hotkey, info.coldkey),
        (AccountId::from([7; 32]), AccountId::from([8; 32]))
    );
    assert_eq!((info.netuid, info.stake), (Compact(94), Compact(1 << 31)));
    assert_eq!(
        (info.emission, info.tao_emission, info.is_registered),
        (Compact(1), Compact(2), true)
    );
}
