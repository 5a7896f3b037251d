//! Builds images with the real engine. Needs `mmdebstrap` and a way to Debian's
//! packages; a build takes about a minute.

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, RemoveContainerOptions,
    RemoveImageOptions,
};
use futures_util::TryStreamExt as _;
use replay_runner::images::{self, BuildOptions, ImageState, Recipe};

async fn engine() -> Docker {
    let docker = Docker::connect_with_defaults().expect("an engine address");
    docker
        .negotiate_version()
        .await
        .expect("a running container engine, see ./bootstrap")
}

fn built_in(name: &str) -> Recipe {
    let mut recipes = Recipe::built_in().expect("valid recipes").into_iter();
    recipes
        .find(|recipe| recipe.name() == name)
        .expect("a built-in recipe")
}

/// The C image's recipe under a name of its own, so that replays which run at the
/// same time never see their image change.
fn c_recipe_named(name: &str) -> Recipe {
    let recipe =
        include_str!("../../../sandbox-images/c/recipe.toml").replace("replay-sandbox/c", name);
    Recipe::parse(
        &recipe,
        include_str!("../../../sandbox-images/c/packages.lock"),
    )
    .expect("a valid recipe")
}

async fn remove_image(docker: &Docker, reference: &str) {
    let removed = docker
        .remove_image(reference, None::<RemoveImageOptions>, None)
        .await;
    removed.expect("the image is removed");
}

#[tokio::test]
async fn building_twice_gives_the_same_image() {
    let docker = engine().await;
    let recipe = c_recipe_named("replay-test/built-twice");
    let forced = BuildOptions {
        force: true,
        ..BuildOptions::default()
    };

    let first = images::build(&docker, &recipe, &forced, &|_| ())
        .await
        .expect("a first build");
    remove_image(&docker, &first.reference).await;
    let second = images::build(&docker, &recipe, &forced, &|_| ())
        .await
        .expect("a second build");
    let third = images::build(&docker, &recipe, &BuildOptions::default(), &|_| ())
        .await
        .expect("no third build");
    remove_image(&docker, &second.reference).await;

    assert_eq!(first.id, second.id);
    assert!(first.built && second.built);
    assert!(!third.built, "what is there is not built again");
    let status = images::list(&docker, &[recipe]).await.expect("a list");
    assert_eq!(status[0].state, ImageState::Missing);
}

#[tokio::test]
async fn an_image_of_another_recipe_is_outdated() {
    let docker = engine().await;
    let recipe = built_in("replay-sandbox/c");
    images::build(&docker, &recipe, &BuildOptions::default(), &|_| ())
        .await
        .expect("the C image");

    let text = include_str!("../../../sandbox-images/c/recipe.toml")
        .replace("\"make\"", "\"make\", \"nasm\"");
    let other = Recipe::parse(&text, "").expect("a valid recipe");
    let status = images::list(&docker, &[other]).await.expect("a list");
    assert_eq!(status[0].state, ImageState::Outdated);
}

#[tokio::test]
async fn the_python_image_has_scikit_learn_without_its_data() {
    let docker = engine().await;
    let recipe = built_in("replay-sandbox/python");
    let image = images::build(&docker, &recipe, &BuildOptions::default(), &|_| ())
        .await
        .expect("the Python image");

    let body = ContainerCreateBody {
        image: Some(image.id),
        ..ContainerCreateBody::default()
    };
    let container = docker
        .create_container(None::<CreateContainerOptions>, body)
        .await
        .expect("a container")
        .id;
    let packages = "/usr/lib/python3/dist-packages";
    let code = has(
        &docker,
        &container,
        &format!("{packages}/sklearn/datasets/__init__.py"),
    )
    .await;
    let data = has(
        &docker,
        &container,
        &format!("{packages}/sklearn/datasets/data"),
    )
    .await;
    docker
        .remove_container(&container, None::<RemoveContainerOptions>)
        .await
        .expect("removed");

    assert!(code, "scikit-learn itself is there");
    assert!(!data, "held-out labels are taken from these data");
}

async fn has(docker: &Docker, container: &str, path: &str) -> bool {
    let options = DownloadFromContainerOptions {
        path: path.to_owned(),
    };
    let archive = docker.download_from_container(container, Some(options));
    match archive.try_for_each(|_| async { Ok(()) }).await {
        Ok(()) => true,
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => false,
        Err(error) => panic!("{path}: {error}"),
    }
}
