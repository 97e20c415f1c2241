//! The work of the thread that types.
//!
//! It owns the typist, which it opens at the first edit or when told to prepare,
//! and blocks on its queue while there is nothing to do. A lost connection is opened
//! again once for each edit; when that does not help and the configuration says "auto",
//! the next mechanism that works gets the rest, never what arrived. So exactly one is
//! active. After an edit that failed, those behind it fail too until it is told to
//! resume, so that no text overtakes another. It never drops an edit without a report
//! and never decides what becomes of a text that could not be typed.

use super::{Order, Report};
use crate::typist::focus::Focus;
use crate::typist::guard::Guard;
use crate::typist::ledger::Ledger;
use crate::typist::{ELSEWHERE, Keys, Typist, TypistError};
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
    open: O,
    /// What became of keys the last time.
    keys: Keys,
    /// Those whose text would not arrive as it is because of that.
    composed: Vec<&'static str>,
    reports: R,
    ledger: Ledger,
    guard: Guard,
    /// A dictation is kept to one window.
    keep: bool,
    /// Why an edit failed, until it is told to resume.
    halted: Option<String>,
    /// It failed because another window has the focus.
    elsewhere: bool,
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
            open,
            keys: Keys::Direct,
            composed: Vec::new(),
            reports,
            ledger: Ledger::default(),
            guard: Guard::new(config),
            keep: config.focus != config::Focus::Follow,
            halted: None,
            elsewhere: false,
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
                if let Err(e) = self.opened(&[]) {
                    tracing::warn!("typing is not possible yet: {e}");
                }
            }
            Order::Apply(id, edit) => {
                let (typed, result) = match &self.halted {
                    Some(why) => (0, Err(why.clone())),
                    None => self.apply(id, edit),
                };
                self.halted = result.as_ref().err().cloned();
                self.report(id, typed, result);
            }
            Order::Resume => self.halted = None,
            Order::Watch(dictating) => self.watch(dictating),
            Order::TakeBack { erase, .. } => {
                self.halted = None;
                match if erase { self.take_back(0) } else { Ok(0) } {
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
                self.report(id, 0, result);
            }
        }
    }

    fn report(&self, id: u64, typed: usize, result: Result<(), String>) {
        let typist = self.typist.as_ref().map_or("", |typist| typist.name());
        let elsewhere = result.is_err() && self.elsewhere;
        (self.reports)(Report { id, result, elsewhere, typed, typist });
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

    /// The typist, opened if there is none; while an input method takes the keys, one that can
    /// do without.
    fn opened(&mut self, failed: &[&'static str]) -> Result<&mut Box<dyn Typist>, TypistError> {
        let keys = self.guard.keys();
        if self.keys != keys && !self.composed.is_empty() {
            self.composed.clear();
            self.leave();
        }
        self.keys = keys;
        loop {
            let mut typist = match self.typist.take() {
                Some(typist) => typist,
                None => match (self.open)(&[failed, &self.composed].concat()) {
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
                            let typist = (self.open)(failed)?;
                            self.ready(typist)
                        }
                    },
                },
            };
            if typist.keys(&self.keys) || self.composed.contains(&typist.name()) {
                return Ok(self.typist.insert(typist));
            }
            self.composed.push(typist.name());
            self.leave();
        }
    }

    /// A typist that was opened just now.
    fn ready(&self, mut typist: Box<dyn Typist>) -> Box<dyn Typist> {
        if self.ledger.is_open() {
            typist.watch(self.keep);
        }
        typist
    }

    /// Another typist goes on.
    fn leave(&mut self) {
        self.typist = None;
        self.ledger.doubt("another typist typed a part of it");
    }

    /// Applies the edit with the typist that is there, with that opened again, or with
    /// another; how many characters arrived in all, and why not all did.
    fn apply(&mut self, id: u64, edit: Edit) -> (usize, Result<(), String>) {
        let text: Vec<char> = insertable(&edit.insert).chars().collect();
        let (mut typed, mut erase) = (0, edit.erase);
        let (mut reopened, mut failed) = (Vec::new(), Vec::new());
        let mut reason = String::new();
        loop {
            let typist = match self.opened(&failed) {
                Ok(typist) => typist,
                Err(e) if reason.is_empty() => return (typed, Err(e.to_string())),
                Err(e) => return (typed, Err(format!("{reason}; then: {e}"))),
            };
            let (name, knows_windows) = (typist.name(), typist.knows_windows());
            let now = self.guard.look();
            if let Some(why) = self.guard.refuses(&now) {
                return (typed, Err(why.to_owned()));
            }
            self.elsewhere = !knows_windows && self.guard.is_elsewhere(&now);
            if self.elsewhere {
                return (typed, Err(ELSEWHERE.to_owned()));
            }
            let Some(typist) = &mut self.typist else { continue };
            if self.ledger.is_open() && typed < text.len() && !typist.sees_others() {
                self.guard.begin(id, &now);
            }
            let end = if knows_windows { text.len() } else { text.len().min(typed + PIECE) };
            let piece = String::from_iter(&text[typed..end]);
            let piece = self.guard.admit(piece, &now, || typist.class());
            let piece = Edit { erase, insert: piece };
            let result = typist.apply(&piece);
            let arrived = match &result {
                Ok(()) => end - typed,
                Err(
                    TypistError::Lost { typed, .. }
                    | TypistError::Nowhere { typed, .. }
                    | TypistError::Elsewhere { typed },
                ) => *typed,
                Err(TypistError::Unavailable(_)) => 0,
            };
            self.ledger.note(id, piece.insert.chars().take(arrived));
            typed += arrived;
            let Err(e) = result else {
                if typed == text.len() {
                    return (typed, Ok(()));
                }
                erase = 0;
                continue;
            };
            self.elsewhere = matches!(e, TypistError::Elsewhere { .. });
            if let TypistError::Nowhere { .. } | TypistError::Elsewhere { .. } = e {
                return (typed, Err(e.to_string()));
            }
            self.typist = None;
            self.ledger.doubt("the typist was lost in between");
            // How much was erased is not known: erasing again could take the user's text.
            if erase > 0 && arrived == 0 {
                return (typed, Err(e.to_string()));
            }
            erase = 0;
            let again = matches!(e, TypistError::Lost { .. }) && !reopened.contains(&name);
            if again {
                reopened.push(name)
            } else {
                failed.push(name)
            }
            tracing::warn!("{name}: {e}; {}", if again { "opening it again" } else { "trying another way" });
            reason = e.to_string();
        }
    }
}
