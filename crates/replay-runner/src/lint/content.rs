//! What must not be committed, and what the files of a task must agree in.

use protocol::{Sha256Digest, Task};

use super::finding::{Findings, Rule};
use super::pinned::Tree;

/// Looks for results and outputs that were there before anything ran.
pub(super) fn stale(task: &Task, tree: &Tree, found: &mut Findings) {
    let outputs = task.outputs.iter().map(|path| ("outputs", path));
    let result = task.result_path.iter().map(|path| ("result_path", path));
    for (field, path) in result.chain(outputs) {
        let top = path.trim_end_matches('/');
        let committed = tree
            .files
            .iter()
            .find(|file| file.path == top || file.path.starts_with(&format!("{top}/")));
        if let Some(file) = committed {
            found.error(
                Rule::StaleResult,
                format!(
                    "{} is committed, at the place of {field} {path:?}",
                    file.path
                ),
                format!("git rm --cached {}, and name it in .gitignore", file.path),
            );
        }
    }
}

/// Names that hold what nobody should see.
const SECRET_NAMES: &[&str] = &[
    ".env",
    "id_rsa",
    "id_ed25519",
    ".netrc",
    ".pypirc",
    "credentials.json",
    "secrets.json",
];
const SECRET_WORDS: &[&str] = &[
    "heldout",
    "held_out",
    "held-out",
    "hidden",
    "private",
    "secret",
    "answers",
    "groundtruth",
    "ground_truth",
];
const DATA_EXTENSIONS: &[&str] = &[
    "csv", "tsv", "txt", "json", "jsonl", "npy", "npz", "parquet", "pkl", "bin", "pt", "gz", "zip",
];

/// Looks for private inputs and secrets among the files; `private` are the
/// digests of the inputs with their names.
pub(super) fn hidden(tree: &Tree, private: &[(String, Sha256Digest)], found: &mut Findings) {
    for file in &tree.files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let same = private
            .iter()
            .find(|(_, digest)| file.digest() == Some(*digest));
        if let Some((input, _)) = same {
            found.error(
                Rule::HiddenData,
                format!("{} has the very content of the private input {input:?}", file.path),
                "remove it from the repository and its history, and make new private data: this one is known",
            );
        } else if SECRET_NAMES.contains(&lower.as_str())
            || matches!(file.extension(), "pem" | "key")
            || file
                .text()
                .is_some_and(|text| text.contains("PRIVATE KEY-----"))
        {
            found.error(
                Rule::HiddenData,
                format!("{} looks like a key or a password", file.path),
                "remove it from the repository and its history, and revoke it",
            );
        } else if SECRET_WORDS.iter().any(|word| lower.contains(word))
            && DATA_EXTENSIONS.contains(&file.extension())
        {
            found.error(
                Rule::HiddenData,
                format!("{} looks like data that should be hidden", file.path),
                "make it a private input, or give it a name that says that it is public",
            );
        }
    }
}

/// Looks at setup's need for a network.
pub(super) fn setup_network(task: &Task, found: &mut Findings) {
    const NEEDS: &[&str] = &[
        "pip install",
        "pip3 install",
        "curl ",
        "wget ",
        "git clone",
        "apt-get ",
        "apt install",
        "npm install",
        "npm ci",
        "cargo fetch",
        "conda install",
        "uv sync",
        "poetry install",
    ];
    let Some(command) = &task.setup_command else {
        return;
    };
    let need = NEEDS.iter().find(|need| command.contains(*need));
    if task.setup_network {
        found.warning(
            Rule::SetupNetwork,
            "setup_network = true: validators that do not allow it cannot replay the task",
            "put what setup downloads into the image or the repository",
        );
    } else if let Some(need) = need {
        found.error(
            Rule::SetupNetwork,
            format!(
                "setup_command has {:?}, and setup has no network",
                need.trim()
            ),
            "put what it downloads into the image, or declare setup_network = true",
        );
    }
}

/// Looks at outputs and private inputs.
pub(super) fn files(task: &Task, found: &mut Findings) {
    for (index, output) in task.outputs.iter().enumerate() {
        if Some(output) == task.result_path.as_ref() {
            found.error(
                Rule::Files,
                format!("outputs[{index}] is the result_path {output:?}, which only the scorer may write"),
                "let the benchmark hand over something that the scorer judges",
            );
        }
    }
    for input in task.private_inputs.iter().chain(&task.baseline_artifact) {
        let name = &input.name;
        if input.sha256.is_none() || input.size_bytes.is_none() {
            found.error(
                Rule::Files,
                format!("{name:?} has no sha256 and size_bytes, so that nobody can tell whether he has the right one"),
                "add both: sha256sum FILE, stat -c %s FILE",
            );
        }
        if !input.uri.contains("://") {
            found.warning(
                Rule::Files,
                format!("{name:?} is a file of this machine"),
                "give an https address that validators can reach before the task is posted",
            );
        }
    }
    if !task.private_inputs.is_empty() && task.score_command.is_none() && !task.requires_artifact()
    {
        found.error(
            Rule::Files,
            "private inputs are shown to the benchmark stage, in which submitted code runs",
            "judge in a score_command: then only that stage sees them",
        );
    }
}

/// The shortest text that can say what is needed.
const SHORTEST_TEXT: usize = 200;

/// Looks for the text that tells miners what to do.
pub(super) fn onboarding(task: &Task, tree: &Tree, found: &mut Findings) {
    let readme = ["README.md", "README.rst", "README.txt", "README"]
        .into_iter()
        .find_map(|name| tree.file(name)?.text());
    let text = format!("{}\n{}", task.onboard_md, readme.unwrap_or_default());
    if text.trim().chars().count() < SHORTEST_TEXT {
        found.error(
            Rule::Onboarding,
            format!("onboard_md and README.md together have fewer than {SHORTEST_TEXT} characters"),
            "say in README.md what to change, how to try it, and how it is judged",
        );
        return;
    }
    let metrics = task
        .metric_names()
        .map(|name| ("the metric", name.to_owned()));
    let paths = task
        .allowed_patch_paths
        .iter()
        .map(|path| ("what may be changed", literal(path)));
    let outputs = task.outputs.iter().map(|path| ("an output", literal(path)));
    for (what, name) in metrics.chain(paths).chain(outputs) {
        if !text.contains(name.as_str()) {
            found.error(
                Rule::Onboarding,
                format!("the text for miners never mentions {what}, {name:?}"),
                "say in README.md what to change, how to try it, and how it is judged",
            );
        }
    }
}

/// The part of a path before its first glob character.
fn literal(path: &str) -> String {
    let end = path.find(['*', '?', '[', '{']).unwrap_or(path.len());
    path[..end].trim_end_matches('/').to_owned()
}
