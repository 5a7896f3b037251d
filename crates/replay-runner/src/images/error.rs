//! Why an image could not be described, built or looked up.

use std::path::PathBuf;

use super::fields::RecipeError;
use super::lock::{LockError, PackageChange};

/// Why an image could not be described, built or looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A recipe says something that it must not.
    #[error("recipe {name}: {source}")]
    Recipe {
        /// The recipe's file or folder.
        name: String,
        /// What is wrong with it.
        source: RecipeError,
    },

    /// A recorded package list cannot be read as one.
    #[error("package lock {name}: {source}")]
    Lock {
        /// The lock's file, or the image it belongs to.
        name: String,
        /// What is wrong with it.
        source: LockError,
    },

    /// The packages differ from the recorded ones, and the caller insisted on those.
    #[error(
        "{image} was not built, its packages differ from the lock: {}",
        summary(changes)
    )]
    PackagesDiffer {
        /// The image.
        image: String,
        /// Every difference.
        changes: Vec<PackageChange>,
    },

    /// The lock of a built-in recipe was to be rewritten; there is no file to write.
    #[error(
        "the lock of the built-in recipe {image} cannot be rewritten, name a folder of recipes"
    )]
    LockIsBuiltIn {
        /// The image.
        image: String,
    },

    /// The tool that installs packages into a folder is not there.
    #[error("{tool} is not installed, try: apt-get install {tool}")]
    ToolMissing {
        /// The tool, which is also its package's name.
        tool: &'static str,
    },

    /// The packages could not be installed.
    #[error("could not install the packages of {image}:\n{log}")]
    InstallFailed {
        /// The image.
        image: String,
        /// The last lines that the installing tool printed.
        log: String,
    },

    /// The installed tree holds something that no image may hold.
    #[error("{path} in the installed tree {reason}")]
    UnexpectedEntry {
        /// Where in the tree.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A file of this machine could not be read or written.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was attempted.
        doing: String,
        /// What the system answered.
        source: std::io::Error,
    },

    /// The container engine did not do its part.
    #[error("could not {doing}: {source}")]
    Engine {
        /// What was attempted.
        doing: String,
        /// What the engine answered.
        source: bollard::errors::Error,
    },

    /// The engine accepted the image, but does not have it.
    #[error("the engine loaded {image} but does not list it")]
    NotLoaded {
        /// The image.
        image: String,
    },

    /// An image was named that no recipe describes.
    #[error("no recipe describes {name}")]
    NoSuchRecipe {
        /// The name that was given.
        name: String,
    },

    /// A folder was named as recipes and holds none.
    #[error("{} holds no folder with a recipe.toml", folder.display())]
    NoRecipes {
        /// The folder.
        folder: PathBuf,
    },
}

impl ImageError {
    /// For `map_err`: the input or output error of something that was attempted.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// For `map_err`: the engine's error for something that was attempted.
    pub(super) fn engine(doing: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Engine { doing, source }
    }
}

fn summary(changes: &[PackageChange]) -> String {
    let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
    lines.join(", ")
}
