//! `serve`, `audit`, `backup` and `openapi`.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use coordinator::pool::Pool;
use coordinator::rules::places::Places;
use coordinator::settings::StakeGate;
use coordinator::store::{backup, events};
use coordinator::{AdminToken, App, Clock, Settings, Store, routes, server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

/// How long the pool may take for everything that is asked of it together.
const POOL_PATIENCE: Duration = Duration::from_secs(10);

/// Tasks, signed claims, submissions, replay jobs, consensus and rewards.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and the dashboard.
    Serve(Box<Serve>),
    /// Print who did what when, one JSON object a line, oldest first.
    Audit(Audit),
    /// Copy a running SQLite database to a new file.
    Backup(Backup),
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Debug, Args)]
struct Database {
    /// `sqlite://FILE` or `postgres://…`.
    #[arg(
        long,
        env = "COORDINATOR_DATABASE",
        default_value = "sqlite://coordinator.db",
        hide_env_values = true
    )]
    database: String,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    database: Database,
    /// Where the API and the dashboard listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where Prometheus reads; nowhere without it.
    #[arg(long)]
    metrics_listen: Option<SocketAddr>,
    /// Holds the admin token; made with a new token if it is not there. The
    /// environment variable `COORDINATOR_ADMIN_TOKEN` comes before it.
    #[arg(long, default_value = "admin-token")]
    admin_token_file: PathBuf,
    /// A hotkey that may fetch work and post results; may be repeated.
    #[arg(long = "validator", value_name = "HOTKEY")]
    validators: Vec<String>,
    /// More of them, one a line; `#` begins a comment.
    #[arg(long)]
    validators_file: Option<PathBuf>,
    /// How long a validator holds a job without a heartbeat.
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    lease_seconds: u32,
    /// How old a submission may be to be given out.
    #[arg(long, default_value_t = 14, value_name = "DAYS")]
    worklist_days: u32,
    /// How many claims a hotkey may hold on one task.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    claims_per_task: u32,
    /// How far a signed timestamp may be from this clock.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    freshness_seconds: u32,
    /// Requests per second of one hotkey, on average.
    #[arg(long, default_value_t = 20.0, value_parser = rate)]
    requests_per_hotkey: f64,
    /// Requests per second of one address, on average.
    #[arg(long, default_value_t = 200.0, value_parser = rate)]
    requests_per_address: f64,
    /// Read client addresses from X-Forwarded-For; only behind a proxy that sets it.
    #[arg(long)]
    trust_forwarded_for: bool,
    /// Let tasks and submissions name files of this host; for tests and demos.
    #[arg(long, alias = "allow-local-repositories")]
    allow_local_files: bool,
    /// Serve POST /api/v1/submissions/{id}/verify.
    #[arg(long)]
    direct_verification: bool,
    /// Turn the stake gate on: the least stake of a miner.
    #[arg(long, requires = "metagraph_file", value_parser = stake)]
    minimum_stake: Option<f64>,
    /// The metagraph for the stake gate, as JSON: {"neurons": [{"hotkey", "stake"}]}.
    #[arg(long, requires = "minimum_stake")]
    metagraph_file: Option<PathBuf>,
    /// The pool whose epochs and balances are shown; without it nothing is known of
    /// the chain.
    #[arg(long, env = "COORDINATOR_POOL", value_name = "URL")]
    pool: Option<String>,
    /// Older than this, the metagraph says nothing.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    metagraph_max_age: u32,
}

#[derive(Debug, Args)]
struct Audit {
    #[command(flatten)]
    database: Database,
    /// Only events after this number.
    #[arg(long, default_value_t = 0)]
    after: i64,
    /// Only what happened to this id.
    #[arg(long)]
    subject: Option<String>,
}

#[derive(Debug, Args)]
struct Backup {
    #[command(flatten)]
    database: Database,
    /// Must not exist.
    file: PathBuf,
}

/// `nan` parses as a number, and no comparison with it would ever refuse anybody.
fn stake(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    let is_sound = number.is_finite() && number >= 0.0;
    is_sound
        .then_some(number)
        .ok_or_else(|| "is not a stake of 0 or more".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    let is_sound = number.is_finite() && number > 0.0;
    is_sound
        .then_some(number)
        .ok_or_else(|| "is not a rate above 0".to_owned())
}

pub(crate) fn run(cli: Cli) -> anyhow::Result<()> {
    if let Command::Openapi = cli.command {
        writeln!(
            std::io::stdout(),
            "{}",
            routes::document().to_pretty_json()?
        )?;
        return Ok(());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => serve(*options).await,
            Command::Audit(options) => audit(options).await,
            Command::Backup(options) => {
                let store = Store::open_existing(&options.database.database).await?;
                Ok(backup::backup(&store, &options.file).await?)
            }
            Command::Openapi => Ok(()),
        }
    })
}

async fn serve(options: Serve) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,sqlx=warn".into()),
        )
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let settings = settings(&options)?;
    let bounds = server::Bounds::of(&settings);
    let store = Store::open(&options.database.database).await?;
    let app = App::new(store.clone(), settings, Clock::default());
    let stop = CancellationToken::new();
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    // Heard from here on: who reads the next line may end this at once.
    let told_to_end = told_to_end()?;
    // Scripts that asked for port 0 read the port from here.
    println!("listening on http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    if app.settings.validators.is_empty() {
        tracing::warn!("no validator may fetch work; name one with --validator HOTKEY");
    }
    let mut tasks = tokio::task::JoinSet::new();
    if let Some(address) = options.metrics_listen {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let router = server::metrics_router(app.clone());
        tasks.spawn(server::serve(listener, router, bounds, stop.clone()));
    }
    tasks.spawn(server::housekeeping(app.clone(), stop.clone()));
    tasks.spawn(server::serve(
        listener,
        routes::service(app),
        bounds,
        stop.clone(),
    ));
    told_to_end.await;
    tracing::info!("ending: no new requests, the running ones go on");
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    store.close().await;
    Ok(())
}

/// Listens for the signals that end a program from now on, and waits for one later.
fn told_to_end() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn settings(options: &Serve) -> anyhow::Result<Settings> {
    let token = admin_token(&options.admin_token_file)?;
    let stake_gate = options
        .minimum_stake
        .zip(options.metagraph_file.clone())
        .map(|(minimum, metagraph)| StakeGate {
            minimum,
            metagraph,
            max_age: Duration::from_secs(options.metagraph_max_age.into()),
        });
    Ok(Settings {
        validators: validators(options)?,
        freshness_seconds: options.freshness_seconds.into(),
        lease_seconds: options.lease_seconds.into(),
        worklist_days: options.worklist_days.into(),
        claims_per_task: options.claims_per_task.into(),
        requests_per_hotkey: options.requests_per_hotkey,
        requests_per_address: options.requests_per_address,
        trust_forwarded_for: options.trust_forwarded_for,
        places: if options.allow_local_files {
            Places::LocalToo
        } else {
            Places::RemoteOnly
        },
        direct_verification: options.direct_verification,
        stake_gate,
        pool: options.pool.as_deref().map(pool).transpose()?,
        ..Settings::new(token)
    })
}

fn pool(address: &str) -> anyhow::Result<Arc<Pool>> {
    // It is not repeated in an error: it may hold a password.
    let url: Url = address.parse().context("--pool is no address")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        bail!("--pool is no http or https address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("--pool has a user name or password; leave them out");
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("--pool has a query or a fragment; name the pool's root");
    }
    Ok(Arc::new(Pool::new(url, POOL_PATIENCE)?))
}

fn validators(options: &Serve) -> anyhow::Result<BTreeSet<String>> {
    let mut texts = options.validators.clone();
    if let Some(file) = &options.validators_file {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        texts.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
    }
    let mut hotkeys = BTreeSet::new();
    for text in texts {
        let hotkey: protocol::hotkey::Hotkey = text
            .parse()
            .with_context(|| format!("validator {text:?}"))?;
        hotkeys.insert(hotkey.to_string());
    }
    Ok(hotkeys)
}

/// The token of the environment, else of the file, else a new one in that file.
fn admin_token(file: &Path) -> anyhow::Result<AdminToken> {
    let text = match std::env::var("COORDINATOR_ADMIN_TOKEN") {
        Ok(token) => token,
        Err(_) if file.exists() => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?,
        Err(_) => new_token(file)?,
    };
    let Some(token) = AdminToken::new(&text) else {
        bail!(
            "the admin token has fewer than {} characters",
            AdminToken::MIN_LENGTH
        );
    };
    Ok(token)
}

fn new_token(file: &Path) -> anyhow::Result<String> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let token = format!(
        "{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    );
    let mut new = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot create {}", file.display()))?;
    writeln!(new, "{token}")?;
    eprintln!("a new admin token is in {}", file.display());
    Ok(token)
}

async fn audit(options: Audit) -> anyhow::Result<()> {
    let store = Store::open_existing(&options.database.database).await?;
    let mut conn = store.reads().acquire().await?;
    let mut out = std::io::stdout().lock();
    let mut after = options.after;
    loop {
        let page = events::after(&mut conn, after, 1000).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for event in &page {
            if options
                .subject
                .as_ref()
                .is_none_or(|subject| *subject == event.subject)
            {
                writeln!(out, "{}", serde_json::to_string(event)?)?;
            }
        }
    }
    Ok(())
}
