//! One pass over a file at the speed of the hash: one thread reads (and copies)
//! while another hashes, over four buffers that go round between them.

use std::io::{self, Read};
use std::sync::mpsc;
use std::thread;

use aws_lc_rs::digest::{self, Context, SHA256};
use protocol::Sha256Digest;

use super::ArtifactError;

/// Four such buffers stay in a core's cache: larger ones cost more per byte.
const BUFFER_BYTES: usize = 128 << 10;
const BUFFERS: usize = 4;

/// SHA-256 over bytes as they come. Not the `sha2` crate's: without the
/// processor's SHA instructions that one reaches two thirds of this speed.
pub(super) struct Hasher(Context);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Sha256Digest {
        to_digest(&self.0.finish())
    }
}

fn to_digest(found: &digest::Digest) -> Sha256Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(found.as_ref());
    Sha256Digest::from_bytes(bytes)
}

/// The digest of all that `source` has.
pub fn digest_of(mut source: impl Read) -> io::Result<Sha256Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Reads `source` to its end, gives every piece to `each`, and returns the
/// digest and number of all bytes. Memory is constant: four buffers.
///
/// # Errors
/// The first error of `source`, mapped by `unreadable`, or of `each`.
pub(super) fn hash_through(
    mut source: impl Read,
    unreadable: impl Fn(io::Error) -> ArtifactError,
    mut each: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
) -> Result<(Sha256Digest, u64), ArtifactError> {
    let mut next = |mut buffer: Vec<u8>| {
        let length = fill(&mut source, &mut buffer).map_err(&unreadable)?;
        each(&buffer[..length])?;
        Ok((buffer, length))
    };
    let (mut buffer, mut length) = next(vec![0; BUFFER_BYTES])?;
    if length < BUFFER_BYTES {
        let digest = digest::digest(&SHA256, &buffer[..length]);
        return Ok((to_digest(&digest), length as u64));
    }
    thread::scope(|scope| {
        let (full, filled) = mpsc::sync_channel::<(Vec<u8>, usize)>(BUFFERS);
        let (empty, spare) = mpsc::channel::<Vec<u8>>();
        for _ in 1..BUFFERS {
            // The receiver is right here.
            let _ = empty.send(vec![0; BUFFER_BYTES]);
        }
        let hashing = scope.spawn(move || {
            let mut hasher = Hasher::new();
            for (buffer, length) in filled {
                hasher.update(&buffer[..length]);
                // The reader may be done; then nobody wants the buffer back.
                let _ = empty.send(buffer);
            }
            hasher.finish()
        });
        let mut total = 0;
        while length > 0 {
            total += length as u64;
            full.send((buffer, length)).map_err(|_| hashing_stopped())?;
            let emptied = spare.recv().map_err(|_| hashing_stopped())?;
            (buffer, length) = next(emptied)?;
        }
        drop(full);
        let digest = hashing.join().map_err(|_| hashing_stopped())?;
        Ok((digest, total))
    })
}

/// Reads until `buffer` is full or `source` ends, and says how much it read.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn hashing_stopped() -> ArtifactError {
    ArtifactError::host("hash a file")(io::Error::other("the hashing thread stopped"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_around_a_buffers_end_gives_the_plain_digest() {
        for length in [
            0,
            1,
            BUFFER_BYTES - 1,
            BUFFER_BYTES,
            BUFFER_BYTES + 1,
            6 * BUFFER_BYTES + 17,
        ] {
            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut copy = Vec::new();
            let each = |piece: &[u8]| {
                copy.extend_from_slice(piece);
                Ok(())
            };
            let found = hash_through(&bytes[..], ArtifactError::host("read"), each).unwrap();
            assert_eq!(found, (Sha256Digest::of(&bytes), length as u64));
            assert!(copy == bytes, "the copy of {length} bytes differs");
        }
    }

    #[test]
    fn an_error_of_the_copy_ends_the_pass() {
        let bytes = vec![0; 3 * BUFFER_BYTES];
        let mut pieces = 0;
        let each = |_: &[u8]| {
            pieces += 1;
            (pieces < 2).then_some(()).ok_or(ArtifactError::StorageFull)
        };
        let found = hash_through(&bytes[..], ArtifactError::host("read"), each);
        assert!(matches!(found, Err(ArtifactError::StorageFull)));
        assert_eq!(pieces, 2);
    }
}
