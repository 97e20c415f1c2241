//! The thread that types: edits in, reports out, in the same order.
//!
//! It owns the typist, which it opens at the first edit or when told to prepare,
//! and blocks on its queue while there is nothing to do. A lost connection is opened
//! again once for each edit; when that does not help and the configuration says "auto",
//! the next mechanism that works gets the rest, never what arrived. So exactly one is
//! active. After an edit that failed, those behind it fail too until it is told to
//! resume, so that no text overtakes another. It never drops an edit without a report
//! and never decides what becomes of a text that could not be typed.

use super::focus::Focus;
use super::guard::Guard;
use super::ledger::Ledger;
use super::{ELSEWHERE, Typist, TypistError};
use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;
use swictation_core::Edit;
use swictation_core::config::{self, Config};
use swictation_core::edit::insertable;

/// How often a typist that watches is tended.
const TENDED: Duration = Duration::from_secs(2);

/// How many characters go to a typist that does not know windows before it is looked again
/// which has the focus.
const PIECE: usize = 200;

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The number the edit was sent with.
    pub id: u64,
    /// `Err` says, for the user, why the edit was not applied or not as a whole.
    pub result: Result<(), String>,
    /// It was not applied because another window has the focus than the one that text is
    /// kept to.
    pub elsewhere: bool,
    /// Characters of the insertion that arrived, also when the rest did not.
    pub typed: usize,
    /// The typist's name; empty while none could be opened.
    pub typist: &'static str,
}

/// The sending end. Dropping it types what is queued, then ends the thread.
pub struct TypistThread {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Prepare,
    Apply(u64, Edit),
    Resume,
    Watch(bool),
    TakeBack { from: u64, erase: bool },
    Scratch { id: u64, from: u64 },
}

/// Starts the thread with the typist, and the care about the focus, of a configuration.
/// `reports` is called on the thread, once for each edit.
///
/// # Errors
/// The system's refusal to start a thread.
pub fn spawn(config: &Config, reports: impl Fn(Report) + Send + 'static) -> std::io::Result<TypistThread> {
    let name = config.typist.clone();
    // What is said on a terminal or into a file is nobody's window.
    let follows = name != "stdout";
    let follow = move || follows.then(|| Focus::start(None, &crate::settings::state_dir()).ok()).flatten();
    spawn_with(move |failed| super::open(&name, failed), config, follow, reports)
}

/// As [`spawn`], with another way to open a typist that is none of those that failed, and to
/// follow the focus, which is done on the thread.
///
/// # Errors
/// The system's refusal to start a thread.
pub fn spawn_with(
    open: impl FnMut(&[&str]) -> Result<Box<dyn Typist>, TypistError> + Send + 'static,
    config: &Config,
    follow: impl FnOnce() -> Option<Focus> + Send + 'static,
    reports: impl Fn(Report) + Send + 'static,
) -> std::io::Result<TypistThread> {
    let (orders, queue) = mpsc::channel();
    let keep = config.focus != config::Focus::Follow;
    let mut desk = Desk {
        typist: None,
        open,
        reports,
        ledger: Ledger::default(),
        guard: Guard::new(config),
        keep,
        halted: None,
        elsewhere: false,
    };
    let work = move || {
        desk.guard.follow(follow());
        desk.run(&queue);
    };
    let thread = std::thread::Builder::new().name("typist".into()).spawn(work)?;
    Ok(TypistThread { orders: Some(orders), thread: Some(thread) })
}

impl TypistThread {
    /// Queues an edit; its report carries `id`, which is greater than all before.
    pub fn send(&self, id: u64, edit: Edit) {
        self.order(Order::Apply(id, edit));
    }

    /// Opens the typist now, so that the first word need not wait for it. A failure
    /// is reported with the first edit, which tries again.
    pub fn prepare(&self) {
        self.order(Order::Prepare);
    }

    /// The next edit is tried although one before it failed.
    pub fn resume(&self) {
        self.order(Order::Resume);
    }

    /// `true`: a dictation begins here, whose text [`TypistThread::take_back`] erases.
    /// `false`: no dictation runs.
    pub fn watch(&self, dictating: bool) {
        self.order(Order::Watch(dictating));
    }

    /// Drops the edits in the queue from the number `from` on; they are reported as done
    /// with nothing typed. With `erase`, also erases what was typed since the dictation
    /// began, if the focus has not moved and nobody else typed or clicked since.
    pub fn take_back(&self, from: u64, erase: bool) {
        self.order(Order::TakeBack { from, erase });
    }

    /// Drops the edits in the queue from the number `from` on, and erases what those before
    /// them with such a number typed, as [`TypistThread::take_back`] does. The dictation
    /// goes on. The report carries `id`; `Err` says why the text stays.
    pub fn scratch(&self, id: u64, from: u64) {
        self.order(Order::Scratch { id, from });
    }

    fn order(&self, order: Order) {
        // The thread ends only after this end of the queue is dropped.
        if self.orders.as_ref().is_some_and(|orders| orders.send(order).is_err()) {
            tracing::error!("the typist thread is gone");
        }
    }
}

impl Drop for TypistThread {
    fn drop(&mut self) {
        self.orders.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the typist thread panicked");
        }
    }
}

/// What the thread works with.
struct Desk<O, R> {
    /// The one mechanism that is active.
    typist: Option<Box<dyn Typist>>,
    open: O,
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
    fn run(&mut self, queue: &Receiver<Order>) {
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
    fn drop_cancelled(&self, orders: &mut VecDeque<Order>) {
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
        self.guard.watch(dictating && self.keep);
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
                let erased = typist.take_back(characters);
                match &erased {
                    Ok(()) => self.ledger.erased_from(from),
                    Err(_) => self.ledger.doubt("something could not be erased before"),
                }
                erased.map(|()| characters)
            }
            (_, None) => Err("the typist is gone".to_owned()),
        }
    }

    /// The typist, opened if there is none.
    fn opened(&mut self, failed: &[&str]) -> Result<&mut Box<dyn Typist>, TypistError> {
        let typist = match self.typist.take() {
            Some(typist) => typist,
            None => {
                let mut typist = (self.open)(failed)?;
                if self.ledger.is_open() {
                    typist.watch(self.keep);
                }
                typist
            }
        };
        Ok(self.typist.insert(typist))
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
            let end = if knows_windows { text.len() } else { text.len().min(typed + PIECE) };
            let piece = String::from_iter(&text[typed..end]);
            let piece = self.guard.admit(&piece, &now, || typist.class());
            let result = typist.apply(&Edit { erase, insert: piece.clone().into_owned() });
            let arrived = match &result {
                Ok(()) => end - typed,
                Err(
                    TypistError::Lost { typed, .. }
                    | TypistError::Nowhere { typed, .. }
                    | TypistError::Elsewhere { typed },
                ) => *typed,
                Err(TypistError::Unavailable(_)) => 0,
            };
            self.ledger.note(id, piece.chars().take(arrived));
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

#[cfg(test)]
mod tests;
