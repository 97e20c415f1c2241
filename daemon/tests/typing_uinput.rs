//! Typing with a keyboard of a real kernel, into a terminal of a real compositor and one of a
//! real X server that have it from there. `scripts/machine` boots a kernel for this.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use evdev::KeyCode;
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_daemon::typist::{Typist, TypistError, uinput};
use swictation_tests::desktop::{self, Desktop, Kind};
use swictation_tests::keyboard::Keyboard;
use swictation_tests::x11::{self, XServer};
use swictation_tests::{busy, need, texts};

/// How long everything may take to arrive on a machine that is a program itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A typist in front of a terminal, on a desktop of its own.
struct Desk {
    typist: Box<dyn Typist>,
    terminal: Terminal,
    place: Place,
}

enum Place {
    Wayland(Desktop),
    X11(Box<XServer>),
}

enum Terminal {
    Wayland(desktop::Terminal),
    X11(x11::Terminal),
}

impl Place {
    /// One of each kind, with this layout for all keyboards that are plugged in; none but on a
    /// machine that is there for this.
    fn each(layout: &str) -> Vec<Self> {
        // On a person's machine it would type into the window that is before the person.
        if !need("uinput", std::env::var_os("SWICTATION_MACHINE").is_some()) {
            return Vec::new();
        }
        let (name, variant) = layout.trim_end_matches(')').split_once('(').unwrap_or((layout, ""));
        let wayland = Desktop::start_plugged(Kind::Sway, layout).unwrap();
        let x11 = XServer::start_plugged(name, variant).unwrap();
        vec![Self::Wayland(wayland), Self::X11(Box::new(x11))]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Wayland(_) => "Wayland",
            Self::X11(_) => "X11",
        }
    }

    fn terminal(&self) -> Terminal {
        match self {
            Self::Wayland(desktop) => Terminal::Wayland(desktop.terminal().unwrap()),
            Self::X11(server) => Terminal::X11(x11::Terminal::open(server).unwrap()),
        }
    }

    fn typist(&self) -> Box<dyn Typist> {
        match self {
            Self::Wayland(desktop) => uinput::wayland(desktop.display()).unwrap(),
            Self::X11(server) => uinput::x11(server.display.clone()).unwrap(),
        }
    }

    /// Gives this layout to a keyboard that is plugged in, and not to others that will be.
    fn set(&self, keyboard: &Keyboard, layout: &str) {
        match self {
            Self::Wayland(desktop) => {
                desktop.tell(&format!("input \"{}\" xkb_layout {layout}", keyboard.sway_name())).unwrap()
            }
            Self::X11(server) => server.layout(layout).unwrap(),
        }
    }
}

impl Terminal {
    fn typed(&mut self, text: &str, patience: Duration) -> String {
        match self {
            Self::Wayland(terminal) => terminal.typed(text, patience),
            Self::X11(terminal) => terminal.typed(text, patience),
        }
        .unwrap()
    }
}

impl Desk {
    fn each(layout: &str) -> impl Iterator<Item = Self> {
        Place::each(layout).into_iter().map(|place| {
            let typist = place.typist();
            Self { typist, terminal: place.terminal(), place }
        })
    }

    fn apply(&mut self, erase: usize, insert: &str) -> Result<(), TypistError> {
        self.typist.apply(&Edit { erase, insert: insert.into() })
    }

    /// Expects the terminal to have got `expected` since the last time, and not a byte more.
    #[track_caller]
    fn has(&mut self, expected: &str) {
        self.apply(0, " ").unwrap();
        let expected = format!("{expected} ");
        assert_eq!(self.terminal.typed(&expected, PATIENCE), expected, "{}", self.place.name());
    }

    #[track_caller]
    fn types(&mut self, text: &str) {
        self.apply(0, text).unwrap();
        self.has(text);
    }
}

/// Types the letters that the layout has as its `own`, and every text that it has keys for;
/// the others are given back whole.
#[track_caller]
fn every_script_on(layouts: &str, own: &str) {
    for mut desk in Desk::each(layouts) {
        texts::six_times(own, |text| match desk.apply(0, text) {
            Ok(()) => desk.has(text),
            Err(TypistError::Nowhere { typed: 0, .. }) if text != own => desk.has(""),
            other => panic!("{text:?}: {other:?}"),
        });
    }
}

swictation_tests::every_layout!(every_script_on);

#[test]
fn two_thousand_characters_arrive_in_order_while_the_machine_is_busy() {
    let text: String =
        (0..).flat_map(|n| format!("Word {n}, BIG: 25 $; ").chars().collect::<Vec<_>>()).take(2000).collect();
    for mut desk in Desk::each("us") {
        busy(|| {
            let begun = Instant::now();
            desk.types(&text);
            println!("{}, busy: 2000 characters took {:?}", desk.place.name(), begun.elapsed());
        });
    }
}

#[test]
fn a_word_arrives_at_once() {
    for mut desk in Desk::each("us") {
        desk.types("Warm");
        swictation_tests::measure(&format!("a word, {}", desk.place.name()), 60, || {
            desk.apply(0, "streaming ").unwrap();
            assert_eq!(desk.terminal.typed("streaming ", PATIENCE), "streaming ");
        });
    }
}

#[test]
fn erasing_presses_backspace_before_the_insertion() {
    for mut desk in Desk::each("fr") {
        desk.types("hello");
        desk.apply(3, "p ok").unwrap();
        desk.has("\x7f\x7f\x7fp ok");
    }
}

#[test]
fn the_other_layout_of_another_keyboard_changes_nothing() {
    for place in Place::each("us") {
        let mut person = Keyboard::plug("Person").unwrap();
        let mut terminal = place.terminal();
        let deadline = Instant::now() + PATIENCE;
        while terminal.typed("y", Duration::from_secs(1)) != "y" {
            assert!(Instant::now() < deadline, "{} has no keyboard", place.name());
            person.press(KeyCode::KEY_Y).unwrap();
        }
        // What was pressed in vain may come yet.
        terminal.typed("yyyyy", Duration::from_secs(1));
        place.set(&person, "de");
        let typist = place.typist();
        let mut desk = Desk { typist, terminal, place };
        for _ in 0..3 {
            person.press(KeyCode::KEY_Y).unwrap();
            assert_eq!(desk.terminal.typed("z", PATIENCE), "z", "{}", desk.place.name());
            desk.types("Lazy & crazy: $5 (or #6)?");
        }
    }
}
