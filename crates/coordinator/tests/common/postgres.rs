//! A PostgreSQL server of the tests' own: a new cluster in a temporary directory
//! on a Unix socket, run by an unprivileged user, gone when the tests are.
//!
//! Tests that run in processes of their own share one server: it belongs to the
//! process that runs them all, and ends when that one is gone.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// The URL of a new, empty database.
pub fn new_database() -> String {
    let cluster = CLUSTER.get_or_init(shared);
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let sql = format!("CREATE DATABASE {name}");
    let done = Command::new(cluster.bin.join("psql"))
        .args(["-q", "-U", "postgres", "-d", "postgres", "-c", &sql, "-h"])
        .arg(&cluster.dir)
        .status()
        .expect("psql runs");
    assert!(done.success(), "cannot create a database");
    let socket = cluster.dir.to_string_lossy().into_owned();
    let socket: String = url::form_urlencoded::byte_serialize(socket.as_bytes()).collect();
    format!("postgres://postgres@localhost/{name}?host={socket}")
}

/// The process whose end is the server's end.
fn owner() -> u32 {
    let runs_all = std::env::var_os("NEXTEST").is_some();
    if runs_all {
        std::os::unix::process::parent_id()
    } else {
        std::process::id()
    }
}

/// The server of this run: started by whoever comes first.
fn shared() -> Cluster {
    let bin = programs();
    let dir = super::scratch().join(format!("coordinator-pg-{}", owner()));
    let lock = format!("coordinator-pg-{}.lock", nix::unistd::geteuid());
    let lock = std::fs::File::create(super::scratch().join(lock)).unwrap();
    let _held = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).unwrap();
    if !is_ready(&bin, &dir) {
        start(&bin, &dir);
    }
    Cluster { dir, bin }
}

fn is_ready(bin: &Path, dir: &Path) -> bool {
    let mut ask = Command::new(bin.join("pg_isready"));
    // Where nothing listens it answers at once; a busy server is waited for.
    ask.args(["-q", "-t", "60"])
        .arg("-h")
        .arg(dir)
        .status()
        .is_ok_and(|done| done.success())
}

/// Where the server's programs are: on the path, or where Debian puts them.
fn programs() -> PathBuf {
    let mut places: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let all = ["initdb", "postgres", "psql", "pg_isready"];
    places
        .into_iter()
        .find(|place| all.iter().all(|program| place.join(program).exists()))
        .expect("PostgreSQL is not installed: install the package postgresql")
}

/// PostgreSQL refuses to run as root; its own user runs it then.
fn as_its_user(program: &Path) -> Command {
    if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        return command;
    }
    Command::new(program)
}

fn start(bin: &Path, dir: &Path) {
    // What an earlier process of the same number may have left.
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir(dir).unwrap();
    if nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_name("postgres")
            .unwrap()
            .expect("the user postgres exists");
        nix::unistd::chown(dir, Some(user.uid), Some(user.gid)).unwrap();
    }
    let data = dir.join("data");
    let made = as_its_user(&bin.join("initdb"))
        .args([
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(&data)
        .stdout(Stdio::null())
        .current_dir(dir)
        .status()
        .expect("initdb runs");
    assert!(made.success(), "initdb failed");
    keep(bin, dir, &data);
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_ready(bin, dir) {
        assert!(
            Instant::now() < deadline,
            "PostgreSQL did not start; see {}",
            dir.join("log").display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Leaves a shell behind, in a process group of its own, that runs the server
/// until its owner is gone.
fn keep(bin: &Path, dir: &Path, data: &Path) {
    let script = "(\"$1\" -D \"$2\" -k \"$3\" -c listen_addresses= -c fsync=$5 -c max_connections=400 \
                  >\"$3/log\" 2>&1 & server=$!; while [ -d \"/proc/$4\" ] && kill -0 $server; do sleep 0.5; done; \
                  kill -INT $server; wait $server; rm -rf \"$3\") &";
    let left = as_its_user(Path::new("/bin/sh"))
        .args(["-c", script, "sh"])
        .args([&bin.join("postgres"), data, dir])
        .args([&owner().to_string(), super::FSYNC])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .current_dir(dir)
        .status()
        .expect("postgres starts");
    assert!(left.success(), "postgres does not start");
}
