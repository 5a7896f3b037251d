//! The fields of `recipe.toml`, and which values they may have.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Not TOML, a field missing, or a field nobody knows.
    #[error(transparent)]
    Syntax(#[from] toml::de::Error),

    /// A field is empty or holds something that could be taken for an option,
    /// a path or a shell's own sign further on.
    #[error("{field} must not be {value:?}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },

    /// A pattern of files to remove is not a glob.
    #[error("{pattern:?} is not a glob: {source}")]
    BadGlob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
}

/// The fields of `recipe.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    pub(super) name: String,
    pub(super) tag: String,
    pub(super) suite: String,
    pub(super) packages: Vec<String>,
    #[serde(default)]
    pub(super) stand_ins: Vec<String>,
    #[serde(default)]
    pub(super) remove: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
}

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, RecipeError> {
        let fields: Self = toml::from_str(text)?;
        check("name", [&fields.name], is_image_name)?;
        check("tag", [&fields.tag], is_word)?;
        check("suite", [&fields.suite], is_word)?;
        check("packages", &fields.packages, is_word)?;
        check("stand_ins", &fields.stand_ins, is_word)?;
        check("remove", &fields.remove, is_relative)?;
        check("env", fields.env.keys(), is_variable)?;
        check("env", fields.env.values(), |value| !value.contains('\0'))?;
        if fields.packages.is_empty() {
            return Err(RecipeError::BadValue {
                field: "packages",
                value: String::new(),
            });
        }
        Ok(fields)
    }
}

fn check<'a>(
    field: &'static str,
    values: impl IntoIterator<Item = &'a String>,
    allowed: impl Fn(&str) -> bool,
) -> Result<(), RecipeError> {
    match values.into_iter().find(|value| !allowed(value)) {
        Some(value) => Err(RecipeError::BadValue {
            field,
            value: value.clone(),
        }),
        None => Ok(()),
    }
}

/// A package's, suite's or tag's name: begins with a letter or digit, so that it
/// cannot be taken for an option, and has nothing in it that a shell would act on.
fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
}

fn is_image_name(text: &str) -> bool {
    text.split('/').all(is_word) && !text.contains(|c: char| c.is_ascii_uppercase() || c == '+')
}

fn is_variable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a pattern can match the path of a file in an image at all.
fn is_relative(pattern: &str) -> bool {
    !pattern.starts_with(['/', '.']) && !pattern.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str =
        "name = \"test/image\"\ntag = \"1\"\nsuite = \"bookworm\"\npackages = [\"gcc\"]\n";

    fn parse(text: &str) -> Result<Fields, RecipeError> {
        Fields::parse(text)
    }

    #[test]
    fn refuses_an_unknown_field() {
        let error = parse(&format!("{MINIMAL}pakages = []\n")).expect_err("a misspelt field");
        assert!(error.to_string().contains("pakages"), "{error}");
    }

    #[test]
    fn refuses_a_recipe_without_packages() {
        assert!(parse(&MINIMAL.replace("\"gcc\"", "")).is_err());
    }

    #[test]
    fn refuses_names_that_could_be_taken_for_something_else() {
        for (good, bad) in [
            ("\"gcc\"", "\"--option\""),
            ("\"gcc\"", "\"gcc;reboot\""),
            ("\"gcc\"", "\"\""),
            ("\"bookworm\"", "\"../etc\""),
            ("test/image", "/image"),
            ("test/image", "Test/image"),
        ] {
            assert!(parse(&MINIMAL.replace(good, bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn refuses_patterns_that_can_match_nothing() {
        for pattern in ["/usr/share/doc", "./usr", "usr/share/"] {
            assert!(
                parse(&format!("{MINIMAL}remove = [\"{pattern}\"]\n")).is_err(),
                "{pattern}"
            );
        }
    }

    #[test]
    fn reads_a_recipe_that_says_only_what_it_must() {
        let fields = parse(MINIMAL).expect("a recipe");
        assert_eq!(fields.packages, ["gcc"]);
        assert!(fields.stand_ins.is_empty() && fields.remove.is_empty() && fields.env.is_empty());
    }
}
