//! The claim contract on a live chain.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::claims::MerkleHash;
use protocol::hotkey::{Hotkey, Keypair};
use protocol::ss58::Address;
use subtensor::{Message, PinnedCall, claims};

use super::{Books, BooksSeen, Call, Chain, ChainError, Paid, Published, Seen, SignedCall};
use crate::Rao;

/// What a call to a contract is named in errors.
const CALL: &str = "call";

/// How many hotkeys a node is asked about at the same time.
const AT_ONCE: usize = 8;

/// The claim contract at an address of a live chain.
#[derive(Debug)]
pub struct Live {
    chain: subtensor::Chain,
    contract: Address,
    keypair: Option<Keypair>,
}

impl Live {
    /// The contract on `chain`, and who signs; without a key it is only read.
    pub fn new(chain: subtensor::Chain, contract: Address, keypair: Option<Keypair>) -> Self {
        Self {
            chain,
            contract,
            keypair,
        }
    }

    async fn at(&self) -> Result<subtensor::At, ChainError> {
        Ok(self.chain.at_finalized().await?)
    }
}

impl From<subtensor::ChainError> for ChainError {
    fn from(error: subtensor::ChainError) -> Self {
        use subtensor::ChainError as Error;
        match error {
            Error::Contract { .. }
            | Error::ContractRefused { .. }
            | Error::CallChanged { .. }
            | Error::Encode { .. }
            | Error::Refused { .. } => Self::Refused(error.to_string()),
            error => Self::Unreachable(error.to_string()),
        }
    }
}

impl Chain for Live {
    fn contract(&self) -> Address {
        self.contract
    }

    async fn latest_epoch(&self) -> Result<Option<u64>, ChainError> {
        let at = self.at().await?;
        Ok(at.claims(*self.contract.as_bytes()).latest_epoch().await?)
    }

    async fn epoch(&self, epoch: u64) -> Result<Seen, ChainError> {
        let at = self.at().await?;
        let info = at.claims(*self.contract.as_bytes()).epoch(epoch).await?;
        Ok(Seen {
            finalized_block: at.block_number(),
            epoch: info.map(|info| Published {
                root: MerkleHash::from_bytes(info.root),
                num_of_leaves: info.num_of_leaves,
                total_rao: Rao(info.total_rao),
                is_disputed: info.disputed,
                is_void: info.is_void(),
                claims_open_at: info.claims_open_at.into(),
            }),
        })
    }

    /// Only the event says it. Its block follows from the block at which claims open,
    /// unless a dispute was decided later than that.
    async fn uri(&self, epoch: u64, published: &Published) -> Result<String, ChainError> {
        let contract = *self.contract.as_bytes();
        let at = self.at().await?;
        let window = at.claims(contract).challenge_blocks().await?;
        let block = published.claims_open_at.saturating_sub(window.into());
        let no_uri = |problem| ChainError::NoUri { epoch, problem };
        if block > at.block_number() {
            return Err(no_uri("it was struck down".to_owned()));
        }
        let there = self.chain.at(block).await?;
        let events = there.epochs_published_by(contract).await.map_err(|error| {
            no_uri(format!(
                "{error}; block {block} is {} blocks old, and a node that is no archive keeps the state of some 256: \
                 name an archive node",
                at.block_number().saturating_sub(block)
            ))
        })?;
        let event = events.into_iter().find(|one| one.epoch == epoch);
        let event = event
            .ok_or_else(|| no_uri(format!("block {block} has no event of its publication")))?;
        Ok(event.uri)
    }

    async fn books(&self) -> Result<BooksSeen, ChainError> {
        let at = self.at().await?;
        Ok(books(&at, *self.contract.as_bytes()).await?)
    }

    async fn paid(&self, hotkeys: &[Address]) -> Result<Paid, ChainError> {
        let contract = *self.contract.as_bytes();
        let at = self.at().await?;
        let seen = books(&at, contract).await?;
        let each = hotkeys.iter().copied();
        let each = each.map(|hotkey| paid_to(&at, contract, hotkey));
        let amounts: BTreeMap<_, _> = stream::iter(each)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Paid { seen, amounts })
    }

    async fn sign(&self, call: &Call) -> Result<SignedCall, ChainError> {
        let Some(keypair) = &self.keypair else {
            return Err(ChainError::Refused(
                "this process has no key to sign with".to_owned(),
            ));
        };
        let contract = *self.contract.as_bytes();
        let message = message(call);
        let at = self.at().await?;
        let claims = at.claims(contract);
        claims.try_out(&keypair.hotkey(), &message).await?;
        let call = PinnedCall::Contract(claims::call(contract, &message));
        let signed = at.sign(&call, keypair).await?;
        Ok(SignedCall {
            hex: hex::encode(&signed.bytes),
            valid_until_block: signed.last_block,
        })
    }

    async fn submit(&self, signed: &SignedCall) -> Result<(), ChainError> {
        let bytes = hex::decode(&signed.hex).map_err(|_| {
            ChainError::Refused("the kept transaction is not hex; the database was changed".into())
        })?;
        Ok(self.chain.send_bytes(CALL, &bytes).await?)
    }
}

async fn books(at: &subtensor::At, contract: [u8; 32]) -> Result<BooksSeen, subtensor::ChainError> {
    let claims = at.claims(contract);
    Ok(BooksSeen {
        finalized_block: at.block_number(),
        books: Books {
            latest_epoch: claims.latest_epoch().await?,
            outstanding_rao: Rao(claims.outstanding_rao().await?),
        },
    })
}

async fn paid_to(
    at: &subtensor::At,
    contract: [u8; 32],
    hotkey: Address,
) -> Result<(Address, Rao), subtensor::ChainError> {
    let asked = Hotkey::from_bytes(*hotkey.as_bytes());
    let paid = at.claims(contract).claimed_rao(&asked).await?;
    Ok((hotkey, Rao(paid)))
}

fn message(call: &Call) -> Message {
    match call {
        Call::PublishEpoch {
            epoch,
            root,
            num_of_leaves,
            total_rao,
            uri,
        } => claims::publish_epoch(*epoch, *root.as_bytes(), *num_of_leaves, total_rao.0, uri),
        Call::ChallengeEpoch {
            epoch,
            evidence_hash,
        } => claims::challenge_epoch(*epoch, *evidence_hash.as_bytes()),
    }
}
