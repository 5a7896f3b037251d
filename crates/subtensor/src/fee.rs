//! What a call would cost whoever sends it, and what an account has to pay it with.

use parity_scale_codec::{Compact, DecodeAll as _, Encode as _};
use protocol::hotkey::{Hotkey, Keypair};
use rand_core::{OsRng, RngCore as _};
use subxt::ext::scale_decode::DecodeAsType;
use subxt::ext::scale_value::Value;

use crate::{At, ChainError, PinnedCall};

/// `RuntimeDispatchInfo`: the weight, the class, and the fee in this chain's balance.
type DispatchInfo = (Compact<u64>, Compact<u64>, u8, u64);

/// The parts of an account that count here.
#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AccountInfo {
    data: AccountData,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AccountData {
    free: u64,
}

impl At {
    /// What the chain would charge for `call` at this block, in rao: an estimate, and
    /// the most, since gas that is not used is given back.
    ///
    /// The node is shown the call signed by a key that was made up for this question:
    /// it could send on what it is shown, and nobody's account would pay.
    ///
    /// # Errors
    /// As [`At::sign`]; what asking gives.
    pub async fn fee_rao(&self, call: &PinnedCall) -> Result<u64, ChainError> {
        const WHAT: &str = "the fee of a call";
        let mut seed = [0; 32];
        OsRng.fill_bytes(&mut seed);
        let mut asked = self.sign(call, &Keypair::from_seed(&seed)).await?.bytes;
        let length = u32::try_from(asked.len()).unwrap_or(u32::MAX);
        length.encode_to(&mut asked);
        let answer = self
            .client()
            .runtime_apis()
            .call_raw("TransactionPaymentApi_query_info", Some(&asked))
            .await
            .map_err(|error| ChainError::read(WHAT, &error))?;
        let (_, _, _, fee) = DispatchInfo::decode_all(&mut &*answer)
            .map_err(|error| ChainError::read(WHAT, &error))?;
        Ok(fee)
    }

    /// What `account` can spend, in rao.
    ///
    /// # Errors
    /// [`ChainError::Nodes`], [`ChainError::Read`].
    pub async fn free_balance_rao(&self, account: &Hotkey) -> Result<u64, ChainError> {
        const WHAT: &str = "an account's balance";
        let address = subxt::dynamic::storage::<_, AccountInfo>("System", "Account");
        let value = self
            .client()
            .storage()
            .fetch(address, (Value::from_bytes(account.as_bytes()),))
            .await
            .map_err(|error| ChainError::read(WHAT, &error))?;
        let info = value
            .decode()
            .map_err(|error| ChainError::read(WHAT, &error))?;
        Ok(info.data.free)
    }
}
