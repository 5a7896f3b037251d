//! Rewards: what a pool says is claimable, what the claim contract says of it, and
//! whether one follows from the other.
//!
//! Neither the pool nor a node is believed more than it has to be. A proof is
//! checked here, against the root that the chain has; a recipient counts only if
//! the hotkey itself signed for it; and the contract is the one that the miner
//! names.

pub(crate) mod call;
pub(crate) mod claiming;
pub(crate) mod contract;
pub(crate) mod pool;
pub(crate) mod recipient;
pub(crate) mod statement;

/// What the chain moves at least, measured in its main currency: `InitialMinStake`
/// of runtime 424, in rao. A subnet's own currency is worth less or more, so this
/// bound warns, and the chain decides.
pub(crate) const SMALLEST_TRANSFER_RAO: u64 = 2_000_000;

/// Rao as a decimal number of whole coins, nine digits behind the point.
pub(crate) fn coins(rao: u64) -> String {
    const RAO_PER_COIN: u64 = 1_000_000_000;
    format!("{}.{:09}", rao / RAO_PER_COIN, rao % RAO_PER_COIN)
}

/// Amounts in JSON are decimal text: what reads them may make doubles of numbers.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(crate) fn as_text<S: serde::Serializer>(rao: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(rao)
}

/// The same for an amount that may not be known.
#[expect(clippy::ref_option, reason = "serde's signature")]
pub(crate) fn as_text_if_known<S: serde::Serializer>(
    rao: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match rao {
        Some(rao) => as_text(rao, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_keeps_every_rao() {
        assert_eq!(coins(0), "0.000000000");
        assert_eq!(coins(1_000_000_001), "1.000000001");
        assert_eq!(coins(u64::MAX), "18446744073.709551615");
    }
}
