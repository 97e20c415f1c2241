//! A worker in which something goes wrong does no harm: a library that tries everything
//! is given to the real program as its runtime.
//!
//! What is refused to the confined worker is done by the one that is not, so each of
//! these attempts is one that would work.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use swictation_tests::programs::{Daemon, Follower, Home, Ran, recording, root, run, runtime, silence, toy};
use swictation_tests::{bus::Bus, need, program};

/// What must be refused.
const REFUSED: [&str; 23] = [
    "read-a-file-of-the-home",
    "list-the-home",
    "read-another-model",
    "read-etc-passwd",
    "make-a-file-in-the-home",
    "make-a-file-in-tmp",
    "write-to-the-model",
    "make-a-file-in-the-model",
    "let-others-read",
    "rename",
    "make-a-link",
    "remove",
    "read-the-environment-of-the-daemon",
    "read-a-command-line",
    "connect-to-a-socket",
    "connect-to-the-network",
    "make-a-socket-for-datagrams",
    "start-a-process",
    "run-a-program",
    "signal-the-daemon",
    "read-the-memory-of-the-daemon",
    "trace-the-daemon",
    "be-dumpable-again",
];

/// What depends on the settings of the kernel even without confinement.
const UNSURE: [&str; 2] = ["read-the-memory-of-the-daemon", "trace-the-daemon"];

/// What a worker cannot do without.
const USED: [&str; 8] = [
    "use-the-model",
    "use-what-models-share",
    "use-a-linked-file",
    "use-system-libraries",
    "use-the-null-device",
    "use-proc",
    "use-memory-with-a-name",
    "use-a-thread",
];

/// A home with a model, a diary and two sockets, and the library that wants all of it.
struct Prey {
    home: Home,
    library: PathBuf,
    tcp: TcpListener,
    _unix: UnixListener,
}

impl Prey {
    /// None where nothing can be compiled.
    fn new() -> Option<Prey> {
        if !need("a C compiler", program("cc")) {
            return None;
        }
        let home = Home::new();
        for folder in ["models/a", "models/other", "tmp", "library"] {
            fs::create_dir_all(home.path(folder)).unwrap();
        }
        for file in ["diary", "doomed", "models/other/weights", "models/vocab.txt", "models/weights"] {
            fs::write(home.path(file), "text").unwrap();
        }
        fs::set_permissions(home.path("diary"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(home.path("models/a/model.toml"), "vocabulary = { path = \"../vocab.txt\" }\n").unwrap();
        symlink("../weights", home.path("models/a/linked")).unwrap();
        let library = home.path("library/libonnxruntime.so");
        let source = root().join("tests/src/intruder.c");
        let compiled = run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source));
        assert_eq!(compiled.code, 0, "{compiled:?}");
        let unix = UnixListener::bind(home.path("socket")).unwrap();
        Some(Prey { home, library, tcp: TcpListener::bind("127.0.0.1:0").unwrap(), _unix: unix })
    }

    /// A program of ours in this home, with that library as its runtime.
    fn command(&self, program: &str) -> Command {
        let mut command = self.home.command(program);
        command.env("ORT_DYLIB_PATH", &self.library).env("SWICTATION_INTRUDER", self.home.path(""));
        command.env("SWICTATION_INTRUDER_PORT", self.tcp.local_addr().unwrap().port().to_string());
        command
    }

    fn worker(&self, more: &[&str]) -> Ran {
        // By another name of the same folder.
        let model = self.home.path("tmp/../models/a");
        run(self.command("swictation-worker").arg("--model").arg(model).args(more))
    }
}

/// What came of an attempt.
fn came(ran: &Ran, what: &str) -> String {
    let line = ran.err.lines().find_map(|line| line.strip_prefix(&format!("intruder: {what} ")));
    line.unwrap_or_else(|| panic!("{what} was not tried: {ran:?}")).to_owned()
}

#[test]
fn a_library_that_goes_wrong_in_a_worker_reads_writes_reaches_and_runs_nothing() {
    let Some(prey) = Prey::new() else { return };
    let told = prey.worker(&["--confinement"]);
    assert!(need("landlock", told.out.starts_with("confined: files (landlock ABI ")), "{told:?}");
    let ran = prey.worker(&[]);
    for what in REFUSED {
        let came = came(&ran, what);
        assert!(matches!(came.as_str(), "EPERM" | "EACCES"), "{what}: {came}");
    }
    assert_eq!(came(&ran, "take-part-in-io-uring"), "EPERM");
    for what in USED {
        assert_eq!(came(&ran, what), "done", "{what}");
    }
    // The umask is the worker's, and not the one it was started with.
    assert!(ran.err.contains("intruder-private: umask 077 dumpable 0"), "{ran:?}");
    assert_eq!(fs::metadata(prey.home.path("diary")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_a_confined_worker_is_refused_one_without_confinement_does() {
    let Some(prey) = Prey::new() else { return };
    let ran = prey.worker(&["--no-sandbox"]);
    for what in REFUSED.iter().chain(&USED).filter(|what| !UNSURE.contains(what)) {
        assert_eq!(came(&ran, what), "done", "{what}: {}", ran.err);
    }
    assert!(ran.err.contains("intruder-private: umask 077 dumpable 0"), "{ran:?}");
}

#[test]
fn a_worker_of_the_daemon_gets_neither_its_session_nor_what_it_has_open() {
    let Some(prey) = Prey::new() else { return };
    let wav = silence(&prey.home, 1600);
    let mut command = prey.command("swictation");
    command.args(["transcribe", "--model"]).arg(prey.home.path("models/a")).arg(&wav);
    for name in ["DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "XAUTHORITY", "SSH_AUTH_SOCK", "SOMEBODYS_TOKEN"] {
        command.env(name, "theirs");
    }
    // The daemon inherits an open file, and its library has another one.
    let ran = run(&mut behind("exec 9<../diary", &prey.home, &command));
    let environment: Vec<&str> =
        ran.err.lines().filter_map(|line| line.strip_prefix("intruder-environment: ")).collect();
    assert!(environment.iter().any(|line| line.starts_with("ORT_DYLIB_PATH=")), "{ran:?}");
    for line in &environment {
        let name = line.split('=').next().unwrap_or_default();
        assert!(
            !line.contains("theirs") && !name.starts_with("PULSE") && !name.starts_with("XDG_RUN"),
            "{line}"
        );
    }
    let open: Vec<&str> =
        ran.err.lines().filter_map(|line| line.strip_prefix("intruder-descriptor: ")).collect();
    // Its pipes, stderr, /dev/null, and the library that is being loaded.
    assert!(open.len() >= 4, "{open:?}");
    for line in open {
        let known = ["pipe:", "/dev/null", "libonnxruntime.so"];
        assert!(known.iter().any(|part| line.contains(part)), "{line}");
    }
    assert_eq!(came(&ran, "read-a-file-of-the-home"), "EACCES");
}

/// The command with its environment, in a folder that is empty at first, behind what a
/// shell does before it.
fn behind(before: &str, home: &Home, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{before}; exec \"$@\""), "sh"]);
    shell.arg(command.get_program()).args(command.get_args()).current_dir(home.path("tmp"));
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

fn cores(home: &Home) -> Vec<PathBuf> {
    fs::read_dir(home.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_worker_that_crashes_leaves_no_core_file() {
    let Some(prey) = Prey::new() else { return };
    let mut dies = Command::new("sh");
    dies.args(["-c", "kill -SEGV $$"]);
    run(&mut behind("ulimit -c unlimited", &prey.home, &dies));
    let left = cores(&prey.home);
    if !need("core files in the folder of who crashes", !left.is_empty()) {
        return;
    }
    left.iter().for_each(|path| fs::remove_file(path).unwrap());
    let wav = silence(&prey.home, 1600);
    for confined in ["true", "false"] {
        prey.home.configure(&format!("model = {:?}\nsandbox = {confined}\n", prey.home.path("models/a")));
        let mut command = prey.command("swictation");
        command.env("SWICTATION_INTRUDER_CRASHES", "1").arg("transcribe").arg(&wav);
        let ran = run(&mut behind("ulimit -c unlimited", &prey.home, &command));
        assert!(ran.err.contains("signal 11"), "{ran:?}");
        assert_eq!(cores(&prey.home), Vec::<PathBuf>::new(), "sandbox = {confined}");
    }
}

#[test]
fn a_daemon_that_crashes_leaves_no_core_and_what_it_makes_is_for_its_person_alone() {
    let (Some(_), Some(bus)) = (runtime(), Bus::start()) else { return };
    let home = Home::new();
    fs::create_dir(home.path("tmp")).unwrap();
    home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n", toy("att70_6-rnnt")));
    let mut status = Follower::on(&bus, &home);
    let mut command = home.command("swictationd");
    bus.give_to(&mut command);
    let mut daemon = Daemon::start(&mut behind("umask 000; ulimit -c unlimited", &home, &command));
    status.until("an engine", |line| line["engine"]["state"] == "ready");
    let about = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", daemon.pid())).unwrap();
    assert!(about("status").contains("Umask:\t0077"), "{}", about("status"));
    let core =
        about("limits").lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    // A program that takes crashes is given no page of the memory.
    assert_eq!(about("coredump_filter").trim(), "00000000");
    let worker = run(Command::new("pgrep").args(["-P", &daemon.pid().to_string()]));
    let of_worker = fs::read_to_string(format!("/proc/{}/status", worker.out.trim())).unwrap();
    for line in ["Umask:\t0077", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(of_worker.contains(line), "{line}: {of_worker}");
    }
    let killed = run(Command::new("kill").args(["-ABRT", &daemon.pid().to_string()]));
    assert_eq!(killed.code, 0, "{killed:?}");
    daemon.ended();
    assert_eq!(cores(&home), Vec::<PathBuf>::new());
}

#[test]
fn what_is_said_is_in_no_log_of_any_level_although_the_worker_dies_over_it() {
    let (Some(_), Some(wav)) = (runtime(), recording("beckett.wav")) else { return };
    let home = Home::new();
    home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n", toy("att70_6-rnnt")));
    let source = format!("wav:{}?realtime", wav.display());
    let mut command = home.command("swictationd");
    command.args(["--no-bus", "--typist", "stdout", "--source", &source]).env("SWICTATION_LOG", "debug");
    let mut daemon = Daemon::start(&mut command);
    // Words are out, so more of them are under way.
    let mut typed = daemon.printed(20);
    let died = run(Command::new("pkill").args(["-ABRT", "-P", &daemon.pid().to_string()]));
    assert_eq!(died.code, 0, "{died:?}");
    assert_eq!(daemon.ended(), 0);
    typed += &daemon.printed(0);
    let log = daemon.log();
    assert!(log.contains("killed by signal 6") && log.contains("confined: "), "{log}");
    let words: Vec<&str> = typed.split_whitespace().filter(|word| word.len() > 3).collect();
    assert!(words.len() > 3, "{typed:?} is too little to look for");
    for word in words {
        let part = log.split(|c: char| !c.is_alphanumeric()).find(|part| part.eq_ignore_ascii_case(word));
        assert_eq!(part, None, "{word:?} was typed, and is in the log: {log}");
    }
}
