//! Greedy decoders: encoder frames in, tokens out.
//!
//! A decoder carries what it needs from one chunk to the next, so a stream cut
//! into chunks gives the tokens of the whole. A token is never taken back.

mod ctc;
mod joint;
mod rnnt;

pub use ctc::Ctc;
pub use rnnt::Rnnt;

use crate::AsrError;
use crate::encoder::Encoded;
use crate::graph::Graph;

/// One token of the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: u32,
    /// The encoder frame it came out at, from the beginning of the utterance.
    pub frame: u64,
    /// Frames that it lasts as the model says (TDT), or 1.
    pub duration: u32,
    /// How sure the model was, 0 to 1.
    pub probability: f32,
}

/// Turns encoder frames into tokens, chunk after chunk.
pub trait Decoder {
    /// Its own graphs, for what they say about themselves.
    fn graphs(&self) -> Vec<&Graph>;
    /// Begins a new utterance.
    fn begin(&mut self);
    /// Decodes the frames that follow those before and appends their tokens.
    fn decode(&mut self, encoded: &Encoded, tokens: &mut Vec<Token>) -> Result<(), AsrError>;
    /// All that is held of the utterance.
    ///
    /// # Errors
    /// `Run` when a tensor cannot be read.
    fn save(&self) -> Result<Vec<u8>, AsrError>;
    /// Goes on as the decoder that saved `state`.
    ///
    /// # Errors
    /// `Checkpoint` when `state` is none of this model.
    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError>;
}

/// The best entry of one frame's scores and its probability among them.
///
/// # Errors
/// `Run` when a score is not a number: the model or the device is broken, and
/// the first token would win without a word.
pub(crate) fn best(scores: &[f32]) -> Result<(usize, f32), AsrError> {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, &score) in scores.iter().enumerate() {
        if score.is_nan() {
            return Err(AsrError::Run(format!("the score of token {id} is not a number")));
        }
        if score > best.1 {
            best = (id, score);
        }
    }
    if !best.1.is_finite() {
        return Err(AsrError::Run(format!("the best score of a frame is {}", best.1)));
    }
    let total: f32 = scores.iter().map(|score| (score - best.1).exp()).sum();
    Ok((best.0, 1.0 / total))
}

/// Frame `t` of scores whose last dimension is `width`, all others but the
/// frames being one.
fn row(scores: &[f32], t: usize, width: usize) -> Result<&[f32], AsrError> {
    scores.get(t * width..(t + 1) * width).ok_or_else(|| {
        AsrError::Run(format!("there are {} scores where frame {t} of {width} was asked for", scores.len()))
    })
}
