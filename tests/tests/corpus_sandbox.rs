//! Section 5 of the corpus: what submitted code can see, reach and change.

use std::time::Duration;

use anyhow::{Result, ensure};
use protocol::{Code, Fault};
use system_tests::corpus::engine::{docker, inspect};
use system_tests::corpus::{Lab, Row, Seen, Table, Task, row};

#[test]
fn submitted_code_finds_no_secret_and_reaches_nothing() {
    Table::in_lab(reach).holds();
}

#[test]
fn submitted_code_gains_no_privilege() {
    Table::new(privilege()).holds();
}

#[test]
fn a_stage_cannot_change_what_the_next_one_judges() {
    Table::new(stages()).holds();
}

#[test]
fn what_is_never_given_cannot_be_asked_for() {
    Table::new(asked_for()).holds();
}

#[test]
fn a_hostile_image_contributes_files_and_nothing_else() {
    let image = HostileImage::make().expect("an image can be made");
    Table::new(hostile_image(&image.0)).holds();
}

/// The text of `script` as a Python miner that reports how many of its attempts
/// were refused. `refused(name, attempt)` counts one.
fn attempts(script: &str) -> String {
    format!("{PRELUDE}\n{script}\nopen('result.json', 'w').write('{{\"score\": %d}}' % count)\n")
}

const PRELUDE: &str = r"
import ctypes, errno, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
count = 0
def refused(name, attempt):
    global count
    try:
        outcome = attempt()
    except OSError as error:
        print(name, 'refused', errno.errorcode.get(error.errno, error))
        count += 1
    else:
        print(name, 'ALLOWED', outcome)
def syscall(number, *arguments):
    ctypes.set_errno(0)
    outcome = libc.syscall(number, *arguments)
    if outcome < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return outcome
";

fn everything_is_refused(seen: &Seen) -> Result<()> {
    let allowed: Vec<String> = seen
        .output()
        .lines()
        .filter(|line| line.contains("ALLOWED"))
        .map(str::to_owned)
        .collect();
    ensure!(allowed.is_empty(), "{}", allowed.join("; "));
    ensure!(
        seen.output().contains("refused"),
        "nothing was tried: {}",
        seen.output()
    );
    Ok(())
}

/// Whether `line` is the number of one of the sandbox's users.
fn is_sandbox_user(line: &str) -> bool {
    line.parse()
        .is_ok_and(|uid: u32| (10_001..11_025).contains(&uid))
}

fn reach(lab: &Lab) -> Vec<Row> {
    let canaries = "canary-corpus";
    let hunting = || {
        Task::scored()
            .set("image", "\"replay-sandbox/python:1\"")
            .set("benchmark_command", "\"python3 run.py\"")
            .set("allowed_patch_paths", "[\"run.py\"]")
            .file("run.py", "open('answer', 'w').write('1\\n')\n")
            .budget(8)
    };
    let state = lab.state().display().to_string();
    vec![
        row("S01", "a hunt through processes, environment, secrets, wallets, sockets and every readable file")
            .of(hunting().private("heldout.txt", &format!("private-{canaries}\n")))
            .writes("run.py", &HUNT.replace("CANARY", &["canary-", "corpus"].join("\" + \"")).replace("STATE", &state))
            .scores("0")
            .and("no container was given one", |seen| {
                ensure!(seen.output().contains("hunted"), "{}", seen.output());
                Ok(())
            }),
        row("S01", "what the engine was told holds no secret")
            .of(Task::sh().budget(8))
            .miner("sleep 2; echo '{\"score\": 2}' > result.json")
            .meanwhile(|running| {
                let container = running.wait_for_stage("benchmark")?;
                let known = inspect(&container)?;
                let told = known.to_string();
                let secrets = running.canaries().iter().filter(|canary| canary.contains("-canary-"));
                for canary in secrets {
                    ensure!(!told.contains(canary.as_str()), "{canary} is in {told}");
                }
                let mounts = known["Mounts"].to_string();
                ensure!(!mounts.contains("docker.sock"), "{mounts}");
                ensure!(known["HostConfig"]["AutoRemove"] == false, "it could vanish before it is looked at");
                ensure!(known["HostConfig"]["Privileged"] == false, "it is privileged");
                Ok(())
            })
            .scores("2"),
        row("S02", "the system's directories cannot be written, and the job goes on")
            .of(Task::python())
            .miner(&attempts(READ_ONLY))
            .and("every attempt is refused", everything_is_refused),
        row("S03", "nothing but its own loopback can be reached, and that is told at once")
            .of(Task::python())
            .miner(&attempts(CONNECT))
            .and("every attempt is refused", everything_is_refused)
            .and("lo works", |seen| {
                ensure!(seen.output().contains("loopback works") && seen.output().contains("localhost works"), "{}", seen.output());
                Ok(())
            })
            .and("no attempt waited", |seen| {
                ensure!(seen.stage("benchmark")?.wall_seconds < 3.0, "{:?}", seen.stage("benchmark")?);
                Ok(())
            }),
        row("S17", "a variable of the task that looks like one of the host's is literal text")
            .of(Task::sh().environment("TOKEN", "${HOTKEY} $HOME `id`"))
            .miner("[ \"$TOKEN\" = '${HOTKEY} $HOME `id`' ] && [ -z \"$HOTKEY\" ] && [ \"$HOME\" = /tmp ] && echo '{\"score\": 2}' > result.json")
            .scores("2"),
        row("W13", "a token is not kept in output, forwards")
            .of(Task::sh().environment("TOKEN", "sesame-4711"))
            .miner("echo \"it is $TOKEN.\"; echo '{\"score\": 2}' > result.json")
            .scores("2")
            .and("it is replaced", |seen| {
                ensure!(!seen.stdout.contains("sesame-4711") && seen.output().contains("it is [redacted]."), "{}", seen.output());
                Ok(())
            }),
        row("W15", "setup sees neither the benchmark's environment nor private inputs")
            .of(Task::scored()
                .environment("TOKEN", "sesame-4711")
                .private("heldout.txt", "7\n")
                .set("setup_command", "\"sh src/setup.sh\"")
                .file("src/setup.sh", "true\n"))
            .writes("src/setup.sh", "[ -z \"$TOKEN\" ] && [ ! -e /private ] && env | grep -q AUTORESEARCH && exit 3; echo 2 > src/seen")
            .writes("run.sh", "[ ! -e /private ] && cat src/seen > answer")
            .scores("2"),
        row("S01", "the scorer, and only the scorer, sees the private inputs")
            .of(Task::scored()
                .private("heldout.txt", "7\n")
                .file("score.sh", "echo \"{\\\"score\\\": $(cat /private/heldout.txt)}\" > result.json\n"))
            .miner("cat /private/heldout.txt 2>/dev/null && exit 9; ls /private 2>/dev/null && exit 8; echo 1 > answer")
            .scores("7"),
        row("S01", "private inputs in the benchmark tell nothing of where they are")
            .of(Task::sh().private("heldout.txt", "7\n"))
            .miner("cat /proc/self/mountinfo; echo \"{\\\"score\\\": $(cat /private/heldout.txt)}\" > result.json; echo x >> /private/heldout.txt; rm /private/heldout.txt; true")
            .scores("7")
            .and("no mount names the state directory", move |seen| {
                let mounts = seen.output();
                ensure!(mounts.contains(" /private ") && !mounts.contains(&state), "{mounts}");
                Ok(())
            }),
    ]
}

/// Looks for texts of this test in every place that it can read. The needle is
/// put together at run time, so that it does not find itself.
const HUNT: &str = r#"
import os, stat
needle = ("CANARY").encode()
found = []
def look(path):
    try:
        kind = os.lstat(path).st_mode
        if stat.S_ISSOCK(kind):
            found.append(path)
        elif stat.S_ISREG(kind):
            with open(path, "rb") as file:
                if needle in file.read(1 << 22):
                    found.append(path)
    except OSError:
        pass
places = ["/run", "/var/run", "/root", "/home", "/private", "/mnt", "/media", "/srv", "/tmp", "/workspace", "/etc", "/dev/shm",
          "/var/lib", os.path.expanduser("~/.bittensor"), "STATE"]
for place in places:
    for directory, _, names in os.walk(place):
        for name in names:
            look(os.path.join(directory, name))
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline", "mountinfo", "cgroup"):
        look(f"/proc/{pid}/{name}")
for name in ("/proc/self/mountinfo", "/proc/mounts", "/proc/keys", "/proc/1/environ"):
    look(name)
try:
    with open("/proc/self/environ", "rb") as file:
        if needle in file.read():
            found.append("environ")
except OSError:
    pass
for name in ("/var/run/docker.sock", "/run/docker.sock", "/run/secrets", "/private"):
    if os.path.lexists(name):
        found.append(name)
print("hunted", *found)
open("answer", "w").write("%d\n" % len(found))
"#;

const READ_ONLY: &str = r"
for place in ('/', '/etc', '/usr', '/usr/bin', '/bin', '/var', '/root', '/proc', '/sys', '/dev'):
    refused(place, lambda: open(os.path.join(place, 'x'), 'w'))
refused('hosts', lambda: open('/etc/hosts', 'a'))
refused('passwd', lambda: open('/etc/passwd', 'a'))
refused('remount', lambda: syscall(165, b'none', b'/', None, 0x20, None))
";

const CONNECT: &str = r"
def connect(address, port, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect((address, port))
for address in ('1.1.1.1', '172.17.0.1', '10.0.0.1', '192.168.0.1', '169.254.169.254', '100.100.100.100'):
    refused(address, lambda: connect(address, 80))
refused('ipv6', lambda: connect('2606:4700:4700::1111', 53, socket.AF_INET6))
def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b'x', ('1.1.1.1', 53))
refused('udp', send)
refused('broadcast', lambda: connect('255.255.255.255', 7))
def lookup():
    try:
        return socket.getaddrinfo('example.com', 80)
    except socket.gaierror as error:
        raise OSError(errno.ENETUNREACH, str(error))
refused('dns', lookup)
refused('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
refused('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
refused('docker', lambda: socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock'))
print('interfaces', os.listdir('/sys/class/net'))
server = socket.create_server(('127.0.0.1', 0))
connect('127.0.0.1', server.getsockname()[1])
print('loopback works')
connect('localhost', server.getsockname()[1])
print('localhost works')
";

fn privilege() -> Vec<Row> {
    let tries = |id, says, script: &str| {
        row(id, says)
            .of(Task::python())
            .miner(&attempts(script))
            .and("every attempt is refused", everything_is_refused)
    };
    vec![
        tries("S04", "sockets of the virtual machine's host", "refused('vsock', lambda: socket.socket(40, socket.SOCK_STREAM))"),
        tries("S04", "sockets of other families than IP and UNIX", SOCKETS),
        tries("S05", "system calls that reach into the kernel", KERNEL_CALLS),
        tries("S07", "devices", DEVICES),
        tries("S07", "what a host has few of for all its containers", SCARCE),
        tries("S08", "files through which the kernel calls programs", HELPERS),
        row("S06", "no capability, no way to new privileges, a filter, a user of no host")
            .miner("grep -E '^(NoNewPrivs|Seccomp|Cap...|Uid|Groups):' /proc/self/status; echo '{\"score\": 2}' > result.json")
            .scores("2")
            .and("the kernel says so", |seen| {
                for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "CapPrm:\t0000000000000000", "CapAmb:\t0000000000000000"] {
                    ensure!(seen.output().contains(line), "no {line:?} in {}", seen.output());
                }
                Ok(())
            }),
    ]
}

const SOCKETS: &str = r"
for family in (16, 17, 29, 31, 38, 44, 2 ** 20):
    refused('family %d' % family, lambda: socket.socket(family, socket.SOCK_RAW))
";

const KERNEL_CALLS: &str = r"
buffer = ctypes.create_string_buffer(4096)
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID = 0x10000000, 0x20000, 0x40000000, 0x20000000
refused('io_uring_setup', lambda: syscall(425, 8, buffer))
refused('io_uring_enter', lambda: syscall(426, 0, 0, 0, 0, None, 0))
refused('add_key', lambda: syscall(248, b'user', b'x', b'y', 1, -3))
refused('request_key', lambda: syscall(249, b'user', b'x', None, -3))
refused('keyctl', lambda: syscall(250, 0, -3, 1))
refused('userfaultfd', lambda: syscall(323, 0))
refused('bpf', lambda: syscall(321, 0, buffer, 64))
refused('perf_event_open', lambda: syscall(298, buffer, 0, -1, -1, 0))
for name, flag in (('user', CLONE_NEWUSER), ('mount', CLONE_NEWNS), ('net', CLONE_NEWNET), ('pid', CLONE_NEWPID)):
    refused('unshare ' + name, lambda: syscall(272, flag))
refused('clone3', lambda: syscall(435, buffer, 88))
refused('setns', lambda: syscall(308, os.open('/proc/self/ns/net', os.O_RDONLY), 0))
refused('mount', lambda: syscall(165, b'tmpfs', b'/tmp', b'tmpfs', 0, None))
refused('open_tree', lambda: syscall(428, -100, b'/', 0))
refused('fsopen', lambda: syscall(430, b'tmpfs', 0))
refused('pivot_root', lambda: syscall(155, b'/tmp', b'/tmp'))
refused('chroot', lambda: os.chroot('/tmp'))
refused('ptrace of the first process', lambda: syscall(101, 16, 1, None, None) if os.getpid() != 1 else syscall(101, 16, 0, None, None))
refused('process_vm_readv', lambda: syscall(310, 0, buffer, 1, buffer, 1, 0))
refused('kexec', lambda: syscall(246, 0, 0, None, 0))
refused('init_module', lambda: syscall(175, buffer, 0, b''))
refused('reboot', lambda: syscall(169, 0xfee1dead, 672274793, 0x1234567, None))
refused('swapon', lambda: syscall(167, b'/tmp/x', 0))
refused('settimeofday', lambda: time.clock_settime(time.CLOCK_REALTIME, 1))
refused('sethostname', lambda: socket.sethostname('x'))
refused('setuid', lambda: os.setuid(0))
refused('setgroups', lambda: os.setgroups([0]))
refused('nice', lambda: os.nice(-5))
refused('name_to_handle_at', lambda: syscall(304, -100, b'/', None, 0, 0))
refused('open_by_handle_at', lambda: syscall(304, -100, buffer, 0))
refused('quotactl', lambda: syscall(179, 0, b'/', 0, None))
";

const DEVICES: &str = r"
import stat
for name, kind, number in (('block', stat.S_IFBLK, (8, 0)), ('memory', stat.S_IFCHR, (1, 1)), ('kvm', stat.S_IFCHR, (10, 232))):
    for place in ('/tmp/', '/workspace/', '/dev/', '/dev/shm/'):
        refused(name + ' in ' + place, lambda: os.mknod(place + name, kind | 0o666, os.makedev(*number)))
for name in ('kvm', 'mem', 'kmem', 'kmsg', 'port', 'fuse', 'net/tun', 'vda', 'sda', 'loop-control', 'vsock', 'mapper/control', 'console'):
    refused(name, lambda: os.open('/dev/' + name, os.O_RDWR))
refused('dmesg', lambda: syscall(103, 3, ctypes.create_string_buffer(1024), 1024))
refused('kcore', lambda: open('/proc/kcore', 'rb').read(1) or os.stat('/proc/nothing'))
refused('kallsyms with addresses', lambda: any(int(line.split()[0], 16) for line in open('/proc/kallsyms')) or os.stat('/proc/nothing'))
";

const SCARCE: &str = r"
context = ctypes.c_ulong(0)
refused('contexts of asynchronous I/O', lambda: syscall(206, 65536, ctypes.byref(context)))
refused('terminals', lambda: os.openpty())
";

const HELPERS: &str = r"
import glob
names = ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/kernel/hotplug', '/sys/kernel/uevent_helper',
         '/proc/sysrq-trigger', '/proc/sys/vm/panic_on_oom', '/proc/sys/fs/binfmt_misc/register', '/proc/sys/net/ipv4/ip_forward',
         '/proc/1/oom_score_adj', '/sys/fs/cgroup/release_agent', '/sys/fs/cgroup/cgroup.procs', '/sys/power/state']
names += glob.glob('/sys/fs/cgroup/*/release_agent') + glob.glob('/sys/fs/cgroup/*/notify_on_release')
names += glob.glob('/sys/fs/cgroup/*/memory.limit_in_bytes') + glob.glob('/sys/fs/cgroup/memory.max')
for name in names:
    refused(name, lambda: os.write(os.open(name, os.O_WRONLY), b'-999'))
refused('a cgroup', lambda: os.mkdir('/sys/fs/cgroup/x') if os.path.exists('/sys/fs/cgroup/cgroup.procs') else os.mkdir('/sys/fs/cgroup/memory/x'))
";

fn stages() -> Vec<Row> {
    let prepared = || {
        Task::scored()
            .set("setup_command", "\"sh src/setup.sh\"")
            .file("src/setup.sh", "true\n")
            .file(
                "score.sh",
                "echo \"{\\\"score\\\": $(cat answer)}\" > result.json\n",
            )
    };
    let forged = "printf 'echo \"{\\\\\"score\\\\\": 99}\" > result.json\\n'";
    let tampers = |id, says, script: &str| {
        row(id, says)
            .of(prepared())
            .writes("src/setup.sh", script)
            .rejects(Code::IntegrityProtectedPathModified)
    };
    let harmless = |id, says, script: &str| {
        row(id, says)
            .of(prepared())
            .miner(&format!("echo 4 > answer\n{script}"))
            .scores("4")
    };
    vec![
        tampers("S09", "setup writes to the scorer", &format!("chmod +w score.sh eval; {forged} > score.sh")),
        tampers("S09", "setup renames something over the scorer", &format!("{forged} > s; mv s score.sh")),
        tampers("S09", "setup puts a link in place of the scorer", &format!("{forged} > src/s; ln -sf src/s score.sh")),
        tampers("S09", "setup removes the scorer", "rm -f score.sh"),
        tampers("S09", "setup moves a directory away and another one into its place", "mv eval old; mkdir eval; echo '{\"score\": 9}' > eval/expected.json"),
        tampers("S09", "setup changes the task file", "echo '# more' >> task.toml"),
        tampers("S09", "setup changes one byte, and neither size nor time", "printf X | dd of=score.sh bs=1 conv=notrunc 2>/dev/null; touch -d @0 score.sh"),
        row("S09", "setup touches the scorer and changes nothing of it")
            .of(prepared())
            .writes("src/setup.sh", "touch score.sh; chmod 777 score.sh")
            .writes("run.sh", "echo 4 > answer")
            .scores("4"),
        harmless("S09", "the benchmark writes to the scorer, which is judged by the pristine one", &format!("{forged} > score.sh")),
        harmless("S09", "the benchmark removes everything but its answer", "rm -rf score.sh eval task.toml src"),
        harmless("S09", "the benchmark puts a program of its own before the scorer's", "mkdir -p bin; printf '#!/bin/sh\\necho 99' > cat; chmod +x cat; cp cat bin; cp cat src; echo 'alias cat=false' > .profile; cp .profile .bashrc"),
        row("S09", "without a scorer a changed protected file is a rejection")
            .miner(&format!("echo '{{\"score\": 9}}' > eval/expected.json; {}", "echo '{\"score\": 9}' > result.json"))
            .rejects(Code::IntegrityProtectedPathModified),
        row("S12", "a writer that is left behind is gone before the scorer is made")
            .of(prepared())
            .miner("echo 4 > answer\n(setsid sh -c 'sleep 1; while :; do echo 9 > answer; done' &) >/dev/null 2>&1")
            .scores("4")
            .and("the benchmark's container was removed first", |seen| {
                let events = seen.events()?;
                let position = |action: &str, stage: &str| {
                    events.iter().position(|event| event.action == action && event.container.ends_with(stage))
                };
                let (gone, made) = (position("destroy", "-benchmark"), position("create", "-score"));
                ensure!(gone.is_some() && gone < made, "{events:?}");
                Ok(())
            }),
    ]
}

fn asked_for() -> Vec<Row> {
    let asks = |field: &str, value: &str| {
        row("S13", "a task asks for what is never given")
            .of(Task::sh().set(field, value))
            .errs(Code::SpecInvalid, Fault::Task)
    };
    let limit = |name: &str, value: &str| {
        row("S13", "a task asks for a limit that is none")
            .of(Task::sh().limit(name, value))
            .errs(Code::SpecInvalid, Fault::Task)
    };
    let mut rows = vec![
        asks("privileged", "true"),
        asks("network", "\"host\""),
        asks("pid", "\"host\""),
        asks("ipc", "\"host\""),
        asks("cap_add", "[\"SYS_ADMIN\"]"),
        asks("volumes", "[\"/:/host\"]"),
        asks("mounts", "[\"/var/run/docker.sock:/var/run/docker.sock\"]"),
        asks("devices", "[\"/dev/kvm\"]"),
        asks("security_opt", "[\"seccomp=unconfined\"]"),
        asks("user", "\"root\""),
        asks("entrypoint", "\"/bin/sh\""),
        asks("result_path", "\"../result.json\""),
        asks("result_path", "\"/etc/passwd\""),
        asks("allowed_patch_paths", "[\"/etc\"]"),
        asks("time_budget_seconds", "0"),
        asks("time_budget_seconds", "-1"),
        asks("time_budget_seconds", "99999999"),
        limit("memory", "\"-1\""),
        limit("pids", "-1"),
        limit("oom_kill_disable", "true"),
        limit("swap", "\"1g\""),
    ];
    rows = rows
        .into_iter()
        .map(|row| {
            row.and("no container was made", |seen| {
                let made = seen.owner.is_some() && !seen.events()?.is_empty();
                ensure!(!made, "{:?}", seen.events()?);
                Ok(())
            })
        })
        .collect();
    let zeros = "0".repeat(64);
    let image = |says, reference: &str| {
        row("S14", says).of(Task::sh().set("image", &format!("{reference:?}")))
    };
    rows.extend([
        image(
            "a name is resolved once and told by digest",
            "replay-sandbox/c:1",
        )
        .and("the report names the digest", |seen| {
            let id = docker(&[
                "image",
                "inspect",
                "--format",
                "{{.Id}}",
                "replay-sandbox/c:1",
            ])?;
            ensure!(
                seen.report.image.as_deref() == Some(id.trim()),
                "{:?}",
                seen.report.image
            );
            Ok(())
        }),
        image("an id that nobody has", &format!("sha256:{zeros}"))
            .errs(Code::SandboxImageUnavailable, Fault::Validator),
        image(
            "a name with a digest that it does not have",
            &format!("replay-sandbox/c@sha256:{zeros}"),
        )
        .errs(Code::SandboxImageUnavailable, Fault::Validator),
        image("a name that nobody has", "replay-test/nowhere:1")
            .filed_under("C09")
            .errs(Code::SandboxImageUnavailable, Fault::Validator),
    ]);
    let no_names = ["UPPER/x:1", "--privileged", "x//y"];
    rows.extend(no_names.map(|name| {
        image("what no image can be called", name)
            .errs(Code::SandboxImageUnavailable, Fault::Validator)
    }));
    rows
}

/// An image that wants to be more than files. Removed when dropped.
struct HostileImage(String);

impl HostileImage {
    fn make() -> Result<Self> {
        let name = format!("replay-test/hostile:{}", std::process::id());
        let script = "cp /usr/bin/id /usr/bin/setuid-id && chmod 4755 /usr/bin/setuid-id && cp /usr/bin/sh /usr/bin/setuid-sh && chmod 6755 /usr/bin/setuid-sh \
            && printf '#!/bin/sh\\necho ENTRYPOINT RAN\\n' > /hijack && chmod +x /hijack && echo planted > /root-only && chmod 600 /root-only && mkdir -p /data && echo planted > /data/planted";
        let container = format!("replay-test-hostile-{}", std::process::id());
        docker(&[
            "run",
            "--name",
            &container,
            "--network",
            "none",
            "--user",
            "root",
            "--entrypoint",
            "/bin/sh",
            "replay-sandbox/c:1",
            "-c",
            script,
        ])?;
        let changes = [
            "ENTRYPOINT [\"/hijack\"]",
            "CMD [\"/hijack\"]",
            "USER root",
            "WORKDIR /data",
            "VOLUME /data",
            "VOLUME /workspace",
            "ENV LD_PRELOAD=/hijack.so",
            "ENV PYTHONSTARTUP=/hijack",
            "ENV HOME=/root",
            "ENV SECRET=from-the-image",
            "HEALTHCHECK --interval=1s CMD touch /tmp/health",
            "EXPOSE 80",
            "ONBUILD RUN /hijack",
        ];
        let mut arguments = vec!["commit"];
        arguments.extend(changes.iter().flat_map(|change| ["--change", *change]));
        arguments.extend([container.as_str(), name.as_str()]);
        let made = docker(&arguments);
        docker(&["rm", "--force", &container])?;
        made?;
        Ok(Self(name))
    }
}

impl Drop for HostileImage {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

fn hostile_image(image: &str) -> Vec<Row> {
    let task = || Task::sh().set("image", &format!("{image:?}")).budget(8);
    vec![
        row("S15", "its entry point, user, directory, variables, volumes and health check do not count")
            .of(task())
            .miner("env; id -u; pwd; ls /data; sleep 2.5; ls /tmp; echo '{\"score\": 2}' > result.json")
            .meanwhile(|running| {
                let container = running.wait_for_stage("benchmark")?;
                let known = inspect(&container)?;
                let mounts = known["Mounts"].as_array().cloned().unwrap_or_default();
                ensure!(mounts.iter().all(|mount| mount["Type"] != "volume"), "{mounts:?}");
                Ok(())
            })
            .scores("2")
            .and("none of them shows", |seen| {
                let output = seen.output();
                for trace in ["LD_PRELOAD", "PYTHONSTARTUP", "SECRET", "HOME=/root", "ENTRYPOINT RAN", "health", "planted"] {
                    ensure!(!output.contains(trace), "{trace} is in {output}");
                }
                ensure!(output.lines().any(is_sandbox_user) && output.contains("\n/workspace\n"), "{output}");
                Ok(())
            }),
        row("S06", "its user is a user of its core alone, and has a name")
            .miner("id -un; echo $(grep Cpus_allowed_list /proc/self/status) $(grep ^Uid: /proc/self/status); echo '{\"score\": 2}' > result.json")
            .scores("2")
            .and("the number is the core's", |seen| {
                let output = seen.output();
                let words: Vec<&str> = output.split_whitespace().collect();
                let [name, "Cpus_allowed_list:", core, "Uid:", uids @ ..] = words.as_slice() else {
                    anyhow::bail!("{output}");
                };
                let expected = (10_001 + core.parse::<u32>()?).to_string();
                ensure!(*name == "sandbox" && uids.len() == 4 && uids.iter().all(|uid| *uid == expected), "{output}");
                Ok(())
            }),
        row("S06", "a setuid program gains nothing")
            .of(task())
            .miner("setuid-id -u; setuid-sh -p -c 'id -u; cat /root-only'; echo '{\"score\": 2}' > result.json")
            .scores("2")
            .and("it ran as the sandbox's user", |seen| {
                let output = seen.output();
                let as_sandbox = output.lines().filter(|line| is_sandbox_user(line)).count() == 2 && output.contains("Permission denied");
                ensure!(as_sandbox && !output.contains("planted"), "{output}");
                Ok(())
            }),
        row("S15", "it stops when it is told to")
            .of(task().budget(1))
            .miner("sleep 60")
            .rejects(Code::BenchmarkTimeout)
            .and("it is gone a second after its budget", |seen| {
                seen.every_container_was_gone_within(Duration::from_secs(2).as_secs_f64())
            }),
    ]
}
