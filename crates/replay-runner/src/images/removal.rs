//! Which files of the installed packages an image does without.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::fields::RecipeError;

/// What no image keeps: documentation, what package management leaves behind, and
/// what tells one host, or one moment, from another.
pub(super) const REMOVED_FROM_EVERY_IMAGE: [&str; 33] = [
    "boot",
    "dev/*",
    "etc/.pwd.lock",
    "etc/alternatives/*.gz",
    "etc/apt",
    "etc/cron.*",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/hostname",
    "etc/hosts",
    "etc/machine-id",
    "etc/*-",
    "etc/resolv.conf",
    "lib32",
    "libx32",
    "proc/*",
    "run/*",
    "sys/*",
    "tmp/*",
    "usr/lib32",
    "usr/libx32",
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

/// The files that one image does without.
#[derive(Debug, Clone)]
pub(super) struct Removal(GlobSet);

impl Removal {
    /// What every image does without, and `patterns`.
    pub(super) fn new(patterns: &[String]) -> Result<Self, RecipeError> {
        let bad = |pattern: &str, source| RecipeError::BadGlob {
            pattern: pattern.to_owned(),
            source,
        };
        let mut globs = GlobSetBuilder::new();
        for pattern in REMOVED_FROM_EVERY_IMAGE
            .into_iter()
            .chain(patterns.iter().map(String::as_str))
        {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            globs.add(glob.map_err(|source| bad(pattern, source))?);
        }
        globs
            .build()
            .map(Self)
            .map_err(|source| bad("all patterns", source))
    }

    /// Whether a pattern matches `path` or a folder that it is in.
    pub(super) fn covers(&self, path: &str) -> bool {
        let mut ends = path
            .match_indices('/')
            .map(|(end, _)| end)
            .chain([path.len()]);
        ends.any(|end| self.0.is_match(&path[..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_glob() {
        assert!(matches!(
            Removal::new(&["usr/[a".into()]),
            Err(RecipeError::BadGlob { .. })
        ));
    }

    #[test]
    fn removes_a_folder_with_all_below_it_and_nothing_beside_it() {
        let removal =
            Removal::new(&["usr/lib/**/tests".into(), "usr/bin/*-gdb".into()]).expect("globs");
        for path in [
            "usr/lib/a/tests",
            "usr/lib/a/b/tests/data.csv",
            "usr/bin/x-gdb",
            "usr/share/doc/gcc/README",
            "dev/null",
        ] {
            assert!(removal.covers(path), "{path}");
        }
        for path in [
            "usr/lib/a/testsuite",
            "usr/bin/gdb",
            "usr/share",
            "usr/share/docs",
            "dev",
            "tmp",
        ] {
            assert!(!removal.covers(path), "{path}");
        }
    }
}
