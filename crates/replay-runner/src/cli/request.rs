//! The options that say what is replayed, shared by every command that replays.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use protocol::Sha256Digest;
use replay_runner::artifact::{ArtifactSource, Declared, LocalFiles, digest_of};
use replay_runner::checkout::Source;
use replay_runner::failure::Failure;
use replay_runner::host::HostOptions;
use replay_runner::patch::Patch;
use replay_runner::spec::{Request, Submission};
use replay_runner::task::{self, TaskFileError};

/// No patch is read beyond this, whatever the task allows.
const LARGEST_PATCH: u64 = 64 << 20;

/// What is replayed, and where it comes from.
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// The repository, in place of the one that the task names
    #[arg(long, value_name = "URL|PATH")]
    repository: Option<String>,

    /// Commit, branch or tag, in place of the task's
    #[arg(long, value_name = "REF")]
    base_ref: Option<String>,

    /// The patch: a file, or - for standard input
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,

    /// The artifact: a file, or an https address
    #[arg(long, value_name = "PATH|URL")]
    artifact: Option<String>,

    /// The SHA-256 of the artifact; an address needs it
    #[arg(long, value_name = "HEX", requires = "artifact")]
    artifact_sha256: Option<String>,

    /// The size of the artifact in bytes; an address needs it
    #[arg(long, value_name = "BYTES", requires = "artifact")]
    artifact_size: Option<String>,

    /// A variable for the benchmark and score stages; may be given again
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = parse_env)]
    env: Vec<(String, String)>,

    /// The image, in place of the task's
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    /// How often the benchmark runs; the median counts [default: the task's]
    #[arg(long, value_name = "N")]
    repeats: Option<u32>,

    /// Let setup have network if the task asks for it
    #[arg(long)]
    allow_setup_network: bool,
}

fn parse_env(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    match protocol::task::env_problem(name, value) {
        Some(problem) => Err(problem.to_owned()),
        None => Ok((name.to_owned(), value.to_owned())),
    }
}

/// What stops a command before there is anything to report on.
pub(crate) enum Refused {
    /// The command line names something that is not there.
    Usage(String),
    /// An outcome of its own.
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

impl RequestArgs {
    /// The replay of `task` that these options ask for.
    pub(crate) fn request(&self, task: &Path) -> Result<Request, Refused> {
        let source = task::load(task).map_err(|error| match error {
            TaskFileError::NotFound(_) | TaskFileError::Io { .. } => {
                Refused::Usage(error.to_string())
            }
            error => Refused::Failure(error.into()),
        })?;
        let mut task = source.task;
        task.image = self.image.clone().or(task.image);
        task.repeats = self.repeats.unwrap_or(task.repeats);
        task.validator_benchmark_env
            .extend(self.env.iter().cloned());
        let here = std::env::current_dir().map_err(|error| Refused::Usage(error.to_string()))?;
        let repository = match &self.repository {
            Some(text) => Some(Source::parse(text, &here)?),
            None => None,
        };
        Ok(Request {
            task,
            directory: source.directory,
            repository,
            base_ref: self.base_ref.clone(),
            submission: Submission {
                patch: self.patch()?,
                artifact: self.artifact()?,
                artifact_uri: self.artifact.clone().filter(|text| text.contains("://")),
            },
        })
    }

    /// What whoever types this command line allows.
    pub(crate) fn host_options(&self) -> HostOptions {
        HostOptions {
            // They name the files themselves.
            local_files: LocalFiles::Anywhere,
            allow_setup_network: self.allow_setup_network,
            ..HostOptions::default()
        }
    }

    /// The patch that is named, if one is.
    pub(crate) fn patch(&self) -> Result<Option<Patch>, Refused> {
        let Some(path) = &self.patch else {
            return Ok(None);
        };
        let read = read_patch(path).map_err(|error| {
            Refused::Usage(format!(
                "the patch {} cannot be read: {error}",
                path.display()
            ))
        })?;
        Ok(Some(read))
    }

    fn artifact(&self) -> Result<Option<(ArtifactSource, Declared)>, Refused> {
        let Some(text) = &self.artifact else {
            return Ok(None);
        };
        let declared = self.declared()?;
        let is_address = text.contains("://") || text.to_ascii_lowercase().starts_with("https:");
        let source = if is_address {
            ArtifactSource::parse(text)?
        } else {
            ArtifactSource::local(text)
        };
        Ok(Some((source, declared)))
    }

    /// The digest of the artifact that is meant: the declared one, or that of a
    /// file that is named.
    pub(crate) fn artifact_digest(&self) -> Result<Option<Sha256Digest>, Refused> {
        let declared = self.declared()?.sha256;
        let (None, Some(path)) = (declared, &self.artifact) else {
            return Ok(declared);
        };
        let unreadable = |error: io::Error| {
            Refused::Usage(format!(
                "the artifact {path} cannot be read: {error}; name a file, or give --artifact-sha256"
            ))
        };
        let file = File::open(path).map_err(unreadable)?;
        digest_of(file).map(Some).map_err(unreadable)
    }

    /// Without a replay these options would change nothing, and whoever gave them
    /// would think that they were checked.
    pub(crate) fn refuse_what_only_a_replay_uses(&self) -> Result<(), Refused> {
        let given = [
            ("--repository", self.repository.is_some()),
            ("--base-ref", self.base_ref.is_some()),
            ("--image", self.image.is_some()),
            ("--env", !self.env.is_empty()),
            ("--repeats", self.repeats.is_some()),
            ("--allow-setup-network", self.allow_setup_network),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => Err(Refused::Usage(format!(
                "{option} is of use with --replay TASK only; the receipt alone says nothing of it"
            ))),
        }
    }

    /// What is declared of the artifact.
    pub(crate) fn declared(&self) -> Result<Declared, Refused> {
        Ok(Declared::parse(
            self.artifact_sha256.as_deref(),
            self.artifact_size.as_deref(),
        )?)
    }
}

fn read_patch(path: &Path) -> io::Result<Patch> {
    let mut bytes = Vec::new();
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    input.take(LARGEST_PATCH + 1).read_to_end(&mut bytes)?;
    Ok(Patch::new(bytes))
}
