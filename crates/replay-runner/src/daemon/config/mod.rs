//! What the operator decides: a TOML file of ours, or the YAML file that
//! validators of the network have already (`WIRE.md` §4), with the same keys.

mod file;
mod reader;
mod wallet;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use protocol::limits::Bytes;
use url::Url;

pub use file::{ConfigError, Loaded, load};
pub use reader::ConfigProblem;
pub use wallet::WalletConfig;

use reader::Reader;

/// Where the worklist is.
pub const SCAN_PATH: &str = "/api/v1/validator/submissions/scan";
/// Where single jobs are leased.
pub const CLAIM_PATH: &str = "/api/v1/validator/jobs/claim";

/// A configuration whose values are all usable.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the coordinator is; never with a path, query or credentials.
    pub coordinator: Url,
    /// The route that is asked for work: it may answer a worklist or one job.
    pub work_path: String,
    /// Only this task, by id.
    pub task_id: Option<String>,
    /// Only this task, by slug.
    pub task_slug: Option<String>,
    /// Whose key signs.
    pub wallet: WalletConfig,
    /// Holds the password of a wallet that has one.
    pub wallet_password_file: Option<PathBuf>,
    /// The state directory, if the file names one.
    pub state_dir: Option<PathBuf>,
    /// Ends after so many rounds of asking for work.
    pub cycles: Option<u64>,
    /// How long to wait before asking for work again.
    pub interval: Duration,
    /// How long the coordinator may take for one answer.
    pub request_timeout: Duration,
    /// Replay, but lease and post nothing.
    pub dry_run: bool,
    /// Bounds on what a replay may use here.
    pub bounds: Bounds,
    /// Which files of this host a job may name.
    pub access: Access,
    /// The longest replay log that is posted, in characters.
    pub max_log_chars: usize,
    /// Variables for every benchmark, beside the task's own.
    pub benchmark_env: BTreeMap<String, String>,
    /// How many replays run at once.
    pub slots: Option<usize>,
    /// Where health and metrics are served; nowhere without it.
    pub listen: Option<SocketAddr>,
    /// How long running replays may go on after SIGTERM.
    pub grace: Duration,
    /// How often a replay that fails for this host's reasons is tried.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles with each.
    pub retry_base: Duration,
    /// After so many such failures in a row, no new work is taken.
    pub pause_after: u32,
    /// What the caches may hold.
    pub caches: CacheBounds,
    /// Whether a submission equal to one that was replayed here gets its result.
    pub reuse_results: bool,
}

/// Bounds on what a replay may use, whatever its task asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the fields of a task's limits")]
pub struct Bounds {
    pub image: Option<String>,
    pub memory: Option<Bytes>,
    pub pids: Option<u32>,
    pub cpus: Option<u32>,
    pub workspace: Option<Bytes>,
    pub result: Option<Bytes>,
    /// The longest time budget in seconds.
    pub time_budget_seconds: Option<u64>,
    /// Whether a task that asks for network in setup gets it.
    pub setup_network: bool,
}

/// Which places a coordinator may name. All off: https to public addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Repositories may be paths of this host.
    pub local_repositories: bool,
    /// Artifacts and private inputs may be files below this directory, named by
    /// `file://` addresses or by paths relative to it.
    pub local_artifacts: Option<PathBuf>,
    /// Artifact hosts may have addresses that are not public.
    pub private_addresses: bool,
    /// A root certificate, as PEM, that artifact hosts may have beside public ones.
    pub root_certificate: Option<PathBuf>,
}

impl Access {
    /// The certificates of `extra_root_certificate`, if the operator names some.
    ///
    /// # Errors
    /// [`ConfigError::Certificate`] if the file cannot be read.
    pub fn read_root_certificate(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let Some(path) = &self.root_certificate else {
            return Ok(None);
        };
        match std::fs::read(path) {
            Ok(pem) => Ok(Some(pem)),
            Err(source) => Err(ConfigError::Certificate {
                path: path.clone(),
                source,
            }),
        }
    }
}

/// What the caches may hold, least recently used first to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheBounds {
    /// Artifacts of submissions.
    pub artifacts: Bytes,
    /// Private inputs.
    pub private_inputs: Bytes,
    /// Mirrors and trees of repositories.
    pub checkouts: Bytes,
    /// With less room than this on the disk, no new work is taken.
    pub min_free: Bytes,
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self {
            artifacts: Bytes::gib(50),
            private_inputs: Bytes::gib(10),
            checkouts: Bytes::gib(20),
            min_free: Bytes::gib(2),
        }
    }
}

impl Config {
    /// Whether it asks for work a single time: then nothing is waited for, either.
    pub(super) fn is_once(&self) -> bool {
        self.cycles == Some(1)
    }

    /// Whether slots or access differ, which a host has for as long as it is open.
    pub(super) fn wants_another_host_than(&self, other: &Self) -> bool {
        (self.slots, &self.access, &self.bounds) != (other.slots, &other.access, &other.bounds)
    }

    fn read(reader: &mut Reader) -> Option<Self> {
        let coordinator = coordinator(reader);
        let work_path = work_path(reader);
        let task_id = task_id(reader);
        let task_slug = reader.text("task_slug");
        let wallet = WalletConfig::read(reader);
        let ours = reader.path("state_dir");
        let state_dir = reader.path("workspace_root").or(ours);
        let once = reader.flag("once").unwrap_or(false);
        let cycles = reader.whole("cycles", 0, 1 << 40).filter(|n| *n > 0);
        let config = Self {
            work_path,
            task_id,
            task_slug,
            wallet,
            wallet_password_file: reader.path("wallet_password_file"),
            state_dir,
            cycles: if once { Some(1) } else { cycles },
            interval: reader
                .seconds("interval_seconds", 0, 86_400)
                .unwrap_or(Duration::from_secs(15))
                .max(Duration::from_millis(100)),
            request_timeout: reader
                .seconds("timeout_s", 1, 3600)
                .unwrap_or(Duration::from_secs(30)),
            dry_run: reader.flag("dry_run").unwrap_or(false),
            bounds: bounds(reader),
            access: access(reader),
            max_log_chars: reader
                .whole("max_replay_log_chars", 0, 4_000_000)
                .map_or(40_000, |chars| usize::try_from(chars).unwrap_or(40_000)),
            benchmark_env: reader.texts("local_benchmark_env"),
            slots: reader
                .whole("slots", 1, 1024)
                .and_then(|slots| usize::try_from(slots).ok()),
            listen: listen(reader),
            grace: reader
                .seconds("grace_seconds", 0, 86_400)
                .unwrap_or(Duration::from_mins(1)),
            attempts: count(reader.whole("attempts", 1, 100), 3),
            retry_base: reader
                .seconds("retry_seconds", 0, 3600)
                .unwrap_or(Duration::from_secs(10)),
            pause_after: count(reader.whole("pause_after_errors", 1, 1000), 3),
            caches: caches(reader),
            reuse_results: reader.flag("reuse_results").unwrap_or(true),
            // Last, so that everything else that is wrong is told as well.
            coordinator: coordinator?,
        };
        Some(config)
    }
}

fn count(read: Option<u64>, default: u32) -> u32 {
    read.and_then(|count| u32::try_from(count).ok())
        .unwrap_or(default)
}

fn coordinator(reader: &mut Reader) -> Option<Url> {
    const FIELD: &str = "coordinator_url";
    let Some(text) = reader.text(FIELD) else {
        if !reader.problems.iter().any(|problem| problem.field == FIELD) {
            reader.problem(FIELD, "is missing; write the coordinator's address");
        }
        return None;
    };
    let refuse = |reader: &mut Reader, problem: &str| {
        reader.problem(FIELD, format!("{text:?} {problem}"));
        None
    };
    let Ok(url) = Url::parse(&text) else {
        return refuse(reader, "is no address; write https://HOST");
    };
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return refuse(reader, "is no http address; write https://HOST");
    }
    if !url.username().is_empty() || url.password().is_some() {
        reader.problem(
            FIELD,
            "carries credentials; the hotkey is all that is needed",
        );
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() || !matches!(url.path(), "" | "/") {
        return refuse(reader, "has more than a host; write https://HOST alone");
    }
    let is_loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !is_loopback {
        reader.warn("coordinator_url is not https: anybody on the way can read private inputs");
    }
    Some(url)
}

fn work_path(reader: &mut Reader) -> String {
    let Some(path) = reader.text("claim_path") else {
        return SCAN_PATH.to_owned();
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    if !path.starts_with('/') || path.contains("..") || !path.chars().all(plain) {
        let problem = format!("{path:?} is no path; write {SCAN_PATH} or {CLAIM_PATH}");
        reader.problem("claim_path", problem);
    }
    path
}

fn task_id(reader: &mut Reader) -> Option<String> {
    let text = reader.text("task_id")?;
    let id = text.parse::<uuid::Uuid>().ok();
    if id.is_none() {
        let problem = format!("{text:?} is no UUID; write the task's id, or use task_slug");
        reader.problem("task_id", problem);
    }
    id.map(|id| id.to_string())
}

fn bounds(reader: &mut Reader) -> Bounds {
    if let Some(mode) = reader.text("replay_sandbox_mode")
        && !matches!(
            mode.to_ascii_lowercase().as_str(),
            "docker" | "container" | "auto" | "required"
        )
    {
        let problem = format!("{mode:?} is not offered; write docker: there is no host mode");
        reader.problem("replay_sandbox_mode", problem);
    }
    if reader.flag("allow_unsafe_host_replay") == Some(true) {
        let problem = "true is not offered; write false: submitted code runs in containers alone";
        reader.problem("allow_unsafe_host_replay", problem);
    }
    if reader.text("replay_sandbox_gpus").is_some() {
        reader
            .warn("replay_sandbox_gpus is not used: a task that needs GPUs says so in its limits");
    }
    let network = |mode: Option<String>| mode.is_some_and(|mode| mode != "none");
    if network(reader.text("replay_sandbox_benchmark_network_mode")) {
        let text =
            "replay_sandbox_benchmark_network_mode is not used: a benchmark never has network";
        reader.warn(text);
    }
    Bounds {
        image: reader.text("replay_sandbox_image"),
        memory: reader.bytes("replay_sandbox_memory_limit", Bytes::mib(16)),
        pids: whole32(reader, "replay_sandbox_pids_limit", 16, 1 << 16),
        cpus: reader
            .at_least("replay_sandbox_cpus", 0, 1024)
            .and_then(|cpus| u32::try_from(cpus.max(1)).ok()),
        workspace: reader.bytes("replay_sandbox_workspace_size_bytes", Bytes::mib(1)),
        result: reader.bytes("replay_sandbox_result_max_bytes", Bytes::new(2)),
        time_budget_seconds: reader.whole("max_time_budget_seconds", 1, 86_400),
        setup_network: network(reader.text("replay_sandbox_setup_network_mode")),
    }
}

fn whole32(reader: &mut Reader, field: &'static str, min: u64, max: u64) -> Option<u32> {
    reader
        .whole(field, min, max)
        .and_then(|number| u32::try_from(number).ok())
}

fn access(reader: &mut Reader) -> Access {
    let below = reader.path("local_artifacts_dir");
    let is_allowed = reader.flag("allow_local_artifacts").unwrap_or(false);
    Access {
        local_repositories: reader.flag("allow_local_repositories").unwrap_or(false),
        local_artifacts: is_allowed.then(|| below.unwrap_or_else(|| PathBuf::from("/"))),
        private_addresses: reader.flag("allow_private_addresses").unwrap_or(false),
        root_certificate: reader.path("extra_root_certificate"),
    }
}

fn listen(reader: &mut Reader) -> Option<SocketAddr> {
    let text = reader.text("listen")?;
    let address = text.parse().ok();
    if address.is_none() {
        let problem = format!("{text:?} is no address; write 127.0.0.1:9464");
        reader.problem("listen", problem);
    }
    address
}

fn caches(reader: &mut Reader) -> CacheBounds {
    let default = CacheBounds::default();
    let mut bytes = |field, default| reader.bytes(field, Bytes::new(0)).unwrap_or(default);
    CacheBounds {
        artifacts: bytes("artifact_cache", default.artifacts),
        private_inputs: bytes("private_cache", default.private_inputs),
        checkouts: bytes("checkout_cache", default.checkouts),
        min_free: bytes("min_free_disk", default.min_free),
    }
}
