//! Numbers with the digits that a report has: read as a double, `1.50` would
//! come back as `1.5`.

use protocol::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A list of numbers.
pub(super) fn each<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Decimal>, D::Error> {
    let raw: Vec<Box<RawValue>> = Deserialize::deserialize(deserializer)?;
    raw.iter().map(|one| read(one)).collect()
}

/// A number that may be absent.
pub(super) fn option<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Decimal>, D::Error> {
    let raw: Option<Box<RawValue>> = Deserialize::deserialize(deserializer)?;
    raw.map(|one| read(&one)).transpose()
}

fn read<E: serde::de::Error>(raw: &RawValue) -> Result<Decimal, E> {
    raw.get().parse().map_err(E::custom)
}
