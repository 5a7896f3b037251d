//! Prints how fast artifacts are verified, beside `openssl dgst -sha256` on the
//! same file in the same run: `cargo run --release --example artifact_speed`.
//! The size in MiB is the first argument; 1,024 without one.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};
use replay_runner::artifact::{
    ArtifactSource, Artifacts, Declared, FetchPolicy, LocalFiles, Watch,
};

const ROUNDS: usize = 3;

/// What one pass took.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    /// Processor time of all threads: what a busy machine does not blur.
    cpu: Duration,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mib: u32 = std::env::args()
        .nth(1)
        .map_or(Ok(1024), |size| size.parse())?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("artifact");
    write_file(&file, mib)?;
    let root = directory.path().join("cache");
    let policy = FetchPolicy::default()
        .local_files(LocalFiles::Anywhere)
        .verify_again_after(Duration::ZERO);
    let artifacts = Artifacts::open(&root, policy)?;
    let (mut openssl, mut copying, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        openssl.push(run_openssl(&file)?);
        artifacts.evict(0).await?;
        copying.push(copy(&artifacts, &file).await?);
        again.push(verify_kept(&artifacts, &file).await?);
    }
    println!("{mib} MiB, best of {ROUNDS}     MiB/s   ratio   MiB per CPU second   ratio");
    for (name, took) in [
        ("openssl dgst -sha256", &openssl),
        ("verify while copying", &copying),
        ("verify what is kept", &again),
    ] {
        let rate = |of: fn(&Took) -> Duration| rate(mib, took, of);
        let base = |of: fn(&Took) -> Duration| self::rate(mib, &openssl, of);
        let (wall, cpu) = (rate(|took| took.wall), rate(|took| took.cpu));
        println!(
            "{name:24} {wall:8.0} {:7.2} {cpu:20.0} {:7.2}",
            wall / base(|took| took.wall),
            cpu / base(|took| took.cpu)
        );
    }
    println!("peak memory of this process: {}", peak_memory()?);
    Ok(())
}

fn rate(mib: u32, took: &[Took], of: fn(&Took) -> Duration) -> f64 {
    let fastest = took.iter().map(of).min().unwrap_or_default();
    f64::from(mib) / fastest.as_secs_f64()
}

fn write_file(path: &Path, mib: u32) -> anyhow::Result<()> {
    let mut file = fs::File::create(path)?;
    let mut piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    for index in 0..mib {
        piece[..4].copy_from_slice(&index.to_le_bytes());
        file.write_all(&piece)?;
    }
    file.sync_all().context("write the file")
}

fn run_openssl(path: &Path) -> anyhow::Result<Took> {
    let (started, before) = (Instant::now(), cpu(UsageWho::RUSAGE_CHILDREN)?);
    let done = Command::new("openssl")
        .args(["dgst", "-sha256"])
        .arg(path)
        .output()?;
    ensure!(done.status.success(), "openssl failed");
    Ok(Took {
        wall: started.elapsed(),
        cpu: cpu(UsageWho::RUSAGE_CHILDREN)?.saturating_sub(before),
    })
}

async fn copy(artifacts: &Artifacts, path: &Path) -> anyhow::Result<Took> {
    timed(artifacts, &ArtifactSource::local(path), Declared::default()).await
}

/// Hashes the kept file again, found by its digest; the address is never asked.
async fn verify_kept(artifacts: &Artifacts, path: &Path) -> anyhow::Result<Took> {
    let watch = Watch::default();
    let source = ArtifactSource::local(path);
    let kept = artifacts
        .verify(&source, Declared::default(), u64::MAX, &watch)
        .await?;
    // Until its seal, which may have no age at all, is old.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let declared = Declared {
        sha256: Some(kept.sha256()),
        size_bytes: Some(kept.size_bytes()),
    };
    let nowhere = ArtifactSource::parse("https://kept.invalid/artifact")?;
    timed(artifacts, &nowhere, declared).await
}

async fn timed(
    artifacts: &Artifacts,
    source: &ArtifactSource,
    declared: Declared,
) -> anyhow::Result<Took> {
    let watch = Watch::default();
    let (started, before) = (Instant::now(), cpu(UsageWho::RUSAGE_SELF)?);
    artifacts.verify(source, declared, u64::MAX, &watch).await?;
    Ok(Took {
        wall: started.elapsed(),
        cpu: cpu(UsageWho::RUSAGE_SELF)?.saturating_sub(before),
    })
}

fn cpu(who: UsageWho) -> anyhow::Result<Duration> {
    let usage = getrusage(who)?;
    let microseconds = |time: TimeVal| u64::try_from(time.num_microseconds());
    let total = microseconds(usage.user_time())? + microseconds(usage.system_time())?;
    Ok(Duration::from_micros(total))
}

fn peak_memory() -> anyhow::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    Ok(line
        .unwrap_or_default()
        .replace("VmHWM:", "")
        .trim()
        .to_owned())
}
