//! The engine, asked from outside the runner.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// The label of every container that a runner makes.
pub const OWNER_LABEL: &str = "replay-runner.owner";

/// Runs the engine's command line.
pub fn docker(arguments: &[&str]) -> Result<String> {
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

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What: `create`, `start`, `die`, `destroy`, …
    pub action: String,
    /// The container's name.
    pub container: String,
    /// When, since the epoch by the engine's clock.
    pub at: Duration,
}

/// What happened to the containers of the runner `owner` since `since` seconds
/// after the epoch, in order.
pub fn events(owner: &str, since: f64) -> Result<Vec<Event>> {
    let label = format!("label={OWNER_LABEL}={owner}");
    let (since, until) = (
        format!("{since:.6}"),
        format!("{:.6}", seconds_since_epoch()?),
    );
    let text = docker(&[
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        "type=container",
        "--filter",
        &label,
        "--format",
        "{{json .}}",
    ])?;
    text.lines().map(event).collect()
}

fn event(line: &str) -> Result<Event> {
    let event: Value = serde_json::from_str(line).context("an event")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nanos = event["timeNano"].as_u64().context("an event has a time")?;
    Ok(Event {
        action: text(&event["Action"]),
        container: text(&event["Actor"]["Attributes"]["name"]),
        at: Duration::from_nanos(nanos),
    })
}

/// The time of day as the engine's options take it.
pub fn seconds_since_epoch() -> Result<f64> {
    Ok(std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs_f64())
}

/// The names of the containers of the runner `owner`, running or not.
pub fn containers_of(owner: &str) -> Result<Vec<String>> {
    let label = format!("label={OWNER_LABEL}={owner}");
    let names = docker(&["ps", "--all", "--filter", &label, "--format", "{{.Names}}"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// What the engine knows of a container.
pub fn inspect(container: &str) -> Result<Value> {
    let text = docker(&["inspect", "--type", "container", container])?;
    let mut list: Vec<Value> = serde_json::from_str(&text)?;
    list.pop().context("one container")
}

/// Tries `look` until it finds something.
pub fn wait_until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() > patience {
            bail!("{what} did not happen within {} s", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
