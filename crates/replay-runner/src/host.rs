//! What the replays of one process share: the engine, the caches, the cores.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::receipt::HostFacts;
use protocol::{Code, Limits};
use tracing::{Instrument as _, debug_span};

use crate::artifact::{Artifacts, FetchPolicy, LocalFiles, Secrecy};
use crate::checkout::Mirrors;
use crate::engine::{Deadlines, Engine, EngineError, EngineFacts};
use crate::failure::Failure;
use crate::sandbox::EtcFiles;
use crate::state::{Cores, Owner, State, reap};
use crate::workspace::Scratch;

/// How much of artifacts a host keeps: the least recently used go first.
const ARTIFACT_CACHE: u64 = 50 << 30;

/// What the operator allows. The default is for submissions of strangers.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// Which local files may be artifacts or private inputs.
    pub local_files: LocalFiles,
    /// Whether a task that asks for network in setup gets it.
    pub allow_setup_network: bool,
    /// Engine deadlines.
    pub deadlines: Deadlines,
}

/// A process that replays.
#[derive(Debug)]
pub struct Host {
    pub(crate) engine: Engine,
    pub(crate) facts: EngineFacts,
    pub(crate) state: State,
    /// In memory, so that its path inside a container tells nothing; unmounted
    /// before the owner's directory goes.
    pub(crate) files: Scratch,
    pub(crate) owner: Owner,
    pub(crate) cores: Cores,
    pub(crate) mirrors: Mirrors,
    pub(crate) artifacts: Artifacts,
    pub(crate) private_inputs: Artifacts,
    pub(crate) options: HostOptions,
    replays: AtomicU64,
}

impl Host {
    /// Connects to the engine, removes what dead runners left, and registers
    /// this process.
    pub async fn open(state: State, options: HostOptions) -> Result<Self, Failure> {
        // libgit2 has OpenSSL parse every root certificate when it is first used,
        // whatever it is used for: as long as all the rest of a checkout.
        drop(tokio::task::spawn_blocking(|| {
            debug_span!("git").in_scope(libgit2_sys::init);
        }));
        let engine = match Engine::connect(options.deadlines)
            .instrument(debug_span!("connect"))
            .await
        {
            Ok(engine) => engine,
            Err(error) => {
                // Mounts and directories can go without the engine.
                reap(&state, None).await?;
                return Err(error.into());
            }
        };
        // The engine's account of itself takes as long as everything else here.
        let (facts, reaped) = tokio::join!(
            engine.facts().instrument(debug_span!("facts")),
            reap(&state, Some(&engine)).instrument(debug_span!("reap")),
        );
        let facts = facts?;
        reaped?;
        let owner = Owner::register(&state)?;
        let policy = || FetchPolicy::default().local_files(options.local_files.clone());
        let cores = Cores::of_this_process()?;
        let room = EtcFiles::FILES * (cores.count() as u64 + 1);
        let files = Scratch::mount(&owner.run_dir().join("files"), room * 4096, room)?;
        let artifacts = Artifacts::open(&state.dir("artifacts")?, policy())?;
        artifacts
            .evict(ARTIFACT_CACHE)
            .instrument(debug_span!("evict"))
            .await?;
        Ok(Self {
            cores,
            mirrors: Mirrors::new(state.dir("mirrors")?),
            artifacts,
            private_inputs: Artifacts::open(
                &state.dir("private")?,
                policy().secrecy(Secrecy::Private),
            )?,
            files,
            engine,
            facts,
            owner,
            state,
            options,
            replays: AtomicU64::new(0),
        })
    }

    /// Names the next replay of this process.
    pub(crate) fn next_replay(&self) -> String {
        self.replays.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Removes containers that outlived their stage because the engine went away
    /// meanwhile. Only while nothing is replayed on this host by this process.
    ///
    /// # Errors
    /// [`EngineError`] if the engine does not do it; the next call tries again,
    /// and after the end of this process any runner's next start.
    pub async fn remove_leftovers(&self) -> Result<(), EngineError> {
        self.engine.settle_doubt(self.owner.id()).await
    }

    /// Removes what runners left that died since this one started.
    ///
    /// # Errors
    /// [`Failure`] if a directory cannot be read.
    pub async fn reap_others(&self) -> Result<(), Failure> {
        let reaped = reap(&self.state, Some(&self.engine)).await?;
        if reaped.owners > 0 {
            tracing::info!(reaped.owners, reaped.containers, "dead runners' leftovers");
        }
        Ok(())
    }

    /// What a receipt says of this host.
    pub fn receipt_facts(&self) -> HostFacts {
        HostFacts {
            runner: env!("CARGO_PKG_VERSION").to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            kernel: nix::sys::utsname::uname()
                .map(|names| names.release().to_string_lossy().into_owned())
                .unwrap_or_default(),
            engine: self.facts.version.clone(),
            runtime: self.facts.runtime.clone(),
        }
    }

    /// Refuses limits that this machine cannot give, before anything is pulled.
    pub(crate) fn check_limits(&self, limits: &Limits) -> Result<(), Failure> {
        let refuse = |message: String| Err(Failure::new(Code::SandboxLimitsUnsatisfiable, message));
        let memory = self.facts.memory_bytes;
        if limits.memory.get() > memory {
            return refuse(format!(
                "limits.memory is {} and this host has {memory} bytes",
                limits.memory
            ));
        }
        let cores = self.cores.count();
        if limits.cpus as usize > cores {
            return refuse(format!(
                "limits.cpus is {} and this host has {cores}",
                limits.cpus
            ));
        }
        if limits.gpus > 0 && !self.facts.has_gpus {
            return refuse(format!(
                "limits.gpus is {} and this host's engine has no GPU runtime",
                limits.gpus
            ));
        }
        Ok(())
    }
}
