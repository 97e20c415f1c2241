//! Words held until their utterance ends, for models whose words never change.
//!
//! The recognizer inside streams as ever; its frozen words are shown as the tail and
//! frozen when it says that the utterance is over. One that never says so would pile
//! words up, so what was said [`LONGEST`] ago is let go of whatever follows.

use crate::{AsrError, Belief, Recognizer, state};
use serde::{Deserialize, Serialize};
use swictation_core::block;
use swictation_core::time::samples_in_ms;
use swictation_core::wire::EngineInfo;
use swictation_core::{SamplePos, Word};

/// As long as a stream without utterances keeps its audio ([`crate::stream`]).
pub(crate) const LONGEST: u64 = samples_in_ms(30_000);

/// A recognizer that hands its words over by the utterance.
pub(crate) struct Held {
    inner: Box<dyn Recognizer>,
    /// Frozen in there, held here.
    words: Vec<Word>,
    /// Position after the last step's chunk: what was fed in advance must not show.
    heard: SamplePos,
    /// Samples of a step.
    chunk: u64,
}

/// What is held of an utterance.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(with = "block::bytes")]
    inner: Vec<u8>,
    words: Vec<Word>,
    heard: SamplePos,
}

impl Held {
    /// Holds the words of `inner`.
    pub(crate) fn new(inner: Box<dyn Recognizer>) -> Self {
        let chunk = samples_in_ms(u64::from(inner.info().chunk_ms));
        Self { inner, words: Vec::new(), heard: SamplePos::default(), chunk }
    }

    fn hold(&mut self, belief: Belief, last: bool) -> Belief {
        let before = self.words.len();
        let mut words = std::mem::take(&mut self.words);
        words.extend(belief.words);
        let known = before + belief.frozen;
        let ends: Vec<_> = belief.ends.into_iter().map(|(count, at)| (before + count, at)).collect();
        let old = words[..known].iter().take_while(|word| self.heard.since(word.end) > LONGEST).count();
        let frozen = match last {
            true => known,
            false => ends.last().map_or(0, |(count, _)| *count).max(old),
        };
        self.words = words[frozen..known].to_vec();
        Belief { words, frozen, ends, ..belief }
    }
}

impl Recognizer for Held {
    fn info(&self) -> EngineInfo {
        self.inner.info()
    }

    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        self.words.clear();
        self.heard = at;
        self.inner.begin(at, typed);
    }

    fn follow(&mut self, at: SamplePos) {
        self.words.clear();
        self.heard = at;
        self.inner.follow(at);
    }

    fn feed(&mut self, pcm: &[f32]) {
        self.inner.feed(pcm);
    }

    fn step(&mut self) -> Result<Option<Belief>, AsrError> {
        let Some(belief) = self.inner.step()? else { return Ok(None) };
        self.heard = self.heard + self.chunk;
        Ok(Some(self.hold(belief, false)))
    }

    fn end(&mut self) {
        self.inner.end();
    }

    fn finish(&mut self) -> Result<Belief, AsrError> {
        let belief = self.inner.finish()?;
        Ok(self.hold(belief, true))
    }

    fn save(&self) -> Result<Vec<u8>, AsrError> {
        let (words, heard) = (self.words.clone(), self.heard);
        state::write("held words", &Saved { inner: self.inner.save()?, words, heard })
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let saved: Saved = state::read("held words", state)?;
        self.inner.restore(&saved.inner)?;
        (self.words, self.heard) = (saved.words, saved.heard);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says a word a second and freezes it at once; the third ends an utterance.
    struct Speaker {
        heard: u64,
        said: u64,
    }

    const SECOND: u64 = samples_in_ms(1000);

    fn word(second: u64) -> Word {
        Word {
            text: format!("w{second}"),
            glued: false,
            start: SamplePos(second * SECOND),
            end: SamplePos((second + 1) * SECOND),
            confidence: 1.0,
            tokens: Vec::new(),
        }
    }

    impl Recognizer for Speaker {
        fn info(&self) -> EngineInfo {
            EngineInfo {
                model: "speaker".into(),
                family: "test".into(),
                provider: "cpu".into(),
                precision: "fp32".into(),
                context_seconds: 1.0,
                chunk_ms: 1000,
                latency_ms: Some(1000),
                unbounded: true,
                ..EngineInfo::default()
            }
        }
        fn begin(&mut self, _at: SamplePos, _typed: &[String]) {
            (self.heard, self.said) = (0, 0);
        }
        fn feed(&mut self, pcm: &[f32]) {
            self.heard += pcm.len() as u64;
        }
        fn step(&mut self) -> Result<Option<Belief>, AsrError> {
            if self.heard < (self.said + 1) * SECOND {
                return Ok(None);
            }
            self.said += 1;
            let ends = if self.said == 3 { vec![(1, SamplePos(3 * SECOND))] } else { Vec::new() };
            Ok(Some(Belief { words: vec![word(self.said - 1)], frozen: 1, ends, ..Belief::default() }))
        }
        fn finish(&mut self) -> Result<Belief, AsrError> {
            Ok(Belief::default())
        }
        fn save(&self) -> Result<Vec<u8>, AsrError> {
            state::write("speaker", &(self.heard, self.said))
        }
        fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
            (self.heard, self.said) = state::read("speaker", state)?;
            Ok(())
        }
    }

    #[test]
    fn words_are_shown_at_once_and_frozen_when_the_utterance_ends() {
        let mut held = Held::new(Box::new(Speaker { heard: 0, said: 0 }));
        held.begin(SamplePos(0), &[]);
        let mut seen = Vec::new();
        for _ in 0..5 {
            held.feed(&vec![0.0; SECOND as usize]);
            let belief = held.step().unwrap().unwrap();
            seen.push((belief.words.len(), belief.frozen, belief.ends.len()));
        }
        assert_eq!(seen, [(1, 0, 0), (2, 0, 0), (3, 3, 1), (1, 0, 0), (2, 0, 0)]);
        let last = held.finish().unwrap();
        assert_eq!((last.words.len(), last.frozen), (2, 2));
    }

    /// Words at once and frozen, of 100 seconds fed in pieces of so many.
    fn long(seconds: usize) -> Vec<(usize, usize)> {
        let mut held = Held::new(Box::new(Speaker { heard: 0, said: 0 }));
        held.begin(SamplePos(0), &[]);
        let mut seen = Vec::new();
        for _ in 0..100 / seconds {
            held.feed(&vec![0.0; seconds * SECOND as usize]);
            let beliefs = std::iter::from_fn(|| held.step().unwrap());
            seen.extend(beliefs.map(|belief| (belief.words.len(), belief.frozen)));
        }
        seen
    }

    #[test]
    fn what_was_said_long_ago_is_let_go_of_however_the_audio_is_cut() {
        let seen = long(1);
        let most = seen.iter().map(|(words, _)| *words).max();
        let frozen: usize = seen.iter().map(|(_, frozen)| frozen).sum();
        assert!(most <= Some(32) && frozen >= 68, "{most:?} words at once, {frozen} frozen");
        assert_eq!(long(100), seen);
    }
}
