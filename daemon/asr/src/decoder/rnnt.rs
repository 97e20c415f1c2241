//! Greedy RNNT and TDT over the predictor and the joint network.
//!
//! A call scores all frames of a chunk for the token before; the scores stay
//! valid until a frame gives a token, because a blank does not move the
//! predictor. So a chunk costs one call and one more per token, and the encoder's
//! output goes in as it came out. At most [`MAX_SYMBOLS`] tokens come out of a frame.
//! A TDT graph (Xu et al., "Token-and-Duration Transducer", 2023) also scores how
//! many frames to go on by, beyond the chunk if need be (`time_jump` in NeMo's
//! `tdt_label_looping.py`); with RNNT a token goes on by none and a blank by one.

use super::joint::Joint;
use super::{Decoder, Token, best, row};
use crate::boost::{Boost, Walk};
use crate::encoder::{Encoded, Socket};
use crate::graph::{Device, Graph, Runtime, Value};
use crate::manifest::Manifest;
use crate::vocab::Vocabulary;
use crate::{AsrError, state};
use std::path::Path;

/// NeMo's `max_symbols`: a guard against a model that never says blank.
const MAX_SYMBOLS: usize = 10;

/// An RNNT or TDT decoder with the predictor's state.
pub struct Rnnt {
    joint: Joint,
    blank: usize,
    /// Frames by which each of TDT's duration scores goes on; none for RNNT.
    durations: Vec<u32>,
    last: usize,
    state: Option<Vec<Value>>,
    /// The number of the next chunk's first frame.
    frame: u64,
    /// Frames of the next chunk that a duration has passed already.
    ahead: usize,
    /// Tokens that the current frame gave.
    symbols: usize,
    /// Tokens behind which the predictor begins anew.
    resets: Vec<u32>,
    boost: Boost,
    walk: Walk,
}

/// The hotwords' number and where in them it is, the state, the last token, the frame,
/// and how many are ahead and symbols were.
type Held<State> = (u64, Walk, State, usize, u64, usize, usize);

impl Rnnt {
    /// Loads the `decoder_joint` of `manifest`, or its `decoder` and `joiner`, which
    /// take what the encoder gives at `encoded` and score the pieces of
    /// `vocabulary` and, for TDT, the `durations`.
    ///
    /// # Errors
    /// `Model` naming the tensor that does not fit.
    pub(crate) fn load(
        runtime: &Runtime,
        dir: &Path,
        manifest: &Manifest,
        device: Device,
        encoded: &Socket,
        vocabulary: &Vocabulary,
        durations: &[u32],
    ) -> Result<Self, AsrError> {
        let file = |role: &str| manifest.file(dir, role);
        let joint = match manifest.files.contains_key("joiner") {
            true => Joint::split(runtime, &file("decoder")?, &file("joiner")?, device, encoded)?,
            false => Joint::fused(runtime, &file("decoder_joint")?, device, encoded)?,
        };
        let (classes, path) = joint.classes()?;
        vocabulary.expect_width(classes.saturating_sub(durations.len()), path)?;
        let blank = vocabulary.blank();
        let durations = durations.to_vec();
        Ok(Self {
            joint,
            blank,
            durations,
            last: blank,
            state: None,
            frame: 0,
            ahead: 0,
            symbols: 0,
            resets: Vec::new(),
            boost: Boost::default(),
            walk: Walk::default(),
        })
    }

    /// Favours the phrases of `boost`.
    pub(crate) fn favour(&mut self, boost: Boost) {
        self.boost = boost;
    }

    /// Lets the predictor begin anew, on the next frame, behind each of `tokens`.
    pub(crate) fn reset_behind(&mut self, tokens: &[u32]) {
        self.resets = tokens.to_vec();
    }

    /// Frame `t`'s best token, its probability, and by how many frames to go on.
    fn read(&self, scores: &[f32], t: usize) -> Result<(usize, f32, usize), AsrError> {
        let tokens = self.blank + 1;
        let scores = row(scores, t, tokens + self.durations.len())?;
        let (id, probability) = self.boost.best(&scores[..tokens], self.walk, &[self.blank])?;
        let duration = match self.durations.is_empty() {
            true => 0,
            false => self.durations[best(&scores[tokens..])?.0] as usize,
        };
        Ok((id, probability, duration))
    }
}

impl Decoder for Rnnt {
    fn graphs(&self) -> Vec<&Graph> {
        self.joint.graphs()
    }

    fn begin(&mut self) {
        self.last = self.blank;
        (self.state, self.walk) = (None, Walk::default());
        (self.frame, self.ahead, self.symbols) = (0, 0, 0);
    }

    fn decode(&mut self, encoded: &Encoded, tokens: &mut Vec<Token>) -> Result<(), AsrError> {
        let converted = self.joint.convert(&encoded.value)?;
        let value = converted.as_ref().unwrap_or(&encoded.value);
        let mut state = match self.state.take() {
            Some(state) => state,
            None => self.joint.empty_state()?,
        };
        let mut t = self.ahead;
        while t < encoded.frames {
            let (scored, next) = self.joint.score(value, self.last, &state)?;
            let scores = scored.floats()?;
            // Blanks up to the frame that gives a token.
            let found = loop {
                if t >= encoded.frames {
                    break None;
                }
                let (id, probability, duration) = self.read(&scores, t)?;
                if id != self.blank {
                    break Some((id, probability, duration));
                }
                t += duration.max(1);
                self.symbols = 0;
            };
            let Some((id, probability, duration)) = found else { break };
            tokens.push(Token {
                id: id as u32,
                frame: self.frame + t as u64,
                duration: duration.max(1) as u32,
                probability,
            });
            self.walk = self.boost.advance(self.walk, id as u32);
            if self.resets.contains(&(id as u32)) {
                // The same frame would say the same once more to a fresh predictor.
                (self.last, state) = (self.blank, self.joint.empty_state()?);
                (t, self.symbols) = (t + duration.max(1), 0);
                continue;
            }
            (self.last, state) = (id, next);
            self.symbols = if duration == 0 { self.symbols + 1 } else { 0 };
            t += duration;
            if self.symbols == MAX_SYMBOLS {
                (t, self.symbols) = (t + 1, 0);
            }
        }
        self.ahead = t - encoded.frames;
        self.state = Some(state);
        self.frame += encoded.frames as u64;
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, AsrError> {
        let held: Held<_> =
            (self.boost.digest(), self.walk, &self.state, self.last, self.frame, self.ahead, self.symbols);
        state::write("transducer", &held)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let (digest, walk, state, last, frame, ahead, symbols): Held<Option<Vec<Value>>> =
            state::read("transducer", state)?;
        self.boost.expect(digest, walk)?;
        let first = self.joint.empty_state()?;
        let tensors = state.as_ref().unwrap_or(&first);
        let alike = tensors.len() == first.len() && tensors.iter().zip(&first).all(|(a, b)| a.is_like(b));
        state::expect(alike, "the state of the predictor")?;
        let farthest = self.durations.iter().max().map_or(0, |most| *most as usize);
        let near = ahead <= farthest && symbols < MAX_SYMBOLS;
        state::expect(last <= self.blank && near, "its last token")?;
        (self.last, self.state, self.frame, self.ahead, self.symbols) = (last, state, frame, ahead, symbols);
        self.walk = walk;
        Ok(())
    }
}
