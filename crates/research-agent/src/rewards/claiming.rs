//! From what is claimable to a signed call: every reason not to sign comes first.

use std::fmt::Write as _;
use std::time::Duration;

use protocol::hotkey::{Hotkey, Keypair};
use protocol::ss58::Address;
use serde::Serialize;
use subtensor::claims::{self, MOST_GAS, claim_single};
use subtensor::{Chain, ContractCall, Gas, Message, PinnedCall};

use super::call::{ShownCall, hexed};
use super::contract::{Contract, Gate};
use super::statement::{EpochLine, Statement, small};
use super::{SMALLEST_TRANSFER_RAO, as_text, as_text_if_known, coins};
use crate::failure::{Done, Failure};

/// How long finality is waited for: an extrinsic's validity, and some more.
const PATIENCE: Duration = Duration::from_mins(20);

/// A claim that the contract would pay.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) epoch: u64,
    pub(crate) hotkey: Address,
    pub(crate) recipient_coldkey: Address,
    /// Everything the hotkey earned so far.
    #[serde(serialize_with = "as_text")]
    amount_rao: u64,
    /// What was paid before.
    #[serde(serialize_with = "as_text")]
    claimed_rao: u64,
    /// What is transferred now.
    #[serde(serialize_with = "as_text")]
    pub(crate) due_rao: u64,
    /// What the chain would charge, at most.
    #[serde(serialize_with = "as_text")]
    pub(crate) fee_rao: u64,
    /// Who pays the fee.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<Hotkey>,
    /// What the signer can spend.
    #[serde(serialize_with = "as_text_if_known")]
    signer_balance_rao: Option<u64>,
    pub(crate) call: ShownCall,
    pub(crate) warnings: Vec<String>,
    /// What became of it; nothing while it is not sent.
    pub(crate) sent: Option<Sent>,
    #[serde(skip)]
    pinned: PinnedCall,
}

/// Where the claim is.
#[derive(Debug, Serialize)]
pub(crate) struct Sent {
    extrinsic_hash: String,
    block: u64,
    /// What the contract says now that the hotkey was paid in all.
    #[serde(serialize_with = "as_text")]
    claimed_rao: u64,
}

/// What the miner decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// Only this epoch.
    pub(crate) epoch: Option<u64>,
    /// Who has to be the one that is paid.
    pub(crate) recipient: Option<Address>,
    /// Who will sign, if that is known.
    pub(crate) signer: Option<Hotkey>,
}

/// Plans the claim, or says why there is nothing to sign.
pub(crate) async fn plan(contract: &Contract, statement: &Statement, wish: Wish) -> Done<Plan> {
    if statement.paused == Some(true) {
        let problem = "the contract is paused; nothing can be claimed before its owner ends that";
        return Err(Failure::Refused(problem.to_owned()));
    }
    let line = chosen(statement, wish.epoch)?;
    ready(line, contract.block())?;
    let Some(package) = line.package.as_ref().filter(|_| line.is_proved()) else {
        return Err(Failure::Refused(format!(
            "epoch {}: there is no checked proof",
            line.epoch
        )));
    };
    right_recipient(line, package.recipient_coldkey, wish.recipient)?;
    let due_rao = line.due_rao.unwrap_or(0);
    if due_rao == 0 {
        return Err(Failure::Refused(format!(
            "epoch {}: nothing is due; {} was earned until then, and as much was paid",
            line.epoch,
            coins(package.amount_units)
        )));
    }
    let message = claim_single(package, true);
    let origin = wish
        .signer
        .unwrap_or(Hotkey::from_bytes(*package.hotkey.as_bytes()));
    let call = rehearsed(contract, &message, origin).await?;
    let pinned = PinnedCall::Contract(call.clone());
    let fee_rao = contract.at.fee_rao(&pinned).await?;
    let balance = match wish.signer {
        Some(signer) => Some(contract.at.free_balance_rao(&signer).await?),
        None => None,
    };
    let mut warnings = Vec::new();
    if due_rao < SMALLEST_TRANSFER_RAO {
        warnings.push(small(due_rao));
    }
    if let Some(balance) = balance.filter(|balance| *balance < fee_rao) {
        warnings.push(format!("the signer has {balance} rao, and the fee is {fee_rao} rao: send it some, or let another wallet sign what --dry-run prints"));
    }
    Ok(Plan {
        epoch: line.epoch,
        hotkey: package.hotkey,
        recipient_coldkey: package.recipient_coldkey,
        amount_rao: package.amount_units,
        claimed_rao: statement.claimed_rao.unwrap_or(0),
        due_rao,
        fee_rao,
        signer: wish.signer,
        signer_balance_rao: balance,
        call: ShownCall::of(&call, &message, package),
        warnings,
        sent: None,
        pinned,
    })
}

/// The epoch that is meant: the named one, the claimable one, or the newest with a
/// claim, so that it can be said why not.
fn chosen(statement: &Statement, named: Option<u64>) -> Done<&EpochLine> {
    let wanted = named.or(statement.claimable_epoch);
    let mut lines = statement.epochs.iter();
    let found = match wanted {
        Some(wanted) => lines.find(|line| line.epoch == wanted),
        None => lines.find(|line| line.package.is_some()),
    };
    let none = || match named {
        Some(epoch) => {
            format!("the pool has no epoch {epoch} among its newest; --epochs looks further back")
        }
        None => format!("the pool has no claim for {}", statement.hotkey),
    };
    found
        .filter(|line| line.package.is_some())
        .ok_or_else(|| Failure::Refused(none()))
}

/// Whether the epoch can be claimed, and by a good proof.
fn ready(line: &EpochLine, block: u64) -> Done<()> {
    let refuse =
        |problem: String| Err(Failure::Refused(format!("epoch {}: {problem}", line.epoch)));
    match line.gate(block) {
        None => return refuse("it is not published on the chain".to_owned()),
        Some(Gate::Open) => {}
        Some(gate @ Gate::OpensAt(_)) => {
            return refuse(format!("claims open {}", gate.told(block)));
        }
        Some(Gate::Disputed) => {
            return refuse("it is disputed; claims stay closed until that is decided".to_owned());
        }
        Some(Gate::Void) => {
            return refuse("it was struck down; what it owed will be in a later one".to_owned());
        }
    }
    match &line.proof_problem {
        Some(problem) => refuse(format!("{problem}; nothing was signed")),
        None => Ok(()),
    }
}

/// A leaf pays whom it names. One that names a stranger pays the stranger, and the
/// hotkey's reward is gone: it is not claimed unless the miner chose that recipient.
fn right_recipient(line: &EpochLine, named: Address, wished: Option<Address>) -> Done<()> {
    let problem = match wished {
        Some(wished) if wished == named => return Ok(()),
        Some(wished) => format!("it pays {named}, and not {wished} as --recipient says"),
        None if line.recipient_signed == Some(true) => return Ok(()),
        None => format!(
            "it pays {named}, and the pool shows no signature of this hotkey for that; if it is yours, say so with --recipient {named}"
        ),
    };
    Err(Failure::Refused(format!(
        "epoch {}: {problem}; nothing was signed",
        line.epoch
    )))
}

/// Lets the contract do it without consequence; gives the call with the gas it needs.
async fn rehearsed(contract: &Contract, message: &Message, origin: Hotkey) -> Done<ContractCall> {
    let needed = contract.claims().try_out(&origin, message).await?;
    // State may change until the call is included: a quarter more than it took.
    let more = |needed: u64, most: u64| needed.saturating_add(needed / 4).min(most);
    Ok(ContractCall {
        gas: Gas {
            ref_time: more(needed.ref_time, MOST_GAS.ref_time),
            proof_size: more(needed.proof_size, MOST_GAS.proof_size),
        },
        ..claims::call(*contract.address.as_bytes(), message)
    })
}

/// Signs, sends, and waits until it is final.
pub(crate) async fn carry_out(
    chain: &Chain,
    contract: &Contract,
    plan: &mut Plan,
    keypair: &Keypair,
) -> Done<()> {
    let signed = contract.at.sign(&plan.pinned, keypair).await?;
    chain.send(&signed).await?;
    let hash = hexed(&signed.hash);
    eprintln!("sent as {hash}; waiting for a finalized block");
    let inclusion = chain.wait_for(&signed, PATIENCE).await?;
    let now = Contract::read(chain, contract.address).await?;
    let hotkey = Hotkey::from_bytes(*plan.hotkey.as_bytes());
    let claimed_rao = now.claims().claimed_rao(&hotkey).await?;
    if claimed_rao < plan.amount_rao {
        plan.warnings.push(format!(
            "the call is on block {}, and the contract still says that {claimed_rao} rao were paid; look at the extrinsic {hash}",
            inclusion.block
        ));
    }
    plan.sent = Some(Sent {
        extrinsic_hash: hash,
        block: inclusion.block,
        claimed_rao,
    });
    Ok(())
}

impl Plan {
    /// For people.
    pub(crate) fn told(&self) -> String {
        let mut text = format!("epoch      {}\n", self.epoch);
        let _ = writeln!(text, "hotkey     {}", self.hotkey);
        let _ = writeln!(text, "pays to    {}", self.recipient_coldkey);
        let _ = writeln!(text, "earned     {}", coins(self.amount_rao));
        let _ = writeln!(text, "paid       {}", coins(self.claimed_rao));
        let _ = writeln!(text, "now        {}", coins(self.due_rao));
        let _ = writeln!(text, "fee        at most {}", coins(self.fee_rao));
        if let Some(sent) = &self.sent {
            let _ = writeln!(
                text,
                "claimed on block {} by {}",
                sent.block, sent.extrinsic_hash
            );
        } else {
            let _ = writeln!(text, "message    claim_single {}", self.call.input());
            let _ = writeln!(text, "call data  {}", self.call.call_data());
            text += "nothing was signed; any wallet may sign this call, and the recipient is the same\n";
        }
        text
    }
}
