//! The options that several commands share (`WIRE.md` §5), and what they open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use protocol::hotkey::Keypair;
use replay_runner::checkout::Source;
use tokio_util::sync::CancellationToken;
use wallet::{Password, WalletPath};

use super::secret::Secret;
use crate::agent::Agent;
use crate::agent::command::CommandAgent;
use crate::client::{Client, Id, Retry, Server};
use crate::failure::{Done, Failure};
use crate::lab::{Lab, LabOptions};
use crate::task::ServedTask;

/// Which coordinator, and how patiently it is asked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Coordinator")]
pub(super) struct NetworkArgs {
    /// The coordinator's address
    #[arg(long, value_name = "URL", env = "BITSOTA_COORDINATOR_URL")]
    coordinator_url: String,

    /// How long one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_seconds: u64,

    /// How often a request is sent while the coordinator is busy or away
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    request_attempts: u32,
}

impl NetworkArgs {
    pub(super) fn client(&self, cancel: &CancellationToken) -> Done<Client> {
        let retry = Retry {
            attempts: self.request_attempts,
            first: Duration::from_millis(500),
        };
        let timeout = Duration::from_secs(self.timeout_seconds);
        let server = Server::Coordinator;
        let url = &self.coordinator_url;
        Ok(Client::new(server, url, timeout, retry, cancel.clone())?)
    }
}

/// Which hotkey of which wallet.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Wallet")]
#[expect(
    clippy::struct_field_names,
    reason = "named as the options of the network's own wallet"
)]
pub(super) struct PlaceArgs {
    /// The wallet
    #[arg(long, value_name = "NAME", default_value = wallet::DEFAULT_NAME)]
    wallet_name: String,

    /// The hotkey in the wallet
    #[arg(long, value_name = "NAME", default_value = wallet::DEFAULT_HOTKEY)]
    wallet_hotkey: String,

    /// The directory of wallets
    #[arg(long, value_name = "DIR", default_value = wallet::DEFAULT_PATH)]
    wallet_path: String,
}

impl PlaceArgs {
    pub(super) fn place(&self) -> Done<WalletPath> {
        WalletPath::new(&self.wallet_path, &self.wallet_name, &self.wallet_hotkey)
            .map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// The variable that may hold the hotkey's words.
const MNEMONIC: &str = "HOTKEY_MNEMONIC";

/// Who signs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Wallet")]
pub(super) struct WalletArgs {
    /// The hotkey's 12 to 24 words. Other users of this machine can see the command line: prefer
    /// the variable `HOTKEY_MNEMONIC`, a file or a wallet
    #[arg(long, value_name = "WORDS")]
    hotkey_mnemonic: Option<Secret>,

    /// A file with the words, or with a hotkey as wallets store it
    #[arg(long, value_name = "FILE", conflicts_with = "hotkey_mnemonic")]
    hotkey_file: Option<PathBuf>,

    #[command(flatten)]
    place: PlaceArgs,

    /// A file whose first line opens an encrypted hotkey
    #[arg(long, value_name = "FILE")]
    wallet_password_file: Option<PathBuf>,
}

impl WalletArgs {
    /// The file that the hotkey is read from.
    pub(super) fn file(&self) -> Done<PathBuf> {
        match &self.hotkey_file {
            Some(file) => Ok(file.clone()),
            None => Ok(self.place.place()?.hotkey_file()),
        }
    }

    /// The words, and the option or variable that they come from. The command line
    /// comes before the environment, where an empty variable is none.
    fn words(&self) -> Done<Option<(&'static str, Secret)>> {
        const OPTION: &str = "--hotkey-mnemonic";
        if let Some(words) = &self.hotkey_mnemonic {
            if words.is_blank() {
                return Err(Failure::Usage(format!(
                    "{OPTION} is empty; give the words, or leave it out for the wallet"
                )));
            }
            return Ok(Some((OPTION, words.clone())));
        }
        if self.hotkey_file.is_some() {
            return Ok(None);
        }
        match Secret::from_variable(MNEMONIC) {
            Ok(words) => Ok(words.map(|words| (MNEMONIC, words))),
            Err(problem) => Err(Failure::Usage(problem)),
        }
    }

    /// Reads the hotkey: the words if they are given, else the file.
    pub(super) fn keypair(&self) -> Done<Keypair> {
        if let Some((source, words)) = self.words()? {
            let keypair = Keypair::from_mnemonic(words.expose());
            return keypair.map_err(|error| Failure::Usage(format!("{source}: {error}")));
        }
        let password = match &self.wallet_password_file {
            Some(file) => Some(Password::from_file(file)?),
            None => None,
        };
        let opened = wallet::read(&self.file()?, password.as_ref()).map_err(|error| match error {
            wallet::WalletError::Missing(path) => Failure::Usage(format!(
                "there is no hotkey at {}; name yours with --wallet-name, --wallet-hotkey and --wallet-path, or make one with `wallet new`",
                path.display()
            )),
            wallet::WalletError::Encrypted(path) => Failure::Usage(format!(
                "{} is encrypted; name a file with its password by --wallet-password-file",
                path.display()
            )),
            error => error.into(),
        })?;
        if opened.open_to_others {
            let file = opened.file.display();
            eprintln!("warning: other users of this machine can read {file}; chmod 600 {file}");
        }
        Ok(opened.keypair)
    }
}

/// Which task.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Task")]
pub(super) struct TaskArgs {
    /// The task by its id
    #[arg(long, value_name = "ID")]
    pub(super) task_id: Option<Id>,

    /// The task by its slug
    #[arg(long, value_name = "SLUG", conflicts_with = "task_id")]
    pub(super) task_slug: Option<String>,
}

impl TaskArgs {
    /// Reads a task that is named by its id or its slug.
    pub(super) fn named(text: &str) -> Self {
        match text.parse() {
            Ok(id) => Self {
                task_id: Some(id),
                task_slug: None,
            },
            Err(_) => Self {
                task_id: None,
                task_slug: Some(text.to_owned()),
            },
        }
    }

    /// The tasks that are meant: the named one, or without a name all live ones.
    pub(super) async fn tasks(&self, client: &Client) -> Done<Vec<ServedTask>> {
        if let Some(id) = self.task_id {
            let task = ServedTask::read(client.task(id).await?)?;
            if task.id != id {
                return Err(Failure::Broken(anyhow::anyhow!(
                    "asked for task {id}, the coordinator answers with {}",
                    task.id
                )));
            }
            return Ok(vec![task]);
        }
        let catalog = client.tasks().await?;
        let Some(slug) = &self.task_slug else {
            return Ok(readable(catalog));
        };
        let named = catalog.into_iter().find(|task| task["slug"] == **slug);
        match named {
            Some(task) => Ok(vec![ServedTask::read(task)?]),
            None => Err(Failure::Usage(format!(
                "the coordinator has no task {slug:?}; list-tasks shows what there is"
            ))),
        }
    }

    /// The one task that is meant.
    pub(super) async fn one(&self, client: &Client) -> Done<ServedTask> {
        let mut tasks = self.tasks(client).await?;
        match tasks.len() {
            1 => Ok(tasks.remove(0)),
            0 => Err(Failure::Refused(
                "the coordinator has no live task".to_owned(),
            )),
            _ => {
                let slugs: Vec<&str> = tasks.iter().map(|task| task.task.slug.as_str()).collect();
                Err(Failure::Usage(format!(
                    "name one of the live tasks with --task-slug: {}",
                    slugs.join(", ")
                )))
            }
        }
    }
}

/// The live tasks that keep the rules; another one does not stop anybody.
fn readable(catalog: Vec<serde_json::Value>) -> Vec<ServedTask> {
    let read = catalog
        .into_iter()
        .filter_map(|task| match ServedTask::read(task) {
            Ok(task) => Some(task),
            Err(error) => {
                eprintln!("passed over: {error:#}");
                None
            }
        });
    read.filter(|task| task.is_live).collect()
}

/// How submissions are replayed on this machine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sandbox")]
pub(super) struct LabArgs {
    /// Clone from here instead of where the task says
    #[arg(long, value_name = "URL|PATH")]
    repository: Option<String>,

    /// A file of yours in place of one that only validators have; may be given again
    #[arg(long = "private-input", value_name = "NAME=FILE", value_parser = parse_private_input)]
    private_inputs: Vec<(String, PathBuf)>,

    /// Let setup have network if the task asks for it
    #[arg(long)]
    allow_setup_network: bool,

    /// Where the engine keeps its caches
    #[arg(long, value_name = "DIR", env = "REPLAY_RUNNER_STATE")]
    state: Option<PathBuf>,
}

fn parse_private_input(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && Path::new(file).is_file() => {
            Ok((name.to_owned(), file.into()))
        }
        Some((_, file)) => Err(format!("there is no file {file:?}")),
        None => Err("is not NAME=FILE".to_owned()),
    }
}

impl LabArgs {
    pub(super) async fn open(&self, cancel: &CancellationToken) -> Done<Lab> {
        let options = LabOptions {
            state: self.state.clone(),
            allow_setup_network: self.allow_setup_network,
            private_inputs: self.private_inputs.clone(),
        };
        Ok(Lab::open(options, cancel.clone()).await?)
    }

    /// Where a task's repository is.
    pub(super) fn source(&self, task: &ServedTask, client: &Client) -> Done<Source> {
        match &self.repository {
            Some(text) => {
                Source::parse(text, &std::env::current_dir()?).map_err(anyhow::Error::from)
            }
            None => served_source(task, client.is_on_this_machine()),
        }
        .map_err(|error| Failure::Refused(format!("the repository of {}: {error}", task.task.slug)))
    }
}

/// The repository that a coordinator names: over https. A coordinator of this
/// machine may name a git repository of this machine, for tests and demos; never
/// another directory, whose files would go into a patch for everybody to read.
fn served_source(task: &ServedTask, is_local: bool) -> anyhow::Result<Source> {
    let address = task.repository()?;
    let is_path = address.starts_with('/') || address.starts_with("file:///");
    if !(is_local && is_path) {
        return Ok(Source::remote(address)?);
    }
    match Source::parse(address, Path::new("/"))? {
        Source::Directory { path, .. } => anyhow::bail!("{} is no git repository", path.display()),
        repository => Ok(repository),
    }
}

/// How a miner takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ParticipationStyle {
    /// Rewards go to the hotkey as the coordinator accounts them
    Direct,
    /// Rewards are claimed from the pool's epochs
    Pool,
}

const AGENT_COMMAND_HELP: &str = "\
A shell command that changes the repository and writes submission.json, with the placeholders \
{workspace_dir_quoted} {repo_dir_quoted} {intro_path_quoted} {submission_path_quoted} \
{submission_result_path_quoted}";

/// How the research is done.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mining")]
pub(super) struct MiningArgs {
    /// How rewards reach you; submissions are the same
    #[arg(long, value_enum, default_value = "direct")]
    pub(super) participation_style: ParticipationStyle,

    /// Where workspaces are made
    #[arg(long, value_name = "DIR", default_value = "bitsota-workspaces")]
    pub(super) workspace_root: PathBuf,

    /// A program that changes the repository.
    #[arg(long, value_name = "COMMAND", help = AGENT_COMMAND_HELP, conflicts_with_all = ["llm_base_url", "llm_model"])]
    agent_command: Option<String>,

    /// An OpenAI-compatible endpoint.
    #[arg(
        long,
        value_name = "URL",
        help = "An OpenAI-compatible endpoint, such as https://api.example/v1",
        requires = "llm_model"
    )]
    llm_base_url: Option<String>,

    /// The model's name there
    #[arg(long, value_name = "NAME", requires = "llm_base_url")]
    llm_model: Option<String>,

    /// The endpoint's key; prefer the variable, since other users can see the command line
    #[arg(
        long,
        value_name = "KEY",
        env = "BITSOTA_LLM_API_KEY",
        hide_env_values = true
    )]
    llm_api_key: Option<Secret>,

    /// How long one attempt of the agent may take
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..))]
    agent_timeout_seconds: u64,

    /// How often the agent tries, each time told what came of the last
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_attempts: u32,

    /// How much better than the best an improvement must be, relative to it: 0.02 is 2 %
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub(super) min_improvement: f64,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    (0.0..=1.0)
        .contains(&share)
        .then_some(share)
        .ok_or_else(|| "is not between 0 and 1".to_owned())
}

impl MiningArgs {
    pub(super) fn agent(&self) -> Done<Agent> {
        let limit = Duration::from_secs(self.agent_timeout_seconds);
        match (&self.agent_command, &self.llm_base_url, &self.llm_model) {
            (Some(template), _, _) => Ok(Agent::Command(CommandAgent { template: template.clone(), limit })),
            (None, Some(base), Some(model)) => {
                Agent::model(base, model, self.llm_api_key.as_ref().filter(|key| !key.is_blank()).map(Secret::expose), limit).map_err(Failure::Usage)
            }
            _ => Err(Failure::Usage(
                "who does the research? Name a program with --agent-command, or a model with --llm-base-url and --llm-model".to_owned(),
            )),
        }
    }
}

/// The options that existing scripts give to any command.
#[derive(Debug, Clone, Args)]
pub(super) struct CommonArgs {
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) wallet: WalletArgs,
    #[command(flatten)]
    pub(super) task: TaskArgs,
    #[command(flatten)]
    pub(super) mining: MiningArgs,
    #[command(flatten)]
    pub(super) lab: LabArgs,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(repository: &str) -> ServedTask {
        ServedTask::read(json!({
            "id": "67e55044-10b1-426f-9247-bb680e5fe0c8", "slug": "numbers", "title": "Numbers",
            "repository": repository, "base_commit_sha": "1".repeat(40), "benchmark_command": "true",
            "allowed_patch_paths": ["src"], "metric_name": "score", "metric_direction": "maximize",
            "time_budget_seconds": 5,
        }))
        .unwrap()
    }

    #[test]
    fn a_path_is_taken_from_a_coordinator_of_this_machine_only_and_only_of_a_repository() {
        let directory = tempfile::tempdir().unwrap();
        git2::Repository::init(directory.path()).unwrap();
        let path = directory.path().display().to_string();
        for address in [path.clone(), format!("file://{path}")] {
            let task = task(&address);
            assert!(served_source(&task, false).is_err(), "{address}");
            let source = served_source(&task, true).unwrap();
            assert_eq!(source, Source::Local(directory.path().to_owned()));
        }
        for address in [
            "/etc",
            "file:///etc",
            "../x",
            "ssh://h/x",
            "ext::sh -c x",
            "http://h/x",
        ] {
            assert!(served_source(&task(address), true).is_err(), "{address}");
        }
    }
}
