//! What a recognizer believes was said.

use crate::time::SamplePos;
use serde::{Deserialize, Serialize};

/// One dictation: from `Start` to the end of what `Stop` flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DictationId(pub u32);

/// A piece of a dictation that the recognizer decodes on its own, counted from 0.
/// An utterance ends at a silence or at the stop; of models that stream without bound
/// where the model says so, if it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UtteranceId(pub u32);

/// A word as it is typed, with its punctuation, without the space before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The text; never empty, never with white space inside.
    pub text: String,
    /// No space goes before it: it continues the word before (late punctuation,
    /// a suffix the model decided on after the stem had been committed).
    pub glued: bool,
    /// Where the word begins. For families without timed words, a bound.
    pub start: SamplePos,
    /// Where the word ends. For families without timed words, a bound.
    pub end: SamplePos,
    /// How sure the model is of the word, 0 to 1.
    pub confidence: f32,
    /// The model's tokens for it.
    pub tokens: Vec<u32>,
}

/// The state of one utterance after a model step.
///
/// Frozen words are handed over once: `words[0]` is word number `first` of the
/// utterance, and every word before it was frozen in an earlier hypothesis.
/// What follows the frozen words is a full snapshot of the tail, never a delta,
/// so a message has the same size however long the dictation is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// The dictation this belongs to; a stale one is dropped.
    pub dictation: DictationId,
    /// The utterance this belongs to.
    pub utterance: UtteranceId,
    /// All audio before this position has been taken into account.
    pub heard_to: SamplePos,
    /// How many words of the utterance were frozen before this message.
    pub first: u32,
    /// Newly frozen words, then the tail.
    pub words: Vec<Word>,
    /// `words[..frozen]` will never change: the commit policy admitted them, or
    /// the model cannot take them back.
    pub frozen: u32,
    /// The utterance ended at `heard_to`; every word is frozen, and the next
    /// utterance begins there.
    pub last: bool,
    /// Time the model step took, in microseconds.
    pub step_us: u32,
}
