//! Where an artifact is, and what it is declared to be.

use std::path::{Path, PathBuf};

use protocol::Sha256Digest;
use protocol::spec::Content;
use url::Url;

use super::ArtifactError;
use super::error::shortened;

/// The longest address that is read.
const MAX_URI_BYTES: usize = 8192;

/// Where an artifact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactSource(pub(super) Location);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    Remote(Url),
    Local(PathBuf),
}

impl ArtifactSource {
    /// Reads the location that a submission or a task names: an https address,
    /// or a path without any scheme. Whether a path is ever opened is for
    /// [`LocalFiles`](super::LocalFiles) to say.
    ///
    /// # Errors
    /// `artifact.scheme_not_allowed` for everything else: other schemes,
    /// malformed addresses, user names and passwords, white space.
    pub fn parse(text: &str) -> Result<Self, ArtifactError> {
        let refuse = |problem| ArtifactError::Scheme {
            uri: shortened(&without_credentials(text)),
            problem,
        };
        if text.is_empty() || text.len() > MAX_URI_BYTES {
            return Err(refuse("is empty or longer than 8,192 bytes"));
        }
        // The URL standard drops blanks and control characters in silence, and
        // mends slashes; two readers could then mean different addresses.
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.chars().any(odd) {
            return Err(refuse(
                "has white space, control characters or backslashes; percent-encode them",
            ));
        }
        let https = text
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("https://"))
            && !text[8..].starts_with('/');
        match Url::parse(text) {
            Ok(url) if https => {
                Self::remote(url).ok_or_else(|| refuse("has a user name or password; remove them"))
            }
            Err(url::ParseError::RelativeUrlWithoutBase) if !https => {
                Ok(Self(Location::Local(PathBuf::from(text))))
            }
            Ok(_) => Err(refuse("is not an https address; only https is fetched")),
            Err(_) => Err(refuse("is not a well-formed https address")),
        }
    }

    /// A file that the operator named. It is copied into the cache while it is
    /// hashed, and never mounted from where it lies.
    pub fn local(path: impl AsRef<Path>) -> Self {
        Self(Location::Local(path.as_ref().to_owned()))
    }

    fn remote(mut url: Url) -> Option<Self> {
        let plain = url.username().is_empty() && url.password().is_none() && url.has_host();
        url.set_fragment(None);
        plain.then_some(Self(Location::Remote(url)))
    }
}

/// A text for a message: whatever stands before an `@` may be a password.
fn without_credentials(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(start), Some(at)) if start + 3 <= at => {
            format!("{}…{}", &text[..start + 3], &text[at..])
        }
        _ => text.to_owned(),
    }
}

/// What a submission declares about its artifact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    /// The digest of the bytes as they are served. A remote artifact needs it.
    pub sha256: Option<Sha256Digest>,
    /// Their number. A remote artifact needs it.
    pub size_bytes: Option<u64>,
}

impl Declared {
    /// Reads the two fields as texts. An empty digest is a missing one, which
    /// [`Artifacts::verify`](super::Artifacts::verify) refuses for an address.
    ///
    /// # Errors
    /// `spec.invalid` for a digest that is not 64 lower-case hex digits and for
    /// a size that is not a plain decimal number: never "skip the check".
    pub fn parse(sha256: Option<&str>, size_bytes: Option<&str>) -> Result<Self, ArtifactError> {
        let sha256 = sha256
            .filter(|text| !text.is_empty())
            .map(str::parse::<Sha256Digest>)
            .transpose()
            .map_err(|problem| ArtifactError::Declared {
                field: "artifact_sha256",
                problem: problem.to_string(),
            })?;
        let size_bytes = size_bytes.map(parse_size).transpose()?;
        Ok(Self { sha256, size_bytes })
    }
}

fn parse_size(text: &str) -> Result<u64, ArtifactError> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let size = plain.then(|| text.parse().ok()).flatten();
    size.ok_or_else(|| ArtifactError::Declared {
        field: "artifact_size_bytes",
        problem: format!(
            "{:?} is not a number of bytes; write decimal digits only",
            shortened(text)
        ),
    })
}

impl From<&Content> for Declared {
    fn from(content: &Content) -> Self {
        Self {
            sha256: Some(content.sha256),
            size_bytes: Some(content.size_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::Code;

    use super::*;

    #[test]
    fn what_is_not_a_plain_https_address_is_refused_and_never_a_path() {
        for text in [
            "",
            "http://a.example/x",
            "HTTP://a.example/x",
            "ftp://a.example/x",
            "file:///etc/passwd",
            "data:,x",
            "https://[",
            "https://",
            "https:///x",
            "https:/a/x",
            "https:\\\\a.example",
            "https://a.example\\@b.example/",
            "https:a.example/x",
            "https://a b.example/",
            " https://a.example/x",
            "https://a.example/x\n",
            "ht\ttps://a.example",
            "https://user@a.example/x",
            "https://user:secret@a.example/x",
            "https://:secret@a.example/x",
            "https://a.example:99999/x",
            "s3://bucket/x",
            "javascript:0",
            "a\0b",
        ] {
            let error = ArtifactSource::parse(text).expect_err(text);
            assert_eq!(error.code(), Code::ArtifactSchemeNotAllowed, "{text:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let long = format!("https://a.example/{}", "x".repeat(MAX_URI_BYTES));
        assert!(ArtifactSource::parse(&long).is_err());
    }

    #[test]
    fn an_https_address_keeps_its_query_and_loses_its_fragment() {
        let source = ArtifactSource::parse("HTTPS://a.example:8443/x?sig=1#part").unwrap();
        let Location::Remote(url) = source.0 else {
            panic!("read as a path")
        };
        assert_eq!(url.as_str(), "https://a.example:8443/x?sig=1");
    }

    #[test]
    fn a_malformed_declaration_is_invalid_and_an_empty_digest_is_a_missing_one() {
        let good = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for sha256 in [
            good.to_uppercase(),
            format!(" {good}"),
            format!("{good} "),
            format!("0x{good}"),
            good[1..].to_owned(),
            format!("{good}0"),
            "   ".to_owned(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
        ] {
            let error = Declared::parse(Some(&sha256), Some("1")).expect_err(&sha256);
            assert_eq!(error.code(), Code::SpecInvalid, "{sha256:?}");
        }
        for size in [
            "12abc",
            "",
            "-1",
            "+1",
            " 1",
            "1.0",
            "1e3",
            "0x10",
            "99999999999999999999",
        ] {
            let error = Declared::parse(Some(good), Some(size)).expect_err(size);
            assert_eq!(error.code(), Code::SpecInvalid, "{size:?}");
            assert!(error.to_string().contains("artifact_size_bytes"), "{error}");
        }
        assert_eq!(
            Declared::parse(Some(""), None).unwrap(),
            Declared::default()
        );
        let both = Declared::parse(Some(good), Some("0")).unwrap();
        assert_eq!((both.sha256, both.size_bytes), (good.parse().ok(), Some(0)));
    }
}
