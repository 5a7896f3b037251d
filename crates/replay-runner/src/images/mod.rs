//! The images that replays run in: built from Debian packages on this machine,
//! without a registry, and the same bytes whoever builds them.
//!
//! The flow, in order: [`recipe`] says what an image holds, `root_tree` installs
//! the packages, `layer` makes one normalised archive of them, [`lock`] compares
//! the packages with the recorded ones, `archive` wraps the layer as an image,
//! and [`build`](build()) hands that to the engine.

mod archive;
mod build;
pub mod command;
mod error;
mod fields;
mod hashed;
mod layer;
mod list;
pub mod lock;
pub mod recipe;
mod removal;
mod root_tree;

pub use build::{BuildOptions, BuiltImage, LockPolicy, build};
pub use error::ImageError;
pub use fields::RecipeError;
pub use list::{ImageState, ImageStatus, list};
pub use lock::{PackageChange, PackageLock};
pub use recipe::Recipe;

/// The moment every file and image claims to be from: 2025-01-01 00:00:00 UTC.
const SOURCE_DATE_EPOCH: u32 = 1_735_689_600;

/// [`SOURCE_DATE_EPOCH`] as image configurations spell it.
const CREATED: &str = "2025-01-01T00:00:00Z";

/// The user that an image has for submitted code; its group has the same id.
const SANDBOX_UID: u32 = 10_001;

/// The label that tells from which recipe and lock an image was built.
const RECIPE_LABEL: &str = "replay-runner.recipe";

/// The label that tells which packages an image really holds.
const PACKAGES_LABEL: &str = "replay-runner.packages";
