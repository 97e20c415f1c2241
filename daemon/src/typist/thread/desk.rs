//! The work of the thread that types.
//!
//! It owns the typist, which it opens at the first edit or when told to prepare,
//! and blocks on its queue while there is nothing to do. A lost connection is opened
//! again once for each edit; when that does not help and the configuration says "auto",
//! the next mechanism that works gets the rest, never what arrived. So exactly one is
//! active. After an edit that failed, those behind it fail too until it is told to
//! resume, so that no text overtakes another. It never drops an edit without a report
//! and never decides what becomes of a text that could not be typed.

use super::failure::{Failure, Lost};
use super::{Order, Report};
use crate::typist::focus::{Focus, Focused};
use crate::typist::guard::{Guard, is_terminal};
use crate::typist::ledger::Ledger;
use crate::typist::{Keys, Typist, TypistError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use swictation_core::Edit;
use swictation_core::config::{self, Config};
use swictation_core::edit::insertable;

/// How often a typist that watches is tended.
const TENDED: Duration = Duration::from_secs(2);

/// How many characters go to a typist that does not know windows before it is looked again
/// which has the focus.
const PIECE: usize = 200;

/// What the thread works with.
pub(super) struct Desk<O, R> {
    /// The one mechanism that is active.
    typist: Option<Box<dyn Typist>>,
    opener: O,
    /// What became of keys the last time.
    keys: Keys,
    /// Those whose text would not arrive as it is because of that.
    composed: Vec<&'static str>,
    reports: R,
    ledger: Ledger,
    guard: Guard,
    /// A dictation is kept to one window.
    keep: bool,
    /// The typist that knew the window which text is kept to is gone: of the window that
    /// another finds, nobody can say that it is the one.
    homeless: bool,
    /// Why an edit failed, until it is told to resume.
    halted: Option<String>,
}

impl<O, R> Desk<O, R>
where
    O: FnMut(&[&str]) -> Result<Box<dyn Typist>, TypistError>,
    R: Fn(Report),
{
    /// As the configuration has it; nothing is opened yet.
    pub(super) fn new(open: O, config: &Config, reports: R) -> Self {
        Self {
            typist: None,
            opener: open,
            keys: Keys::Direct,
            composed: Vec::new(),
            reports,
            ledger: Ledger::default(),
            guard: Guard::new(config),
            keep: config.focus != config::Focus::Follow,
            homeless: false,
            halted: None,
        }
    }

    /// From here on, this tells of the focus.
    pub(super) fn follow(&mut self, focus: Option<Arc<Focus>>) {
        self.guard.follow(focus);
    }

    /// Works until the other end of the queue is gone.
    pub(super) fn run(&mut self, queue: &Receiver<Order>) {
        let mut orders = VecDeque::new();
        loop {
            if orders.is_empty() {
                match self.next(queue) {
                    Ok(order) => orders.push_back(order),
                    Err(RecvTimeoutError::Timeout) => self.tend(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            orders.extend(queue.try_iter());
            self.drop_cancelled(&mut orders);
            if let Some(order) = orders.pop_front() {
                self.obey(order);
            }
        }
    }

    /// The next order; none in time while a typist watches and has to be tended.
    fn next(&self, queue: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        if self.keep && self.ledger.is_open() {
            queue.recv_timeout(TENDED)
        } else {
            queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        }
    }

    fn tend(&mut self) {
        if let Some(typist) = &mut self.typist {
            typist.tend();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Prepare => {
                if let Err(e) = self.open(&[]) {
                    tracing::warn!("typing is not possible yet: {e}");
                }
            }
            Order::Apply(id, edit) => {
                let (typed, result) = match &self.halted {
                    // Where this one would have gone, nobody has looked.
                    Some(why) => (0, Err(why.clone().into())),
                    None => self.apply(id, edit),
                };
                self.halted = result.as_ref().err().map(|failure| failure.why.clone());
                self.report(id, typed, result);
            }
            Order::Resume => self.halted = None,
            Order::Watch(dictating) => self.watch(dictating),
            Order::Configure(config) => {
                self.keep = config.focus != config::Focus::Follow;
                self.guard.configure(&config);
            }
            Order::TakeBack { erase, utterance, .. } => {
                self.halted = None;
                // What a program in a terminal has made of more than that, nobody knows.
                let class = || self.typist.as_mut()?.class();
                let from = if is_terminal(&self.guard.look(), class) { utterance } else { 0 };
                match if erase { self.take_back(from) } else { Ok(0) } {
                    Ok(0) => {}
                    Ok(characters) => {
                        tracing::info!("{characters} characters of the cancelled dictation were erased")
                    }
                    Err(why) => tracing::info!("what the cancelled dictation typed stays: {why}"),
                }
                self.watch(false);
            }
            Order::Scratch { id, from } => {
                let result = self.take_back(from).map(drop);
                self.report(id, 0, result.map_err(Failure::from));
            }
        }
    }

    fn report(&self, id: u64, typed: usize, result: Result<(), Failure>) {
        let typist = self.typist.as_ref().map_or("", |typist| typist.name());
        let elsewhere = result.as_ref().is_err_and(|failure| failure.elsewhere);
        (self.reports)(Report {
            id,
            result: result.map_err(|failure| failure.why),
            elsewhere,
            typed,
            typist,
        });
    }

    /// Takes out of the queue what somebody further back in it does not want typed.
    pub(super) fn drop_cancelled(&self, orders: &mut VecDeque<Order>) {
        let unwanted = |orders: &VecDeque<Order>| {
            orders.iter().enumerate().find_map(|(at, order)| {
                let (Order::TakeBack { from, .. } | Order::Scratch { from, .. }) = order else { return None };
                let cancelled = |order: &Order| matches!(order, Order::Apply(id, _) if id >= from);
                orders.iter().take(at).rposition(cancelled)
            })
        };
        while let Some(at) = unwanted(orders) {
            if let Some(Order::Apply(id, _)) = orders.remove(at) {
                self.report(id, 0, Ok(()));
            }
        }
    }

    fn watch(&mut self, dictating: bool) {
        self.ledger.renew(dictating);
        self.guard.watch(dictating, self.keep);
        self.homeless = false;
        if let Some(typist) = &mut self.typist {
            if dictating { typist.watch(self.keep) } else { typist.rest() }
        }
    }

    /// Erases what the edit with this number and those behind it typed; how many characters
    /// that were, or why they stay.
    fn take_back(&mut self, from: u64) -> Result<usize, String> {
        match (self.ledger.erasable(from)?, &mut self.typist) {
            (0, _) => Ok(0),
            (characters, Some(typist)) => {
                // Where it stopped half-way, nobody knows any more what is where.
                let erased = if typist.sees_others() {
                    typist.take_back(characters)
                } else {
                    self.guard.take_back(typist.as_mut(), characters, |edit| self.ledger.since(edit))
                };
                match &erased {
                    Ok(()) => self.ledger.erased_from(from),
                    Err(_) => self.ledger.doubt("something could not be erased before"),
                }
                erased.map(|()| characters)
            }
            (_, None) => Err("the typist is gone".to_owned()),
        }
    }

    /// Opens a typist if there is none; while an input method takes the keys, one that can do
    /// without. None takes the place of one that sees another window than the one that text is
    /// kept to.
    fn open(&mut self, failed: &[&'static str]) -> Result<(), TypistError> {
        let keys = self.guard.keys();
        if self.keys != keys && !self.composed.is_empty() {
            self.leave()?;
            self.composed.clear();
        }
        self.keys = keys;
        loop {
            let mut typist = match self.typist.take() {
                Some(typist) => typist,
                None => match (self.opener)(&[failed, &self.composed].concat()) {
                    Ok(typist) => self.ready(typist),
                    Err(e) if self.composed.is_empty() => return Err(e),
                    Err(e) => match &self.keys {
                        Keys::Composed(method) => {
                            return Err(TypistError::Unavailable(format!(
                                "the input method {method} composes what is typed, switch it off; {e}"
                            )));
                        }
                        // It mostly does arrive.
                        Keys::Late | Keys::Direct => {
                            let typist = (self.opener)(failed)?;
                            self.ready(typist)
                        }
                    },
                },
            };
            let name = typist.name();
            let fits = typist.keys(&self.keys) || self.composed.contains(&name);
            self.typist = Some(typist);
            if fits {
                return Ok(());
            }
            self.leave()?;
            self.composed.push(name);
        }
    }

    /// A typist that was opened just now.
    fn ready(&self, mut typist: Box<dyn Typist>) -> Box<dyn Typist> {
        if self.ledger.is_open() {
            typist.watch(self.keep);
        }
        typist
    }

    /// Another typist goes on, which takes the window that has the focus for the one that text
    /// is kept to.
    fn leave(&mut self) -> Result<(), TypistError> {
        if self.keep && self.typist.as_mut().is_some_and(|typist| !typist.is_home()) {
            return Err(TypistError::Elsewhere { typed: 0 });
        }
        self.typist = None;
        self.ledger.doubt("another typist typed a part of it");
        Ok(())
    }

    /// Applies the edit with the typist that is there, with that opened again, or with
    /// another; how many characters arrived in all, and why not all did.
    fn apply(&mut self, id: u64, edit: Edit) -> (usize, Result<(), Failure>) {
        let text: Vec<char> = insertable(&edit.insert).chars().collect();
        let (mut typed, mut erase) = (0, edit.erase);
        let mut lost = Lost::default();
        loop {
            let now = match self.admitted(id, &lost, typed < text.len()) {
                Ok(now) => now,
                Err(failure) => return (typed, Err(failure)),
            };
            let Some(typist) = &mut self.typist else { continue };
            let knows_windows = typist.knows_windows();
            let end = if knows_windows { text.len() } else { text.len().min(typed + PIECE) };
            // What the session knows nothing of: it counts its own characters.
            let space = usize::from(erase == 0 && self.ledger.is_fresh() && self.guard.runs_on(&text, &now));
            let piece = " ".repeat(space) + &String::from_iter(&text[typed..end]);
            let piece = self.guard.admit(piece, &now, || typist.class());
            let piece = Edit { erase, insert: piece };
            let result = typist.apply(&piece);
            let arrived = result.as_ref().map_or_else(TypistError::typed, |()| space + end - typed);
            self.ledger.note(id, piece.insert.chars().take(arrived));
            typed += arrived.saturating_sub(space);
            match result {
                Ok(()) if typed == text.len() => return (typed, Ok(())),
                Ok(()) => {}
                Err(e @ (TypistError::Nowhere { .. } | TypistError::Elsewhere { .. })) => {
                    return (typed, Err(e.into()));
                }
                Err(e) => {
                    let name = typist.name();
                    // One that only has no key for this still knows where it is.
                    self.homeless |= self.keep && self.ledger.is_open() && knows_windows && {
                        !matches!(e, TypistError::Unavailable(_)) || !typist.is_home()
                    };
                    self.typist = None;
                    self.ledger.doubt("the typist was lost in between");
                    // How much was erased is not known: erasing again could take the user's text.
                    if erase > 0 && arrived == 0 {
                        return (typed, Err(e.into()));
                    }
                    lost.add(name, &e);
                }
            }
            erase = 0;
        }
    }

    /// What is known of the focus when a typist is there and may type; `more` is to come.
    fn admitted(&mut self, id: u64, lost: &Lost, more: bool) -> Result<Focused, Failure> {
        match self.open(&lost.failed) {
            Ok(()) => {}
            Err(e) if lost.reason.is_empty() => return Err(e.into()),
            Err(e) => return Err(format!("{}; then: {e}", lost.reason).into()),
        }
        if self.homeless {
            return Err(Failure::homeless());
        }
        let now = self.guard.look();
        if let Some(why) = self.guard.refuses(&now) {
            return Err(why.to_owned().into());
        }
        let knows = |what: fn(&dyn Typist) -> bool| self.typist.as_deref().is_some_and(what);
        let (knows_windows, sees_others) = (knows(|t| t.knows_windows()), knows(|t| t.sees_others()));
        if !knows_windows && self.guard.is_elsewhere(&now) {
            return Err(TypistError::Elsewhere { typed: 0 }.into());
        }
        if self.ledger.is_open() && more && !sees_others {
            self.guard.begin(id, &now);
        }
        if let Some(typist) = &mut self.typist {
            typist.tell(&now);
        }
        Ok(now)
    }
}
