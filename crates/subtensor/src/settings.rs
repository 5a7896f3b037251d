//! How to reach a chain.

use std::time::Duration;

use crate::{Endpoint, EndpointError, Plaintext};

/// The first block of the main network ("finney").
pub const FINNEY_GENESIS: [u8; 32] = [
    0x2f, 0x05, 0x55, 0xcc, 0x76, 0xfc, 0x28, 0x40, 0xa2, 0x5a, 0x6e, 0xa3, 0xb9, 0x63, 0x71, 0x46,
    0x80, 0x6f, 0x1f, 0x44, 0xb0, 0x90, 0xc1, 0x75, 0xff, 0xde, 0x2a, 0x7e, 0x5a, 0xb3, 0x6c, 0x03,
];

/// How to reach a chain.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The nodes, the preferred one first.
    pub endpoints: Vec<Endpoint>,
    /// The hash of the chain's first block. A signature is bound to it.
    pub genesis: [u8; 32],
    /// How long one node may take for one answer.
    pub request_timeout: Duration,
    /// A node whose newest finalized block is older than this is passed over.
    pub oldest_head: Duration,
    /// How long to wait between two looks for a new finalized block.
    pub poll: Duration,
}

impl Settings {
    /// What programs are told on their command lines: nodes, the preferred one first,
    /// and the hash of the first block, the main network's unless given.
    ///
    /// # Errors
    /// [`SettingsError`], which names the option.
    pub fn of_options(
        endpoints: &[String],
        genesis: Option<&str>,
        allow_plaintext: bool,
    ) -> Result<Self, SettingsError> {
        let plaintext = if allow_plaintext {
            Plaintext::Anywhere
        } else {
            Plaintext::LoopbackOnly
        };
        let endpoints = endpoints.iter();
        let endpoints = endpoints.map(|text| Endpoint::parse(text, plaintext));
        let mut settings = Self::finney(endpoints.collect::<Result<_, _>>()?);
        if let Some(text) = genesis {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            hex::decode_to_slice(digits, &mut settings.genesis)
                .map_err(|_| SettingsError::Genesis)?;
        }
        Ok(settings)
    }

    /// The main network at these nodes, with the usual patience: 20 s for an answer,
    /// 5 minutes of age for the newest finalized block (25 blocks), a look every 4 s.
    pub fn finney(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            genesis: FINNEY_GENESIS,
            request_timeout: Duration::from_secs(20),
            oldest_head: Duration::from_mins(5),
            poll: Duration::from_secs(4),
        }
    }
}

/// Why options name no chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A node's address.
    #[error("--endpoint: {0}")]
    Endpoint(#[from] EndpointError),
    /// The hash of the first block.
    #[error("--genesis is not 64 hex digits")]
    Genesis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_right_is_refused_by_the_options_name() {
        fn told(endpoint: &str, genesis: Option<&str>) -> String {
            let error = Settings::of_options(&[endpoint.to_owned()], genesis, false);
            error.unwrap_err().to_string()
        }
        let node = "wss://node.example:443";
        let (short, long) = ("0".repeat(63), "0".repeat(66));
        for genesis in ["", "0x", "12", "0xzz", &short, &long] {
            assert!(
                told(node, Some(genesis)).starts_with("--genesis"),
                "{genesis}"
            );
        }
        for endpoint in ["node", "ftp://node.example", "ws://node.example"] {
            assert!(told(endpoint, None).starts_with("--endpoint"), "{endpoint}");
        }
    }

    #[test]
    fn the_main_network_is_meant_unless_another_genesis_is_given() {
        let node = ["ws://node.example".to_owned()];
        let genesis = |text| Settings::of_options(&node, text, true).unwrap().genesis;
        let (plain, prefixed) = ("07".repeat(32), format!("0x{}", "07".repeat(32)));
        assert_eq!(genesis(None), FINNEY_GENESIS);
        assert_eq!(genesis(Some(&prefixed)), [7; 32]);
        assert_eq!(genesis(Some(&plain)), [7; 32]);
    }
}
