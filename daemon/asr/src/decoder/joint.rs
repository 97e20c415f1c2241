//! The predictor and the joint network, in one graph or in two.
//!
//! NeMo exports both as one graph (`RNNTDecoderJoint`); exports for sherpa-onnx
//! have a `decoder` and a `joiner`. The names of the second kind's states are
//! what an exporter happened to call them, so they are taken by their order.
//!
//! Tensors: `encoder_outputs` \[1, D, T\], `targets` \[1, 1\], `target_length` \[1\],
//! states \[layers, 1, H\] → scores \[1, T, 1, V\], next states; in two graphs the
//! predictor's output \[1, H, 1\] goes from one to the other.

use crate::AsrError;
use crate::encoder::{Socket, is_float, is_integer, wrong};
use crate::graph::{Device, Graph, Port, Runtime, Value};
use std::path::Path;

/// What scores encoder frames for the token before.
pub(super) struct Joint {
    predictor: Predictor,
    /// Of the one graph, where there is no joiner.
    encoder_outputs: Option<Socket>,
    joiner: Option<Joiner>,
    scores: Socket,
    /// The encoder's output is of another float type than is taken here.
    converts: bool,
}

/// The graph with the predictor in it.
struct Predictor {
    graph: Graph,
    targets: Socket,
    target_length: Option<Socket>,
    states: Vec<Socket>,
    /// The names of the result and of the next states.
    outputs: Vec<String>,
}

struct Joiner {
    graph: Graph,
    encoder_outputs: Socket,
    decoder_outputs: Socket,
}

impl Joint {
    /// One graph that takes what the encoder gives at `encoded`.
    ///
    /// # Errors
    /// `Model` naming the tensor that does not fit.
    pub(super) fn fused(
        runtime: &Runtime,
        path: &Path,
        device: Device,
        encoded: &Socket,
    ) -> Result<Self, AsrError> {
        let graph = Graph::open(runtime, path, device)?;
        let is_state = |p: &Port| is_float(p) && p.name.contains("state");
        let other = |p: &Port| is_float(p) && !is_state(p);
        let encoder_outputs = Socket::find(&graph, &graph.inputs, ENCODER_OUTPUTS, other)?;
        expect_width(&graph, &encoder_outputs, encoded)?;
        let scores = Socket::find(&graph, &graph.outputs, SCORES, other)?;
        let states = sockets(&graph.inputs, is_state);
        let next = sockets(&graph.outputs, is_state);
        let converts = encoded.dtype != encoder_outputs.dtype;
        let predictor = Predictor::new(graph, states, &scores.name, &next)?;
        Ok(Self { predictor, encoder_outputs: Some(encoder_outputs), joiner: None, scores, converts })
    }

    /// A predictor and a joiner, in a graph each.
    ///
    /// # Errors
    /// `Model` naming the tensor that does not fit.
    pub(super) fn split(
        runtime: &Runtime,
        decoder: &Path,
        joiner: &Path,
        device: Device,
        encoded: &Socket,
    ) -> Result<Self, AsrError> {
        let graph = Graph::open(runtime, decoder, device)?;
        let states = sockets(&graph.inputs, is_float);
        let mut outputs = sockets(&graph.outputs, is_float);
        if outputs.is_empty() {
            return Err(wrong(&graph, "it gives no floats; a predictor's output is expected".to_owned()));
        }
        let output = outputs.remove(0);
        let predictor = Predictor::new(graph, states, &output.name, &outputs)?;
        let graph = Graph::open(runtime, joiner, device)?;
        let from_decoder = |p: &Port| is_float(p) && p.name.contains("decoder");
        let from_encoder = |p: &Port| is_float(p) && !from_decoder(p);
        let encoder_outputs = Socket::find(&graph, &graph.inputs, ENCODER_OUTPUTS, from_encoder)?;
        expect_width(&graph, &encoder_outputs, encoded)?;
        let decoder_outputs =
            Socket::find(&graph, &graph.inputs, "the predictor's output (decoder_outputs)", from_decoder)?;
        let width = output.shape.get(1).and_then(|d| usize::try_from(*d).ok());
        decoder_outputs.expect_shape(&graph, &[Some(1), width, None])?;
        let scores = Socket::find(&graph, &graph.outputs, SCORES, is_float)?;
        let converts = encoded.dtype != encoder_outputs.dtype;
        let joiner = Some(Joiner { graph, encoder_outputs, decoder_outputs });
        Ok(Self { predictor, encoder_outputs: None, joiner, scores, converts })
    }

    /// The graph with the predictor, and the joiner where it has one of its own.
    pub(super) fn graphs(&self) -> Vec<&Graph> {
        let joiner = self.joiner.iter().map(|joiner| &joiner.graph);
        std::iter::once(&self.predictor.graph).chain(joiner).collect()
    }

    /// How many scores a frame gets, and the graph that gives them.
    ///
    /// # Errors
    /// `Model` when the graph does not say.
    pub(super) fn classes(&self) -> Result<(usize, &Path), AsrError> {
        let graph = self.joiner.as_ref().map_or(&self.predictor.graph, |joiner| &joiner.graph);
        let classes = self.scores.shape.last().and_then(|d| usize::try_from(*d).ok());
        let open =
            || wrong(graph, format!("tensor {:?} leaves open how many tokens it scores", self.scores.name));
        Ok((classes.ok_or_else(open)?, graph.path()))
    }

    /// What the encoder gave, in this graph's type of floats; none where it is.
    ///
    /// # Errors
    /// `Run` when it holds no floats.
    pub(super) fn convert(&self, encoded: &Value) -> Result<Option<Value>, AsrError> {
        let joiner = self.joiner.as_ref().map(|joiner| &joiner.encoder_outputs);
        match self.encoder_outputs.as_ref().or(joiner) {
            Some(socket) if self.converts => {
                socket.floats(&encoded.shape(), encoded.floats()?.into_owned()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The predictor's state before the first token.
    ///
    /// # Errors
    /// `Run` when it cannot be made.
    pub(super) fn empty_state(&self) -> Result<Vec<Value>, AsrError> {
        let empty = |socket: &Socket| {
            let shape = state_shape(&self.predictor.graph, socket)?;
            socket.floats(&shape, vec![0.0; shape.iter().product()])
        };
        self.predictor.states.iter().map(empty).collect()
    }

    /// The scores of every frame of `encoded` after the token `last`, and the
    /// predictor's state once that token is in it.
    ///
    /// # Errors
    /// `Run` when a graph fails.
    pub(super) fn score(
        &mut self,
        encoded: &Value,
        last: usize,
        state: &[Value],
    ) -> Result<(Value, Vec<Value>), AsrError> {
        let frames = self.encoder_outputs.as_ref().map(|socket| (socket.name.as_str(), encoded));
        let (result, state) = self.predictor.run(frames, last, state)?;
        let Some(joiner) = &mut self.joiner else { return Ok((result, state)) };
        let inputs = vec![
            (joiner.encoder_outputs.name.as_str(), encoded),
            (joiner.decoder_outputs.name.as_str(), &result),
        ];
        let scores = joiner.graph.run(inputs, &[self.scores.name.as_str()])?.remove(0);
        Ok((scores, state))
    }
}

impl Predictor {
    fn new(graph: Graph, states: Vec<Socket>, result: &str, next: &[Socket]) -> Result<Self, AsrError> {
        let length = |p: &Port| is_integer(p) && p.name.contains("length");
        let targets = Socket::find(&graph, &graph.inputs, "the token before (targets, integer)", |p| {
            is_integer(p) && !length(p)
        })?;
        let target_length = match graph.inputs.iter().any(length) {
            true => Some(Socket::find(&graph, &graph.inputs, "the number of tokens", length)?),
            false => None,
        };
        if next.len() != states.len() || states.is_empty() {
            let reason = format!("{} states go in and {} come out", states.len(), next.len());
            return Err(wrong(&graph, reason));
        }
        for (before, after) in states.iter().zip(next) {
            if before.dtype != after.dtype {
                let reason =
                    format!("state {:?} is {} and comes out as {}", before.name, before.dtype, after.dtype);
                return Err(wrong(&graph, reason));
            }
            state_shape(&graph, before)?;
        }
        let names = next.iter().map(|socket| socket.name.clone());
        let outputs = std::iter::once(result.to_owned()).chain(names).collect();
        Ok(Self { graph, targets, target_length, states, outputs })
    }

    /// The result for the token `last` and the state after it; `frames` go in with it.
    fn run(
        &mut self,
        frames: Option<(&str, &Value)>,
        last: usize,
        state: &[Value],
    ) -> Result<(Value, Vec<Value>), AsrError> {
        let target = self.targets.integers(&[1, 1], &[last as i32])?;
        let mut inputs = vec![(self.targets.name.as_str(), &target)];
        inputs.extend(frames);
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

const ENCODER_OUTPUTS: &str = "the encoder's output (f32 or f16)";
const SCORES: &str = "the scores (f32 or f16)";

fn sockets(ports: &[Port], fits: impl Fn(&Port) -> bool) -> Vec<Socket> {
    let socket = |p: &Port| Socket { name: p.name.clone(), dtype: p.dtype.clone(), shape: p.shape.clone() };
    ports.iter().filter(|port| fits(port)).map(socket).collect()
}

/// The states of the encoder at `encoded` must be what `taken` takes.
fn expect_width(graph: &Graph, taken: &Socket, encoded: &Socket) -> Result<(), AsrError> {
    let width = encoded.shape.get(1).and_then(|d| usize::try_from(*d).ok());
    taken.expect_shape(graph, &[Some(1), width, None])
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
