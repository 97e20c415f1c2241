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
mod engine;
mod event;
mod microphone;
#[cfg(test)]
mod tests;
mod trouble;
mod typing;

use crate::Now;
use crate::config::Focus;
use crate::hypothesis::DictationId;
use crate::journal::{Entry, Owed, Past};
use crate::metrics::Metrics;
use crate::supervise::Ladder;
use crate::text::Rules;
use crate::wire::ToWorker;
use away::Absence;
pub use away::Away;
pub use calls::Made;
use calls::{Calls, Place};
use candidate::Candidate;
pub use candidate::LOADING;
use dictation::Dictation;
use engine::Watch;
pub use event::{Command, Effect, Engine, Event, Microphone, Published, Skipped};
use microphone::Sound;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
pub use trouble::About;
use trouble::Troubles;
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
    /// What becomes of text whose window does not have the focus any more.
    pub focus: Focus,
    /// Devices in the order in which they are tried.
    pub devices: Vec<String>,
    /// A worker that nobody needs for so long is ended.
    pub unload_after: Option<Duration>,
    /// A model that asks less of the machine than the one in use, where there is one.
    pub smaller: Option<String>,
    /// Whoever asks waits for an end, and has it when every device has failed once.
    pub impatient: bool,
    /// What spoken words mean, from the next dictation on.
    pub rules: Arc<Rules>,
}

/// The owner of all state.
pub struct Session {
    taste: Taste,
    calls: Calls,
    absence: Absence,
    engine: Engine,
    ladder: Ladder,
    watch: Watch,
    sound: Sound,
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

fn ladder(taste: &Taste) -> Ladder {
    let ladder = Ladder::new(taste.devices.clone());
    if taste.impatient { ladder.impatient() } else { ladder }
}

impl Session {
    /// A session without an engine; [`Session::boot`] asks for one.
    pub fn new(taste: Taste) -> Self {
        Self {
            ladder: ladder(&taste),
            taste,
            watch: Watch::default(),
            sound: Sound::default(),
            calls: Calls::default(),
            absence: Absence::default(),
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
            Event::Typed(id, result) => self.typed(id, result, now, out),
            Event::Tick => {}
        }
        self.stop_when_told(now, out);
        self.settle(now, out);
        self.pass_deadlines(now, out);
        self.rest(out);
        self.pump(now, out);
        self.unwatch(out);
        self.publish(out);
    }

    /// When [`Event::Tick`] is wanted next; `None` while nothing is due.
    pub fn deadline(&self) -> Option<Now> {
        [self.engine_deadline(), self.tail_end(), self.candidate_deadline(), self.typing_deadline()]
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

    /// Latency and counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Starts with a dictation that a daemon before this one began, as far as it came;
    /// the microphone delivers the rest of it.
    pub fn resume(&mut self, owed: Owed, now: Now, out: &mut Vec<Effect>) {
        self.called(Command::Start, self.calls.last(), now, out);
        if let Some(dictation) = self.dictations.back_mut() {
            self.watch.made_by = owed.checkpoint.as_ref().map(|(engine, _)| engine.clone());
            dictation.resume(owed);
        }
        self.pump(now, out);
        self.publish(out);
    }

    /// A new taste from now on; the devices are used by the next worker.
    pub fn retaste(&mut self, taste: Taste) {
        if self.taste.devices != taste.devices {
            self.ladder = ladder(&taste);
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
        self.sound = Sound::default();
        self.trouble.microphone.clear();
        self.trouble.speech.clear();
        self.trouble.scratch.clear();
        // Whoever dictates with the old model has seen that the new one is not in use.
        self.trouble.model.clear();
        // And that there is something to give back; `recover` still finds it.
        self.trouble.leftover.clear();
        self.metrics.dictations += 1;
        self.dictation_begins(out);
        let dictation = DictationId(self.dictated);
        let rules = Arc::clone(&self.taste.rules);
        self.dictations.push_back(Dictation::new(dictation, self.captures, since, now, rules));
        out.push(Effect::Record(Entry::Begin { dictation }));
        out.push(Effect::OpenMicrophone(self.captures));
        out.push(Effect::PrepareTypist);
        if matches!(self.engine, Engine::Failed(_)) && self.candidate.is_none() {
            // The person may have mended what was wrong.
            self.ladder.reset();
            self.spawn(out);
        }
        if matches!(self.engine, Engine::Unloaded) {
            self.spawn(out);
        }
    }

    fn stop(&mut self, now: Now) {
        if let Some(dictation) = self.dictations.back_mut() {
            dictation.stopped.get_or_insert(now);
        }
    }

    /// Stops when the person has said so in the middle of what is recorded.
    fn stop_when_told(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.dictations.back().is_some_and(Dictation::was_told_to_stop) {
            self.stop_by_itself(now, out);
        }
    }

    /// Stops as the person would.
    fn stop_by_itself(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.dictations.back().is_some_and(|d| d.stopped.is_none()) {
            self.called(Command::Stop, self.calls.last(), now, out);
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
        if kept.is_empty() {
            out.push(Effect::Record(Entry::Forgotten));
        }
        self.dictations = kept;
        self.open = self.open.or(open);
        if !self.dictations.is_empty() {
            self.dictation_begins(out);
        }
    }

    fn cancel(&mut self, out: &mut Vec<Effect>) {
        self.close_microphone(out);
        if self.dictations.front().is_some_and(|d| d.begun()) {
            out.push(Effect::Send(ToWorker::Forget));
        }
        self.cancel_typing(out);
        let cancelled = self.dictations.drain(..).map(|d| Effect::Record(Entry::End { dictation: d.id }));
        out.extend(cancelled);
    }

    fn close_microphone(&mut self, out: &mut Vec<Effect>) {
        if let Some(capture) = self.open.take() {
            out.push(Effect::CloseMicrophone(capture));
        }
    }

    /// When the microphone that was stopped is to be closed.
    fn tail_end(&self) -> Option<Now> {
        let open = self.open?;
        let stopped = self.dictations.iter().rfind(|d| d.capture == open)?.stopped?;
        Some(stopped + self.taste.stop_tail)
    }

    fn pass_deadlines(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.typing_deadline_passed(now, out);
        if self.tail_end().is_some_and(|at| at <= now) {
            self.close_microphone(out);
        }
        self.pass_engine_deadlines(now, out);
        // Without an engine, and without one in sight, there will be no words: the
        // dictation ends, and the trouble that is shown says why.
        if matches!(self.engine, Engine::Failed(_)) && self.candidate.is_none() {
            while self.dictations.front().is_some_and(|d| d.complete) {
                let Some(mut done) = self.dictations.pop_front() else { return };
                let (dictation, unheard) = (done.id, done.is_unheard());
                let rest = done.finish(false);
                if !rest.is_empty() {
                    self.said(rest, Some((dictation, done.past())), Vec::new(), None, now, out);
                }
                out.push(Effect::Record(match unheard {
                    true => Entry::Unheard { dictation },
                    false => Entry::End { dictation },
                }));
                self.dictation_over(now, out);
                out.push(Effect::Done(done.id, done.end()));
            }
        }
    }

    fn publish(&mut self, out: &mut Vec<Effect>) {
        self.trouble.typing = self.typing_trouble();
        let shown = Some((self.state(), self.engine.clone(), self.trouble()));
        if self.shown != shown {
            self.shown = shown;
            out.push(Effect::Publish);
        }
    }

    #[cfg(test)]
    fn positions_of_front(&self) -> [crate::SamplePos; 5] {
        self.dictations.front().map(Dictation::positions).unwrap_or_default()
    }

    /// What must hold after every event, whatever came before.
    #[cfg(test)]
    fn verify_invariants(&self) {
        self.verify_typing();
        for dictation in &self.dictations {
            let positions = dictation.positions();
            let [start, utterance, heard, sent, end] = positions;
            assert!(start <= utterance && utterance <= end, "the utterance is on the tape: {positions:?}");
            assert!([start, heard, sent, end].is_sorted(), "heard, sent, captured: {positions:?}");
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

/// Records how far a dictation is, where no text goes with it.
fn settled(past: Option<(DictationId, Past)>, out: &mut Vec<Effect>) {
    out.extend(past.map(|(dictation, past)| Effect::Record(Entry::Settled { dictation, past })));
}
