//! Typing while the focus comes and goes, in a real terminal on a real X server: every
//! character arrives exactly once, and a cancelled dictation takes back exactly its own.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::sync::mpsc;
use std::time::Duration;
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::thread::{Report, spawn_with};
use swictation_daemon::typist::x11::X11;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::x11::{Terminal, XServer, terminal};

/// How long everything may take to arrive while other tests run.
const PATIENCE: Duration = Duration::from_secs(30);

const A: u8 = 38;
const SUPER: u8 = 133;
const F9: u8 = 75;

/// A typist in front of a terminal, on a server of its own.
struct Desk {
    typist: X11,
    terminal: Terminal,
    server: XServer,
}

impl Desk {
    /// Nothing when there is no X server to be had.
    fn new() -> Option<Self> {
        let (server, terminal) = terminal("us")?;
        let typist = X11::connect(Some(&server.display)).unwrap();
        Some(Self { typist, terminal, server })
    }

    fn apply(&mut self, text: &str) -> Result<(), TypistError> {
        self.typist.apply(&insert(text))
    }

    /// Expects the terminal to have got this since the last time, and not a byte more.
    #[track_caller]
    fn got(&mut self, expected: &str) {
        self.apply("!").unwrap();
        let expected = format!("{expected}!");
        assert_eq!(self.terminal.typed(&expected, PATIENCE).unwrap(), expected);
    }

    /// Types a long text and does something once its beginning is there; how much of it
    /// the typist says arrived.
    fn interrupted(&mut self, text: &str, interrupt: impl FnOnce(&XServer, &Terminal)) -> usize {
        let result = std::thread::scope(|scope| {
            let typing = scope.spawn(|| self.typist.apply(&insert(text)));
            let begun = self.terminal.typed(&text[..50], PATIENCE).unwrap();
            assert!(text.starts_with(&begun), "{begun:?}");
            interrupt(&self.server, &self.terminal);
            (typing.join().unwrap(), begun.len())
        });
        match result {
            (Err(TypistError::Nowhere { typed, .. } | TypistError::Elsewhere { typed }), begun) => {
                assert!((begun..text.len()).contains(&typed), "{typed} of which {begun} were seen");
                // What was seen is compared here, so that what follows is the rest.
                assert_eq!(self.terminal.typed(&text[begun..typed], PATIENCE).unwrap(), text[begun..typed]);
                typed
            }
            other => panic!("{other:?}"),
        }
    }

    /// A dictation that typed this, to be taken back.
    fn dictated(&mut self, text: &str) {
        self.typist.watch(false);
        for word in text.split_inclusive(' ') {
            self.apply(word).unwrap();
        }
        assert_eq!(self.terminal.typed(text, PATIENCE).unwrap(), text);
    }
}

/// What a person does at a desk.
type Act = fn(&Desk);

fn insert(text: &str) -> Edit {
    Edit { erase: 0, insert: text.into() }
}

/// A text of which no two parts are equal.
fn long() -> String {
    (0..2000).map(|n| format!("{n} ")).collect()
}

#[test]
fn nothing_is_typed_while_nothing_has_the_focus() {
    let Some(mut desk) = Desk::new() else { return };
    desk.server.focus_nothing().unwrap();
    match desk.apply("hello") {
        Err(TypistError::Nowhere { typed: 0, reason }) => {
            assert!(reason.contains("click into a window"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    desk.server.show(&desk.terminal).unwrap();
    desk.got("");
    desk.apply("hello").unwrap();
    desk.got("hello");
}

#[test]
fn what_arrived_before_the_focus_was_lost_is_known_to_the_character() {
    let Some(mut desk) = Desk::new() else { return };
    for _ in 0..5 {
        let text = long();
        let typed = desk.interrupted(&text, |server, _| server.focus_nothing().unwrap());
        desk.server.show(&desk.terminal).unwrap();
        desk.got("");
        desk.apply(&text[typed..typed + 30]).unwrap();
        desk.got(&text[typed..typed + 30]);
    }
}

#[test]
fn the_rest_of_a_text_goes_into_the_next_window_when_the_first_is_closed() {
    let Some(mut desk) = Desk::new() else { return };
    let text = long();
    let typed = desk.interrupted(&text, |server, terminal| server.hide(terminal).unwrap());
    let second = Terminal::open(&desk.server).unwrap();
    let first = std::mem::replace(&mut desk.terminal, second);
    desk.apply(&text[typed..typed + 100]).unwrap();
    desk.got(&text[typed..typed + 100]);
    desk.server.show(&first).unwrap();
    desk.terminal = first;
    desk.got("");
}

#[test]
fn after_the_server_was_restarted_the_rest_is_typed_there() {
    let Some(Desk { typist, mut terminal, mut server }) = Desk::new() else { return };
    drop(typist);
    let (display, (send, reports)) = (server.display.clone(), mpsc::channel());
    let open = move |_: &[&str]| Ok(Box::new(X11::connect(Some(&display))?) as Box<dyn Typist>);
    let thread =
        spawn_with(open, &Config::default(), || None, move |report: Report| send.send(report).unwrap())
            .unwrap();
    let text = long();
    thread.send(1, insert(&text));
    let begun = terminal.typed(&text[..100], PATIENCE).unwrap();
    assert!(text.starts_with(&begun), "{begun:?}");
    server.kill().unwrap();
    let report = reports.recv_timeout(PATIENCE).unwrap();
    assert!(report.result.is_err() && (90..text.len()).contains(&report.typed), "{report:?}");
    thread.resume();
    thread.send(2, insert(&text[report.typed..]));
    let none = reports.recv_timeout(PATIENCE).unwrap();
    assert!(none.result.is_err() && none.typed == 0, "no server: {none:?}");
    server.restart().unwrap();
    server.layout("us").unwrap();
    let mut terminal = Terminal::open(&server).unwrap();
    let rest = &text[report.typed..][..500];
    thread.resume();
    thread.send(3, insert(rest));
    let done = reports.recv_timeout(PATIENCE).unwrap();
    assert_eq!((done.result, done.typed), (Ok(()), 500));
    assert_eq!(terminal.typed(rest, PATIENCE).unwrap(), rest);
}

#[test]
fn while_a_hotkey_is_held_its_owner_gets_the_keys_so_nothing_is_typed() {
    let Some(mut desk) = Desk::new() else { return };
    let _owner = desk.server.hotkey(F9).unwrap();
    // Held before the typist looks, as for push-to-talk.
    desk.server.press(F9).unwrap();
    assert!(matches!(desk.apply("hello"), Err(TypistError::Nowhere { typed: 0, .. })));
    desk.server.release(F9).unwrap();
    desk.apply("hello").unwrap();
    desk.got("hello");
    // Pressed in the middle.
    let text = long();
    desk.typist.watch(false);
    let typed = desk.interrupted(&text, |server, _| server.press(F9).unwrap());
    desk.server.release(F9).unwrap();
    desk.apply(&text[typed..typed + 30]).unwrap();
    desk.got(&text[typed..typed + 30]);
}

#[test]
fn a_cancelled_dictation_is_erased_exactly() {
    let Some(mut desk) = Desk::new() else { return };
    desk.apply("before ").unwrap();
    desk.got("before ");
    desk.dictated("Grüße an alle, 你好.");
    desk.typist.take_back(18).unwrap();
    desk.got(&"\x7f".repeat(18));
}

#[test]
fn a_hotkey_that_asks_for_the_cancel_does_not_keep_it_from_erasing() {
    let Some(mut desk) = Desk::new() else { return };
    let _owner = desk.server.hotkey(F9).unwrap();
    desk.dictated("one two");
    desk.server.press(SUPER).unwrap();
    desk.server.press(F9).unwrap();
    std::thread::scope(|scope| {
        let taking_back = scope.spawn(|| desk.typist.take_back(7));
        desk.server.release(F9).unwrap();
        desk.server.release(SUPER).unwrap();
        taking_back.join().unwrap().unwrap();
    });
    desk.got(&"\x7f".repeat(7));
}

#[test]
fn what_was_typed_stays_when_somebody_came_in_between() {
    let Some(mut desk) = Desk::new() else { return };
    let person: [(&str, Act, &str); 3] = [
        (
            "typed",
            |desk| {
                desk.server.press(A).unwrap();
                desk.server.release(A).unwrap();
            },
            "a",
        ),
        ("clicked", |desk| desk.server.click().unwrap(), ""),
        (
            "moved",
            |desk| {
                desk.server.focus_nothing().unwrap();
                desk.server.show(&desk.terminal).unwrap();
            },
            "",
        ),
    ];
    for (what, act, left) in person {
        desk.dictated("one two");
        act(&desk);
        let why = desk.typist.take_back(7).unwrap_err();
        assert!(why.contains(what), "{what}: {why}");
        desk.got(left);
    }
    desk.dictated("three");
    desk.typist.take_back(5).unwrap();
    desk.got(&"\x7f".repeat(5));
}

#[test]
fn an_erasure_stops_when_somebody_comes_in_between() {
    let Some(mut desk) = Desk::new() else { return };
    let text = &long()[..2000];
    desk.typist.watch(false);
    desk.apply(text).unwrap();
    assert_eq!(desk.terminal.typed(text, PATIENCE).unwrap(), text);
    let (mut got, ended) = std::thread::scope(|scope| {
        let taking_back = scope.spawn(|| desk.typist.take_back(text.len()));
        let begun = desk.terminal.typed("\x7f", PATIENCE).unwrap();
        desk.server.press(A).unwrap();
        desk.server.release(A).unwrap();
        (begun, taking_back.join().unwrap())
    });
    let why = ended.unwrap_err();
    let (who, erased) = why.split_once(", after ").unwrap();
    assert!(who.contains("typed"), "{why}");
    let erased: usize = erased.split(' ').next().unwrap().parse().unwrap();
    assert!(erased < text.len(), "{why}");
    // All that were pressed, and the person's key.
    got += &desk.terminal.typed(&text[..erased + 1 - got.len()], PATIENCE).unwrap();
    assert_eq!((got.matches('\x7f').count(), got.matches('a').count()), (erased, 1), "{why}: {got:?}");
    desk.got("");
}

#[test]
fn what_was_typed_stays_when_another_window_has_the_focus() {
    let Some(mut desk) = Desk::new() else { return };
    desk.dictated("one two");
    let second = Terminal::open(&desk.server).unwrap();
    let first = std::mem::replace(&mut desk.terminal, second);
    assert!(desk.typist.take_back(7).unwrap_err().contains("moved"));
    desk.got("");
    desk.terminal = first;
    desk.server.show(&desk.terminal).unwrap();
    desk.got("");
}

#[test]
fn text_that_is_kept_to_one_window_goes_into_no_other() {
    let Some(mut desk) = Desk::new() else { return };
    desk.typist.watch(true);
    desk.got("");
    let text = long();
    let mut second = None;
    let typed = desk.interrupted(&text, |server, _| second = Some(Terminal::open(server).unwrap()));
    assert!(matches!(desk.apply("x"), Err(TypistError::Elsewhere { typed: 0 })));
    desk.server.show(&desk.terminal).unwrap();
    desk.apply(&text[typed..typed + 30]).unwrap();
    desk.got(&text[typed..typed + 30]);
    // The next dictation is another window's, which has got nothing so far.
    desk.terminal = second.unwrap();
    desk.server.show(&desk.terminal).unwrap();
    desk.typist.rest();
    desk.typist.watch(true);
    desk.got("");
}

#[test]
fn text_is_kept_to_the_first_window_that_gets_some_when_none_had_the_focus_at_first() {
    let Some(mut desk) = Desk::new() else { return };
    desk.server.focus_nothing().unwrap();
    desk.typist.watch(true);
    assert!(matches!(desk.apply("x"), Err(TypistError::Nowhere { typed: 0, .. })));
    desk.server.show(&desk.terminal).unwrap();
    desk.got("");
    let _second = Terminal::open(&desk.server).unwrap();
    assert!(matches!(desk.apply("x"), Err(TypistError::Elsewhere { typed: 0 })));
}
