//! Starting and ending: keys, locks, signals, health, and the file of an operator.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::coordinator::{Coordinator, Reply, empty_job, offering, offering_of, row};
use crate::process::{Place, chmod};

fn idle() -> Coordinator {
    Coordinator::start(|_| Reply::json(200, &json!({"jobs": []})))
}

fn wallets() -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wallets = manifest.join("../wallet/tests/data/wallets");
    wallets.display().to_string()
}

#[test]
fn an_operators_yaml_and_wallet_start_the_daemon_unchanged() {
    let coordinator = idle();
    let place = Place::new();
    let yaml = format!(
        "coordinator_url: http://{}\nwallet_path: {}\nwallet_name: miner\nwallet_hotkey: first\n\
         workspace_root: {}\nreplay_sandbox_mode: docker\nreplay_sandbox_memory_limit: \"16g\"\n\
         allow_unsafe_host_replay: false\nonce: true\ninterval_seconds: 30\n",
        coordinator.address,
        wallets(),
        place.state().display()
    );
    fs::write(place.path("validator.yaml"), yaml).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_replay-runner"))
        .args(["daemon", "--config"])
        .arg(place.path("validator.yaml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let public = fs::read_to_string(format!("{}/miner/hotkeys/firstpub.txt", wallets())).unwrap();
    assert!(
        public.contains(&coordinator.asked("/scan")[0].signer()),
        "{public}"
    );
    assert!(place.state().join("spool.db").exists());
}

#[test]
fn a_wallet_that_cannot_be_used_is_told_before_anything_starts() {
    let place = Place::new();
    let words = "bottom drive obey lake curtain smoke basket hold race lonely fit xyzzy";
    fs::write(place.path("words"), words).unwrap();
    chmod(&place.path("words"));
    for (wallet, told) in [
        (
            format!("wallet_path = {:?}\nwallet_name = \"nobody\"", wallets()),
            "nobody",
        ),
        (
            format!(
                "wallet_path = {:?}\nwallet_name = \"miner\"\nwallet_hotkey = \"locked\"",
                wallets()
            ),
            "password",
        ),
        (
            format!("wallet_path = {:?}\nwallet_name = \"../../etc\"", wallets()),
            "../../etc",
        ),
        (
            format!(
                "hotkey_mnemonic_file = {:?}",
                place.path("words").display().to_string()
            ),
            "words",
        ),
        (format!("hotkey_mnemonic = {words:?}"), "hotkey_mnemonic"),
    ] {
        fs::write(
            place.path("validator.toml"),
            format!("coordinator_url = \"http://127.0.0.1:1\"\n{wallet}"),
        )
        .unwrap();
        fs::write(place.path("log"), "").unwrap();
        let status = place.command().status().unwrap();
        let log = place.log();
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(
            log.contains(told) && !log.contains("bottom"),
            "{wallet}: {log}"
        );
    }
}

#[test]
fn a_second_daemon_of_one_hotkey_is_refused() {
    let coordinator = idle();
    let place = Place::new();
    place.configure(coordinator.address, "");
    let first = place.start();
    place.wait("the first daemon's turn", || {
        (!coordinator.asked("/scan").is_empty()).then_some(())
    });
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = place.command();
    second.arg("--state").arg(elsewhere.path());
    let mut args: Vec<_> = second.get_args().map(ToOwned::to_owned).collect();
    args.retain(|arg| arg != place.state().as_os_str());
    let once = args.iter().position(|arg| arg == "--state").unwrap();
    args.remove(once);
    let output = Command::new(second.get_program())
        .args(args)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("process {}", first.id())), "{told}");
    assert!(first.stop().success());
}

#[test]
fn the_key_is_in_no_argument_environment_log_or_core_dump() {
    let coordinator = idle();
    let place = Place::new();
    place.configure(coordinator.address, "");
    let daemon = place.start();
    place.wait("a turn", || {
        (!coordinator.asked("/scan").is_empty()).then_some(())
    });
    let key = fs::read_to_string(place.path("hotkey")).unwrap();
    let key = key
        .split('"')
        .nth(3)
        .unwrap()
        .trim_start_matches("0x")
        .to_owned();
    let proc = format!("/proc/{}", daemon.id());
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("{proc}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(&key), "{file}");
    }
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert!(daemon.stop().success());
    assert!(!place.log().contains(&key));
    for entry in fs::read_dir(place.state()).unwrap().flatten() {
        if let Ok(bytes) = fs::read(entry.path()) {
            assert!(
                !String::from_utf8_lossy(&bytes).contains(&key),
                "{:?}",
                entry.path()
            );
        }
    }
}

#[test]
fn sighup_reads_the_configuration_again_and_a_wrong_one_changes_nothing() {
    let (first, second) = (idle(), idle());
    let place = Place::new();
    place.configure(first.address, "");
    let daemon = place.start();
    place.wait("a turn", || {
        (!first.asked("/scan").is_empty()).then_some(())
    });
    place.configure(first.address, "cycles = \"many\"");
    daemon.signal(Signal::SIGHUP);
    place.wait("word of the mistake", || {
        place.log().contains("cycles: \"many\"").then_some(())
    });
    let before = first.asked("/scan").len();
    place.wait("another turn", || {
        (first.asked("/scan").len() > before).then_some(())
    });
    place.configure(second.address, "");
    daemon.signal(Signal::SIGHUP);
    place.wait("a turn elsewhere", || {
        (!second.asked("/scan").is_empty()).then_some(())
    });
    assert!(daemon.stop().success());
}

#[test]
fn sighup_changes_how_many_replays_run_at_once() {
    let coordinator = idle();
    let place = Place::new();
    let configure = |slots: u32| {
        let more = format!("listen = \"127.0.0.1:0\"\nslots = {slots}");
        place.configure(coordinator.address, &more);
    };
    configure(1);
    let daemon = place.start();
    let address = listens(&place);
    for slots in [1, 3, 2] {
        configure(slots);
        daemon.signal(Signal::SIGHUP);
        let line = format!("replay_runner_slots {slots}");
        place.wait(&line, || {
            let metrics = get(&address, "/metrics");
            metrics.lines().any(|found| found == line).then_some(())
        });
    }
    assert!(daemon.stop().success());
}

/// Where a daemon serves health and metrics.
fn listens(place: &Place) -> String {
    place.wait("the address", || {
        let log = place.log();
        let line = log
            .lines()
            .find(|line| line.contains("health and metrics"))?;
        let address = line.rsplit("address=").next()?;
        let plain: String = address
            .chars()
            .filter(|c| c.is_ascii_digit() || ".:".contains(*c))
            .collect();
        Some(plain)
    })
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn health_and_metrics_are_served_and_say_what_happened() {
    let coordinator = offering(|_, _| Reply::json(200, &row("rejected")));
    let place = Place::new();
    place.configure(coordinator.address, "listen = \"127.0.0.1:0\"");
    let daemon = place.start();
    place.wait_for("posted");
    let address = listens(&place);
    let get = |path: &str| get(&address, path);
    assert!(get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(get("/readyz").starts_with("HTTP/1.1 204"));
    assert!(get("/x").starts_with("HTTP/1.1 404"));
    let metrics = get("/metrics");
    for line in [
        "replay_runner_jobs{state=\"posted\"} 1",
        "replay_runner_replays_total{status=\"rejected\",code=\"artifact.missing\"} 1",
        "replay_runner_posts_total{result=\"posted\"} 1",
        "replay_runner_paused 0",
        "replay_runner_coordinator_up 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is not in {metrics}"
        );
    }
    assert!(daemon.stop().success());
}

#[test]
fn a_daemon_without_an_engine_takes_no_work_and_says_why() {
    let coordinator = offering(|_, _| Reply::json(200, &row("rejected")));
    let place = Place::new();
    place.configure(coordinator.address, "");
    let mut command = place.command();
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let mut child = command.spawn().unwrap();
    let reason = place.wait("a pause", || {
        let status = place.status();
        (status["phase"]["name"] == "paused").then(|| status["phase"]["reason"].to_string())
    });
    assert!(reason.contains("DOCKER_HOST"), "{reason}");
    assert!(coordinator.asked("/scan").is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn status_says_when_the_daemon_is_gone() {
    let coordinator = idle();
    let place = Place::new();
    place.configure(coordinator.address, "");
    let status = || {
        let output = Command::new(env!("CARGO_BIN_EXE_replay-runner"))
            .args(["status", "--state"])
            .arg(place.state())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    assert_eq!(status().0, Some(1));
    let daemon = place.start();
    place.wait("a turn", || {
        (!coordinator.asked("/scan").is_empty()).then_some(())
    });
    let (code, text) = status();
    assert!(
        code == Some(0) && text.starts_with("the daemon works"),
        "{text}"
    );
    drop(daemon);
    let (code, text) = status();
    assert!(
        code == Some(1) && text.contains("does not run any more"),
        "{text}"
    );
    let before = coordinator.asked("/scan").len();
    let daemon = place.start();
    place.wait("another turn", || {
        (coordinator.asked("/scan").len() > before).then_some(())
    });
    assert!(daemon.stop().success());
    let (code, text) = status();
    assert!(
        code == Some(0) && text.starts_with("the daemon ended"),
        "{text}"
    );
}

fn status_of(state: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_replay-runner"))
        .args(["status", "--state"])
        .arg(state)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

#[test]
fn a_validator_that_is_not_let_in_is_not_ready_and_says_so_for_as_long_as_it_lasts() {
    for (code, mend) in [(403, "allow this hotkey"), (401, "check that the wallet")] {
        let coordinator =
            Coordinator::start(move |_| Reply::json(code, &json!({"detail": "not allowed"})));
        let place = Place::new();
        place.configure(coordinator.address, "listen = \"127.0.0.1:0\"");
        let daemon = place.start();
        let address = listens(&place);
        place.wait("word of the refusal", || {
            get(&address, "/readyz").contains(mend).then_some(())
        });
        // Another round finds the same, and the reason is not wiped.
        let before = coordinator.asked("/scan").len();
        place.wait("another turn", || {
            assert!(get(&address, "/readyz").starts_with("HTTP/1.1 503"));
            (coordinator.asked("/scan").len() > before).then_some(())
        });
        let (status, text) = status_of(&place.state());
        assert!(
            status == Some(1) && text.contains("is not let in") && text.contains(mend),
            "{text}"
        );
        assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
        assert!(daemon.stop().success());

        let once = place.command().arg("--once").status().unwrap();
        assert_eq!(once.code(), Some(1), "{}", place.log());
        let log = place.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("replay-runner:") && last.contains(mend),
            "{last}"
        );
    }
}

#[test]
fn a_single_round_waits_for_no_engine_disk_or_coordinator_and_says_what_is_missing() {
    let coordinator = idle();
    for (more, engine, told) in [
        ("", Some("unix:///nonexistent/docker.sock"), "DOCKER_HOST"),
        ("min_free_disk = \"900000g\"", None, "min_free_disk"),
    ] {
        let place = Place::new();
        place.configure(coordinator.address, "");
        let file = place.path("validator.toml");
        let text = fs::read_to_string(&file).unwrap();
        let text = if more.is_empty() {
            text
        } else {
            text.replace("min_free_disk = 0", more)
        };
        fs::write(&file, text).unwrap();
        let mut command = place.command();
        command.arg("--once");
        if let Some(engine) = engine {
            command.env("DOCKER_HOST", engine);
        }
        let daemon = crate::process::Daemon::of(command.spawn().unwrap());
        assert_eq!(daemon.ended().code(), Some(1), "{}", place.log());
        let log = place.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("replay-runner:") && last.contains(told),
            "{last}"
        );
    }
    assert!(coordinator.asked("/scan").is_empty());

    let place = Place::new();
    place.configure("127.0.0.1:1".parse().unwrap(), "task_slug = \"digits\"");
    let daemon = crate::process::Daemon::of(place.command().arg("--once").spawn().unwrap());
    assert_eq!(daemon.ended().code(), Some(1), "{}", place.log());
}

#[test]
fn a_certificate_that_is_not_there_is_a_mistake_of_the_configuration() {
    let coordinator = idle();
    let place = Place::new();
    place.configure(
        coordinator.address,
        "extra_root_certificate = \"nowhere.pem\"",
    );
    let status = place.command().status().unwrap();
    let log = place.log();
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(
        log.contains("extra_root_certificate") && log.contains("nowhere.pem"),
        "{log}"
    );

    // A running daemon stays with what it has.
    place.configure(coordinator.address, "");
    let daemon = place.start();
    place.wait("a turn", || {
        (!coordinator.asked("/scan").is_empty()).then_some(())
    });
    place.configure(
        coordinator.address,
        "extra_root_certificate = \"nowhere.pem\"",
    );
    daemon.signal(Signal::SIGHUP);
    place.wait("word of the mistake", || {
        place.log().contains("stays as it was").then_some(())
    });
    assert!(daemon.stop().success());
}

#[test]
fn sighup_compares_with_what_runs_and_not_with_what_the_file_said_meanwhile() {
    let coordinator = idle();
    let place = Place::new();
    place.configure(coordinator.address, "");
    let daemon = place.start();
    place.wait("a turn", || {
        (!coordinator.asked("/scan").is_empty()).then_some(())
    });
    let said = |what: &str| place.log().matches(what).count();
    for (round, more) in [(1, "task_slug = \"other\""), (2, "")] {
        place.configure(coordinator.address, more);
        daemon.signal(Signal::SIGHUP);
        place.wait("another reading", || {
            (said("was read again") == round).then_some(())
        });
        assert_eq!(said("changes only when"), 1, "{}", place.log());
    }
    assert!(daemon.stop().success());
}

#[test]
fn status_takes_no_other_process_for_the_daemon() {
    let coordinator = idle();
    let place = Place::new();
    place.configure(coordinator.address, "");
    let mut child = place.command().spawn().unwrap();
    place.wait("a turn", || {
        (!coordinator.asked("/scan").is_empty()).then_some(())
    });
    assert_eq!(status_of(&place.state()).0, Some(0));
    // It is dead, and its number is still in use: nobody has waited for it.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    place.wait("the end", || {
        let (status, text) = status_of(&place.state());
        (status == Some(1) && text.contains("does not run any more")).then_some(())
    });
    assert!(Path::new(&format!("/proc/{}", child.id())).exists());
    child.wait().unwrap();
}

#[test]
fn a_job_that_cannot_be_replayed_here_is_told_with_its_reason() {
    let job = {
        let mut job = empty_job();
        job["replay_spec"]["limits"] = json!({"pids": 1024});
        job
    };
    let coordinator = offering_of(job);
    let place = Place::new();
    place.configure(
        coordinator.address,
        "once = true\nreplay_sandbox_pids_limit = 512",
    );
    assert!(
        place.command().status().unwrap().success(),
        "{}",
        place.log()
    );
    let why = "limits.pids is 1024";
    assert!(place.log().contains(why), "{}", place.log());
    let (_, text) = status_of(&place.state());
    assert!(
        text.contains(why) && text.contains("replay_sandbox_pids_limit"),
        "{text}"
    );
}
