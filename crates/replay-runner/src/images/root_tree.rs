//! Installs a recipe's packages into an empty root and packs that up, by
//! `mmdebstrap`. What comes out is raw: documentation, caches and this host's
//! name are still in it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::SOURCE_DATE_EPOCH;
use super::error::ImageError;
use super::recipe::Recipe;

const TOOL: &str = "mmdebstrap";

/// Debian's keys. Naming them is what lets Ubuntu build a Debian image, and keeps a
/// host's other package sources from signing what goes into one.
const DEBIAN_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Sets up the merged `/usr` by itself; the package that would do it needs Perl.
const MERGED_USR_HOOK: &str = "/usr/share/mmdebstrap/hooks/merged-usr";

/// What of the host's apt configuration decides how packages are reached.
const APT_SETTINGS: [&str; 5] = [
    "Acquire::http::",
    "Acquire::https::",
    "Acquire::Retries",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
];

/// The steps of the tool that are worth a user's attention, by their first words.
const STEPS: [&str; 4] = ["running apt-get", "downloading", "installing", "creating"];

/// How many of the tool's last lines an error shows.
const LOG_LINES: usize = 15;

/// Writes an archive of the installed packages to `target`. Without `mirrors`, the
/// host's own package sources serve if they have the suite, and Debian's otherwise.
pub(super) async fn install(
    recipe: &Recipe,
    mirrors: &[String],
    target: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), ImageError> {
    let mut command = Command::new(TOOL);
    command
        .arg("--variant=essential")
        .arg("--format=tar")
        // Nothing is lost if the machine goes down half way: it is built again.
        .arg("--dpkgopt=force-unsafe-io")
        .arg(format!("--hook-dir={MERGED_USR_HOOK}"))
        .arg(format!("--include={}", recipe.packages().join(",")))
        .args(
            recipe
                .stand_ins()
                .iter()
                .map(|package| stand_in_hook(package)),
        )
        .args(
            apt_settings()
                .await
                .into_iter()
                .map(|setting| format!("--aptopt={setting}")),
        )
        .arg(recipe.suite())
        .arg(target);
    if mirrors.is_empty() {
        command.args(host_sources(recipe.suite()).await);
    } else {
        command.args(mirrors);
    }
    command
        .env("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH.to_string())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);

    run(command, progress)
        .await
        .map_err(|failure| match failure {
            Failure::Start(error) if error.kind() == ErrorKind::NotFound => {
                ImageError::ToolMissing { tool: TOOL }
            }
            Failure::Start(source) => ImageError::Io {
                doing: format!("run {TOOL}"),
                source,
            },
            Failure::Exit(log) => ImageError::InstallFailed {
                image: recipe.reference(),
                log,
            },
        })
}

enum Failure {
    Start(std::io::Error),
    Exit(String),
}

async fn run(mut command: Command, progress: &(dyn Fn(&str) + Sync)) -> Result<(), Failure> {
    let mut child = command.spawn().map_err(Failure::Start)?;
    let mut last_lines = VecDeque::with_capacity(LOG_LINES);
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(Failure::Start)? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if let Some(step) = line.strip_prefix("I: ")
                && STEPS.iter().any(|words| step.starts_with(words))
            {
                progress(step.trim_end_matches('.'));
            }
            if last_lines.len() == LOG_LINES {
                last_lines.pop_front();
            }
            last_lines.push_back(line);
        }
    }
    let status = child.wait().await.map_err(Failure::Start)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Exit(Vec::from(last_lines).join("\n")))
}

/// Has the package database of the new root claim that `package` is there. The
/// name is a plain word, the recipe has seen to that.
fn stand_in_hook(package: &str) -> OsString {
    format!(
        "--setup-hook=printf '%s\\n' 'Package: {package}' 'Status: install ok installed' 'Architecture: all' \
         'Multi-Arch: foreign' 'Version: 999999' 'Maintainer: nobody <nobody@invalid>' \
         'Description: stand-in, not installed' '' >> \"$1/var/lib/dpkg/status\""
    )
    .into()
}

/// The host's package sources that Debian signed for `suite`, as one-line entries;
/// empty on other hosts, which makes `mmdebstrap` take Debian's own mirror.
async fn host_sources(suite: &str) -> Vec<String> {
    let format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
    let filter = [
        "Created-By: Packages",
        "Origin: Debian",
        &format!("Architecture: {}", debian_architecture()),
    ];
    let listing = output_of(
        Command::new("apt-get")
            .args(["indextargets", "--format", format])
            .args(filter),
    )
    .await;
    sources_of_suite(&listing, suite)
}

/// Picks the lines `URI RELEASE COMPONENT` that belong to `suite`, its updates and its
/// security fixes; none if the suite itself is not among them.
fn sources_of_suite(listing: &str, suite: &str) -> Vec<String> {
    let releases = [
        suite.to_owned(),
        format!("{suite}-updates"),
        format!("{suite}-security"),
    ];
    let mut sources = Vec::new();
    let mut has_suite = false;
    for line in listing.lines() {
        if let [uri, release, "main"] = line.split(' ').collect::<Vec<_>>()[..]
            && releases.iter().any(|wanted| wanted == release)
        {
            has_suite |= release == suite;
            sources.push(format!(
                "deb [signed-by={DEBIAN_KEYS}] {uri} {release} main"
            ));
        }
    }
    sources.sort();
    sources.dedup();
    if has_suite { sources } else { Vec::new() }
}

/// The host's proxies and the like, as apt's own options.
async fn apt_settings() -> Vec<String> {
    let dump = output_of(Command::new("apt-config").arg("dump")).await;
    dump.lines()
        .filter(|line| APT_SETTINGS.iter().any(|setting| line.starts_with(setting)))
        .map(str::to_owned)
        .collect()
}

/// What a command prints; nothing if it cannot be run. Used where nothing is a good
/// answer: a host without apt's tools has no sources or settings of its own.
async fn output_of(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().await;
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// This machine's processor by Debian's and the engine's name for it.
pub(super) fn debian_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_no_sources_from_a_host_without_the_suite() {
        assert!(sources_of_suite("", "bookworm").is_empty());
        assert!(
            sources_of_suite(
                "http://m/debian/ trixie main\nhttp://m/debian/ bookworm-updates main\n",
                "bookworm"
            )
            .is_empty()
        );
    }

    #[test]
    fn takes_the_suite_its_updates_and_its_security_fixes() {
        let listing = "http://m/debian/ bookworm main\nhttp://m/debian/ bookworm main\nhttp://m/debian/ bookworm contrib\n\
                       http://m/debian/ bookworm-backports main\nhttp://m/debian-security/ bookworm-security main\n";
        let expected = [
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m/debian-security/ bookworm-security main",
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m/debian/ bookworm main",
        ];
        assert_eq!(sources_of_suite(listing, "bookworm"), expected);
    }
}
