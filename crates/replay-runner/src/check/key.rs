//! All that the report of a check depends on: two checks with equal keys would
//! find the same, as far as anything on this host decides it.

use std::collections::BTreeMap;
use std::fs::File;

use protocol::receipt::HostFacts;
use protocol::{Code, Sha256Digest};
use serde::{Deserialize, Serialize};

use super::campaign::Plan;
use super::lab::Lab;
use super::setting::Setting;
use crate::artifact::digest_of;
use crate::failure::Failure;
use crate::spec::blocking;

/// What makes a check the same as an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// The task's slug, which reports name.
    pub(crate) task: String,
    /// What is replayed: the commit, the patch, artifacts and private inputs by
    /// content, the image by id, commands, environment and limits.
    pub(crate) spec: Sha256Digest,
    /// The image's id once more, for whoever reads the file.
    pub(crate) image: String,
    /// Whether nothing runs without an artifact, of which the spec says nothing.
    pub(crate) requires_artifact: bool,
    /// The digest of the artifact's address, which the benchmark sees; the address
    /// may hold a token.
    pub(crate) artifact_uri: Option<Sha256Digest>,
    /// Whether setup has network: the task asks for it, and the operator allows it.
    pub(crate) setup_network: bool,
    /// How many runs in the usual surroundings.
    pub(crate) runs: u32,
    /// What is changed, and why this host cannot where it cannot.
    pub(crate) variations: BTreeMap<String, Option<String>>,
    /// The runner, its machine and its engine, as receipts name them.
    pub(crate) host: HostFacts,
    /// How many cores runs can have, by which some variations choose theirs.
    pub(crate) cores: usize,
    /// The runner's own program: two builds of one version may judge differently.
    pub(crate) program: Sha256Digest,
}

impl Key {
    /// The key of a check by `plan` in `lab`. Fails if the runner cannot read its
    /// own program.
    pub(crate) async fn of(lab: &Lab<'_>, plan: &Plan) -> Result<Self, Failure> {
        let program = blocking(|| {
            // The link leads to what runs, even if its file was replaced meanwhile.
            let program = File::open("/proc/self/exe").and_then(digest_of);
            program.map_err(|error| {
                let message = format!("the runner cannot read its own program: {error}");
                Failure::new(Code::Internal, message)
            })
        })
        .await?;
        let (request, host) = (lab.request, lab.host);
        let facts = lab.facts();
        let variations = plan.variations.iter().map(|variation| {
            let not_made = Setting::default().with(*variation, &facts).err();
            (variation.name().to_owned(), not_made)
        });
        let uri = request.submission.artifact_uri.as_deref();
        Ok(Self {
            task: request.task.slug.clone(),
            spec: lab.spec.digest(),
            image: lab.spec.image.clone(),
            requires_artifact: request.task.requires_artifact(),
            artifact_uri: uri.map(|uri| Sha256Digest::of(uri.as_bytes())),
            setup_network: lab.spec.setup_network && host.options.allow_setup_network,
            runs: plan.repeats(),
            variations: variations.collect(),
            host: host.receipt_facts(),
            cores: host.cores.count(),
            program,
        })
    }

    /// The name of the file of a report with this key.
    pub(crate) fn file_name(&self) -> Result<String, serde_json::Error> {
        // Fields in the order of their declaration, maps sorted: one text.
        let digest = Sha256Digest::of(&serde_json::to_vec(self)?);
        Ok(format!("{digest}.json"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A key of nothing that exists.
    pub(in crate::check) fn key() -> Key {
        Key {
            task: "a-task".to_owned(),
            spec: Sha256Digest::of(b"spec"),
            image: "sha256:1".to_owned(),
            requires_artifact: false,
            artifact_uri: None,
            setup_network: false,
            runs: 5,
            variations: BTreeMap::from([("clock".to_owned(), None)]),
            host: HostFacts::default(),
            cores: 2,
            program: Sha256Digest::of(b"program"),
        }
    }

    #[test]
    fn a_change_of_anything_is_another_file() {
        let changes: [fn(&mut Key); 13] = [
            |_| {},
            |key| key.task = "another-task".to_owned(),
            |key| key.spec = Sha256Digest::of(b"another patch"),
            |key| key.image = "sha256:2".to_owned(),
            |key| key.requires_artifact = true,
            |key| key.artifact_uri = Some(Sha256Digest::of(b"https://a.example/model")),
            |key| key.setup_network = true,
            |key| key.runs = 6,
            |key| drop(key.variations.insert("path".to_owned(), None)),
            |key| {
                let reason = Some("this host has one core".to_owned());
                key.variations.insert("clock".to_owned(), reason);
            },
            |key| key.host.kernel = "7.0".to_owned(),
            |key| key.cores = 1,
            |key| key.program = Sha256Digest::of(b"another build"),
        ];
        let mut names: Vec<String> = changes
            .iter()
            .map(|change| {
                let mut key = key();
                change(&mut key);
                key.file_name().unwrap()
            })
            .collect();
        assert_eq!(names[0], key().file_name().unwrap());
        names.sort();
        names.dedup();
        assert_eq!(names.len(), changes.len());
    }
}
