//! The text of a patch as a list of file diffs.

use super::binary::BinaryDiff;
use super::header::{self, Action, Header};
use super::hunk::{self, Hunk};
use super::lines::Lines;
use super::{Oversize, PatchRefusal};

/// One file's diff.
#[derive(Debug, Clone)]
pub(super) struct FileDiff {
    pub(super) header: Header,
    pub(super) body: Body,
}

/// What a diff changes in the content.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Hunks(Vec<Hunk>),
    Binary(BinaryDiff),
    /// `Binary files … differ`: it says that there is a change, not which.
    BinaryWithoutData,
}

/// Reads every diff of the patch. What stands before, between and after them is
/// prose and is ignored, as git does. A series may have several diffs of one
/// file; more than `MOST_DIFFS` for each file that may change is no series.
pub(super) fn parse(text: &[u8], max_files: u32) -> Result<Vec<FileDiff>, PatchRefusal> {
    const MOST_DIFFS: usize = 4;
    let mut lines = Lines::new(text);
    let mut diffs = Vec::new();
    let most = MOST_DIFFS * max_files as usize;
    while let Some(line) = lines.peek().filter(|_| diffs.len() <= most) {
        if line.starts_with(b"diff --git ") {
            let header = header::read_git(&mut lines)?;
            diffs.push(git_body(&mut lines, header)?);
            continue;
        } else if line.starts_with(b"--- ") {
            if let Some(header) = header::read_traditional(&mut lines)? {
                diffs.push(traditional_body(&mut lines, header)?);
                continue;
            }
        } else if hunk::is_header(line) {
            return Err(lines.refuse("a hunk that belongs to no file"));
        }
        lines.take();
    }
    if diffs.len() > most {
        return Err(PatchRefusal::TooLarge(Oversize::Files { limit: max_files }));
    }
    Ok(diffs)
}

fn git_body(lines: &mut Lines<'_>, header: Header) -> Result<FileDiff, PatchRefusal> {
    let here = *lines;
    let binary_notice = |line: &[u8]| {
        (line.starts_with(b"Binary files ") || line.starts_with(b"Files "))
            && line.trim_ascii_end().ends_with(b" differ")
    };
    let body = if lines.take_after(b"GIT binary patch").is_some() {
        Body::Binary(BinaryDiff::read(lines)?)
    } else if lines.peek().is_some_and(binary_notice) {
        lines.take();
        Body::BinaryWithoutData
    } else {
        Body::Hunks(hunks(lines, &header)?)
    };
    if matches!(&body, Body::Hunks(hunks) if hunks.is_empty()) && !header.is_change {
        return Err(here.refuse("the diff has headers and no hunk"));
    }
    Ok(FileDiff { header, body })
}

fn traditional_body(lines: &mut Lines<'_>, mut header: Header) -> Result<FileDiff, PatchRefusal> {
    let hunks = hunks(lines, &header)?;
    let reads = hunks.iter().any(|hunk| hunk.old_count() > 0) || hunks.len() > 1;
    if header.action == Action::ModifyOrCreate && reads {
        header.action = Action::Modify;
    }
    Ok(FileDiff {
        header,
        body: Body::Hunks(hunks),
    })
}

fn hunks(lines: &mut Lines<'_>, header: &Header) -> Result<Vec<Hunk>, PatchRefusal> {
    let mut hunks = Vec::new();
    while lines.at(b"@@ -") {
        let here = *lines;
        let hunk = Hunk::read(lines)?;
        if header.action == Action::Create && hunk.old_count() > 0 {
            return Err(here.refuse("a new file cannot depend on old lines"));
        }
        if header.action == Action::Delete && hunk.new_count() > 0 {
            return Err(here.refuse("a deleted file cannot keep lines"));
        }
        hunks.push(hunk);
    }
    Ok(hunks)
}
