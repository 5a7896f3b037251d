//! Mirrors that break: found, fetched again, never half used.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use gate_support::place::{Place, code};
use gate_support::{git, write};
use protocol::Code;

fn damage(path: &Path, how: &str) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false)] // a test's own file
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let len = file.metadata().unwrap().len();
    match how {
        "truncated" => file.set_len(len / 2).unwrap(),
        "emptied" => file.set_len(0).unwrap(),
        _ => {
            file.seek(SeekFrom::Start(len / 2)).unwrap();
            file.write_all(&[0xa5; 16]).unwrap();
        }
    }
}

#[test]
fn a_damaged_mirror_is_fetched_again_and_never_gives_a_partial_tree() {
    for how in ["truncated", "emptied", "overwritten"] {
        for kind in ["pack", "idx"] {
            let place = Place::new();
            let commit = place.rev("HEAD");
            let before = place.mirrors().pinned(&place.source(), commit).unwrap();
            let entries = before.entries().unwrap();
            for path in place.mirror_objects() {
                if path.extension().is_some_and(|end| end == kind) {
                    damage(&path, how);
                }
            }
            let verified = place.mirror_verified_marks();
            if how == "overwritten" {
                // Only a full read finds this; that is done once a commit.
                verified
                    .iter()
                    .for_each(|mark| fs::remove_file(mark).unwrap());
            }
            let after = place
                .mirrors()
                .pinned(&place.source(), commit)
                .unwrap_or_else(|e| panic!("G12 {how} {kind}: {e}"));
            assert_eq!(after.entries().unwrap(), entries, "G12 {how} {kind}");
            assert_eq!(
                after.read_blob("d/b.txt", 1 << 20).unwrap().unwrap(),
                "b\n".repeat(1000).into_bytes()
            );
            fs::remove_dir_all(place.repo()).unwrap();
            place
                .mirrors()
                .pinned(&place.source(), commit)
                .expect("the new mirror needs no source");
        }
    }
}

#[test]
fn damage_at_the_source_is_an_error_and_leaves_no_mark() {
    let place = Place::new();
    let commit = place.rev("HEAD");
    let blob = place.rev("HEAD:a.txt").to_string();
    fs::remove_file(
        place
            .repo()
            .join(".git/objects")
            .join(&blob[..2])
            .join(&blob[2..]),
    )
    .unwrap();
    assert_eq!(
        code(place.mirrors().pinned(&place.source(), commit)),
        Code::CheckoutFetchFailed,
        "G12"
    );
    write(&place.repo(), "x", "a\n");
    git(&place.repo(), &["hash-object", "-w", "x"]);
    place
        .mirrors()
        .pinned(&place.source(), commit)
        .expect("mended");
}
