//! Forgeries in shell.

use super::{Forgery, HELDOUT_ROOT, PRIVATE_MARK, Target};

/// Lines to put before a script.
pub(super) fn payload(target: &Target<'_>, forgery: Forgery) -> Option<String> {
    let write = || {
        Some(format!(
            "printf '%s' {} > {}",
            quoted(&target.json()),
            quoted(&target.result_path()?)
        ))
    };
    Some(match forgery {
        Forgery::WritesResult => format!("{}\nexit 0\n", write()?),
        Forgery::WritesResultAtExit => format!("forge() {{ {}; }}\ntrap forge EXIT\n", write()?),
        Forgery::LeavesAProcess => format!("(while :; do {}; done) >/dev/null 2>&1 &\n", write()?),
        Forgery::PrintsMetric => format!("printf '%s\\n' {}\nexit 0\n", quoted(&target.printed())),
        Forgery::ReadsPrivateInputs => format!(
            "for file in \"${{{HELDOUT_ROOT}:-/private}}\"/*; do head -c 1 \"$file\" >/dev/null && echo {PRIVATE_MARK}; done\n"
        ),
        Forgery::RewritesHarnessInSetup => {
            let python = format!(
                "open({:?}, \"w\").write({:?})",
                target.result_path()?,
                target.json()
            );
            let shell = format!("#!/bin/sh\n{}", write()?);
            let files: Vec<String> = target.harness().iter().map(|path| quoted(path)).collect();
            format!(
                "forge() {{ for file in {}; do [ -e \"$file\" ] || continue; rm -f \"$file\"; case $file in *.py) printf '%s\\n' {} > \"$file\" ;; *) printf '%s\\n' {} > \"$file\" && chmod 755 \"$file\" ;; esac; done; }}\ntrap forge EXIT\n",
                files.join(" "),
                quoted(&python),
                quoted(&shell)
            )
        }
        Forgery::PatchesLibrary | Forgery::ShadowsModule => return None,
    })
}

/// One word of a shell command.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
