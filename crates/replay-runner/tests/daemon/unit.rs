//! The unit that operators install.

use std::fs;
use std::path::Path;
use std::process::Command;

const UNIT: &str = "replay-runner.service";

fn unit() -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(manifest.join("systemd").join(UNIT)).unwrap()
}

#[test]
fn every_supported_systemd_knows_the_units_type_and_reloads_it_by_a_signal() {
    // notify-reload came with 253, and Debian 12 has 252.
    let unit = unit();
    for line in ["Type=notify", "ExecReload=kill -HUP $MAINPID"] {
        assert!(unit.lines().any(|found| found == line), "no {line}");
    }
}

#[test]
fn the_systemd_of_this_machine_has_nothing_to_say_against_the_unit() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join(UNIT);
    // It looks whether the programs are there.
    let unit = unit().replace("/usr/local/bin/replay-runner", "/bin/true");
    fs::write(&file, unit).unwrap();
    let docker = "[Unit]\nDescription=Stands for the engine's\n[Service]\nExecStart=/bin/true\n";
    fs::write(place.path().join("docker.service"), docker).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&file)
        .env("SYSTEMD_UNIT_PATH", format!("{}:", place.path().display()))
        .output();
    let Ok(verified) = verified else {
        eprintln!("not verified: systemd-analyze is not on this machine");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    let against: Vec<&str> = said.lines().filter(|line| line.contains(UNIT)).collect();
    assert!(against.is_empty(), "{against:?}");
}
