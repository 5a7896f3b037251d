//! How fast artifacts are verified, and with how much memory.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use replay_runner::artifact::{
    ArtifactSource, Artifacts, Declared, FetchPolicy, LocalFiles, Watch,
};
use serde::{Deserialize, Serialize};

use crate::program::peak_memory_bytes;
use crate::row::{Row, Target};
use crate::sample::Samples;
use crate::section::Bench;
use crate::tasks::Noise;

/// How much more memory a file of many times the size may take.
const CONSTANT_WITHIN: f64 = 1.1;

/// What a process of its own tells its parent.
#[derive(Debug, Serialize, Deserialize)]
struct Verified {
    first_seconds: f64,
    again_seconds: f64,
    peak_memory_bytes: u64,
}

/// Verification in turn with `openssl dgst -sha256`, each in its own process.
pub(crate) fn against_openssl(bench: &Bench, tell: &mut impl FnMut(Row)) -> Result<()> {
    let (small_mib, mib) = if bench.effort.quick {
        (8, 128)
    } else {
        (64, 1024)
    };
    let (small, large) = (
        bench.workshop.path("small.bin"),
        bench.workshop.path("large.bin"),
    );
    write_noise(&small, small_mib, &mut Noise(3))?;
    write_noise(&large, mib, &mut Noise(4))?;
    let cache = bench.workshop.path("verified");
    let (mut openssl, mut again, mut first) =
        (Samples::default(), Samples::default(), Samples::default());
    let mut growth = Samples::default();
    openssl_seconds(&large)?;
    for _ in 0..bench.effort.rounds.min(7) {
        let base = verify(&small, &cache)?;
        openssl.push(openssl_seconds(&large)?);
        let verified = verify(&large, &cache)?;
        again.push(verified.again_seconds);
        first.push(verified.first_seconds);
        growth.push(share(verified.peak_memory_bytes, base.peak_memory_bytes));
    }
    let what = format!("openssl dgst -sha256, {mib} MiB");
    tell(Row::reference(what, openssl.show("s").to_string()));
    let speed = openssl.per(&again);
    let shown = speed.show("×").to_string();
    let what = "artifact verification, its speed";
    tell(Row::judged(
        what,
        speed.median(),
        shown,
        Target::AtLeast(0.9),
        "×",
    ));
    let what = "  the same while copying into the cache";
    tell(Row::reference(
        what,
        openssl.per(&first).show("×").to_string(),
    ));
    let shown = growth.show("×").to_string();
    let what = format!("  memory for {mib} MiB, to that for {small_mib} MiB");
    tell(Row::judged(
        what,
        growth.median(),
        shown,
        Target::AtMost(CONSTANT_WITHIN),
        "×",
    ));
    Ok(())
}

/// Verifies `file` with a new cache at `cache`, once while it is copied there
/// and once in place, and prints how it went. Runs in a process of its own.
pub(crate) fn verify_for_parent(file: &Path, cache: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let policy = FetchPolicy::default()
        .local_files(LocalFiles::Anywhere)
        .verify_again_after(Duration::ZERO);
    let artifacts = Artifacts::open(cache, policy)?;
    let watch = Watch::default();
    let verified = runtime.block_on(async {
        let started = Instant::now();
        let local = ArtifactSource::local(file);
        let kept = artifacts
            .verify(&local, Declared::default(), u64::MAX, &watch)
            .await?;
        let first_seconds = started.elapsed().as_secs_f64();
        let declared = Declared {
            sha256: Some(kept.sha256()),
            size_bytes: Some(kept.size_bytes()),
        };
        // A seal counts in seconds; this one is to be too old.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let nowhere = ArtifactSource::parse("https://kept.invalid/artifact")?;
        let started = Instant::now();
        artifacts
            .verify(&nowhere, declared, u64::MAX, &watch)
            .await?;
        anyhow::Ok(Verified {
            first_seconds,
            again_seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory_bytes("self").context("this process's memory")?,
        })
    })?;
    println!("{}", serde_json::to_string(&verified)?);
    Ok(())
}

fn verify(file: &Path, cache: &Path) -> Result<Verified> {
    // Even if a build replaces this program meanwhile.
    let output = Command::new("/proc/self/exe")
        .arg("--verify-artifact")
        .args([file, cache])
        .output()?;
    ensure!(
        output.status.success(),
        "verifying: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::remove_dir_all(cache)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn openssl_seconds(file: &Path) -> Result<f64> {
    let started = Instant::now();
    let output = Command::new("openssl")
        .args(["dgst", "-sha256"])
        .arg(file)
        .output()
        .context("openssl")?;
    ensure!(output.status.success(), "openssl failed");
    Ok(started.elapsed().as_secs_f64())
}

/// Writes a file of `mib` MiB, no two of them alike.
pub(crate) fn write_noise(path: &Path, mib: u64, noise: &mut Noise) -> Result<()> {
    let mut file = File::create(path)?;
    let mut piece = noise.bytes(1 << 20);
    for number in 0..mib {
        piece[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&piece)?;
    }
    Ok(file.sync_all()?)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn share(value: u64, base: u64) -> f64 {
    value as f64 / base as f64
}
