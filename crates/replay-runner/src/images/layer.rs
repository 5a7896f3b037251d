//! Turns the raw archive of an installed root into the one layer of an image:
//! sorted, without what the recipe removes, with one time stamp, without
//! privileged files, and with the user that submitted code runs as.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use tar::EntryType;

use super::error::ImageError;
use super::hashed::Hashed;
use super::recipe::Recipe;
use super::{SANDBOX_UID, SOURCE_DATE_EPOCH};

/// dpkg's database, which stays in the image so that scanners can read it.
const DPKG_STATUS: &str = "var/lib/dpkg/status";

/// Everything but set-user-id and set-group-id: no image needs to raise privileges.
const ALLOWED_MODE_BITS: u32 = 0o1777;

/// What a written layer is.
#[derive(Debug)]
pub(super) struct Layer {
    /// SHA-256 of the archive, in hex.
    pub(super) digest: String,
    /// The content of dpkg's database.
    pub(super) dpkg_status: String,
}

/// One file of the layer.
struct Node {
    path: String,
    mode: u32,
    owner: u64,
    group: u64,
    content: Content,
}

#[derive(Clone, PartialEq)]
enum Content {
    Folder,
    Symlink(String),
    /// Where the bytes are in the raw archive. Equal places mean hard links.
    File {
        position: u64,
        size: u64,
    },
    Text(String),
}

/// Reads the archive `raw`, writes the layer to `out`.
pub(super) fn write(
    raw: &mut (impl Read + Seek),
    recipe: &Recipe,
    out: impl Write,
) -> Result<Layer, ImageError> {
    let mut nodes = read_nodes(raw)?;
    nodes.retain(|node| !recipe.removes(&node.path));
    add_sandbox_user(&mut nodes, raw)?;
    nodes.sort_by(|a, b| a.path.cmp(&b.path));

    let dpkg_status = match nodes.iter().find(|node| node.path == DPKG_STATUS) {
        Some(node) => read_text(node, raw)?,
        None => String::new(),
    };
    let mut hashed = Hashed::new(out);
    write_nodes(&nodes, raw, &mut hashed).map_err(ImageError::io("write the image's layer"))?;
    Ok(Layer {
        digest: hashed.digest(),
        dpkg_status,
    })
}

fn read_nodes(raw: &mut (impl Read + Seek)) -> Result<Vec<Node>, ImageError> {
    let reading = || ImageError::io("read the installed tree");
    let mut nodes: Vec<Node> = Vec::new();
    let mut by_path: HashMap<String, Content> = HashMap::new();
    let mut archive = tar::Archive::new(raw);
    for entry in archive.entries_with_seek().map_err(reading())? {
        let entry = entry.map_err(reading())?;
        let header = entry.header();
        let path = relative(&entry.path_bytes());
        let refuse = |reason| ImageError::UnexpectedEntry {
            path: path.clone(),
            reason,
        };
        if path.contains(char::REPLACEMENT_CHARACTER) {
            return Err(refuse("has a name that is not UTF-8"));
        }
        if path.is_empty() || path.starts_with("dev/") {
            continue;
        }
        let link = entry.link_name_bytes();
        let content = match (header.entry_type(), link) {
            (EntryType::Directory, _) => Content::Folder,
            (EntryType::Regular, _) => Content::File {
                position: entry.raw_file_position(),
                size: entry.size(),
            },
            (EntryType::Symlink, Some(target)) => {
                Content::Symlink(String::from_utf8_lossy(&target).into_owned())
            }
            (EntryType::Link, Some(target)) => by_path
                .get(&relative(&target))
                .cloned()
                .ok_or_else(|| refuse("is a hard link to nothing"))?,
            _ => return Err(refuse("is neither a file nor a folder nor a link")),
        };
        by_path.insert(path.clone(), content.clone());
        nodes.push(Node {
            mode: header.mode().map_err(reading())?,
            owner: header.uid().map_err(reading())?,
            group: header.gid().map_err(reading())?,
            path,
            content,
        });
    }
    Ok(nodes)
}

/// `./usr/bin/` as `usr/bin`.
fn relative(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let path = path.trim_end_matches('/');
    let path = path
        .strip_prefix("./")
        .or_else(|| path.strip_prefix('/'))
        .unwrap_or(path);
    if path == "." {
        String::new()
    } else {
        path.to_owned()
    }
}

/// Adds the user, the group, a home and the folder that a replay's tree goes to.
fn add_sandbox_user(nodes: &mut Vec<Node>, raw: &mut (impl Read + Seek)) -> Result<(), ImageError> {
    let id = SANDBOX_UID;
    let lines = [
        (
            "etc/passwd",
            format!("sandbox:x:{id}:{id}::/home/sandbox:/bin/sh\n"),
        ),
        ("etc/group", format!("sandbox:x:{id}:\n")),
    ];
    for node in nodes.iter_mut() {
        if let Some((_, line)) = lines.iter().find(|(path, _)| *path == node.path) {
            node.content = Content::Text(read_text(node, raw)? + line);
        }
    }
    for path in ["home/sandbox", "workspace"] {
        let owner = u64::from(id);
        nodes.push(Node {
            path: path.to_owned(),
            mode: 0o755,
            owner,
            group: owner,
            content: Content::Folder,
        });
    }
    Ok(())
}

fn read_text(node: &Node, raw: &mut (impl Read + Seek)) -> Result<String, ImageError> {
    let mut text = String::new();
    match node.content {
        Content::File { position, size } => {
            raw.seek(SeekFrom::Start(position))
                .and_then(|_| raw.take(size).read_to_string(&mut text))
                .map_err(ImageError::io(format!(
                    "read {} of the installed tree",
                    node.path
                )))?;
        }
        Content::Text(ref known) => text.clone_from(known),
        Content::Folder | Content::Symlink(_) => {}
    }
    Ok(text)
}

fn write_nodes(nodes: &[Node], raw: &mut (impl Read + Seek), out: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    let mut written: HashMap<u64, &str> = HashMap::new();
    for node in nodes {
        let mut header = header_of(node);
        match &node.content {
            Content::Folder => {
                archive.append_data(&mut header, format!("{}/", node.path), io::empty())?;
            }
            Content::Symlink(target) => archive.append_link(&mut header, &node.path, target)?,
            Content::Text(text) => archive.append_data(&mut header, &node.path, text.as_bytes())?,
            Content::File { position, size } => match written.get(position) {
                Some(first) if *size > 0 => {
                    header.set_entry_type(EntryType::Link);
                    header.set_size(0);
                    archive.append_link(&mut header, &node.path, first)?;
                }
                _ => {
                    raw.seek(SeekFrom::Start(*position))?;
                    archive.append_data(&mut header, &node.path, raw.take(*size))?;
                    written.insert(*position, &node.path);
                }
            },
        }
    }
    archive.into_inner()?.flush()
}

fn header_of(node: &Node) -> tar::Header {
    let (entry_type, size) = match &node.content {
        Content::Folder => (EntryType::Directory, 0),
        Content::Symlink(_) => (EntryType::Symlink, 0),
        Content::File { size, .. } => (EntryType::Regular, *size),
        Content::Text(text) => (EntryType::Regular, text.len() as u64),
    };
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(entry_type);
    header.set_size(size);
    header.set_mode(node.mode & ALLOWED_MODE_BITS);
    header.set_uid(node.owner);
    header.set_gid(node.group);
    header.set_mtime(u64::from(SOURCE_DATE_EPOCH));
    header
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn recipe() -> Recipe {
        let text = "name = \"test/image\"\ntag = \"1\"\nsuite = \"bookworm\"\npackages = [\"gcc\"]\nremove = [\"usr/bin/first\"]\n";
        Recipe::parse(text, "").expect("a valid recipe")
    }

    struct Raw(tar::Builder<Vec<u8>>);

    impl Raw {
        fn new() -> Self {
            Self(tar::Builder::new(Vec::new()))
        }

        fn entry(mut self, kind: EntryType, path: &str, mode: u32, content: &str) -> Self {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1_234_567);
            let is_link = matches!(kind, EntryType::Link | EntryType::Symlink);
            header.set_size(if is_link { 0 } else { content.len() as u64 });
            let appended = if is_link {
                self.0.append_link(&mut header, path, content)
            } else {
                self.0.append_data(&mut header, path, content.as_bytes())
            };
            appended.expect("an entry");
            self
        }

        fn file(self, path: &str, content: &str) -> Self {
            self.entry(EntryType::Regular, path, 0o644, content)
        }

        fn layer(self) -> Result<(Layer, Vec<u8>), ImageError> {
            let mut raw = Cursor::new(self.0.into_inner().expect("an archive"));
            let mut bytes = Vec::new();
            write(&mut raw, &recipe(), &mut bytes).map(|layer| (layer, bytes))
        }
    }

    /// Path, mode, link target and content of every entry.
    fn contents(layer: &[u8]) -> Vec<(String, u32, String, String)> {
        let mut archive = tar::Archive::new(layer);
        let entries = archive.entries().expect("entries");
        entries
            .map(|entry| {
                let mut entry = entry.expect("an entry");
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                let path = entry.path().expect("a path").display().to_string();
                let link = entry
                    .link_name()
                    .expect("a link")
                    .map(|link| link.display().to_string());
                assert_eq!(
                    entry.header().mtime().ok(),
                    Some(u64::from(SOURCE_DATE_EPOCH)),
                    "{path}"
                );
                (
                    path,
                    entry.header().mode().expect("a mode"),
                    link.unwrap_or_default(),
                    text,
                )
            })
            .collect()
    }

    #[test]
    fn refuses_device_nodes_and_dangling_hard_links() {
        for kind in [EntryType::Char, EntryType::Fifo, EntryType::Link] {
            let error = Raw::new().entry(kind, "usr/odd", 0o644, "nowhere").layer();
            assert!(
                matches!(error, Err(ImageError::UnexpectedEntry { .. })),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn order_and_time_of_the_installation_leave_no_trace() {
        let (one, _) = Raw::new()
            .file("./etc/a", "1")
            .file("./etc/b", "2")
            .layer()
            .expect("a layer");
        let (other, _) = Raw::new()
            .file("./etc/b", "2")
            .file("./etc/a", "1")
            .layer()
            .expect("a layer");
        assert_eq!(one.digest, other.digest);
    }

    #[test]
    fn strips_privileges_and_adds_the_sandbox_user() {
        let raw = Raw::new().file("etc/group", "root:*:0:\n").entry(
            EntryType::Regular,
            "usr/bin/su",
            0o4755,
            "x",
        );
        let (_, bytes) = raw.layer().expect("a layer");
        let entry =
            |path: &str, mode, text: &str| (path.to_owned(), mode, String::new(), text.to_owned());
        let expected = [
            entry("etc/group", 0o644, "root:*:0:\nsandbox:x:10001:\n"),
            entry("home/sandbox/", 0o755, ""),
            entry("usr/bin/su", 0o755, "x"),
            entry("workspace/", 0o755, ""),
        ];
        assert_eq!(contents(&bytes), expected);
    }

    #[test]
    fn a_hard_link_outlives_the_removal_of_its_first_name() {
        let raw = Raw::new()
            .file("usr/bin/first", "content")
            .entry(EntryType::Link, "usr/bin/second", 0o644, "usr/bin/first")
            .entry(EntryType::Link, "usr/bin/third", 0o644, "usr/bin/first");
        let (_, bytes) = raw.layer().expect("a layer");
        let binaries: Vec<_> = contents(&bytes)
            .into_iter()
            .filter(|entry| entry.0.starts_with("usr"))
            .collect();
        assert_eq!(
            binaries[0],
            (
                "usr/bin/second".into(),
                0o644,
                String::new(),
                "content".into()
            )
        );
        assert_eq!(
            binaries[1],
            (
                "usr/bin/third".into(),
                0o644,
                "usr/bin/second".into(),
                String::new()
            )
        );
    }

    #[test]
    fn keeps_the_package_database_for_the_lock() {
        let (layer, _) = Raw::new()
            .file(DPKG_STATUS, "Package: gcc\n")
            .layer()
            .expect("a layer");
        assert_eq!(layer.dpkg_status, "Package: gcc\n");
    }
}
