//! The operator's bounds: what a task may use here at most, and what one uses
//! that does not say.

use protocol::limits::Bytes;
use protocol::task::Task;
use protocol::{Code, Limits};

use crate::daemon::config::Bounds;
use crate::failure::Failure;

/// Refuses a task that asks for more than `bounds`; gives one that asks for
/// nothing what the bounds say.
pub(super) fn apply(bounds: &Bounds, has_limits: bool, task: &mut Task) -> Result<(), Failure> {
    if !has_limits {
        task.limits = defaults(bounds);
    }
    let limits = &task.limits;
    let asked: [(&str, u64, Option<u64>, &str); 6] = [
        (
            "limits.memory",
            limits.memory.get(),
            bounds.memory.map(Bytes::get),
            "replay_sandbox_memory_limit",
        ),
        (
            "limits.pids",
            limits.pids.into(),
            bounds.pids.map(u64::from),
            "replay_sandbox_pids_limit",
        ),
        (
            "limits.cpus",
            limits.cpus.into(),
            bounds.cpus.map(u64::from),
            "replay_sandbox_cpus",
        ),
        (
            "limits.workspace",
            limits.workspace.get(),
            bounds.workspace.map(Bytes::get),
            "replay_sandbox_workspace_size_bytes",
        ),
        (
            "limits.result",
            limits.result.get(),
            bounds.result.map(Bytes::get),
            "replay_sandbox_result_max_bytes",
        ),
        (
            "time_budget_seconds",
            task.time_budget_seconds,
            bounds.time_budget_seconds,
            "max_time_budget_seconds",
        ),
    ];
    for (field, value, most, key) in asked {
        if let Some(most) = most
            && value > most
        {
            return Err(Failure::new(
                Code::SandboxLimitsUnsatisfiable,
                format!("{field} is {value}, and this validator's {key} allows {most}"),
            ));
        }
    }
    Ok(())
}

fn defaults(bounds: &Bounds) -> Limits {
    let default = Limits::default();
    Limits {
        memory: bounds.memory.unwrap_or(default.memory),
        pids: bounds.pids.unwrap_or(default.pids),
        cpus: bounds.cpus.unwrap_or(default.cpus),
        workspace: bounds.workspace.unwrap_or(default.workspace),
        result: bounds.result.unwrap_or(default.result),
        ..default
    }
}
