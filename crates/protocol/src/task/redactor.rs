//! Takes what a task keeps private out of text that leaves a host, or that a log keeps.

use super::Task;

/// What stands in for a secret.
const HIDDEN: &str = "[private]";
/// Shorter values are words such as "1" and "true", which are no secrets.
const SHORTEST: usize = 4;

/// The private texts of one task.
#[derive(Clone, Default)]
pub struct Redactor(Vec<String>);

impl Redactor {
    /// The addresses of a task's private inputs, and the values of its
    /// environment.
    pub fn of(task: &Task) -> Self {
        let mut secrets: Vec<String> = task
            .validator_benchmark_env
            .values()
            .filter(|value| value.len() >= SHORTEST)
            .cloned()
            .collect();
        for file in &task.private_inputs {
            secrets.push(file.uri.clone());
            let host = url::Url::parse(&file.uri)
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned));
            // The host of the task's own repository is no secret.
            let is_public = |host: &String| {
                task.repository
                    .as_ref()
                    .is_some_and(|address| address.contains(host.as_str()))
            };
            secrets.extend(host.filter(|host| host.len() >= SHORTEST && !is_public(host)));
        }
        // What holds another goes first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// `text` without them.
    pub fn clean(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} texts)", self.0.len())
    }
}
