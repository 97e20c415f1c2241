//! The daemon's object on the session bus, on a thread of its own.
//!
//! A call becomes a [`Request`] for the main loop and waits for its answer; what
//! the main loop publishes becomes properties and one signal for all that
//! changed. The thread runs a small runtime without timers and sleeps until the
//! bus or the main loop has something. This is the only file of the daemon with
//! async code, and it decides nothing: whether a command may be taken in a state
//! is not known here. Dictated text has no way in, as an answer is a [`State`]; who asks
//! for text gives a pipe, which goes to the main loop unseen.

use super::pipe::Pipe;
use crate::settings;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use swictation_control::{Dict, Engine, NAME, PATH, Refused, State, exit};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use zbus::fdo::{self, RequestNameFlags};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, connection, interface};

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
    /// Takes the answer.
    pub reply: Reply,
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
/// `on_request` and `metrics` are called on the bus thread and must return at
/// once; `metrics` makes the JSON object of the property `Metrics`. `on_lost` is
/// called once if the bus goes away: the daemon must end then, because nobody
/// can reach it and a daemon that the bus started would outlive its session.
pub fn serve(
    on_request: impl Fn(Request) + Send + Sync + 'static,
    metrics: impl Fn() -> String + Send + Sync + 'static,
    on_lost: impl FnOnce() + Send + 'static,
) -> Result<Bus, BusError> {
    let published = Arc::new(Mutex::new(Published::default()));
    let dictation = Dictation {
        published: Arc::clone(&published),
        on_request: Box::new(on_request),
        metrics: Box::new(metrics),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BusError::Thread)?;
    let (changes, outgoing) = unbounded_channel();
    let (up, is_up) = std::sync::mpsc::channel();
    let thread = thread::Builder::new()
        .name("dbus".into())
        .spawn(move || {
            runtime.block_on(async {
                match connect(dictation).await {
                    Ok(connection) => {
                        let _ = up.send(Ok(()));
                        if !carry(&connection, outgoing).await {
                            on_lost();
                        }
                    }
                    Err(e) => drop(up.send(Err(e))),
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

/// The process of the daemon that serves this session, if one does; starts none.
///
/// # Errors
/// [`BusError::NoBus`] when there is nothing to ask.
pub fn serving() -> Result<Option<u32>, BusError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BusError::Thread)?;
    runtime.block_on(async {
        let connection = Connection::session().await.map_err(|e| BusError::NoBus(e.to_string()))?;
        Ok(owner(&connection).await)
    })
}

/// Connects, serves the object, and only then takes the name: a call that the bus
/// kept while it started the daemon must find the object.
async fn connect(dictation: Dictation) -> Result<Connection, BusError> {
    let no_bus = |e: zbus::Error| BusError::NoBus(e.to_string());
    let connection =
        connection::Builder::session().serve_at(PATH, dictation).build().await.map_err(no_bus)?;
    match connection.request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE).await {
        Ok(_) => Ok(connection),
        Err(zbus::Error::NameTaken) => Err(BusError::NameTaken { pid: owner(&connection).await }),
        Err(e) => Err(no_bus(e)),
    }
}

/// The process that has the daemon's name.
async fn owner(connection: &Connection) -> Option<u32> {
    let bus = "org.freedesktop.DBus";
    let answer = connection
        .call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "GetConnectionUnixProcessID", &NAME)
        .await
        .ok()?;
    answer.body().deserialize().ok()
}

/// Announces changes until there can be no more of them. False when the bus went away.
async fn carry(connection: &Connection, mut outgoing: UnboundedReceiver<Dict>) -> bool {
    loop {
        tokio::select! {
            changes = outgoing.recv() => match changes {
                Some(changes) => announce(connection, changes).await,
                None => break,
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

/// The object.
struct Dictation {
    published: Arc<Mutex<Published>>,
    on_request: Box<dyn Fn(Request) + Send + Sync>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl Dictation {
    async fn ask(&self, command: Command) -> Result<String, Refused> {
        let (reply, answer) = oneshot::channel();
        (self.on_request)(Request { command, reply });
        match answer.await {
            Ok(state) => state.map(|state| state.as_str().to_owned()),
            Err(_) => Err(Refused::Failed("the daemon is ending".into())),
        }
    }
}

/// A poisoned copy is still a copy: whatever panicked had no part in it.
fn lock(published: &Mutex<Published>) -> MutexGuard<'_, Published> {
    published.lock().unwrap_or_else(PoisonError::into_inner)
}

// What is written here is the introspection that the contract repeats, the
// comments included. The verbs ask for a header that they do not need because
// zbus then refuses arguments, which it passes over otherwise.
#[interface(name = "org.swictation.Dictation1")]
impl Dictation {
    /// Begins to dictate; no effect while dictating. Answers the new State.
    #[zbus(out_args("state"))]
    async fn start(&self, #[zbus(header)] _call: Header<'_>) -> Result<String, Refused> {
        self.ask(Command::Start).await
    }

    /// Ends the dictation once its last words are typed; no effect when idle.
    /// Answers the new State.
    #[zbus(out_args("state"))]
    async fn stop(&self, #[zbus(header)] _call: Header<'_>) -> Result<String, Refused> {
        self.ask(Command::Stop).await
    }

    /// Starts when idle, stops otherwise. Answers the new State.
    #[zbus(out_args("state"))]
    async fn toggle(&self, #[zbus(header)] _call: Header<'_>) -> Result<String, Refused> {
        self.ask(Command::Toggle).await
    }

    /// Ends the dictation at once, without its untyped words; what it typed is erased
    /// again if nobody has typed, clicked or moved the focus since and cancel_erases
    /// is not turned off. When idle, forgets what could not be typed. Answers the new
    /// State.
    #[zbus(out_args("state"))]
    async fn cancel(&self, #[zbus(header)] _call: Header<'_>) -> Result<String, Refused> {
        self.ask(Command::Cancel).await
    }

    /// Ends the daemon. Answers the State it ends from.
    #[zbus(out_args("state"))]
    async fn quit(&self, #[zbus(header)] _call: Header<'_>) -> Result<String, Refused> {
        self.ask(Command::Quit).await
    }

    /// Uses another model: a name below the data folder's models, or the absolute
    /// path of a folder. The model in use dictates on until the other one is loaded,
    /// has passed its self-test and no dictation runs; when it fails, nothing
    /// changes. Answers the State once it is in use and written to config.toml.
    /// The errors are org.swictation.Dictation1.Error.Name (no model can have that
    /// name), .Model (the model cannot be used), .Configuration (config.toml cannot
    /// be read or written) and .Replaced (another model was asked for meanwhile).
    #[zbus(out_args("state"))]
    async fn use_model(&self, name: String, #[zbus(header)] _call: Header<'_>) -> Result<String, Refused> {
        settings::check_model(&name).map_err(Refused::Name)?;
        self.ask(Command::UseModel(name)).await
    }

    /// Writes the text of the newest dictation into a pipe, as UTF-8, and closes it;
    /// with untyped, only what could not be typed, of earlier dictations too. The
    /// pipe must be empty. Answers the State.
    #[zbus(out_args("state"))]
    async fn last(
        &self,
        pipe: zbus::OwnedFd,
        untyped: bool,
        #[zbus(header)] _call: Header<'_>,
    ) -> Result<String, Refused> {
        self.ask(Command::Last(Pipe::new(pipe.into()), untyped)).await
    }

    /// Puts the last text on the clipboard: what could not be typed, if there is any,
    /// which then is not tried any more, else all of the newest dictation. Answers the
    /// State. The error org.swictation.Dictation1.Error.Typing says that there is no
    /// clipboard.
    #[zbus(out_args("state"))]
    async fn copy_last(&self, #[zbus(header)] _call: Header<'_>) -> Result<String, Refused> {
        self.ask(Command::CopyLast).await
    }

    /// One of idle, starting, listening, speaking, finishing.
    #[zbus(property)]
    fn state(&self) -> String {
        lock(&self.published).state.as_str().to_owned()
    }

    /// The recognizer: state (s: absent, loading, ready or failed), model (s),
    /// family (s), provider (s), precision (s), weights (a{sd}: percent of each
    /// type), on_cpu (a{su}: operators that a GPU left to the processor), runtime (s),
    /// context_seconds (d), chunk_ms (u), latency_ms (u; 0 where no setting fixes it),
    /// folder (s: where the model is).
    #[zbus(property)]
    fn engine(&self) -> Dict {
        lock(&self.published).engine.to_dict()
    }

    /// What is wrong, for a person; empty when all is well.
    #[zbus(property)]
    fn trouble(&self) -> String {
        lock(&self.published).trouble.clone()
    }

    /// The mechanism that types; empty before the first use.
    #[zbus(property)]
    fn typist(&self) -> String {
        lock(&self.published).typist.clone()
    }

    /// Latency percentiles and counters as a JSON object, made when it is read.
    #[zbus(property(emits_changed_signal = "false"))]
    fn metrics(&self) -> String {
        (self.metrics)()
    }

    /// The version of the daemon.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }
}
