//! Edits are applied in order, whatever becomes of the typist, and taken back exactly.

use super::*;
use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

/// A window's text, shared by the typists that are opened on it.
type Window = Arc<Mutex<String>>;

/// Opens nothing.
fn none(_: &[&str]) -> Result<Box<dyn Typist>, TypistError> {
    Err(TypistError::Unavailable(String::new()))
}

/// Types into the window and is lost after `lasts` characters.
struct Frail {
    name: &'static str,
    window: Window,
    lasts: usize,
    /// What has the focus takes no text.
    nowhere: bool,
    /// What has the focus.
    class: Option<&'static str>,
}

impl Frail {
    fn new(window: &Window, lasts: usize) -> Frail {
        Frail { name: "frail", window: window.clone(), lasts, nowhere: false, class: None }
    }
}

impl Typist for Frail {
    fn name(&self) -> &'static str {
        self.name
    }
    fn sees_others(&self) -> bool {
        true
    }
    fn class(&mut self) -> Option<String> {
        self.class.map(str::to_owned)
    }
    fn take_back(&mut self, characters: usize) -> Result<(), String> {
        let mut window = self.window.lock().unwrap();
        let left = window.chars().count() - characters;
        *window = window.chars().take(left).collect();
        Ok(())
    }
    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        if self.nowhere {
            return Err(TypistError::Nowhere { typed: 0, reason: "nothing has the focus".into() });
        }
        let mut window = self.window.lock().unwrap();
        if self.lasts == 0 {
            return Err(TypistError::Lost { typed: 0, reason: "gone".into() });
        }
        for _ in 0..edit.erase {
            window.pop();
        }
        for (typed, c) in edit.insert.chars().enumerate() {
            if self.lasts == 0 {
                return Err(TypistError::Lost { typed, reason: "gone".into() });
            }
            self.lasts -= 1;
            window.push(c);
        }
        Ok(())
    }
}

/// Sends the edits to typists that last so many characters each, and returns
/// the window's text and the reports. `None` is a failure to open.
fn typed(lives: &'static [Option<usize>], edits: &[(usize, &str)]) -> (String, Vec<Result<(), String>>) {
    let window = Window::default();
    let (mut lives, shared) = (lives.iter().copied(), window.clone());
    let open = move |failed: &[&str]| match lives.next().flatten().filter(|_| failed.is_empty()) {
        Some(lasts) => Ok(Box::new(Frail::new(&shared, lasts)) as Box<dyn Typist>),
        None => Err(TypistError::Unavailable("not here".into())),
    };
    let (send, reports) = mpsc::channel();
    let thread =
        spawn_with(open, &Config::default(), || None, move |report| send.send(report).unwrap()).unwrap();
    for (id, (erase, insert)) in edits.iter().enumerate() {
        thread.resume();
        thread.send(id as u64, Edit { erase: *erase, insert: (*insert).into() });
    }
    drop(thread);
    let reports: Vec<Report> = reports.iter().collect();
    assert!(reports.iter().map(|r| r.id).eq(0..edits.len() as u64), "each edit is reported once, in order");
    let text = window.lock().unwrap().clone();
    (text, reports.into_iter().map(|r| r.result).collect())
}

#[test]
fn edits_are_applied_and_reported_in_order_before_the_thread_ends() {
    let (text, reports) = typed(&[Some(100)], &[(0, "Hello "), (0, "world"), (5, "moon")]);
    assert_eq!((text.as_str(), reports), ("Hello moon", vec![Ok(()); 3]));
}

#[test]
fn a_lost_connection_is_opened_again_and_the_text_continues() {
    let (text, reports) = typed(&[Some(4), Some(100)], &[(0, "Grüße "), (0, "you")]);
    assert_eq!((text.as_str(), reports), ("Grüße you", vec![Ok(()); 2]));
}

#[test]
fn a_second_loss_is_reported_with_all_that_was_typed() {
    let (text, reports) = typed(&[Some(3), Some(3), None, Some(9)], &[(0, "abcdefghi"), (0, "!")]);
    assert_eq!(text, "abcdef!");
    assert_eq!(reports, [Err("gone; then: not here".into()), Ok(())]);
}

#[test]
fn an_unavailable_typist_leaves_the_text_untouched_and_is_tried_again() {
    let (text, reports) = typed(&[None, Some(9)], &[(0, "one"), (0, "two")]);
    assert_eq!((text.as_str(), reports), ("two", vec![Err("not here".into()), Ok(())]));
}

#[test]
fn an_erasure_is_never_repeated_when_nobody_knows_how_far_it_came() {
    let (text, reports) = typed(&[Some(3), Some(9)], &[(0, "abc"), (2, "x"), (0, "!")]);
    assert_eq!(text, "abc!");
    assert_eq!(reports, [Ok(()), Err("gone".into()), Ok(())]);
}

#[test]
fn preparing_opens_the_typist_once_and_without_a_report() {
    let (opened, reported) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let (count, reports) = (opened.clone(), reported.clone());
    let open = move |_: &[&str]| {
        *count.lock().unwrap() += 1;
        Ok(Box::new(Frail::new(&Window::default(), 9)) as Box<dyn Typist>)
    };
    let thread =
        spawn_with(open, &Config::default(), || None, move |_| *reports.lock().unwrap() += 1).unwrap();
    thread.prepare();
    thread.prepare();
    drop(thread);
    assert_eq!((*opened.lock().unwrap(), *reported.lock().unwrap()), (1, 0));
}

/// A thread whose typist is opened with `open`, and its reports.
fn desk(
    open: impl FnMut(&[&str]) -> Result<Box<dyn Typist>, TypistError> + Send + 'static,
) -> (TypistThread, Receiver<Report>) {
    let (send, reports) = mpsc::channel();
    (
        spawn_with(open, &Config::default(), || None, move |report| send.send(report).unwrap()).unwrap(),
        reports,
    )
}

fn insert(text: &str) -> Edit {
    Edit { erase: 0, insert: text.into() }
}

#[test]
fn the_next_mechanism_gets_the_rest_when_the_first_fails_for_good() {
    let window = Window::default();
    let shared = window.clone();
    let open = move |failed: &[&str]| {
        let (name, lasts) = if failed.is_empty() { ("first", 3) } else { ("second", 100) };
        Ok(Box::new(Frail { name, ..Frail::new(&shared, lasts) }) as Box<dyn Typist>)
    };
    let (thread, reports) = desk(open);
    thread.send(1, insert("abcdefghi"));
    thread.send(2, insert("jk"));
    drop(thread);
    assert_eq!(window.lock().unwrap().as_str(), "abcdefghijk");
    let told: Vec<_> = reports.iter().map(|r| (r.id, r.result, r.typed, r.typist)).collect();
    assert_eq!(told, [(1, Ok(()), 9, "second"), (2, Ok(()), 2, "second")]);
}

#[test]
fn a_failure_tells_how_much_arrived_and_the_edits_behind_it_wait_for_the_rest() {
    let window = Window::default();
    let (shared, mut lives) = (window.clone(), [4, 0, 100].into_iter());
    let open = move |failed: &[&str]| match failed {
        [] => Ok(Box::new(Frail::new(&shared, lives.next().unwrap())) as Box<dyn Typist>),
        _ => Err(TypistError::Unavailable("no other".into())),
    };
    let (thread, reports) = desk(open);
    thread.send(1, insert("Grüße "));
    thread.send(2, insert("you"));
    let told: Vec<_> = reports.iter().take(2).map(|r| (r.id, r.result, r.typed)).collect();
    let why = || Err("gone; then: no other".to_owned());
    assert_eq!(told, [(1, why(), 4), (2, why(), 0)]);
    thread.resume();
    thread.send(3, insert("e you"));
    drop(thread);
    assert_eq!(window.lock().unwrap().as_str(), "Grüße you");
}

#[test]
fn a_focus_that_takes_no_text_is_no_reason_for_another_mechanism() {
    let open = move |failed: &[&str]| {
        assert!(failed.is_empty(), "{failed:?}");
        Ok(Box::new(Frail { nowhere: true, ..Frail::new(&Window::default(), 9) }) as Box<dyn Typist>)
    };
    let (thread, reports) = desk(open);
    thread.send(1, insert("abc"));
    drop(thread);
    let report = reports.recv().unwrap();
    assert_eq!(
        (report.result, report.typed, report.typist),
        (Err("nothing has the focus".into()), 0, "frail")
    );
}

/// What the window has after the first edit was typed before, two in and one after a
/// dictation that is then cancelled, and what was reported of each edit.
fn cancelled(lasts: &'static [usize], edits: [&str; 3], erase: bool) -> (String, Vec<usize>) {
    cancelled_in(None, lasts, edits, erase)
}

/// The same in a window of this class.
fn cancelled_in(
    class: Option<&'static str>,
    lasts: &'static [usize],
    edits: [&str; 3],
    erase: bool,
) -> (String, Vec<usize>) {
    let window = Window::default();
    let (shared, mut lives) = (window.clone(), lasts.iter());
    let open = move |_: &[&str]| {
        let frail = Frail::new(&shared, *lives.next().unwrap());
        Ok(Box::new(Frail { class, ..frail }) as Box<dyn Typist>)
    };
    let (thread, reports) = desk(open);
    thread.send(1, insert("before "));
    thread.watch(true);
    let mut typed = Vec::new();
    for (id, edit) in (2..).zip(&edits[..2]) {
        thread.send(id, insert(edit));
    }
    typed.extend(reports.iter().take(3).map(|report| report.typed));
    // Both are in the queue before the thread takes the first.
    let mut orders = VecDeque::from([
        Order::Apply(4, insert(edits[2])),
        Order::TakeBack { from: 4, utterance: 3, erase },
        Order::Apply(5, insert("next")),
    ]);
    let dropped = std::cell::Cell::new(0);
    let desk = Desk::new(none, &Config::default(), |report: Report| dropped.set(report.id));
    desk.drop_cancelled(&mut orders);
    assert_eq!((dropped.get(), orders.len()), (4, 2), "only what was cancelled is dropped");
    for order in orders {
        thread.order(order);
    }
    drop(thread);
    (window.lock().unwrap().clone(), typed)
}

#[test]
fn cancelling_erases_what_the_dictation_typed_and_nothing_else() {
    assert_eq!(cancelled(&[100], ["one", " two", " three"], true), ("before next".into(), vec![7, 3, 4]));
    assert_eq!(
        cancelled(&[100], ["one", " two", " three"], false),
        ("before one twonext".into(), vec![7, 3, 4])
    );
}

#[test]
fn cancelling_erases_no_more_than_the_last_utterance_in_a_terminal() {
    let edits = ["one", " two", " three"];
    assert_eq!(cancelled_in(Some("foot"), &[100], edits, true).0, "before onenext");
    assert_eq!(cancelled_in(Some("gedit"), &[100], edits, true).0, "before next");
}

#[test]
fn cancelling_erases_nothing_where_it_is_not_known_exactly_what_that_would_be() {
    let (window, _) = cancelled(&[100], ["e\u{301}", " two", " three"], true);
    assert_eq!(window, "before e\u{301} twonext");
    let (window, _) = cancelled(&[8, 100], ["one", " two", " three"], true);
    assert_eq!(window, "before one twonext", "the typist was lost in the middle");
}

/// Types these edits in a dictation, scratches what the second and those behind it typed,
/// and types another: the window, and what was reported of the scratch.
fn scratched(lasts: &'static [usize], edits: [&str; 3]) -> (String, Result<(), String>) {
    let window = Window::default();
    let (shared, mut lives) = (window.clone(), lasts.iter());
    let open = move |_: &[&str]| Ok(Box::new(Frail::new(&shared, *lives.next().unwrap())) as Box<dyn Typist>);
    let (thread, reports) = desk(open);
    thread.send(1, insert("before "));
    thread.watch(true);
    for (id, edit) in (2..).zip(edits) {
        thread.send(id, insert(edit));
    }
    assert_eq!(reports.iter().take(4).map(|report| report.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    thread.scratch(5, 3);
    let report = reports.recv().unwrap();
    assert_eq!((report.id, report.typed), (5, 0));
    thread.send(6, insert(" next"));
    drop(thread);
    (window.lock().unwrap().clone(), report.result)
}

#[test]
fn what_is_scratched_is_erased_and_the_dictation_goes_on() {
    assert_eq!(scratched(&[100], ["one", " two", " three"]), ("before one next".into(), Ok(())));
    assert_eq!(scratched(&[100], ["one\n", " two", ""]), ("before one\n next".into(), Ok(())));
}

#[test]
fn what_cannot_be_erased_exactly_stays_and_the_report_says_why() {
    for (lasts, edits, why) in [
        (&[100][..], ["one", "\n", "two"], "line break"),
        (&[100], ["e", "\u{301}", ""], "BackSpace"),
        (&[12, 100], ["one", " two", " three"], "lost in between"),
    ] {
        let (window, result) = scratched(lasts, edits);
        assert_eq!(window, format!("before {} next", edits.concat()));
        assert!(result.as_ref().is_err_and(|e| e.contains(why)), "{result:?}");
    }
}

#[test]
fn what_is_scratched_before_it_was_typed_is_dropped() {
    let dropped = std::cell::RefCell::new(Vec::new());
    let report = |report: Report| dropped.borrow_mut().push((report.id, report.typed, report.result));
    let desk = Desk::new(none, &Config::default(), report);
    let mut orders = VecDeque::from([
        Order::Apply(1, insert("one")),
        Order::Apply(2, insert("two")),
        Order::Scratch { id: 3, from: 2 },
        Order::Apply(4, insert("three")),
        Order::TakeBack { from: 4, utterance: 4, erase: false },
    ]);
    desk.drop_cancelled(&mut orders);
    assert_eq!(*dropped.borrow(), [(2, 0, Ok(())), (4, 0, Ok(()))]);
    assert_eq!(orders.len(), 3);
}

/// A typist of a session with windows, the first edits of which end with these errors.
struct Windows(VecDeque<TypistError>);

impl Typist for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }
    fn knows_windows(&self) -> bool {
        true
    }
    fn apply(&mut self, _: &Edit) -> Result<(), TypistError> {
        self.0.pop_front().map_or(Ok(()), Err)
    }
}

/// What came of edits under this configuration, as each dictation of so many begins: why not,
/// and whether the focus was elsewhere. Each typist that is opened has its errors, and where
/// there are no more of these, none can be opened.
fn ended(config: &str, typists: Vec<Vec<TypistError>>, dictations: &[u64]) -> Vec<(String, bool)> {
    let mut typists = typists.into_iter();
    let open = move |_: &[&str]| match typists.next() {
        Some(errors) => Ok(Box::new(Windows(errors.into())) as Box<dyn Typist>),
        None => Err(TypistError::Unavailable("not here".into())),
    };
    let (send, reports) = mpsc::channel();
    let config = Config::parse(config).unwrap();
    let thread = spawn_with(open, &config, || None, move |report| send.send(report).unwrap()).unwrap();
    let mut told = Vec::new();
    for edits in dictations {
        thread.watch(true);
        for id in 0..*edits {
            thread.resume();
            thread.send(id, insert("one"));
            let report = reports.recv().unwrap();
            told.push((report.result.err().unwrap_or_default(), report.elsewhere));
        }
    }
    told
}

#[test]
fn where_the_focus_was_for_one_edit_says_nothing_of_the_next() {
    let errors = vec![TypistError::Elsewhere { typed: 0 }, TypistError::lost("gone")];
    let told = ended("", vec![errors], &[2]);
    assert!(told[0].1, "{told:?}");
    assert_eq!(told[1], ("gone; then: not here".to_owned(), false));
}

#[test]
fn text_that_is_kept_to_a_window_goes_nowhere_when_the_typist_that_knew_it_is_lost() {
    let typists = || vec![vec![TypistError::lost("gone")], Vec::new()];
    for focus in ["hold", "stop"] {
        let told = ended(&format!("focus = {focus:?}"), typists(), &[2, 1]);
        for (why, elsewhere) in &told[..2] {
            assert!(why.contains("cannot tell it from others") && *elsewhere, "{told:?}");
        }
        assert_eq!(told[2], (String::new(), false), "the next dictation has a window of its own");
    }
    assert_eq!(ended("focus = \"follow\"", typists(), &[1]), [(String::new(), false)]);
    // One that only lacks a key tells before it goes that the window is the one.
    let lacks = vec![vec![TypistError::Unavailable("no key".into())], Vec::new()];
    assert_eq!(ended("focus = \"hold\"", lacks, &[1]), [(String::new(), false)]);
}
