//! Python programs against a running coordinator.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{ADMIN, Backend, Server};

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");
const REQUIREMENTS: &str = include_str!("../python/requirements.txt");

/// The Python of an environment with the pinned packages, made on first use
/// below `target/` and kept for the next run; or why there is none.
fn python() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let directory = target.join("coordinator-clients");
    let lock = File::create(target.join("coordinator-clients.lock")).unwrap();
    lock.lock().unwrap();
    let python = directory.join("bin/python");
    let done = directory.join("installed");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(python);
    }
    let run = |command: &mut Command| {
        let output = command
            .output()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let failed = || format!("{command:?}: {text}");
        output.status.success().then_some(()).ok_or_else(failed)
    };
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&directory))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"])
        .args(["-r", &format!("{PROGRAMS}/requirements.txt")]))?;
    fs::write(done, REQUIREMENTS).unwrap();
    Ok(python)
}

async fn run(program: &Path, server: &Server, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .current_dir(PROGRAMS)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("COORDINATOR_URL", server.url(""))
        .env("COORDINATOR_ADMIN_TOKEN", ADMIN)
        .kill_on_drop(true);
    let done = command.output().await.unwrap();
    let (out, errors) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{out}\n{errors}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_on_the_fields_own_libraries_are_served() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return crate::skip(&why),
    };
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = Server::start(backend).await;
        let said = run(&python, &server, &["client.py"]).await;
        for library in ["substrate-interface", "bittensor-wallet"] {
            let expected = format!("{library}: claimed, submitted, replayed, accepted");
            assert!(said.contains(&expected), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fuzzing_finds_no_server_error_and_no_undocumented_answer() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return crate::skip(&why),
    };
    let server = Server::with(Backend::Sqlite, |settings| {
        settings.claims_per_task = i64::MAX;
        settings.direct_verification = true;
    })
    .await;
    // Things that are there, for the fuzzer to find.
    run(&python, &server, &["client.py"]).await;
    println!("{}", run(&python, &server, &["fuzz.py"]).await);
}
