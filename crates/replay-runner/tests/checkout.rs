//! Checkout: what may be fetched, what a reference means, and what happens when
//! a repository is hostile or moves.
#![allow(clippy::unwrap_used, clippy::pedantic)] // tables of cases; a failed unwrap is a failed test

mod gate_support;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gate_support::place::{Place, code};
use gate_support::{git, git_command, write};
use protocol::{Code, CommitId};
use replay_runner::checkout::{Mirrors, Source};

#[test]
fn only_https_addresses_without_credentials_are_remote() {
    for address in [
        "",
        "http://h/r",
        "git://h/r",
        "ssh://h/r",
        "git@h:r.git",
        "ext::sh -c true",
        "file:///srv/r",
        "/srv/r",
        "https://user:secret@h/r",
        "https://secret@h/r",
        "ftp://h/r",
        "https://",
        "https://[",
        "HTTPS:h",
        "--upload-pack=x",
        "https+ext://h/r",
        "https://h/r#x",
        "\u{202e}https://h",
    ] {
        assert_eq!(
            code(Source::remote(address)),
            Code::CheckoutSchemeNotAllowed,
            "{address}"
        );
    }
    for address in [
        "https://example.org/a/b.git",
        "https://example.org:8443/r",
        "HTTPS://example.org/r",
    ] {
        assert!(Source::remote(address).is_ok(), "{address}");
    }
}

#[test]
fn a_location_is_an_address_a_repository_or_a_directory() {
    let place = Place::new();
    let here = place.home.path();
    assert_eq!(Source::parse("repo", here).unwrap(), place.source());
    assert!(matches!(
        Source::parse("repo/d", here).unwrap(),
        Source::Directory { .. }
    ));
    assert!(matches!(
        Source::parse(".", here).unwrap(),
        Source::Directory { .. }
    ));
    let address = format!("file://{}", place.repo().display());
    assert_eq!(Source::parse(&address, here).unwrap(), place.source());
    assert!(matches!(
        Source::parse("https://example.org/r", here).unwrap(),
        Source::Remote(_)
    ));
    for location in [
        "",
        "http://h/r",
        "ssh://h/r",
        "git@h:r.git",
        "ext::sh -c true",
        "h:r",
        "https://u:secret@h/r",
    ] {
        assert_eq!(
            code(Source::parse(location, here)),
            Code::CheckoutSchemeNotAllowed,
            "{location}"
        );
    }
}

#[test]
fn references_mean_what_git_says_and_ids_always_the_object() {
    let place = Place::new();
    let first = place.rev("HEAD");
    write(&place.repo(), "a.txt", "second\n");
    let second = place.commit("second");
    let repo = place.repo();
    git(&repo, &["branch", "old", &first.to_string()]);
    git(&repo, &["tag", "light", &first.to_string()]);
    git(
        &repo,
        &["tag", "-a", "-m", "x", "heavy", &first.to_string()],
    );
    git(&repo, &["tag", "both", &first.to_string()]);
    git(&repo, &["branch", "both", &second.to_string()]);
    git(&repo, &["branch", "dir/name", &first.to_string()]);
    // G03: a tag that is called like the second commit's id, and names the first.
    git(&repo, &["tag", &second.to_string(), &first.to_string()]);
    let check = || {
        let resolve = |name: Option<&str>| place.mirrors().resolve(&place.source(), name);
        for (name, commit) in [
            (None, second),
            (Some("HEAD"), second),
            (Some("main"), second),
            (Some("old"), first),
            (Some("light"), first),
            (Some("heavy"), first),
            (Some("both"), first),
            (Some("dir/name"), first),
            (Some("refs/heads/both"), second),
            (Some("refs/tags/heavy"), first),
        ] {
            assert_eq!(resolve(name).unwrap(), commit, "{name:?}");
        }
        assert_eq!(resolve(Some(&second.to_string())).unwrap(), second);
        let pinned = place.mirrors().pinned(&place.source(), second).unwrap();
        assert_eq!(
            pinned.read_blob("a.txt", 100).unwrap().unwrap(),
            b"second\n"
        );
        for name in [
            "",
            "nope",
            "..",
            "../../HEAD",
            "heads/../../config",
            "main~1",
            "main^",
            "config",
            &first.to_string()[..8],
            "dir",
        ] {
            assert_eq!(
                code(resolve(Some(name))),
                Code::CheckoutRefNotFound,
                "{name:?}"
            );
        }
    };
    check();
    git(&repo, &["pack-refs", "--all"]);
    git(&repo, &["gc", "-q"]);
    check();
}

#[test]
fn a_commit_that_is_not_there_is_not_found() {
    let place = Place::new();
    let tree: CommitId = place.rev("HEAD^{tree}");
    let blob: CommitId = place.rev("HEAD:a.txt");
    for commit in ["1".repeat(40).parse().unwrap(), tree, blob] {
        let result = place.mirrors().pinned(&place.source(), commit);
        assert_eq!(code(result), Code::CheckoutRefNotFound, "G01");
    }
    let nowhere = Source::Local(place.home.path().join("nowhere"));
    assert_eq!(
        code(place.mirrors().resolve(&nowhere, None)),
        Code::CheckoutFetchFailed
    );
}

#[test]
fn every_kind_of_local_repository_can_be_read() {
    let place = Place::new();
    let commit = place.rev("HEAD");
    let home = place.home.path();
    let path = |name: &str| home.join(name).display().to_string();
    git(home, &["clone", "-q", "--bare", "repo", "bare.git"]);
    git(home, &["clone", "-q", "--shared", "repo", "shared"]);
    git(
        &place.repo(),
        &["worktree", "add", "-q", &path("linked"), "-b", "side"],
    );
    git(
        home,
        &[
            "clone",
            "-q",
            "--depth=1",
            &format!("file://{}", path("repo")),
            "shallow",
        ],
    );
    for name in ["repo", "bare.git", "shared", "linked", "shallow"] {
        let source = Source::parse(name, home).unwrap();
        assert!(matches!(source, Source::Local(_)), "{name}");
        assert_eq!(
            place.mirrors().resolve(&source, None).unwrap(),
            commit,
            "{name}"
        );
        let pinned = place.mirrors().pinned(&source, commit).unwrap();
        assert_eq!(
            pinned.read_blob("a.txt", 100).unwrap().unwrap(),
            b"a\n",
            "{name}"
        );
        assert_eq!(pinned.entries().unwrap().len(), 2, "{name}");
    }
    if nix::unistd::Uid::effective().is_root() {
        Command::new("chown")
            .args(["-R", "12345:12345"])
            .arg(place.repo())
            .status()
            .unwrap();
        let mirrors = Mirrors::new(home.join("other"));
        mirrors
            .pinned(&place.source(), commit)
            .expect("another owner's repository");
    }
}

#[test]
fn nothing_that_a_repository_configures_is_run() {
    let place = Place::new();
    let repo = place.repo();
    let canary = place.home.path().join("canary");
    let script = place.home.path().join("run");
    write(
        place.home.path(),
        "run",
        format!("#!/bin/sh\ntouch {}\ncat\n", canary.display()),
    );
    Command::new("chmod")
        .arg("755")
        .arg(&script)
        .status()
        .unwrap();
    let run = script.display().to_string();
    write(
        &repo,
        ".gitattributes",
        "* filter=evil text eol=crlf ident\n*.txt export-ignore\n",
    );
    write(&repo, "c.txt", "$Id$\nline\n");
    let commit = place.commit("attributes");
    for hook in [
        "post-checkout",
        "pre-auto-gc",
        "reference-transaction",
        "post-merge",
    ] {
        fs::copy(&script, repo.join(".git/hooks").join(hook)).unwrap();
    }
    for (key, value) in [
        ("core.fsmonitor", run.as_str()),
        ("core.hooksPath", ".git/hooks"),
        ("filter.evil.smudge", &run),
        ("filter.evil.clean", &run),
        ("filter.evil.process", &run),
        ("alias.fetch", &format!("!{run}")),
        ("uploadpack.packObjectsHook", &run),
        ("core.sshCommand", &run),
        ("core.alternateRefsCommand", &run),
        ("core.pager", &run),
    ] {
        git_command(&repo)
            .args(["config", key, value])
            .status()
            .unwrap();
    }
    let pinned = place.mirrors().pinned(&place.source(), commit).unwrap();
    assert_eq!(
        pinned.read_blob("c.txt", 100).unwrap().unwrap(),
        b"$Id$\nline\n"
    );
    assert_eq!(
        place
            .mirrors()
            .resolve(&place.source(), Some("main"))
            .unwrap(),
        commit
    );
    assert!(!canary.exists(), "G05: something ran");
}

#[test]
fn jobs_with_different_pins_of_one_mirror_get_their_own() {
    let place = Place::new();
    let commits: Vec<CommitId> = (0..6)
        .map(|n| {
            write(&place.repo(), "a.txt", format!("{n}\n"));
            place.commit("next")
        })
        .collect();
    std::thread::scope(|scope| {
        for (n, commit) in commits.iter().enumerate() {
            for _ in 0..2 {
                let place = &place;
                scope.spawn(move || {
                    let pinned = place.mirrors().pinned(&place.source(), *commit).unwrap();
                    let text = pinned.read_blob("a.txt", 100).unwrap().unwrap();
                    assert_eq!(text, format!("{n}\n").into_bytes(), "G11");
                });
            }
        }
    });
}

#[test]
fn a_pin_that_the_source_has_lost_is_served_from_the_mirror() {
    let place = Place::new();
    let pin = place.rev("HEAD");
    place.mirrors().pinned(&place.source(), pin).unwrap();
    git(
        &place.repo(),
        &["commit", "-q", "--amend", "-m", "rewritten"],
    );
    git(
        &place.repo(),
        &["reflog", "expire", "--expire=now", "--all"],
    );
    git(&place.repo(), &["gc", "-q", "--prune=now"]);
    let here = place.mirrors().pinned(&place.source(), pin).unwrap();
    assert_eq!(here.commit(), pin, "G13");
    let elsewhere = Mirrors::new(place.home.path().join("fresh"));
    assert_eq!(
        code(elsewhere.pinned(&place.source(), pin)),
        Code::CheckoutRefNotFound
    );
}

#[test]
fn equal_directories_are_equal_commits() {
    let fill = |directory: &Path| {
        write(directory, "task.toml", "slug = 'x'\n");
        write(directory, "src/a.py", "a\n");
        write(directory, ".gitignore", "*.log\n/out/\n");
        std::os::unix::fs::symlink("task.toml", directory.join("link")).unwrap();
    };
    let home = tempfile::tempdir().unwrap();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    fill(&one);
    fill(&two);
    write(&two, "x.log", "ignored\n");
    write(&two, "out/x", "ignored\n");
    write(&two, "src/__pycache__/a.cpython-312.pyc", "ignored\n");
    write(&two, ".git/config", "ignored\n");
    fs::create_dir(two.join("empty")).unwrap();
    let mirrors = Mirrors::new(home.path().join("mirrors"));
    let directory = one.clone();
    let source = |path| Source::Directory {
        path,
        without: Vec::new(),
    };
    let (one, two) = (source(one), source(two));
    let commit = mirrors.resolve(&one, None).unwrap();
    assert_eq!(mirrors.resolve(&two, None).unwrap(), commit);
    assert_eq!(mirrors.resolve(&two, None).unwrap(), commit, "twice");
    let pinned = mirrors.pinned(&two, commit).unwrap();
    let paths: Vec<String> = pinned
        .entries()
        .unwrap()
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    assert_eq!(paths, [".gitignore", "link", "src/a.py", "task.toml"]);
    write(&directory, "src/a.py", "b\n");
    assert_ne!(mirrors.resolve(&one, None).unwrap(), commit);
    assert_eq!(
        code(mirrors.resolve(&one, Some("main"))),
        Code::CheckoutRefNotFound
    );
    assert_eq!(
        code(mirrors.pinned(&one, "1".repeat(40).parse().unwrap())),
        Code::CheckoutRefNotFound
    );
}

#[test]
fn a_server_that_says_nothing_or_is_not_there_ends_at_the_deadline() {
    let home = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mirrors = Mirrors::new(home.path()).with_deadline(Duration::from_secs(1));
    let source = Source::remote(&format!("https://127.0.0.1:{port}/r.git")).unwrap();
    let begin = Instant::now();
    assert_eq!(
        code(mirrors.resolve(&source, None)),
        Code::CheckoutFetchFailed
    );
    assert_eq!(
        code(mirrors.pinned(&source, "1".repeat(40).parse().unwrap())),
        Code::CheckoutFetchFailed
    );
    assert!(begin.elapsed() < Duration::from_secs(5));
    drop(silent);
    assert_eq!(
        code(mirrors.resolve(&source, Some("main"))),
        Code::CheckoutFetchFailed
    );
}

#[test]
fn a_directory_is_taken_without_the_files_that_are_named_by_whatever_name() {
    let home = tempfile::tempdir().unwrap();
    let task = home.path().join("task");
    write(&task, "src/a.py", "a\n");
    write(&task, "private/labels.csv", "labels\n");
    write(&task, "private/beside.txt", "beside\n");
    write(&task, "model.bin", "model\n");
    fs::hard_link(task.join("private/labels.csv"), task.join("src/again.csv")).unwrap();
    let without = vec![
        task.join("src/../private/labels.csv"),
        task.join("model.bin"),
        task.join("not/there"),
    ];
    let source = Source::parse("task", home.path()).unwrap().without(without);
    let mirrors = Mirrors::new(home.path().join("mirrors"));
    let commit = mirrors.resolve(&source, None).unwrap();
    let pinned = mirrors.pinned(&source, commit).unwrap();
    let entries = pinned.entries().unwrap();
    let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["private/beside.txt", "src/a.py"]);
}

/// Fails a step that waits for ever, and does not wait with it.
fn ends<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(step()));
    waiting
        .recv_timeout(Duration::from_secs(10))
        .expect("it hangs")
}

#[test]
fn what_only_looks_like_a_file_keeps_nobody_waiting() {
    let fifo = |path: &Path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    };
    let place = Place::new();
    let packed = place.repo().join(".git/packed-refs");
    let _ = fs::remove_file(&packed);
    fifo(&packed);
    let (mirrors, source) = (place.mirrors(), place.source());
    let found = ends(move || code(mirrors.resolve(&source, Some("nowhere"))));
    assert_eq!(found, Code::CheckoutRefNotFound);

    for deep in ["", "src"] {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("task");
        write(&directory, "src/a.py", "a\n");
        fifo(&directory.join(deep).join(".gitignore"));
        let source = Source::parse("task", home.path()).unwrap();
        let mirrors = Mirrors::new(home.path().join("mirrors"));
        let found = ends(move || code(mirrors.resolve(&source, None)));
        assert_eq!(found, Code::SpecInvalid, "{deep:?}");
    }
}
