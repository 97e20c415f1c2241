//! The D-Bus contract of the Swictation daemon: what both ends must agree on.
//!
//! The daemon serves one object on the session bus. Its methods are verbs that
//! may be repeated without harm, its properties say how it is, and that is all:
//! dictated text is never on the bus, because every program of the session can
//! listen there: who asks for it passes a pipe. The names below, the values of [`State`] and [`Engine`], the
//! codes in [`exit`] and [`INTROSPECTION`] are the contract; a test of the daemon
//! asserts that it serves exactly that. Nothing here connects to a bus, starts a
//! thread or knows what a microphone is.

mod engine;
pub mod exit;
mod refused;
mod state;
mod status;

pub use engine::{Dict, Engine, EngineState, OwnedDict};
pub use refused::Refused;
pub use state::{State, UnknownState};
pub use status::Status;

/// The well-known name of the daemon on the session bus.
pub const NAME: &str = "org.swictation.Dictation1";
/// The name of whoever has called a daemon that may have to be started first, until the
/// daemon answers: who finds no daemon and this name calls it too.
pub const COMING: &str = "org.swictation.Coming1";
/// The path of its only object.
pub const PATH: &str = "/org/swictation/Dictation1";
/// The interface of that object.
pub const INTERFACE: &str = "org.swictation.Dictation1";
/// The interface as introspection XML, for readers and for other languages.
pub const INTROSPECTION: &str = include_str!("../org.swictation.Dictation1.xml");

/// The daemon as a client sees it. `Start` and `Toggle` have the bus start it;
/// the other verbs have nothing to do where no daemon runs, so they do not.
#[zbus::proxy(
    interface = "org.swictation.Dictation1",
    default_service = "org.swictation.Dictation1",
    default_path = "/org/swictation/Dictation1"
)]
pub trait Dictation1 {
    /// Begins to dictate; answers the new state, see [`State`].
    fn start(&self) -> zbus::Result<String>;

    /// Ends the dictation once its last words are typed; answers the new state.
    #[zbus(no_autostart)]
    fn stop(&self) -> zbus::Result<String>;

    /// Starts when idle, stops otherwise; answers the new state.
    fn toggle(&self) -> zbus::Result<String>;

    /// Ends the dictation at once, without its untyped words and, where that can be
    /// done exactly, without those that it typed; answers the new state.
    #[zbus(no_autostart)]
    fn cancel(&self) -> zbus::Result<String>;

    /// One of the verbs above, by its name, as made by the process of that number when it
    /// began: hundredths of a second since the machine did. Calls that overtake each
    /// other on their way then mean the same. Answers the new state.
    fn at(&self, verb: &str, hundredths: u64, process: u32) -> zbus::Result<String>;

    /// [`at`](Self::at), for verbs that have nothing to do where no daemon runs.
    #[zbus(name = "At", no_autostart)]
    fn at_running(&self, verb: &str, hundredths: u64, process: u32) -> zbus::Result<String>;

    /// Ends the daemon; answers the state it ends from.
    #[zbus(no_autostart)]
    fn quit(&self) -> zbus::Result<String>;

    /// Uses another model, by its name or the path of its folder; answers the state
    /// once it is in use, which takes as long as it loads and as a dictation runs.
    /// See [`Refused`] for what it may answer instead.
    #[zbus(no_autostart)]
    fn use_model(&self, name: &str) -> zbus::Result<String>;

    /// Has the text of the newest dictation written into a pipe, or with `untyped` only
    /// what could not be typed; answers the state when it is there.
    #[zbus(no_autostart)]
    fn last(&self, pipe: zbus::Fd<'_>, untyped: bool) -> zbus::Result<String>;

    /// Has the last text put on the clipboard; answers the state.
    #[zbus(no_autostart)]
    fn copy_last(&self) -> zbus::Result<String>;

    /// See [`State`].
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;

    /// See [`Engine`].
    #[zbus(property)]
    fn engine(&self) -> zbus::Result<OwnedDict>;

    /// What is wrong, for a person; empty when all is well.
    #[zbus(property)]
    fn trouble(&self) -> zbus::Result<String>;

    /// The mechanism that types, for example `x11`; empty before the first use.
    #[zbus(property)]
    fn typist(&self) -> zbus::Result<String>;

    /// Latency percentiles and counters as a JSON object, made when it is read.
    #[zbus(property(emits_changed_signal = "false"))]
    fn metrics(&self) -> zbus::Result<String>;

    /// The daemon's version.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;
}
