//! One dictation: its audio, what has been sent, what has been committed.

use super::engine::Heard;
use super::{Effect, Place, Published};
use crate::hypothesis::{DictationId, Hypothesis, UtteranceId, Word};
use crate::journal::{Entry, Owed, Past};
use crate::tape::Tape;
use crate::text::{Rules, Said, Text};
use crate::time::{Now, SAMPLE_RATE, SamplePos, samples_in_ms};
use crate::wire::{Checkpoint, ToWorker};
use std::collections::VecDeque;
use std::sync::Arc;
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
    text: Text,
    /// They hold for all of it, whatever is configured meanwhile.
    rules: Arc<Rules>,
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
    /// Where the next worker goes on, if it is the same recognizer.
    checkpoint: Option<Checkpoint>,
    /// The worker says again what the one before it said.
    again: bool,
    /// Where audio was last left out up to, and how often in a row.
    skipped: Option<(SamplePos, u32)>,
    /// What [`Dictation::news`] told last: the utterance, its start, its words.
    told: (UtteranceId, SamplePos, usize),
}

/// A committed word.
pub(super) struct Commit {
    pub(super) word: Word,
    /// When it first appeared in a hypothesis.
    pub(super) appeared: Now,
    /// When the end of the word reached the microphone.
    pub(super) spoken: Option<Now>,
}

impl Dictation {
    pub(super) fn new(id: DictationId, capture: u32, since: Place, asked: Now, rules: Arc<Rules>) -> Self {
        Self {
            id,
            capture,
            text: Text::default(),
            rules,
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
            checkpoint: None,
            again: false,
            skipped: None,
            told: Default::default(),
        }
    }

    /// A dictation that a daemon before this one began, and how far it came.
    pub(super) fn resume(&mut self, owed: Owed) {
        self.tape = Tape::starting_at(owed.needed());
        let Owed { past, checkpoint, .. } = owed;
        self.text = past.text;
        // To this session it is its own.
        let id = self.id;
        self.checkpoint = checkpoint.map(|(_, checkpoint)| Checkpoint { dictation: id, ..checkpoint });
        (self.utterance, self.utterance_start) = (past.utterance, past.at);
        self.settled = past.settled as usize;
        self.typed = past.typed.into();
        self.decoded = past.at;
        // Its worker is gone, like one that died.
        self.restart();
    }

    /// How far it is, when that has changed since this was asked last.
    pub(super) fn news(&mut self) -> Option<Past> {
        let now = (self.utterance, self.utterance_start, self.settled + self.typed.len());
        (std::mem::replace(&mut self.told, now) != now).then(|| self.past())
    }

    /// How far it is.
    pub(super) fn past(&self) -> Past {
        Past {
            utterance: self.utterance,
            at: self.utterance_start,
            settled: self.settled as u32,
            typed: self.typed.iter().cloned().collect(),
            text: self.text.clone(),
        }
    }

    /// Audio was recorded that no worker has brought to its end.
    pub(super) fn is_unheard(&self) -> bool {
        self.utterance_start < self.tape.end()
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

    /// A new worker has to be told everything again.
    pub(super) fn restart(&mut self) {
        self.begun = false;
        self.finish_sent = false;
    }

    /// Where a worker with an equal engine goes on. Audio behind it is kept, and so is
    /// audio behind the first word that is not settled, for a worker with another one.
    /// False when the worker was never sent what it claims to hold.
    pub(super) fn keep(&mut self, checkpoint: &Checkpoint) -> bool {
        if checkpoint.at > self.sent_to {
            return false;
        }
        self.heard_to = self.heard_to.max(checkpoint.at);
        if checkpoint.at >= self.tape.start() {
            self.checkpoint = Some(checkpoint.clone());
            self.trim();
        }
        true
    }

    /// The next worker, of this daemon or of another, begins at the first word that is
    /// not settled.
    pub(super) fn forget_checkpoint(&mut self, out: &mut Vec<Effect>) {
        if self.checkpoint.take().is_some() {
            out.push(Effect::Record(Entry::Checkpoint { dictation: self.id, made: None }));
        }
    }

    fn trim(&mut self) {
        let needed =
            self.checkpoint.as_ref().map_or(self.utterance_start, |c| c.at.min(self.utterance_start));
        self.tape.trim(needed);
    }

    /// What can be sent to the worker now; to a `careful` one piece by piece, so that
    /// it is known which one it does not get over.
    pub(super) fn pump(&mut self, careful: bool, out: &mut Vec<ToWorker>) {
        if !self.begun {
            self.begin(out);
        }
        let in_flight = if careful { 1 } else { IN_FLIGHT };
        while self.sent_to < self.tape.end() && self.sent_to.since(self.heard_to) < in_flight {
            let to = self.tape.end().min(self.sent_to + PIECE);
            out.push(ToWorker::Audio { at: self.sent_to, pcm: self.tape.slice(self.sent_to, to) });
            self.sent_to = to;
        }
        if self.complete && self.sent_to == self.tape.end() && !self.finish_sent {
            self.finish_sent = true;
            out.push(ToWorker::Finish { at: self.sent_to });
        }
    }

    fn begin(&mut self, out: &mut Vec<ToWorker>) {
        self.begun = true;
        self.again = self.checkpoint.is_some();
        if !self.again && self.settled > 0 {
            // It counts from the first word that is not settled: to it, that is a new
            // utterance.
            self.utterance = UtteranceId(self.utterance.0 + 1);
            self.settled = 0;
        }
        self.sent_to = self.checkpoint.as_ref().map_or(self.utterance_start, |checkpoint| checkpoint.at);
        self.heard_to = self.sent_to;
        let typed = self.typed.iter().map(|(text, _)| text.clone());
        out.push(ToWorker::Begin {
            dictation: self.id,
            utterance: self.utterance,
            at: self.sent_to,
            typed: if self.again { Vec::new() } else { typed.collect() },
            checkpoint: self.checkpoint.clone(),
        });
    }

    /// The worker owes an answer.
    pub(super) fn owed(&self) -> bool {
        self.begun && (self.sent_to > self.heard_to || self.finish_sent)
    }

    /// Samples that no worker has decoded yet.
    pub(super) fn waiting(&self) -> u64 {
        self.tape.end().since(self.decoded)
    }

    /// Leaves out the utterance that workers do not get over, as far as the last one was
    /// sent it, and further each time that was not enough. Its first sample, and it.
    pub(super) fn skip(&mut self, out: &mut Vec<Effect>) -> (SamplePos, Vec<f32>) {
        let from = self.utterance_start;
        let before = self.skipped.filter(|(to, _)| *to == from).map_or(0, |(_, times)| times + 1);
        let further = PIECE * (1 << before.min(6)) - PIECE;
        let to = (self.sent_to.max(from) + further).min(self.tape.end());
        let pcm = self.tape.slice(from, to);
        self.forget_checkpoint(out);
        self.close_utterance(to);
        self.skipped = Some((to, before));
        (self.sent_to, self.heard_to, self.decoded) = (to, to, self.decoded.max(to));
        self.trim();
        (from, pcm)
    }

    /// Ends the utterance that was left out, and marks that in the text where it does not
    /// go on a mark that is there.
    pub(super) fn mark(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        self.text.end_utterance(&self.rules, &mut said);
        if self.skipped.is_none_or(|(_, before)| before == 0) {
            self.text.insert("[...]", &self.rules, &mut said);
        }
        said
    }

    /// The person has said that it ends.
    pub(super) fn was_told_to_stop(&self) -> bool {
        self.text.is_over()
    }

    /// Ends its text.
    pub(super) fn finish(&mut self, trailing_space: bool) -> Vec<Said> {
        let mut said = Vec::new();
        self.text.end(trailing_space, &self.rules, &mut said);
        said
    }

    /// There is nothing left to decode, and nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        self.complete && self.utterance_start == self.tape.end()
    }

    fn close_utterance(&mut self, end: SamplePos) {
        self.utterance = UtteranceId(self.utterance.0 + 1);
        self.utterance_start = end;
        self.typed.clear();
        self.settled = 0;
        self.appeared.clear();
    }

    /// The worker acknowledges audio; what will never be needed again is forgotten.
    /// How far it came, or `None` when it was never sent that.
    pub(super) fn heard(&mut self, up_to: SamplePos, resume: SamplePos) -> Option<Heard> {
        if up_to > self.sent_to || resume > up_to {
            return None;
        }
        let news = up_to > self.decoded;
        self.decoded = self.decoded.max(up_to);
        self.heard_to = self.heard_to.max(up_to);
        self.utterance_start = self.utterance_start.max(resume);
        self.trim();
        while self.typed.front().is_some_and(|(_, end)| *end <= self.utterance_start) {
            self.typed.pop_front();
            self.settled += 1;
        }
        Some(Heard { decoded: self.decoded.0, news })
    }

    /// The worker knows of this dictation.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// The end of what was recorded.
    pub(super) fn end(&self) -> SamplePos {
        self.tape.end()
    }

    /// Takes in a hypothesis; the words it freezes and what they come to, or `None` when
    /// it does not follow from what this worker was told.
    pub(super) fn commit(&mut self, hypothesis: &Hypothesis, now: Now) -> Option<(Vec<Commit>, Vec<Said>)> {
        let (frozen, first) = (hypothesis.frozen as usize, hypothesis.first as usize);
        if self.again && hypothesis.utterance < self.utterance {
            return Some(Default::default());
        }
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
        let (mut commits, mut said) = (Vec::with_capacity(admitted.len()), Vec::new());
        for (word, appeared) in fresh.iter().zip(admitted) {
            self.text.word(word, &self.rules, &mut said);
            let typed = if word.glued { word.text.clone() } else { format!(" {}", word.text) };
            self.typed.push_back((typed, word.end));
            let spoken = self.captured(word.end);
            commits.push(Commit { word: word.clone(), appeared, spoken });
        }
        if hypothesis.last {
            self.text.end_utterance(&self.rules, &mut said);
            self.close_utterance(hypothesis.heard_to);
        }
        Some((commits, said))
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
