//! `replay-runner images …`

use std::fmt::Write as _;
use std::path::PathBuf;

use bollard::Docker;
use clap::{Args, Subcommand};

use super::build::{BuildOptions, BuiltImage, LockPolicy, build};
use super::error::ImageError;
use super::list::{ImageStatus, list};
use super::recipe::Recipe;

const BUILD_EXAMPLES: &str = "\
Examples:
  replay-runner images build
  replay-runner images build replay-sandbox/c replay-sandbox/python:1
  replay-runner images build --locked                 fail if Debian's packages have changed
  replay-runner images build --recipes my-images --update-lock";

const LIST_EXAMPLES: &str = "\
Examples:
  replay-runner images list
  replay-runner images list --recipes my-images";

/// What to do about the images that replays run in.
#[derive(Debug, Clone, Subcommand)]
pub enum ImagesCommand {
    /// Build the images that the engine does not have yet
    #[command(after_help = BUILD_EXAMPLES)]
    Build(BuildArguments),
    /// List the images and whether the engine has them
    #[command(after_help = LIST_EXAMPLES)]
    List(RecipeArguments),
}

/// Which recipes.
#[derive(Debug, Clone, Args)]
pub struct RecipeArguments {
    /// Folder with one folder per recipe [default: the recipes built into this program]
    #[arg(long, value_name = "FOLDER")]
    recipes: Option<PathBuf>,
}

/// Which images, and how.
#[derive(Debug, Clone, Args)]
pub struct BuildArguments {
    /// Build only these, by name or name:tag [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,

    #[command(flatten)]
    recipes: RecipeArguments,

    /// Build even what the engine has
    #[arg(long)]
    force: bool,

    /// Fail if Debian's packages are no longer those that the lock records
    #[arg(long, conflicts_with = "update_lock")]
    locked: bool,

    /// Record the packages of this build in the recipe's packages.lock
    #[arg(long, requires = "recipes")]
    update_lock: bool,

    /// Get packages from here, in mmdebstrap's notation [default: this host's sources if
    /// they have the release, otherwise Debian's]
    #[arg(long, value_name = "MIRROR")]
    mirror: Vec<String>,
}

/// Does what `command` says and returns what to print; `progress` hears of each step.
pub async fn run(
    docker: &Docker,
    command: &ImagesCommand,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<String, ImageError> {
    match command {
        ImagesCommand::List(arguments) => Ok(table(&list(docker, &arguments.read()?).await?)),
        ImagesCommand::Build(arguments) => arguments.build(docker, progress).await,
    }
}

impl RecipeArguments {
    fn read(&self) -> Result<Vec<Recipe>, ImageError> {
        match &self.recipes {
            Some(folder) => Recipe::read_all(folder),
            None => Recipe::built_in(),
        }
    }
}

impl BuildArguments {
    fn options(&self) -> BuildOptions {
        let lock = match (self.locked, self.update_lock) {
            (true, _) => LockPolicy::Insist,
            (_, true) => LockPolicy::Update,
            _ => LockPolicy::Report,
        };
        BuildOptions {
            lock,
            force: self.force,
            mirrors: self.mirror.clone(),
        }
    }

    /// The recipes that were asked for; a name that no recipe has is an error.
    fn chosen(&self) -> Result<Vec<Recipe>, ImageError> {
        let recipes = self.recipes.read()?;
        if self.images.is_empty() {
            return Ok(recipes);
        }
        let wanted =
            |recipe: &Recipe, name: &String| recipe.reference() == *name || recipe.name() == name;
        if let Some(name) = self
            .images
            .iter()
            .find(|name| !recipes.iter().any(|recipe| wanted(recipe, name)))
        {
            return Err(ImageError::NoSuchRecipe { name: name.clone() });
        }
        Ok(recipes
            .into_iter()
            .filter(|recipe| self.images.iter().any(|name| wanted(recipe, name)))
            .collect())
    }

    async fn build(
        &self,
        docker: &Docker,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<String, ImageError> {
        let mut report = String::new();
        for recipe in self.chosen()? {
            let reference = recipe.reference();
            let step = |step: &str| progress(&format!("{reference}: {step}"));
            let image = build(docker, &recipe, &self.options(), &step).await?;
            report_changes(&image, self.update_lock, progress);
            let verb = if image.built { "built" } else { "there" };
            // Writing to a text cannot fail.
            let _ = writeln!(
                report,
                "{verb}  {}  {}  {}",
                image.reference,
                image.id,
                megabytes(image.size_bytes)
            );
        }
        Ok(report)
    }
}

fn report_changes(image: &BuiltImage, recorded: bool, progress: &(dyn Fn(&str) + Sync)) {
    if image.changes.is_empty() {
        return;
    }
    let reference = &image.reference;
    if recorded {
        progress(&format!("{reference}: recorded in packages.lock:"));
    } else {
        progress(&format!(
            "WARNING: {reference} is not the image that its lock records: Debian's packages changed"
        ));
    }
    for change in &image.changes {
        progress(&format!("    {change}"));
    }
    if !recorded {
        progress(
            "    Who built it before has another image id. To record these packages: --update-lock",
        );
    }
}

fn table(statuses: &[ImageStatus]) -> String {
    let mut text = String::new();
    for status in statuses {
        let id = status.id.as_deref().unwrap_or("-");
        let size = status.size_bytes.map_or_else(|| "-".to_owned(), megabytes);
        let _ = writeln!(
            text,
            "{:<24}  {:<14}  {size:>8}  {id}",
            status.reference,
            status.state.describe()
        );
    }
    text
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: ImagesCommand,
    }

    fn parse(line: &str) -> Result<ImagesCommand, clap::Error> {
        let matches = Cli::command().try_get_matches_from(line.split(' '))?;
        Cli::from_arg_matches(&matches).map(|cli| cli.command)
    }

    #[test]
    fn refuses_to_both_insist_on_and_update_a_lock() {
        assert!(parse("images build --recipes r --locked --update-lock").is_err());
    }

    #[test]
    fn refuses_to_update_the_lock_of_built_in_recipes() {
        assert!(parse("images build --update-lock").is_err());
        assert!(parse("images build --recipes r --update-lock").is_ok());
    }

    #[test]
    fn chooses_recipes_by_name_with_or_without_tag() {
        for name in ["replay-sandbox/c", "replay-sandbox/c:1"] {
            let Ok(ImagesCommand::Build(arguments)) = parse(&format!("images build {name}")) else {
                panic!("{name} is not understood")
            };
            let chosen = arguments.chosen().expect("a known recipe");
            assert_eq!(chosen.len(), 1, "{name}");
            assert_eq!(chosen[0].reference(), "replay-sandbox/c:1");
        }
    }

    #[test]
    fn names_the_recipe_that_does_not_exist() {
        let Ok(ImagesCommand::Build(arguments)) = parse("images build replay-sandbox/cobol") else {
            panic!("not understood")
        };
        let error = arguments.chosen().expect_err("an unknown recipe");
        assert!(
            error.to_string().contains("replay-sandbox/cobol"),
            "{error}"
        );
    }
}
