//! Where a node of the chain answers JSON-RPC.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// Whether an endpoint beyond this machine may be spoken to without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plaintext {
    /// On this machine alone: what a node says about balances and weights could be
    /// changed on the way.
    #[default]
    LoopbackOnly,
    /// Anywhere: for a node in a network of one's own.
    Anywhere,
}

/// A node's address. `ws:` and `wss:` addresses, which operators have in their
/// configurations, mean the same node's `http:` and `https:`: one port serves both.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not an address with a host.
    #[error("an endpoint is an address such as wss://host:443, and this is none")]
    Malformed,
    /// Another scheme.
    #[error("an endpoint's scheme is wss, https, ws or http, not {0:?}")]
    Scheme(String),
    /// Plain text to another machine.
    #[error(
        "the endpoint at {0} would be spoken to without TLS; use wss or https, or allow plain text to nodes of your own network"
    )]
    Plaintext(String),
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// [`EndpointError`], which does not repeat the address: paths hold access keys.
    pub fn parse(text: &str, plaintext: Plaintext) -> Result<Self, EndpointError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::Malformed)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "wss" | "https" => "https",
            "ws" | "http" => "http",
            _ => return Err(EndpointError::Scheme(scheme.chars().take(20).collect())),
        };
        let url =
            Url::parse(&format!("{scheme}://{rest}")).map_err(|_| EndpointError::Malformed)?;
        let loopback = match url.host().ok_or(EndpointError::Malformed)? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => IpAddr::V4(address).is_loopback(),
            Host::Ipv6(address) => IpAddr::V6(address).is_loopback(),
        };
        let endpoint = Self(url);
        if scheme == "http" && !loopback && plaintext == Plaintext::LoopbackOnly {
            return Err(EndpointError::Plaintext(endpoint.to_string()));
        }
        Ok(endpoint)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

/// Host and port alone: paths and user names hold access keys.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.host_str().unwrap_or_default())?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, EndpointError> {
        Endpoint::parse(text, Plaintext::LoopbackOnly).map(|endpoint| endpoint.url().to_string())
    }

    #[test]
    fn a_websocket_address_is_the_same_nodes_http_address() {
        assert_eq!(
            parse("wss://node.example:443/key").unwrap(),
            "https://node.example/key"
        );
        assert_eq!(
            parse(" ws://127.0.0.1:9944 ").unwrap(),
            "http://127.0.0.1:9944/"
        );
        assert_eq!(parse("HTTP://[::1]:9944").unwrap(), "http://[::1]:9944/");
    }

    #[test]
    fn plain_text_leaves_this_machine_only_where_that_is_allowed() {
        let error = parse("ws://node.example:9944/key").unwrap_err();
        assert_eq!(
            error,
            EndpointError::Plaintext("node.example:9944".to_owned())
        );
        assert!(Endpoint::parse("ws://node.example:9944", Plaintext::Anywhere).is_ok());
    }

    #[test]
    fn what_is_no_endpoint_is_refused_and_never_printed_whole() {
        for text in [
            "",
            "node.example",
            "ftp://node.example",
            "wss://",
            "file:///etc",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let endpoint = Endpoint::parse("wss://me:pass@node.example/key", Plaintext::default());
        assert_eq!(endpoint.unwrap().to_string(), "node.example");
    }
}
