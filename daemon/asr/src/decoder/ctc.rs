//! Greedy CTC: the best token of every frame, repeats and blanks dropped.
//!
//! The last frame's token is carried over, or a token that lasts across the end
//! of a chunk would be counted twice.

use super::{Decoder, Token, best, row};
use crate::encoder::Encoded;
use crate::graph::Graph;
use crate::{AsrError, state};

/// A CTC decoder; the scores are already in the encoder's output.
pub struct Ctc {
    blank: usize,
    last: usize,
    frame: u64,
}

impl Ctc {
    /// `blank` is the last of the `blank + 1` scores of a frame.
    pub fn new(blank: usize) -> Self {
        Self { blank, last: blank, frame: 0 }
    }
}

impl Decoder for Ctc {
    fn graphs(&self) -> Vec<&Graph> {
        Vec::new()
    }

    fn begin(&mut self) {
        *self = Self::new(self.blank);
    }

    fn decode(&mut self, encoded: &Encoded, tokens: &mut Vec<Token>) -> Result<(), AsrError> {
        let scores = encoded.value.floats()?;
        for t in 0..encoded.frames {
            let (id, probability) = best(row(&scores, t, self.blank + 1)?)?;
            if id != self.blank && id != self.last {
                tokens.push(Token { id: id as u32, frame: self.frame, duration: 1, probability });
            }
            self.last = id;
            self.frame += 1;
        }
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, AsrError> {
        state::write("CTC decoder", &(self.last, self.frame))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let (last, frame): (usize, u64) = state::read("CTC decoder", state)?;
        state::expect(last <= self.blank, "its last token")?;
        (self.last, self.frame) = (last, frame);
        Ok(())
    }
}
