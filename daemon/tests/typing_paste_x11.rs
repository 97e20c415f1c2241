//! Pasting every text into a real window of GTK on a real X server: what arrives is what was
//! meant, and what was copied before is there again.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_daemon::typist::paste;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::copied::{Copied, forms, paste};
use swictation_tests::entry::{self, Entry};
use swictation_tests::texts;
use swictation_tests::x11::XServer;

/// How long the terminal may take while other tests run.
const PATIENCE: Duration = Duration::from_secs(30);

/// The forms in which a program copied something, the second larger than is given at once.
const FORMS: [&str; 4] = ["UTF8_STRING", "image/x-large", "text/html", "application/x-empty"];

/// A typist and a server with a window that has one field.
struct Desk {
    typist: Box<dyn Typist>,
    entry: Entry,
    server: XServer,
}

impl Desk {
    /// Nothing when there is no such window to be had.
    fn new(layout: &str) -> Option<Self> {
        if !entry::gtk_is_present() {
            return None;
        }
        let server = XServer::start().unwrap();
        server.layout(layout).unwrap();
        let entry = Entry::of_gtk(&server, "Field").unwrap();
        let typist = paste::x11(Some(&server.display)).unwrap();
        Some(Self { typist, entry, server })
    }

    fn apply(&mut self, erase: usize, insert: &str) -> Result<(), TypistError> {
        self.typist.apply(&Edit { erase, insert: insert.into() })
    }

    fn copy(&self) -> Copied {
        Copied::new(&self.server.display, &FORMS.map(|form| (form, content(form)))).unwrap()
    }

    fn paste(&self, form: &str) -> Vec<u8> {
        paste(&self.server.display, form).unwrap().unwrap_or_else(|| panic!("{form} is not there"))
    }

    #[track_caller]
    fn expect_copied(&self) {
        let now = forms(&self.server.display).unwrap();
        for form in FORMS {
            assert!(now.iter().any(|known| known == form), "{form} is lost: {now:?}");
            assert!(self.paste(form) == content(form), "{form} is another");
        }
    }

    /// Presses Return, and says what is in the field then.
    fn text(mut self) -> String {
        self.apply(0, "\n").unwrap();
        self.entry.text().unwrap()
    }
}

/// What was copied in a form.
fn content(form: &str) -> Vec<u8> {
    match form {
        "image/x-large" => (0..600_000_u32).map(|n| (n % 251) as u8).collect(),
        "application/x-empty" => Vec::new(),
        form => format!("kept as {form}, naïvely").into_bytes(),
    }
}

/// Pastes every text and the letters that the layout has as its `own`, three times while the
/// machine is idle and three times while it is busy.
#[track_caller]
fn every_script_on(layouts: &str, own: &str) {
    let Some(mut desk) = Desk::new(layouts) else { return };
    let mut expected = String::new();
    texts::six_rounds(own, |text| {
        desk.apply(0, text).unwrap();
        expected += text;
    });
    assert_eq!(desk.text(), expected);
}

swictation_tests::every_layout!(every_script_on);

#[test]
fn text_is_pasted_and_erased_whichever_group_is_active() {
    // GTK takes a key for what it is in the first layout that has Latin letters.
    for group in 0..2 {
        let Some(mut desk) = Desk::new("us,ru") else { return };
        desk.server.group(group).unwrap();
        desk.apply(0, "more").unwrap();
        desk.apply(3, "any").unwrap();
        assert_eq!(desk.text(), "many");
    }
}

#[test]
fn a_word_arrives_without_anybody_waiting_for_it() {
    let Some(mut desk) = Desk::new("us") else { return };
    swictation_tests::measure("a word, pasted on X11", 20, || desk.apply(0, "streaming ").unwrap());
    assert_eq!(desk.text(), "streaming ".repeat(20));
}

#[test]
fn what_was_copied_before_is_there_again_in_all_its_forms() {
    let Some(mut desk) = Desk::new("us") else { return };
    let copied = desk.copy();
    desk.apply(0, "naïve ").unwrap();
    desk.expect_copied();
    drop(copied);
    // What was put back is ours, so it goes on being there.
    desk.apply(0, "again").unwrap();
    desk.expect_copied();
    assert_eq!(desk.text(), "naïve again");
}

#[test]
fn what_was_copied_before_the_typist_came_is_there_again() {
    let Some(mut desk) = Desk::new("us") else { return };
    let _copied = desk.copy();
    desk.typist = paste::x11(Some(&desk.server.display)).unwrap();
    desk.apply(0, "words").unwrap();
    desk.expect_copied();
}

#[test]
fn text_that_somebody_copied_as_numbers_changes_nothing_of_ours() {
    let Some(mut desk) = Desk::new("us") else { return };
    // Whichever the window asks for.
    let numbers =
        ["text/plain;charset=utf-8", "text/plain", "UTF8_STRING"].map(|form| (form, b"old!".to_vec()));
    let _copied = Copied::in_numbers(&desk.server.display, 32, &numbers).unwrap();
    desk.apply(0, "odd").unwrap();
    assert_eq!(desk.paste("UTF8_STRING"), b"old!");
    assert_eq!(desk.text(), "odd");
}

#[test]
fn an_empty_clipboard_does_not_keep_what_was_typed() {
    let Some(mut desk) = Desk::new("us") else { return };
    desk.apply(0, "secret").unwrap();
    assert_eq!(desk.server.clipboard().unwrap().unwrap_or_default(), "");
}

#[test]
fn what_somebody_copies_after_a_paste_stays() {
    let Some(mut desk) = Desk::new("us") else { return };
    desk.apply(0, "one ").unwrap();
    let _copied = desk.copy();
    desk.apply(0, "two").unwrap();
    desk.expect_copied();
    assert_eq!(desk.text(), "one two");
}

#[test]
fn what_somebody_copies_during_a_paste_stays() {
    // A terminal that does not paste leaves the time for it.
    let Some((server, _terminal)) = swictation_tests::x11::terminal("us") else { return };
    let mut typist = paste::x11(Some(&server.display)).unwrap();
    let edit = Edit { erase: 0, insert: "words".into() };
    let _copied = std::thread::scope(|scope| {
        let pasting = scope.spawn(|| typist.apply(&edit));
        let deadline = Instant::now() + PATIENCE;
        while !forms(&server.display).unwrap().iter().any(|form| form == "UTF8_STRING") {
            assert!(Instant::now() < deadline, "nothing is offered");
        }
        let copied = Copied::new(&server.display, &[("UTF8_STRING", b"mine".to_vec())]).unwrap();
        drop(pasting.join().unwrap());
        copied
    });
    assert_eq!(paste(&server.display, "UTF8_STRING").unwrap(), Some(b"mine".to_vec()));
}

#[test]
fn while_nothing_has_the_focus_nothing_is_pasted_and_the_text_is_given_back() {
    let Some(mut desk) = Desk::new("us") else { return };
    desk.apply(0, "here, ").unwrap();
    let _copied = desk.copy();
    desk.server.focus_nothing().unwrap();
    match desk.apply(0, "nowhere") {
        Err(TypistError::Nowhere { typed: 0, .. }) => {}
        other => panic!("{other:?}"),
    }
    desk.expect_copied();
    desk.entry.focus(&desk.server).unwrap();
    desk.apply(0, "there").unwrap();
    assert_eq!(desk.text(), "here, there");
}

#[test]
fn a_terminal_that_does_not_paste_gets_no_control_v() {
    let Some((server, mut terminal)) = swictation_tests::x11::terminal("us") else { return };
    let mut typist = paste::x11(Some(&server.display)).unwrap();
    match typist.apply(&Edit { erase: 0, insert: "words".into() }) {
        Err(TypistError::Nowhere { typed: 0, reason }) => {
            assert!(reason.contains("does not paste"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    typist.apply(&Edit { erase: 1, insert: String::new() }).unwrap();
    // Ctrl+Shift+V comes first there; a terminal that does not know it takes it for Ctrl+V.
    assert_eq!(terminal.typed("\x16\x7f", PATIENCE).unwrap(), "\x16\x7f");
}
