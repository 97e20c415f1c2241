//! The daemon's object on the session bus, on a thread of its own.
//!
//! A call becomes a [`Request`] for the main loop and waits for its answer; what
//! the main loop publishes becomes properties and one signal for all that
//! changed. The thread sleeps until the bus or the main loop has something. A bus
//! that goes away is looked for again for a while, and what is dictated meanwhile
//! goes on. Nothing is decided here: whether a command may be taken in a state is not
//! known. Dictated text has no way in, as an answer is a [`State`]; who asks for text
//! gives a pipe, which goes to the main loop unseen.

use super::pipe::Pipe;
use crate::settings;
use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use swictation_control::{Dict, Engine, NAME, PATH, Refused, State, exit};
use swictation_core::session::{Away, Made};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use zbus::export::futures_core::Stream;
use zbus::fdo::{self, RequestNameFlags};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, MatchRule, Message, MessageStream, connection, interface};

/// How long a bus that went away is looked for.
pub const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a bus may take to let the daemon in.
const CONNECTING: Duration = Duration::from_secs(5);
/// What screen savers say on the session bus when they come and go.
const SCREEN: &str = "type='signal',member='ActiveChanged'";

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

/// The process of the daemon that serves this session, if one does; starts none.
///
/// # Errors
/// [`BusError::NoBus`] when there is nothing to ask.
pub fn serving() -> Result<Option<u32>, BusError> {
    let runtime = runtime().map_err(BusError::Thread)?;
    runtime.block_on(async {
        let connection = Connection::session().await.map_err(|e| BusError::NoBus(e.to_string()))?;
        Ok(owner(&connection).await)
    })
}

/// The daemon's connection, and what screen savers tell it.
type Connected = (Connection, MessageStream);

/// Connects, serves the object, listens for screen savers, and only then takes the name:
/// a call that the bus kept while it started the daemon must find the object, and who
/// sees the name may lock the screen at once.
async fn connect(dictation: &Dictation) -> Result<Connected, BusError> {
    let no_bus = |e: zbus::Error| BusError::NoBus(e.to_string());
    let connecting = async {
        let address = address(std::env::var("DBUS_SESSION_BUS_ADDRESS").ok());
        let connection = bus(address.as_deref()).serve_at(PATH, dictation.clone()).build();
        let connection = connection.await.map_err(no_bus)?;
        let rule = MatchRule::try_from(SCREEN).map_err(no_bus)?;
        let screen = MessageStream::for_match_rule(rule, &connection, None).await.map_err(no_bus)?;
        match connection.request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE).await {
            Ok(_) => Ok((connection, screen)),
            Err(zbus::Error::NameTaken) => Err(BusError::NameTaken { pid: owner(&connection).await }),
            Err(e) => Err(no_bus(e)),
        }
    };
    let hangs = |_| Err(BusError::NoBus(format!("it does not answer within {} s", CONNECTING.as_secs())));
    tokio::time::timeout(CONNECTING, connecting).await.unwrap_or_else(hangs)
}

/// Where the bus is, whichever bus it is: one that was started again has another number.
fn address(set: Option<String>) -> Option<String> {
    let place =
        |way: &str| way.split(',').filter(|part| !part.starts_with("guid=")).collect::<Vec<_>>().join(",");
    Some(set?.split(';').map(place).collect::<Vec<_>>().join(";"))
}

/// Looks for a bus that went away, in growing intervals. None when there can be no more
/// changes, as the daemon ends.
async fn find(
    dictation: &Dictation,
    outgoing: &mut UnboundedReceiver<Dict>,
    patience: Duration,
) -> Option<Result<Connected, BusError>> {
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let mut paused = pin!(tokio::time::sleep(pause));
        loop {
            tokio::select! {
                // Nobody hears of this change; whoever connects reads the properties.
                change = outgoing.recv() => drop(change?),
                () = &mut paused => break,
            }
        }
        match connect(dictation).await {
            Err(BusError::NoBus(why)) if Instant::now() < deadline => {
                tracing::debug!("the session bus is not there yet: {why}");
            }
            end => return Some(end),
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
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

/// What a thread of a bus runs on.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A connection to come to the bus at this address, or to the session's.
pub(crate) fn bus(address: Option<&str>) -> connection::Builder<'_> {
    match address {
        Some(address) => connection::Builder::address(address),
        None => connection::Builder::session(),
    }
}

/// Has the bus pass on what fits a rule, and nothing else of what is meant for everybody.
pub(crate) async fn listen_for(connection: &Connection, rule: &str) -> zbus::Result<()> {
    let (name, object) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    connection.call_method(Some(name), object, Some(name), "AddMatch", &rule).await.map(drop)
}

/// The next message; none when the bus is gone.
pub(crate) async fn next(messages: &mut MessageStream) -> Option<zbus::Result<Message>> {
    std::future::poll_fn(|cx| Pin::new(&mut *messages).poll_next(cx)).await
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

/// The object.
#[derive(Clone)]
struct Dictation {
    published: Arc<Mutex<Published>>,
    tell: Arc<dyn Fn(News) + Send + Sync>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Dictation {
    async fn ask(&self, command: Command) -> Result<String, Refused> {
        self.ask_at(command, arrival()).await
    }

    async fn ask_at(&self, command: Command, made: Made) -> Result<String, Refused> {
        let (reply, answer) = oneshot::channel();
        (self.tell)(News::Asked(Request { command, made, reply }));
        match answer.await {
            Ok(state) => state.map(|state| state.as_str().to_owned()),
            Err(_) => Err(Refused::Failed("the daemon is ending".into())),
        }
    }
}

/// When a call was made that does not say so: now, and after all that did.
fn arrival() -> Made {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes the time into the structure and nothing else. It is the
    // clock on which it tells when a process was started.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    let hundredths = now.tv_sec as u64 * 100 + now.tv_nsec as u64 / 10_000_000;
    Made { hundredths, process: Made::UNTOLD }
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

    /// Start, stop, toggle or cancel, as made by a process that began so many
    /// hundredths of a second after the machine did (CLOCK_BOOTTIME; the 22nd field of
    /// /proc/PID/stat). Calls have the effect that they have in the order in which they
    /// were made, however they arrive: the release of a key may overtake its press. A
    /// method without a time counts as made when it arrives. Answers the new State.
    /// The error is org.swictation.Dictation1.Error.Verb (there is no such verb).
    #[zbus(out_args("state"))]
    async fn at(
        &self,
        verb: String,
        hundredths: u64,
        process: u32,
        #[zbus(header)] _call: Header<'_>,
    ) -> Result<String, Refused> {
        let command = match verb.as_str() {
            "start" => Command::Start,
            "stop" => Command::Stop,
            "toggle" => Command::Toggle,
            "cancel" => Command::Cancel,
            _ => return Err(Refused::Verb("the verb is start, stop, toggle or cancel".into())),
        };
        // Nothing is asked before it is made; a call from the future would make all
        // others come too late.
        self.ask_at(command, arrival().min(Made { hundredths, process })).await
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
    /// hotwords (u: how many it expects), folder (s: where the model is).
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_known_by_its_place_and_not_by_its_number() {
        for (set, place) in [
            ("unix:path=/run/bus,guid=0123abc", "unix:path=/run/bus"),
            ("unix:path=/a,guid=1;unix:abstract=/b,guid=2", "unix:path=/a;unix:abstract=/b"),
            ("unix:path=/run/bus", "unix:path=/run/bus"),
        ] {
            assert_eq!(address(Some(set.into())).as_deref(), Some(place));
        }
        assert_eq!(address(None), None);
    }
}
