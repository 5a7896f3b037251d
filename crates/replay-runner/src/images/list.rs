//! What the engine has of the images that recipes describe.

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ImageInspect;

use super::error::ImageError;
use super::lock::PackageLock;
use super::recipe::{Recipe, sha256_hex};
use super::{PACKAGES_LABEL, RECIPE_LABEL};

/// How an image relates to its recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageState {
    /// The engine has no image of this name.
    Missing,
    /// The engine has an image of this name, from another recipe or lock.
    Outdated,
    /// The image is of this recipe, but Debian had other packages than the lock records.
    OtherPackages,
    /// The image is what recipe and lock say.
    Current,
}

impl ImageState {
    /// One word or two for a table.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Outdated => "outdated",
            Self::OtherPackages => "other packages",
            Self::Current => "current",
        }
    }
}

/// What the engine has of one recipe's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageStatus {
    /// The name by which tasks refer to it.
    pub reference: String,
    /// How it relates to its recipe.
    pub state: ImageState,
    /// The engine's id of it, if it is there.
    pub id: Option<String>,
    /// Its size, if it is there.
    pub size_bytes: Option<u64>,
}

/// What the engine has of the images that `recipes` describe.
pub async fn list(docker: &Docker, recipes: &[Recipe]) -> Result<Vec<ImageStatus>, ImageError> {
    let mut statuses = Vec::with_capacity(recipes.len());
    for recipe in recipes {
        statuses.push(status(docker, recipe).await?);
    }
    Ok(statuses)
}

pub(super) async fn status(docker: &Docker, recipe: &Recipe) -> Result<ImageStatus, ImageError> {
    let reference = recipe.reference();
    let image = match docker.inspect_image(&reference).await {
        Ok(image) => Some(image),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => None,
        Err(source) => {
            return Err(ImageError::Engine {
                doing: format!("look up {reference}"),
                source,
            });
        }
    };
    Ok(ImageStatus {
        state: image
            .as_ref()
            .map_or(ImageState::Missing, |image| state_of(image, recipe)),
        size_bytes: image
            .as_ref()
            .and_then(|image| image.size)
            .and_then(|size| u64::try_from(size).ok()),
        id: image.and_then(|image| image.id),
        reference,
    })
}

fn state_of(image: &ImageInspect, recipe: &Recipe) -> ImageState {
    let label = |name| {
        image
            .config
            .as_ref()?
            .labels
            .as_ref()?
            .get(name)
            .map(String::as_str)
    };
    if label(RECIPE_LABEL) != Some(recipe.digest()) {
        ImageState::Outdated
    } else if label(PACKAGES_LABEL) != Some(&packages_digest(recipe.lock())) {
        ImageState::OtherPackages
    } else {
        ImageState::Current
    }
}

/// One value for a whole list of packages.
pub(super) fn packages_digest(packages: &PackageLock) -> String {
    sha256_hex(packages.to_string().as_bytes())
}
