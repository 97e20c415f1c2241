//! The thread that types: edits in, reports out, in the same order. What it does with
//! them is in [`desk`].

mod desk;
mod failure;

use super::focus::Focus;
use super::{Typist, TypistError};
use crate::settings;
use desk::Desk;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use swictation_core::Edit;
use swictation_core::config::Config;

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
    Configure(Box<Config>),
    TakeBack { from: u64, utterance: u64, erase: bool },
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
    let follow = move || {
        follows
            .then(|| Focus::start(None, &settings::state_dir(), &settings::ibus_dir()).ok())
            .flatten()
            .map(Arc::new)
    };
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
    follow: impl FnOnce() -> Option<Arc<Focus>> + Send + 'static,
    reports: impl Fn(Report) + Send + 'static,
) -> std::io::Result<TypistThread> {
    let (orders, queue) = mpsc::channel();
    let mut desk = Desk::new(open, config, reports);
    let work = move || {
        desk.follow(follow());
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

    /// Takes another configuration over but for the typist; which windows text goes into holds
    /// from the next [`TypistThread::watch`] on.
    pub fn configure(&self, config: &Config) {
        self.order(Order::Configure(Box::new(config.clone())));
    }

    /// Drops the edits in the queue from the number `from` on; they are reported as done
    /// with nothing typed. With `erase`, also erases what was typed since the dictation
    /// began, in a terminal only from the edit `utterance` on, if the focus has not moved and
    /// nobody else typed or clicked since.
    pub fn take_back(&self, from: u64, utterance: u64, erase: bool) {
        self.order(Order::TakeBack { from, utterance, erase });
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

#[cfg(test)]
mod tests;
