//! The onboarding page of a task, in Markdown, for a miner or a miner's agent.

use std::fmt::Write as _;

use protocol::Task;
use protocol::task::{CompetitionMode, RankingMode};

/// Writes the page. It shows nothing of the task's private fields.
pub fn onboarding(id: &str, task: &Task, base_commit: &str) -> String {
    let mut page = String::new();
    let _ = competition(&mut page, id, task);
    let _ = source(&mut page, task, base_commit);
    let _ = commands(&mut page, task);
    let _ = submission(&mut page, task);
    let _ = protocol(&mut page, id, task);
    let _ = dry_run(&mut page, task);
    if !task.onboard_md.trim().is_empty() {
        let _ = write!(
            page,
            "\n## From the task's owner\n\n{}\n",
            task.onboard_md.trim()
        );
    }
    page
}

fn competition(page: &mut String, id: &str, task: &Task) -> std::fmt::Result {
    writeln!(page, "# {}\n", task.title)?;
    if !task.brief.trim().is_empty() {
        writeln!(page, "{}\n", task.brief.trim())?;
    }
    writeln!(page, "## Competition\n")?;
    writeln!(page, "* task: `{}` (`{id}`)", task.slug)?;
    writeln!(page, "* mode: {}", text(&task.competition_mode))?;
    writeln!(
        page,
        "* metric: `{}`, {}",
        task.metric_name,
        text(&task.metric_direction)
    )?;
    if let (RankingMode::Pareto, Some(name), Some(direction)) = (
        task.ranking_mode,
        &task.secondary_metric_name,
        &task.secondary_metric_direction,
    ) {
        writeln!(
            page,
            "* second metric: `{name}`, {}; the frontier of both is paid",
            text(direction)
        )?;
    } else {
        writeln!(
            page,
            "* only a strict improvement takes the lead; of equals, the earlier submission"
        )?;
    }
    if let Some(tolerance) = &task.metric_tolerance {
        writeln!(
            page,
            "* replays may differ by {tolerance} relative to their median"
        )?;
    }
    Ok(())
}

fn source(page: &mut String, task: &Task, base_commit: &str) -> std::fmt::Result {
    let repository = task.repository.as_deref().unwrap_or_default();
    writeln!(
        page,
        "\n## Source\n\n```sh\ngit clone {repository} work\ngit -C work checkout {base_commit}\n```\n"
    )?;
    writeln!(
        page,
        "Your patch is applied to exactly this commit.\n\n## What you may edit\n"
    )?;
    for path in &task.allowed_patch_paths {
        writeln!(page, "* `{path}`")?;
    }
    if !task.protected_paths.is_empty() {
        writeln!(page, "\nNever, even below those:\n")?;
        for path in &task.protected_paths {
            writeln!(page, "* `{path}`")?;
        }
    }
    writeln!(
        page,
        "\nA patch has at most {} bytes and changes at most {} files; no symbolic links, \
         submodules or generated files{}{}.",
        task.max_patch_bytes,
        task.max_patch_files,
        if task.allow_binary_patch {
            ""
        } else {
            ", no binary hunks"
        },
        if task.allow_executable {
            ""
        } else {
            ", no new executables"
        },
    )
}

fn commands(page: &mut String, task: &Task) -> std::fmt::Result {
    writeln!(page, "\n## What is run\n")?;
    for (name, command) in [
        ("setup", task.setup_command.as_ref()),
        ("benchmark", Some(&task.benchmark_command)),
        ("score", task.score_command.as_ref()),
    ] {
        if let Some(command) = command {
            writeln!(page, "{name}:\n\n    {}\n", command.replace('\n', "\n    "))?;
        }
    }
    writeln!(
        page,
        "All of it has {} seconds, without network.",
        task.time_budget_seconds
    )?;
    match &task.result_path {
        Some(path) => writeln!(
            page,
            "The metric is read from `{path}`; printed output is never parsed."
        ),
        None => writeln!(
            page,
            "The metric is the last `{0}: x` or `{0} = x` in the output.",
            task.metric_name
        ),
    }
}

fn submission(page: &mut String, task: &Task) -> std::fmt::Result {
    writeln!(page, "\n## What you submit\n")?;
    writeln!(
        page,
        "A patch or an artifact{}. `submission.json`:\n",
        if task.requires_artifact() {
            "; this task needs an artifact (https, with SHA-256 and size)"
        } else {
            ""
        }
    )?;
    writeln!(page, "```json\n{{")?;
    writeln!(
        page,
        "  \"summary\": \"What you changed and why it helps\","
    )?;
    if task.competition_mode == CompetitionMode::Centerless {
        writeln!(
            page,
            "  \"proposed_idea\": \"What somebody could try next\","
        )?;
    }
    if task.requires_artifact() {
        writeln!(
            page,
            "  \"artifact_uri\": \"https://example.org/model.bin\","
        )?;
        writeln!(page, "  \"artifact_sha256\": \"{}\",", "0".repeat(64))?;
        writeln!(page, "  \"artifact_size_bytes\": 1048576,")?;
    }
    let name = serde_json::to_string(&task.metric_name).unwrap_or_default();
    writeln!(page, "  \"claimed_metrics\": {{{name}: 0.0}}\n}}\n```\n")?;
    writeln!(page, "Claimed metrics never decide; validators replay.")
}

fn protocol(page: &mut String, id: &str, task: &Task) -> std::fmt::Result {
    writeln!(
        page,
        "\n## Claim, sign, submit\n\n\
         1. `POST /api/v1/tasks/{id}/claim` with `{{\"claim_description\": \"…\"}}`. A claim lives 45 minutes.\n\
         2. `POST /api/v1/submissions` with `claim_id`, `base_ref`, `patch`, and the fields above.\n\n\
         Both are signed with your hotkey (sr25519): headers `X-Hotkey`, `X-Timestamp` (unix seconds) and\n\
         `X-Signature`, the signature of six lines: `BT-AUTH-V1`, the method, the path, the query, the\n\
         timestamp, and the SHA-256 in hex of the body as `json.dumps(body, sort_keys=True,\n\
         separators=(\",\", \":\"))`. Or let the client do it:\n\n\
         ```sh\nbitsota-research-agent submit-workspace --coordinator-url URL --claim-id CLAIM \\\n    \
         --repo-dir work --submission-file submission.json\n```"
    )?;
    if task.competition_mode == CompetitionMode::PeerEvaluation {
        let count = task.min_peer_evaluations.unwrap_or(1);
        writeln!(
            page,
            "\nOther miners evaluate: {count} of them decide, by the median."
        )?;
    }
    Ok(())
}

fn dry_run(page: &mut String, task: &Task) -> std::fmt::Result {
    writeln!(
        page,
        "\n## Try it before you sign anything\n\n\
         ```sh\nreplay-runner run task.json --patch work.diff\n```\n\n\
         This is the engine that validators run, in the same sandbox. `task.json` is what\n\
         `GET /api/v1/tasks` says of `{}`.",
        task.slug
    )
}

/// The word of an enum on the wire.
fn text(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    json.trim_matches('"').to_owned()
}
