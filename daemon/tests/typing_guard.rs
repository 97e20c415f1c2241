//! Where text must not go: into a field for passwords, and, where programs are all that tells
//! of windows, into another window than the one it was dictated into. With real windows of
//! GTK on a real X server, and the real bus of accessibility.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::focus::{Focus, Focused};
use swictation_daemon::typist::thread::{Report, TypistThread, spawn_with};
use swictation_daemon::typist::x11::X11;
use swictation_daemon::typist::{Typist, TypistError, paste};
use swictation_tests::bus::Bus;
use swictation_tests::entry::{self, Entry};
use swictation_tests::need;
use swictation_tests::x11::{Terminal, XServer};

/// How long a window may take to come while other tests run.
const PATIENCE: Duration = Duration::from_secs(30);

/// What starts the bus of accessibility.
const LAUNCHER: &str = "/usr/libexec/at-spi-bus-launcher";

/// A server and a bus on which programs tell what assists people.
struct Desk {
    server: XServer,
    bus: Bus,
}

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
        if !entry::gtk_is_present() || !need("at-spi", Path::new(LAUNCHER).exists()) {
            return None;
        }
        let bus = Bus::start()?;
        let server = XServer::start().unwrap();
        server.layout("us").unwrap();
        Some(Self { server, bus })
    }

    /// Opens a window with a field of this kind and gives it the focus.
    fn window(&self, kind: &str, title: &str) -> Entry {
        Entry::told(&self.server, &self.bus, kind, title).unwrap()
    }

    /// Opens a window with a field of GTK, or of Qt, once the last is gone, and waits until it is
    /// told of.
    fn field(&self, watcher: &Focus, by_qt: bool) -> Entry {
        until(watcher, |now| now.field.is_none());
        let window = match by_qt {
            true => Entry::told_by_qt(&self.server, &self.bus, "Field").unwrap(),
            false => self.window("--entry", "Field"),
        };
        until(watcher, |now| now.field.is_some());
        window
    }

    fn focus(&self, entry: &Entry) {
        entry.focus(&self.server).unwrap();
    }

    fn follow(&self) -> Arc<Focus> {
        Arc::new(Focus::start(Some(self.bus.address()), self.bus.home(), &self.ibus()).unwrap())
    }

    /// Where IBus, if somebody starts it, writes where it is.
    fn ibus(&self) -> PathBuf {
        self.bus.home().join("ibus/bus")
    }

    /// A typist with this configuration that knows of the focus what this one does.
    fn typist(
        &self,
        focus: &Arc<Focus>,
        config: &str,
        open: fn(X11) -> Box<dyn Typist>,
    ) -> (TypistThread, Receiver<Report>) {
        let display = self.server.display.clone();
        let (send, reports) = mpsc::channel();
        let open = move |_: &[&str]| X11::connect(Some(&display)).map(open);
        let focus = Arc::clone(focus);
        let config = Config::parse(config).unwrap();
        let thread =
            spawn_with(open, &config, || Some(focus), move |report| drop(send.send(report))).unwrap();
        (thread, reports)
    }
}

/// Presses Return, and says what is in the field then.
fn text(entry: Entry, thread: &TypistThread, reports: &Receiver<Report>, id: u64) -> String {
    thread.resume();
    thread.send(id, insert("\n"));
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
    entry.text().unwrap()
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
    assert_eq!(focus.now(), Focused { known: true, ..Focused::default() });
    let entry = desk.window("--entry", "Plain");
    let plain = until(&focus, |now| now.window.is_some());
    assert!(!plain.password);
    let password = desk.window("--password", "Secret");
    let secret = until(&focus, |now| now.password);
    assert!(secret.window.is_some() && secret.window != plain.window, "{secret:?} {plain:?}");
    desk.focus(&entry);
    until(&focus, |now| !now.password && now.window == plain.window);
    desk.focus(&password);
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
    assert_eq!(focus.now(), Focused { known: true, ..Focused::default() });
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
        let (thread, reports) = desk.typist(&watcher, config, |x11| Box::new(x11));
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
            let (thread, reports) = desk.typist(&watcher, "password_fields = true", |x11| Box::new(x11));
            assert_eq!(text(password, &thread, &reports, 2), "");
        } else {
            assert_eq!(text(password, &thread, &reports, 2), expected);
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
    let (thread, reports) = desk.typist(&watcher, "focus = \"hold\"", |x11| Box::new(Blind(x11)));
    thread.watch(true);
    thread.send(1, insert("one "));
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
    let second = desk.window("--entry", "Second");
    reports_that(&thread, &reports, |report| report.elsewhere);
    thread.resume();
    thread.send(1_000_000, insert("two"));
    let report = reports.recv_timeout(PATIENCE).unwrap();
    assert!(report.result.is_err() && report.elsewhere && report.typed == 0, "{report:?}");
    desk.focus(&first);
    reports_that(&thread, &reports, |report| report.result.is_ok());
    // A window that tells nothing is another one, too.
    let terminal = Terminal::open(&desk.server).unwrap();
    reports_that(&thread, &reports, |report| report.elsewhere);
    drop(terminal);
    desk.focus(&first);
    reports_that(&thread, &reports, |report| report.result.is_ok());
    thread.send(2_000_000, insert("two"));
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
    assert_eq!(text(first, &thread, &reports, 3_000_000), "one two");
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

#[test]
fn what_was_typed_is_erased_while_the_program_tells_that_it_stands_before_the_caret() {
    let Some(desk) = Desk::new() else { return };
    let watcher = desk.follow();
    let qt = entry::qt_is_present();
    let cases = [(false, true), (false, false), (true, true), (true, false)];
    for (by_qt, scratched) in cases.into_iter().filter(|(by_qt, _)| qt || !by_qt) {
        let window = desk.field(&watcher, by_qt);
        let (thread, reports) = desk.typist(&watcher, "", |x11| Box::new(Blind(x11)));
        let done = || reports.recv_timeout(PATIENCE).unwrap().result;
        thread.watch(true);
        for (id, text) in [(1, "Grüße "), (2, "an alle und jeden, 你好 😀")] {
            thread.send(id, insert(text));
            assert_eq!(done(), Ok(()));
        }
        if scratched {
            thread.scratch(3, 2);
            assert_eq!(done(), Ok(()));
            thread.send(4, insert("euch"));
            assert_eq!(done(), Ok(()));
        } else {
            thread.take_back(3, 1, true);
        }
        thread.send(5, insert("."));
        assert_eq!(done(), Ok(()));
        let expected = if scratched { "Grüße euch." } else { "." };
        assert_eq!(text(window, &thread, &reports, 6), expected, "by Qt: {by_qt}");
    }
}

#[test]
fn a_dictation_begins_with_a_space_where_it_would_run_on_from_the_word_before() {
    let Some(desk) = Desk::new() else { return };
    let watcher = desk.follow();
    let qt = entry::qt_is_present();
    let cases = [
        ("", "Hello", "Hello one two"),
        ("", "Hello.", "Hello. one two"),
        ("", "Hello (", "Hello (one two"),
        ("", "Hello ", "Hello one two"),
        ("", "", "one two"),
        ("", "你好", "你好one two"),
        ("leading_space = false", "Hello", "Helloone two"),
    ];
    for (config, before, expected) in cases {
        for by_qt in [false, true].into_iter().filter(|by_qt| qt || !by_qt) {
            let window = desk.field(&watcher, by_qt);
            let (thread, reports) = desk.typist(&watcher, config, |x11| Box::new(x11));
            let typed = |id, text: &str| {
                thread.send(id, insert(text));
                let report = reports.recv_timeout(PATIENCE).unwrap();
                assert_eq!((report.result, report.typed), (Ok(()), text.chars().count()), "{text}");
            };
            typed(1, before);
            let deadline = Instant::now() + PATIENCE;
            while !before.is_empty() && watcher.before_caret() != before.chars().last() {
                assert!(Instant::now() < deadline, "what was typed does not arrive");
            }
            thread.watch(true);
            typed(2, "one");
            typed(3, " two");
            assert_eq!(text(window, &thread, &reports, 4), expected, "by Qt: {by_qt}");
        }
    }
}

#[test]
fn a_paste_is_asked_for_with_what_worked_before_where_a_field_tells_that_it_is_one() {
    let Some(desk) = Desk::new() else { return };
    let watcher = desk.follow();
    let window = desk.field(&watcher, false);
    let display = desk.server.display.clone();
    let (send, reports) = mpsc::channel();
    let (open, focus) = (move |_: &[&str]| paste::x11(Some(&display)), Arc::clone(&watcher));
    let report = move |report| drop(send.send(report));
    let thread = spawn_with(open, &Config::default(), || Some(focus), report).unwrap();
    swictation_tests::measure("a word, pasted on X11 into a field that is told of", 20, || {
        thread.send(1, insert("streaming "));
        assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
    });
    assert_eq!(text(window, &thread, &reports, 2), "streaming ".repeat(20));
}

#[test]
fn what_was_typed_stays_when_somebody_came_in_between() {
    const A: u8 = 38;
    const LEFT: u8 = 113;
    let Some(desk) = Desk::new() else { return };
    let watcher = desk.follow();
    for (key, expected) in [(A, "one atwo"), (LEFT, "onetwo ")] {
        let window = desk.field(&watcher, false);
        let (thread, reports) = desk.typist(&watcher, "", |x11| Box::new(Blind(x11)));
        thread.watch(true);
        thread.send(1, insert("one "));
        assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
        desk.server.press(key).unwrap();
        desk.server.release(key).unwrap();
        thread.send(2, insert("two"));
        assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
        thread.scratch(3, 1);
        let why = reports.recv_timeout(PATIENCE).unwrap().result.unwrap_err();
        assert!(why.contains("caret"), "{why}");
        assert_eq!(text(window, &thread, &reports, 4), expected);
    }
}

#[test]
fn what_went_into_several_fields_stays() {
    let Some(desk) = Desk::new() else { return };
    let watcher = desk.follow();
    let first = desk.window("--entry", "First");
    until(&watcher, |now| now.field.is_some());
    let (thread, reports) = desk.typist(&watcher, "", |x11| Box::new(Blind(x11)));
    let report = |id, text: &str| {
        thread.send(id, insert(text));
        reports.recv_timeout(PATIENCE).unwrap().result
    };
    thread.watch(true);
    assert_eq!(report(1, "one"), Ok(()));
    let before = watcher.now();
    let second = desk.window("--entry", "Second");
    until(&watcher, |now| now.field.is_some() && now.field != before.field);
    assert_eq!(report(2, "two"), Ok(()));
    assert_eq!(report(3, " three"), Ok(()));
    // What went into the second alone is in no doubt.
    thread.scratch(4, 3);
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
    thread.scratch(5, 1);
    let why = reports.recv_timeout(PATIENCE).unwrap().result.unwrap_err();
    assert!(why.contains("fields"), "{why}");
    assert_eq!(text(second, &thread, &reports, 6), "two");
    desk.focus(&first);
    until(&watcher, |now| now.field == before.field);
    assert_eq!(text(first, &thread, &reports, 7), "one");
}
