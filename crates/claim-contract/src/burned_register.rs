//! The one call to the runtime that the contract makes itself: registering its hotkey on its subnet.

use ink::primitives::AccountId;

/// A call, as far as this contract encodes one.
#[ink::scale_derive(Encode)]
pub(crate) enum RuntimeCall {
    /// The pallet of subnets and stake.
    #[codec(index = 7)]
    Subtensor(SubtensorCall),
}

/// A call of that pallet.
#[ink::scale_derive(Encode)]
pub(crate) enum SubtensorCall {
    /// Pays the registration price from the caller's balance.
    #[codec(index = 7)]
    BurnedRegister {
        /// The subnet.
        netuid: u16,
        /// Who is registered; the caller becomes its coldkey.
        hotkey: AccountId,
    },
}

impl RuntimeCall {
    /// Registers `hotkey` on subnet `netuid`, with the contract as its coldkey.
    pub(crate) fn burned_register(netuid: u16, hotkey: AccountId) -> Self {
        Self::Subtensor(SubtensorCall::BurnedRegister { netuid, hotkey })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pallet and call numbers are those of the metadata of runtime 424.
    #[test]
    fn the_call_is_encoded_as_the_runtime_expects_it() {
        let call = RuntimeCall::burned_register(0x0102, AccountId::from([9; 32]));
        let bytes = ink::scale::Encode::encode(&call);
        assert_eq!(bytes[..4], [7, 7, 0x02, 0x01]);
        assert_eq!(bytes[4..], [9; 32]);
    }
}
