//! The daemon's object on the session bus, on a thread of its own.
//!
//! A call becomes a [`Request`] for the main loop and waits for its answer; what
//! the main loop publishes becomes properties and one signal for all that
//! changed. The thread sleeps until the bus or the main loop has something. A bus
//! that goes away is looked for again for a while, and what is dictated meanwhile
//! goes on. Nothing is decided here: whether a command may be taken in a state is not
//! known. Dictated text has no way in, as an answer is a [`State`]; who asks for text
//! gives a pipe, which goes to the main loop unseen.

mod connect;
mod object;

pub use connect::serving;

use super::pipe::Pipe;
use crate::bus::{next, runtime};
use connect::{Connected, connect, find};
use object::{Dictation, lock};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use swictation_control::{Dict, Engine, NAME, PATH, Refused, State, exit};
use swictation_core::session::{Away, Made};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use zbus::fdo;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, Message};

/// How long a bus that went away is looked for.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What somebody asks of the daemon. Each may be repeated without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin to dictate.
    Start,
    /// End the dictation once its last words are typed.
    Stop,
    /// Start when idle, stop otherwise.
    Toggle,
    /// End the dictation at once, without its untyped words and, where possible,
    /// without those that it typed.
    Cancel,
    /// End the daemon.
    Quit,
    /// Use the model of this name, or in this folder, and keep the choice.
    UseModel(String),
    /// Write the last text into this pipe, or only what of it was not typed.
    Last(Pipe, bool),
    /// Put the last text on the clipboard: what was not typed, if there is any, else all.
    CopyLast,
}

/// Takes the state after a command was taken, or why it was not, for a person.
/// Dropping it tells the caller that the daemon is ending.
pub type Reply = oneshot::Sender<Result<State, Refused>>;

/// A command that waits for its answer.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// When it was asked.
    pub made: Made,
    /// Takes the answer.
    pub reply: Reply,
}

/// What the bus tells.
#[derive(Debug)]
pub enum News {
    /// Somebody asks for something.
    Asked(Request),
    /// The screen is locked, or is not any more.
    Away(Away),
    /// The bus went away and does not come back, or another daemon was quicker; the
    /// daemon must end, as nobody can reach it.
    Lost(BusError),
}

/// What the main loop lets the session know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    /// The phase of the dictation.
    pub state: State,
    /// The recognizer.
    pub engine: Engine,
    /// What is wrong, for a person; empty when all is well.
    pub trouble: String,
    /// The mechanism that types; empty before the first use.
    pub typist: String,
}

impl Published {
    /// The properties in which `next` differs, with their new values.
    fn changes(&self, next: &Published) -> Dict {
        let mut changes = HashMap::new();
        if self.state != next.state {
            changes.insert("State", next.state.as_str().into());
        }
        if self.engine != next.engine {
            changes.insert("Engine", next.engine.to_dict().into());
        }
        if self.trouble != next.trouble {
            changes.insert("Trouble", next.trouble.clone().into());
        }
        if self.typist != next.typist {
            changes.insert("Typist", next.typist.clone().into());
        }
        changes
    }
}

/// Why the daemon cannot be reached over the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// There is nothing to connect to.
    #[error(
        "no session bus: {0}. Start swictationd inside a desktop session, \
         or under `dbus-run-session`, or run it with --no-bus"
    )]
    NoBus(String),
    /// Another daemon serves this session.
    #[error("another swictationd runs{}: end it with `swictation quit`", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    NameTaken {
        /// The process that has the name, where the bus tells.
        pid: Option<u32>,
    },
    /// The thread could not be started.
    #[error("the thread for the bus cannot start: {0}")]
    Thread(std::io::Error),
}

impl BusError {
    /// The exit code that says this, see [`exit`].
    pub fn exit_code(&self) -> u8 {
        match self {
            BusError::NoBus(_) => exit::NO_BUS,
            BusError::NameTaken { .. } => exit::ANOTHER_DAEMON,
            BusError::Thread(_) => exit::FAILURE,
        }
    }
}

/// The daemon's place on the bus. Dropping it sends the answers that were given,
/// releases the name and ends the thread.
pub struct Bus {
    published: Arc<Mutex<Published>>,
    changes: Option<UnboundedSender<Dict>>,
    thread: Option<JoinHandle<()>>,
}

/// Takes the daemon's name and serves its object until the [`Bus`] is dropped.
///
/// `tell` and `metrics` are called on the bus thread and must return at once;
/// `metrics` makes the JSON object of the property `Metrics`. A bus that goes away is
/// looked for as long as `patience`; [`News::Lost`] is the last news.
pub fn serve(
    patience: Duration,
    tell: impl Fn(News) + Send + Sync + 'static,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> Result<Bus, BusError> {
    let published = Arc::new(Mutex::new(Published::default()));
    let dictation =
        Dictation { published: Arc::clone(&published), tell: Arc::new(tell), metrics: Arc::new(metrics) };
    let runtime = runtime().map_err(BusError::Thread)?;
    let (changes, mut outgoing) = unbounded_channel();
    let (up, is_up) = std::sync::mpsc::channel();
    let thread = thread::Builder::new()
        .name("dbus".into())
        .spawn(move || {
            runtime.block_on(async {
                let mut connection = match connect(&dictation).await {
                    Ok(connection) => connection,
                    Err(e) => return drop(up.send(Err(e))),
                };
                let _ = up.send(Ok(()));
                while !carry(&mut connection, &dictation, &mut outgoing).await {
                    tracing::warn!("the session bus is gone; it is looked for");
                    connection = match find(&dictation, &mut outgoing, patience).await {
                        Some(Ok(connection)) => connection,
                        Some(Err(e)) => return (dictation.tell)(News::Lost(e)),
                        None => return,
                    };
                    tracing::info!("the session bus is there again");
                }
            });
        })
        .map_err(BusError::Thread)?;
    let bus = Bus { published, changes: Some(changes), thread: Some(thread) };
    match is_up.recv() {
        Ok(up) => up.map(|()| bus),
        Err(_) => Err(BusError::NoBus("the thread for the bus ended".into())),
    }
}

impl Bus {
    /// Makes `next` what the properties say, and announces what changed. Never waits.
    pub fn publish(&self, next: Published) {
        // The properties change here and not when the signal goes out, so that
        // whoever got the answer to a command then reads the state after it.
        let mut published = lock(&self.published);
        let changes = published.changes(&next);
        *published = next;
        if let (false, Some(outgoing)) = (changes.is_empty(), &self.changes) {
            let _ = outgoing.send(changes);
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Announces changes until there can be no more of them. False when the bus went away.
async fn carry(
    (connection, screen): &mut Connected,
    dictation: &Dictation,
    outgoing: &mut UnboundedReceiver<Dict>,
) -> bool {
    loop {
        tokio::select! {
            changes = outgoing.recv() => match changes {
                Some(changes) => announce(connection, changes).await,
                None => break,
            },
            message = next(screen) => match message {
                Some(Ok(message)) => drop(lock_told(&message).map(|away| (dictation.tell)(News::Away(away)))),
                Some(Err(_)) | None => return false,
            },
            () = connection.closed() => return false,
        }
    }
    // The answer of the bus comes after it took everything sent before, so no
    // answer to a caller is lost when the process ends. A bus that hangs must not
    // keep the daemon from ending.
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.release_name(NAME)).await;
    true
}

/// What a screen saver says; each desktop has one of its own.
fn lock_told(message: &Message) -> Option<Away> {
    let header = message.header();
    let saver = header.interface().is_some_and(|interface| interface.ends_with(".ScreenSaver"));
    let active: bool = message.body().deserialize().ok().filter(|_| saver)?;
    Some(if active { Away::Lock } else { Away::Unlock })
}

async fn announce(connection: &Connection, changes: Dict) {
    let announced = async {
        let emitter = SignalEmitter::new(connection, PATH)?;
        let interface = swictation_control::INTERFACE.try_into()?;
        fdo::Properties::properties_changed(&emitter, interface, changes, Cow::Borrowed(&[])).await
    };
    if let Err(e) = announced.await {
        tracing::warn!("a change of state could not be announced on the bus: {e}");
    }
}
