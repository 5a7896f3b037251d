//! The adversarial corpus against the gate: binary patches, and ones that grow.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use gate_support::*;
use protocol::Code;
use protocol::limits::Bytes;
use protocol::spec::PatchRules;

#[test]
fn binary_patches() {
    let world = World::new();
    let literal = world.diff(&["--binary"], |repo| {
        write(repo, "src/data.bin", b"\0new\xff\xfe".repeat(50))
    });
    let delta = world.diff(&["--binary"], |repo| {
        let old = std::fs::read(repo.join("src/data.bin")).unwrap();
        write(repo, "src/data.bin", [old.as_slice(), b"\0tail"].concat());
    });
    let gone = world.diff(&["--binary"], |repo| {
        std::fs::remove_file(repo.join("src/data.bin")).unwrap()
    });
    let new = world.diff(&["--binary"], |repo| {
        write(repo, "src/new.bin", b"\0\xff\x01")
    });
    let no_data = world.diff(&[], |repo| write(repo, "src/data.bin", b"\0"));
    let outside = world.diff(&["--binary"], |repo| {
        write(repo, "eval/x.bin", b"\0\xff\x01")
    });
    let bytecode = world.diff(&["--binary"], |repo| {
        write(repo, "src/a.pyc", b"\0\xff\x01")
    });
    assert!(
        String::from_utf8_lossy(&delta).contains("delta "),
        "the delta case has no delta"
    );
    let text = |patch: &[u8]| String::from_utf8(patch.to_vec()).unwrap();
    let short_ids = text(&literal)
        .lines()
        .map(|line| match line.strip_prefix("index ") {
            Some(rest) => format!("index {}..{} 100644\n", &rest[..7], &rest[42..49]),
            None => format!("{line}\n"),
        })
        .collect::<String>();
    let wrong_old = text(&literal)
        .replacen("index ", "index 0", 1)
        .replacen("..", "X", 1);
    let wrong_old = wrong_old.replace('X', "..");
    let all_ones = text(&literal);
    let at = all_ones.find("..").unwrap();
    let other_new = format!(
        "{}{}{}",
        &all_ones[..at + 2],
        "1".repeat(40),
        &all_ones[at + 42..]
    );
    expect(
        &world,
        &rules(),
        vec![
            case("P17 literal", literal.clone(), Code::PatchBinary),
            case("P17 delta", delta.clone(), Code::PatchBinary),
            case("P17 new", new.clone(), Code::PatchBinary),
            case("P17 no data", no_data.clone(), Code::PatchBinary),
            case(
                "P17 beside a good one",
                [change_a(A).as_bytes(), &literal].concat(),
                Code::PatchBinary,
            ),
            case("P17 outside", outside.clone(), Code::PatchPathNotAllowed),
            case("P17 bytecode", bytecode.clone(), Code::PatchGeneratedFile),
        ],
    );
    expect(
        &world,
        &with_binary(),
        vec![
            case("literal", literal.clone(), Code::Ok),
            case("delta", delta, Code::Ok),
            case("deleted", gone, Code::Ok),
            case("new", new, Code::Ok),
            case("outside", outside, Code::PatchPathNotAllowed),
            case("bytecode", bytecode, Code::PatchGeneratedFile),
            case("no data", no_data, Code::PatchUnparseable),
            case("short ids", short_ids, Code::PatchUnparseable),
            case("41 digits", wrong_old, Code::PatchUnparseable),
            case("other new id", other_new, Code::PatchDoesNotApply),
            case(
                "cut",
                literal[..literal.len() / 2].to_vec(),
                Code::PatchUnparseable,
            ),
            case(
                "bad base85",
                text(&literal).replacen("patch\nliteral 300\n", "patch\nliteral 300\n ", 1),
                Code::PatchUnparseable,
            ),
        ],
    );
}

/// Base85 as git writes it, for patches that git would not write.
fn binary_patch(path: &str, size: u64, deflated: &[u8], kind: &str) -> String {
    const DIGITS: &[u8] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    let zero = "0".repeat(40);
    let one = "1".repeat(40);
    let mut out = format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\nindex {zero}..{one}\nGIT binary patch\n{kind} {size}\n"
    );
    for line in deflated.chunks(52) {
        let len = u8::try_from(line.len()).unwrap();
        out.push(char::from(if len <= 26 {
            b'A' + len - 1
        } else {
            b'a' + len - 27
        }));
        for group in line.chunks(4) {
            let mut bytes = [0; 4];
            bytes[..group.len()].copy_from_slice(group);
            let mut value = u32::from_be_bytes(bytes);
            let mut digits = [0; 5];
            for digit in digits.iter_mut().rev() {
                *digit = DIGITS[(value % 85) as usize];
                value /= 85;
            }
            out.extend(digits.map(char::from));
        }
        out.push('\n');
    }
    out + "\nliteral 0\nHcmV?d00001\n\n"
}

fn deflate(pieces: u64, piece: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..pieces {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn patches_that_grow() {
    let world = World::with(|repo| {
        write(repo, "src/large.txt", "0123456789abcde\n".repeat(300_000));
        write(repo, "src/x", "x\n");
    });
    let zeros = deflate(1, &vec![0; 150 << 20]);
    assert!(zeros.len() < 200_000);
    let copies: String = (0..1000)
        .map(|n| format!("diff --git a/src/large.txt b/src/c{n}\nsimilarity index 100%\ncopy from src/large.txt\ncopy to src/c{n}\n"))
        .collect();
    let rewrites: String = (0..2000)
        .map(|n| format!("--- a/src/large.txt\n+++ b/src/large.txt\n@@ -{0} +{0} @@\n-0123456789abcde\n+0123456789abcdf\n", n + 1))
        .collect();
    let mut delta = vec![0x80, 0x80, 0xcb, 0x02, 0xff, 0xff, 0xff, 0x7f];
    delta.extend([0x90 | 0x60, 0xff, 0xff, 0xff].repeat(1000));
    let delta_patch = binary_patch(
        "src/large.txt",
        delta.len() as u64,
        &deflate(1, &delta),
        "delta",
    );
    let delta_patch = delta_patch.replace("new file mode 100644\n", "");
    expect(
        &world,
        &with_binary(),
        vec![
            case(
                "P19 declared",
                binary_patch("src/new", 4 << 30, &zeros[..4000], "literal"),
                Code::PatchTooLarge,
            ),
            case(
                "W04",
                binary_patch("src/new", 150 << 20, &zeros, "literal"),
                Code::PatchTooLarge,
            ),
            case(
                "W04 understated",
                binary_patch("src/new", 100, &zeros, "literal"),
                Code::PatchDoesNotApply,
            ),
            case(
                "W04 overstated",
                binary_patch("src/new", 15 << 20, &deflate(1, b"x"), "literal"),
                Code::PatchDoesNotApply,
            ),
            case(
                "W04 2^64",
                binary_patch("src/new", u64::MAX, &zeros, "literal"),
                Code::PatchTooLarge,
            ),
            case("W04 delta", delta_patch, Code::PatchTooLarge),
            case("W04 copies", copies, Code::PatchTooLarge),
            case("W04 rewrites", rewrites, Code::PatchTooLarge),
        ],
    );
    let deep: String = (0..1000)
        .map(|n| {
            format!(
                "--- /dev/null\n+++ b/src/{n}/{}x\n@@ -0,0 +1 @@\n+x\n",
                "d/".repeat(90)
            )
        })
        .collect();
    let many: String = "--- a/src/x\n+++ b/src/x\n@@ -1 +1 @@\n-x\n+x\n".repeat(41);
    let few = PatchRules {
        max_files: 10,
        ..rules()
    };
    expect(
        &world,
        &rules(),
        vec![case("90,000 directories", deep, Code::PatchTooLarge)],
    );
    expect(
        &world,
        &few,
        vec![case("41 diffs for 10 files", many, Code::PatchTooLarge)],
    );
    let tight = PatchRules {
        max_decoded_bytes: Bytes::new(4_800_001),
        ..rules()
    };
    expect(
        &world,
        &tight,
        vec![
            case(
                "a rename within the cap",
                "diff --git a/src/large.txt b/src/m\nsimilarity index 100%\nrename from src/large.txt\nrename to src/m\n",
                Code::Ok,
            ),
            case(
                "one byte more",
                "diff --git a/src/large.txt b/src/large.txt\n--- a/src/large.txt\n+++ b/src/large.txt\n@@ -1 +1,2 @@\n 0123456789abcde\n+x\n",
                Code::PatchTooLarge,
            ),
        ],
    );
}
