//! `GIT binary patch` bodies. Nothing is inflated before its declared size is
//! within the limit, and inflating stops one byte after it.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::PatchRefusal;
use super::lines::{Lines, without_line_end};

/// The forward half of a binary diff; the reverse half is not needed.
#[derive(Debug, Clone)]
pub(super) struct BinaryDiff {
    encoding: Encoding,
    /// The length of the inflated data, as declared.
    declared: u64,
    deflated: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// The whole new content.
    Literal,
    /// git's delta from the old content.
    Delta,
}

/// Why a binary diff gives no content.
pub(super) enum Unusable {
    /// Longer than the limit.
    TooLong,
    /// Not what git writes.
    Corrupt,
    /// For another old content.
    WrongBase,
}

impl BinaryDiff {
    /// Reads the lines after `GIT binary patch`.
    pub(super) fn read(lines: &mut Lines<'_>) -> Result<Self, PatchRefusal> {
        let here = *lines;
        let forward = Self::half(lines)?
            .ok_or_else(|| here.refuse("a binary diff begins with literal or delta"))?;
        Self::half(lines)?;
        Ok(forward)
    }

    fn half(lines: &mut Lines<'_>) -> Result<Option<Self>, PatchRefusal> {
        let here = *lines;
        let (encoding, size) = if let Some(size) = lines.take_after(b"literal ") {
            (Encoding::Literal, size)
        } else if let Some(size) = lines.take_after(b"delta ") {
            (Encoding::Delta, size)
        } else {
            return Ok(None);
        };
        let declared = std::str::from_utf8(size)
            .ok()
            .filter(|size| !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| here.refuse("the size of the binary data is not a number"))?;
        let mut deflated = Vec::new();
        loop {
            let here = *lines;
            let line = lines
                .take()
                .ok_or_else(|| here.refuse("the patch ends in the middle of binary data"))?;
            let line = without_line_end(line);
            if line.is_empty() {
                break;
            }
            decode_line(line, &mut deflated)
                .ok_or_else(|| here.refuse("is not a line of binary data"))?;
        }
        Ok(Some(Self {
            encoding,
            declared,
            deflated,
        }))
    }

    /// The new content. `source` is the old one and is read only for a delta.
    pub(super) fn apply(&self, source: &[u8], limit: u64) -> Result<Vec<u8>, Unusable> {
        // A delta is never longer than the patch could make it, and says itself
        // how long its result is.
        if self.declared > limit {
            return Err(Unusable::TooLong);
        }
        let mut inflated = Vec::new();
        ZlibDecoder::new(self.deflated.as_slice())
            .take(self.declared + 1)
            .read_to_end(&mut inflated)
            .map_err(|_| Unusable::Corrupt)?;
        if inflated.len() as u64 != self.declared {
            return Err(Unusable::Corrupt);
        }
        match self.encoding {
            Encoding::Literal => Ok(inflated),
            Encoding::Delta => apply_delta(source, &inflated, limit),
        }
    }

    /// Whether the old content is needed.
    pub(super) fn is_delta(&self) -> bool {
        self.encoding == Encoding::Delta
    }
}

/// A length letter, and groups of five characters for four bytes each.
fn decode_line(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (letter, groups) = line.split_first()?;
    let len = usize::from(match letter {
        b'A'..=b'Z' => letter - b'A' + 1,
        b'a'..=b'z' => letter - b'a' + 27,
        _ => return None,
    });
    if groups.len() != len.div_ceil(4) * 5 {
        return None;
    }
    let end = out.len() + len;
    for group in groups.chunks_exact(5) {
        let mut value = 0u64;
        for c in group {
            value = value * 85 + u64::from(base85(*c)?);
        }
        out.extend_from_slice(&u32::try_from(value).ok()?.to_be_bytes());
    }
    out.truncate(end);
    Some(())
}

fn base85(c: u8) -> Option<u8> {
    const SIGNS: &[u8] = b"!#$%&()*+-;<=>?@^_`{|}~";
    Some(match c {
        b'0'..=b'9' => c - b'0',
        b'A'..=b'Z' => c - b'A' + 10,
        b'a'..=b'z' => c - b'a' + 36,
        _ => 62 + u8::try_from(SIGNS.iter().position(|sign| *sign == c)?).ok()?,
    })
}

/// git's delta: two lengths, then copies from the source and insertions.
fn apply_delta(source: &[u8], delta: &[u8], limit: u64) -> Result<Vec<u8>, Unusable> {
    let mut delta = delta.iter().copied();
    let source_len = varint(&mut delta).ok_or(Unusable::Corrupt)?;
    let len = varint(&mut delta).ok_or(Unusable::Corrupt)?;
    if len > limit {
        return Err(Unusable::TooLong);
    }
    if source_len != source.len() as u64 {
        return Err(Unusable::WrongBase);
    }
    let mut out = Vec::new();
    while let Some(op) = delta.next() {
        if op & 0x80 != 0 {
            let (mut offset, mut count) = (0usize, 0usize);
            for bit in 0..4 {
                if op & (1 << bit) != 0 {
                    offset |= usize::from(delta.next().ok_or(Unusable::Corrupt)?) << (8 * bit);
                }
            }
            for bit in 0..3 {
                if op & (0x10 << bit) != 0 {
                    count |= usize::from(delta.next().ok_or(Unusable::Corrupt)?) << (8 * bit);
                }
            }
            let count = if count == 0 { 0x10000 } else { count };
            let end = offset.checked_add(count).ok_or(Unusable::Corrupt)?;
            out.extend_from_slice(source.get(offset..end).ok_or(Unusable::Corrupt)?);
        } else if op != 0 {
            let before = out.len();
            out.extend(delta.by_ref().take(op.into()));
            if out.len() - before != usize::from(op) {
                return Err(Unusable::Corrupt);
            }
        } else {
            return Err(Unusable::Corrupt);
        }
        if out.len() as u64 > len {
            return Err(Unusable::Corrupt);
        }
    }
    if out.len() as u64 == len {
        Ok(out)
    } else {
        Err(Unusable::Corrupt)
    }
}

fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..56).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
