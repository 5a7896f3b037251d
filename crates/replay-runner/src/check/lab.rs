//! Everything that the runs of one check share, prepared once: the pinned
//! commit, the gate, the image, artifacts and private inputs.

use std::fs;
use std::time::SystemTime;

use protocol::{Fault, Outcome, ReplaySpec, TreeId};
use tokio_util::sync::CancellationToken;

use super::observation::Observation;
use super::reordered;
use super::setting::{
    CPUS_ONLINE, Company, CoresWanted, Facts, HOSTS, Identity, RANDOM_BYTES, Setting,
};
use crate::artifact::Watch;
use crate::bench::{Bench, Observed};
use crate::failure::Failure;
use crate::host::Host;
use crate::layout::{RunDir, Sides, lay_out_trees};
use crate::patch::PatchedTree;
use crate::progress::{Progress, Silent};
use crate::replay::{Place, sandbox};
use crate::sandbox::{EtcFiles, SandboxError, SandboxUser};
use crate::spec::{PartialSpec, Prepared, Request, blocking};
use crate::stages::Keep;
use crate::state::CpuReservation;
use crate::workspace::{Scratch, WorkspaceError};

/// How many random bytes there are each time; libraries read some dozens.
const RANDOM_FILE_BYTES: usize = 1 << 20;

/// A check's place on a host.
pub(crate) struct Lab<'a> {
    pub(crate) host: &'a Host,
    pub(crate) request: &'a Request,
    /// What was asked for, as its digest counts.
    pub(crate) spec: ReplaySpec,
    /// The same with one pass a run.
    prepared: Prepared,
    patched: PatchedTree,
    tree_bytes: u64,
    /// In memory: its path inside a container tells nothing.
    files: Scratch,
    _room: RunDir,
    cancel: &'a CancellationToken,
}

impl<'a> Lab<'a> {
    /// Prepares what all runs share.
    pub(crate) async fn open(
        host: &'a Host,
        request: &'a Request,
        progress: &dyn Progress,
        cancel: &'a CancellationToken,
    ) -> Result<Self, Failure> {
        let watch = Watch::default().cancelled_by(cancel.clone());
        let mut partial = PartialSpec::default();
        let mut prepared = request
            .prepare(host, &watch, progress, &mut partial)
            .await?;
        let spec = prepared.spec.clone();
        let patched = prepared.patched.clone();
        // The scatter of single passes is what everything else follows from.
        prepared.spec.repeats = 1;
        prepared.spec.tolerance = None;
        let base = patched.base().clone();
        let tree_bytes = blocking(move || {
            let entries = base.entries()?;
            Ok(entries.iter().map(|entry| entry.size).sum())
        })
        .await?;
        let room = RunDir::make(host)?;
        let files = stand_ins(&room)?;
        Ok(Self {
            host,
            request,
            spec,
            prepared,
            patched,
            tree_bytes,
            files,
            _room: room,
            cancel,
        })
    }

    /// The submission's content identity.
    pub(crate) fn patched_tree(&self) -> TreeId {
        self.patched.id()
    }

    /// What decides which variations can be made.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            spec: &self.prepared.spec,
            host_cores: u32::try_from(self.host.cores.count()).unwrap_or(u32::MAX),
            host_memory: self.host.facts.memory_bytes,
            tree_bytes: self.tree_bytes,
            files: self.files.path(),
        }
    }

    /// How many runs this host takes at once.
    pub(crate) fn at_once(&self) -> usize {
        let limits = &self.prepared.spec.limits;
        let by_cores = self.host.cores.count() / (limits.cpus as usize).max(1);
        let by_memory = self.host.facts.memory_bytes / limits.memory.get().max(1);
        by_cores
            .min(usize::try_from(by_memory).unwrap_or(usize::MAX))
            .max(1)
    }

    /// One run in `setting`. A failure of this host's is tried again once, and
    /// then nothing was learnt.
    pub(crate) async fn run(&self, setting: &Setting) -> Result<Observation, Failure> {
        let first = self.attempt(setting).await;
        match first {
            Err(failure) if failure.code != protocol::Code::Cancelled => {
                tracing::warn!(%failure, "a run of the check failed on this host; once more");
                self.attempt(setting).await
            }
            first => first,
        }
    }

    async fn attempt(&self, setting: &Setting) -> Result<Observation, Failure> {
        let spec = &self.prepared.spec;
        let wanted = match setting.cores {
            CoresWanted::Usual => spec.limits.cpus,
            CoresWanted::Count(count) => count,
            CoresWanted::Others => 2 * spec.limits.cpus,
        };
        let cores = tokio::select! {
            cores = self.host.cores.reserve(wanted) => cores?,
            () = self.cancel.cancelled() => return Err(SandboxError::Cancelled.into()),
        };
        let cpuset = cpuset(&cores, setting, spec.limits.cpus as usize);
        match setting.company {
            Company::Alone => self.on(&cpuset, setting).await,
            Company::SameReplay => {
                let (seen, neighbour) =
                    tokio::join!(self.on(&cpuset, setting), self.on(&cpuset, setting));
                neighbour?;
                seen
            }
        }
    }

    async fn on(&self, cpuset: &str, setting: &Setting) -> Result<Observation, Failure> {
        let (host, began) = (self.host, SystemTime::now());
        let mut prepared = Prepared {
            spec: self.prepared.spec.clone(),
            source: self.prepared.source.clone(),
            image: self.prepared.image.clone(),
            artifact: self.prepared.artifact.clone(),
            baseline_artifact: self.prepared.baseline_artifact.clone(),
            private_inputs: self.prepared.private_inputs.clone(),
            patched: self.prepared.patched.clone(),
            ..self.prepared
        };
        prepared.spec.time_budget_seconds *= setting.patience();
        prepared.spec.limits.memory = setting.memory.unwrap_or(prepared.spec.limits.memory);
        let room = RunDir::make(host)?;
        let user = self.user(setting.identity);
        let mut trees = lay_out_trees(host, &prepared, self.patched.clone(), &room, user).await?;
        let mut reordered_tree = None;
        if let Some(listing) = setting.listing {
            let (from, to) = (trees.pristine().to_owned(), room.path.join("reordered"));
            let copied = blocking(move || reordered::copy(&from, &to, listing)).await?;
            trees.replace_pristine(copied.path().to_owned());
            reordered_tree = Some(copied);
        }
        let sides = Sides::new(self.request, &prepared, trees, &room)?;
        let etc_dir = Scratch::mount(&room.path.join("etc"), 64 << 10, 16)?;
        let etc = EtcFiles::write(etc_dir.path(), user)
            .map_err(WorkspaceError::io("writing the files of /etc"))?;
        let place = Place {
            cpuset: cpuset.to_owned(),
            user,
            etc,
            conditions: setting.conditions.clone(),
        };
        let sandbox = sandbox(host, &prepared, &room, place);
        let bench = Bench {
            host,
            prepared: &prepared,
            sides: &sides,
            sandbox: &sandbox,
            room: &room,
            progress: &Silent,
            cancel: self.cancel,
            keep: Keep::Evidence,
        };
        let mut seen = Observed::default();
        let ended = bench.candidate(&mut seen).await;
        drop((sides, reordered_tree, etc_dir));
        match ended {
            Err(failure) if is_ours(&failure) => Err(failure),
            ended => Ok(Observation::new(&prepared.spec, ended, &seen, began)),
        }
    }

    /// Every run of a check is the same user's, whichever cores it gets: a user
    /// that no replay of this host has.
    fn user(&self, identity: Identity) -> SandboxUser {
        let beyond = self.host.cores.count() + usize::from(identity == Identity::Other);
        SandboxUser::of_core(beyond)
    }
}

/// Whether `failure` says nothing of the task or the submission.
fn is_ours(failure: &Failure) -> bool {
    Outcome::of(failure.code, failure.control).fault == Some(Fault::Validator)
}

/// The cores of a reservation that a run in `setting` gets.
fn cpuset(cores: &CpuReservation, setting: &Setting, usual: usize) -> String {
    let all = cores.cpuset();
    if setting.cores != CoresWanted::Others {
        return all;
    }
    let ids: Vec<&str> = all.split(',').skip(usual).collect();
    ids.join(",")
}

/// The files that stand in for a container's own in some variations.
fn stand_ins(room: &RunDir) -> Result<Scratch, Failure> {
    let failed = WorkspaceError::io::<std::io::Error>;
    let files = Scratch::mount(&room.path.join("files"), 2 * RANDOM_FILE_BYTES as u64, 16)?;
    let hosts = b"127.0.0.1 localhost another-host\n::1 localhost ip6-localhost\n";
    let contents = [
        (HOSTS, hosts.to_vec()),
        (CPUS_ONLINE, b"0-6\n".to_vec()),
        (RANDOM_BYTES, random_bytes()),
    ];
    for (name, content) in contents {
        let path = files.path().join(name);
        fs::write(&path, content)
            .and_then(|()| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
                fs::set_permissions(&path, mode)
            })
            .map_err(failed("writing a file"))?;
    }
    Ok(files)
}

/// The same bytes in every check, which look random to whoever reads them:
/// SHA-256 of a counter.
fn random_bytes() -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    (0..RANDOM_FILE_BYTES / 32)
        .flat_map(|counter| <[u8; 32]>::from(Sha256::digest(counter.to_le_bytes())))
        .collect()
}
