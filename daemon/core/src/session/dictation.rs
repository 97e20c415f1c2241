//! One dictation: its audio, what has been sent, what has been committed.

use super::{Place, Published};
use crate::compose::Composer;
use crate::hypothesis::{DictationId, Hypothesis, UtteranceId, Word};
use crate::tape::Tape;
use crate::time::{Now, SAMPLE_RATE, SamplePos, samples_in_ms};
use crate::wire::ToWorker;
use std::collections::VecDeque;
use std::time::Duration;

/// Audio that may be on its way to the worker without having been acknowledged:
/// a stuck worker fills its own queue, not the daemon.
const IN_FLIGHT: u64 = samples_in_ms(2_000);

/// The longest piece of audio in one message.
const PIECE: u64 = samples_in_ms(500);

/// How far apart the anchors between samples and wall time lie.
const ANCHOR: u64 = samples_in_ms(100);

/// How much audio the anchors cover: longer than any word waits.
const ANCHORS: usize = 600;

/// From `Start` until everything captured is committed.
pub(super) struct Dictation {
    pub(super) id: DictationId,
    /// Which opening of the microphone feeds it.
    pub(super) capture: u32,
    pub(super) composer: Composer,
    /// The call that began it.
    pub(super) since: Place,
    /// When the person asked for it.
    pub(super) asked: Now,
    /// When the person asked for its end.
    pub(super) stopped: Option<Now>,
    /// The first real sample has come.
    pub(super) live: bool,
    /// The microphone is closed and everything it captured is on the tape.
    pub(super) complete: bool,
    tape: Tape,
    anchors: VecDeque<(SamplePos, Now)>,
    utterance: UtteranceId,
    utterance_start: SamplePos,
    /// How many committed words of the utterance end before its start, because
    /// the recognizer will not need their audio again.
    settled: usize,
    /// The committed words after those, as they were typed, and their ends.
    typed: VecDeque<(String, SamplePos)>,
    /// When each word of the tail first appeared.
    appeared: Vec<Now>,
    begun: bool,
    finish_sent: bool,
    sent_to: SamplePos,
    heard_to: SamplePos,
    /// The furthest any worker came; audio sent again is not counted twice.
    decoded: SamplePos,
}

/// A word on its way to the window.
pub(super) struct Commit {
    pub(super) word: Word,
    pub(super) text: String,
    /// When it first appeared in a hypothesis.
    pub(super) appeared: Now,
    /// When the end of the word reached the microphone.
    pub(super) spoken: Option<Now>,
}

impl Dictation {
    pub(super) fn new(id: DictationId, capture: u32, since: Place, asked: Now) -> Self {
        Self {
            id,
            capture,
            composer: Composer::default(),
            since,
            asked,
            stopped: None,
            live: false,
            complete: false,
            tape: Tape::default(),
            anchors: VecDeque::new(),
            utterance: UtteranceId(0),
            utterance_start: SamplePos(0),
            settled: 0,
            typed: VecDeque::new(),
            appeared: Vec::new(),
            begun: false,
            finish_sent: false,
            sent_to: SamplePos(0),
            heard_to: SamplePos(0),
            decoded: SamplePos(0),
        }
    }

    /// Takes in captured audio, `dropped` lost samples before it.
    pub(super) fn record(&mut self, pcm: &[f32], captured: Now, dropped: u64) {
        self.tape.append_gap(dropped);
        self.tape.append(pcm);
        let end = self.tape.end();
        if self.anchors.back().is_none_or(|(pos, _)| end.since(*pos) >= ANCHOR) {
            if self.anchors.len() == ANCHORS {
                self.anchors.pop_front();
            }
            self.anchors.push_back((end, captured));
        }
    }

    /// When the sample at `pos` reached the program, from the nearest anchor.
    pub(super) fn captured(&self, pos: SamplePos) -> Option<Now> {
        let (at, now) = self.anchors.iter().find(|(at, _)| *at >= pos).or(self.anchors.back())?;
        let apart = |samples: u64| Duration::from_secs_f64(samples as f64 / f64::from(SAMPLE_RATE));
        let before = now.0.checked_sub(apart(at.since(pos)))?;
        Some(Now(before + apart(pos.since(*at))))
    }

    /// A new worker has to be told everything again, from the first word that
    /// is not settled. It counts from there: to it, that is a new utterance.
    pub(super) fn restart(&mut self) {
        self.begun = false;
        self.finish_sent = false;
        if self.settled > 0 {
            self.utterance = UtteranceId(self.utterance.0 + 1);
            self.settled = 0;
        }
    }

    /// What can be sent to the worker now.
    pub(super) fn pump(&mut self, out: &mut Vec<ToWorker>) {
        if !self.begun {
            self.begun = true;
            self.sent_to = self.utterance_start.max(self.tape.start());
            self.heard_to = self.sent_to;
            out.push(ToWorker::Begin {
                dictation: self.id,
                utterance: self.utterance,
                at: self.sent_to,
                typed: self.typed.iter().map(|(text, _)| text.clone()).collect(),
                checkpoint: None,
            });
        }
        while self.sent_to < self.tape.end() && self.sent_to.since(self.heard_to) < IN_FLIGHT {
            let to = self.tape.end().min(self.sent_to + PIECE);
            out.push(ToWorker::Audio { at: self.sent_to, pcm: self.tape.slice(self.sent_to, to) });
            self.sent_to = to;
        }
        if self.complete && self.sent_to == self.tape.end() && !self.finish_sent {
            self.finish_sent = true;
            out.push(ToWorker::Finish { at: self.sent_to });
        }
    }

    /// The worker acknowledges audio; what will never be needed again is forgotten.
    /// How many samples are decoded in all, or `None` when they were never sent.
    pub(super) fn heard(&mut self, up_to: SamplePos, resume: SamplePos) -> Option<u64> {
        if up_to > self.sent_to || resume > up_to {
            return None;
        }
        self.decoded = self.decoded.max(up_to);
        self.heard_to = self.heard_to.max(up_to);
        self.tape.trim(resume);
        self.utterance_start = self.utterance_start.max(resume);
        while self.typed.front().is_some_and(|(_, end)| *end <= self.utterance_start) {
            self.typed.pop_front();
            self.settled += 1;
        }
        Some(self.decoded.0)
    }

    /// The worker knows of this dictation.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// The end of what was recorded.
    pub(super) fn end(&self) -> SamplePos {
        self.tape.end()
    }

    /// Takes in a hypothesis; the words it freezes, or `None` when it does not
    /// follow from what this worker was told.
    pub(super) fn commit(&mut self, hypothesis: &Hypothesis, now: Now) -> Option<Vec<Commit>> {
        let (frozen, first) = (hypothesis.frozen as usize, hypothesis.first as usize);
        if hypothesis.utterance != self.utterance
            || first > self.settled + self.typed.len()
            || frozen > hypothesis.words.len()
            || hypothesis.heard_to > self.sent_to
            || (hypothesis.last && frozen < hypothesis.words.len())
        {
            return None;
        }
        self.heard_to = self.heard_to.max(hypothesis.heard_to);
        // A worker that took over may say again what was typed already.
        let known = (self.settled + self.typed.len() - first).min(frozen);
        let fresh = &hypothesis.words[known..];
        self.appeared.truncate(fresh.len());
        self.appeared.resize(fresh.len(), now);
        let admitted: Vec<Now> = self.appeared.drain(..frozen - known).collect();
        let mut commits = Vec::with_capacity(admitted.len());
        for (word, appeared) in fresh.iter().zip(admitted) {
            let text = self.composer.word(word);
            let typed = if word.glued { word.text.clone() } else { format!(" {}", word.text) };
            self.typed.push_back((typed, word.end));
            let spoken = self.captured(word.end);
            commits.push(Commit { word: word.clone(), text, appeared, spoken });
        }
        if hypothesis.last {
            self.utterance = UtteranceId(self.utterance.0 + 1);
            self.utterance_start = hypothesis.heard_to;
            self.typed.clear();
            self.settled = 0;
            self.appeared.clear();
        }
        Some(commits)
    }

    /// What the person sees of this dictation while it is the newest.
    pub(super) fn phase(&self, speaking: bool) -> Published {
        match (self.stopped, self.live) {
            (Some(_), _) => Published::Finishing,
            (None, false) => Published::Starting,
            (None, true) if speaking => Published::Speaking,
            (None, true) => Published::Listening,
        }
    }

    /// Positions for the invariants: tape start, utterance start, heard, sent, tape end.
    #[cfg(test)]
    pub(super) fn positions(&self) -> [SamplePos; 5] {
        [self.tape.start(), self.utterance_start, self.heard_to, self.sent_to, self.tape.end()]
    }
}
