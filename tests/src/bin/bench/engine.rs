//! What the container engine alone costs: the reference of everything else.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use bollard::models::{ContainerCreateBody, HostConfig};
use replay_runner::engine::{Deadlines, Engine};
use tokio::runtime::{Builder, Runtime};

use crate::tasks::IMAGE;

/// A connection of our own, for bare containers.
pub(crate) struct Bare {
    runtime: Runtime,
    engine: Engine,
    made: u32,
}

impl Bare {
    pub(crate) fn connect() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let engine = runtime.block_on(Engine::connect(Deadlines::default()))?;
        Ok(Self {
            runtime,
            engine,
            made: 0,
        })
    }

    /// Seconds from create to removed, without network, without any limit.
    pub(crate) fn container(&mut self) -> Result<f64> {
        self.made += 1;
        let name = format!("replay-bench-{}-{}", std::process::id(), self.made);
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(vec!["true".to_owned()]),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let engine = &self.engine;
        self.runtime.block_on(async {
            let started = Instant::now();
            let id = engine.create(&name, body).await?;
            let run = async {
                let (exited, running) = tokio::join!(engine.next_exit(&id), engine.start(&id));
                running.and(exited)
            };
            let run = run.await;
            engine.remove(&id).await?;
            run?;
            Ok(started.elapsed().as_secs_f64())
        })
    }
}

/// Seconds of `docker run --rm --network none IMAGE true`.
pub(crate) fn docker_run() -> Result<f64> {
    let started = Instant::now();
    let output = Command::new("docker")
        .args(["run", "--rm", "--network", "none", IMAGE, "true"])
        .output()
        .context("docker")?;
    let took = started.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "docker run: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(took)
}
