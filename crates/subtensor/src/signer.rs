//! A hotkey signs extrinsics.

use protocol::hotkey::Keypair;
use subxt::transactions::Signer;
use subxt::utils::{AccountId32, MultiSignature};

use crate::ChainConfig;

/// A key pair in the shape that extrinsics are signed with.
pub(crate) struct HotkeySigner<'a>(pub(crate) &'a Keypair);

impl Signer<ChainConfig> for HotkeySigner<'_> {
    fn account_id(&self) -> AccountId32 {
        AccountId32(*self.0.hotkey().as_bytes())
    }

    fn sign(&self, payload: &[u8]) -> MultiSignature {
        MultiSignature::Sr25519(*self.0.sign(payload).as_bytes())
    }
}
