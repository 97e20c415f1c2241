//! The current worker: what it says, how long it may be silent, and what becomes of a
//! dictation when it ends.
//!
//! Nothing is asked of a worker that it cannot be asked again. While it owes an answer
//! its silence is timed, and one that is silent for too long is ended like one that
//! crashed. The next one goes on at the last checkpoint, or where it is another
//! recognizer, at the first word that is not settled. What ends every worker on every
//! device is skipped, and said to be.

use super::{Effect, Engine, Session, Skipped};
use crate::Now;
use crate::hypothesis::{DictationId, Hypothesis};
use crate::journal::Entry;
use crate::supervise::{Doing, Ending, Next};
use crate::time::SAMPLE_RATE;
use crate::wire::{self, EngineInfo, FaultKind, FromWorker, VERSION};
use std::time::Duration;

/// A worker that owes an answer may be silent for so long at least: a laptop that
/// wakes up, or a disk that spins up, takes seconds.
const SILENCE: Duration = Duration::from_secs(10);

/// Or for as long as so many of the steps of its self-test take: the last step of an
/// utterance takes thirty, and other programs want the machine, too. With thirty, a
/// machine of two cores and a load of five had workers replaced that did nothing wrong.
const STEPS: u32 = 200;

/// How long a worker may load: gigabytes from a slow disk with their sums take a minute.
/// It doubles with each one that was ended for it, as the disk is the quicker then.
const LOADING: Duration = Duration::from_secs(120);

/// Where a worker has loaded before, the next may take so many times as long, but so long at
/// least: what hangs while somebody dictates is not to be waited for longer than need be.
const LOADS: u32 = 20;
const RELOADING: Duration = Duration::from_secs(30);

/// The text is said to fall behind from here on. A file is read up to 4 s ahead.
const BEHIND: u64 = 6;

/// What the session knows of the worker besides its state.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Since when it owes an answer.
    owes: Option<Now>,
    /// Workers in a row that were ended because they were silent.
    hangs: u32,
    /// The time of a step in the self-test.
    step: Duration,
    /// The device that the last worker loaded on, and how long it was silent for that.
    pub(super) loaded: Option<(String, Duration)>,
    /// What made the checkpoints.
    pub(super) made_by: Option<EngineInfo>,
    /// Why a device further down is used than the best.
    fell: String,
    /// How many seconds the text was behind when the worker began to catch up.
    behind_at_first: u64,
    /// Since when nobody dictates with a worker that is ready.
    idle: Option<Now>,
}

impl Session {
    pub(super) fn worker(&mut self, message: FromWorker, now: Now, out: &mut Vec<Effect>) {
        let silent = self.watch.owes.take().map(|since| now - since);
        match message {
            FromWorker::Hello { version: VERSION } => {}
            FromWorker::Hello { version } => self.give_up(wire::other_version(version), out),
            FromWorker::Ready(info, step) => {
                if let Engine::Loading(device) = &self.engine {
                    self.watch.loaded = Some((device.clone(), silent.unwrap_or_default()));
                }
                self.ready(info, step, out);
            }
            FromWorker::Heard { dictation, up_to, speech, resume } => {
                let Some(current) = self.dictations.front_mut().filter(|d| d.id == dictation) else { return };
                let Some(heard) = current.heard(up_to, resume) else {
                    return self.broken("acknowledged audio it was never sent", now, out);
                };
                let (dictation, capture, past) = (current.id, current.capture, current.news());
                if heard.news {
                    self.ladder.progress();
                    self.watch.hangs = 0;
                }
                out.push(Effect::Decoded(capture, heard.decoded));
                if let Some(past) = past {
                    out.push(Effect::Record(Entry::Settled { dictation, past }));
                }
                if self.dictations.len() == 1 {
                    self.speaking = speech;
                }
            }
            FromWorker::Step(step) => out.push(Effect::Stepped(step)),
            FromWorker::Hypothesis(hypothesis) => self.hypothesis(&hypothesis, now, out),
            FromWorker::Checkpoint(checkpoint) => {
                let current = self.dictations.front_mut().filter(|d| d.id == checkpoint.dictation);
                let Some(current) = current else { return };
                if !current.keep(&checkpoint) {
                    return self.broken("holds audio it was never sent", now, out);
                }
                let (dictation, past) = (checkpoint.dictation, current.news());
                // Its worker may count utterances otherwise than the one before.
                super::settled(past.map(|past| (dictation, past)), out);
                let made = self.watch.made_by.clone().map(|engine| (engine, checkpoint));
                out.push(Effect::Record(Entry::Checkpoint { dictation, made }));
            }
            FromWorker::Finished { dictation } => self.finished(dictation, now, out),
            // The end of the process follows and carries the fault.
            FromWorker::Fault { .. } => {}
        }
    }

    /// The engine works; `step` is what a step of its self-test took, in microseconds.
    pub(super) fn ready(&mut self, info: EngineInfo, step: u32, out: &mut Vec<Effect>) {
        self.ladder.hope();
        self.trouble.engine.clear();
        if self.ladder.fell() {
            self.trouble.engine.clone_from(&self.watch.fell);
        }
        if !self.watch.made_by.as_ref().is_some_and(|made_by| info.goes_on_from(made_by)) {
            // What another recognizer holds means nothing to this one.
            self.dictations.iter_mut().for_each(|dictation| dictation.forget_checkpoint(out));
        }
        self.watch.made_by = Some(info.clone());
        self.watch.step = Duration::from_micros(u64::from(step));
        self.watch.behind_at_first = self.behind();
        self.trouble.speed = self.too_slow(&info).unwrap_or_default();
        self.engine = Engine::Ready(info);
    }

    /// What to say when a step takes longer than the audio in it.
    fn too_slow(&self, info: &EngineInfo) -> Option<String> {
        let slow = self.watch.step > Duration::from_millis(u64::from(info.chunk_ms));
        slow.then(|| {
            format!(
                "{} needs {} ms for {} ms of audio on {}: the text will fall behind what is said; {}",
                info.model,
                self.watch.step.as_millis(),
                info.chunk_ms,
                info.provider,
                self.remedy()
            )
        })
    }

    /// What helps a machine that is too slow for its model.
    fn remedy(&self) -> String {
        match &self.taste.smaller {
            Some(smaller) => format!("`swictation model use {smaller}` takes a smaller model"),
            None => "a smaller model (`swictation model list`), a GPU or longer steps (chunk_ms) help".into(),
        }
    }

    fn hypothesis(&mut self, hypothesis: &Hypothesis, now: Now, out: &mut Vec<Effect>) {
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
        let Some((commits, said)) = dictation.commit(hypothesis, now) else {
            return self.broken("sent a hypothesis that does not follow from its last", now, out);
        };
        let past = dictation.news().map(|past| (dictation.id, past));
        for commit in &commits {
            self.metrics.hypothesis_to_committed.add(now - commit.appeared);
        }
        self.metrics.words += commits.len() as u64;
        let spoken = commits.iter().filter_map(|c| c.spoken).collect();
        let words: Vec<_> = commits.into_iter().map(|c| c.word).collect();
        if !words.is_empty() {
            out.push(Effect::Committed(words, hypothesis.heard_to));
        }
        self.said(said, past, spoken, None, now, out);
    }

    fn finished(&mut self, id: DictationId, now: Now, out: &mut Vec<Effect>) {
        if !self.dictations.front().is_some_and(|d| d.id == id && d.complete) {
            return;
        }
        let Some(mut done) = self.dictations.pop_front() else { return };
        self.ladder.progress();
        let end = done.finish(self.taste.trailing_space);
        self.said(end, None, Vec::new(), done.stopped, now, out);
        self.dictation_over(now, out);
        out.push(Effect::Record(Entry::End { dictation: done.id }));
        out.push(Effect::Done(done.id, done.end()));
    }

    pub(super) fn worker_gone(&mut self, ending: &Ending, now: Now, out: &mut Vec<Effect>) {
        self.metrics.worker_ends += 1;
        let doing = self.doing();
        self.watch.owes = None;
        self.dictations.iter_mut().for_each(super::Dictation::restart);
        let device = self.ladder.device().to_owned();
        let next = self.ladder.ended(ending, doing, now);
        let unread = ending.fault == Some(FaultKind::Protocol);
        if (unread || self.ladder.deaths() > 1 && self.ladder.is_last())
            && let Some(front) = self.dictations.front_mut()
        {
            // The checkpoint itself may be what no device gets over.
            front.forget_checkpoint(out);
        }
        if device != self.ladder.device() {
            self.watch.fell = format!(
                "{device} failed ({ending}): {} is used, and {device} again when nobody dictates and it works",
                self.ladder.device()
            );
        }
        match next {
            Next::Spawn => self.spawn(out),
            Next::Skip => {
                self.skip(ending, now, out);
                self.spawn(out);
            }
            Next::Wait(until) => {
                self.trouble.engine = ending.to_string();
                self.engine = Engine::Waiting(until);
            }
            Next::GiveUp(why) => self.give_up(why, out),
        }
    }

    /// Goes on behind the audio that no worker gets over, and says so.
    fn skip(&mut self, ending: &Ending, now: Now, out: &mut Vec<Effect>) {
        let Some(front) = self.dictations.front_mut() else { return };
        let (from, pcm) = front.skip(out);
        let to = from + pcm.len() as u64;
        let mark = front.mark();
        let (seconds, at) = (pcm.len() as f64 / f64::from(SAMPLE_RATE), from.seconds());
        self.metrics.skipped_samples += pcm.len() as u64;
        self.trouble.speech = format!(
            "{seconds:.1} s of speech, {at:.0} s after the start, could not be recognised and stand as [...] in the text: \
             they end the recognizer ({ending})"
        );
        let (dictation, over) = (front.id, front.is_over());
        let past = front.news().map(|past| (dictation, past));
        out.push(Effect::Skipped(Skipped { dictation, from, to, pcm }));
        self.said(mark, past, Vec::new(), None, now, out);
        if over {
            self.finished(dictation, now, out);
        }
    }

    /// A worker that breaks the protocol, or hangs, is ended; its end brings the next.
    pub(super) fn broken(&mut self, what: &str, now: Now, out: &mut Vec<Effect>) {
        let ending = Ending::crashed(format!("swictation-worker {what}"));
        out.extend([Effect::Kill, Effect::Replaced(ending.to_string())]);
        self.worker_gone(&ending, now, out);
    }

    fn give_up(&mut self, why: String, out: &mut Vec<Effect>) {
        out.push(Effect::Kill);
        self.trouble.engine.clone_from(&why);
        self.engine = Engine::Failed(why);
    }

    pub(super) fn spawn(&mut self, out: &mut Vec<Effect>) {
        let device = self.ladder.device().to_owned();
        self.watch.owes = None;
        out.push(Effect::Spawn(device.clone()));
        self.engine = Engine::Loading(device);
    }

    /// Sends what there is for the worker, and times what it owes.
    pub(super) fn pump(&mut self, now: Now, out: &mut Vec<Effect>) {
        let ready = matches!(self.engine, Engine::Ready(_));
        let careful = self.ladder.deaths() > 1;
        let mut messages = Vec::new();
        if let (true, Some(dictation)) = (ready, self.dictations.front_mut()) {
            dictation.pump(careful, &mut messages);
        }
        out.extend(messages.into_iter().map(Effect::Send));
        let there = matches!(self.engine, Engine::Loading(_) | Engine::Ready(_));
        let owes = there && self.doing() != Doing::Resting;
        self.watch.owes = if owes { self.watch.owes.or(Some(now)) } else { None };
        let idle = ready && self.dictations.is_empty() && self.candidate.is_none();
        self.watch.idle = if idle { self.watch.idle.or(Some(now)) } else { None };
        self.tell_behind();
    }

    /// What the worker does, if there is one.
    fn doing(&self) -> Doing {
        match &self.engine {
            Engine::Ready(_) if self.dictations.front().is_some_and(|d| d.owed()) => Doing::Decoding,
            Engine::Ready(_) => Doing::Resting,
            _ => Doing::Loading,
        }
    }

    /// When the worker has been silent for too long.
    fn silent_until(&self) -> Option<Now> {
        let patience = match (&self.engine, &self.watch.loaded) {
            (Engine::Loading(device), Some((last, took))) if device == last => {
                RELOADING.max(*took * LOADS).min(LOADING)
            }
            (Engine::Loading(_), _) => LOADING,
            _ => SILENCE.max(self.watch.step * STEPS),
        };
        Some(self.watch.owes? + patience * 2_u32.pow(self.watch.hangs.min(3)))
    }

    /// When a worker that nobody needs is ended.
    fn unload_at(&self) -> Option<Now> {
        Some(self.watch.idle? + self.taste.unload_after?)
    }

    /// When a better device is tried.
    fn return_at(&self) -> Option<Now> {
        self.watch.idle?;
        self.ladder.better().map(|(at, _)| at)
    }

    /// When something is to be done with the engine though nobody tells anything.
    pub(super) fn engine_deadline(&self) -> Option<Now> {
        let spawn = match self.engine {
            Engine::Waiting(at) => Some(at),
            _ => None,
        };
        [spawn, self.silent_until(), self.unload_at(), self.return_at()].into_iter().flatten().min()
    }

    /// Does with the engine what is due.
    pub(super) fn pass_engine_deadlines(&mut self, now: Now, out: &mut Vec<Effect>) {
        let due = |at: Option<Now>| at.is_some_and(|at| at <= now);
        if matches!(self.engine, Engine::Waiting(at) if at <= now) {
            self.spawn(out);
        } else if due(self.silent_until()) {
            self.hung(now, out);
        } else if due(self.unload_at()) {
            self.watch.idle = None;
            self.engine = Engine::Unloaded;
            out.push(Effect::Kill);
        } else if due(self.return_at())
            && let Some((_, devices)) = self.ladder.better()
        {
            self.ladder.put_off(now);
            self.try_to_return(devices, now, out);
        }
    }

    fn hung(&mut self, now: Now, out: &mut Vec<Effect>) {
        let silent = self.watch.owes.map_or(Duration::ZERO, |since| now - since).as_secs();
        self.watch.hangs += 1;
        match &self.engine {
            // A device on which loading does not end is left for another one, and tried
            // again when nobody waits: it may only have been slow.
            Engine::Loading(device) => {
                let message =
                    format!("swictation-worker has not loaded its model on {device} after {silent} s");
                out.extend([Effect::Kill, Effect::Replaced(message.clone())]);
                self.ladder.hope();
                self.worker_gone(&Ending::fault(FaultKind::Device, message), now, out);
            }
            _ => self.broken(&format!("has not answered for {silent} s"), now, out),
        }
    }

    /// By how many seconds the text is behind what is said.
    pub(super) fn behind(&self) -> u64 {
        let samples: u64 = self.dictations.iter().map(super::Dictation::waiting).sum();
        samples / u64::from(SAMPLE_RATE)
    }

    /// Says how far the text is behind, in steps that double.
    fn tell_behind(&mut self) {
        let Engine::Ready(info) = &self.engine else { return };
        let behind = self.behind();
        self.metrics.longest_behind = self.metrics.longest_behind.max(behind);
        if behind < BEHIND {
            if behind < BEHIND / 2 {
                self.trouble.behind.clear();
            }
            return;
        }
        let shown = BEHIND << (behind / BEHIND).ilog2();
        let grows = behind > self.watch.behind_at_first.max(shown / 2) + BEHIND;
        self.trouble.behind = match grows {
            true => format!(
                "the text is more than {shown} s behind what is said, none of it is lost: {} is too slow on {}; {}",
                info.model,
                info.provider,
                self.remedy()
            ),
            false => format!("the text is more than {shown} s behind what is said, and catches up"),
        };
    }
}

/// How far a worker came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// Samples that are decoded in all.
    pub(super) decoded: u64,
    /// No worker had come so far.
    pub(super) news: bool,
}
