//! Typing into a real terminal on a real X server: what arrives is what was meant,
//! whatever the layout, the user's fingers or the machine's load.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_daemon::typist::x11::X11;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::busy;
use swictation_tests::texts::{self, ACCENTS, ASCII};
use swictation_tests::x11::{Terminal, XServer, terminal};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::ConnectionExt;

/// How long everything may take to arrive while other tests run.
const PATIENCE: Duration = Duration::from_secs(30);

const SHIFT: u8 = 50;
const CONTROL: u8 = 37;
const SUPER: u8 = 133;
const ALTGR: u8 = 108;
const CAPS_LOCK: u8 = 66;

/// A typist in front of a terminal, on a server of its own.
struct Desk {
    typist: X11,
    terminal: Terminal,
    server: XServer,
}

impl Desk {
    /// Nothing when there is no X server to be had.
    fn with(layout: &str) -> Option<Self> {
        let (server, terminal) = terminal(layout)?;
        let typist = X11::connect(Some(&server.display)).unwrap();
        Some(Self { typist, terminal, server })
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

    /// How many keycodes carry the keysym of a character.
    fn bound(&self, c: char) -> usize {
        let (connection, _) = x11rb::connect(Some(&self.server.display)).unwrap();
        let (first, last) = (connection.setup().min_keycode, connection.setup().max_keycode);
        let map = connection.get_keyboard_mapping(first, last - first + 1).unwrap().reply().unwrap();
        let keysym = xkeysym::Keysym::from_char(c).raw();
        map.keysyms.chunks(map.keysyms_per_keycode.into()).filter(|syms| syms.contains(&keysym)).count()
    }
}

/// Types every text and the letters that the layout has as its `own`, three times while the
/// machine is idle and three times while it is busy.
#[track_caller]
fn every_script_on(layouts: &str, own: &str) {
    let Some(mut desk) = Desk::with(layouts) else { return };
    texts::six_times(own, |text| desk.types(text));
}

swictation_tests::every_layout!(every_script_on);

#[test]
fn a_line_break_is_the_return_key() {
    let Some(mut desk) = Desk::with("de") else { return };
    desk.expect(0, "eins\n\nzwei€\n", "eins\r\rzwei€\r");
}

#[test]
fn two_thousand_characters_arrive_in_order_while_the_machine_is_busy() {
    let Some(mut desk) = Desk::with("us") else { return };
    let mixed: String = (0..70)
        .map(|n| format!("Word {n}, größer: 25 €; "))
        .collect::<String>()
        .chars()
        .cycle()
        .take(2000)
        .collect();
    let chinese: String = ('一'..).take(100).collect();
    busy(|| {
        let begun = Instant::now();
        desk.types(&mixed);
        println!("busy: 2000 characters took {:?}", begun.elapsed());
        desk.types(&chinese);
    });
}

#[test]
fn caps_lock_changes_nothing_and_stays_on() {
    for layout in ["us", "fr"] {
        let Some(mut desk) = Desk::with(layout) else { return };
        desk.server.press(CAPS_LOCK).unwrap();
        desk.server.release(CAPS_LOCK).unwrap();
        assert_eq!(desk.server.modifiers().unwrap(), 0b10, "Caps Lock is on before");
        desk.types(ASCII);
        desk.types(ACCENTS);
        assert_eq!(desk.server.modifiers().unwrap(), 0b10, "Caps Lock is on after");
    }
}

#[test]
fn a_modifier_that_the_user_holds_changes_nothing_and_does_not_get_stuck() {
    for (layout, key) in [("us", SHIFT), ("us", CONTROL), ("us", SUPER), ("de", ALTGR)] {
        let Some(mut desk) = Desk::with(layout) else { return };
        desk.server.press(key).unwrap();
        assert_ne!(desk.server.modifiers().unwrap(), 0, "key {key} is a modifier");
        desk.types("Hello, World: 100 % naïve");
        desk.server.release(key).unwrap();
        assert_eq!(desk.server.modifiers().unwrap(), 0, "key {key} is up");
        desk.types("and On.");
    }
}

#[test]
fn a_new_layout_holds_from_the_next_edit_on() {
    let Some(mut desk) = Desk::with("us") else { return };
    for layout in ["us", "de", "fr", "us"] {
        desk.server.layout(layout).unwrap();
        desk.types("Zwölf Boxkämpfer & 3 wizards: quiz @ \"7\"?");
    }
}

#[test]
fn the_active_group_of_two_layouts_is_used() {
    let Some(mut desk) = Desk::with("us,ru") else { return };
    for group in [0, 1, 0] {
        desk.server.group(group).unwrap();
        desk.types("Hello, привет! №5");
    }
}

#[test]
fn erasing_presses_backspace_before_the_insertion() {
    let Some(mut desk) = Desk::with("fr") else { return };
    desk.types("hello");
    desk.expect(3, "p 你", "\x7f\x7f\x7fp 你");
    desk.expect(2, "", "\x7f\x7f");
}

#[test]
fn control_characters_are_not_typed() {
    let Some(mut desk) = Desk::with("us") else { return };
    desk.expect(0, "a\x1b[31mb\x03\t\r\u{202e}c\u{8}", "a[31mbc");
}

#[test]
fn a_character_that_is_bound_already_does_not_wait_again() {
    let Some(mut desk) = Desk::with("us") else { return };
    desk.types("é");
    let begun = Instant::now();
    desk.types("éé");
    println!("two accents, bound before: {:?}", begun.elapsed());
    assert_eq!(desk.bound('é'), 1);
}

#[test]
fn bindings_are_taken_back_at_the_end_even_those_of_a_killed_daemon() {
    let Some(mut desk) = Desk::with("us") else { return };
    desk.types("éß你");
    let next = X11::connect(Some(&desk.server.display)).unwrap();
    std::mem::forget(std::mem::replace(&mut desk.typist, next));
    assert_eq!(desk.bound('é'), 1, "the killed daemon's binding is left");
    desk.types("éñ");
    let next = X11::connect(Some(&desk.server.display)).unwrap();
    drop(std::mem::replace(&mut desk.typist, next));
    assert_eq!("éßñ你".chars().map(|c| desk.bound(c)).sum::<usize>(), 0, "nothing is left");
}

#[test]
fn a_server_that_dies_in_the_middle_is_told_with_what_had_been_typed() {
    let Some(mut desk) = Desk::with("us") else { return };
    let text = "a long text. ".repeat(1000);
    let result = std::thread::scope(|scope| {
        let typing = scope.spawn(|| desk.typist.apply(&Edit { erase: 0, insert: text.clone() }));
        desk.terminal.typed(&text[..100], PATIENCE).unwrap();
        desk.server.kill().unwrap();
        typing.join().unwrap()
    });
    match result {
        Err(TypistError::Lost { typed, .. }) => assert!((90..text.len()).contains(&typed), "{typed}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(desk.apply(0, "more"), Err(TypistError::Lost { typed: 0, .. })));
}

#[test]
fn without_a_display_the_reason_says_what_to_do() {
    for (display, advice) in [
        (None, "import-environment DISPLAY"),
        (Some(""), "DISPLAY is not set"),
        (Some(":4095"), "X server running"),
    ] {
        match X11::connect(display).map(|_| ()) {
            Err(TypistError::Unavailable(why)) => assert!(why.contains(advice), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_word_arrives_at_once() {
    let Some(mut desk) = Desk::with("us") else { return };
    desk.types("Warm");
    swictation_tests::measure("a word", 60, || {
        desk.apply(0, "streaming ").unwrap();
        assert_eq!(desk.terminal.typed("streaming ", PATIENCE).unwrap(), "streaming ");
    });
}
