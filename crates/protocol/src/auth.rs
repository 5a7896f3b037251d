//! Request authentication, version `BT-AUTH-V1` (`WIRE.md` §1): six lines,
//! signed by a hotkey.
//! A server adds a cache of used [`Authenticated::signature`]s and a body limit.

use crate::Sha256Digest;
use crate::canonical_json::{CanonicalJsonError, canonicalize};
use crate::hotkey::{Hotkey, Keypair, Signature, SignatureError};
use crate::ss58::AddressError;

/// The first of the signed lines.
pub const SCHEME: &str = "BT-AUTH-V1";
/// The header that names the signer.
pub const HOTKEY_HEADER: &str = "X-Hotkey";
/// The header with the time of signing, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "X-Timestamp";
/// The header with the signature in hex.
pub const SIGNATURE_HEADER: &str = "X-Signature";
/// How far the signer's clock may be from the verifier's, in seconds.
pub const DEFAULT_WINDOW_SECONDS: u64 = 300;

/// What of a request is signed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// In any case; signed in upper case.
    pub method: &'a str,
    /// As sent, without the query.
    pub path: &'a str,
    /// The raw query string without `?`; empty if there is none.
    pub query: &'a str,
    /// The raw body; empty if there is none.
    pub body: &'a [u8],
}

/// The values of the three headers, as they are on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the headers are")]
pub struct Headers<T = String> {
    pub hotkey: T,
    pub timestamp: T,
    pub signature: T,
}

/// A request whose signature is right and fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticated {
    /// Who signed.
    pub hotkey: Hotkey,
    /// When, in Unix seconds, by the signer's clock.
    pub signed_at: u64,
    /// The signature, to be accepted once.
    pub signature: Signature,
}

/// Why a request is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The hotkey header is no address.
    #[error("X-Hotkey: {0}")]
    Hotkey(#[from] AddressError),
    /// The timestamp header is not a decimal number.
    #[error("X-Timestamp: {0:?} is not a number of unix seconds")]
    Timestamp(String),
    /// The timestamp is too far from the verifier's clock.
    #[error(
        "X-Timestamp: {signed_at} is {distance} s from this server's clock ({now}); at most {window} s are allowed, so set the clock"
    )]
    Stale {
        /// By the signer's clock, in Unix seconds.
        signed_at: u64,
        /// By the verifier's clock, in Unix seconds.
        now: u64,
        /// Between the two, in seconds.
        distance: u64,
        /// What is allowed, in seconds.
        window: u64,
    },
    /// The signature header is not a signature.
    #[error("X-Signature: {0}")]
    Signature(#[from] SignatureError),
    /// The body has no canonical form.
    #[error(transparent)]
    Body(#[from] CanonicalJsonError),
    /// A line break or another control character where one line is signed.
    #[error("{0} has a control character")]
    ControlCharacter(&'static str),
    /// The signature is not that hotkey's over this request.
    #[error("X-Signature: not a signature of this request by X-Hotkey")]
    Mismatch,
}

impl AuthError {
    /// Whether the request itself is malformed (status 400), and not merely
    /// without proof of its sender (status 401).
    pub fn is_malformed_request(&self) -> bool {
        matches!(self, Self::Body(_) | Self::ControlCharacter(_))
    }
}

impl Request<'_> {
    /// The signed bytes for a request with this timestamp header.
    ///
    /// # Errors
    /// [`AuthError::Body`] or [`AuthError::ControlCharacter`].
    pub fn message(&self, timestamp: &str) -> Result<String, AuthError> {
        for (name, line) in [
            ("method", self.method),
            ("path", self.path),
            ("query", self.query),
            ("X-Timestamp", timestamp),
        ] {
            if line.chars().any(char::is_control) {
                return Err(AuthError::ControlCharacter(name));
            }
        }
        let body = match self.body {
            [] => String::new(),
            body => canonicalize(body)?,
        };
        Ok([
            SCHEME,
            &self.method.to_ascii_uppercase(),
            self.path,
            self.query,
            timestamp,
            &Sha256Digest::of(body.as_bytes()).to_string(),
        ]
        .join("\n"))
    }

    /// The headers that authenticate this request, signed at `unix_seconds`.
    ///
    /// # Errors
    /// As [`message`](Self::message).
    pub fn sign(&self, keypair: &Keypair, unix_seconds: u64) -> Result<Headers, AuthError> {
        let timestamp = unix_seconds.to_string();
        let message = self.message(&timestamp)?;
        Ok(Headers {
            hotkey: keypair.hotkey().to_string(),
            signature: keypair.sign(message.as_bytes()).to_string(),
            timestamp,
        })
    }

    /// Checks `headers` against this request: form, freshness, then signature.
    /// `now` is in Unix seconds; `window` says how many seconds the timestamp may
    /// lie before or after it.
    ///
    /// # Errors
    /// Any [`AuthError`].
    pub fn authenticate(
        &self,
        headers: &Headers<&str>,
        now: u64,
        window: u64,
    ) -> Result<Authenticated, AuthError> {
        let hotkey: Hotkey = headers.hotkey.parse()?;
        let signature: Signature = headers.signature.parse()?;
        let signed_at = parse_timestamp(headers.timestamp)?;
        let distance = signed_at.abs_diff(now);
        if distance > window {
            return Err(AuthError::Stale {
                signed_at,
                now,
                distance,
                window,
            });
        }
        let message = self.message(headers.timestamp)?;
        if !hotkey.verifies_maybe_wrapped(message.as_bytes(), &signature) {
            return Err(AuthError::Mismatch);
        }
        Ok(Authenticated {
            hotkey,
            signed_at,
            signature,
        })
    }
}

impl Headers {
    /// The same values, borrowed.
    pub fn as_deref(&self) -> Headers<&str> {
        Headers {
            hotkey: &self.hotkey,
            timestamp: &self.timestamp,
            signature: &self.signature,
        }
    }
}

fn parse_timestamp(text: &str) -> Result<u64, AuthError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let seconds = plain.then(|| text.parse().ok()).flatten();
    seconds.ok_or_else(|| AuthError::Timestamp(text.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600;
    const REQUEST: Request<'static> = Request {
        method: "post",
        path: "/api/v1/submissions",
        query: "a=1&b=%20",
        body: br#"{"b": 1.50, "a": "x"}"#,
    };

    fn keypair() -> Keypair {
        Keypair::from_seed(&[7; 32])
    }

    fn check(request: &Request<'_>, headers: &Headers, now: u64) -> Result<Hotkey, AuthError> {
        request
            .authenticate(&headers.as_deref(), now, DEFAULT_WINDOW_SECONDS)
            .map(|found| found.hotkey)
    }

    #[test]
    fn a_signature_is_for_one_method_path_query_body_time_and_key() {
        let headers = REQUEST.sign(&keypair(), NOW).unwrap();
        for other in [
            Request {
                method: "PUT",
                ..REQUEST
            },
            Request {
                path: "/api/v1/submission",
                ..REQUEST
            },
            Request {
                path: "/api/v1/submissions/",
                ..REQUEST
            },
            Request {
                query: "a=1&b= ",
                ..REQUEST
            },
            Request {
                query: "",
                ..REQUEST
            },
            Request {
                body: b"",
                ..REQUEST
            },
            Request {
                body: br#"{"b": 1.51, "a": "x"}"#,
                ..REQUEST
            },
        ] {
            assert_eq!(
                check(&other, &headers, NOW),
                Err(AuthError::Mismatch),
                "{other:?}"
            );
        }
        let later = Headers {
            timestamp: (NOW + 1).to_string(),
            ..headers.clone()
        };
        assert_eq!(check(&REQUEST, &later, NOW), Err(AuthError::Mismatch));
        let padded = Headers {
            timestamp: format!("0{NOW}"),
            ..headers.clone()
        };
        assert_eq!(check(&REQUEST, &padded, NOW), Err(AuthError::Mismatch));
        let other = Keypair::from_seed(&[8; 32]).hotkey().to_string();
        let other = Headers {
            hotkey: other,
            ..headers
        };
        assert_eq!(check(&REQUEST, &other, NOW), Err(AuthError::Mismatch));
    }

    #[test]
    fn an_old_or_future_timestamp_is_stale() {
        let headers = REQUEST.sign(&keypair(), NOW).unwrap();
        for now in [NOW - 301, NOW + 301, 0, u64::MAX] {
            let found = check(&REQUEST, &headers, now);
            assert!(matches!(found, Err(AuthError::Stale { .. })), "{found:?}");
        }
        for now in [NOW - 300, NOW, NOW + 300] {
            assert_eq!(check(&REQUEST, &headers, now), Ok(keypair().hotkey()));
        }
    }

    #[test]
    fn malformed_headers_are_named() {
        let good = REQUEST.sign(&keypair(), NOW).unwrap();
        for timestamp in [
            "",
            "-1",
            "+1",
            "1.0",
            "1e9",
            " 1",
            "0x1",
            "99999999999999999999",
            "١",
        ] {
            let headers = Headers {
                timestamp: timestamp.to_owned(),
                ..good.clone()
            };
            let found = check(&REQUEST, &headers, NOW);
            assert!(matches!(found, Err(AuthError::Timestamp(_))), "{timestamp}");
        }
        let headers = Headers {
            hotkey: "5abc".to_owned(),
            ..good.clone()
        };
        assert!(matches!(
            check(&REQUEST, &headers, NOW),
            Err(AuthError::Hotkey(_))
        ));
        let headers = Headers {
            signature: "00".to_owned(),
            ..good
        };
        assert!(matches!(
            check(&REQUEST, &headers, NOW),
            Err(AuthError::Signature(_))
        ));
    }

    #[test]
    fn a_body_or_line_that_is_ambiguous_is_a_malformed_request() {
        for request in [
            Request {
                body: br#"{"a":1,"a":2}"#,
                ..REQUEST
            },
            Request {
                body: b"not json",
                ..REQUEST
            },
            Request {
                body: b" ",
                ..REQUEST
            },
            Request {
                path: "/a\n",
                ..REQUEST
            },
            Request {
                query: "a\nb",
                ..REQUEST
            },
            Request {
                method: "GET\r",
                ..REQUEST
            },
        ] {
            let error = request.sign(&keypair(), NOW).unwrap_err();
            assert!(error.is_malformed_request(), "{error}");
        }
        assert!(!AuthError::Mismatch.is_malformed_request());
    }

    #[test]
    fn another_serialisation_of_the_same_body_verifies() {
        let headers = REQUEST.sign(&keypair(), NOW).unwrap();
        let same = Request {
            body: "{\"a\":\"\\u0078\",\"b\":15e-1}\n".as_bytes(),
            method: "POST",
            ..REQUEST
        };
        assert_eq!(check(&same, &headers, NOW), Ok(keypair().hotkey()));
        let prefixed = Headers {
            signature: format!("0x{}", headers.signature),
            ..headers
        };
        assert_eq!(check(&same, &prefixed, NOW), Ok(keypair().hotkey()));
    }

    #[test]
    fn a_message_wrapped_by_a_wallet_verifies() {
        let mut headers = REQUEST.sign(&keypair(), NOW).unwrap();
        let message = REQUEST.message(&headers.timestamp).unwrap();
        let wrapped = format!("<Bytes>{message}</Bytes>");
        headers.signature = keypair().sign(wrapped.as_bytes()).to_string();
        assert_eq!(check(&REQUEST, &headers, NOW), Ok(keypair().hotkey()));
    }

    #[test]
    fn the_message_has_six_lines_and_nothing_for_what_is_absent() {
        let request = Request {
            method: "get",
            path: "/",
            query: "",
            body: b"",
        };
        let message = request.message("5").unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(message, format!("BT-AUTH-V1\nGET\n/\n\n5\n{empty}"));
    }
}
