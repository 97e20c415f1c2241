//! The loop that joins the parts, and the only place where effects happen.
//!
//! Everything that can wake the program is one closed list, [`Wake`]; all other
//! threads hold a sender and nothing else. A turn is: wait for a wake or for the
//! session's deadline, let the session handle it, perform what it asks for. While
//! nothing is due the loop sleeps without a timeout. It decides nothing about
//! dictation; that is the session's.

mod captures;
mod change;
mod end;
mod kept;
mod last;
mod parts;
mod show;

pub use parts::Parts;

use crate::audio::{AudioEvent, Capture};
use crate::clipboard::Clipboard;
use crate::control::dbus::{self, BusError};
use crate::control::logind::Logind;
use crate::control::notify;
use crate::gpu::Nvml;
use crate::journal::News as Kept;
use crate::transcript::Transcript;
use crate::typist::thread::{Report, TypistThread};
use crate::worker::{News, Recipe, Worker};
use crate::{settings, smaller};
use change::Change;
use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Instant;
use swictation_control::exit;
use swictation_core::Now;
use swictation_core::config::Config;
use swictation_core::session::{self, About, Command, Effect, Event, Session};

/// Everything that can wake the program.
#[derive(Debug)]
pub enum Wake {
    /// Somebody on the bus asks for something.
    Asked(dbus::Request),
    /// A capture tells something.
    Heard(u32, AudioEvent),
    /// A worker tells something; the number says which.
    Worker(u32, News),
    /// The typist answers.
    Typed(Report),
    /// The journal tells something.
    Journal(Kept),
    /// The clipboard has the last text, or why not.
    Copied(Result<(), String>),
    /// The configuration file may have changed.
    Configured,
    /// The person or the machine goes or comes back.
    Away(session::Away),
    /// Nobody can reach the daemon any more.
    BusLost(BusError),
    /// The system asks the program to end.
    Terminate,
}

/// A worker, if there is one, and the number that tells its news from others'.
#[derive(Default)]
struct Numbered {
    number: u32,
    worker: Option<Worker>,
}

/// The running program.
pub struct MainLoop {
    parts: Parts,
    session: Session,
    origin: Instant,
    wakes: Sender<Wake>,
    inbox: Receiver<Wake>,
    captures: HashMap<u32, Capture>,
    /// The current worker and the candidate, each with its number.
    worker: Numbered,
    candidate: Numbered,
    /// How many workers were started.
    started: u32,
    /// The mechanism that typed last.
    typed_with: &'static str,
    /// What the candidate is tried for.
    change: Option<Change>,
    dictating_since: Option<Instant>,
    nvml: Option<Option<Nvml>>,
    clipboard: Option<Clipboard>,
    /// A text on its way to the clipboard, and who waits for it.
    copying: Option<(String, dbus::Reply)>,
    /// The end was asked for and comes when the last words are typed, with this code.
    ending: Option<u8>,
    ended: Option<u8>,
}

impl MainLoop {
    /// Puts the parts together; nothing happens before [`MainLoop::run`].
    pub fn new(parts: Parts, channel: (Sender<Wake>, Receiver<Wake>)) -> Self {
        Self {
            session: Session::new(session::Taste { impatient: parts.once, ..taste(&parts.config) }),
            parts,
            origin: Instant::now(),
            wakes: channel.0,
            inbox: channel.1,
            captures: HashMap::new(),
            worker: Numbered::default(),
            candidate: Numbered::default(),
            started: 0,
            typed_with: "",
            change: None,
            dictating_since: None,
            nvml: None,
            clipboard: None,
            copying: None,
            ending: None,
            ended: None,
        }
    }

    /// Runs until the end of the program; its exit code.
    pub fn run(mut self) -> u8 {
        let mut effects = Vec::new();
        self.session.boot(&mut effects);
        self.perform(&mut effects);
        if let Some(stretch) = self.parts.past.take() {
            self.resume(stretch);
        } else if self.parts.once {
            self.handle(Event::Command(Command::Start));
        }
        let watchdog = notify::watchdog_interval();
        let mut fed = Instant::now();
        while self.ended.is_none() {
            let timeout = [
                self.session.deadline().map(|at| at - self.now()),
                watchdog.map(|w| (fed + w) - Instant::now()),
            ];
            let wake = match timeout.into_iter().flatten().min() {
                Some(timeout) => self.inbox.recv_timeout(timeout),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match wake {
                Ok(wake) => self.wake(wake),
                Err(RecvTimeoutError::Timeout) => self.handle(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if watchdog.is_some_and(|w| fed.elapsed() >= w) {
                notify::watchdog();
                fed = Instant::now();
            }
        }
        notify::stopping();
        self.captures.clear();
        // What was committed is typed before the program ends, and known to be.
        self.parts.typist = None;
        while let Ok(wake) = self.inbox.try_recv() {
            if let Wake::Typed(report) = wake {
                self.handle(typed(report));
            }
        }
        self.parts.journal = None;
        (self.worker.worker, self.candidate.worker) = (None, None);
        self.ended.unwrap_or(exit::OK)
    }

    fn now(&self) -> Now {
        Now(self.origin.elapsed())
    }

    fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::Asked(request) => self.asked(request),
            Wake::Heard(capture, event) => self.heard(capture, event),
            Wake::Worker(number, news) if number == self.worker.number => match news {
                News::Said(message) => self.handle(Event::Worker(message)),
                News::Gone(ending) => self.worker_gone(ending),
            },
            Wake::Worker(number, news) if number == self.candidate.number => match news {
                News::Said(message) => self.handle(Event::Candidate(message)),
                News::Gone(ending) => {
                    tracing::warn!("{ending}");
                    self.candidate = Numbered::default();
                    self.handle(Event::CandidateGone(ending));
                }
            },
            Wake::Worker(..) => {}
            Wake::Typed(report) => {
                self.typed_with = report.typist;
                if let Err(why) = &report.result {
                    tracing::warn!("typing failed: {why}");
                }
                self.handle(typed(report));
                self.show_metrics();
            }
            Wake::Journal(news) => self.kept(news),
            Wake::Copied(result) => self.copied(result),
            Wake::Configured => self.configured(),
            Wake::Away(away) => {
                tracing::info!("{away:?}");
                self.handle(Event::Away(away));
            }
            Wake::BusLost(why) => {
                tracing::error!("nobody can reach this daemon any more: {why}");
                self.end(why.exit_code());
            }
            Wake::Terminate => self.end(exit::OK),
        }
    }

    fn asked(&mut self, request: dbus::Request) {
        let command = match request.command {
            dbus::Command::Start => Command::Start,
            dbus::Command::Stop => Command::Stop,
            dbus::Command::Toggle => Command::Toggle,
            dbus::Command::Cancel => Command::Cancel,
            dbus::Command::Quit => {
                self.end(exit::OK);
                return drop(request.reply.send(Ok(show::state(self.session.state()))));
            }
            dbus::Command::UseModel(name) => return self.use_model(name, request.reply),
            dbus::Command::Last(pipe, untyped) => return self.write_last(pipe, untyped, request.reply),
            dbus::Command::CopyLast => return self.copy_last(request.reply),
        };
        if self.ending.is_some() && matches!(command, Command::Start | Command::Toggle) {
            // Who asks is told that the daemon is ending, as nobody answers.
            return;
        }
        self.handle(Event::Called(command, request.made));
        drop(request.reply.send(Ok(show::state(self.session.state()))));
    }

    fn worker_gone(&mut self, ending: swictation_core::supervise::Ending) {
        tracing::warn!("{ending}");
        self.worker.worker = None;
        self.handle(Event::WorkerGone(ending));
        self.fails_without_model();
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        let now = self.now();
        self.session.handle(event, now, &mut effects);
        self.perform(&mut effects);
    }

    fn say(&mut self, about: About, text: String) {
        let mut effects = Vec::new();
        self.session.say(about, text, &mut effects);
        self.perform(&mut effects);
    }

    fn perform(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::OpenMicrophone(capture) => self.open_microphone(capture),
                Effect::CloseMicrophone(capture) => {
                    if let Some(capture) = self.captures.get(&capture) {
                        capture.stop();
                    }
                }
                Effect::Decoded(capture, samples) => {
                    if let Some(capture) = self.captures.get(&capture) {
                        capture.heard(samples);
                    }
                }
                Effect::Spawn(device) => self.worker = self.spawn(&self.parts.recipe.clone(), &device),
                // News of a killed one must not be taken for the next one's: no
                // worker has the number 0.
                Effect::Kill => self.worker = Numbered::default(),
                Effect::Replaced(why) => tracing::warn!("{why}; it is replaced"),
                Effect::SpawnCandidate(device) => {
                    // Without a change it is the same recognizer on a better device.
                    let recipe = self.change.as_ref().map(Change::recipe);
                    let recipe = recipe.unwrap_or_else(|| self.parts.recipe.clone());
                    self.candidate = self.spawn(&recipe, &device);
                }
                Effect::KillCandidate => self.candidate = Numbered::default(),
                Effect::Adopt => self.adopted(),
                Effect::Reject(why) => self.rejected(&why),
                Effect::Send(message) => {
                    if let Some(worker) = &self.worker.worker {
                        worker.send(message);
                    }
                }
                Effect::PrepareTypist => self.tell_typist(TypistThread::prepare),
                Effect::Record(entry) => {
                    if let Some(journal) = &self.parts.journal {
                        journal.write(entry);
                    }
                }
                Effect::Type(id, edit) => match &self.parts.typist {
                    Some(typist) => typist.send(id, edit),
                    None => {
                        self.write(|t| t.text(&edit.insert));
                        self.answer_for_the_typist(id, edit.insert.chars().count());
                    }
                },
                Effect::Scratch { id, from } => match &self.parts.typist {
                    Some(typist) => typist.scratch(id, from),
                    None => self.answer_for_the_typist(id, 0),
                },
                Effect::ResumeTyping => self.tell_typist(TypistThread::resume),
                Effect::Watch(dictating) => self.tell_typist(|typist| typist.watch(dictating)),
                Effect::TakeBack { from, utterance, erase } => {
                    self.tell_typist(|typist| typist.take_back(from, utterance, erase));
                }
                Effect::Committed(words, heard) => self.write(|t| t.words(&words, heard)),
                Effect::Stepped(step) => self.write(|t| t.step(&step)),
                Effect::Skipped(skipped) => self.skipped(&skipped),
                Effect::MaySleep => drop(self.parts.logind.as_ref().map(Logind::may_sleep)),
                Effect::Done(_, end) => self.done(end),
                Effect::Publish => self.publish(),
            }
        }
    }

    /// Reports what is done where nothing is typed with.
    fn answer_for_the_typist(&self, id: u64, typed: usize) {
        drop(self.wakes.send(Wake::Typed(Report {
            id,
            result: Ok(()),
            elsewhere: false,
            typed,
            typist: "none",
        })));
    }

    fn tell_typist(&self, order: impl FnOnce(&TypistThread)) {
        if let Some(typist) = &self.parts.typist {
            order(typist);
        }
    }

    fn spawn(&mut self, recipe: &Recipe, device: &str) -> Numbered {
        self.started += 1;
        let (wakes, number) = (self.wakes.clone(), self.started);
        let tell = move |news| drop(wakes.send(Wake::Worker(number, news)));
        Numbered { number, worker: Worker::spawn(recipe, device, tell) }
    }

    fn write(&mut self, line: impl FnOnce(&mut Transcript<std::io::Stdout>) -> std::io::Result<()>) {
        // A reader that went away wants no more: that is an end and no failure.
        if self.parts.transcript.as_mut().is_some_and(|transcript| line(transcript).is_err()) {
            self.ended.get_or_insert(exit::OK);
        }
    }
}

/// What the session needs of a configuration, and of the models that are installed.
fn taste(config: &Config) -> session::Taste {
    let smaller = smaller::than(&settings::model_dir(&config.model), &settings::data_dir().join("models"));
    session::Taste { smaller, ..config.taste() }
}

fn typed(report: Report) -> Event {
    let Report { id, result, elsewhere, typed, .. } = report;
    Event::Typed(id, result.map_err(|why| session::Untyped { typed, why, elsewhere }))
}

/// The channel that all other threads hold the sending end of.
pub fn channel() -> (Sender<Wake>, Receiver<Wake>) {
    mpsc::channel()
}
