//! A chain, by its nodes.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use subxt::OnlineClient;
use subxt::backend::LegacyBackend;
use subxt::config::substrate::{H256, SubstrateConfig};

use crate::failover::Failover;
use crate::{At, ChainConfig, ChainError, Settings};

/// A chain. Cheap to clone; metadata is fetched once for each runtime version.
#[derive(Debug, Clone)]
pub struct Chain {
    pub(crate) nodes: Arc<Failover>,
    pub(crate) client: OnlineClient<ChainConfig>,
    pub(crate) poll: Duration,
    oldest_head: Duration,
}

impl Chain {
    /// Prepares to talk to the chain of `settings`; no node is asked yet.
    ///
    /// # Errors
    /// [`ChainError::NoEndpoint`].
    pub async fn connect(settings: &Settings) -> Result<Self, ChainError> {
        let nodes = Arc::new(Failover::new(
            &settings.endpoints,
            settings.genesis,
            settings.request_timeout,
        )?);
        // The genesis is ours, not a node's: else any node could choose the chain
        // that signatures count on.
        let config = SubstrateConfig::builder()
            .set_genesis_hash(H256(settings.genesis))
            .build();
        let rpc = subxt::rpcs::RpcClient::new(Arc::clone(&nodes));
        let backend = LegacyBackend::<ChainConfig>::builder().build(rpc);
        let client = OnlineClient::from_backend_with_config(config, Arc::new(backend))
            .await
            .map_err(|error| ChainError::read("the chain", &error))?;
        Ok(Self {
            nodes,
            client,
            poll: settings.poll,
            oldest_head: settings.oldest_head,
        })
    }

    /// The state at the newest finalized block.
    ///
    /// # Errors
    /// [`ChainError::Nodes`], [`ChainError::Read`], [`ChainError::Stale`].
    pub async fn at_finalized(&self) -> Result<At, ChainError> {
        let mut oldest = None;
        for _ in 0..self.nodes.count() {
            let at = self.newest().await?;
            let made_at = at.timestamp().await?;
            let age = now().saturating_sub(made_at);
            if age <= self.oldest_head {
                return Ok(at);
            }
            oldest = Some(ChainError::Stale {
                block: at.block_number(),
                age_seconds: age.as_secs(),
                limit_seconds: self.oldest_head.as_secs(),
            });
            self.nodes.turn();
        }
        Err(oldest.unwrap_or(ChainError::NoEndpoint))
    }

    /// The state at the block of this number.
    ///
    /// # Errors
    /// [`ChainError::Nodes`], [`ChainError::Read`].
    pub async fn at(&self, block: u64) -> Result<At, ChainError> {
        let at = self
            .client
            .at_block(block)
            .await
            .map_err(|error| ChainError::read("a block", &error))?;
        Ok(At::new(at))
    }

    /// The newest finalized block that the present node knows, however old.
    pub(crate) async fn newest(&self) -> Result<At, ChainError> {
        let at = self
            .client
            .at_current_block()
            .await
            .map_err(|error| ChainError::read("the newest finalized block", &error))?;
        Ok(At::new(at))
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
