//! Greedy CTC: the best token of every frame, repeats and blanks dropped.
//!
//! The last frame's token is carried over, or a token that lasts across the end
//! of a chunk would be counted twice. Where a hotword's token is taken instead of the
//! model's own, that one lasts over the next frames all the same, so both are carried.

use super::{Decoder, Token, best, row};
use crate::boost::{Boost, Walk};
use crate::encoder::Encoded;
use crate::graph::Graph;
use crate::{AsrError, state};

/// A CTC decoder; the scores are already in the encoder's output.
pub struct Ctc {
    blank: usize,
    boost: Boost,
    /// The model's best token of the frame before.
    last: usize,
    /// What was said in its place.
    said: usize,
    walk: Walk,
    frame: u64,
}

/// The hotwords' number, the last token, what was said in its place, and where.
type Held = (u64, usize, usize, Walk, u64);

impl Ctc {
    /// `blank` is the last of the `blank + 1` scores of a frame.
    pub(crate) fn new(blank: usize, boost: Boost) -> Self {
        Self { blank, boost, last: blank, said: blank, walk: Walk::default(), frame: 0 }
    }

    /// The token that a frame adds and its probability, by the frame's scores.
    fn hear(&mut self, scores: &[f32]) -> Result<Option<(usize, f32)>, AsrError> {
        let own = best(scores)?;
        let last = std::mem::replace(&mut self.last, own.0);
        if own.0 == self.blank {
            self.said = self.blank;
        }
        if [self.blank, last, self.said].contains(&own.0) {
            return Ok(None);
        }
        let heard = self.boost.best(scores, self.walk, &[self.blank, last, self.said])?;
        (self.said, self.walk) = (heard.0, self.boost.advance(self.walk, heard.0 as u32));
        Ok(Some(heard))
    }
}

impl Decoder for Ctc {
    fn graphs(&self) -> Vec<&Graph> {
        Vec::new()
    }

    fn begin(&mut self) {
        (self.last, self.said) = (self.blank, self.blank);
        (self.walk, self.frame) = (Walk::default(), 0);
    }

    fn decode(&mut self, encoded: &Encoded, tokens: &mut Vec<Token>) -> Result<(), AsrError> {
        let scores = encoded.value.floats()?;
        for t in 0..encoded.frames {
            if let Some((id, probability)) = self.hear(row(&scores, t, self.blank + 1)?)? {
                tokens.push(Token { id: id as u32, frame: self.frame, duration: 1, probability });
            }
            self.frame += 1;
        }
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, AsrError> {
        let held: Held = (self.boost.digest(), self.last, self.said, self.walk, self.frame);
        state::write("CTC decoder", &held)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let (digest, last, said, walk, frame): Held = state::read("CTC decoder", state)?;
        self.boost.expect(digest, walk)?;
        state::expect(last.max(said) <= self.blank, "its last token")?;
        (self.last, self.said, self.walk, self.frame) = (last, said, walk, frame);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLANK: usize = 4;

    /// What is said of frames whose best token is this, and the second best that.
    fn said(boost: Boost, frames: &[(usize, usize)]) -> Vec<usize> {
        let mut ctc = Ctc::new(BLANK, boost);
        let scores = |(first, second): (usize, usize)| {
            let mut scores = [0.0; BLANK + 1];
            (scores[second], scores[first]) = (2.0, 2.5);
            scores
        };
        let heard = frames.iter().filter_map(|frame| ctc.hear(&scores(*frame)).unwrap());
        heard.map(|(id, _)| id).collect()
    }

    fn expecting(tokens: &[u32]) -> Boost {
        Boost::of(&[(tokens.to_vec(), 1.0)])
    }

    const FRAMES: [(usize, usize); 6] = [(BLANK, 1), (0, 1), (0, 1), (1, 0), (BLANK, 1), (2, 3)];

    #[test]
    fn repeats_and_blanks_are_dropped() {
        assert_eq!(said(Boost::default(), &FRAMES), [0, 1, 2]);
        assert_eq!(said(Boost::default(), &[(0, 1), (BLANK, 0), (0, 1)]), [0, 0]);
    }

    #[test]
    fn a_token_of_a_hotword_stands_for_what_was_heard_in_its_place_over_all_its_frames() {
        assert_eq!(said(expecting(&[1]), &FRAMES), [1, 2]);
        assert_eq!(said(expecting(&[1, 3]), &FRAMES), [1, 3]);
    }

    #[test]
    fn no_hotword_is_heard_in_a_blank_or_in_a_repetition() {
        assert_eq!(said(expecting(&[1, 1]), &FRAMES[..3]), [1]);
        assert_eq!(said(expecting(&[3]), &[(BLANK, 3), (2, 0), (2, 3)]), [2]);
    }
}
