//! A miner at the network's own command line, `bitsota-research-agent`, with a
//! hotkey of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use protocol::Code;
use serde_json::{Map, Value, json};

use crate::runner::beside_this_program;
use crate::tool::Ended;

/// The exit status of a command that was refused.
const REFUSED: i32 = 3;

/// A miner.
#[derive(Debug, Clone)]
pub struct Agent {
    program: PathBuf,
    directory: PathBuf,
    url: String,
    hotkey_file: PathBuf,
    /// Its address.
    pub hotkey: String,
}

/// How a submission was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It waits for validators.
    Pending {
        /// Its id.
        id: String,
    },
    /// It is not even stored.
    Refused {
        /// The outcome code that the refusal names.
        code: Code,
        /// The refusal.
        why: String,
    },
    /// This miner has submitted the same content before.
    Repeated,
}

impl Agent {
    /// Makes a hotkey below `directory`, to mine for the coordinator at `url`.
    pub fn new(directory: &Path, url: &str) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let program = beside_this_program("bitsota-research-agent")?;
        ensure!(
            program.is_file(),
            "{} is not there; build it with `cargo build --package research-agent`",
            program.display()
        );
        let mut agent = Self {
            program,
            directory: directory.to_owned(),
            url: url.to_owned(),
            hotkey_file: PathBuf::new(),
            hotkey: String::new(),
        };
        let wallets = directory.join("wallets");
        let made = agent.run(["wallet", "new", "--json", "--wallet-path"], [wallets])?;
        let made = made.successful()?.json()?;
        let text = |name: &str| made[name].as_str().context("a new wallet says where it is");
        text("ss58_address")?.clone_into(&mut agent.hotkey);
        agent.hotkey_file = text("file")?.into();
        Ok(agent)
    }

    /// The file of its hotkey.
    pub fn hotkey_file(&self) -> &Path {
        &self.hotkey_file
    }

    /// Runs a command line in this miner's directory.
    pub fn run(
        &self,
        words: impl IntoIterator<Item = impl AsRef<OsStr>>,
        more: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Ended> {
        let output = Command::new(&self.program)
            .args(words)
            .args(more)
            .current_dir(&self.directory)
            .env("BITSOTA_COORDINATOR_URL", &self.url)
            .env_remove("HOTKEY_MNEMONIC")
            .stdin(Stdio::null())
            .output()
            .with_context(|| self.program.display().to_string())?;
        Ok(Ended::of(&output))
    }

    /// The same, signed with the hotkey.
    pub fn run_signed(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Ended> {
        let key = [OsStr::new("--hotkey-file"), self.hotkey_file.as_os_str()];
        self.run(words, key)
    }

    /// Works as the tool wants it: a workspace for the task, the patch applied to
    /// it, `submission.json` filled in with `fields`, and submitted.
    pub fn submit_workspace(
        &self,
        task: &str,
        name: &str,
        patch: &Path,
        fields: &Map<String, Value>,
    ) -> Result<Taken> {
        self.run(["init", task, "--json", "--dir", name], NOTHING)?
            .successful()?;
        let workspace = self.directory.join(name);
        let applied = Command::new("git")
            .args(["apply", "--whitespace=nowarn"])
            .arg(patch)
            .current_dir(workspace.join("repo"))
            .output()
            .context("git")?;
        let errors = String::from_utf8_lossy(&applied.stderr);
        ensure!(applied.status.success(), "{}: {errors}", patch.display());
        let file = workspace.join("submission.json");
        let mut said: Map<String, Value> = serde_json::from_slice(&fs::read(&file)?)?;
        said.extend(fields.clone());
        fs::write(&file, serde_json::to_vec(&said)?)?;
        taken(&self.run_signed(["submit", name, "--json"])?)
    }

    /// Claims and submits by signed requests alone, past everything that the tool
    /// would check first.
    pub fn submit_by_hand(&self, task_id: &str, body: &Map<String, Value>) -> Result<Taken> {
        let claim = json!({"claim_description": body["summary"]});
        let claim = self.request(&format!("/api/v1/tasks/{task_id}/claim"), &claim)?;
        let claim = claim.successful()?.json()?;
        let claim_id = claim["id"].as_str().context("a claim has an id")?;
        let mut body = body.clone();
        body.insert("claim_id".to_owned(), json!(claim_id));
        let taken = taken(&self.request("/api/v1/submissions", &Value::Object(body))?)?;
        if !matches!(taken, Taken::Pending { .. }) {
            self.run_signed(["cancel", claim_id, "--json"])?
                .successful()?;
        }
        Ok(taken)
    }

    /// Sends a signed request with a body.
    pub fn request(&self, path: &str, body: &Value) -> Result<Ended> {
        let file = tempfile::NamedTempFile::new_in(&self.directory)?;
        fs::write(file.path(), body.to_string())?;
        let words = ["signed-request", "--path", path, "--body-file"];
        let words = words.map(OsStr::new).into_iter();
        self.run_signed(words.chain([file.path().as_os_str()]))
    }
}

const NOTHING: [&str; 0] = [];

fn taken(ended: &Ended) -> Result<Taken> {
    if ended.status == 0 {
        let made = ended.json()?;
        let id = made["id"].as_str().context("a submission has an id")?;
        return Ok(Taken::Pending { id: id.to_owned() });
    }
    let said = ended.stderr.trim();
    if ended.status == REFUSED && said.contains("duplicate_submission") {
        return Ok(Taken::Repeated);
    }
    // The codes of refusals have a point; plain words of a sentence have none.
    let mut words = said
        .split([' ', ':', ';'])
        .filter(|word| word.contains('.'));
    let code = words.find_map(|word| word.parse::<Code>().ok());
    match code {
        Some(code) if ended.status == REFUSED => {
            // The first of what is refused says enough.
            let why = said.split_once(code.as_str()).map_or("", |(_, rest)| rest);
            let why = why.split("; ").next().unwrap_or_default();
            Ok(Taken::Refused {
                code,
                why: why.trim_start_matches([':', ' ']).to_owned(),
            })
        }
        _ => bail!("a submission ended with {}: {said}", ended.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_the_code_that_it_names() {
        let ended = |status, stderr: &str| Ended {
            status,
            stdout: r#"{"id": "7"}"#.to_owned(),
            stderr: stderr.to_owned(),
        };
        let refused = ended(
            3,
            "agent: the coordinator refuses (422 invalid_fields): patch: patch.path_not_allowed: \"x\" is not below; patch: more\n",
        );
        let code = Code::PatchPathNotAllowed;
        let why = "\"x\" is not below".to_owned();
        assert_eq!(taken(&refused).unwrap(), Taken::Refused { code, why });
        let repeated = ended(3, "the coordinator refuses (409 duplicate_submission): x");
        assert_eq!(taken(&repeated).unwrap(), Taken::Repeated);
        let id = "7".to_owned();
        assert_eq!(taken(&ended(0, "")).unwrap(), Taken::Pending { id });
        for other in [ended(3, "no such task"), ended(1, "patch.empty")] {
            assert!(taken(&other).is_err(), "{other:?}");
        }
    }
}
