//! What a runner may not leave behind once its replays are over.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The label of every container that a runner makes.
const OWNER_LABEL: &str = "replay-runner.owner";

/// Containers, mounts and run directories that belong to the state directory
/// `state` and are still there; each as a line for a person.
pub fn of_state(state: &Path) -> Result<Vec<String>> {
    let mut left = containers(state)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("mountinfo")?;
    let place = state.display().to_string();
    left.extend(
        mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .filter(|mount| mount.starts_with(&place))
            .map(|mount| format!("mount {mount}")),
    );
    if let Ok(runs) = fs::read_dir(state.join("runs")) {
        left.extend(
            runs.flatten()
                .map(|run| format!("directory {}", run.path().display())),
        );
    }
    Ok(left)
}

/// Other runners may be at work on this engine: a container is ours if it mounts
/// something of `state`.
fn containers(state: &Path) -> Result<Vec<String>> {
    let listed = docker(&[
        "ps",
        "--all",
        "--quiet",
        "--filter",
        &format!("label={OWNER_LABEL}"),
    ])?;
    let ids: Vec<&str> = listed.split_whitespace().collect();
    let mut left = Vec::new();
    for id in ids {
        // It may be another runner's, and gone by now.
        let Ok(inspected) = docker(&["inspect", "--type", "container", id]) else {
            continue;
        };
        let inspected: Value = serde_json::from_str(&inspected).context("docker inspect")?;
        let mounts = inspected[0]["Mounts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let ours = mounts.iter().any(|mount| {
            mount["Source"]
                .as_str()
                .is_some_and(|source| Path::new(source).starts_with(state))
        });
        if ours {
            left.push(format!("container {}", inspected[0]["Name"]));
        }
    }
    Ok(left)
}

fn docker(arguments: &[&str]) -> Result<String> {
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .context("docker")?;
    ensure!(
        output.status.success(),
        "docker {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
