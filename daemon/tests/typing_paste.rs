//! Pasting every text into a real terminal in a real compositor: what arrives is what was
//! meant, and what was copied before is there again.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::os::unix::net::UnixStream;
use std::time::Duration;
use swictation_core::Edit;
use swictation_daemon::typist::paste;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::desktop::{Desktop, Kind, Terminal};
use swictation_tests::{Ended, need, program, texts};
use wayland_client::Connection;

/// How long everything may take to arrive while other tests run.
const PATIENCE: Duration = Duration::from_secs(30);

/// A typist in front of a terminal, in a compositor of its own.
struct Desk {
    typist: Box<dyn Typist>,
    terminal: Terminal,
    desktop: Desktop,
}

impl Desk {
    /// Nothing when there is no such compositor to be had.
    fn new() -> Option<Self> {
        let kind = Kind::of_wlroots()?;
        if !need("wl-clipboard", program("wl-copy")) {
            return None;
        }
        let desktop = Desktop::start(kind, "us").unwrap();
        let connect = || Connection::from_socket(UnixStream::connect(desktop.display()).unwrap()).unwrap();
        let typist = paste::wayland(connect(), connect()).unwrap();
        let terminal = desktop.terminal().unwrap();
        Some(Self { typist, terminal, desktop })
    }

    fn apply(&mut self, erase: usize, insert: &str) -> Result<(), TypistError> {
        self.typist.apply(&Edit { erase, insert: insert.into() })
    }

    #[track_caller]
    fn expect(&mut self, erase: usize, insert: &str, expected: &str) {
        self.apply(erase, insert).unwrap();
        assert_eq!(self.terminal.typed(expected, PATIENCE).unwrap(), expected);
    }

    /// A program with which a person copies something, in all the forms that wl-copy gives a text.
    fn copy(&self, arguments: &[&str]) -> Ended {
        let mut command = self.desktop.command("wl-copy");
        let copied = Ended(command.arg("--foreground").args(arguments).spawn().unwrap());
        let text = arguments.last().unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.paste(&[]) != *text {
            assert!(std::time::Instant::now() < deadline, "wl-copy did not copy");
        }
        copied
    }

    /// What is on the clipboard.
    fn paste(&self, arguments: &[&str]) -> String {
        let output = self.desktop.command("wl-paste").arg("--no-newline").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn every_script_is_pasted_exactly_with_its_line_feeds() {
    let Some(mut desk) = Desk::new() else { return };
    // The layout does not matter: the keyboard has one of its own.
    texts::six_rounds("", |text| desk.expect(0, text, text));
    desk.expect(0, "é one\n\ntwo\n", "é one\r\rtwo\r");
    desk.expect(2, "ok", "\x7f\x7fok");
}

#[test]
fn what_was_copied_before_is_there_again_in_all_its_forms() {
    let Some(mut desk) = Desk::new() else { return };
    let copied = desk.copy(&["kept"]);
    let forms = desk.paste(&["--list-types"]);
    assert!(forms.lines().count() > 2, "{forms}");
    desk.expect(0, "naïve", "naïve");
    assert_eq!(desk.paste(&[]), "kept");
    let now = desk.paste(&["--list-types"]);
    for form in forms.lines() {
        assert!(now.lines().any(|line| line == form), "{form} is lost: {now}");
        assert_eq!(desk.paste(&["--type", form]), "kept");
    }
    drop(copied);
    // What was put back is ours, so it goes on being there.
    desk.expect(0, "again", "again");
    assert_eq!(desk.paste(&[]), "kept");
}

#[test]
fn something_that_is_no_text_is_there_again() {
    let Some(mut desk) = Desk::new() else { return };
    let _copied = desk.copy(&["--type", "application/x-drawing", "lines and circles"]);
    desk.expect(0, "words", "words");
    assert_eq!(desk.paste(&["--list-types"]).lines().next(), Some("application/x-drawing"));
    assert_eq!(desk.paste(&["--type", "application/x-drawing"]), "lines and circles");
}

#[test]
fn a_compositor_that_dies_in_the_middle_is_told_with_what_had_been_pasted() {
    let Some(Desk { mut typist, mut terminal, mut desktop }) = Desk::new() else { return };
    let edit = Edit { erase: 0, insert: "a line\n".repeat(100) };
    let (result, seen) = std::thread::scope(|scope| {
        let pasting = scope.spawn(|| typist.apply(&edit));
        let seen = terminal.typed("a line\ra line\r", PATIENCE).unwrap().len();
        desktop.kill_newest().unwrap();
        (pasting.join().unwrap(), seen)
    });
    match result {
        // The last line feed may have been seen before it was confirmed.
        Err(TypistError::Lost { typed, .. }) => {
            assert!((seen - 1..edit.insert.len()).contains(&typed), "{typed}, seen {seen}")
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(typist.apply(&edit), Err(TypistError::Lost { typed: 0, .. })));
}

#[test]
fn a_word_arrives_without_anybody_waiting_for_it() {
    let Some(mut desk) = Desk::new() else { return };
    desk.expect(0, "Warm", "Warm");
    swictation_tests::measure("a word", 20, || {
        desk.expect(0, "streaming ", "streaming ");
    });
}

#[test]
fn an_empty_clipboard_does_not_keep_what_was_typed() {
    let Some(mut desk) = Desk::new() else { return };
    desk.expect(0, "secret", "secret");
    assert_eq!(desk.paste(&[]), "");
}

#[test]
fn what_somebody_copies_after_a_paste_stays() {
    let Some(mut desk) = Desk::new() else { return };
    desk.expect(0, "one", "one");
    let _copied = desk.copy(&["new"]);
    desk.expect(0, "two", "two");
    assert_eq!(desk.paste(&[]), "new");
}

#[test]
fn while_no_window_has_the_focus_nothing_is_pasted_and_the_text_is_given_back() {
    let Some(mut desk) = Desk::new() else { return };
    if desk.desktop.kind != Kind::Sway {
        return;
    }
    desk.expect(0, "here", "here");
    let _copied = desk.copy(&["kept"]);
    desk.desktop.tell("workspace 2").unwrap();
    match desk.apply(0, "nowhere") {
        Err(TypistError::Nowhere { typed: 0, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.paste(&[]), "kept");
    desk.desktop.tell("workspace 1").unwrap();
    desk.expect(0, "there", "there");
}
