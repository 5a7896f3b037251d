//! Forgeries in Python.

use super::{Forgery, HELDOUT_ROOT, PRIVATE_MARK, Target};
use crate::lint::pinned::Tree;

/// Modules of the library that benchmarks import, and those that Python looks for.
const SHADOWED: &[&str] = &[
    "json.py",
    "random.py",
    "sitecustomize.py",
    "usercustomize.py",
];

/// Where a new module would be found before the library's: beside allowed files
/// and at the top.
pub(super) fn shadows(tree: &Tree) -> Vec<String> {
    let mut dirs: Vec<&str> = tree
        .files
        .iter()
        .filter(|file| file.is_allowed && file.extension() == "py")
        .map(|file| file.path.rsplit_once('/').map_or("", |(dir, _)| dir))
        .collect();
    dirs.push("");
    dirs.sort_unstable();
    dirs.dedup();
    let join = |dir: &str, name: &str| {
        if dir.is_empty() {
            name.to_owned()
        } else {
            format!("{dir}/{name}")
        }
    };
    dirs.iter()
        .flat_map(|dir| SHADOWED.iter().map(move |name| join(dir, name)))
        .filter(|path| tree.allows(path) && tree.file(path).is_none())
        .collect()
}

/// Lines to put before a program.
pub(super) fn payload(target: &Target<'_>, forgery: Forgery) -> Option<String> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let write = || -> Option<String> {
        let (path, json) = (text(&target.result_path()?), text(&target.json()));
        Some(format!(
            "def _forge():\n    with open({path}, \"w\") as file:\n        file.write({json})\n"
        ))
    };
    Some(match forgery {
        Forgery::WritesResult => format!("import os\n{}_forge()\nos._exit(0)\n", write()?),
        Forgery::WritesResultAtExit => {
            format!("import atexit\n{}atexit.register(_forge)\n", write()?)
        }
        Forgery::LeavesAProcess => format!(
            "import os, time\n{}if os.fork() == 0:\n    os.setsid()\n    for number in range(3):\n        os.dup2(os.open(os.devnull, os.O_RDWR), number)\n    for _ in range(20000):\n        _forge()\n        time.sleep(0.0005)\n    os._exit(0)\n",
            write()?
        ),
        Forgery::PrintsMetric => format!(
            "import os\nprint({}, flush=True)\nos._exit(0)\n",
            text(&target.printed())
        ),
        Forgery::PatchesLibrary => {
            let json = text(&target.json());
            format!(
                "import json as _json\n_dumps = _json.dumps\n_json.dump = lambda value, file, **options: file.write({json})\n_json.dumps = lambda value, **options: {json}\n"
            )
        }
        Forgery::ReadsPrivateInputs => format!(
            "import os\nfor _place, _, _names in os.walk(os.environ.get({}, \"/private\")):\n    for _name in _names:\n        open(os.path.join(_place, _name), \"rb\").read(1)\n        print({}, flush=True)\n",
            text(HELDOUT_ROOT),
            text(PRIVATE_MARK)
        ),
        Forgery::RewritesHarnessInSetup => {
            let (path, json) = (text(&target.result_path()?), text(&target.json()));
            let forged = format!("with open({path}, \"w\") as file:\n    file.write({json})\n");
            let harness = text(&target.harness().join("\n"));
            format!(
                "import atexit, os\ndef _rewrite():\n    for path in {harness}.split():\n        if path.endswith(\".py\") and os.path.exists(path):\n            try:\n                os.unlink(path)\n                open(path, \"w\").write({})\n            except OSError:\n                pass\natexit.register(_rewrite)\n",
                text(&forged)
            )
        }
        Forgery::ShadowsModule => return None,
    })
}
