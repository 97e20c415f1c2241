//! The state machine of the program: events in, effects out, time an argument.
//!
//! Two things run side by side and are never multiplied into one state: what the
//! person wants (a queue of dictations, the newest possibly being recorded) and
//! what the machine can do (one engine: loading, ready, gone). The microphone
//! follows the person only; it never waits for the engine. While there is no
//! engine the tape grows, and a new engine is told everything again from the
//! first word that is not settled. Another recognizer is tried beside the engine
//! and takes its place when it has proven itself (`candidate.rs`).
//!
//! A dictation that was stopped is finished before the next one is decoded, but
//! the next one is recorded meanwhile, so that stopping and starting in quick
//! succession costs no word.

mod away;
mod calls;
mod candidate;
mod dictation;
mod event;
#[cfg(test)]
mod tests;

use crate::hypothesis::DictationId;
use crate::metrics::Metrics;
use crate::supervise::{Ending, Ladder, Next};
use crate::wire::{self, EngineInfo, FromWorker, ToWorker, VERSION};
use crate::{Edit, Now, SamplePos};
use away::Absence;
pub use away::Away;
pub use calls::Made;
use calls::{Calls, Place};
use candidate::Candidate;
pub use candidate::LOADING;
use dictation::Dictation;
pub use event::{Command, Effect, Engine, Event, Microphone, Published};
use std::collections::VecDeque;
use std::time::Duration;

/// Taste, from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Taste {
    /// How long the microphone stays open after the stop: the last word is often
    /// still in the air.
    pub stop_tail: Duration,
    /// End a dictation with a space.
    pub trailing_space: bool,
    /// Devices in the order in which they are tried.
    pub devices: Vec<String>,
}

/// The owner of all state.
pub struct Session {
    taste: Taste,
    calls: Calls,
    absence: Absence,
    engine: Engine,
    ladder: Ladder,
    candidate: Option<Candidate>,
    /// Decoded from the front, recorded at the back.
    dictations: VecDeque<Dictation>,
    /// The capture that is open and has not been told to close.
    open: Option<u32>,
    captures: u32,
    dictated: u32,
    edits: u64,
    /// Edits that the typist has not answered yet.
    typing: VecDeque<Typing>,
    /// Text that could not be typed; it goes before the next.
    untyped: String,
    /// Nothing may be typed now; it is kept.
    held: bool,
    speaking: bool,
    metrics: Metrics,
    trouble: Troubles,
    shown: Option<(Published, Engine, String)>,
}

/// An edit on its way.
struct Typing {
    id: u64,
    text: String,
    committed: Now,
    /// When each of its words was spoken.
    spoken: Vec<Now>,
    /// When the person asked for the end, for the edit that ends a dictation.
    stopped: Option<Now>,
}

/// One line for each thing that can be wrong at a time.
#[derive(Clone, Debug, Default)]
struct Troubles {
    microphone: String,
    engine: String,
    /// The engine works and is too slow.
    speed: String,
    typing: String,
    configuration: String,
    /// A model that was asked for is not in use.
    model: String,
}

impl Session {
    /// A session without an engine; [`Session::boot`] asks for one.
    pub fn new(taste: Taste) -> Self {
        Self {
            ladder: Ladder::new(taste.devices.clone()),
            taste,
            calls: Calls::default(),
            absence: Absence::default(),
            engine: Engine::Failed("not started".to_owned()),
            candidate: None,
            dictations: VecDeque::new(),
            open: None,
            captures: 0,
            dictated: 0,
            edits: 0,
            typing: VecDeque::new(),
            untyped: String::new(),
            held: false,
            speaking: false,
            metrics: Metrics::default(),
            trouble: Troubles::default(),
            shown: None,
        }
    }

    /// Asks for a worker, on the first device.
    pub fn boot(&mut self, out: &mut Vec<Effect>) {
        self.ladder.reset();
        self.spawn(out);
        self.publish(out);
    }

    /// Takes in one event.
    pub fn handle(&mut self, event: Event, now: Now, out: &mut Vec<Effect>) {
        match event {
            Event::Command(command) => self.called(command, self.calls.last(), now, out),
            Event::Called(command, made) => self.called(command, made, now, out),
            Event::Away(away) => self.away(away, now, out),
            Event::Microphone(capture, news) => self.microphone(capture, news, now, out),
            Event::Worker(message) => self.worker(message, now, out),
            Event::WorkerGone(ending) => self.worker_gone(&ending, now, out),
            Event::Consider(devices) => self.consider(devices, now, out),
            Event::Dismiss => self.dismiss(out),
            Event::Candidate(message) => self.candidate(message, out),
            Event::CandidateGone(ending) => self.candidate_gone(&ending, now, out),
            Event::Typed(id, result) => self.typed(id, result, now),
            Event::Tick => {}
        }
        self.settle(now, out);
        self.pass_deadlines(now, out);
        self.rest(out);
        self.pump(out);
        self.publish(out);
    }

    /// When [`Event::Tick`] is wanted next; `None` while nothing is due.
    pub fn deadline(&self) -> Option<Now> {
        let spawn = match self.engine {
            Engine::Waiting(at) => Some(at),
            _ => None,
        };
        [spawn, self.tail_end(), self.candidate_deadline()].into_iter().flatten().min()
    }

    /// What people see of the newest dictation.
    pub fn state(&self) -> Published {
        self.dictations.back().map_or(Published::Idle, |d| d.phase(self.speaking))
    }

    /// What the machine can do.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What is wrong, one sentence each; empty when all is well.
    pub fn trouble(&self) -> String {
        let all = [
            &self.trouble.configuration,
            &self.trouble.model,
            &self.trouble.engine,
            &self.trouble.speed,
            &self.trouble.microphone,
            &self.trouble.typing,
        ];
        all.into_iter().filter(|t| !t.is_empty()).cloned().collect::<Vec<_>>().join("; ")
    }

    /// Latency and counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Says that the configuration on disk is wrong, or with an empty text that
    /// it is right again.
    pub fn configuration_trouble(&mut self, text: String, out: &mut Vec<Effect>) {
        self.trouble.configuration = text;
        self.publish(out);
    }

    /// Says that a model somebody asked for is not in use, until the next dictation
    /// or with an empty text.
    pub fn model_trouble(&mut self, text: String, out: &mut Vec<Effect>) {
        self.trouble.model = text;
        self.publish(out);
    }

    /// A new taste from now on; the devices are used by the next worker.
    pub fn retaste(&mut self, taste: Taste) {
        if self.taste.devices != taste.devices {
            self.ladder = Ladder::new(taste.devices.clone());
        }
        self.taste = taste;
    }

    /// The call since which is being recorded, if anything is.
    fn recording(&self) -> Option<Place> {
        self.dictations.back().filter(|d| d.stopped.is_none()).map(|d| d.since)
    }

    /// Does what all calls want in the order in which they were made, this one included.
    fn called(&mut self, command: Command, made: Made, now: Now, out: &mut Vec<Effect>) {
        let begins = matches!(command, Command::Start | Command::Toggle);
        if begins && self.recording().is_none() && !self.present(now, out) {
            return;
        }
        let place = self.calls.take_in(command, made);
        if command == Command::Cancel {
            self.cancel_before(place, out);
        }
        match (self.recording(), self.calls.wanted()) {
            (Some(since), Some(wanted)) if since >= wanted => {
                // It only was begun by another call than it seemed.
                if let Some(dictation) = self.dictations.back_mut() {
                    dictation.since = wanted;
                }
            }
            (None, None) => {}
            (_, wanted) => {
                self.stop(now);
                if let Some(since) = wanted {
                    self.start(since, now, out);
                }
            }
        }
    }

    fn start(&mut self, since: Place, now: Now, out: &mut Vec<Effect>) {
        self.close_microphone(out);
        self.captures += 1;
        self.dictated += 1;
        self.open = Some(self.captures);
        self.speaking = false;
        self.trouble.microphone.clear();
        // Whoever dictates with the old model has seen that the new one is not in use.
        self.trouble.model.clear();
        self.metrics.dictations += 1;
        self.dictations.push_back(Dictation::new(DictationId(self.dictated), self.captures, since, now));
        out.push(Effect::OpenMicrophone(self.captures));
        out.push(Effect::PrepareTypist);
        if matches!(self.engine, Engine::Failed(_)) && self.candidate.is_none() {
            // The person may have mended what was wrong.
            self.ladder.reset();
            self.spawn(out);
        }
    }

    fn stop(&mut self, now: Now) {
        if let Some(dictation) = self.dictations.back_mut() {
            dictation.stopped.get_or_insert(now);
        }
    }

    /// Cancels what had been begun when the call was made.
    fn cancel_before(&mut self, place: Place, out: &mut Vec<Effect>) {
        let later = self.dictations.iter().position(|d| d.since > place);
        let kept = later.map(|at| self.dictations.split_off(at)).unwrap_or_default();
        let open = self.open.take_if(|open| kept.iter().any(|d| d.capture == *open));
        if kept.is_empty() || !self.dictations.is_empty() {
            self.cancel(out);
        }
        self.dictations = kept;
        self.open = self.open.or(open);
    }

    fn cancel(&mut self, out: &mut Vec<Effect>) {
        self.close_microphone(out);
        if self.dictations.front().is_some_and(|d| d.begun()) {
            out.push(Effect::Send(ToWorker::Forget));
        }
        self.dictations.clear();
        self.untyped.clear();
        self.trouble.typing.clear();
    }

    fn close_microphone(&mut self, out: &mut Vec<Effect>) {
        if let Some(capture) = self.open.take() {
            out.push(Effect::CloseMicrophone(capture));
        }
    }

    fn microphone(&mut self, capture: u32, news: Microphone, now: Now, out: &mut Vec<Effect>) {
        // A capture that belongs to no dictation was cancelled.
        let Some(at) = self.dictations.iter().position(|d| d.capture == capture) else { return };
        let dictation = &mut self.dictations[at];
        match news {
            Microphone::Block { pcm, captured, dropped } => {
                if !dictation.live {
                    dictation.live = true;
                    self.metrics.start.add(now - dictation.asked);
                }
                self.trouble.microphone.clear();
                self.metrics.samples += pcm.len() as u64;
                self.metrics.lost_samples += dropped;
                dictation.record(&pcm, captured, dropped);
            }
            Microphone::Silent(true) => {
                self.trouble.microphone =
                    "the microphone delivers only silence: is it muted, or is another one meant?".to_owned();
            }
            Microphone::Silent(false) | Microphone::Opened => self.trouble.microphone.clear(),
            Microphone::Lost(why) => self.trouble.microphone = why,
            Microphone::Ended => {
                dictation.complete = true;
                if dictation.stopped.replace(dictation.stopped.unwrap_or(now)).is_none() {
                    // A file ends by itself, and what is asked for later is asked of an idle session.
                    self.calls.take_in(Command::Stop, self.calls.last());
                }
                self.open = self.open.filter(|open| *open != capture);
                // What nothing was captured of needs no worker.
                if !dictation.begun()
                    && dictation.end() == SamplePos(0)
                    && let Some(done) = self.dictations.remove(at)
                {
                    out.push(Effect::Done(done.id, SamplePos(0)));
                }
            }
        }
    }

    fn worker(&mut self, message: FromWorker, now: Now, out: &mut Vec<Effect>) {
        match message {
            FromWorker::Hello { version: VERSION } => {}
            FromWorker::Hello { version } => self.give_up(wire::other_version(version), out),
            FromWorker::Ready(info, step) => self.ready(info, step),
            FromWorker::Heard { dictation, up_to, speech, resume } => {
                let Some(current) = self.dictations.front_mut().filter(|d| d.id == dictation) else { return };
                match current.heard(up_to, resume) {
                    Some(samples) => out.push(Effect::Decoded(current.capture, samples)),
                    None => return self.broken("acknowledged audio it was never sent", now, out),
                }
                self.ladder.progress();
                if self.dictations.len() == 1 {
                    self.speaking = speech;
                }
            }
            FromWorker::Step(step) => out.push(Effect::Stepped(step)),
            FromWorker::Hypothesis(hypothesis) => self.hypothesis(&hypothesis, now, out),
            FromWorker::Checkpoint(_) => {}
            FromWorker::Finished { dictation } => self.finished(dictation, now, out),
            // The end of the process follows and carries the fault.
            FromWorker::Fault { .. } => {}
        }
    }

    /// The engine works; `step` is what a step of its self-test took, in microseconds.
    fn ready(&mut self, info: EngineInfo, step: u32) {
        self.trouble.engine.clear();
        self.trouble.speed.clear();
        if u64::from(step) > u64::from(info.chunk_ms) * 1000 {
            self.trouble.speed = format!(
                "{} needs {} ms for {} ms of audio on {}: the text will fall behind what is said; a smaller model, a GPU or longer steps (chunk_ms) help",
                info.model,
                step / 1000,
                info.chunk_ms,
                info.provider
            );
        }
        self.engine = Engine::Ready(info);
    }

    fn hypothesis(&mut self, hypothesis: &crate::Hypothesis, now: Now, out: &mut Vec<Effect>) {
        self.metrics.steps += 1;
        let step = Duration::from_micros(u64::from(hypothesis.step_us));
        let Some(dictation) = self.dictations.front_mut().filter(|d| d.id == hypothesis.dictation) else {
            return;
        };
        if let Some(captured) = dictation.captured(hypothesis.heard_to) {
            let taken_up = Now(now.0.saturating_sub(step));
            self.metrics.captured_to_heard.add(taken_up - captured);
        }
        self.metrics.heard_to_hypothesis.add(step);
        let Some(commits) = dictation.commit(hypothesis, now) else {
            return self.broken("sent a hypothesis that does not follow from its last", now, out);
        };
        if commits.is_empty() {
            return;
        }
        for commit in &commits {
            self.metrics.hypothesis_to_committed.add(now - commit.appeared);
        }
        self.metrics.words += commits.len() as u64;
        let text: String = commits.iter().map(|c| c.text.as_str()).collect();
        let spoken = commits.iter().filter_map(|c| c.spoken).collect();
        let words = commits.into_iter().map(|c| c.word).collect();
        out.push(Effect::Committed(words, hypothesis.heard_to));
        self.type_text(text, spoken, None, now, out);
    }

    fn finished(&mut self, id: DictationId, now: Now, out: &mut Vec<Effect>) {
        if !self.dictations.front().is_some_and(|d| d.id == id && d.complete) {
            return;
        }
        let Some(done) = self.dictations.pop_front() else { return };
        let end = done.composer.end(self.taste.trailing_space).to_owned();
        self.type_text(end, Vec::new(), done.stopped, now, out);
        out.push(Effect::Done(done.id, done.end()));
    }

    fn type_text(
        &mut self,
        text: String,
        spoken: Vec<Now>,
        stopped: Option<Now>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let text = std::mem::take(&mut self.untyped) + &text;
        if text.is_empty() {
            return;
        }
        if self.held {
            self.untyped = text;
            return;
        }
        self.edits += 1;
        out.push(Effect::Type(self.edits, Edit { erase: 0, insert: text.clone() }));
        self.typing.push_back(Typing { id: self.edits, text, committed: now, spoken, stopped });
    }

    /// From now on nothing is typed, or what was kept is typed now.
    fn hold_typing(&mut self, held: bool, now: Now, out: &mut Vec<Effect>) {
        self.held = held;
        self.type_text(String::new(), Vec::new(), None, now, out);
    }

    fn typed(&mut self, id: u64, result: Result<(), String>, now: Now) {
        let Some(at) = self.typing.iter().position(|t| t.id == id) else { return };
        let Some(done) = self.typing.remove(at) else { return };
        match result {
            Ok(()) => {
                self.trouble.typing.clear();
                self.metrics.committed_to_typed.add(now - done.committed);
                done.spoken.iter().for_each(|spoken| self.metrics.spoken_to_typed.add(now - *spoken));
                if let Some(stopped) = done.stopped {
                    self.metrics.stop_to_typed.add(now - stopped);
                }
            }
            Err(why) => {
                self.untyped.push_str(&done.text);
                self.trouble.typing = format!(
                    "{why}; {} characters are kept and typed with the next words",
                    self.untyped.chars().count()
                );
            }
        }
    }

    fn worker_gone(&mut self, ending: &Ending, now: Now, out: &mut Vec<Effect>) {
        self.metrics.worker_ends += 1;
        self.dictations.iter_mut().for_each(Dictation::restart);
        match self.ladder.ended(ending, now) {
            Next::Spawn => self.spawn(out),
            Next::Wait(until) => {
                self.trouble.engine = ending.to_string();
                self.engine = Engine::Waiting(until);
            }
            Next::GiveUp(why) => self.give_up(why, out),
        }
    }

    /// A worker that breaks the protocol is ended; its end brings the next.
    fn broken(&mut self, what: &str, now: Now, out: &mut Vec<Effect>) {
        out.push(Effect::Kill);
        let ending = Ending::crashed(format!("swictation-worker {what}"));
        self.worker_gone(&ending, now, out);
    }

    fn give_up(&mut self, why: String, out: &mut Vec<Effect>) {
        out.push(Effect::Kill);
        self.trouble.engine.clone_from(&why);
        self.engine = Engine::Failed(why);
    }

    fn spawn(&mut self, out: &mut Vec<Effect>) {
        let device = self.ladder.device().to_owned();
        out.push(Effect::Spawn(device.clone()));
        self.engine = Engine::Loading(device);
    }

    /// When the microphone that was stopped is to be closed.
    fn tail_end(&self) -> Option<Now> {
        let open = self.open?;
        let stopped = self.dictations.iter().rfind(|d| d.capture == open)?.stopped?;
        Some(stopped + self.taste.stop_tail)
    }

    fn pass_deadlines(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.tail_end().is_some_and(|at| at <= now) {
            self.close_microphone(out);
        }
        if matches!(self.engine, Engine::Waiting(at) if at <= now) {
            self.spawn(out);
        }
        // Without an engine, and without one in sight, there will be no words: the
        // dictation ends, and the trouble that is shown says why.
        if matches!(self.engine, Engine::Failed(_)) && self.candidate.is_none() {
            while self.dictations.front().is_some_and(|d| d.complete) {
                let Some(done) = self.dictations.pop_front() else { return };
                out.push(Effect::Done(done.id, done.end()));
            }
        }
    }

    fn pump(&mut self, out: &mut Vec<Effect>) {
        if !matches!(self.engine, Engine::Ready(_)) {
            return;
        }
        let mut messages = Vec::new();
        if let Some(dictation) = self.dictations.front_mut() {
            dictation.pump(&mut messages);
        }
        out.extend(messages.into_iter().map(Effect::Send));
    }

    fn publish(&mut self, out: &mut Vec<Effect>) {
        let shown = Some((self.state(), self.engine.clone(), self.trouble()));
        if self.shown != shown {
            self.shown = shown;
            out.push(Effect::Publish);
        }
    }

    /// What must hold after every event, whatever came before.
    #[cfg(test)]
    fn verify_invariants(&self) {
        for dictation in &self.dictations {
            let positions = dictation.positions();
            assert!(positions.is_sorted(), "tape start, utterance, heard, sent, tape end: {positions:?}");
        }
        let recording = self.dictations.iter().filter(|d| d.stopped.is_none()).count();
        assert!(recording <= 1, "{recording} dictations are recorded at once");
        assert_eq!(self.recording(), self.calls.wanted(), "what is recorded is what the calls want");
        if let Some(open) = self.open {
            assert!(
                self.dictations.iter().any(|d| d.capture == open),
                "an open microphone belongs to nobody"
            );
        }
    }
}
