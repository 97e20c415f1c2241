//! Wait-k and AlignAtt: when an attention decoder may say a token.
//!
//! A step gets one window of audio and asks the decoder for tokens as long as the
//! policy lets them out (`GreedyBatchedStreamingAEDComputer` in NeMo's
//! `asr/parts/submodules/aed_decoding/aed_batched_streaming.py`). A token that is
//! not let out leaves no trace: the next window is asked the same question again.
//! Where NeMo would end the stream, at the end of its token buffer and when the
//! decoder repeats itself, [`Outcome::Anew`] asks for a fresh one instead.

use crate::AsrError;
use crate::boost::Walk;
use crate::decoder::Token;
use crate::manifest::Policy;
use serde::{Deserialize, Serialize};

/// Tokens with the prompt that NeMo's buffer of 256 can take.
const MOST_TOKENS: usize = 255;
/// So few places left are kept for the word that is being said.
const RESERVE: usize = 16;
/// Frames at the very beginning of the audio that draw attention without reason
/// (NeMo's `exclude_sink_frames`).
const SINK_FRAMES: usize = 8;
/// NeMo looks for repetitions only from this position of the buffer on.
const FIRST_REPETITION: usize = 8;
/// Period of a repetition, and how many times make one.
const REPETITIONS: [(usize, usize); 3] = [(1, 5), (2, 3), (3, 3)];
/// Tokens of the longest of them.
const LONGEST_REPETITION: usize = 9;

/// What the decoder would say next.
pub(super) struct Next {
    /// The best token and its probability.
    pub(super) best: (u32, f32),
    /// How much it attends to each encoder frame; empty where the graph does not tell.
    pub(super) attention: Vec<f32>,
    /// Where in the hotwords the decoder is once that is said.
    pub(super) walk: Walk,
}

/// An attention decoder on one window of audio.
pub(super) trait Decode {
    /// What the decoder keeps of the tokens it was given.
    type Cache;

    /// What follows `ids`, which themselves follow what is in `cache` and led to `walk`,
    /// and the cache with `ids` in it.
    fn next(
        &mut self,
        ids: &[u32],
        cache: Option<&Self::Cache>,
        walk: Walk,
    ) -> Result<(Next, Self::Cache), AsrError>;
}

/// The window of a step, in encoder frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// All frames.
    pub(super) frames: usize,
    /// Those before the right context; at the end of the audio all that are real.
    pub(super) used: usize,
    /// The first one's number in the utterance.
    pub(super) first: u64,
    /// The window still begins where the decoder began.
    pub(super) whole: bool,
    /// No audio follows.
    pub(super) last: bool,
}

/// The rules of a model.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) policy: Policy,
    /// Frames of a chunk.
    pub(super) chunk: usize,
    /// Chunks to hear before the first token.
    pub(super) wait_k: usize,
    /// Frames that must follow the attended one.
    pub(super) alignatt_frames: usize,
    /// AlignAtt lets out no more tokens in a step.
    pub(super) most_per_step: usize,
    /// The token that ends a transcript.
    pub(super) end: u32,
    /// The tokens a transcript begins with.
    pub(super) prompt: Vec<u32>,
}

/// What a decoder has said since it began, and what it keeps of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Transcript<C> {
    /// The prompt, then the tokens let out.
    tokens: Vec<u32>,
    cache: Option<C>,
    /// Where in the hotwords they led.
    walk: Walk,
    /// The same, and some of what was said before the decoder began anew: a decoder
    /// that goes on repeating itself is found out at once.
    recent: Vec<u32>,
    /// Audio before this frame is said.
    said: u64,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// More audio may bring more tokens, where there is any.
    Goes,
    /// The decoder has to begin anew with the audio from this frame on.
    Anew(u64),
}

impl<C> Transcript<C> {
    /// Nothing said yet.
    pub(super) fn new(rules: &Rules) -> Self {
        let (tokens, recent) = (rules.prompt.clone(), rules.prompt.clone());
        Self { tokens, cache: None, walk: Walk::default(), recent, said: 0 }
    }

    /// The decoder begins anew.
    pub(super) fn begin_anew(&mut self, rules: &Rules) {
        self.recent.drain(..self.recent.len().saturating_sub(LONGEST_REPETITION));
        (self.tokens, self.cache, self.said) = (rules.prompt.clone(), None, 0);
        self.walk = Walk::default();
    }

    /// Whether a decoder under these `rules` can have come to this; `is_cache` says
    /// whether a cache is one of so many tokens.
    pub(super) fn fits(&self, rules: &Rules, is_cache: impl Fn(&C, usize) -> bool) -> bool {
        let Some(said) = self.tokens.strip_prefix(rules.prompt.as_slice()) else { return false };
        match &self.cache {
            Some(cache) => !said.is_empty() && is_cache(cache, self.tokens.len() - 1),
            None => said.is_empty(),
        }
    }

    /// Where in the hotwords it is.
    pub(super) fn walk(&self) -> Walk {
        self.walk
    }

    /// The tokens that the cache does not hold yet.
    fn unseen(&self) -> &[u32] {
        let begin = if self.cache.is_some() { self.tokens.len() - 1 } else { 0 };
        &self.tokens[begin..]
    }
}

impl Rules {
    /// Whether so little was heard that no token can come out of a step.
    pub(super) fn waits(&self, used: usize, last: bool) -> bool {
        used / self.chunk < self.wait_k && !last
    }

    /// One step: appends to `out` what `decoder` says of `window` and may say now.
    ///
    /// # Errors
    /// Whatever the decoder gives.
    pub(super) fn step<D: Decode>(
        &self,
        decoder: &mut D,
        transcript: &mut Transcript<D::Cache>,
        window: &Window,
        begins_word: impl Fn(u32) -> bool,
        out: &mut Vec<Token>,
    ) -> Result<Outcome, AsrError> {
        if self.waits(window.used, window.last) {
            return Ok(Outcome::Goes);
        }
        let most = match self.policy {
            _ if window.last => usize::MAX,
            Policy::WaitK => 1,
            Policy::AlignAtt => self.most_per_step,
        };
        for _ in 0..most {
            let (next, cache) =
                decoder.next(transcript.unseen(), transcript.cache.as_ref(), transcript.walk)?;
            let (id, probability) = next.best;
            let newest = window.used.saturating_sub(1);
            let first = transcript.cache.is_none();
            let attended = attended(&next.attention, window, first).unwrap_or(newest);
            let frame = match self.policy {
                Policy::WaitK => newest,
                Policy::AlignAtt => attended,
            };
            let early = window.used < frame + 1 + self.alignatt_frames;
            if self.policy == Policy::AlignAtt && early && !window.last || id == self.end {
                break;
            }
            if transcript.tokens.len() + RESERVE > MOST_TOKENS && begins_word(id) {
                return Ok(Outcome::Anew(transcript.said));
            }
            transcript.said = transcript.said.max(window.first + attended as u64 + 1);
            transcript.recent.push(id);
            if repeats(&transcript.recent) {
                transcript.recent.pop();
                return Ok(Outcome::Anew(transcript.said));
            }
            transcript.tokens.push(id);
            (transcript.cache, transcript.walk) = (Some(cache), next.walk);
            out.push(Token { id, frame: window.first + frame as u64, duration: 1, probability });
            if transcript.tokens.len() == MOST_TOKENS {
                return Ok(Outcome::Anew(transcript.said));
            }
        }
        Ok(Outcome::Goes)
    }
}

/// The frame that gets most attention, not counting the sink at the beginning.
fn attended(attention: &[f32], window: &Window, first: bool) -> Option<usize> {
    let frames = window.frames.min(attention.len());
    let skipped = match frames {
        0..=SINK_FRAMES if first => frames / 2,
        // Audio as short as the sink: NeMo has no frame left to choose here.
        0..=SINK_FRAMES => 0,
        _ if window.whole => SINK_FRAMES,
        _ => 0,
    };
    let mut most: Option<(usize, f32)> = None;
    for (frame, &weight) in attention.iter().enumerate().take(frames).skip(skipped) {
        if most.is_none_or(|(_, before)| weight > before) {
            most = Some((frame, weight));
        }
    }
    most.map(|(frame, _)| frame)
}

/// Whether the last tokens are one, two or three repeated again and again.
fn repeats(tokens: &[u32]) -> bool {
    let tail = |length: usize| &tokens[tokens.len().saturating_sub(length)..];
    tokens.len() > FIRST_REPETITION
        && REPETITIONS.iter().any(|&(period, times)| {
            let tail = tail(period * times);
            tail.iter().zip(&tail[period..]).all(|(before, after)| before == after)
        })
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
