//! Diffs that are right, and diffs that were tampered with.

use proptest::prelude::*;

use super::new_file_with_mode;

pub const FILES: &[(&str, &str)] = &[
    ("src/a", "one\ntwo\nthree\nfour\nfive\n"),
    ("src/b", "one\ntwo\n"),
    ("src/d/c", "no end"),
    ("src/d/e", ""),
    ("src/eval/s", "one\ntwo\nthree\n"),
    ("eval/s", "one\ntwo\nthree\nfour\nfive\n"),
    ("top", "one\n"),
];

const PATHS: &[&str] = &[
    "src/a",
    "src/b",
    "src/d/c",
    "src/d/e",
    "src/n",
    "src/d",
    "src/a/x",
    "src/d/c/x",
    "src/x/y/z",
    "src/eval/s",
    "src/eval/n",
    "eval/s",
    "eval/n",
    "top",
    "new",
    "src_evil/x",
    "src",
    "src/link",
    "src/link/s",
    "src/sub",
    "src/sub/x",
    "src/../eval/s",
    "../x",
    "/etc/x",
    "src/.git/x",
    ".git/config",
    "src//a",
    "src/./a",
    "src/a.pyc",
    "SRC/a",
    "src/a ",
    "src/a\t",
    "",
    "dev/null",
];

const LINES: &[&str] = &[
    "--- a/src/a",
    "+++ b/src/a",
    "--- a/eval/s",
    "+++ b/eval/s",
    "--- /dev/null",
    "+++ /dev/null",
    "diff --git a/src/a b/src/a",
    "diff --git a/eval/s b/eval/s",
    "rename from eval/s",
    "rename to eval/s",
    "rename from src/a",
    "rename to src/n",
    "copy from eval/s",
    "copy to src/n",
    "new file mode 100644",
    "new file mode 120000",
    "new file mode 160000",
    "new file mode 100755",
    "deleted file mode 100644",
    "deleted file mode 120000",
    "old mode 100644",
    "new mode 100755",
    "similarity index 100%",
    "dissimilarity index 90%",
    "index 1111111..2222222 100644",
    "index 1111111..2222222 120000",
    "@@ -1 +1 @@",
    "@@ -0,0 +1 @@",
    "@@ -1 +0,0 @@",
    "@@ -1,5 +1,5 @@",
    "@@ -1,4294967295 +1 @@",
    " one",
    "-one",
    "+one",
    "-two",
    "+x",
    "\\ No newline at end of file",
    "",
    "GIT binary patch",
    "literal 0",
    "HcmV?d00001",
    "literal 1",
    "delta 4",
    "Binary files a/src/a and b/src/a differ",
    "-- ",
    "prose",
    "-../eval",
];

/// What a generated diff is made of.
#[derive(Debug, Clone)]
enum Piece {
    Edit(usize, usize),
    Create(usize, &'static str),
    Delete(usize),
    Move(&'static str, usize, usize),
    Mode(usize, &'static str),
    Lines(Vec<usize>),
}

#[derive(Debug, Clone)]
enum Mutation {
    Drop(usize),
    Double(usize),
    Swap(usize, usize),
    Insert(usize, usize),
    Replace(usize, usize),
    Path(usize, usize),
    Byte(usize, u8),
    Cut(usize),
}

fn piece() -> impl Strategy<Value = Piece> {
    let path = || 0..PATHS.len();
    let mode = prop::sample::select(vec![
        "100644", "100644", "100644", "100755", "120000", "160000", "104755",
    ]);
    prop_oneof![
        6 => (0..FILES.len(), 0..5usize).prop_map(|(file, line)| Piece::Edit(file, line)),
        4 => (path(), mode.clone()).prop_map(|(path, mode)| Piece::Create(path, mode)),
        2 => (0..FILES.len()).prop_map(Piece::Delete),
        3 => (prop::sample::select(vec!["rename", "copy"]), path(), path()).prop_map(|(how, from, to)| Piece::Move(how, from, to)),
        1 => (path(), mode).prop_map(|(path, mode)| Piece::Mode(path, mode)),
        1 => prop::collection::vec(0..LINES.len(), 1..8).prop_map(Piece::Lines),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = || 0..64usize;
    prop_oneof![
        at().prop_map(Mutation::Drop),
        at().prop_map(Mutation::Double),
        (at(), at()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (at(), 0..LINES.len()).prop_map(|(at, line)| Mutation::Insert(at, line)),
        (at(), 0..LINES.len()).prop_map(|(at, line)| Mutation::Replace(at, line)),
        (at(), 0..PATHS.len()).prop_map(|(at, to)| Mutation::Path(at, to)),
        (0..2000usize, any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        (0..2000usize).prop_map(Mutation::Cut),
    ]
}

pub fn patch() -> impl Strategy<Value = Vec<u8>> {
    let mutations = prop_oneof![
        2 => Just(Vec::new()),
        3 => prop::collection::vec(mutation(), 1..4),
    ];
    (prop::collection::vec(piece(), 1..4), mutations).prop_map(|(pieces, mutations)| {
        let mut lines: Vec<Vec<u8>> = pieces
            .iter()
            .flat_map(|piece| {
                render(piece)
                    .into_bytes()
                    .split_inclusive(|b| *b == b'\n')
                    .map(<[u8]>::to_vec)
                    .collect::<Vec<_>>()
            })
            .collect();
        let mut text = None;
        for mutation in &mutations {
            mutate(&mut lines, mutation, &mut text);
        }
        text.unwrap_or_else(|| lines.concat())
    })
}

fn render(piece: &Piece) -> String {
    match piece {
        Piece::Edit(file, line) => edit(*file, *line),
        Piece::Create(path, mode) => new_file_with_mode(PATHS[*path], mode),
        Piece::Delete(file) => {
            let (path, text) = FILES[*file];
            let hunk = whole(text, "-");
            let count = text.lines().count();
            let names = if count == 0 {
                String::new()
            } else {
                format!("--- a/{path}\n+++ /dev/null\n@@ -1,{count} +0,0 @@\n{hunk}")
            };
            format!("diff --git a/{path} b/{path}\ndeleted file mode 100644\n{names}")
        }
        Piece::Move(how, from, to) => {
            let (from, to) = (PATHS[*from], PATHS[*to]);
            format!(
                "diff --git a/{from} b/{to}\nsimilarity index 100%\n{how} from {from}\n{how} to {to}\n"
            )
        }
        Piece::Mode(path, mode) => {
            let path = PATHS[*path];
            format!("diff --git a/{path} b/{path}\nold mode 100644\nnew mode {mode}\n")
        }
        Piece::Lines(lines) => lines.iter().flat_map(|line| [LINES[*line], "\n"]).collect(),
    }
}

fn whole(text: &str, sign: &str) -> String {
    let lines: String = text.lines().flat_map(|line| [sign, line, "\n"]).collect();
    if text.is_empty() || text.ends_with('\n') {
        lines
    } else {
        lines + "\\ No newline at end of file\n"
    }
}

/// A correct diff that changes one line of a file, or fills an empty one.
fn edit(file: usize, line: usize) -> String {
    let (path, text) = FILES[file];
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return format!(
            "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -0,0 +1 @@\n+filled\n"
        );
    }
    let line = line % lines.len();
    let mut body = String::new();
    for (number, text) in lines.iter().enumerate() {
        let marks: &[(char, &str)] = if number == line {
            &[('-', text), ('+', "changed\n")]
        } else {
            &[(' ', text)]
        };
        for (mark, text) in marks {
            body.push(*mark);
            body.push_str(text);
            if !text.ends_with('\n') {
                body.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    let count = lines.len();
    format!(
        "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1,{count} +1,{count} @@\n{body}"
    )
}

fn mutate(lines: &mut Vec<Vec<u8>>, mutation: &Mutation, text: &mut Option<Vec<u8>>) {
    let count = lines.len().max(1);
    let line = |index: usize| format!("{}\n", LINES[index]).into_bytes();
    match mutation {
        Mutation::Drop(at) if lines.len() > 1 => drop(lines.remove(at % count)),
        Mutation::Double(at) if !lines.is_empty() => {
            lines.insert(at % count, lines[at % count].clone())
        }
        Mutation::Swap(a, b) if !lines.is_empty() => lines.swap(a % count, b % count),
        Mutation::Insert(at, new) => lines.insert(at % count, line(*new)),
        Mutation::Replace(at, new) if !lines.is_empty() => lines[at % count] = line(*new),
        Mutation::Path(at, to) if !lines.is_empty() => {
            let old = String::from_utf8_lossy(&lines[at % count]).into_owned();
            if let Some(slash) = old.find('/') {
                lines[at % count] = format!("{}/{}\n", &old[..slash], PATHS[*to]).into_bytes();
            }
        }
        Mutation::Byte(at, byte) => {
            let mut bytes = text.take().unwrap_or_else(|| lines.concat());
            let len = bytes.len().max(1);
            if let Some(slot) = bytes.get_mut(at % len) {
                *slot = *byte;
            }
            *text = Some(bytes);
        }
        Mutation::Cut(at) => {
            let mut bytes = text.take().unwrap_or_else(|| lines.concat());
            bytes.truncate(at % bytes.len().max(1));
            *text = Some(bytes);
        }
        _ => {}
    }
}
