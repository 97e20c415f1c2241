//! Typing into a real terminal on the desktop that DESKTOP names: what arrives is what
//! was meant. `scripts/desktops` runs this on every desktop.

#![allow(clippy::unwrap_used)] // A desktop that cannot be set up fails its test there and then.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::focus::Focus;
use swictation_daemon::typist::portal::Portal;
use swictation_daemon::typist::thread::{Report, spawn_with};
use swictation_daemon::typist::wayland::Wayland;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::desktop::{Desktop, Kind, TOKEN, Terminal};
use swictation_tests::texts;
use wayland_client::Connection;

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
            Kind::Sway | Kind::Labwc => Box::new(keyboard(&desktop)),
        };
        let terminal = desktop.terminal().unwrap();
        let mut desk = Self { typist, terminal, desktop };
        desk.open();
        Some(desk)
    }

    /// Waits until the desktop lets the typist type.
    fn open(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(e) = self.apply(0, "") {
            assert!(Instant::now() < deadline, "{e}");
        }
    }

    /// Applies an edit, and once more what of it was lost with the connection, as the
    /// daemon does.
    fn apply(&mut self, erase: usize, insert: &str) -> Result<(), TypistError> {
        match self.typist.apply(&Edit { erase, insert: insert.into() }) {
            Err(TypistError::Lost { typed, reason }) if erase == 0 && self.typist.name() == "portal" => {
                swictation_tests::note(&format!("opened again: {reason}"));
                self.typist = Box::new(connect(&self.desktop, &self.desktop.display())?);
                self.typist.apply(&Edit { erase, insert: insert.chars().skip(typed).collect() })
            }
            result => result,
        }
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

    /// Copies or pastes something, for which a program opens a window where only one with
    /// the focus may do that.
    fn aside(&mut self, work: impl FnOnce(&Desktop)) {
        match self.desktop.kind {
            Kind::Gnome => self.terminal.interrupted(|| work(&self.desktop)).unwrap(),
            _ => work(&self.desktop),
        }
    }
}

/// The portal of the desktop, with the leave that was given beforehand.
fn portal(desktop: &Desktop) -> Portal {
    if desktop.kind == Kind::Gnome {
        std::fs::write(Path::new(&desktop.path("state")).join("portal-token"), TOKEN).unwrap();
    }
    connect(desktop, &desktop.display()).unwrap()
}

/// The portal of the desktop, and the compositor at this socket.
fn connect(desktop: &Desktop, display: &Path) -> Result<Portal, TypistError> {
    let (bus, state) = (desktop.variable("DBUS_SESSION_BUS_ADDRESS"), desktop.path("state"));
    Portal::connect(bus, Some(display), Path::new(&state))
}

/// A keyboard that is brought along.
fn keyboard(desktop: &Desktop) -> Wayland {
    let socket = UnixStream::connect(desktop.display()).unwrap();
    Wayland::connect(Connection::from_socket(socket).unwrap()).unwrap()
}

#[test]
fn the_fixture_sees_what_another_program_types() {
    let Some(kind @ (Kind::Sway | Kind::Labwc)) = Kind::asked() else { return };
    let desktop = Desktop::start(kind, "us").unwrap();
    let mut terminal = desktop.terminal().unwrap();
    assert!(desktop.command("wtype").args(["-s", "200", texts::MIXED]).status().unwrap().success());
    assert_eq!(terminal.typed(texts::MIXED, PATIENCE).unwrap(), texts::MIXED);
}

/// Types every text and the letters that the layout has as its `own`, three times while the
/// machine is idle and three times while it is busy.
#[track_caller]
fn every_script_on(layouts: &str, own: &str) {
    let Some(mut desk) = Desk::with(layouts) else { return };
    let mut thrice = || {
        for text in [own].iter().chain(&texts::ALL).cycle().take(3 * (1 + texts::ALL.len())) {
            desk.types(text);
        }
    };
    thrice();
    busy(thrice);
}

/// Does something while more threads than there are processors want to run.
fn busy(work: impl FnOnce()) {
    let idle = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !idle.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // The scope waits for its threads also when the work fails.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        idle.store(true, Ordering::Relaxed);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn an_american_layout_types_every_script() {
    every_script_on("us", "Hello, World!");
}

#[test]
fn a_german_layout_types_every_script() {
    every_script_on("de", "Zwölf Boxkämpfer jagen §5, ÄÖÜß, 20 €");
}

#[test]
fn a_french_layout_types_every_script() {
    every_script_on("fr", "à ç é è ù €, µ £ §");
}

#[test]
fn dvorak_types_every_script() {
    every_script_on("us(dvorak)", "Pack my box");
}

#[test]
fn a_russian_layout_types_every_script() {
    every_script_on("ru", "Съешь ещё этих мягких булок, №5");
}

#[test]
fn greek_beside_latin_types_every_script() {
    every_script_on("gr,us", "αβγδ ΑΒΓΔ ς 123");
}

#[test]
fn two_thousand_characters_arrive_in_order_while_the_machine_is_busy() {
    let Some(mut desk) = Desk::with("us") else { return };
    let text: String =
        (0..).flat_map(|n| format!("Word {n}, BIG: 25 $; ").chars().collect::<Vec<_>>()).take(2000).collect();
    busy(|| {
        let begun = Instant::now();
        desk.types(&text);
        println!("busy: 2000 characters took {:?}", begun.elapsed());
    });
}

#[test]
fn erasing_presses_backspace_before_the_insertion() {
    let Some(mut desk) = Desk::with("fr") else { return };
    desk.types("hello");
    desk.expect(3, "p ok", "\x7f\x7f\x7fp ok");
    desk.expect(20, "", &"\x7f".repeat(20));
}

#[test]
fn the_active_group_of_two_layouts_is_used() {
    let Some(mut desk) = Desk::with("us,ru") else { return };
    desk.types("Hello, world");
    if let Kind::Gnome | Kind::Kde = desk.desktop.kind {
        desk.desktop.layout(1).unwrap();
    }
    desk.types("Привет");
}

#[test]
fn what_was_copied_before_is_there_again() {
    let Some(mut desk) = Desk::with("us") else { return };
    if !desk.desktop.pastes() {
        return;
    }
    desk.types("warm");
    desk.aside(|desktop| assert!(desktop.command("wl-copy").arg("kept").status().unwrap().success()));
    desk.types("naïve 你好 and on");
    let mut pasted = String::new();
    desk.aside(|desktop| {
        let output = desktop.command("wl-paste").arg("--no-newline").output().unwrap();
        pasted = String::from_utf8_lossy(&output.stdout).into_owned();
    });
    assert_eq!(pasted, "kept");
    desk.types("naïve again");
}

/// Types a long text and does something once its beginning is there: what the typist says,
/// and how much of it was seen by then.
fn interrupted(desk: &mut Desk, text: &str, interrupt: fn(&mut Desktop)) -> (Result<(), TypistError>, usize) {
    let mut seen = 0;
    let result = std::thread::scope(|scope| {
        let Desk { typist, terminal, desktop } = desk;
        let edit = Edit { erase: 0, insert: text.to_owned() };
        let typing = scope.spawn(move || typist.apply(&edit));
        seen = terminal.typed(&text[..100], PATIENCE).unwrap().len();
        interrupt(desktop);
        typing.join().unwrap()
    });
    (result, seen)
}

#[test]
fn what_a_session_that_ends_in_mid_text_has_not_typed_is_typed_by_the_next_one() {
    let Some(mut desk) = Desk::with("us") else { return };
    if !desk.desktop.pastes() {
        return;
    }
    desk.types("before ");
    let text: String = (0..600).map(|n| format!("word {n} ")).collect();
    let (result, seen) = interrupted(&mut desk, &text, |desktop| desktop.end_session().unwrap());
    let Err(TypistError::Lost { typed, .. }) = result else { panic!("{result:?}") };
    assert!((seen..text.len()).contains(&typed), "{typed} of which {seen} were seen");
    assert_eq!(desk.terminal.typed(&text[seen..typed], PATIENCE).unwrap(), text[seen..typed]);
    desk.open();
    desk.apply(0, "|").unwrap();
    assert_eq!(desk.terminal.typed("|", PATIENCE).unwrap(), "|", "something arrived that was not counted");
    desk.types(&text[typed..]);
}

#[test]
fn a_portal_that_dies_in_mid_text_costs_no_character() {
    let Some(mut desk) = Desk::with("us") else { return };
    if !desk.desktop.pastes() {
        return;
    }
    desk.types("before ");
    let text: String = (0..300).map(|n| format!("word {n} ")).collect();
    let (result, seen) = interrupted(&mut desk, &text, |desktop| desktop.kill().unwrap());
    let typed = match result {
        Ok(()) => text.len(),
        Err(TypistError::Lost { typed, .. }) => typed,
        other => panic!("{other:?}"),
    };
    assert_eq!(desk.terminal.typed(&text[seen..typed], PATIENCE).unwrap(), text[seen..typed]);
    desk.open();
    desk.types(&text[typed..]);
    desk.types("and on");
}

#[test]
fn a_character_that_can_neither_be_typed_nor_pasted_is_named_by_its_kind_before_anything_is_typed() {
    let Some(mut desk) = Desk::with("us") else { return };
    if desk.desktop.kind != Kind::Kde {
        return;
    }
    // A compositor that cannot be reached lends no clipboard, and the portal lends none here.
    desk.typist = Box::new(connect(&desk.desktop, Path::new("/nonexistent")).unwrap());
    desk.open();
    match desk.apply(0, "ok 你好") {
        Err(TypistError::Nowhere { typed: 0, reason }) => assert!(reason.contains("Chinese"), "{reason}"),
        other => panic!("{other:?}"),
    }
    desk.types("and on");
}

#[test]
fn while_the_desktop_asks_the_text_is_given_back_at_once() {
    let Some(kind @ Kind::Gnome) = Kind::asked() else { return };
    let desktop = Desktop::start(kind, "us").unwrap();
    let mut typist = connect(&desktop, &desktop.display()).unwrap();
    for _ in 0..2 {
        match typist.apply(&Edit { erase: 0, insert: "hello".into() }) {
            Err(TypistError::Nowhere { typed: 0, reason }) => assert!(reason.contains("allow"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn text_is_kept_to_the_window_that_was_dictated_into() {
    let Some(kind @ (Kind::Gnome | Kind::Kde)) = Kind::asked() else { return };
    let desktop = Desktop::start(kind, "us").unwrap();
    let typist = portal(&desktop);
    let mut terminal = desktop.terminal().unwrap();
    let config = Config::parse("focus = \"hold\"").unwrap();
    let bus = desktop.variable("DBUS_SESSION_BUS_ADDRESS");
    let focus = Focus::start(bus, Path::new(&desktop.path("state"))).unwrap();
    let typist = Mutex::new(Some(Box::new(typist) as Box<dyn Typist>));
    let open = move |_: &[&str]| {
        typist.lock().unwrap().take().ok_or_else(|| TypistError::Unavailable("the typist was lost".into()))
    };
    let (send, reports) = mpsc::channel();
    let thread = spawn_with(open, &config, || Some(focus), move |report| drop(send.send(report))).unwrap();
    let apply = |id, insert: &str| {
        thread.resume();
        thread.send(id, Edit { erase: 0, insert: insert.into() });
        reports.recv_timeout(PATIENCE).unwrap()
    };
    let until = |so: &dyn Fn(&Report) -> bool| {
        let deadline = Instant::now() + PATIENCE;
        for id in 1.. {
            let report = apply(id, "");
            if so(&report) {
                return;
            }
            assert!(Instant::now() < deadline, "{report:?}");
        }
    };
    thread.watch(true);
    until(&|report| report.result.is_ok());
    assert_eq!(apply(1_000_000, "one ").result, Ok(()));
    // Where programs are all that tells, the terminal tells nothing, and the other does.
    let other = Ended(match kind {
        Kind::Kde => desktop.command("foot").spawn().unwrap(),
        _ => desktop.command("zenity").args(["--entry", "--title=Other"]).spawn().unwrap(),
    });
    until(&|report| report.elsewhere);
    let kept = apply(2_000_000, "two");
    assert!(kept.elsewhere && kept.typed == 0, "{kept:?}");
    // Between two windows nothing has the focus, which GNOME tells nobody.
    terminal.interrupted(|| drop(other)).unwrap();
    until(&|report| report.result.is_ok());
    assert_eq!(apply(3_000_000, "two").result, Ok(()));
    assert_eq!(terminal.typed("one two", PATIENCE).unwrap(), "one two");
}

/// A program that is ended when this is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
