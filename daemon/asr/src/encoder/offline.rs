//! An offline FastConformer or Conformer: one call for a whole window.
//!
//! The graph knows nothing of streaming; what it hears is the window of
//! [`Ring`](crate::features::Ring), and only the frames of the chunk are used.

use super::{Encoded, Socket, expect_metadata, is_float, is_integer, wrong};
use crate::AsrError;
use crate::features::View;
use crate::graph::{Device, Graph, Runtime, Value};
use crate::manifest::{Features, Normalize};
use std::path::Path;

/// The encoder graph; it has no state.
pub struct OfflineEncoder {
    graph: Graph,
    features: Socket,
    length: Socket,
    encoded: Socket,
    encoded_length: Option<Socket>,
    mels: usize,
    /// Mel frames per encoder frame.
    subsampling: usize,
}

impl OfflineEncoder {
    /// Loads `path` and checks it against the manifest.
    ///
    /// # Errors
    /// `Model` naming the tensor or the metadata that does not fit, and whatever
    /// [`Graph::open`] gives.
    pub fn open(
        runtime: &Runtime,
        path: &Path,
        device: Device,
        features: &Features,
        subsampling: usize,
    ) -> Result<Self, AsrError> {
        let graph = Graph::open(runtime, path, device)?;
        let mels = features.mels as usize;
        expect_metadata(&graph, "feat_dim", mels)?;
        expect_metadata(&graph, "subsampling_factor", subsampling)?;
        let wanted = match features.normalize {
            Normalize::None => ["", "NA"].as_slice(),
            Normalize::PerFeature => &["per_feature"],
        };
        if let Some(found) = graph.metadata.get("normalize_type").filter(|t| !wanted.contains(&t.as_str())) {
            let reason = format!(
                "its metadata says normalize_type = {found:?}; [features] normalize of model.toml says otherwise"
            );
            return Err(wrong(&graph, reason));
        }
        let input = Socket::find(&graph, &graph.inputs, "the features (f32 or f16)", is_float)?;
        input.expect_shape(&graph, &[Some(1), Some(mels), None])?;
        let length = Socket::find(&graph, &graph.inputs, "the features' length (integer)", is_integer)?;
        let encoded = Socket::find(&graph, &graph.outputs, "the encoder's output (f32 or f16)", is_float)?;
        encoded.expect_shape(&graph, &[Some(1), None, None])?;
        let encoded_length = match graph.outputs.iter().any(is_integer) {
            true => Some(Socket::find(&graph, &graph.outputs, "the output's length (integer)", is_integer)?),
            false => None,
        };
        Ok(Self { graph, features: input, length, encoded, encoded_length, mels, subsampling })
    }

    /// The graph, for what it says about itself.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The port of [`Encoded::value`].
    pub(crate) fn encoded(&self) -> &Socket {
        &self.encoded
    }

    /// How many tokens a graph with a CTC head scores.
    ///
    /// # Errors
    /// `Model` when the output cannot be such scores.
    pub fn classes(&self) -> Result<usize, AsrError> {
        self.encoded.classes(&self.graph)
    }

    /// Encodes a whole window.
    ///
    /// # Errors
    /// `Run` when the graph fails.
    pub fn encode(&mut self, view: View) -> Result<Encoded, AsrError> {
        let length = view.length();
        let features = self.features.floats(&[1, self.mels, view.frames], view.features)?;
        let lengths = self.length.integers(&[1], &[i32::try_from(length).unwrap_or(i32::MAX)])?;
        let inputs = vec![(self.features.name.as_str(), &features), (self.length.name.as_str(), &lengths)];
        let mut wanted = vec![self.encoded.name.as_str()];
        wanted.extend(self.encoded_length.iter().map(|socket| socket.name.as_str()));
        let mut outputs = self.graph.run(inputs, &wanted)?.into_iter();
        let Some(value) = outputs.next() else {
            return Err(AsrError::Run(format!("{} gave no output", self.graph.path().display())));
        };
        let frames = match outputs.next() {
            Some(lengths) => lengths.integers()?.first().and_then(|n| usize::try_from(*n).ok()).unwrap_or(0),
            // A CTC graph may leave it out; the subsampling rounds up.
            None => length.div_ceil(self.subsampling),
        };
        Ok(Encoded { value, frames })
    }

    /// The encoder states `from..from + frames` of `[1, D, T]`, as the graph types them.
    ///
    /// # Errors
    /// `Run` when there are fewer.
    pub fn states(&self, encoded: &Encoded, from: usize, frames: usize) -> Result<Encoded, AsrError> {
        let [1, width, there] = encoded.value.shape()[..] else {
            return Err(self.misshapen(encoded));
        };
        let states = encoded.value.floats()?;
        let row = |bin: usize| states.get(bin * there + from..bin * there + from + frames);
        let rows: Option<Vec<&[f32]>> =
            if from + frames <= there { (0..width).map(row).collect() } else { None };
        let rows = rows.ok_or_else(|| self.misshapen(encoded))?;
        Ok(Encoded { value: self.encoded.floats(&[1, width, frames], rows.concat())?, frames })
    }

    /// The scores of the frames `from..from + frames` of `[1, T, V]`.
    ///
    /// # Errors
    /// `Run` when there are fewer.
    pub fn scores(&self, encoded: &Encoded, from: usize, frames: usize) -> Result<Encoded, AsrError> {
        let [1, _, width] = encoded.value.shape()[..] else {
            return Err(self.misshapen(encoded));
        };
        let scores = encoded.value.floats()?;
        let chunk = scores.get(from * width..(from + frames) * width);
        let chunk = chunk.ok_or_else(|| self.misshapen(encoded))?;
        Ok(Encoded { value: Value::f32(&[1, frames, width], chunk)?, frames })
    }

    fn misshapen(&self, encoded: &Encoded) -> AsrError {
        let reason = format!(
            "{} gave {:?} frames in the shape {:?}, fewer than the window has",
            self.graph.path().display(),
            encoded.frames,
            encoded.value.shape()
        );
        AsrError::Run(reason)
    }
}
