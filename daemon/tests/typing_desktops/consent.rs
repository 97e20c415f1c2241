//! The desktop's question whether Swictation may type, answered by its person.

use crate::desk::{PATIENCE, connect, thread};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Instant;
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::thread::{Report, TypistThread};
use swictation_tests::desktop::{Desktop, Kind, Terminal};

/// A desktop that was never asked, with a terminal and what types into it.
struct Dictation {
    thread: TypistThread,
    reports: Receiver<Report>,
    edits: u64,
    terminal: Terminal,
    desktop: Desktop,
}

impl Dictation {
    /// Nothing where the desktop asks nobody.
    fn begin() -> Option<Self> {
        let Some(kind @ (Kind::Gnome | Kind::Kde)) = Kind::asked() else { return None };
        let desktop = Desktop::start(kind, "us").unwrap();
        desktop.forget_leave().unwrap();
        let terminal = desktop.terminal().unwrap();
        let (thread, reports) = daemon(&desktop);
        thread.watch(true);
        Some(Self { thread, reports, edits: 0, terminal, desktop })
    }

    /// What becomes of a text.
    fn report(&mut self, insert: &str) -> Report {
        self.edits += 1;
        self.thread.resume();
        self.thread.send(self.edits, Edit { erase: 0, insert: insert.into() });
        self.reports.recv_timeout(PATIENCE).unwrap()
    }

    /// Tries to type until what becomes of it is so.
    fn until(&mut self, so: impl Fn(&Report) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let report = self.report("");
            if so(&report) {
                return;
            }
            assert!(Instant::now() < deadline, "{report:?}");
        }
    }

    /// Has the text given back, for a reason with this in it.
    #[track_caller]
    fn fails(&mut self, insert: &str, reason: &str) {
        let report = self.report(insert);
        assert!(is_because(&report, reason) && report.typed == 0, "{report:?}");
    }

    #[track_caller]
    fn types(&mut self, text: &str) {
        assert_eq!(self.report(text).result, Ok(()));
        assert_eq!(self.terminal.typed(text, PATIENCE).unwrap(), text);
    }
}

/// The daemon's thread with the portal of this desktop.
fn daemon(desktop: &Desktop) -> (TypistThread, Receiver<Report>) {
    thread(connect(desktop, &desktop.display()).unwrap(), &Config::default(), None)
}

fn is_because(report: &Report, reason: &str) -> bool {
    report.result.as_ref().is_err_and(|why| why.contains(reason))
}

#[test]
fn who_says_no_gets_the_text_back_and_is_asked_again_with_the_next_dictation_and_not_before() {
    let Some(mut dictation) = Dictation::begin() else { return };
    dictation.fails("one ", "allow");
    dictation.desktop.answer(false).unwrap();
    dictation.until(|report| is_because(report, "was told that Swictation may not type"));
    for _ in 0..3 {
        dictation.fails("one ", "asks again with the next dictation");
        assert!(!dictation.desktop.asks(), "the desktop asks again");
    }
    dictation.thread.watch(false);
    dictation.thread.watch(true);
    dictation.desktop.answer(true).unwrap();
    dictation.until(|report| report.result.is_ok());
    dictation.types("two");
}

#[test]
fn who_says_yes_is_not_asked_again() {
    let Some(mut dictation) = Dictation::begin() else { return };
    dictation.fails("one ", "allow");
    dictation.desktop.answer(true).unwrap();
    dictation.until(|report| report.result.is_ok());
    dictation.types("naïve 你好");
    let token = Path::new(&dictation.desktop.path("state")).join("portal-token");
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // As after a new start of the daemon; nobody answers now.
    (dictation.thread, dictation.reports) = daemon(&dictation.desktop);
    dictation.thread.watch(true);
    dictation.types("again");
    assert!(!dictation.desktop.asks(), "the desktop asks again");
}
