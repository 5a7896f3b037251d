//! Builds one image and hands it to the engine, unless the engine has it already.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use futures_util::TryStreamExt as _;
use tokio_util::io::ReaderStream;

use super::error::ImageError;
use super::layer::{self, Layer};
use super::list::{ImageState, packages_digest, status};
use super::lock::{PackageChange, PackageLock};
use super::recipe::Recipe;
use super::{archive, root_tree};

/// How much of the archive is read at once while the engine loads it.
const LOAD_BUFFER_BYTES: usize = 1 << 18;

/// What to do when Debian's packages are no longer the recorded ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockPolicy {
    /// Build, and report every difference.
    #[default]
    Report,
    /// Fail: other packages would be another image than the one that peers have.
    Insist,
    /// Build, and record the packages of this build instead.
    Update,
}

/// How to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildOptions {
    /// What to do when the packages differ from the lock.
    pub lock: LockPolicy,
    /// Build even if the engine has the image.
    pub force: bool,
    /// Where to get packages from, in the notation of `mmdebstrap`; empty for the
    /// host's own package sources, or Debian's.
    pub mirrors: Vec<String>,
}

/// An image that the engine has now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltImage {
    /// The name by which tasks refer to it.
    pub reference: String,
    /// The engine's id of it: equal ids are equal bytes.
    pub id: String,
    /// Its size in the engine.
    pub size_bytes: u64,
    /// Whether it was built now; otherwise the engine had it.
    pub built: bool,
    /// How the packages differ from the lock. Known only of what was built now.
    pub changes: Vec<PackageChange>,
}

/// Sees to it that the engine has the image of `recipe`. `progress` is told each
/// step as it begins; a build takes about a minute.
pub async fn build(
    docker: &Docker,
    recipe: &Recipe,
    options: &BuildOptions,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<BuiltImage, ImageError> {
    if !options.must_build(status(docker, recipe).await?.state) {
        return loaded_image(docker, recipe, Vec::new(), false).await;
    }
    if options.lock == LockPolicy::Update && !recipe.has_lock_file() {
        return Err(ImageError::LockIsBuiltIn {
            image: recipe.reference(),
        });
    }

    let scratch = tempfile::tempdir().map_err(ImageError::io("create a temporary folder"))?;
    let raw_tree = scratch.path().join("root.tar");
    let layer_file = scratch.path().join("layer.tar");
    let image_file = scratch.path().join("image.tar");

    root_tree::install(recipe, &options.mirrors, &raw_tree, progress).await?;
    progress("normalising the installed tree");
    let layer = write_layer(recipe, &raw_tree, &layer_file).await?;
    let packages = installed_packages(recipe, &layer)?;
    let changes = recipe.lock().changes_to(&packages);
    let recipe = settle_lock(recipe, options.lock, &packages, &changes)?;
    progress("loading the image into the engine");
    write_image(&recipe, &packages, layer, &layer_file, &image_file).await?;
    load(docker, &recipe, &image_file).await?;
    loaded_image(docker, &recipe, changes, true).await
}

impl BuildOptions {
    fn must_build(&self, state: ImageState) -> bool {
        let acceptable = match self.lock {
            LockPolicy::Report => matches!(state, ImageState::Current | ImageState::OtherPackages),
            LockPolicy::Insist | LockPolicy::Update => state == ImageState::Current,
        };
        self.force || !acceptable
    }
}

async fn write_layer(
    recipe: &Recipe,
    raw_tree: &Path,
    layer_file: &Path,
) -> Result<Layer, ImageError> {
    let (recipe, raw_tree, layer_file) =
        (recipe.clone(), raw_tree.to_owned(), layer_file.to_owned());
    blocking(move || {
        let mut raw = open(&raw_tree)?;
        layer::write(&mut raw, &recipe, create(&layer_file)?)
    })
    .await
}

fn installed_packages(recipe: &Recipe, layer: &Layer) -> Result<PackageLock, ImageError> {
    PackageLock::from_dpkg_status(&layer.dpkg_status, recipe.stand_ins()).map_err(|source| {
        ImageError::Lock {
            name: recipe.reference(),
            source,
        }
    })
}

fn settle_lock(
    recipe: &Recipe,
    policy: LockPolicy,
    packages: &PackageLock,
    changes: &[PackageChange],
) -> Result<Recipe, ImageError> {
    match policy {
        LockPolicy::Insist if !changes.is_empty() => Err(ImageError::PackagesDiffer {
            image: recipe.reference(),
            changes: changes.to_vec(),
        }),
        LockPolicy::Update => recipe.clone().relock(packages.clone()),
        LockPolicy::Insist | LockPolicy::Report => Ok(recipe.clone()),
    }
}

async fn write_image(
    recipe: &Recipe,
    packages: &PackageLock,
    layer: Layer,
    layer_file: &Path,
    image_file: &Path,
) -> Result<(), ImageError> {
    let (recipe, packages) = (recipe.clone(), packages_digest(packages));
    let (layer_file, image_file) = (layer_file.to_owned(), image_file.to_owned());
    blocking(move || {
        let layer_bytes = open(&layer_file)?;
        let writing = || ImageError::io("write the image's archive");
        let size = layer_bytes.metadata().map_err(writing())?.len();
        archive::write(
            &recipe,
            &packages,
            &layer,
            size,
            layer_bytes,
            create(&image_file)?,
        )
        .map_err(writing())
    })
    .await
}

async fn load(docker: &Docker, recipe: &Recipe, image_file: &Path) -> Result<(), ImageError> {
    let doing = || ImageError::engine(format!("load {} into the engine", recipe.reference()));
    let file = tokio::fs::File::open(image_file)
        .await
        .map_err(ImageError::io("read the image's archive"))?;
    let bytes = ReaderStream::with_capacity(file, LOAD_BUFFER_BYTES);
    let options = ImportImageOptions {
        quiet: true,
        ..ImportImageOptions::default()
    };
    // An error half way comes as one more message of the stream, which bollard turns into one.
    docker
        .import_image_stream(options, bytes, None)
        .try_for_each(|_| async { Ok(()) })
        .await
        .map_err(doing())
}

async fn loaded_image(
    docker: &Docker,
    recipe: &Recipe,
    changes: Vec<PackageChange>,
    built: bool,
) -> Result<BuiltImage, ImageError> {
    let status = status(docker, recipe).await?;
    let reference = status.reference;
    match (status.id, status.size_bytes) {
        (Some(id), Some(size_bytes)) => Ok(BuiltImage {
            reference,
            id,
            size_bytes,
            built,
            changes,
        }),
        _ => Err(ImageError::NotLoaded { image: reference }),
    }
}

fn open(file: &Path) -> Result<File, ImageError> {
    File::open(file).map_err(ImageError::io(format!("read {}", file.display())))
}

fn create(file: &Path) -> Result<impl Write, ImageError> {
    File::create(file)
        .map(BufWriter::new)
        .map_err(ImageError::io(format!("write {}", file.display())))
}

/// Runs long file work where it does not hold up other tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => Err(ImageError::Io {
            doing: "build the image".to_owned(),
            source: panic.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_what_is_missing_outdated_or_forced() {
        let lenient = BuildOptions::default();
        let strict = BuildOptions {
            lock: LockPolicy::Insist,
            ..BuildOptions::default()
        };
        let forced = BuildOptions {
            force: true,
            ..BuildOptions::default()
        };
        for (options, state, expected) in [
            (&lenient, ImageState::Missing, true),
            (&lenient, ImageState::Outdated, true),
            (&lenient, ImageState::OtherPackages, false),
            (&lenient, ImageState::Current, false),
            (&strict, ImageState::OtherPackages, true),
            (&strict, ImageState::Current, false),
            (&forced, ImageState::Current, true),
        ] {
            assert_eq!(options.must_build(state), expected, "{options:?} {state:?}");
        }
    }

    fn recipe() -> Recipe {
        let text =
            "name = \"test/image\"\ntag = \"1\"\nsuite = \"bookworm\"\npackages = [\"gcc\"]\n";
        Recipe::parse(text, "gcc=1\n").expect("a valid recipe")
    }

    #[test]
    fn insisting_on_the_lock_names_what_differs() {
        let packages = PackageLock::parse("gcc=2\n").expect("a lock");
        let changes = recipe().lock().changes_to(&packages);
        let error = settle_lock(&recipe(), LockPolicy::Insist, &packages, &changes)
            .expect_err("other packages");
        assert!(error.to_string().ends_with("gcc 1 is now 2"), "{error}");
        assert!(settle_lock(&recipe(), LockPolicy::Report, &packages, &changes).is_ok());
    }

    #[test]
    fn a_built_in_lock_cannot_be_updated() {
        let packages = PackageLock::parse("gcc=2\n").expect("a lock");
        let error = settle_lock(&recipe(), LockPolicy::Update, &packages, &[]);
        assert!(matches!(error, Err(ImageError::LockIsBuiltIn { .. })));
    }
}
