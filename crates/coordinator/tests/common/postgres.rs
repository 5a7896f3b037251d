//! A PostgreSQL server of the tests' own: a new cluster in a temporary directory
//! on a Unix socket, run by an unprivileged user, gone with the test process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    // Its standard input: the server ends when this process does.
    _keeper: Child,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database.
pub fn new_database() -> String {
    let cluster = CLUSTER.get_or_init(start);
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let sql = format!("CREATE DATABASE {name}");
    let done = Command::new(cluster.bin.join("psql"))
        .args(["-q", "-U", "postgres", "-d", "postgres", "-c", &sql, "-h"])
        .arg(&cluster.dir)
        .status()
        .expect("psql runs");
    assert!(done.success(), "cannot create a database");
    let socket: String =
        url::form_urlencoded::byte_serialize(cluster.dir.to_string_lossy().as_bytes()).collect();
    format!("postgres://postgres@localhost/{name}?host={socket}")
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

fn start() -> Cluster {
    let bin = programs();
    let dir = tempfile::Builder::new()
        .prefix("coordinator-pg-")
        .tempdir_in(super::scratch())
        .unwrap()
        .keep();
    if nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_name("postgres")
            .unwrap()
            .expect("the user postgres exists");
        nix::unistd::chown(&dir, Some(user.uid), Some(user.gid)).unwrap();
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
        .current_dir(&dir)
        .status()
        .expect("initdb runs");
    assert!(made.success(), "initdb failed");
    let script = "\"$1\" -D \"$2\" -k \"$3\" -c listen_addresses= -c fsync=off -c max_connections=400 \
                  >\"$3/log\" 2>&1 & server=$!; read -r _; kill -INT $server; wait $server; rm -rf \"$3\"";
    let keeper = as_its_user(Path::new("/bin/sh"))
        .args(["-c", script, "sh"])
        .args([&bin.join("postgres"), &data, &dir])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .current_dir(&dir)
        .spawn()
        .expect("postgres starts");
    let deadline = Instant::now() + Duration::from_mins(1);
    let ready = || {
        Command::new(bin.join("pg_isready"))
            .arg("-q")
            .arg("-h")
            .arg(&dir)
            .status()
            .is_ok_and(|done| done.success())
    };
    while !ready() {
        assert!(
            Instant::now() < deadline,
            "PostgreSQL did not start; see {}",
            dir.join("log").display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Cluster {
        dir,
        bin,
        _keeper: keeper,
    }
}
