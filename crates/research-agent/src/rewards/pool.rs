//! A pool's claims API (`WIRE.md` §6), one method for each route.

use protocol::claims::{
    ClaimPackage, KEY_HEADER, MerkleHash, RecipientUpdate, SIGNATURE_HEADER, TIMESTAMP_HEADER,
};
use protocol::hotkey::Signature;
use protocol::ss58::Address;
use serde::Deserialize;
use serde_json::json;

use super::recipient::Mapping;
use crate::client::{Call, Client, ClientError};

const MAPPING: &str = "/api/v1/miners/recipient-coldkey";

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool(Client);

/// What a pool says of an epoch. Only the number is sure to be there: what else the
/// answer has is not fixed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PoolEpoch {
    pub(crate) epoch: u64,
    #[serde(default)]
    pub(crate) state: Option<String>,
    #[serde(default)]
    pub(crate) contract: Option<Address>,
    #[serde(default)]
    pub(crate) root: Option<MerkleHash>,
    #[serde(default)]
    pub(crate) num_of_leaves: Option<u32>,
}

/// An entry of the list of epochs: the number, or an object with it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Number(u64),
    Object { epoch: u64 },
}

#[derive(Deserialize)]
struct EpochList {
    epochs: Vec<Listed>,
}

/// A mapping with what proves it, where the pool shows that.
#[derive(Deserialize)]
struct ServedMapping {
    recipient_coldkey: Address,
    #[serde(default)]
    signed_at: Option<u64>,
    #[serde(default)]
    signature: Option<Signature>,
}

impl Pool {
    pub(crate) const fn new(client: Client) -> Self {
        Self(client)
    }

    /// The pool's address, for people.
    pub(crate) fn address(&self) -> String {
        self.0.address("/")
    }

    /// The numbers of the epochs, newest first.
    pub(crate) async fn epochs(&self) -> Result<Vec<u64>, ClientError> {
        let answer = self.0.send(Call::get("/claims/epochs")).await?;
        let list: EpochList = answer.json()?;
        let numbers = list.epochs.into_iter().map(|one| match one {
            Listed::Number(epoch) | Listed::Object { epoch } => epoch,
        });
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.dedup();
        Ok(numbers)
    }

    /// One epoch.
    pub(crate) async fn epoch(&self, epoch: u64) -> Result<PoolEpoch, ClientError> {
        let call = Call::get(format!("/claims/epoch/{epoch}"));
        let found: PoolEpoch = self.0.send(call).await?.json()?;
        same(epoch, found.epoch)?;
        Ok(found)
    }

    /// The claim package of `hotkey` in an epoch, if it has one.
    pub(crate) async fn package(
        &self,
        epoch: u64,
        hotkey: Address,
    ) -> Result<Option<ClaimPackage>, ClientError> {
        let call = Call::get(format!("/claims/epoch/{epoch}/proof/{hotkey}"));
        let package: ClaimPackage = match self.0.send(call).await {
            Ok(answer) => answer.json()?,
            Err(error) if error.is_status(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        same(epoch, package.epoch)?;
        if package.hotkey != hotkey {
            return Err(unexpected(epoch, "it is another hotkey's".to_owned()));
        }
        Ok(Some(package))
    }

    /// The mappings of `hotkey` that the pool shows, the one in force first. A pool
    /// without a history shows that one alone.
    pub(crate) async fn mappings(&self, hotkey: Address) -> Result<Vec<Mapping>, ClientError> {
        let history = Call::get(format!("{MAPPING}/{hotkey}/history"));
        let served: Vec<ServedMapping> = match self.0.send(history).await {
            Ok(answer) => answer.json()?,
            Err(error) if error.is_status(404) => {
                let newest = Call::get(format!("{MAPPING}/{hotkey}"));
                match self.0.send(newest).await {
                    Ok(answer) => vec![answer.json()?],
                    Err(error) if error.is_status(404) => Vec::new(),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let mapping = |one: ServedMapping| {
            Mapping::of(hotkey, one.recipient_coldkey, one.signed_at, one.signature)
        };
        Ok(served.into_iter().map(mapping).collect())
    }

    /// Puts a mapping in force. Sent again, the same one changes nothing.
    pub(crate) async fn set_recipient(&self, update: &RecipientUpdate) -> Result<(), ClientError> {
        let headers = update.headers();
        let body = json!({"recipient_coldkey": update.recipient_coldkey});
        let call = Call::get(MAPPING)
            .method("PUT")
            .body(body.to_string())
            .header(KEY_HEADER, headers.key)
            .header(TIMESTAMP_HEADER, headers.timestamp)
            .header(SIGNATURE_HEADER, headers.signature);
        self.0.send(call).await.map(drop)
    }
}

fn same(asked: u64, answered: u64) -> Result<(), ClientError> {
    if asked == answered {
        return Ok(());
    }
    Err(unexpected(asked, format!("it is about epoch {answered}")))
}

fn unexpected(epoch: u64, problem: String) -> ClientError {
    ClientError::Unexpected {
        what: format!("the question for epoch {epoch}"),
        problem,
    }
}
