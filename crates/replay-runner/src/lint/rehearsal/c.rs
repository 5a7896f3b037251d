//! Forgeries in C: functions that run before and after `main`, whoever wrote it.

use super::{Forgery, HELDOUT_ROOT, PRIVATE_MARK, Target};

/// Lines to put before a source file.
pub(super) fn payload(target: &Target<'_>, forgery: Forgery) -> Option<String> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let write = || {
        let (path, json) = (text(&target.result_path()?), text(&target.json()));
        Some(format!(
            "static void forge_result(void) {{ FILE *f = fopen({path}, \"w\"); if (f) {{ fputs({json}, f); fclose(f); }} }}\n"
        ))
    };
    let includes =
        "#include <dirent.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n";
    let body = match forgery {
        // Where only the supervisor measures, leaving out the work is the forgery.
        Forgery::WritesResult => {
            let (function, call) =
                write().map_or((String::new(), ""), |text| (text, "forge_result(); "));
            format!(
                "{function}__attribute__((constructor)) static void forge(void) {{ {call}_exit(0); }}\n"
            )
        }
        Forgery::WritesResultAtExit => format!(
            "{}__attribute__((destructor)) static void forge(void) {{ forge_result(); }}\n",
            write()?
        ),
        Forgery::LeavesAProcess => format!(
            "{}__attribute__((constructor)) static void forge(void) {{ if (fork() == 0) {{ setsid(); for (int n = 0; n < 3; n++) close(n); for (int i = 0; i < 20000; i++) {{ forge_result(); usleep(500); }} _exit(0); }} }}\n",
            write()?
        ),
        Forgery::PrintsMetric => format!(
            "__attribute__((constructor)) static void forge(void) {{ puts({}); fflush(stdout); _exit(0); }}\n",
            text(&target.printed())
        ),
        Forgery::ReadsPrivateInputs => format!(
            "__attribute__((constructor)) static void forge(void) {{ const char *root = getenv({}); DIR *dir = opendir(root ? root : \"/private\"); for (struct dirent *e; dir && (e = readdir(dir));) if (e->d_name[0] != '.') {{ puts({}); fflush(stdout); }} }}\n",
            text(HELDOUT_ROOT),
            text(PRIVATE_MARK)
        ),
        Forgery::PatchesLibrary | Forgery::ShadowsModule | Forgery::RewritesHarnessInSetup => {
            return None;
        }
    };
    Some(format!("{includes}{body}"))
}
