//! A FastConformer exported with its caches: one graph call per chunk.
//!
//! Every call gets `pre_encode_frames` mel frames of history and one chunk of
//! new ones; the first history is zeros. Attention and convolution caches stay on
//! the device ([`Recurrent`]), so left context costs neither a copy nor a second
//! look at old audio. The geometry is a constant of the
//! graph: a chunk of another size is only allowed at the end of the utterance.

use super::{Encoded, Socket, expect_metadata, is_float, is_integer, metadata, wrong};
use crate::graph::{Device, Graph, Port, Recurrent, Runtime, Shapes, State, Value};
use crate::manifest::Streaming;
use crate::{AsrError, state};
use serde::{Deserialize, Serialize};
use std::path::Path;
use swictation_core::block;

/// The encoder graph with the state of one utterance.
pub struct CacheAwareEncoder {
    graph: Recurrent,
    streaming: Streaming,
    mels: usize,
    sockets: Sockets,
    /// Mel frames that a call to come still needs, one after the other.
    pending: Vec<f32>,
    ended: bool,
}

/// What is held of an utterance.
#[derive(Serialize, Deserialize)]
struct Held {
    caches: Vec<Value>,
    #[serde(with = "block::floats")]
    pending: Vec<f32>,
    ended: bool,
}

/// The ports of the graph but those of the caches.
struct Sockets {
    features: Socket,
    length: Socket,
    encoded: Socket,
    encoded_length: Socket,
}

impl CacheAwareEncoder {
    /// Loads `path` and checks it against the manifest, also by one call on silence.
    ///
    /// # Errors
    /// `Model` naming the tensor or the metadata that does not fit, and whatever
    /// [`Graph::open`] gives.
    pub fn open(
        runtime: &Runtime,
        path: &Path,
        device: Device,
        streaming: Streaming,
        mels: usize,
    ) -> Result<Self, AsrError> {
        let graph = Graph::open_as(runtime, path, device, Shapes::Fixed)?;
        check_metadata(&graph, &streaming, mels)?;
        let caches = empty_caches(&graph, &streaming)?;
        let sockets = Sockets::find(&graph, mels)?;
        let capture = matches!(device, Device::Cuda(cuda) if cuda.capture);
        let graph = Recurrent::new(graph, device, capture, caches)?;
        let mut new = Self { graph, streaming, mels, sockets, pending: Vec::new(), ended: false };
        new.rehearse()?;
        new.begin();
        Ok(new)
    }

    /// The graph, for what it says about itself.
    pub fn graph(&self) -> &Graph {
        self.graph.graph()
    }

    /// The port of [`Encoded::value`].
    pub(crate) fn encoded(&self) -> &Socket {
        &self.sockets.encoded
    }

    /// How many tokens a graph with a CTC head scores.
    ///
    /// # Errors
    /// `Model` when the output cannot be such scores.
    pub fn classes(&self) -> Result<usize, AsrError> {
        self.sockets.encoded.classes(self.graph())
    }

    /// Begins a new utterance with empty caches.
    pub fn begin(&mut self) {
        self.graph.begin();
        self.pending.clear();
        self.pending.resize(self.streaming.pre_encode_frames as usize * self.mels, 0.0);
        self.ended = false;
    }

    /// Where the mel frames that follow are to be appended.
    pub fn pending(&mut self) -> &mut Vec<f32> {
        &mut self.pending
    }

    /// No mel frames follow: what is left may make one short chunk.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Encodes one chunk; `None` when more frames are needed for one, or, at the
    /// end, when fewer are left than make an encoder frame.
    pub fn step(&mut self) -> Result<Option<Encoded>, AsrError> {
        let Streaming { pre_encode_frames, subsampling, .. } = self.streaming;
        let (history, chunk) = (pre_encode_frames as usize, self.streaming.chunk_frames());
        let there = self.pending.len() / self.mels;
        let least = if self.ended { subsampling as usize } else { chunk };
        if there < history + least {
            return Ok(None);
        }
        let frames = there.min(history + chunk);
        // The graph wants one row per mel bin, the frames come one after the other.
        let mut window = Vec::with_capacity(frames * self.mels);
        for bin in 0..self.mels {
            window.extend(self.pending[bin..frames * self.mels].iter().step_by(self.mels));
        }
        let encoded = self.run(window, frames, Recurrent::run)?;
        self.pending.drain(..(frames - history) * self.mels);
        Ok(Some(encoded))
    }

    /// All that is held of the utterance.
    ///
    /// # Errors
    /// `Run` when the device does not give the caches.
    pub fn save(&self) -> Result<Vec<u8>, AsrError> {
        let (caches, pending) = (self.graph.state()?, self.pending.clone());
        state::write("encoder", &Held { caches, pending, ended: self.ended })
    }

    /// Goes on as the encoder that saved `state`.
    ///
    /// # Errors
    /// `Checkpoint` when `state` is none of this graph, `Run` when the device does not
    /// take the caches.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let held: Held = state::read("encoder", state)?;
        let frames = held.pending.len() / self.mels;
        let whole = held.pending.len().is_multiple_of(self.mels);
        let fits = whole && frames >= self.streaming.pre_encode_frames as usize;
        state::expect(fits, "the number of its mel frames")?;
        self.graph.restore(&held.caches)?;
        (self.pending, self.ended) = (held.pending, held.ended);
        Ok(())
    }

    fn run(&mut self, window: Vec<f32>, frames: usize, call: Call) -> Result<Encoded, AsrError> {
        let sockets = &self.sockets;
        let features = sockets.features.floats(&[1, self.mels, frames], window)?;
        let length = sockets.length.integers(&[1], &[i32::try_from(frames).unwrap_or(i32::MAX)])?;
        let inputs = [(sockets.features.name.as_str(), &features), (sockets.length.name.as_str(), &length)];
        let wanted = [sockets.encoded.name.as_str(), sockets.encoded_length.name.as_str()];
        let mut outputs = call(&mut self.graph, &inputs, &wanted)?.into_iter();
        let (Some(value), Some(length)) = (outputs.next(), outputs.next()) else {
            return Err(AsrError::Run(format!("{} gave too few outputs", self.graph().path().display())));
        };
        let frames = length.integers()?.first().and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
        Ok(Encoded { value, frames })
    }

    /// Calls on silence, which also warm the model up: the caches must come out as
    /// they went in and a chunk must give the promised frames.
    fn rehearse(&mut self) -> Result<(), AsrError> {
        let frames = self.streaming.pre_encode_frames as usize + self.streaming.chunk_frames();
        let silence = vec![0.0; frames * self.mels];
        let encoded = self.run(silence.clone(), frames, Recurrent::rehearse)?;
        let promised = self.streaming.right_frames as usize + 1;
        if encoded.frames != promised {
            let reason = format!(
                "a chunk of {frames} mel frames gives {} encoder frames; model.toml promises right_frames + 1 = {promised} for it",
                encoded.frames
            );
            return Err(wrong(self.graph(), reason));
        }
        self.run(silence, frames, Recurrent::run).map(drop)
    }
}

/// How the graph is called.
type Call = fn(&mut Recurrent, &[(&str, &Value)], &[&str]) -> Result<Vec<Value>, AsrError>;

/// Whether a port is one of the caches.
fn is_cache(port: &Port) -> bool {
    port.name.contains("cache")
}

impl Sockets {
    fn find(graph: &Graph, mels: usize) -> Result<Self, AsrError> {
        let features =
            Socket::find(graph, &graph.inputs, "the features (f32 or f16)", |p| is_float(p) && !is_cache(p))?;
        features.expect_shape(graph, &[Some(1), Some(mels), None])?;
        let length = Socket::find(graph, &graph.inputs, "the features' length (integer)", |p| {
            is_integer(p) && !is_cache(p)
        })?;
        let encoded = Socket::find(graph, &graph.outputs, "the encoder's output (f32 or f16)", |p| {
            is_float(p) && !is_cache(p)
        })?;
        encoded.expect_shape(graph, &[Some(1), None, None])?;
        let encoded_length = Socket::find(graph, &graph.outputs, "the output's length (integer)", |p| {
            is_integer(p) && !is_cache(p)
        })?;
        Ok(Self { features, length, encoded, encoded_length })
    }
}

/// The caches (attention, convolution, fill level), empty.
fn empty_caches(graph: &Graph, streaming: &Streaming) -> Result<Vec<State>, AsrError> {
    let attention = |p: &Port| p.name.contains("cache_last_channel");
    let convolution = |p: &Port| p.name.contains("cache_last_time");
    let filled = |p: &Port| attention(p) && p.name.contains("len");
    let caches = |ports: &[Port]| -> Result<[Socket; 3], AsrError> {
        Ok([
            Socket::find(graph, ports, "the attention cache (cache_last_channel, f32 or f16)", |p| {
                is_float(p) && attention(p)
            })?,
            Socket::find(graph, ports, "the convolution cache (cache_last_time, f32 or f16)", |p| {
                is_float(p) && convolution(p)
            })?,
            Socket::find(graph, ports, "the cache's fill level (cache_last_channel_len, integer)", |p| {
                is_integer(p) && filled(p)
            })?,
        ])
    };
    let inputs = caches(&graph.inputs)?;
    let outputs = caches(&graph.outputs)?;
    for (input, output) in inputs.iter().zip(&outputs) {
        if input.dtype != output.dtype {
            let reason = format!(
                "tensor {:?} is {} and {:?} is {}; a cache must come out in the type it goes in",
                input.name, input.dtype, output.name, output.dtype
            );
            return Err(wrong(graph, reason));
        }
    }
    let shapes = cache_shapes(graph, &inputs, streaming)?;
    let zeros = |i: usize| {
        let shape = &shapes[i];
        inputs[i].floats(shape, vec![0.0; shape.iter().product()])
    };
    let first = [zeros(0)?, zeros(1)?, inputs[2].integers(&[1], &[0])?];
    let states = inputs.iter().zip(outputs).zip(first);
    let state = |((input, output), first): ((&Socket, Socket), Value)| State {
        input: input.name.clone(),
        output: output.name,
        first,
    };
    Ok(states.map(state).collect())
}

/// The shapes of the attention cache (layers, left context, width) and of the
/// convolution cache (layers, width, kernel - 1), with the batch of one where
/// the graph has it: before or after the layers.
fn cache_shapes(
    graph: &Graph,
    inputs: &[Socket; 3],
    streaming: &Streaming,
) -> Result<[Vec<usize>; 2], AsrError> {
    let left = streaming.left_frames as usize;
    let convolution = streaming.convolution_frames.map(|frames| frames as usize);
    let shape = |socket: &Socket, key: &str, left_at: Option<usize>| -> Result<Vec<usize>, AsrError> {
        let fail = |reason: String| wrong(graph, format!("tensor {:?} {reason}", socket.name));
        let [first, second, rest @ ..] = socket.shape.as_slice() else {
            return Err(fail(format!("has the shape {:?}; a cache has four dimensions", socket.shape)));
        };
        let layers_first = match (*first, *second) {
            (-1 | 1, 1..) => false,
            (1.., -1 | 1) => true,
            _ => return Err(fail(format!("leaves open in {:?} where the layers are", socket.shape))),
        };
        let layers = usize::try_from(*first.max(second)).unwrap_or(1);
        expect_metadata(graph, &format!("{key}_dim1"), layers)?;
        let mut dims = if layers_first { vec![layers, 1] } else { vec![1, layers] };
        for (i, declared) in rest.iter().enumerate() {
            let key = format!("{key}_dim{}", i + 2);
            let known = match left_at {
                Some(at) if at == i => Some(left),
                // Only the convolution cache ends in frames.
                None if i == 1 => metadata(graph, &key)?.or(convolution),
                _ => metadata(graph, &key)?,
            };
            let dim = usize::try_from(*declared).ok().or(known);
            let Some(dim) = dim else {
                return Err(fail(format!(
                    "leaves a dimension open in {:?} and the metadata has no {key}; for the convolution cache [streaming] convolution_frames of model.toml can say it",
                    socket.shape
                )));
            };
            if known.is_some_and(|known| known != dim) {
                return Err(fail(format!("has {dim} where {} is expected ({key})", known.unwrap_or(0))));
            }
            dims.push(dim);
        }
        if dims.len() != 4 {
            return Err(fail(format!("has the shape {:?}; a cache has four dimensions", socket.shape)));
        }
        Ok(dims)
    };
    Ok([shape(&inputs[0], "cache_last_channel", Some(0))?, shape(&inputs[1], "cache_last_time", None)?])
}

/// What the exporter wrote must be what `model.toml` says, where it wrote anything.
fn check_metadata(graph: &Graph, streaming: &Streaming, mels: usize) -> Result<(), AsrError> {
    let chunk = streaming.chunk_frames();
    expect_metadata(graph, "cache_last_channel_dim2", streaming.left_frames as usize)?;
    expect_metadata(graph, "chunk_shift", chunk)?;
    expect_metadata(graph, "window_size", streaming.pre_encode_frames as usize + chunk)?;
    expect_metadata(graph, "subsampling_factor", streaming.subsampling as usize)?;
    expect_metadata(graph, "feat_dim", mels)?;
    match graph.metadata.get("normalize_type").map(String::as_str) {
        None | Some("" | "NA") => Ok(()),
        Some(other) => Err(wrong(
            graph,
            format!(
                "its metadata says normalize_type = {other:?}; model.toml says [features] normalize = \"none\""
            ),
        )),
    }
}
