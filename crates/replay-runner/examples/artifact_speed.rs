//! Prints how fast artifacts are verified, beside `openssl dgst -sha256` on the
//! same file in the same run: `cargo run --release --example artifact_speed`.
//! The size in MiB is the first argument; 1,024 without one.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use replay_runner::artifact::{
    ArtifactSource, Artifacts, Declared, FetchPolicy, LocalFiles, Watch,
};

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mib: u64 = std::env::args()
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
    let (mut openssl, mut copy, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        openssl.push(seconds(&run_openssl(&file)?, mib));
        artifacts.evict(0).await?;
        fs::remove_dir_all(root.join("local")).ok();
        copy.push(seconds(&verify(&artifacts, &file).await?, mib));
        // A seal of no age: the kept file is hashed in place.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        again.push(seconds(&verify_kept(&artifacts, &file).await?, mib));
    }
    let base = best(&openssl);
    println!("artifact of {mib} MiB, best of {ROUNDS}");
    println!("openssl dgst -sha256     {base:8.0} MiB/s   1.00");
    for (name, rates) in [("verify, copying", &copy), ("verify the kept file", &again)] {
        let rate = best(rates);
        println!("{name:24} {rate:8.0} MiB/s   {:.2}", rate / base);
    }
    println!("peak memory of this process {}", peak_memory()?);
    Ok(())
}

fn write_file(path: &Path, mib: u64) -> anyhow::Result<()> {
    let mut file = fs::File::create(path)?;
    let mut piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    for index in 0..mib {
        piece[..8].copy_from_slice(&index.to_le_bytes());
        file.write_all(&piece)?;
    }
    file.sync_all().context("write the file")
}

fn run_openssl(path: &Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let done = Command::new("openssl")
        .args(["dgst", "-sha256"])
        .arg(path)
        .output()?;
    ensure!(done.status.success(), "openssl failed");
    Ok(started.elapsed())
}

async fn verify(artifacts: &Artifacts, path: &Path) -> anyhow::Result<Duration> {
    let source = ArtifactSource::local(path);
    let started = Instant::now();
    artifacts
        .verify(&source, Declared::default(), u64::MAX, &Watch::default())
        .await?;
    Ok(started.elapsed())
}

/// The kept file, found by its digest; the address is never asked.
async fn verify_kept(artifacts: &Artifacts, path: &Path) -> anyhow::Result<Duration> {
    let kept = artifacts
        .verify(
            &ArtifactSource::local(path),
            Declared::default(),
            u64::MAX,
            &Watch::default(),
        )
        .await?;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let declared = Declared {
        sha256: Some(kept.sha256()),
        size_bytes: Some(kept.size_bytes()),
    };
    let nowhere = ArtifactSource::parse("https://kept.invalid/artifact")?;
    let started = Instant::now();
    artifacts
        .verify(&nowhere, declared, u64::MAX, &Watch::default())
        .await?;
    Ok(started.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn seconds(took: &Duration, mib: u64) -> f64 {
    mib as f64 / took.as_secs_f64()
}

fn best(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
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
