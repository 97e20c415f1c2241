//! The real `swictation` against a real bus.
//!
//! The daemon is this test executable, started again with [`ROLE`] set – by the
//! test, or by the bus when it activates. It serves the contract and obeys lines
//! on its stdin.

#![allow(clippy::exit, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{self, Child, ChildStdout, Command, Output, Stdio};
use swictation_control::{Dict, Engine, EngineState, NAME, PATH, exit};
use swictation_tests::bus::{Bus, Eavesdropper};
use swictation_tests::{need, program};
use tokio::sync::mpsc;
use zbus::object_server::SignalEmitter;
use zbus::{fdo, interface};

/// Set in the process that plays the daemon.
const ROLE: &str = "SWICTATION_TEST_ROLE";
const SWICTATION: &str = env!("CARGO_BIN_EXE_swictation");

/// Not a test of its own: the daemon, where [`ROLE`] says so.
#[test]
fn daemon() {
    if std::env::var_os(ROLE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serve());
        process::exit(0);
    }
}

async fn serve() {
    let (quit, mut quitting) = mpsc::unbounded_channel();
    let fake = Fake { state: "idle".into(), trouble: String::new(), quit };
    let (say, mut script) = mpsc::unbounded_channel();
    let connection =
        zbus::connection::Builder::session().serve_at(PATH, fake).name(NAME).build().await.unwrap();
    std::thread::spawn(move || {
        io::stdin().lines().try_for_each(|line| say.send(line?).map_err(io::Error::other))
    });
    eprintln!("serving");
    let object = connection.object_server().interface::<_, Fake>(PATH).await.unwrap();
    loop {
        tokio::select! {
            Some(line) = script.recv() => {
                let mut fake = object.get_mut().await;
                let (what, value) = line.split_once(' ').unwrap();
                match what {
                    "state" => {
                        fake.state = value.into();
                        fake.state_changed(object.signal_emitter()).await.unwrap();
                    }
                    "trouble" => {
                        fake.trouble = value.into();
                        fake.trouble_changed(object.signal_emitter()).await.unwrap();
                    }
                    _ => process::exit(1),
                }
                eprintln!("done");
            }
            _ = quitting.recv() => break,
            () = connection.closed() => break,
        }
    }
    let _ = connection.release_name(NAME).await;
}

struct Fake {
    state: String,
    trouble: String,
    quit: mpsc::UnboundedSender<()>,
}

impl Fake {
    async fn to(&mut self, state: &str, emitter: SignalEmitter<'_>) -> fdo::Result<String> {
        if !self.trouble.is_empty() {
            return Err(fdo::Error::Failed(self.trouble.clone()));
        }
        state.clone_into(&mut self.state);
        self.state_changed(&emitter).await?;
        Ok(self.state.clone())
    }
}

#[interface(name = "org.swictation.Dictation1")]
impl Fake {
    async fn start(&mut self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> fdo::Result<String> {
        self.to("listening", emitter).await
    }
    async fn stop(&mut self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> fdo::Result<String> {
        self.to("idle", emitter).await
    }
    async fn toggle(&mut self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> fdo::Result<String> {
        let next = if self.state == "idle" { "listening" } else { "idle" };
        self.to(next, emitter).await
    }
    async fn cancel(&mut self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> fdo::Result<String> {
        self.to("idle", emitter).await
    }
    async fn at(
        &mut self,
        verb: String,
        hundredths: u64,
        process: u32,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<String> {
        assert!(hundredths > 0 && process > 0);
        match (verb.as_str(), self.state.as_str()) {
            ("start", _) | ("toggle", "idle") => self.to("listening", emitter).await,
            _ => self.to("idle", emitter).await,
        }
    }
    fn quit(&self) -> String {
        let _ = self.quit.send(());
        self.state.clone()
    }
    #[zbus(property)]
    fn state(&self) -> String {
        self.state.clone()
    }
    #[zbus(property)]
    fn engine(&self) -> Dict {
        let (model, provider) = ("small".to_owned(), "cpu".to_owned());
        Engine { state: EngineState::Ready, model, provider, chunk_ms: 80, ..Engine::default() }.to_dict()
    }
    #[zbus(property)]
    fn trouble(&self) -> String {
        self.trouble.clone()
    }
    #[zbus(property)]
    fn typist(&self) -> String {
        "x11".into()
    }
    #[zbus(property(emits_changed_signal = "false"))]
    fn metrics(&self) -> String {
        r#"{"typed_ms":{"p50":120}}"#.into()
    }
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> String {
        "9.8.7".into()
    }
}

/// The process that plays the daemon; ended with the test.
struct Daemon {
    process: Child,
    says: BufReader<process::ChildStderr>,
}

impl Daemon {
    fn on(bus: &Bus) -> Daemon {
        let mut process = bus
            .give_to(&mut Command::new(std::env::current_exe().unwrap()))
            .args(["--exact", "daemon", "--nocapture"])
            .env(ROLE, "daemon")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stderr.take().unwrap());
        let mut daemon = Daemon { process, says };
        daemon.says("serving");
        daemon
    }

    fn script(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
        self.says("done");
    }

    fn says(&mut self, what: &str) {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), what);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn swictation(bus: &Bus, args: &[&str]) -> Output {
    bus.give_to(&mut Command::new(SWICTATION)).args(args).output().unwrap()
}

/// Exit code, standard output and standard error, for assertions that read.
fn seen(output: Output) -> (u8, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (output.status.code().unwrap().try_into().unwrap(), text(output.stdout), text(output.stderr))
}

fn says(word: &str) -> (u8, String, String) {
    (exit::OK, word.into(), String::new())
}

#[test]
fn every_verb_prints_the_state_that_follows() {
    let Some(bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    for (verb, state) in [
        ("start", "listening"),
        ("start", "listening"),
        ("stop", "idle"),
        ("stop", "idle"),
        ("toggle", "listening"),
        ("toggle", "idle"),
        ("start", "listening"),
        ("cancel", "idle"),
        ("cancel", "idle"),
        ("quit", "stopped"),
        ("quit", "stopped"),
    ] {
        assert_eq!(seen(swictation(&bus, &[verb])), says(state), "{verb}");
    }
    assert_eq!(daemon.process.wait().unwrap().code(), Some(0));
}

#[test]
fn stop_cancel_quit_and_status_never_start_a_daemon() {
    let Some(bus) = Bus::start() else { return };
    let started = bus.home().join("started");
    bus.activates(NAME, &format!("/usr/bin/touch {}", started.display()));
    for verb in ["stop", "cancel", "quit"] {
        assert_eq!(seen(swictation(&bus, &[verb])), says("stopped"), "{verb}");
    }
    assert_eq!(seen(swictation(&bus, &["status"])), (exit::NO_DAEMON, "stopped".into(), String::new()));
    assert!(!started.exists());
}

#[test]
fn start_and_toggle_have_the_bus_start_the_daemon() {
    let Some(bus) = Bus::start() else { return };
    let this = std::env::current_exe().unwrap();
    bus.activates(NAME, &format!("/usr/bin/env {ROLE}=daemon {} --exact daemon --nocapture", this.display()));
    for verb in ["start", "toggle"] {
        assert_eq!(seen(swictation(&bus, &[verb])), says("listening"));
        assert_eq!(seen(swictation(&bus, &["quit"])), says("stopped"));
    }
}

#[test]
fn a_release_while_the_bus_still_starts_the_daemon_comes_behind_its_press() {
    let Some(bus) = Bus::start() else { return };
    if !need("dbus-monitor", program("dbus-monitor")) {
        return;
    }
    let (called, go) = (bus.home().join("called"), bus.home().join("go"));
    for fifo in [&called, &go] {
        assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    }
    let this = std::env::current_exe().unwrap();
    let script = bus.home().join("slow");
    fs::write(
        &script,
        format!(
            "echo > {}; read go < {}; {ROLE}=daemon exec {} --exact daemon --nocapture",
            called.display(),
            go.display(),
            this.display()
        ),
    )
    .unwrap();
    bus.activates(NAME, &format!("/bin/sh {}", script.display()));
    let spawned = |verb: &str| {
        let mut command = Command::new(SWICTATION);
        bus.give_to(&mut command).arg(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut eavesdropper = Eavesdropper::on(&bus);
    let press = spawned("start");
    fs::read(&called).unwrap();
    let release = spawned("stop");
    eavesdropper.until("string \"stop\"");
    fs::write(&go, "\n").unwrap();
    assert_eq!(seen(press.wait_with_output().unwrap()), says("listening"));
    assert_eq!(seen(release.wait_with_output().unwrap()), says("idle"));
    eavesdropper.heard();
    assert_eq!(seen(swictation(&bus, &["quit"])), says("stopped"));
}

#[test]
fn a_daemon_that_cannot_be_started_is_explained() {
    let Some(bus) = Bus::start() else { return };
    let (code, out, err) = seen(swictation(&bus, &["start"]));
    assert_eq!((code, out.as_str()), (exit::NO_DAEMON, ""));
    assert!(err.contains("scripts/install"), "{err}");
    bus.activates(NAME, "/bin/false");
    let (code, out, err) = seen(swictation(&bus, &["toggle"]));
    assert_eq!((code, out.as_str()), (exit::NO_DAEMON, ""));
    assert!(err.contains("cannot be started") && err.contains("journalctl"), "{err}");
}

#[test]
fn what_the_daemon_refuses_is_passed_on() {
    let Some(bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    daemon.script("trouble the microphone is gone: plug it in");
    let refused = (exit::FAILURE, String::new(), "swictation: the microphone is gone: plug it in".into());
    assert_eq!(seen(swictation(&bus, &["start"])), refused);
}

#[test]
fn status_is_for_a_person_and_json_for_a_program() {
    let Some(bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    daemon.script("trouble 3 samples were lost");
    let (code, out, _) = seen(swictation(&bus, &["status"]));
    assert_eq!(code, exit::OK);
    let lines = [
        "idle",
        "engine: small on cpu, 80 ms a step",
        "types through: x11",
        "trouble: 3 samples were lost",
        "version: 9.8.7",
        "typed_ms.p50: 120",
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), lines);
    let (code, out, _) = seen(swictation(&bus, &["status", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, exit::OK);
    assert_eq!((&json["alt"], &json["class"]), (&"idle".into(), &"trouble".into()));
    assert_eq!(json["metrics"]["typed_ms"]["p50"], 120);
    assert_eq!(json["engine"]["provider"], "cpu");
    drop(daemon);
    let (code, out, _) = seen(swictation(&bus, &["status", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["class"]), (exit::NO_DAEMON, &"stopped".into()));
}

/// A `status --follow` and what it prints.
struct Follower {
    process: Child,
    prints: BufReader<ChildStdout>,
}

impl Follower {
    fn on(bus: &Bus) -> Follower {
        let mut process = bus
            .give_to(&mut Command::new(SWICTATION))
            .args(["status", "--follow"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prints = BufReader::new(process.stdout.take().unwrap());
        Follower { process, prints }
    }

    /// The next line's `alt` and `class`.
    fn prints(&mut self) -> (String, String) {
        let mut line = String::new();
        self.prints.read_line(&mut line).unwrap();
        let json: HashMap<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        assert!(["text", "alt", "class", "tooltip"].iter().all(|field| json[*field].is_string()), "{line}");
        let field = |name: &str| json[name].as_str().unwrap().to_owned();
        (field("alt"), field("class"))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn follow_prints_a_line_at_every_change_and_survives_the_daemon() {
    let Some(mut bus) = Bus::start() else { return };
    let mut follower = Follower::on(&bus);
    let same = |word: &str| (word.to_owned(), word.to_owned());
    assert_eq!(follower.prints(), same("stopped"));
    let mut daemon = Daemon::on(&bus);
    assert_eq!(follower.prints(), same("idle"));
    for state in ["starting", "listening", "speaking"] {
        daemon.script(&format!("state {state}"));
        assert_eq!(follower.prints(), same(state));
    }
    // The same again is no change and no line.
    daemon.script("state speaking");
    daemon.script("trouble the disk is full");
    assert_eq!(follower.prints(), ("speaking".into(), "trouble".into()));
    drop(daemon);
    assert_eq!(follower.prints(), same("stopped"));
    let _daemon = Daemon::on(&bus);
    assert_eq!(follower.prints(), same("idle"));
    swictation(&bus, &["toggle"]);
    assert_eq!(follower.prints(), same("listening"));
    bus.kill();
    assert_eq!(follower.process.wait().unwrap().code(), Some(exit::NO_BUS.into()));
}

#[test]
fn a_state_of_another_version_is_an_error_that_names_it() {
    let Some(bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    daemon.script("state singing");
    let (code, _, err) = seen(swictation(&bus, &["status"]));
    assert_eq!(code, exit::FAILURE);
    assert!(err.contains("singing"), "{err}");
}

#[test]
fn an_unknown_verb_is_answered_with_the_one_that_was_meant() {
    let (code, out, err) = seen(Command::new(SWICTATION).arg("togle").output().unwrap());
    assert_eq!((code, out.as_str()), (exit::USAGE, ""));
    assert!(err.contains("unrecognized subcommand 'togle'") && err.contains("'toggle'"), "{err}");
    let (code, ..) = seen(Command::new(SWICTATION).output().unwrap());
    assert_eq!(code, exit::USAGE, "no verb at all");
}

#[test]
fn help_lists_the_exit_codes() {
    let (code, out, _) = seen(Command::new(SWICTATION).arg("--help").output().unwrap());
    assert_eq!(code, exit::OK);
    for (code, meaning) in exit::TABLE {
        assert!(out.contains(&format!("  {code}  {meaning}")), "{out}");
    }
}

#[test]
fn without_a_bus_every_verb_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}", nowhere.path().join("bus").display());
    for args in [&["start"][..], &["stop"], &["quit"], &["status"], &["status", "--follow"]] {
        let (code, out, err) = seen(
            Command::new(SWICTATION).args(args).env("DBUS_SESSION_BUS_ADDRESS", &address).output().unwrap(),
        );
        assert_eq!((code, out.as_str()), (exit::NO_BUS, ""), "{args:?}");
        assert!(err.contains("inside the desktop session"), "{err}");
    }
}

/// Puts a `swictationd` into `folder` that prints its arguments.
fn echoing_daemon(folder: &Path) {
    let script = folder.join("script");
    fs::write(&script, "#!/bin/sh\nprintf '%s|' \"$@\"\nexit 42\n").unwrap();
    // A file that this process had open for writing might still be open in a
    // child of another test, and then could not be executed.
    let done = Command::new("install").arg("-m755").args([&script, &folder.join("swictationd")]).status();
    assert!(done.unwrap().success());
}

#[test]
fn what_needs_a_model_becomes_the_daemons_program_beside_it_or_on_the_path() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (beside, elsewhere) = (folder.path().join("beside"), folder.path().join("elsewhere"));
    let own = |place: &Path| {
        fs::create_dir(place).unwrap();
        fs::hard_link(SWICTATION, place.join("swictation")).unwrap();
        place.join("swictation")
    };
    let (with, without) = (own(&beside), own(&elsewhere));
    echoing_daemon(&beside);
    let args = ["transcribe", "--realtime", "-", "--model", "a folder", "--json", "--steps"];
    let expected = (42, "transcribe|--realtime|-|--model|a folder|--json|--steps|".to_owned(), String::new());
    assert_eq!(seen(Command::new(&with).args(args).env("PATH", "/nowhere").output().unwrap()), expected);
    let recover = Command::new(&with).args(["recover", "--keep"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(seen(recover), (42, "recover|--keep|".to_owned(), String::new()));
    let path = format!("{}:/usr/bin:/bin", beside.display());
    assert_eq!(seen(Command::new(&without).args(args).env("PATH", path).output().unwrap()), expected);
    let (code, _, err) = seen(Command::new(&without).args(args).env("PATH", "/nowhere").output().unwrap());
    assert_eq!(code, exit::FAILURE);
    assert!(err.contains("swictationd cannot be run") && err.contains("scripts/install"), "{err}");
    let (code, _, err) = seen(Command::new(&with).args(["transcribe"]).output().unwrap());
    assert_eq!(code, exit::USAGE, "{err}");
}
