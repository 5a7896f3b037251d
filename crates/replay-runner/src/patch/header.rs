//! The headers of one file's diff.

use super::PatchRefusal;
use super::lines::Lines;
use super::names::{Name, common_name, header_name, is_dev_null, is_epoch, whole_name};

const NO_PREFIX: &str = "the file name has no prefix such as a/; make the diff without --no-prefix";

/// What a diff does to its file, by its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Changes a file in place.
    Modify,
    /// As [`Action::Modify`], or makes the file if it is not there: a diff
    /// without git's headers cannot tell.
    ModifyOrCreate,
    Create,
    Delete,
    Rename,
    Copy,
}

/// The headers of one file's diff.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) action: Action,
    /// Whether the headers alone change something. Two names without `rename`
    /// lines do not: a name may have been cut.
    pub(super) is_change: bool,
    /// The file that is read; for a new file the same as `new`.
    pub(super) old: Name,
    /// The file that is written; for a removed file the same as `old`.
    pub(super) new: Name,
    /// Every name that is mentioned, with its prefix.
    pub(super) named: Vec<Vec<u8>>,
    /// Every mode that is mentioned.
    pub(super) modes: Vec<u32>,
    /// The mode that the file gets, if it is said.
    pub(super) new_mode: Option<u32>,
    /// Whether old and new mode are both said and differ.
    pub(super) changes_mode: bool,
    /// The ids of old and new content on the `index` line, as written.
    pub(super) index: Option<(Vec<u8>, Vec<u8>)>,
    /// `dissimilarity index`: the file was rewritten, its old content may be
    /// the source of a rename.
    pub(super) rewritten: bool,
}

/// Reads the git headers that begin at the current line. One line alone is no
/// diff: git skips it, but then a patch that was cut there would lose a file in
/// silence.
pub(super) fn read_git(lines: &mut Lines<'_>) -> Result<Header, PatchRefusal> {
    let first = *lines;
    let names = lines.take_after(b"diff --git ").unwrap_or_default();
    let mut fields = Fields::default();
    let mut any = false;
    while fields.read(lines)? {
        any = true;
    }
    if !any {
        return Err(first.refuse("the diff has neither headers nor a hunk; was the patch cut?"));
    }
    fields.settle(first, names)
}

#[derive(Default)]
struct Fields {
    created: bool,
    deleted: bool,
    old_mode: Option<u32>,
    new_mode: Option<u32>,
    index_mode: Option<u32>,
    index: Option<(Vec<u8>, Vec<u8>)>,
    rewritten: bool,
    /// The `---` line.
    old: Option<Given>,
    /// The `+++` line.
    new: Option<Given>,
    rename: Pair,
    copy: Pair,
}

/// What a `---` or `+++` line names.
#[derive(Debug, Clone)]
enum Given {
    DevNull,
    File(Name),
}

#[derive(Default)]
struct Pair {
    from: Option<Name>,
    to: Option<Name>,
}

impl Fields {
    /// Reads one header line; false at the first line that is none.
    fn read(&mut self, lines: &mut Lines<'_>) -> Result<bool, PatchRefusal> {
        let here = *lines;
        if let Some(text) = lines.take_after(b"old mode ") {
            once(&mut self.old_mode, mode(text, here)?, here)?;
        } else if let Some(text) = lines.take_after(b"new mode ") {
            once(&mut self.new_mode, mode(text, here)?, here)?;
        } else if let Some(text) = lines.take_after(b"new file mode ") {
            self.created = true;
            once(&mut self.new_mode, mode(text, here)?, here)?;
        } else if let Some(text) = lines.take_after(b"deleted file mode ") {
            self.deleted = true;
            once(&mut self.old_mode, mode(text, here)?, here)?;
        } else if let Some(text) = lines.take_after(b"index ") {
            self.read_index(text, here)?;
        } else if lines.take_after(b"similarity index ").is_some() {
        } else if lines.take_after(b"dissimilarity index ").is_some() {
            self.rewritten = true;
        } else {
            return self.read_name(lines);
        }
        Ok(true)
    }

    fn read_name(&mut self, lines: &mut Lines<'_>) -> Result<bool, PatchRefusal> {
        let here = *lines;
        for (prefix, slot) in [(&b"--- "[..], &mut self.old), (b"+++ ", &mut self.new)] {
            let Some(text) = lines.take_after(prefix) else {
                continue;
            };
            let (raw, _) =
                header_name(text).ok_or_else(|| here.refuse("the file name is quoted badly"))?;
            let given = if is_dev_null(&raw) {
                Given::DevNull
            } else {
                Given::File(Name::prefixed(raw).ok_or_else(|| here.refuse(NO_PREFIX))?)
            };
            return once(slot, given, here).map(|()| true);
        }
        for (prefixes, slot) in [
            (
                [&b"rename from "[..], b"rename old "],
                &mut self.rename.from,
            ),
            ([b"rename to ", b"rename new "], &mut self.rename.to),
            ([b"copy from "; 2], &mut self.copy.from),
            ([b"copy to "; 2], &mut self.copy.to),
        ] {
            let Some(text) = prefixes.iter().find_map(|prefix| lines.take_after(prefix)) else {
                continue;
            };
            let name =
                whole_name(text).ok_or_else(|| here.refuse("the file name is quoted badly"))?;
            return once(slot, Name::bare(name), here).map(|()| true);
        }
        Ok(false)
    }

    fn read_index(&mut self, text: &[u8], here: Lines<'_>) -> Result<(), PatchRefusal> {
        let mut words = text.splitn(2, |b| *b == b' ');
        let ids = words.next().unwrap_or_default();
        let bad = || here.refuse("the index line is not one of git's");
        let dots = ids
            .windows(2)
            .position(|pair| pair == b"..")
            .ok_or_else(bad)?;
        let (old, new) = (&ids[..dots], &ids[dots + 2..]);
        if ![old, new]
            .iter()
            .all(|id| (1..=64).contains(&id.len()) && id.iter().all(u8::is_ascii_hexdigit))
        {
            return Err(bad());
        }
        once(&mut self.index, (old.to_vec(), new.to_vec()), here)?;
        if let Some(text) = words.next() {
            self.index_mode = Some(mode(text, here)?);
        }
        Ok(())
    }

    fn settle(self, first: Lines<'_>, names: &[u8]) -> Result<Header, PatchRefusal> {
        let refuse = |problem| first.refuse(problem);
        let renamed = self.rename.from.is_some() || self.rename.to.is_some();
        let copied = self.copy.from.is_some() || self.copy.to.is_some();
        if [self.created, self.deleted, renamed, copied]
            .iter()
            .filter(|x| **x)
            .count()
            > 1
        {
            return Err(refuse("the headers contradict each other"));
        }
        let (old, new) = self.names(names).map_err(refuse)?;
        let action = match () {
            () if self.created => Action::Create,
            () if self.deleted => Action::Delete,
            () if copied => Action::Copy,
            // Without `rename` lines git, too, reads one name and writes the other.
            () if renamed || old.path != new.path => Action::Rename,
            () => Action::Modify,
        };
        if action != Action::Modify
            && action != Action::Create
            && action != Action::Delete
            && old.path == new.path
        {
            return Err(refuse("a rename or copy onto itself"));
        }
        let changes_mode =
            self.old_mode.is_some() && self.new_mode.is_some() && self.old_mode != self.new_mode;
        Ok(Header {
            line: first.number(),
            action,
            is_change: self.created || self.deleted || renamed || copied || changes_mode,
            named: [&old, &new]
                .into_iter()
                .chain(common_name(names).iter().flat_map(|(a, b)| [a, b]))
                .map(|name| name.raw.clone())
                .collect(),
            old,
            new,
            modes: [self.old_mode, self.new_mode, self.index_mode]
                .into_iter()
                .flatten()
                .collect(),
            changes_mode,
            new_mode: self.new_mode,
            index: self.index,
            rewritten: self.rewritten,
        })
    }

    /// The names that count: of `rename` or `copy`, of `---` and `+++`, or else
    /// of the first line. Those that are given must agree.
    fn names(&self, first_line: &[u8]) -> Result<(Name, Name), &'static str> {
        let (from, to) = match (&self.rename, &self.copy) {
            (
                Pair {
                    from: Some(from),
                    to: Some(to),
                },
                _,
            )
            | (
                _,
                Pair {
                    from: Some(from),
                    to: Some(to),
                },
            ) => (Some(from.clone()), Some(to.clone())),
            (
                Pair {
                    from: None,
                    to: None,
                },
                Pair {
                    from: None,
                    to: None,
                },
            ) => (None, None),
            _ => return Err("a rename or copy needs both names"),
        };
        let old = merge(from, self.old.as_ref(), self.created)?;
        let new = merge(to, self.new.as_ref(), self.deleted)?;
        if (self.created || self.deleted)
            && let (Some((first, _)), Some(given)) =
                (common_name(first_line), old.as_ref().or(new.as_ref()))
            && first.path != given.path
        {
            return Err("the headers name different files");
        }
        match (old, new) {
            (Some(old), Some(new)) => Ok((old, new)),
            (None, Some(new)) if self.created => Ok((new.clone(), new)),
            (Some(old), None) if self.deleted => Ok((old.clone(), old)),
            (None, None) => {
                common_name(first_line).ok_or("the diff does not say which file it changes")
            }
            _ => Err("the diff does not say which file it changes"),
        }
    }
}

/// One side's name, where `absent` says that the other headers call for `/dev/null`.
fn merge(
    precise: Option<Name>,
    given: Option<&Given>,
    absent: bool,
) -> Result<Option<Name>, &'static str> {
    match (precise, given) {
        (precise, None) => Ok(precise),
        (None, Some(Given::DevNull)) if absent => Ok(None),
        (_, Some(Given::DevNull)) => Err("/dev/null, but the file is neither new nor deleted"),
        (_, Some(Given::File(_))) if absent => {
            Err("a new or deleted file must have /dev/null on one side")
        }
        (Some(precise), Some(Given::File(given))) if precise.path != given.path => {
            Err("the headers name different files")
        }
        (_, Some(Given::File(given))) => Ok(Some(given.clone())),
    }
}

/// Keeps a header that may be given once.
fn once<T>(slot: &mut Option<T>, value: T, here: Lines<'_>) -> Result<(), PatchRefusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(here.refuse("the header is given twice")),
    }
}

/// Six octal digits.
fn mode(text: &[u8], here: Lines<'_>) -> Result<u32, PatchRefusal> {
    let text = text.trim_ascii_end();
    let digits = std::str::from_utf8(text).ok();
    digits
        .filter(|t| t.len() == 6 && t.bytes().all(|b| matches!(b, b'0'..=b'7')))
        .and_then(|t| u32::from_str_radix(t, 8).ok())
        .ok_or_else(|| here.refuse("is not a file mode"))
}

/// Reads the headers of a diff without git's, if they begin at the current
/// line: `---`, `+++` and a hunk.
pub(super) fn read_traditional(lines: &mut Lines<'_>) -> Result<Option<Header>, PatchRefusal> {
    let first = *lines;
    let mut ahead = *lines;
    let (Some(old), Some(new)) = (ahead.take_after(b"--- "), ahead.take_after(b"+++ ")) else {
        return Ok(None);
    };
    if !ahead.peek().is_some_and(super::hunk::is_header) {
        return Ok(None);
    }
    *lines = ahead;
    let read =
        |text| header_name(text).ok_or_else(|| first.refuse("the file name is quoted badly"));
    let ((old, old_stamp), (new, new_stamp)) = (read(old)?, read(new)?);
    let named = [&old, &new]
        .into_iter()
        .filter(|name| !is_dev_null(name))
        .cloned()
        .collect();
    let no_name = || first.refuse("the diff does not say which file it changes");
    let (action, name) = if is_dev_null(&old) {
        (Action::Create, Name::traditional(new).ok_or_else(no_name)?)
    } else if is_dev_null(&new) {
        (Action::Delete, Name::traditional(old).ok_or_else(no_name)?)
    } else {
        let action = match (is_epoch(old_stamp), is_epoch(new_stamp)) {
            (true, false) => Action::Create,
            (false, true) => Action::Delete,
            _ => Action::ModifyOrCreate,
        };
        let (old, new) = (
            Name::traditional(old),
            Name::traditional(new).ok_or_else(no_name)?,
        );
        // `file.orig` beside `file`: the shorter name is the file.
        let name =
            old.filter(|old| new.path.len() > old.path.len() && new.path.starts_with(&old.path));
        (action, name.unwrap_or(new))
    };
    Ok(Some(Header {
        line: first.number(),
        action,
        is_change: false,
        named,
        old: name.clone(),
        new: name,
        modes: Vec::new(),
        new_mode: None,
        changes_mode: false,
        index: None,
        rewritten: false,
    }))
}
