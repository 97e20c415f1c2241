//! The clipboard of the session, owned as long as the daemon runs.
//!
//! A desktop's clipboard holds no text: the program that copied gives it to each that
//! pastes. So the text lives here, in memory, until something else is copied. A display
//! may not answer, so this is a thread of its own, started by the first copy. It is never
//! read and never written without a person's command.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

/// Called with what came of a copy, for a person.
type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// The sending end of the thread; dropping it gives the clipboard up.
pub struct Clipboard {
    orders: Option<Sender<(String, Done)>>,
    thread: Option<JoinHandle<()>>,
}

impl Clipboard {
    /// Starts the thread; the clipboard is opened by the first copy.
    ///
    /// # Errors
    /// The system's refusal to start a thread.
    pub fn start() -> std::io::Result<Self> {
        let (orders, queue) = mpsc::channel();
        let thread = std::thread::Builder::new().name("clipboard".into()).spawn(move || serve(&queue))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Copies the text; `done` is called on the thread.
    pub fn copy(&self, text: String, done: impl FnOnce(Result<(), String>) + Send + 'static) {
        if let Some(orders) = &self.orders {
            // The thread ends only after this end of the queue is dropped.
            drop(orders.send((text, Box::new(done))));
        }
    }
}

impl Drop for Clipboard {
    fn drop(&mut self) {
        self.orders.take();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn serve(queue: &Receiver<(String, Done)>) {
    let mut clipboard = None;
    for (text, done) in queue {
        let mut copied = copy(&mut clipboard, &text);
        if copied.is_err() && clipboard.take().is_some() {
            // The display may have been started again since the last copy.
            copied = copy(&mut clipboard, &text);
        }
        done(
            copied.map_err(|e| {
                format!("there is no clipboard to be had: {e}; `swictation last` prints the text")
            }),
        );
    }
}

fn copy(clipboard: &mut Option<arboard::Clipboard>, text: &str) -> Result<(), arboard::Error> {
    let clipboard = match clipboard {
        Some(clipboard) => clipboard,
        None => clipboard.insert(arboard::Clipboard::new()?),
    };
    clipboard.set_text(text)
}
