//! What of a running dictation outlives the daemon, in files of its own.
//!
//! The session says what happens ([`swictation_core::journal`]); a thread writes it
//! down ([`writer`]), so that a disk that is slow or full holds nobody up. A daemon
//! that ends well leaves no file; what one that was killed leaves is found again
//! ([`leftover`]) by the next one, which says so, and by `swictation recover`
//! ([`recover`]). Everything here is 0600 in folders that are 0700.
//!
//! What is written is what was said: none of it may go anywhere else.

mod folder;
pub mod leftover;
pub mod recover;
mod writer;

pub use folder::{Place, place, places};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};
use swictation_core::journal::Entry;
use writer::Writer;

/// What the thread has to say, each as a sentence for a person; an empty one takes the
/// one before it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What is dictated now would not outlive the daemon, and why.
    Trouble(String),
    /// There is something to give back.
    Left(String),
}

/// The sending end. Dropping it writes down what is queued, then ends the thread.
pub struct Journal {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Write(Entry),
    Keep(Place),
    Look,
    End,
}

impl Journal {
    /// Starts the thread, which looks first for what an earlier daemon left. `news` is
    /// called on the thread.
    ///
    /// # Errors
    /// The system's refusal to start a thread.
    pub fn start(place: Place, news: impl Fn(News) + Send + 'static) -> std::io::Result<Self> {
        let (orders, queue) = mpsc::channel();
        let again = orders.clone();
        let run = move || {
            Scribe { writer: Writer::new(place), news: Box::new(news), again, watched: None, ended: false }
                .run(&queue)
        };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(run)?;
        drop(orders.send(Order::Look));
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Queues an entry; returns at once.
    pub fn write(&self, entry: Entry) {
        self.order(Order::Write(entry));
    }

    /// From the next dictation on, entries are kept there.
    pub fn keep_in(&self, place: Place) {
        self.order(Order::Keep(place));
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::error!("the journal's thread is gone");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The thread has a sending end of its own, so the queue does not end by itself.
        self.order(Order::End);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the journal's thread panicked");
        }
    }
}

/// The thread's state.
struct Scribe {
    writer: Writer,
    news: Box<dyn Fn(News) + Send>,
    /// For whoever sees that something was recovered.
    again: Sender<Order>,
    /// A file whose end is waited for.
    watched: Option<PathBuf>,
    /// The last order has come.
    ended: bool,
}

impl Scribe {
    fn run(mut self, queue: &Receiver<Order>) {
        let mut told = String::new();
        while !self.ended {
            let first = match self.writer.due() {
                Some(due) => queue.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let now = Instant::now();
            match first {
                // Entries that came together are written together.
                Ok(first) => {
                    std::iter::once(first).chain(queue.try_iter()).for_each(|order| self.obey(order, now));
                }
                Err(_) => self.writer.sync(now),
            }
            self.writer.flush(now);
            let trouble = self.writer.trouble();
            if told != trouble {
                told.clone_from(&trouble);
                (self.news)(News::Trouble(trouble));
            }
        }
    }

    fn obey(&mut self, order: Order, now: Instant) {
        match order {
            Order::Write(entry) => {
                if self.writer.take(&entry, now) == writer::Outcome::Left {
                    self.look();
                }
            }
            Order::Keep(place) => self.writer.keep_in(place),
            Order::Look => self.look(),
            Order::End => self.ended = true,
        }
    }

    /// Says what there is to give back, and waits for the end of it.
    fn look(&mut self) {
        let (mut summary, mut newest) = found();
        if newest.is_some() && newest != self.watched {
            let (path, again) = (newest.unwrap_or_default(), self.again.clone());
            if let Err(e) = crate::settings::watch(&path, move || drop(again.send(Order::Look))) {
                tracing::debug!("{} is not watched: {e}", path.display());
            }
            // It can have been given back before it was watched.
            (summary, newest) = found();
            self.watched = newest.or(Some(path));
        }
        (self.news)(News::Left(summary));
    }
}

/// What was left, as a sentence, and the newest of its files. They are held for that
/// moment only, as `recover` takes what is held for a living daemon's.
fn found() -> (String, Option<PathBuf>) {
    let left = leftover::all(&places(), SystemTime::now());
    (leftover::summary(&left), left.last().map(|leftover| leftover.path().to_path_buf()))
}
