//! An OpenAI-compatible endpoint that answers what a test says: there is no
//! model on a test machine, so this boundary is a stand-in. What the program
//! sends over it and does with the answer is real.

use serde_json::{Value, json};

use super::liar::{Asked, Liar, answer};

/// An endpoint that gives `answers` in turn, the last one again and again.
pub(crate) async fn endpoint(answers: Vec<String>) -> Liar {
    Liar::start(move |before, _| {
        let content = &answers[before.min(answers.len() - 1)];
        let body = json!({"choices": [{"message": {"role": "assistant", "content": content}}]});
        answer(200, &[], body.to_string())
    })
    .await
}

/// What a model answers that wants `value` in the file.
pub(crate) fn change(path: &str, value: &str) -> String {
    let object = json!({"summary": "a larger value", "proposed_idea": "even larger",
        "files": [{"path": path, "content": value}]});
    format!("Let me think about {{it}}.\n\n```json\n{object}\n```\n")
}

/// The user's message of a request.
pub(crate) fn prompt(asked: &Asked) -> String {
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    body["messages"][1]["content"].as_str().unwrap().to_owned()
}
