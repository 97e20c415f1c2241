//! Typing into a real terminal on the desktop that DESKTOP names: what arrives is what
//! was meant. `scripts/desktops` runs this on every desktop.

#![allow(clippy::unwrap_used)] // A desktop that cannot be set up fails its test there and then.

mod clipboard;
mod composed;
mod consent;
mod desk;
mod doctor;
mod picture;

use desk::{Desk, PATIENCE, connect};
use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::TypistError;
use swictation_daemon::typist::focus::Focus;
use swictation_daemon::typist::thread::Report;
use swictation_tests::desktop::{Desktop, Kind};
use swictation_tests::{Ended, busy, texts};

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
    texts::six_times(own, |text| desk.types(text));
}

swictation_tests::every_layout!(every_script_on);

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
fn the_active_one_of_more_layouts_than_gnome_has_groups_is_used() {
    let Some(mut desk) = Desk::with("us,de,ru,fr") else { return };
    for (number, text) in [(3, "azerty, été & 25"), (2, "Привет"), (1, "zyklisch, über ß")] {
        if let Kind::Gnome | Kind::Kde = desk.desktop.kind {
            desk.desktop.layout(number).unwrap();
        }
        desk.types(text);
    }
}

#[test]
fn what_a_person_holds_or_has_locked_changes_nothing() {
    const CONTROL: u32 = 29;
    const SUPER: u32 = 125;
    const CAPS_LOCK: u32 = 58;
    // GNOME tells nobody; elsewhere the keyboard is one of its own.
    if Kind::asked() != Some(Kind::Kde) {
        return;
    }
    let Some(mut desk) = Desk::with("de") else { return };
    for key in [CONTROL, SUPER] {
        desk.desktop.press(key).unwrap();
        match desk.apply(0, "hello") {
            Err(TypistError::Nowhere { typed: 0, reason }) => {
                assert!(reason.contains("modifier"), "{reason}")
            }
            other => panic!("{other:?}"),
        }
        desk.desktop.release(key).unwrap();
        desk.types("Hello, Ärger");
    }
    for _ in 0..2 {
        desk.desktop.press(CAPS_LOCK).unwrap();
        desk.desktop.release(CAPS_LOCK).unwrap();
        desk.types("Hello, Ärger & 3 ÄÖÜ");
    }
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
    let (result, seen) = interrupted(&mut desk, &text, |desktop| desktop.kill_newest().unwrap());
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
    desk.typist = connect(&desk.desktop, Path::new("/nonexistent")).unwrap();
    desk.open();
    match desk.apply(0, "ok 你好") {
        Err(TypistError::Nowhere { typed: 0, reason }) => assert!(reason.contains("Chinese"), "{reason}"),
        other => panic!("{other:?}"),
    }
    desk.types("and on");
}

/// What the desktop tells of the focus.
fn focus(desktop: &Desktop) -> Option<Arc<Focus>> {
    let bus = desktop.variable("DBUS_SESSION_BUS_ADDRESS");
    let (state, ibus) = (desktop.path("state"), desktop.path("ibus"));
    Some(Arc::new(Focus::start(bus, Path::new(&state), Path::new(&ibus)).unwrap()))
}

#[test]
fn text_waits_on_plasma_while_no_window_has_the_focus() {
    // Of the others GNOME tells nobody, and those of wlroots tell the typist.
    if Kind::asked() != Some(Kind::Kde) {
        return;
    }
    let Some(Desk { typist, terminal, desktop }) = Desk::with("us") else { return };
    let (thread, reports) = desk::thread(typist, &Config::default(), focus(&desktop));
    let apply = |id, insert: &str| {
        thread.resume();
        thread.send(id, Edit { erase: 0, insert: insert.into() });
        reports.recv_timeout(PATIENCE).unwrap()
    };
    thread.watch(true);
    drop(terminal);
    let deadline = Instant::now() + PATIENCE;
    let why = loop {
        if let Err(why) = apply(1, "").result {
            break why;
        }
        assert!(Instant::now() < deadline, "a window has the focus still");
    };
    assert!(why.contains("no window has the focus"), "{why}");
    assert_eq!(apply(2, "lost").typed, 0);
    let mut terminal = desktop.terminal().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while let Err(why) = apply(3, "").result {
        assert!(Instant::now() < deadline, "{why}");
    }
    assert_eq!(apply(4, "there").result, Ok(()));
    assert_eq!(terminal.typed("there", PATIENCE).unwrap(), "there");
}

#[test]
fn text_is_kept_to_the_window_that_was_dictated_into() {
    let Some(Desk { typist, mut terminal, desktop }) = Desk::with("us") else { return };
    let config = Config::parse("focus = \"hold\"").unwrap();
    let (thread, reports) = desk::thread(typist, &config, focus(&desktop));
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
    assert_eq!(terminal.typed("one ", PATIENCE).unwrap(), "one ");
    let other: Box<dyn Any> = match desktop.kind {
        // Where programs are all that tells, the terminal tells nothing, and this one does.
        Kind::Gnome => {
            Box::new(Ended(desktop.command("zenity").args(["--entry", "--title=Other"]).spawn().unwrap()))
        }
        Kind::Kde | Kind::Sway | Kind::Labwc => Box::new(desktop.terminal().unwrap()),
    };
    if desktop.pastes() {
        // What others than the typist tell comes late, and is looked at also when there is no text.
        until(&|report| report.elsewhere);
    }
    let kept = apply(2_000_000, "two");
    assert!(kept.elsewhere && kept.typed == 0, "{kept:?}");
    // Between two windows nothing has the focus, which GNOME tells nobody.
    terminal.interrupted(|| drop(other)).unwrap();
    until(&|report| report.result.is_ok());
    assert_eq!(apply(3_000_000, "two").result, Ok(()));
    assert_eq!(terminal.typed("two", PATIENCE).unwrap(), "two");
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
