//! Which paths a patch may change.
//!
//! An entry is a file, a directory or a glob. A directory (`src`, `src/`) means
//! everything below it. In a glob `*`, `?` and `[…]` stay within one component,
//! `**` crosses components, and `{a,b}` is either. Case matters. An entry that
//! the base tree has, by its literal name, means that file or directory and
//! nothing else (see [`AllowedPaths::in_tree`]).
//!
//! `protected_paths` win. A protected glob also protects what lies below a
//! directory that it matches: an author who protects `eval*` means `eval_data/x`
//! too, and would never notice that it was open.

use globset::{GlobBuilder, GlobMatcher};

use super::{check_safe, escaped};

/// An entry that is no path and no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathRuleError {
    /// Not a plain path below the repository.
    #[error("allowed or protected entry: {0}")]
    Unsafe(#[from] super::UnsafePath),
    /// Not a glob that compiles.
    #[error("{entry} is not a glob: {problem}")]
    Glob {
        /// The entry, escaped.
        entry: String,
        /// What the compiler of globs says.
        problem: String,
    },
}

/// The paths that a patch may change.
#[derive(Debug, Clone)]
pub struct AllowedPaths {
    allowed: Vec<Rule>,
    protected: Vec<Rule>,
}

impl AllowedPaths {
    /// Compiles the two lists of a task.
    pub fn new(allowed: &[String], protected: &[String]) -> Result<Self, PathRuleError> {
        let compile = |entries: &[String]| -> Result<Vec<Rule>, PathRuleError> {
            entries.iter().map(|entry| Rule::new(entry)).collect()
        };
        Ok(Self {
            allowed: compile(allowed)?,
            protected: compile(protected)?,
        })
    }

    /// Settles what the entries mean in one base tree: an allowed entry that
    /// names a file there is that file, and nothing below a directory that
    /// might take its place; one that names a directory there is no glob.
    /// Protected entries keep every reading.
    #[must_use]
    pub fn in_tree(mut self, find: impl Fn(&str) -> Option<InTree>) -> Self {
        for rule in &mut self.allowed {
            let found = find(&rule.literal);
            if found.is_some() {
                rule.glob = None;
            }
            rule.file_only = found == Some(InTree::File);
        }
        self
    }

    /// Whether `path`, which must be [safe](check_safe), may change.
    pub fn allows(&self, path: &str) -> bool {
        self.allowed.iter().any(|rule| rule.names(path))
            && !self.protected.iter().any(|rule| rule.guards(path))
    }
}

/// What a base tree has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InTree {
    /// A file, or anything else that nothing can be below.
    File,
    /// A directory.
    Directory,
}

#[derive(Debug, Clone)]
struct Rule {
    literal: String,
    /// The literal name is a file's, so that nothing can be below it.
    file_only: bool,
    glob: Option<Glob>,
}

#[derive(Debug, Clone)]
struct Glob {
    matcher: GlobMatcher,
    /// The entry ends in `/`: it names directories, and means what is in them.
    directories: bool,
    /// How many `/` a match has, unless `**` or `{}` leave that open. A class
    /// such as `[!x]` would take a `/` otherwise.
    slashes: Option<usize>,
}

impl Rule {
    fn new(entry: &str) -> Result<Self, PathRuleError> {
        let literal = entry.strip_suffix('/').unwrap_or(entry);
        check_safe(literal.as_bytes())?;
        let glob = if literal.contains(['*', '?', '[', ']', '{', '}', '\\']) {
            Some(Glob::new(literal, entry.ends_with('/'))?)
        } else {
            None
        };
        Ok(Self {
            literal: literal.to_owned(),
            file_only: false,
            glob,
        })
    }

    /// Whether `path` is the entry, lies below it, or matches it.
    fn names(&self, path: &str) -> bool {
        path.strip_prefix(self.literal.as_str())
            .is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && !self.file_only))
            || self.glob.as_ref().is_some_and(|glob| {
                (!glob.directories && glob.matches(path))
                    || (glob.directories && ancestors(path).any(|dir| glob.matches(dir)))
            })
    }

    /// As [`Rule::names`], with everything below a match.
    fn guards(&self, path: &str) -> bool {
        self.names(path)
            || self.glob.as_ref().is_some_and(|glob| {
                glob.matches(path) || ancestors(path).any(|dir| glob.matches(dir))
            })
    }
}

impl Glob {
    fn new(pattern: &str, directories: bool) -> Result<Self, PathRuleError> {
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| PathRuleError::Glob {
                entry: escaped(pattern.as_bytes()),
                problem: error.kind().to_string(),
            })?;
        let open = pattern.contains("**") || pattern.contains('{');
        Ok(Self {
            matcher: glob.compile_matcher(),
            directories,
            slashes: (!open).then(|| pattern.matches('/').count()),
        })
    }

    fn matches(&self, path: &str) -> bool {
        self.matcher.is_match(path)
            && self
                .slashes
                .is_none_or(|count| path.matches('/').count() == count)
    }
}

/// The directories above `path`, deepest last.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allowed: &[&str], protected: &[&str]) -> AllowedPaths {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        AllowedPaths::new(&own(allowed), &own(protected)).expect("entries compile")
    }

    #[test]
    fn an_entry_that_is_no_plain_path_or_glob_is_refused() {
        for entry in [
            "",
            "/",
            "/etc",
            "../x",
            "src/../x",
            "./src",
            "src//x",
            "src///",
            ".git/hooks",
            "a\nb",
            "[",
            "src/[a",
            "{a",
            "a}",
            "[z-a]",
        ] {
            let entry = vec![entry.to_owned()];
            assert!(AllowedPaths::new(&entry, &[]).is_err(), "{entry:?}");
            assert!(AllowedPaths::new(&[], &entry).is_err(), "{entry:?}");
        }
    }

    #[test]
    fn nothing_is_allowed_that_no_entry_names() {
        assert!(!rules(&[], &[]).allows("a"));
        for (entry, path) in [
            ("src/", "src_evil/x"),
            ("src", "src_evil/x"),
            ("src", "srcx"),
            ("src/", "a/src/x"),
            ("src/*.py", "src/a/b.py"),
            ("src/*.py", "src/a.pyc"),
            ("src/*.py", "src/"),
            ("src/*", "src/a/b"),
            ("*", "src/a"),
            ("?", "ab"),
            ("a?b", "a/b"),
            ("a[!x]b", "a/b"),
            ("a[^x]b", "a/b"),
            ("src/a.py", "src/A.py"),
            ("Src/", "src/a"),
            ("src/**", "src"),
            ("data[1].py", "data[2].py"),
            ("src/a.py", "src/a.py.bak"),
        ] {
            assert!(!rules(&[entry], &[]).allows(path), "{entry} allows {path}");
        }
    }

    #[test]
    fn files_directories_and_globs_allow_what_they_name() {
        for (entry, path) in [
            ("src", "src/a"),
            ("src/", "src/a/b/c"),
            ("src", "src"),
            ("src/a.py", "src/a.py"),
            ("src/*.py", "src/a.py"),
            ("src/*.py", "src/.py"),
            ("src/**", "src/a"),
            ("src/**", "src/a/b/c.py"),
            ("**/*.py", "a.py"),
            ("**/*.py", "x/y/a.py"),
            ("src/**/test_*.py", "src/test_a.py"),
            ("src/**/test_*.py", "src/x/y/test_a.py"),
            ("*", "a"),
            ("src/{a,b}.py", "src/b.py"),
            ("src-*/", "src-1/x/y"),
            ("data[1].py", "data1.py"),
            ("data[1].py", "data[1].py"),
            ("größe/", "größe/ß"),
        ] {
            assert!(rules(&[entry], &[]).allows(path), "{entry} refuses {path}");
        }
    }

    #[test]
    fn an_entry_that_the_tree_has_is_that_and_nothing_else() {
        let file = rules(&["data[1].py"], &[]).in_tree(|_| Some(InTree::File));
        assert!(file.allows("data[1].py"));
        assert!(!file.allows("data1.py"));
        assert!(!file.allows("data[1].py/x"));
        let directory = rules(&["data[1]"], &[]).in_tree(|_| Some(InTree::Directory));
        assert!(directory.allows("data[1]/x"));
        assert!(!directory.allows("data1"));
        let new = rules(&["data[1]"], &[]).in_tree(|_| None);
        assert!(new.allows("data[1]/x") && new.allows("data1"));
    }

    #[test]
    fn protected_wins_over_allowed() {
        for (protected, path) in [
            ("src/eval/**", "src/eval/score.py"),
            ("src/eval", "src/eval/deep/score.py"),
            ("src/eval/", "src/eval/score.py"),
            ("src/*.py", "src/a.py"),
            ("src/eval*", "src/eval_data/x"),
            ("**/conftest.py", "src/x/conftest.py"),
            ("**", "src/a"),
            ("src/data[1].py", "src/data[1].py"),
            ("src/data[1].py", "src/data1.py"),
        ] {
            let rules = rules(&["src/**"], &[protected]).in_tree(|_| Some(InTree::File));
            assert!(!rules.allows(path), "{protected} leaves {path} open");
        }
        assert!(rules(&["src/**"], &["src/eval"]).allows("src/evaluate.py"));
    }
}
