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

mod candidate;
mod dictation;
mod event;
#[cfg(test)]
mod tests;
mod typing;

use crate::Now;
use crate::hypothesis::DictationId;
use crate::metrics::Metrics;
use crate::supervise::{Ending, Ladder, Next};
use crate::wire::{self, EngineInfo, FromWorker, ToWorker, VERSION};
use candidate::Candidate;
pub use candidate::LOADING;
use dictation::Dictation;
pub use event::{Command, Effect, Engine, Event, Microphone, Published};
use std::collections::VecDeque;
use std::time::Duration;
use typing::Typing;
pub use typing::Untyped;

/// Taste, from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Taste {
    /// How long the microphone stays open after the stop: the last word is often
    /// still in the air.
    pub stop_tail: Duration,
    /// End a dictation with a space.
    pub trailing_space: bool,
    /// A cancelled dictation takes back what it typed, where that is possible.
    pub cancel_erases: bool,
    /// Devices in the order in which they are tried.
    pub devices: Vec<String>,
}

/// The owner of all state.
pub struct Session {
    taste: Taste,
    engine: Engine,
    ladder: Ladder,
    candidate: Option<Candidate>,
    /// Decoded from the front, recorded at the back.
    dictations: VecDeque<Dictation>,
    /// The capture that is open and has not been told to close.
    open: Option<u32>,
    captures: u32,
    dictated: u32,
    typing: Typing,
    speaking: bool,
    metrics: Metrics,
    trouble: Troubles,
    shown: Option<(Published, Engine, String)>,
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
            engine: Engine::Failed("not started".to_owned()),
            candidate: None,
            dictations: VecDeque::new(),
            open: None,
            captures: 0,
            dictated: 0,
            typing: Typing::default(),
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
            Event::Command(Command::Start) => self.start(now, out),
            Event::Command(Command::Stop) => self.stop(now),
            Event::Command(Command::Toggle) if self.recording() => self.stop(now),
            Event::Command(Command::Toggle) => self.start(now, out),
            Event::Command(Command::Cancel) => self.cancel(out),
            Event::Microphone(capture, news) => self.microphone(capture, news, now),
            Event::Worker(message) => self.worker(message, now, out),
            Event::WorkerGone(ending) => self.worker_gone(&ending, now, out),
            Event::Consider(devices) => self.consider(devices, now, out),
            Event::Dismiss => self.dismiss(out),
            Event::Candidate(message) => self.candidate(message, out),
            Event::CandidateGone(ending) => self.candidate_gone(&ending, now, out),
            Event::Typed(id, result) => self.typed(id, result, now, out),
            Event::Tick => {}
        }
        self.settle(now, out);
        self.pass_deadlines(now, out);
        self.pump(out);
        self.publish(out);
    }

    /// When [`Event::Tick`] is wanted next; `None` while nothing is due.
    pub fn deadline(&self) -> Option<Now> {
        let spawn = match self.engine {
            Engine::Waiting(at) => Some(at),
            _ => None,
        };
        [spawn, self.tail_end(), self.candidate_deadline(), self.typing_deadline()]
            .into_iter()
            .flatten()
            .min()
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

    fn recording(&self) -> bool {
        self.dictations.back().is_some_and(|d| d.stopped.is_none())
    }

    fn start(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.recording() {
            return;
        }
        self.close_microphone(out);
        self.captures += 1;
        self.dictated += 1;
        self.open = Some(self.captures);
        self.speaking = false;
        self.trouble.microphone.clear();
        // Whoever dictates with the old model has seen that the new one is not in use.
        self.trouble.model.clear();
        self.dictation_begins(out);
        self.dictations.push_back(Dictation::new(DictationId(self.dictated), self.captures, now));
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

    fn cancel(&mut self, out: &mut Vec<Effect>) {
        self.close_microphone(out);
        if self.dictations.front().is_some_and(|d| d.begun()) {
            out.push(Effect::Send(ToWorker::Forget));
        }
        self.cancel_typing(out);
        self.dictations.clear();
    }

    fn close_microphone(&mut self, out: &mut Vec<Effect>) {
        if let Some(capture) = self.open.take() {
            out.push(Effect::CloseMicrophone(capture));
        }
    }

    fn microphone(&mut self, capture: u32, news: Microphone, now: Now) {
        // A capture that belongs to no dictation was cancelled.
        let Some(dictation) = self.dictations.iter_mut().find(|d| d.capture == capture) else { return };
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
                dictation.stopped.get_or_insert(now);
                self.open = self.open.filter(|open| *open != capture);
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
        self.dictation_over(now, out);
        out.push(Effect::Done(done.id, done.end()));
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
        let stopped = self.dictations.iter().find(|d| d.capture == open)?.stopped?;
        Some(stopped + self.taste.stop_tail)
    }

    fn pass_deadlines(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.typing_deadline_passed(now, out);
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
                self.dictation_over(now, out);
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
        self.trouble.typing = self.typing_trouble();
        let shown = Some((self.state(), self.engine.clone(), self.trouble()));
        if self.shown != shown {
            self.shown = shown;
            out.push(Effect::Publish);
        }
    }

    /// What must hold after every event, whatever came before.
    #[cfg(test)]
    fn verify_invariants(&self) {
        self.verify_typing();
        for dictation in &self.dictations {
            let positions = dictation.positions();
            assert!(positions.is_sorted(), "tape start, utterance, heard, sent, tape end: {positions:?}");
        }
        let recording = self.dictations.iter().filter(|d| d.stopped.is_none()).count();
        assert!(recording <= 1, "{recording} dictations are recorded at once");
        if let Some(open) = self.open {
            assert!(
                self.dictations.iter().any(|d| d.capture == open),
                "an open microphone belongs to nobody"
            );
        }
    }
}
