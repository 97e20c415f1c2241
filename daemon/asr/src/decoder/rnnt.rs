//! Greedy RNNT and TDT on one graph that holds the predictor and the joint.
//!
//! A call scores all frames of a chunk for the token before; the scores stay
//! valid until a frame gives a token, because a blank does not move the
//! predictor. So a chunk costs one call and one more per token, and the encoder's
//! output goes in as it came out. At most [`MAX_SYMBOLS`] tokens come out of a frame.
//! A TDT graph (Xu et al., "Token-and-Duration Transducer", 2023) also scores how
//! many frames to go on by, beyond the chunk if need be (`time_jump` in NeMo's
//! `tdt_label_looping.py`); with RNNT a token goes on by none and a blank by one.

use super::{Decoder, Token, best, row};
use crate::AsrError;
use crate::encoder::{Encoded, Socket, is_float, is_integer, wrong};
use crate::graph::{Device, Graph, Runtime, Value};
use crate::vocab::Vocabulary;
use std::path::Path;

/// NeMo's `max_symbols`: a guard against a model that never says blank.
const MAX_SYMBOLS: usize = 10;

/// An RNNT decoder with the predictor's state.
pub struct Rnnt {
    graph: Graph,
    blank: usize,
    encoder_outputs: Socket,
    targets: Socket,
    target_length: Option<Socket>,
    states: Vec<Socket>,
    /// The names of the scores and of the next states.
    outputs: Vec<String>,
    /// The encoder's output is of another float type than this graph takes.
    converts: bool,
    /// Frames by which each of TDT's duration scores goes on; none for RNNT.
    durations: Vec<u32>,
    last: usize,
    predictor: Option<Vec<Value>>,
    /// The number of the next chunk's first frame.
    frame: u64,
    /// Frames of the next chunk that a duration has passed already.
    ahead: usize,
    /// Tokens that the current frame gave.
    symbols: usize,
}

impl Rnnt {
    /// Loads `path`, which takes what the encoder gives at `encoded` and scores
    /// the pieces of `vocabulary` and, for TDT, the `durations`.
    ///
    /// # Errors
    /// `Model` naming the tensor that does not fit.
    pub(crate) fn open(
        runtime: &Runtime,
        path: &Path,
        device: Device,
        encoded: &Socket,
        vocabulary: &Vocabulary,
        durations: &[u32],
    ) -> Result<Self, AsrError> {
        let graph = Graph::open(runtime, path, device)?;
        let state = |name: &str| name.contains("state");
        let encoder_outputs =
            Socket::find(&graph, &graph.inputs, "the encoder's output (f32 or f16)", |p| {
                is_float(p) && !state(&p.name)
            })?;
        let width = encoded.shape.get(1).and_then(|d| usize::try_from(*d).ok());
        encoder_outputs.expect_shape(&graph, &[Some(1), width, None])?;
        let targets = Socket::find(&graph, &graph.inputs, "the token before (targets, integer)", |p| {
            is_integer(p) && !p.name.contains("length")
        })?;
        let length = |p: &crate::graph::Port| is_integer(p) && p.name.contains("length");
        let target_length = match graph.inputs.iter().any(length) {
            true => Some(Socket::find(&graph, &graph.inputs, "the number of tokens", length)?),
            false => None,
        };
        let states: Vec<Socket> = graph
            .inputs
            .iter()
            .filter(|p| is_float(p) && state(&p.name))
            .map(|p| Socket { name: p.name.clone(), dtype: p.dtype.clone(), shape: p.shape.clone() })
            .collect();
        let scores = Socket::find(&graph, &graph.outputs, "the scores (f32 or f16)", |p| {
            is_float(p) && !state(&p.name)
        })?;
        let classes = scores.shape.last().and_then(|d| usize::try_from(*d).ok());
        let Some(classes) = classes else {
            return Err(wrong(
                &graph,
                format!("tensor {:?} leaves open how many tokens it scores", scores.name),
            ));
        };
        vocabulary.expect_width(classes.saturating_sub(durations.len()), path)?;
        let blank = vocabulary.blank();
        let next: Vec<&crate::graph::Port> =
            graph.outputs.iter().filter(|p| is_float(p) && state(&p.name)).collect();
        if next.len() != states.len() || states.is_empty() {
            let reason = format!("{} states go in and {} come out", states.len(), next.len());
            return Err(wrong(&graph, reason));
        }
        for (before, after) in states.iter().zip(&next) {
            if before.dtype != after.dtype {
                let reason =
                    format!("state {:?} is {} and comes out as {}", before.name, before.dtype, after.dtype);
                return Err(wrong(&graph, reason));
            }
            state_shape(&graph, before)?;
        }
        let outputs =
            std::iter::once(scores.name.clone()).chain(next.iter().map(|p| p.name.clone())).collect();
        Ok(Self {
            converts: encoded.dtype != encoder_outputs.dtype,
            graph,
            blank,
            encoder_outputs,
            targets,
            target_length,
            states,
            outputs,
            durations: durations.to_vec(),
            last: blank,
            predictor: None,
            frame: 0,
            ahead: 0,
            symbols: 0,
        })
    }

    /// The scores of every frame of `encoded` after the token `last`, and the
    /// predictor's state once that token is in it.
    fn score(&mut self, encoded: &Value, state: &[Value]) -> Result<(Value, Vec<Value>), AsrError> {
        let target = self.targets.integers(&[1, 1], &[self.last as i32])?;
        let mut inputs =
            vec![(self.encoder_outputs.name.as_str(), encoded), (self.targets.name.as_str(), &target)];
        let length = match &self.target_length {
            Some(socket) => Some((socket.name.as_str(), socket.integers(&[1], &[1])?)),
            None => None,
        };
        inputs.extend(length.iter().map(|(name, value)| (*name, value)));
        inputs.extend(self.states.iter().zip(state).map(|(socket, value)| (socket.name.as_str(), value)));
        let wanted: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        let mut outputs = self.graph.run(inputs, &wanted)?;
        Ok((outputs.remove(0), outputs))
    }
}

impl Rnnt {
    /// Frame `t`'s best token, its probability, and by how many frames to go on.
    fn read(&self, scores: &[f32], t: usize) -> Result<(usize, f32, usize), AsrError> {
        let tokens = self.blank + 1;
        let scores = row(scores, t, tokens + self.durations.len())?;
        let (id, probability) = best(&scores[..tokens])?;
        let duration = match self.durations.is_empty() {
            true => 0,
            false => self.durations[best(&scores[tokens..])?.0] as usize,
        };
        Ok((id, probability, duration))
    }
}

impl Decoder for Rnnt {
    fn begin(&mut self) {
        self.last = self.blank;
        self.predictor = None;
        (self.frame, self.ahead, self.symbols) = (0, 0, 0);
    }

    fn decode(&mut self, encoded: &Encoded, tokens: &mut Vec<Token>) -> Result<(), AsrError> {
        let converted = match self.converts {
            true => Some(
                self.encoder_outputs.floats(&encoded.value.shape(), encoded.value.floats()?.into_owned())?,
            ),
            false => None,
        };
        let value = converted.as_ref().unwrap_or(&encoded.value);
        let mut state = match self.predictor.take() {
            Some(state) => state,
            None => empty_states(&self.graph, &self.states)?,
        };
        let mut t = self.ahead;
        while t < encoded.frames {
            let (scored, next) = self.score(value, &state)?;
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
            (self.last, state) = (id, next);
            self.symbols = if duration == 0 { self.symbols + 1 } else { 0 };
            t += duration;
            if self.symbols == MAX_SYMBOLS {
                (t, self.symbols) = (t + 1, 0);
            }
        }
        self.ahead = t - encoded.frames;
        self.predictor = Some(state);
        self.frame += encoded.frames as u64;
        Ok(())
    }
}

fn state_shape(graph: &Graph, socket: &Socket) -> Result<Vec<usize>, AsrError> {
    let shape: Option<Vec<usize>> = match socket.shape.as_slice() {
        &[layers, -1 | 1, width] => [layers, 1, width].iter().map(|d| usize::try_from(*d).ok()).collect(),
        _ => None,
    };
    shape.ok_or_else(|| {
        let reason = format!(
            "state {:?} has the shape {:?}; [layers, 1, width] is expected",
            socket.name, socket.shape
        );
        wrong(graph, reason)
    })
}

fn empty_states(graph: &Graph, sockets: &[Socket]) -> Result<Vec<Value>, AsrError> {
    let empty = |socket: &Socket| {
        let shape = state_shape(graph, socket)?;
        socket.floats(&shape, vec![0.0; shape.iter().product()])
    };
    sockets.iter().map(empty).collect()
}
