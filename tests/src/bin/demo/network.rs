//! The demo's network: a coordinator and validators, each a process with a
//! directory of its own.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use nix::sys::signal::Signal;
use system_tests::network::{Coordinator, Daemon};

/// Who validates.
const VALIDATORS: [&str; 2] = ["north", "south"];

/// The processes; told to end when this is dropped.
pub(crate) struct Network {
    // In this order: validators hand their jobs back before the coordinator ends.
    pub(crate) validators: Vec<Daemon>,
    pub(crate) coordinator: Coordinator,
}

impl Network {
    /// Starts a coordinator at `listen`, and validators with `at_once` slots
    /// together.
    pub(crate) fn start(directory: &Path, listen: SocketAddr, at_once: usize) -> Result<Self> {
        let names = &VALIDATORS[..VALIDATORS.len().min(at_once)];
        let hotkeys: Vec<String> = names.iter().map(|name| Daemon::hotkey(name)).collect();
        let coordinator = Coordinator::listening(&directory.join("coordinator"), &hotkeys, listen)?;
        let mut network = Self {
            validators: Vec::new(),
            coordinator,
        };
        for (number, name) in names.iter().enumerate() {
            let slots = (at_once + names.len() - 1 - number) / names.len();
            let url = network.coordinator.url();
            let more = format!("slots = {slots}");
            let daemon = Daemon::start(&directory.join("validators"), name, &url, &more, None)?;
            network.validators.push(daemon);
        }
        Ok(network)
    }

    /// What the validators have to say when something does not work.
    pub(crate) fn complaints(&self) -> String {
        let said = |validator: &Daemon| {
            let log = validator.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            format!("{} says\n{}", validator.name(), last.join("\n"))
        };
        let said: Vec<String> = self.validators.iter().map(said).collect();
        said.join("\n")
    }

    /// The name behind a validator's hotkey.
    pub(crate) fn validator(&self, hotkey: &str) -> String {
        let known = self
            .validators
            .iter()
            .find(|validator| Daemon::hotkey(validator.name()) == hotkey);
        known.map_or(hotkey, Daemon::name).to_owned()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // All at once, before each is waited for.
        for validator in &self.validators {
            let _ = validator.signal(Signal::SIGTERM);
        }
    }
}
