//! What an image holds, as its author wrote it down: `recipe.toml` and, beside
//! it, `packages.lock`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::ImageError;
use super::fields::Fields;
use super::lock::PackageLock;
use super::removal::{REMOVED_FROM_EVERY_IMAGE, Removal};

const RECIPE_FILE: &str = "recipe.toml";
const LOCK_FILE: &str = "packages.lock";

/// The recipes that this program was built with: recipe, lock.
const BUILT_IN: [(&str, &str); 2] = [
    (
        include_str!("../../../../sandbox-images/c/recipe.toml"),
        include_str!("../../../../sandbox-images/c/packages.lock"),
    ),
    (
        include_str!("../../../../sandbox-images/python/recipe.toml"),
        include_str!("../../../../sandbox-images/python/packages.lock"),
    ),
];

/// How one image is made.
#[derive(Debug, Clone)]
pub struct Recipe {
    text: String,
    fields: Fields,
    removal: Removal,
    digest: String,
    lock: PackageLock,
    lock_file: Option<PathBuf>,
}

impl Recipe {
    /// Reads a recipe and its lock from their texts.
    pub fn parse(recipe: &str, lock: &str) -> Result<Self, ImageError> {
        Self::from_texts("text", recipe, lock, None)
    }

    /// The recipes that this program was built with.
    pub fn built_in() -> Result<Vec<Self>, ImageError> {
        BUILT_IN
            .iter()
            .map(|(recipe, lock)| Self::from_texts("built in", recipe, lock, None))
            .collect()
    }

    /// The recipes in a folder's folders, by the folders' names. A recipe without a
    /// lock is one whose packages have not been recorded yet.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, ImageError> {
        let doing = || format!("read {}", folder.display());
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder).map_err(ImageError::io(doing()))? {
            folders.push(entry.map_err(ImageError::io(doing()))?.path());
        }
        folders.retain(|folder| folder.join(RECIPE_FILE).is_file());
        folders.sort();
        if folders.is_empty() {
            return Err(ImageError::NoRecipes {
                folder: folder.to_owned(),
            });
        }
        folders.iter().map(|folder| Self::read(folder)).collect()
    }

    fn read(folder: &Path) -> Result<Self, ImageError> {
        let recipe_file = folder.join(RECIPE_FILE);
        let lock_file = folder.join(LOCK_FILE);
        let recipe = read_text(&recipe_file)?;
        let lock = if lock_file.exists() {
            read_text(&lock_file)?
        } else {
            String::new()
        };
        Self::from_texts(
            &folder.display().to_string(),
            &recipe,
            &lock,
            Some(lock_file),
        )
    }

    fn from_texts(
        name: &str,
        recipe: &str,
        lock: &str,
        lock_file: Option<PathBuf>,
    ) -> Result<Self, ImageError> {
        let bad_recipe = |source| ImageError::Recipe {
            name: name.to_owned(),
            source,
        };
        let fields = Fields::parse(recipe).map_err(bad_recipe)?;
        let removal = Removal::new(&fields.remove).map_err(bad_recipe)?;
        let lock = PackageLock::parse(lock).map_err(|source| ImageError::Lock {
            name: name.to_owned(),
            source,
        })?;
        let digest = digest(recipe, &lock);
        Ok(Self {
            text: recipe.to_owned(),
            fields,
            removal,
            digest,
            lock,
            lock_file,
        })
    }

    /// The name by which the engine and tasks refer to the image, `name:tag`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.fields.name, self.fields.tag)
    }

    /// The image's name without its tag.
    pub fn name(&self) -> &str {
        &self.fields.name
    }

    /// The Debian release that the packages come from.
    pub fn suite(&self) -> &str {
        &self.fields.suite
    }

    /// The packages that are asked for; their dependencies come along.
    pub fn packages(&self) -> &[String] {
        &self.fields.packages
    }

    /// The packages that are only pretended to be installed.
    pub fn stand_ins(&self) -> &[String] {
        &self.fields.stand_ins
    }

    /// The environment that every process in the image starts with.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.fields.env
    }

    /// The recorded packages.
    pub fn lock(&self) -> &PackageLock {
        &self.lock
    }

    /// A digest of everything that decides what the image will be: equal digests
    /// mean that a new build could only differ if Debian's packages did.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether the image does without this file or folder. Paths are relative.
    pub fn removes(&self, path: &str) -> bool {
        self.removal.covers(path)
    }

    /// Records other packages, in the file the lock came from, and goes on with them.
    pub(super) fn relock(mut self, packages: PackageLock) -> Result<Self, ImageError> {
        let Some(file) = &self.lock_file else {
            return Err(ImageError::LockIsBuiltIn {
                image: self.reference(),
            });
        };
        fs::write(file, packages.to_string())
            .map_err(ImageError::io(format!("write {}", file.display())))?;
        self.digest = digest(&self.text, &packages);
        self.lock = packages;
        Ok(self)
    }

    /// Whether there is a file that [`relock`](Self::relock) could write.
    pub(super) fn has_lock_file(&self) -> bool {
        self.lock_file.is_some()
    }
}

fn read_text(file: &Path) -> Result<String, ImageError> {
    fs::read_to_string(file).map_err(ImageError::io(format!("read {}", file.display())))
}

fn digest(recipe: &str, lock: &PackageLock) -> String {
    let mut hasher = Sha256::new();
    // To be counted up when the same recipe begins to give another image.
    hasher.update(b"replay-runner image 1\n");
    for pattern in REMOVED_FROM_EVERY_IMAGE {
        hasher.update(pattern);
        hasher.update(b"\n");
    }
    hasher.update(recipe);
    hasher.update(b"\0");
    hasher.update(lock.to_string());
    hex::encode(hasher.finalize())
}

/// SHA-256 in hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str =
        "name = \"test/image\"\ntag = \"1\"\nsuite = \"bookworm\"\npackages = [\"gcc\"]\n";

    #[test]
    fn digest_changes_with_the_recipe_and_with_the_lock() {
        let digest = |recipe: &str, lock| {
            Recipe::parse(recipe, lock)
                .expect("a recipe")
                .digest()
                .to_owned()
        };
        let first = digest(MINIMAL, "gcc=1\n");
        assert_eq!(first, digest(MINIMAL, "# a comment\ngcc=1\n"));
        assert_ne!(first, digest(MINIMAL, "gcc=2\n"));
        assert_ne!(first, digest(&MINIMAL.replace("\"1\"", "\"2\""), "gcc=1\n"));
    }

    #[test]
    fn built_in_recipes_are_valid_and_locked() {
        for recipe in Recipe::built_in().expect("valid recipes") {
            assert!(!recipe.lock().is_empty(), "{}", recipe.reference());
        }
    }
}
