//! The image itself: a layer, a configuration and a manifest in one archive, the
//! form that engines load. Its configuration's digest is the image's id, so
//! nothing in it may depend on when or where it was made.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::Serialize;

use super::layer::Layer;
use super::recipe::Recipe;
use super::root_tree::debian_architecture;
use super::{CREATED, PACKAGES_LABEL, RECIPE_LABEL, SANDBOX_UID, SOURCE_DATE_EPOCH};

const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The configuration of an image, with the names that the format has.
#[derive(Debug, Serialize)]
struct Configuration {
    architecture: &'static str,
    os: &'static str,
    created: &'static str,
    config: Process,
    rootfs: RootFs,
    history: [History; 1],
}

/// How a container of the image starts unless told otherwise.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Process {
    user: String,
    working_dir: &'static str,
    env: Vec<String>,
    cmd: [&'static str; 1],
    labels: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: [String; 1],
}

#[derive(Debug, Serialize)]
struct History {
    created: &'static str,
    created_by: &'static str,
}

/// Which file of the archive is what.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    repo_tags: [String; 1],
    layers: [String; 1],
}

/// Writes the image's archive to `out`. `packages` is the digest of what is really
/// installed, `layer_bytes` the `layer_size` bytes of the layer.
pub(super) fn write(
    recipe: &Recipe,
    packages: &str,
    layer: &Layer,
    layer_size: u64,
    layer_bytes: impl Read,
    out: impl Write,
) -> io::Result<()> {
    let configuration = serde_json::to_vec(&configuration(recipe, packages, layer))?;
    let configuration_name = format!("{}.json", super::recipe::sha256_hex(&configuration));
    let layer_name = format!("{}.tar", layer.digest);
    let manifest = [Manifest {
        config: configuration_name.clone(),
        repo_tags: [recipe.reference()],
        layers: [layer_name.clone()],
    }];
    let manifest = serde_json::to_vec(&manifest)?;

    let mut archive = tar::Builder::new(out);
    let mut file = |name: &str, size: u64, bytes: &mut dyn Read| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(u64::from(SOURCE_DATE_EPOCH));
        archive.append_data(&mut header, name, bytes)
    };
    file(
        "manifest.json",
        manifest.len() as u64,
        &mut manifest.as_slice(),
    )?;
    file(
        &configuration_name,
        configuration.len() as u64,
        &mut configuration.as_slice(),
    )?;
    file(&layer_name, layer_size, &mut layer_bytes.take(layer_size))?;
    archive.into_inner()?.flush()
}

fn configuration(recipe: &Recipe, packages: &str, layer: &Layer) -> Configuration {
    let mut env = vec![format!("PATH={SEARCH_PATH}")];
    env.extend(
        recipe
            .environment()
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    Configuration {
        architecture: debian_architecture(),
        os: "linux",
        created: CREATED,
        config: Process {
            user: format!("{SANDBOX_UID}:{SANDBOX_UID}"),
            working_dir: "/workspace",
            env,
            cmd: ["/bin/sh"],
            labels: BTreeMap::from([
                (RECIPE_LABEL, recipe.digest().to_owned()),
                (PACKAGES_LABEL, packages.to_owned()),
            ]),
        },
        rootfs: RootFs {
            r#type: "layers",
            diff_ids: [format!("sha256:{}", layer.digest)],
        },
        history: [History {
            created: CREATED,
            created_by: "replay-runner images build",
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "name = \"test/image\"\ntag = \"1\"\nsuite = \"bookworm\"\npackages = [\"gcc\"]\n[env]\nLANG = \"C.UTF-8\"\n";

    fn archive() -> Vec<u8> {
        let recipe = Recipe::parse(RECIPE, "gcc=1\n").expect("a valid recipe");
        let layer = Layer {
            digest: "d".repeat(64),
            dpkg_status: String::new(),
        };
        let mut out = Vec::new();
        write(
            &recipe,
            "packages",
            &layer,
            5,
            b"layer".as_slice(),
            &mut out,
        )
        .expect("written");
        out
    }

    #[test]
    fn two_archives_of_one_layer_are_equal() {
        assert_eq!(archive(), archive());
    }

    #[test]
    fn manifest_names_the_files_that_are_there() {
        let bytes = archive();
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice())
            .entries()
            .expect("entries")
        {
            let mut entry = entry.expect("an entry");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            files.insert(entry.path().expect("a path").display().to_string(), content);
        }
        let manifest: serde_json::Value =
            serde_json::from_slice(&files["manifest.json"]).expect("JSON");
        assert_eq!(manifest[0]["RepoTags"][0], "test/image:1");
        assert_eq!(
            files[manifest[0]["Layers"][0].as_str().expect("a name")],
            b"layer"
        );

        let configuration = &files[manifest[0]["Config"].as_str().expect("a name")];
        let configuration: serde_json::Value = serde_json::from_slice(configuration).expect("JSON");
        assert_eq!(configuration["config"]["User"], "10001:10001");
        assert_eq!(configuration["config"]["Env"][1], "LANG=C.UTF-8");
        assert_eq!(
            configuration["rootfs"]["diff_ids"][0],
            format!("sha256:{}", "d".repeat(64))
        );
    }
}
