//! Typing into a real terminal on the desktop that DESKTOP names: what arrives is what
//! was meant. `scripts/desktops` runs this on every desktop.

#![allow(clippy::unwrap_used)] // A desktop that cannot be set up fails its test there and then.

use std::path::Path;
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_daemon::typist::portal::Portal;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::desktop::{Desktop, Kind, TOKEN, Terminal};
use swictation_tests::texts;

/// How long everything may take to arrive while the machine does other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// A typist in front of a terminal, on a desktop of its own.
struct Desk {
    typist: Box<dyn Typist>,
    terminal: Terminal,
    desktop: Desktop,
}

impl Desk {
    /// Nothing where no desktop is to be had that has this typist.
    fn with(layouts: &str) -> Option<Self> {
        let kind = Kind::asked()?;
        let desktop = Desktop::start(kind, layouts).unwrap();
        let typist: Box<dyn Typist> = match kind {
            Kind::Gnome | Kind::Kde => Box::new(portal(&desktop)),
            Kind::Sway | Kind::Labwc => return None,
        };
        let terminal = desktop.terminal().unwrap();
        Some(Self { typist, terminal, desktop })
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
}

/// The portal of the desktop, with the leave that was given beforehand.
fn portal(desktop: &Desktop) -> Portal {
    let state = desktop.path("state");
    if desktop.kind == Kind::Gnome {
        std::fs::write(Path::new(&state).join("portal-token"), TOKEN).unwrap();
    }
    Portal::connect(desktop.variable("DBUS_SESSION_BUS_ADDRESS"), Path::new(&state)).unwrap()
}

#[test]
fn the_fixture_sees_what_another_program_types() {
    let Some(kind @ (Kind::Sway | Kind::Labwc)) = Kind::asked() else { return };
    let desktop = Desktop::start(kind, "us").unwrap();
    let mut terminal = desktop.terminal().unwrap();
    assert!(desktop.command("wtype").args(["-s", "200", texts::MIXED]).status().unwrap().success());
    assert_eq!(terminal.typed(texts::MIXED, PATIENCE).unwrap(), texts::MIXED);
}

#[test]
fn ascii_is_typed_on_every_layout() {
    for layout in ["us", "de", "fr", "us(dvorak)"] {
        let Some(mut desk) = Desk::with(layout) else { return };
        println!("{layout}");
        desk.types(texts::ASCII);
    }
}

#[test]
fn a_word_arrives_at_once() {
    let Some(mut desk) = Desk::with("us") else { return };
    desk.types("Warm");
    let mut took: Vec<Duration> = (0..60)
        .map(|_| {
            let begun = Instant::now();
            desk.apply(0, "streaming ").unwrap();
            assert_eq!(desk.terminal.typed("streaming ", PATIENCE).unwrap(), "streaming ");
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!("a word: median {:?}, p95 {:?}, worst {:?}", took[30], took[56], took[59]);
}
