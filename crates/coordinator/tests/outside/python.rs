//! Python programs against a running coordinator.

use std::path::PathBuf;
use std::process::Command;

use crate::common::{ADMIN, Backend, Server};

/// An interpreter that has `tests/python/requirements.txt`.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("COORDINATOR_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let found = PathBuf::from(named);
    let imports = "import schemathesis, substrateinterface, pytest, requests";
    let has_all = Command::new(&found)
        .args(["-c", imports])
        .output()
        .is_ok_and(|done| done.status.success());
    has_all.then_some(found)
}

async fn run(program: PathBuf, server: &Server, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"))
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

const MISSING: &str =
    "no Python with tests/python/requirements.txt; name one in COORDINATOR_TEST_PYTHON";

#[tokio::test(flavor = "multi_thread")]
async fn clients_on_the_fields_own_libraries_are_served() {
    let Some(python) = python() else {
        return crate::skip(MISSING);
    };
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = Server::start(backend).await;
        let said = run(python.clone(), &server, &["client.py"]).await;
        assert!(
            said.contains("substrate-interface: claimed, submitted, replayed, accepted"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fuzzing_finds_no_server_error_and_no_undocumented_answer() {
    let Some(python) = python() else {
        return crate::skip(MISSING);
    };
    let server = Server::with(Backend::Sqlite, |settings| {
        settings.claims_per_task = i64::MAX;
        settings.direct_verification = true;
    })
    .await;
    // Things that are there, for the fuzzer to find.
    run(python.clone(), &server, &["client.py"]).await;
    let said = run(
        python,
        &server,
        &[
            "-m",
            "pytest",
            "-q",
            "-s",
            "-p",
            "no:cacheprovider",
            "fuzz.py",
        ],
    )
    .await;
    println!("{said}");
}
