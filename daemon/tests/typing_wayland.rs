//! Typing into a real terminal in a real Sway: what arrives is what was meant, whatever
//! the person's keyboard does, however busy the machine is, and wherever the focus goes.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_daemon::typist::wayland::Wayland;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::desktop::{Desktop, Kind, Terminal};
use swictation_tests::{Ended, busy, need, program, texts};
use wayland_client::Connection;

/// How long everything may take to arrive while other tests run.
const PATIENCE: Duration = Duration::from_secs(30);

/// A typist in front of a terminal, in a compositor of its own.
struct Desk {
    typist: Wayland,
    terminal: Terminal,
    desktop: Desktop,
}

impl Desk {
    /// Nothing when there is no such compositor to be had.
    fn new() -> Option<Self> {
        let kind = Kind::of_wlroots()?;
        let desktop = Desktop::start(kind, "us").unwrap();
        let terminal = desktop.terminal().unwrap();
        let socket = UnixStream::connect(desktop.display()).unwrap();
        let typist = Wayland::connect(Connection::from_socket(socket).unwrap()).unwrap();
        Some(Self { typist, terminal, desktop })
    }

    /// One whose focus can be moved by a command.
    fn in_sway() -> Option<Self> {
        (Kind::of_wlroots()? == Kind::Sway).then(Self::new).flatten()
    }

    fn apply(&mut self, erase: usize, insert: &str) -> Result<(), TypistError> {
        self.typist.apply(&Edit { erase, insert: insert.into() })
    }

    /// Types the text and expects the terminal to get `expected`, and not a byte more.
    #[track_caller]
    fn expect(&mut self, erase: usize, insert: &str, expected: &str) {
        self.apply(erase, insert).unwrap();
        self.apply(0, " ").unwrap();
        let expected = format!("{expected} ");
        assert_eq!(self.terminal.typed(&expected, PATIENCE).unwrap(), expected);
    }

    #[track_caller]
    fn types(&mut self, text: &str) {
        self.expect(0, text, text);
    }

    /// Another keyboard, on which a person holds a modifier.
    fn hold(&mut self, modifier: &str) -> Option<Ended> {
        if !need("wtype", program("wtype")) {
            return None;
        }
        // The key tells that the modifier is down.
        let mut command = self.desktop.command("wtype");
        let held = Ended(command.args(["-M", modifier, "-k", "z", "-s", "600000"]).spawn().unwrap());
        let told = if modifier == "alt" { "\x1bz" } else { "z" };
        assert_eq!(self.terminal.typed(told, PATIENCE).unwrap().len(), told.len(), "{modifier}");
        Some(held)
    }

    /// Types a long text and does something once its beginning is there; how much of it
    /// the typist says arrived, and how much of that was seen.
    fn interrupted(&mut self, text: &str, interrupt: impl FnOnce(&mut Desktop)) -> (TypistError, usize) {
        std::thread::scope(|scope| {
            let typist = &mut self.typist;
            let typing = scope.spawn(|| typist.apply(&Edit { erase: 0, insert: text.into() }));
            let begun = self.terminal.typed(&text[..100], PATIENCE).unwrap();
            assert!(text.starts_with(&begun), "{begun:?}");
            interrupt(&mut self.desktop);
            (typing.join().unwrap().unwrap_err(), begun.len())
        })
    }
}

#[test]
fn every_script_is_typed_and_the_first_character_is_there() {
    let Some(mut desk) = Desk::new() else { return };
    for text in texts::ALL {
        desk.types(text);
    }
}

#[test]
fn two_thousand_characters_arrive_in_order_while_the_machine_is_busy() {
    let Some(mut desk) = Desk::new() else { return };
    let mixed: String = "Word, größer: 25 €; naïve 你好 😀 ".chars().cycle().take(2000).collect();
    busy(|| {
        let begun = Instant::now();
        desk.types(&mixed);
        println!("busy: 2000 characters took {:?}", begun.elapsed());
    });
}

#[test]
fn a_language_with_more_characters_than_keys_is_typed() {
    let Some(mut desk) = Desk::new() else { return };
    let chinese: String = ('一'..).take(400).collect();
    desk.types(&chinese);
    // What had a key once has lost it, and gets one again.
    desk.types(&chinese[..60]);
}

#[test]
fn a_keymap_that_takes_the_place_of_a_full_one_finds_no_modifier_held() {
    let Some(mut desk) = Desk::new() else { return };
    // Which place a character has in a keymap decides which modifiers it needs: one before
    // the change and the first behind it need the same.
    let many: Vec<char> = ('\u{4e00}'..).take(400).collect();
    for end in 90..102 {
        let text: String = many[..end].iter().chain(&many[..1]).chain(&many[end..=end]).collect();
        desk.types(&text);
    }
}

#[test]
fn a_modifier_that_is_held_on_another_keyboard_changes_nothing() {
    for modifier in ["shift", "ctrl", "alt", "logo", "altgr", "capslock"] {
        let Some(mut desk) = Desk::new() else { return };
        let Some(_held) = desk.hold(modifier) else { return };
        desk.types("Hello, World: 100 % naïve");
    }
}

#[test]
fn erasing_presses_backspace_before_the_insertion() {
    let Some(mut desk) = Desk::new() else { return };
    desk.types("hello");
    desk.expect(11, "p 你", &("\x7f".repeat(11) + "p 你"));
    desk.expect(2, "", "\x7f\x7f");
}

#[test]
fn nothing_is_typed_while_no_window_has_the_focus_and_the_rest_follows_when_one_has() {
    let Some(mut desk) = Desk::in_sway() else { return };
    desk.types("before");
    desk.desktop.tell("workspace 2").unwrap();
    for _ in 0..2 {
        match desk.apply(0, "kept") {
            Err(TypistError::Nowhere { typed: 0, reason }) => assert!(reason.contains("focus"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    desk.desktop.tell("workspace 1").unwrap();
    desk.types("kept");
}

#[test]
fn what_came_before_the_focus_was_lost_is_known_to_the_character() {
    let Some(mut desk) = Desk::in_sway() else { return };
    let text: String = (0..400).map(|n| format!("word {n} ")).collect();
    let (error, seen) = desk.interrupted(&text, |desktop| desktop.tell("workspace 2").unwrap());
    let TypistError::Nowhere { typed, .. } = error else { panic!("{error:?}") };
    assert!((seen..text.len()).contains(&typed), "{typed} of which {seen} were seen");
    assert_eq!(desk.terminal.typed(&text[seen..typed], PATIENCE).unwrap(), text[seen..typed]);
    desk.desktop.tell("workspace 1").unwrap();
    desk.types(&text[typed..]);
}

#[test]
fn the_window_that_has_the_focus_now_gets_the_text() {
    let Some(mut desk) = Desk::in_sway() else { return };
    desk.types("first");
    let second = desk.desktop.terminal().unwrap();
    let first = std::mem::replace(&mut desk.terminal, second);
    desk.types("second");
    drop(std::mem::replace(&mut desk.terminal, first));
    // It is gone when the next edit finds another window in its place.
    desk.types("first again");
}

#[test]
fn text_that_is_kept_to_one_window_waits_until_that_has_the_focus_again() {
    let Some(mut desk) = Desk::in_sway() else { return };
    desk.typist.watch(true);
    desk.types("first");
    let mut second = desk.desktop.terminal().unwrap();
    for _ in 0..2 {
        assert!(matches!(desk.apply(0, "kept"), Err(TypistError::Elsewhere { typed: 0 })));
        desk.typist.tend();
    }
    desk.desktop.tell("focus left").unwrap();
    desk.types("kept");
    // The next dictation is another window's, which has got nothing so far.
    desk.desktop.tell("focus right").unwrap();
    std::mem::swap(&mut desk.terminal, &mut second);
    desk.typist.rest();
    desk.typist.watch(true);
    desk.types("second");
}

#[test]
fn a_compositor_that_dies_in_the_middle_is_told_with_what_had_been_typed() {
    let Some(mut desk) = Desk::new() else { return };
    let text = "a long text. ".repeat(1000);
    let (error, seen) = desk.interrupted(&text, |desktop| desktop.kill_newest().unwrap());
    match error {
        TypistError::Lost { typed, .. } => {
            // The answers to the last keys die with it, and the window, too.
            assert!((seen.saturating_sub(8)..text.len()).contains(&typed), "{typed}, seen {seen}")
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(desk.apply(0, "more"), Err(TypistError::Lost { typed: 0, .. })));
}

#[test]
fn a_word_arrives_at_once() {
    let Some(mut desk) = Desk::new() else { return };
    desk.types("Warm");
    swictation_tests::measure("a word", 50, || {
        desk.apply(0, "streaming ").unwrap();
        assert_eq!(desk.terminal.typed("streaming ", PATIENCE).unwrap(), "streaming ");
    });
}
