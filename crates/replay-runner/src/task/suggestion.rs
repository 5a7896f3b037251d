//! Turns "unknown field" into the name that was meant.

/// Adds the nearest right name to a deserialiser's message, and drops the list
/// of all names that it ends with.
pub(super) fn improve(message: &str) -> String {
    let Some((head, tail)) = message.split_once(", expected ") else {
        return message.to_owned();
    };
    let kind = ["unknown field `", "unknown variant `"]
        .into_iter()
        .find_map(|kind| {
            let rest = &head[head.find(kind)? + kind.len()..];
            rest.strip_suffix('`').or_else(|| rest.split('`').next())
        });
    let Some(wrong) = kind else {
        return message.to_owned();
    };
    // One parser quotes the names, another does not.
    let list = tail.strip_prefix("one of ").unwrap_or(tail);
    let known: Vec<&str> = list
        .split(", ")
        .flat_map(|names| names.split(" or "))
        .map(|name| name.trim_matches('`'))
        .collect();
    match nearest(wrong, &known) {
        Some(right) => format!("{head}; did you mean `{right}`?"),
        None if known.len() > 6 => head.to_owned(),
        None => message.to_owned(),
    }
}

fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), *name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + wrong.len() / 3)
        .map(|(_, name)| name)
}
