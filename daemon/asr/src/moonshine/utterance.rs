//! What is known of the utterance that a recognizer is in: its window of audio,
//! the words committed in it and the tail behind them, with their times.

use serde::{Deserialize, Serialize};
use swictation_core::policy::{key, matches};
use swictation_core::{SamplePos, Word, block};

/// A word as it was decoded.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) confidence: f32,
    pub(super) tokens: Vec<u32>,
}

/// The state of the current utterance.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Utterance {
    /// The window: the last `context` samples at most.
    #[serde(with = "block::floats")]
    pub(super) audio: Vec<f32>,
    /// Position of `audio[0]`.
    pub(super) start: SamplePos,
    /// The window begins after the utterance does.
    pub(super) cut_off: bool,
    /// Where the utterance's own audio begins, behind what is carried over.
    pub(super) own: SamplePos,
    /// A word of it is committed.
    pub(super) spoken: bool,
    /// Position after the last sample fed.
    pub(super) end: SamplePos,
    /// Where the next step is due.
    pub(super) due: SamplePos,
    /// Samples heard by the step before.
    pub(super) heard: SamplePos,
    /// Committed words whose audio is still in the window.
    pub(super) committed: Vec<Committed>,
    /// Words behind them as of the last step.
    pub(super) tail: Vec<Word>,
    /// The tokens of the last step.
    pub(super) draft: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Committed {
    pub(super) key: String,
    pub(super) end: SamplePos,
}

impl Utterance {
    /// Whether an utterance with a step every `chunk` samples can have come to this.
    pub(super) fn fits(&self, chunk: u64) -> bool {
        let audio = self.audio.len() as u64;
        let next = self.due.since(self.heard);
        self.start <= self.end && self.end.since(self.start) == audio && (1..=chunk).contains(&next)
    }

    /// Goes on with the utterance's own audio alone.
    pub(super) fn forget_carried(&mut self) {
        self.trim(self.own);
        self.committed.clear();
        self.cut_off = false;
    }

    /// Where the window has to begin after a step up to `heard`, when it is full.
    /// A third of it goes at once: with every step the window began elsewhere in
    /// a word, and the hypothesis would never settle.
    pub(super) fn next_start(&self, heard: SamplePos, context: usize) -> Option<SamplePos> {
        let full = heard.since(self.start) as usize > context;
        full.then(|| heard.back(context as u64 * 2 / 3))
    }

    /// Lets go of the audio before `start` and of the committed words in it.
    pub(super) fn trim(&mut self, start: SamplePos) {
        self.audio.drain(..(start.since(self.start) as usize).min(self.audio.len()));
        self.start = start;
        self.cut_off = true;
        self.committed.retain(|word| word.end > start);
        self.draft.clear();
    }

    /// Words known from the step before keep their times; new ones share the
    /// time up to the next word that is known. At the end that is what was heard
    /// since the step before, but no earlier than the word before them ended.
    pub(super) fn timed(&self, said: Vec<Said>, chunk: u64, heard: SamplePos) -> Vec<Word> {
        let keys: Vec<String> = said.iter().map(|word| key(&word.text)).collect();
        let before: Vec<String> = self.tail.iter().map(|word| key(&word.text)).collect();
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let now: Vec<&str> = keys.iter().map(String::as_str).collect();
        let old: Vec<Option<&Word>> =
            matches(&before, &now).into_iter().map(|from| from.and_then(|i| self.tail.get(i))).collect();
        let letters = |keys: &[String]| keys.iter().map(|k| k.chars().count() as u64 + 1).sum::<u64>();
        let mut known = self.committed.last().map_or(self.start, |word| word.end);
        let mut words = Vec::with_capacity(said.len());
        for (i, Said { text, confidence, tokens }) in said.into_iter().enumerate() {
            let (start, end) = match old[i] {
                Some(word) => (word.start.max(known), word.end.max(known)),
                None => {
                    let next = (i..old.len()).find_map(|j| old[j].map(|word| (j, word.start)));
                    let from = match next {
                        Some(_) => known,
                        None => known.max(self.heard.back(chunk)).min(heard),
                    };
                    let (until, to) = next.unwrap_or((old.len(), heard));
                    let share =
                        to.since(from).saturating_mul(letters(&keys[i..=i])) / letters(&keys[i..until]);
                    (from, from + share)
                }
            };
            known = end;
            words.push(Word { text, glued: false, start, end, confidence, tokens });
        }
        words
    }
}
