//! The canonical form against a live Python, on thousands of generated and
//! damaged documents: both must refuse the same ones and print the others alike.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use protocol::canonical_json::canonicalize;

/// Reads one hex body a line; prints its canonical form, or `refused`.
const PYTHON: &str = r#"
import json, math, sys
sys.set_int_max_str_digits(0)

def members(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)

def constant(name):
    raise ValueError(name)

def number(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("overflow")
    return value

for line in sys.stdin:
    try:
        text = bytes.fromhex(line).decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=members, parse_constant=constant, parse_float=number
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # no lone surrogates
        print(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True))
    except (ValueError, RecursionError):
        print("refused")
"#;

fn python(bodies: &[Vec<u8>]) -> Vec<String> {
    let mut child = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: String = bodies.iter().map(|body| hex::encode(body) + "\n").collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "python failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn agree(bodies: &[Vec<u8>]) -> usize {
    let theirs = python(bodies);
    assert_eq!(theirs.len(), bodies.len());
    let mut accepted = 0;
    for (body, theirs) in bodies.iter().zip(&theirs) {
        let ours = canonicalize(body).unwrap_or_else(|_| "refused".to_owned());
        assert_eq!(&ours, theirs, "{}", String::from_utf8_lossy(body));
        accepted += usize::from(ours != "refused");
    }
    accepted
}

fn blanks() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

/// Texts of numbers: every form of the grammar, doubles from their bits, and
/// the powers of ten and two at which formats change.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?",
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|value| format!("{value:e}")),
        (-330..310i32, 1..100u32).prop_map(|(exponent, digits)| format!("{digits}e{exponent}")),
        (-1080..1024i32, -2..3i64).prop_map(|(exponent, off)| {
            let bits = 2f64.powi(exponent).to_bits().saturating_add_signed(off);
            format!("{:e}", f64::from_bits(bits))
        }),
        (0..20usize, 0..20usize).prop_map(|(before, after)| {
            format!("1{}.{}1", "0".repeat(before), "0".repeat(after))
        }),
        // Half way between two shortest texts, where the even digit counts.
        (1u64 << 49..1 << 53, 0..8u32)
            .prop_map(|(whole, eighths)| format!("{whole}.{:03}", eighths * 125)),
        any::<i128>().prop_map(|value| value.to_string()),
    ]
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => any::<char>().prop_filter("plain", |c| !matches!(c, '"' | '\\' | '\0'..='\u{1f}'))
            .prop_map(String::from),
        2 => "[a-c]",
        2 => r#"\\["\\/bfnrt]"#,
        2 => r"\\u[0-9a-fA-F]{4}",
        1 => r"\\u[dD][89abAB][0-9a-f]{2}\\u[dD][c-fC-F][0-9a-f]{2}",
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn joined(items: &[String], blank: &str) -> String {
    items.join(&format!("{blank},{blank}"))
}

fn document() -> impl Strategy<Value = String> {
    let words = prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(str::to_owned);
    let leaf = prop_oneof![3 => number(), 3 => string(), 1 => words];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let member = (string(), blanks(), inner.clone());
        let member = member.prop_map(|(key, blank, value)| format!("{key}{blank}:{blank}{value}"));
        prop_oneof![
            (proptest::collection::vec(inner, 0..6), blanks())
                .prop_map(|(items, blank)| format!("[{blank}{}{blank}]", joined(&items, &blank))),
            (proptest::collection::vec(member, 0..6), blanks())
                .prop_map(|(items, blank)| format!("{{{blank}{}{blank}}}", joined(&items, &blank))),
        ]
    })
}

/// A document with a few bytes replaced, removed or inserted.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        any::<u8>(),
        proptest::sample::select(b"{}[]\",:\\0123456789-+.eEutfn \t\n".to_vec()),
    ];
    let change = (any::<proptest::sample::Index>(), 0..3u8, byte);
    (document(), proptest::collection::vec(change, 1..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (index, kind, byte) in changes {
            let at = index.index(bytes.len().max(1)).min(bytes.len());
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => bytes.push(byte),
            }
        }
        bytes
    })
}

fn generated<T>(strategy: &impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::default();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

#[test]
fn damaged_documents_are_refused_or_printed_as_python_does() {
    let accepted = agree(&generated(&damaged(), 6000));
    assert!(
        (500..5500).contains(&accepted),
        "{accepted} of 6000 were read"
    );
}

#[test]
fn documents_are_printed_as_python_prints_them() {
    let bodies = generated(&document().prop_map(String::into_bytes), 4000);
    let accepted = agree(&bodies);
    assert!(accepted > 1500, "only {accepted} of 4000 were read");
}

#[test]
fn numbers_are_printed_as_python_prints_them() {
    let bodies = generated(&number().prop_map(String::into_bytes), 20_000);
    let accepted = agree(&bodies);
    assert!(accepted > 15_000, "only {accepted} of 20000 were read");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = canonicalize(&body);
    }

    #[test]
    fn the_canonical_form_is_its_own_canonical_form(text in document()) {
        if let Ok(canonical) = canonicalize(text.as_bytes()) {
            prop_assert!(canonical.is_ascii());
            prop_assert_eq!(canonicalize(canonical.as_bytes()), Ok(canonical));
        }
    }

    #[test]
    fn a_double_keeps_its_bits(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let canonical = canonicalize(format!("{value:e}").as_bytes()).unwrap();
        prop_assert_eq!(canonical.parse::<f64>().unwrap().to_bits(), bits);
    }
}
