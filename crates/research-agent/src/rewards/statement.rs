//! What a hotkey can claim, put together from the pool and the contract, each
//! proof checked.

use std::fmt::Write as _;

use protocol::claims::{ClaimPackage, MerkleHash};
use protocol::hotkey::Hotkey;
use protocol::ss58::Address;
use serde::Serialize;
use subtensor::claims::EpochInfo;

use super::contract::{Contract, Gate};
use super::pool::{Pool, PoolEpoch};
use super::recipient::{Mapping, is_chosen};
use super::{as_text_if_known, coins};
use crate::failure::{Done, Failure};
use crate::terminal::{plain, table};

/// Everything that is known of a hotkey's rewards.
#[derive(Debug, Serialize)]
pub(crate) struct Statement {
    pub(crate) hotkey: Address,
    pub(crate) pool: String,
    /// The contract by which proofs were checked.
    pub(crate) contract: Option<Address>,
    /// Who is paid in epochs to come.
    pub(crate) recipient: Option<Mapping>,
    /// The block at which the chain was read.
    pub(crate) block: Option<u64>,
    pub(crate) paused: Option<bool>,
    /// What was paid before.
    #[serde(serialize_with = "as_text_if_known")]
    pub(crate) claimed_rao: Option<u64>,
    /// Newest first.
    pub(crate) epochs: Vec<EpochLine>,
    /// The epoch to claim now.
    pub(crate) claimable_epoch: Option<u64>,
    /// What claiming it would transfer.
    #[serde(serialize_with = "as_text_if_known")]
    pub(crate) due_rao: Option<u64>,
    /// What the chain would charge for it, at most.
    #[serde(serialize_with = "as_text_if_known")]
    pub(crate) fee_rao: Option<u64>,
    /// What is not known, and what to look out for.
    pub(crate) notes: Vec<String>,
}

/// One epoch.
#[derive(Debug, Serialize)]
pub(crate) struct EpochLine {
    pub(crate) epoch: u64,
    /// What the pool says: `built` or `published`.
    pool_state: Option<String>,
    /// The published root; what the pool says while the chain is not asked.
    root: Option<MerkleHash>,
    #[serde(serialize_with = "as_text_if_known")]
    amount_rao: Option<u64>,
    pub(crate) recipient_coldkey: Option<Address>,
    /// Whether the pool shows the hotkey's signature for this recipient.
    pub(crate) recipient_signed: Option<bool>,
    /// `good`, `bad` or `unchecked`; nothing without a claim.
    proof: Option<&'static str>,
    pub(crate) proof_problem: Option<String>,
    /// `open`, `not_open_yet`, `disputed`, `void` or `not_published`.
    claims: Option<&'static str>,
    claims_open_at: Option<u32>,
    #[serde(serialize_with = "as_text_if_known")]
    pub(crate) due_rao: Option<u64>,
    #[serde(skip)]
    pub(crate) package: Option<ClaimPackage>,
    #[serde(skip)]
    pub(crate) published: Option<EpochInfo>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) hotkey: Address,
    /// The contract that the miner names.
    pub(crate) contract: Option<Address>,
    /// How many epochs are looked at.
    pub(crate) epochs: usize,
}

/// Asks the pool, and the chain if it is there.
pub(crate) async fn gather(
    pool: &Pool,
    chain: Option<&Contract>,
    question: Question,
) -> Done<Statement> {
    let mappings = pool.mappings(question.hotkey).await?;
    let mut statement = Statement {
        hotkey: question.hotkey,
        pool: pool.address(),
        contract: question.contract,
        recipient: mappings.first().copied(),
        block: chain.map(Contract::block),
        paused: None,
        claimed_rao: None,
        epochs: Vec::new(),
        claimable_epoch: None,
        due_rao: None,
        fee_rao: None,
        notes: Vec::new(),
    };
    if let Some(chain) = chain {
        let claims = chain.claims();
        statement.paused = Some(claims.is_paused().await?);
        let hotkey = Hotkey::from_bytes(*question.hotkey.as_bytes());
        statement.claimed_rao = Some(claims.claimed_rao(&hotkey).await?);
    }
    for epoch in pool.epochs().await?.into_iter().take(question.epochs) {
        let told = pool.epoch(epoch).await?;
        let contract = agreed_contract(&told, question.contract)?;
        statement.contract = statement.contract.or(contract);
        let package = pool.package(epoch, question.hotkey).await?;
        let published = match chain {
            Some(chain) => Some(chain.claims().epoch(epoch).await?),
            None => None,
        };
        let line = Seen {
            told,
            package,
            published,
            contract,
        };
        statement.epochs.push(line.line(&statement, &mappings));
    }
    statement.choose();
    statement.note(question);
    Ok(statement)
}

/// The contract of an epoch; refused when the pool has another than the miner names.
fn agreed_contract(told: &PoolEpoch, named: Option<Address>) -> Done<Option<Address>> {
    match (told.contract, named) {
        (Some(pools), Some(named)) if pools != named => Err(Failure::Refused(format!(
            "epoch {} is for the contract {pools}, and you name {named} with --contract; ask the operator which one it is",
            told.epoch
        ))),
        (pools, named) => Ok(named.or(pools)),
    }
}

/// What was seen of one epoch.
struct Seen {
    told: PoolEpoch,
    package: Option<ClaimPackage>,
    /// Nothing if the chain was not asked.
    #[expect(clippy::option_option, reason = "asked or not, then there or not")]
    published: Option<Option<EpochInfo>>,
    contract: Option<Address>,
}

impl Seen {
    fn line(self, statement: &Statement, mappings: &[Mapping]) -> EpochLine {
        let proof = self.package.as_ref().map(|package| self.proof(package));
        let published = self.published.flatten();
        let gate = published.map(|epoch| Gate::of(&epoch, statement.block.unwrap_or_default()));
        let package = self.package;
        let amount_rao = package.as_ref().map(|package| package.amount_units);
        let recipient = package.as_ref().map(|package| package.recipient_coldkey);
        EpochLine {
            epoch: self.told.epoch,
            pool_state: self.told.state.map(|state| plain(&state)),
            root: published.map(root_of).or(self.told.root),
            amount_rao,
            recipient_coldkey: recipient,
            recipient_signed: recipient.map(|recipient| is_chosen(mappings, recipient)),
            proof: proof.as_ref().map(|(state, _)| *state),
            proof_problem: proof.and_then(|(_, problem)| problem),
            claims: match (self.published, gate) {
                (None, _) => None,
                (Some(_), None) => Some("not_published"),
                (Some(_), Some(gate)) => Some(gate.name()),
            },
            claims_open_at: published.map(|epoch| epoch.claims_open_at),
            due_rao: amount_rao
                .zip(statement.claimed_rao)
                .map(|(amount, claimed)| amount.saturating_sub(claimed)),
            package,
            published,
        }
    }

    /// Checks a proof against the published root, or against what the pool says
    /// while there is none.
    fn proof(&self, package: &ClaimPackage) -> (&'static str, Option<String>) {
        let published = self.published.flatten();
        let root = published.map(root_of).or(self.told.root);
        let leaves = published.map(|epoch| epoch.num_of_leaves);
        let (Some(root), Some(leaves), Some(contract)) =
            (root, leaves.or(self.told.num_of_leaves), self.contract)
        else {
            let missing = "the pool does not say the epoch's root, number of leaves or contract";
            return ("unchecked", Some(missing.to_owned()));
        };
        if package.root != root {
            let problem = format!(
                "the package is for the root {}, not for {root}",
                package.root
            );
            return ("bad", Some(problem));
        }
        match package.verify(contract, leaves) {
            Ok(()) => ("good", None),
            Err(error) => ("bad", Some(error.to_string())),
        }
    }
}

fn root_of(published: EpochInfo) -> MerkleHash {
    MerkleHash::from_bytes(published.root)
}

impl EpochLine {
    /// Whether the epoch can be claimed at `block`; nothing while it is not published
    /// or the chain was not asked.
    pub(crate) fn gate(&self, block: u64) -> Option<Gate> {
        self.published.map(|epoch| Gate::of(&epoch, block))
    }

    /// Whether its proof was checked and leads to the published root.
    pub(crate) fn is_proved(&self) -> bool {
        self.proof == Some("good") && self.published.is_some()
    }

    pub(crate) fn has_bad_proof(&self) -> bool {
        self.proof == Some("bad")
    }
}

impl Statement {
    /// Amounts are cumulative: the newest epoch that can be claimed pays everything
    /// that an older one would.
    fn choose(&mut self) {
        let Some(block) = self.block else { return };
        let best = self.epochs.iter().find(|line| {
            line.is_proved() && line.gate(block) == Some(Gate::Open) && line.due_rao > Some(0)
        });
        self.claimable_epoch = best.map(|line| line.epoch);
        self.due_rao = best.map_or(Some(0), |line| line.due_rao);
    }

    fn note(&mut self, question: Question) {
        let mut notes = Vec::new();
        if self.block.is_none() {
            notes.push("the chain was not asked: whether an epoch is published, what was paid before and when claims open is not known; name a node with --endpoint and the contract with --contract".to_owned());
        }
        if self.contract.is_some() && question.contract.is_none() {
            notes.push("proofs were checked for the contract that the pool names; name it yourself with --contract to be sure".to_owned());
        }
        if self.recipient.is_none() {
            notes.push("no recipient is set: this hotkey gets no claim before `rewards set-recipient COLDKEY`".to_owned());
        }
        if self.paused == Some(true) {
            notes.push("the contract is paused: nothing can be claimed now".to_owned());
        }
        for line in &self.epochs {
            if let Some(problem) = &line.proof_problem {
                notes.push(format!("epoch {}: {problem}", line.epoch));
            }
            if line.recipient_signed == Some(false) {
                notes.push(format!("epoch {}: the pool shows no signature of this hotkey for the recipient; is it yours?", line.epoch));
            }
        }
        if let Some(due) = self
            .due_rao
            .filter(|due| *due > 0 && *due < super::SMALLEST_TRANSFER_RAO)
        {
            notes.push(small(due));
        }
        self.notes.append(&mut notes);
    }

    /// For people.
    pub(crate) fn told(&self) -> String {
        let mut text = format!("hotkey     {}\n", self.hotkey);
        let contract = self.contract.map(|address| address.to_string());
        let _ = writeln!(
            text,
            "contract   {}",
            contract.as_deref().unwrap_or("not known")
        );
        let recipient = self.recipient.map(|one| one.recipient_coldkey.to_string());
        let _ = writeln!(
            text,
            "recipient  {}",
            recipient.as_deref().unwrap_or("not set")
        );
        if let (Some(claimed), Some(block)) = (self.claimed_rao, self.block) {
            let _ = writeln!(text, "paid       {} until block {block}", coins(claimed));
        }
        if self.epochs.is_empty() {
            text += "\nthe pool has no epoch yet\n";
        } else {
            let _ = write!(text, "\n{}", self.table());
        }
        if let (Some(epoch), Some(due)) = (self.claimable_epoch, self.due_rao) {
            let _ = write!(text, "\nclaimable now: {} of epoch {epoch}", coins(due));
            if let Some(fee) = self.fee_rao {
                let _ = write!(text, ", for a fee of at most {}", coins(fee));
            }
            text += "\nnext: bitsota-research-agent rewards claim\n";
        } else if self.block.is_some() {
            text += "\nnothing can be claimed now\n";
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    fn table(&self) -> String {
        let heads = ["EPOCH", "POOL", "EARNED", "DUE", "PROOF", "CLAIMS", "TO"];
        let dash = || "-".to_owned();
        let rows = self.epochs.iter().map(|line| {
            let claims = match (line.claims, self.block) {
                (Some("not_published"), _) => "not published".to_owned(),
                (Some(_), Some(block)) => {
                    line.gate(block).map_or_else(dash, |gate| gate.told(block))
                }
                _ => "?".to_owned(),
            };
            vec![
                line.epoch.to_string(),
                line.pool_state.clone().unwrap_or_else(dash),
                line.amount_rao.map_or_else(dash, coins),
                line.due_rao.map_or_else(|| "?".to_owned(), coins),
                line.proof.unwrap_or("-").to_owned(),
                claims,
                line.recipient_coldkey
                    .map_or_else(dash, |to| to.to_string()),
            ]
        });
        table(&heads, &rows.collect::<Vec<_>>())
    }
}

/// That the chain may refuse so small a transfer.
pub(crate) fn small(due_rao: u64) -> String {
    format!(
        "{due_rao} rao are due, and the chain moves at least {} rao worth at a time: it may refuse now; what is due grows with the next epochs",
        super::SMALLEST_TRANSFER_RAO
    )
}
