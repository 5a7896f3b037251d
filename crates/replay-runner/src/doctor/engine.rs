//! The engine and its runtime.

use super::Finding;
use crate::engine::Engine;

/// The first runc in which a container cannot reach the host through mounts that
/// change while it is created (CVE-2025-31133, -52565, -52881).
const SAFE_RUNC: [u32; 3] = [1, 2, 8];

pub(super) async fn examine(engine: &Engine) -> Vec<Finding> {
    let facts = match engine.facts().await {
        Ok(facts) => facts,
        Err(error) => {
            return vec![Finding::failure(
                "engine",
                error.to_string(),
                "look at the engine's own log",
            )];
        }
    };
    let mut findings = vec![Finding::ok(
        "engine",
        format!(
            "version {}, cgroup v{}, {} GiB of memory",
            facts.version,
            facts.cgroup_version,
            facts.memory_bytes >> 30
        ),
    )];
    findings.push(runtime(
        &facts.runtime,
        engine.runtime_version().await.as_deref(),
    ));
    findings
}

fn runtime(name: &str, version: Option<&str>) -> Finding {
    let found = format!("{name} {}", version.unwrap_or("of unknown version"));
    match version.and_then(parse) {
        Some(numbers) if name == "runc" && numbers < SAFE_RUNC => Finding::warning(
            "runtime",
            found,
            "update runc to 1.2.8 or later; until then what protects this host is that no container is ever \
             created while submitted code can write to a mount of its",
        ),
        _ => Finding::ok("runtime", found),
    }
}

fn parse(version: &str) -> Option<[u32; 3]> {
    let plain: String = version
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let mut parts = plain.split('.').map(|part| part.parse().ok());
    Some([
        parts.next()??,
        parts.next()??,
        parts.next().flatten().unwrap_or(0),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn an_old_runc_is_warned_about_and_a_new_one_is_not() {
        for (version, severity) in [
            ("1.1.5+ds1", Severity::Warning),
            ("1.2.7", Severity::Warning),
            ("1.2.8", Severity::Ok),
            ("1.10.0", Severity::Ok),
            ("2.0", Severity::Ok),
        ] {
            assert_eq!(
                runtime("runc", Some(version)).severity,
                severity,
                "{version}"
            );
        }
    }
}
