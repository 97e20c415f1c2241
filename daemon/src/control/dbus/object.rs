//! The object that everybody calls, and what becomes of a call.

use super::{Command, News, Published, Request};
use crate::control::pipe::Pipe;
use crate::settings;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swictation_control::{Dict, Refused};
use swictation_core::session::Made;
use tokio::sync::oneshot;
use zbus::interface;
use zbus::message::Header;

/// The object.
#[derive(Clone)]
pub(super) struct Dictation {
    pub(super) published: Arc<Mutex<Published>>,
    pub(super) tell: Arc<dyn Fn(News) + Send + Sync>,
    pub(super) metrics: Arc<dyn Fn() -> String + Send + Sync>,
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
pub(super) fn lock(published: &Mutex<Published>) -> MutexGuard<'_, Published> {
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

    /// Ends the dictation at once, without its untyped words; what it typed, in a
    /// terminal its last utterance alone, is erased again if nobody has typed, clicked
    /// or moved the focus since and cancel_erases is not turned off. When idle, forgets
    /// what could not be typed. Answers the new State.
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
