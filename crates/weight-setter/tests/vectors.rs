//! Normalisation against what the field's own client computed.

use serde::Deserialize;
use weight_setter::normalise::normalise;
use weight_setter::resolve::Shares;

const RECORDED: &str = include_str!("data/weight_vectors.json");

#[derive(Deserialize)]
struct Recorded {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    uids: Vec<u16>,
    weights: Vec<f64>,
    sdk11_normalize: Expected,
}

#[derive(Deserialize)]
struct Expected {
    uids: Vec<u16>,
    values: Vec<u16>,
}

#[test]
fn every_recorded_vector_comes_out_as_the_fields_client_has_it() {
    let recorded: Recorded = serde_json::from_str(RECORDED).unwrap();
    assert_eq!(recorded.vectors.len(), 38);
    for vector in recorded.vectors {
        let shares: Shares = vector.uids.into_iter().zip(vector.weights).collect();
        let expected = vector.sdk11_normalize;
        let mut expected: Vec<(u16, u16)> =
            expected.uids.into_iter().zip(expected.values).collect();
        expected.sort_unstable();
        let ours: Result<Vec<_>, _> =
            normalise(&shares).map(|normalised| normalised.vector.pairs().collect());
        // No weight at all: the field's client sends an empty vector, this one nothing.
        assert_eq!(ours.unwrap_or_default(), expected);
    }
}
