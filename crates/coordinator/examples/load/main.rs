//! Measures the coordinator against the cost that nothing can avoid: one sr25519
//! verification for each signed request, on the same machine in the same run.
//!
//! `target/release/examples/load sqlite|postgres`, which `just bench` builds,
//! prints one JSON object on standard output.

mod bare;
mod fill;
mod latency;
#[path = "../../tests/common/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared with tests"
)]
mod postgres;
mod service;
mod submissions;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde_json::json;
use tempfile::TempDir;

use fill::Size;
use service::Service;

/// Signed submissions per second, and latencies of the large reads.
#[derive(Debug, Parser)]
struct Options {
    /// Which database; a new one of it is made
    database: Database,
    /// How long submissions are sent
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    seconds: u64,
    /// How many submissions there are when the reads are measured
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: i64,
    /// To how many tasks they belong
    #[arg(long, value_name = "N", default_value_t = 50)]
    tasks: i64,
    /// How many clients send at once
    #[arg(long, value_name = "N", default_value_t = 32)]
    clients: u8,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

/// Where the server keeps its files: on a disk, which is part of what is measured.
fn scratch() -> std::path::PathBuf {
    std::env::temp_dir()
}

/// No answer before the disk has it.
const FSYNC: &str = "on";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let place = TempDir::new()?;
    let url = match options.database {
        Database::Sqlite => format!("sqlite://{}/load.db", place.path().display()),
        Database::Postgres => postgres::new_database(),
    };
    let service = Service::start(&url).await?;
    let task = service.task("load").await?;
    // Before and after, since the machine may be busier at one time than at another.
    let cores = std::thread::available_parallelism()?.get();
    let before = bare::verifications_per_second(cores, Duration::from_secs(2))?;
    let time = Duration::from_secs(options.seconds);
    let submitted = submissions::per_second(&service, &task, options.clients, time).await?;
    let after = bare::verifications_per_second(cores, Duration::from_secs(2))?;
    let verified = f64::midpoint(before, after);
    let size = Size {
        rows: options.rows,
        tasks: options.tasks,
    };
    fill::fill(&service, size).await?;
    let validator = service::validator();
    let scan = "/api/v1/validator/submissions/scan";
    let report = json!({
        "cores": cores,
        "verifications_per_second": verified,
        "submissions_per_second": submitted,
        "rows": options.rows,
        "tasks": options.tasks,
        "worklist": latency::of(|| service.signed(&validator, scan, "{}")).await?,
        "catalog": latency::of(|| Ok(service.get("/api/v1/tasks"))).await?,
        "submissions": latency::of(|| Ok(service.get("/api/v1/submissions"))).await?,
        "dashboard": latency::of(|| Ok(service.get("/dashboard"))).await?,
        "snapshot": latency::of(|| Ok(service.get("/api/v1/reward-snapshot"))).await?,
    });
    println!("{report:#}");
    Ok(())
}
