//! The state of the chain at one block.

use std::fmt;
use std::time::Duration;

use subxt::OnlineClientAtBlock;
use subxt::ext::frame_decode::storage::IntoEncodableValues;
use subxt::ext::scale_decode::DecodeAsType;

use crate::{ChainConfig, ChainError};

/// The pallet that all of this is about.
pub(crate) const PALLET: &str = "SubtensorModule";

/// The state of the chain at one block. What is read from one `At` belongs together.
#[derive(Clone)]
pub struct At(OnlineClientAtBlock<ChainConfig>);

/// The block alone: the client would print all of the chain's metadata.
impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "At(block {})", self.block_number())
    }
}

impl At {
    pub(crate) fn new(at: OnlineClientAtBlock<ChainConfig>) -> Self {
        Self(at)
    }

    pub(crate) fn client(&self) -> &OnlineClientAtBlock<ChainConfig> {
        &self.0
    }

    /// The block's number.
    pub fn block_number(&self) -> u64 {
        self.0.block_number()
    }

    /// The block's hash.
    pub fn block_hash(&self) -> [u8; 32] {
        self.0.block_hash().0
    }

    /// The version of the runtime at this block.
    pub fn spec_version(&self) -> u32 {
        self.0.spec_version()
    }

    /// When the block was made: time since the Unix epoch, by the clock of its
    /// author.
    pub async fn timestamp(&self) -> Result<Duration, ChainError> {
        let millis: u64 = self
            .entry("Timestamp", "Now", (), "the time of a block")
            .await?;
        Ok(Duration::from_millis(millis))
    }

    /// A value of the subnets' pallet, or the default that the chain's metadata
    /// names.
    pub(crate) async fn value<K, V>(&self, name: &'static str, keys: K) -> Result<V, ChainError>
    where
        K: IntoEncodableValues + subxt::ext::frame_decode::storage::IntoDecodableValues,
        V: DecodeAsType,
    {
        self.entry(PALLET, name, keys, name).await
    }

    async fn entry<K, V>(
        &self,
        pallet: &'static str,
        name: &'static str,
        keys: K,
        what: &'static str,
    ) -> Result<V, ChainError>
    where
        K: IntoEncodableValues + subxt::ext::frame_decode::storage::IntoDecodableValues,
        V: DecodeAsType,
    {
        let address = subxt::dynamic::storage::<K, V>(pallet, name);
        let value = self
            .0
            .storage()
            .fetch(address, keys)
            .await
            .map_err(|error| ChainError::read(what, &error))?;
        value
            .decode()
            .map_err(|error| ChainError::read(what, &error))
    }

    /// Calls a function of the runtime; nothing is changed.
    pub(crate) async fn runtime<A, V>(
        &self,
        api: &'static str,
        method: &'static str,
        arguments: A,
    ) -> Result<V, ChainError>
    where
        A: IntoEncodableValues,
        V: DecodeAsType,
    {
        let call = subxt::dynamic::runtime_api_call::<A, V>(api, method, arguments);
        self.0
            .runtime_apis()
            .call(call)
            .await
            .map_err(|error| ChainError::read(method, &error))
    }
}
