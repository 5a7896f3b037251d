//! Trees and layers on disk, mounted for real.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use replay_runner::sandbox::SandboxUser;
use replay_runner::tree::Pristine;

use super::World;

/// Path → what is there: mode, owner, time and content.
pub type Listing = BTreeMap<String, (u32, u32, i64, Vec<u8>)>;

pub fn list(root: &Path) -> Listing {
    let mut found = Listing::new();
    let mut pending = vec![(root.to_owned(), String::new())];
    while let Some((directory, above)) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = format!("{above}{}", entry.file_name().to_str().unwrap());
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            let content = if meta.is_symlink() {
                fs::read_link(entry.path())
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else if meta.is_dir() {
                pending.push((entry.path(), format!("{path}/")));
                Vec::new()
            } else {
                fs::read(entry.path()).unwrap()
            };
            found.insert(path, (meta.mode(), meta.uid(), meta.mtime(), content));
        }
    }
    found
}

/// A mounted overlay: where it is, and its upper layer.
pub struct Overlay(pub PathBuf, pub PathBuf);

impl Overlay {
    pub fn mount(home: &Path, layers: &[&Path]) -> Self {
        let (upper, work, merged) = (home.join("upper"), home.join("work"), home.join("merged"));
        for directory in [&upper, &work, &merged] {
            fs::create_dir_all(directory).unwrap();
        }
        let lower: Vec<String> = layers
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={},index=off,redirect_dir=off,metacopy=off",
            lower.join(":"),
            upper.display(),
            work.display()
        );
        mount(
            Some("overlay"),
            &merged,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .expect("mounting an overlay needs root");
        Self(merged, upper)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

pub fn pristine(world: &World) -> Pristine {
    Pristine::prepare(
        &world.home.path().join("trees"),
        &world.base,
        SandboxUser::default(),
    )
    .unwrap()
}
