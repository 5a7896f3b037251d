//! The surroundings of one run as plain data: the usual ones, with any
//! number of variations on top.

use std::path::Path;

use protocol::limits::Bytes;
use protocol::{Limits, ReplaySpec};

use super::variation::Variation;
use crate::sandbox::{AddressRandomisation, Conditions, EnvironmentOrder, Randomness};

/// Beside the usual environment, to make it longer.
const PADDING_BYTES: usize = 4096;
/// Seconds of processor time each second, for a machine a quarter as fast.
const SLOW: f64 = 0.25;

/// In which order a directory lists its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Ascending,
    Descending,
}

/// Which cores a run gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum CoresWanted {
    /// As many as the task says, whichever are free.
    #[default]
    Usual,
    /// So many.
    Count(u32),
    /// As many as the task says, and never the first ones.
    Others,
}

/// Who runs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Identity {
    #[default]
    Usual,
    Other,
}

/// Whether something else runs at the same time on the same cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Company {
    #[default]
    Alone,
    SameReplay,
}

/// The surroundings of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    pub(crate) conditions: Conditions,
    pub(crate) identity: Identity,
    pub(crate) memory: Option<Bytes>,
    pub(crate) cores: CoresWanted,
    pub(crate) listing: Option<Listing>,
    pub(crate) company: Company,
}

/// What of the host and the task decides whether a variation can be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) spec: &'a ReplaySpec,
    pub(crate) host_cores: u32,
    pub(crate) host_memory: u64,
    /// The sizes of all files in the pinned tree together.
    pub(crate) tree_bytes: u64,
    /// Where the files are that stand in for those of a container.
    pub(crate) files: &'a Path,
}

/// A tree larger than this is not copied into memory to change its order.
const LARGEST_REORDERED: u64 = 512 << 20;

impl Setting {
    /// How much longer the stages of this setting may take than the task says.
    pub(crate) fn patience(&self) -> u64 {
        let slow = self.conditions.cpu_seconds_per_second.is_some();
        let shared = self.company == Company::SameReplay;
        1 + 4 * u64::from(slow) + 2 * u64::from(shared)
    }

    /// These surroundings with `variation` on top, or why it cannot be made.
    pub(crate) fn with(mut self, variation: Variation, facts: &Facts<'_>) -> Result<Self, String> {
        let limits = &facts.spec.limits;
        let conditions = &mut self.conditions;
        match variation {
            Variation::Hostname => {
                "another-host".clone_into(&mut conditions.hostname);
                let hosts = facts.files.join(HOSTS);
                conditions.files.push((hosts, "/etc/hosts".to_owned()));
            }
            Variation::User => self.identity = Identity::Other,
            Variation::TimeZone => self.set_env(facts, &[("TZ", "<+1345>-13:45")])?,
            Variation::Locale => {
                self.set_env(facts, &[("LC_ALL", "de_DE.UTF-8"), ("LANG", "de_DE.UTF-8")])?;
            }
            Variation::Umask => conditions.umask = Some(0o077),
            Variation::Environment => {
                conditions.env_order = EnvironmentOrder::Reversed;
                let padding = "x".repeat(PADDING_BYTES);
                self.set_env(facts, &[("REPLAY_CHECK_PADDING", &padding)])?;
            }
            Variation::Path => {
                "/srv/replays/of/another/runner/workspace".clone_into(&mut conditions.workspace);
            }
            Variation::DirectoryOrder => {
                if facts.tree_bytes > LARGEST_REORDERED {
                    return Err(format!(
                        "the tree has {} MiB; up to {} MiB are copied into memory to change its order",
                        facts.tree_bytes >> 20,
                        LARGEST_REORDERED >> 20
                    ));
                }
                self.listing = Some(Listing::Ascending);
            }
            Variation::Clock => {
                let words = ["faketime", "-f", "+400d"].map(str::to_owned);
                conditions.wrapper.extend(words);
            }
            Variation::CpuCount => {
                self.cores = CoresWanted::Count(other_count(limits, facts.host_cores)?);
                let online = facts.files.join(CPUS_ONLINE);
                let place = "/sys/devices/system/cpu/online".to_owned();
                self.conditions.files.push((online, place));
            }
            Variation::CpuPinning => {
                if 2 * limits.cpus > facts.host_cores {
                    return Err(format!(
                        "the task takes {} of this host's {} cores, so that there are no others",
                        limits.cpus, facts.host_cores
                    ));
                }
                self.cores = CoresWanted::Others;
            }
            Variation::Memory => self.memory = Some(more_memory(limits, facts.host_memory)?),
            Variation::Addresses => {
                conditions.addresses = AddressRandomisation::MayBeOff;
                let words = ["setarch", "-R"].map(str::to_owned);
                conditions.wrapper.extend(words);
            }
            Variation::HashSeed => {
                self.set_env(
                    facts,
                    &[("PYTHONHASHSEED", "4242"), ("PERL_HASH_SEED", "4242")],
                )?;
            }
            Variation::Threads => {
                let count = (limits.cpus + 2).to_string();
                let names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];
                self.set_env(facts, &names.map(|name| (name, count.as_str())))?;
            }
            Variation::Entropy => {
                conditions.randomness = Randomness::DevicesOnly;
                for device in ["/dev/random", "/dev/urandom"] {
                    let bytes = facts.files.join(RANDOM_BYTES);
                    conditions.files.push((bytes, device.to_owned()));
                }
            }
            Variation::FreshMemory => {
                // The cache of each thread hands memory out as it came back.
                let tunables = "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0";
                let variables = [("MALLOC_PERTURB_", "165"), ("GLIBC_TUNABLES", tunables)];
                self.set_env(facts, &variables)?;
            }
            Variation::Speed => {
                conditions.cpu_seconds_per_second = Some(SLOW * f64::from(limits.cpus));
            }
            Variation::Neighbour => self.company = Company::SameReplay,
        }
        Ok(self)
    }

    /// Sets what the task does not set itself: that is pinned already.
    fn set_env(&mut self, facts: &Facts<'_>, variables: &[(&str, &str)]) -> Result<(), String> {
        let own = &facts.spec.env;
        if variables.iter().all(|(name, _)| own.contains_key(*name)) {
            let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "the task's validator_benchmark_env sets {} itself",
                names.join(" and ")
            ));
        }
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.conditions.env.extend(variables);
        Ok(())
    }
}

/// The name of the file that stands in for `/etc/hosts`.
pub(crate) const HOSTS: &str = "hosts";
/// The name of the file that stands in for the list of cores.
pub(crate) const CPUS_ONLINE: &str = "cpus-online";
/// The name of the file that stands in for the random devices.
pub(crate) const RANDOM_BYTES: &str = "random-bytes";

fn other_count(limits: &Limits, host_cores: u32) -> Result<u32, String> {
    if limits.cpus < host_cores {
        Ok(limits.cpus + 1)
    } else if limits.cpus > 1 {
        Ok(limits.cpus - 1)
    } else {
        Err("this host has one core".to_owned())
    }
}

fn more_memory(limits: &Limits, host_memory: u64) -> Result<Bytes, String> {
    let more = limits.memory.get() / 2 * 3;
    if more > host_memory {
        return Err(format!(
            "this host has {} MiB, and half as much again as {} would be more",
            host_memory >> 20,
            limits.memory
        ));
    }
    Ok(Bytes::new(more))
}
