//! What an image holds, as its author wrote it down: `recipe.toml` and, beside
//! it, `packages.lock`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::error::ImageError;
use super::lock::PackageLock;

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

/// What no image keeps: documentation, what package management leaves behind, and
/// what tells one host, or one moment, from another.
const REMOVED_FROM_EVERY_IMAGE: [&str; 28] = [
    "boot",
    "dev/*",
    "etc/.pwd.lock",
    "etc/alternatives/*.gz",
    "etc/apt",
    "etc/cron.*",
    "etc/hostname",
    "etc/hosts",
    "etc/machine-id",
    "etc/*-",
    "etc/resolv.conf",
    "proc/*",
    "run/*",
    "sys/*",
    "tmp/*",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/*",
    "var/lib/apt",
    "var/lib/dpkg/alternatives",
    "var/lib/dpkg/info",
    "var/lib/dpkg/*-old",
    "var/log/*",
    "var/tmp/*",
];

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Not TOML, a field missing, or a field nobody knows.
    #[error(transparent)]
    Syntax(#[from] toml::de::Error),

    /// A field is empty or holds something that could be taken for an option,
    /// a path or a shell's own sign further on.
    #[error("{field} must not be {value:?}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },

    /// A pattern of files to remove is not a glob.
    #[error("{pattern:?} is not a glob: {source}")]
    BadGlob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
}

/// The fields of `recipe.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    tag: String,
    suite: String,
    packages: Vec<String>,
    #[serde(default)]
    stand_ins: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// How one image is made.
#[derive(Debug, Clone)]
pub struct Recipe {
    text: String,
    fields: Fields,
    removed: GlobSet,
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
        let (fields, removed) = parse_fields(recipe).map_err(|source| ImageError::Recipe {
            name: name.to_owned(),
            source,
        })?;
        let lock = PackageLock::parse(lock).map_err(|source| ImageError::Lock {
            name: name.to_owned(),
            source,
        })?;
        let digest = digest(recipe, &lock);
        Ok(Self {
            text: recipe.to_owned(),
            fields,
            removed,
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
        let ends = path
            .match_indices('/')
            .map(|(end, _)| end)
            .chain([path.len()]);
        ends.into_iter()
            .any(|end| self.removed.is_match(&path[..end]))
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

fn parse_fields(text: &str) -> Result<(Fields, GlobSet), RecipeError> {
    let fields: Fields = toml::from_str(text)?;
    check("name", [&fields.name], is_image_name)?;
    check("tag", [&fields.tag], is_word)?;
    check("suite", [&fields.suite], is_word)?;
    check("packages", &fields.packages, is_word)?;
    check("stand_ins", &fields.stand_ins, is_word)?;
    check("env", fields.env.keys(), is_variable)?;
    check("env", fields.env.values(), |value| !value.contains('\0'))?;
    check("remove", &fields.remove, |pattern| {
        !pattern.starts_with(['/', '.']) && !pattern.ends_with('/')
    })?;
    if fields.packages.is_empty() {
        return Err(RecipeError::BadValue {
            field: "packages",
            value: String::new(),
        });
    }

    let mut removed = GlobSetBuilder::new();
    let own = fields.remove.iter().map(String::as_str);
    for pattern in REMOVED_FROM_EVERY_IMAGE.into_iter().chain(own) {
        let bad = |source| RecipeError::BadGlob {
            pattern: pattern.to_owned(),
            source,
        };
        removed.add(
            GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .map_err(bad)?,
        );
    }
    let removed = removed.build().map_err(|source| RecipeError::BadGlob {
        pattern: "all".into(),
        source,
    })?;
    Ok((fields, removed))
}

fn check<'a>(
    field: &'static str,
    values: impl IntoIterator<Item = &'a String>,
    allowed: impl Fn(&str) -> bool,
) -> Result<(), RecipeError> {
    match values.into_iter().find(|value| !allowed(value)) {
        Some(value) => Err(RecipeError::BadValue {
            field,
            value: value.clone(),
        }),
        None => Ok(()),
    }
}

/// A package's, suite's or tag's name: begins with a letter or digit, so that it
/// cannot be taken for an option, and has nothing in it that a shell would act on.
fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
}

fn is_image_name(text: &str) -> bool {
    text.split('/').all(is_word) && !text.contains(|c: char| c.is_ascii_uppercase() || c == '+')
}

fn is_variable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str =
        "name = \"test/image\"\ntag = \"1\"\nsuite = \"bookworm\"\npackages = [\"gcc\"]\n";

    fn parse(recipe: &str) -> Result<Recipe, ImageError> {
        Recipe::parse(recipe, "gcc=1\n")
    }

    #[test]
    fn refuses_an_unknown_field() {
        let error = parse(&format!("{MINIMAL}pakages = []\n")).expect_err("a misspelt field");
        assert!(error.to_string().contains("pakages"), "{error}");
    }

    #[test]
    fn refuses_a_recipe_without_packages() {
        assert!(parse(&MINIMAL.replace("\"gcc\"", "")).is_err());
    }

    #[test]
    fn refuses_names_that_could_be_taken_for_something_else() {
        for (good, bad) in [
            ("\"gcc\"", "\"--option\""),
            ("\"gcc\"", "\"gcc;reboot\""),
            ("\"gcc\"", "\"\""),
            ("\"bookworm\"", "\"../etc\""),
            ("test/image", "/image"),
            ("test/image", "Test/image"),
        ] {
            assert!(parse(&MINIMAL.replace(good, bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn refuses_patterns_that_can_match_nothing() {
        for pattern in ["/usr/share/doc", "./usr", "usr/share/", "usr/[a"] {
            assert!(
                parse(&format!("{MINIMAL}remove = [\"{pattern}\"]\n")).is_err(),
                "{pattern}"
            );
        }
    }

    #[test]
    fn removes_a_folder_with_all_below_it_and_nothing_beside_it() {
        let recipe = parse(&format!(
            "{MINIMAL}remove = [\"usr/lib/**/tests\", \"usr/bin/*-gdb\"]\n"
        ))
        .expect("a recipe");
        for path in [
            "usr/lib/a/tests",
            "usr/lib/a/b/tests/data.csv",
            "usr/bin/x-gdb",
            "usr/share/doc/gcc/README",
            "dev/null",
        ] {
            assert!(recipe.removes(path), "{path}");
        }
        for path in [
            "usr/lib/a/testsuite",
            "usr/bin/gdb",
            "usr/share",
            "usr/share/docs",
            "dev",
            "tmp",
        ] {
            assert!(!recipe.removes(path), "{path}");
        }
    }

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
