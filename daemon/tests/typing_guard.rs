//! Where text must not go: into a field for passwords, and, where programs are all that tells
//! of windows, into another window than the one it was dictated into. With real windows of
//! GTK on a real X server, and the real bus of accessibility.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::focus::{Focus, Focused};
use swictation_daemon::typist::thread::{Report, TypistThread, spawn_with};
use swictation_daemon::typist::x11::X11;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::bus::Bus;
use swictation_tests::x11::{Terminal, XServer};
use swictation_tests::{need, program};

/// How long a window may take to come while other tests run.
const PATIENCE: Duration = Duration::from_secs(30);

/// What starts the bus of accessibility.
const LAUNCHER: &str = "/usr/libexec/at-spi-bus-launcher";

/// A server and a bus on which programs tell what assists people.
struct Desk {
    server: XServer,
    bus: Bus,
}

/// A window of GTK with one field.
struct Window(Child);

impl Desk {
    /// Nothing when it cannot be had.
    fn new() -> Option<Self> {
        let desk = Self::without_accessibility()?;
        desk.begin_accessibility();
        Some(desk)
    }

    fn begin_accessibility(&self) {
        // It reads the schemas of settings, which the bus of a test has out of sight.
        self.bus.activates("org.a11y.Bus", &format!("/usr/bin/env XDG_DATA_DIRS=/usr/share {LAUNCHER}"));
    }

    fn without_accessibility() -> Option<Self> {
        let present = Path::new(LAUNCHER).exists() && program("zenity") && program("xdotool");
        if !need("zenity", present) || !swictation_tests::x11::present() {
            return None;
        }
        let bus = Bus::start()?;
        let server = XServer::start().unwrap();
        server.layout("us").unwrap();
        Some(Self { server, bus })
    }

    /// Opens a window and gives it the focus.
    fn window(&self, kind: &str, title: &str) -> Window {
        let mut zenity = self.server.command("zenity");
        zenity
            .args([kind, &format!("--title={title}"), "--text="])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let window = Window(self.bus.give_to(&mut zenity).env("HOME", self.bus.home()).spawn().unwrap());
        self.focus(title);
        window
    }

    fn focus(&self, title: &str) {
        let mut xdotool = self.server.command("xdotool");
        xdotool.args(["search", "--sync", "--onlyvisible", "--name", title, "windowfocus", "--sync"]);
        assert!(xdotool.status().unwrap().success(), "{title}");
    }

    fn follow(&self) -> Focus {
        Focus::start(Some(self.bus.address()), self.bus.home()).unwrap()
    }

    /// A typist that follows the focus, with this configuration.
    fn typist(&self, config: &str, open: fn(X11) -> Box<dyn Typist>) -> (TypistThread, Receiver<Report>) {
        let display = self.server.display.clone();
        let (send, reports) = mpsc::channel();
        let open = move |_: &[&str]| X11::connect(Some(&display)).map(open);
        let focus = self.follow();
        let config = Config::parse(config).unwrap();
        let thread =
            spawn_with(open, &config, || Some(focus), move |report| drop(send.send(report))).unwrap();
        (thread, reports)
    }
}

impl Window {
    /// Presses Return, and says what is in the field then.
    fn text(mut self, thread: &TypistThread, reports: &Receiver<Report>, id: u64) -> String {
        thread.resume();
        thread.send(id, insert("\n"));
        assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text.trim_end_matches('\n').to_owned()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn insert(text: &str) -> Edit {
    Edit { erase: 0, insert: text.into() }
}

/// Waits until the programs have told that something is so.
#[track_caller]
fn until(focus: &Focus, so: impl Fn(&Focused) -> bool) -> Focused {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = focus.now();
        if so(&now) {
            return now;
        }
        assert!(Instant::now() < deadline, "{now:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_field_for_passwords_is_told_from_others_and_forgotten_when_its_window_loses_the_focus() {
    let Some(desk) = Desk::new() else { return };
    let focus = desk.follow();
    assert_eq!(focus.now(), Focused::default());
    let _entry = desk.window("--entry", "Plain");
    let plain = until(&focus, |now| now.window.is_some());
    assert!(!plain.password);
    let password = desk.window("--password", "Secret");
    let secret = until(&focus, |now| now.password);
    assert!(secret.window.is_some() && secret.window != plain.window, "{secret:?} {plain:?}");
    desk.focus("Plain");
    until(&focus, |now| !now.password && now.window == plain.window);
    desk.focus("Secret");
    until(&focus, |now| now.password);
    drop(password);
    until(&focus, |now| !now.password);
}

#[test]
fn what_has_the_focus_already_is_found() {
    let Some(desk) = Desk::new() else { return };
    let first = desk.follow();
    let _password = desk.window("--password", "Secret");
    until(&first, |now| now.password);
    let focus = desk.follow();
    until(&focus, |now| now.password && now.window.is_some());
}

#[test]
fn what_tells_of_the_focus_may_come_up_later() {
    let Some(desk) = Desk::without_accessibility() else { return };
    let focus = desk.follow();
    assert_eq!(focus.now(), Focused::default());
    desk.begin_accessibility();
    let _password = desk.window("--password", "Secret");
    until(&focus, |now| now.password && now.window.is_some());
}

#[test]
fn a_password_is_not_typed_unless_that_is_allowed() {
    let Some(desk) = Desk::new() else { return };
    for (config, expected) in [("", ""), ("password_fields = true", "dictated")] {
        let watcher = desk.follow();
        let password = desk.window("--password", "Secret");
        until(&watcher, |now| now.password);
        let (thread, reports) = desk.typist(config, |x11| Box::new(x11));
        thread.send(1, insert("dictated"));
        let report = reports.recv_timeout(PATIENCE).unwrap();
        match report.result {
            Ok(()) => assert_eq!((report.typed, expected), (8, "dictated")),
            Err(why) => {
                assert!(report.typed == 0 && expected.is_empty() && why.contains("password"), "{why}")
            }
        }
        if expected.is_empty() {
            // Nothing of it is there when somebody else looks.
            let (thread, reports) = desk.typist("password_fields = true", |x11| Box::new(x11));
            assert_eq!(password.text(&thread, &reports, 2), "");
        } else {
            assert_eq!(password.text(&thread, &reports, 2), expected);
        }
    }
}

/// A typist that cannot tell windows apart.
struct Blind(X11);

impl Typist for Blind {
    fn name(&self) -> &'static str {
        "blind"
    }
    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        self.0.apply(edit)
    }
}

#[test]
fn where_programs_are_all_that_tells_of_windows_text_is_kept_to_one_of_them() {
    let Some(desk) = Desk::new() else { return };
    let watcher = desk.follow();
    let first = desk.window("--entry", "First");
    until(&watcher, |now| now.window.is_some());
    let (thread, reports) = desk.typist("focus = \"hold\"", |x11| Box::new(Blind(x11)));
    thread.watch(true);
    thread.send(1, insert("one "));
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
    let second = desk.window("--entry", "Second");
    reports_that(&thread, &reports, |report| report.elsewhere);
    thread.resume();
    thread.send(1_000_000, insert("two"));
    let report = reports.recv_timeout(PATIENCE).unwrap();
    assert!(report.result.is_err() && report.elsewhere && report.typed == 0, "{report:?}");
    desk.focus("First");
    reports_that(&thread, &reports, |report| report.result.is_ok());
    // A window that tells nothing is another one, too.
    let terminal = Terminal::open(&desk.server).unwrap();
    reports_that(&thread, &reports, |report| report.elsewhere);
    drop(terminal);
    desk.focus("First");
    reports_that(&thread, &reports, |report| report.result.is_ok());
    thread.send(2_000_000, insert("two"));
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
    assert_eq!(first.text(&thread, &reports, 3_000_000), "one two");
    drop(second);
}

/// Sends edits that change nothing until the report on one is so.
#[track_caller]
fn reports_that(thread: &TypistThread, reports: &Receiver<Report>, so: impl Fn(&Report) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        thread.resume();
        thread.send(2, insert(""));
        let report = reports.recv_timeout(PATIENCE).unwrap();
        if so(&report) {
            return;
        }
        assert!(Instant::now() < deadline, "{report:?}");
    }
}

#[test]
fn a_terminal_gets_no_return_unless_that_is_allowed() {
    if !swictation_tests::x11::present() {
        return;
    }
    let server = XServer::start().unwrap();
    server.layout("us").unwrap();
    for (config, expected) in [("", "one  two "), ("terminal_enter = true", "one\r\rtwo\r")] {
        let mut terminal = Terminal::open(&server).unwrap();
        let (display, (send, reports)) = (server.display.clone(), mpsc::channel());
        let open = move |_: &[&str]| X11::connect(Some(&display)).map(|x11| Box::new(x11) as Box<dyn Typist>);
        let config = Config::parse(config).unwrap();
        let thread = spawn_with(open, &config, || None, move |report| drop(send.send(report))).unwrap();
        thread.send(1, insert("one\n\ntwo\n"));
        assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
        assert_eq!(terminal.typed(expected, PATIENCE).unwrap(), expected);
    }
}
