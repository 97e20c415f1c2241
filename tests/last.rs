//! Text that does not find a window: kept, delivered, offered, copied, or taken back, by
//! the real programs on a real bus and a real X server.

use crate::away::signal;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};
use swictation_tests::bus::{Bus, Eavesdropper};
use swictation_tests::programs::{Daemon, Follower, Home, PATIENCE, Ran, recording, run, runtime, toy};
use swictation_tests::x11::{Terminal, XServer, terminal};
use swictation_tests::{need, program};

/// A daemon that hears a recording, and the session that it runs in.
pub(crate) struct Desk {
    pub(crate) status: Follower,
    daemon: Daemon,
    pub(crate) terminal: Terminal,
    server: XServer,
    bus: Bus,
    pub(crate) home: Home,
    /// What is said in the recording.
    pub(crate) text: String,
}

impl Desk {
    /// `pace` is added to the recording's name.
    pub(crate) fn with(pace: &str) -> Option<Desk> {
        let (Some(_), Some(wav)) = (runtime(), recording("beckett.wav")) else {
            return None;
        };
        let (server, terminal) = terminal("us")?;
        let (bus, home) = (Bus::start()?, Home::new());
        home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n", toy("att70_6-rnnt")));
        let transcribed = home.run("swictation", &["transcribe", wav.to_str().unwrap()]);
        assert_eq!(transcribed.code, 0, "{transcribed:?}");
        let text = transcribed.out.trim().to_owned() + " ";
        let mut status = Follower::on(&bus, &home);
        let mut command = home.command("swictationd");
        command.args(["--source", &format!("wav:{}{pace}", wav.display())]).env("DISPLAY", &server.display);
        command.env("NOTIFY_SOCKET", home.path("systemd"));
        let daemon = Daemon::start(bus.give_to(&mut command));
        status.until("an engine", |line| line["engine"]["state"] == "ready");
        Some(Desk { status, daemon, terminal, server, bus, home, text })
    }

    pub(crate) fn swictation(&self, args: &[&str]) -> Ran {
        run(self.bus.give_to(&mut self.home.command("swictation")).args(args))
    }

    #[track_caller]
    fn says(&self, args: &[&str], expected: &str) {
        let ran = self.swictation(args);
        assert_eq!((ran.code, ran.out.as_str()), (0, expected), "{args:?}: {}", ran.err);
    }

    /// Dictates the whole recording while nothing has the focus.
    fn dictate_into_nothing(&mut self) {
        self.server.focus_nothing().unwrap();
        assert_eq!(self.swictation(&["start"]).code, 0);
        self.status.trouble("nothing that takes text has the focus");
        self.status.state("idle");
        self.status.trouble(&format!("{} characters are kept", self.text.chars().count()));
    }
}

#[test]
fn what_could_not_be_typed_is_offered_and_copied_and_never_on_the_bus() {
    let Some(mut desk) = Desk::with("") else { return };
    if !need("dbus-monitor", program("dbus-monitor")) {
        return;
    }
    let eavesdropper = Eavesdropper::on(&desk.bus);
    desk.dictate_into_nothing();
    let line = desk.text.clone() + "\n";
    desk.says(&["last"], &line);
    desk.says(&["last", "--untyped"], &line);
    desk.says(&["last", "--copy"], "copied\n");
    assert_eq!(desk.server.clipboard().unwrap().as_deref(), Some(desk.text.as_str()));
    desk.status.until("no trouble", |line| line["trouble"] == "");
    desk.says(&["last", "--untyped"], "");
    desk.says(&["last", "--copy"], "copied\n");
    assert_eq!(desk.server.clipboard().unwrap().as_deref(), Some(desk.text.as_str()));
    let (heard, log) = (eavesdropper.heard().to_lowercase(), desk.daemon.log().to_lowercase());
    assert!(heard.contains("member=last"), "the bus was listened to");
    let text = desk.text.to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    for pair in words.windows(2).map(|pair| pair.join(" ")) {
        assert!(!heard.contains(&pair), "{pair:?} was on the bus: {heard}");
        assert!(!log.contains(&pair), "{pair:?} is in the log: {log}");
    }
}

#[test]
fn what_could_not_be_typed_is_typed_once_a_window_has_the_focus() {
    let Some(mut desk) = Desk::with("") else { return };
    desk.dictate_into_nothing();
    desk.server.show(&desk.terminal).unwrap();
    assert_eq!(desk.terminal.typed(&desk.text, PATIENCE).unwrap(), desk.text);
    desk.status.until("no trouble", |line| line["trouble"] == "");
    desk.says(&["last", "--untyped"], "");
    desk.says(&["last"], &(desk.text.clone() + "\n"));
}

#[test]
fn a_daemon_that_ends_types_all_that_it_knows_first() {
    let Some(mut desk) = Desk::with("") else { return };
    let systemd = UnixDatagram::bind(desk.home.path("systemd")).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    desk.server.hang(true).unwrap();
    assert_eq!(desk.swictation(&["start"]).code, 0);
    desk.status.until("a dictation", |line| line["state"] != "idle");
    desk.status.state("idle");
    signal("TERM", desk.daemon.pid());
    let mut told = [0; 200];
    while !told.starts_with(b"STOPPING=1") {
        systemd.recv(&mut told).unwrap();
    }
    desk.server.hang(false).unwrap();
    assert_eq!(desk.daemon.ended(), 0);
    assert_eq!(desk.terminal.typed(&desk.text, PATIENCE).unwrap(), desk.text);
}

#[test]
fn a_cancel_erases_every_character_of_the_dictation_and_its_text_is_still_offered() {
    let Some(mut desk) = Desk::with("?realtime") else { return };
    assert_eq!(desk.swictation(&["start"]).code, 0);
    let mut typed = desk.terminal.typed(&desk.text[..10], PATIENCE).unwrap();
    desk.says(&["cancel"], "idle\n");
    let deadline = Instant::now() + PATIENCE;
    let erased = |typed: &str| typed.matches('\x7f').count();
    while erased(&typed) * 2 < typed.len() {
        assert!(Instant::now() < deadline, "{typed:?}");
        typed += &desk.terminal.typed("x", Duration::from_secs(1)).unwrap();
    }
    let written = typed.trim_end_matches('\x7f');
    assert!(desk.text.starts_with(written), "{typed:?}");
    assert_eq!(erased(&typed), written.len());
    let last = desk.swictation(&["last"]).out;
    assert!(last.starts_with(written), "{last:?}");
}

#[test]
fn without_a_display_there_is_no_clipboard_and_without_a_daemon_no_text() {
    let (Some(_), Some(wav), Some(bus)) = (runtime(), recording("beckett.wav"), Bus::start()) else { return };
    let home = Home::new();
    home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n", toy("att70_6-rnnt")));
    let ask = |args: &[&str]| run(bus.give_to(&mut home.command("swictation")).args(args));
    for args in [&["last"][..], &["last", "--copy"]] {
        let ran = ask(args);
        assert_eq!((ran.code, ran.out.as_str()), (7, ""), "{ran:?}");
    }
    let mut command = home.command("swictationd");
    command.args(["--typist", "stdout", "--source", &format!("wav:{}", wav.display())]);
    let mut status = Follower::on(&bus, &home);
    let daemon = Daemon::start(bus.give_to(&mut command));
    status.until("an engine", |line| line["engine"]["state"] == "ready");
    let ran = ask(&["last", "--copy"]);
    assert!(ran.code == 1 && ran.err.contains("nothing to copy"), "{ran:?}");
    assert_eq!(ask(&["start"]).code, 0);
    daemon.printed(10);
    status.state("idle");
    let ran = ask(&["last", "--copy"]);
    assert!(ran.code == 9 && ran.err.contains("no clipboard"), "{ran:?}");
}
