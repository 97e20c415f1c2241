//! The two graphs of an attention encoder-decoder: features to states, states and
//! tokens to the next token.
//!
//! Tensors, by the names that onnx-asr's exports have: encoder `audio_signal`
//! f32 \[1, mels, n\], `length` i64 \[1\] → `encoder_embeddings` f32 \[1, t, d\],
//! `encoder_mask` i64 \[1, t\]; decoder `input_ids` i64 \[1, u\], `encoder_embeddings`,
//! `encoder_mask`, `decoder_mems` f32 \[layers + 2, 1, m, d\] → `logits` f32
//! \[1, 1, V\] of the last token, `decoder_hidden_states` f32 \[layers + 2, 1, m + u, d\],
//! and for AlignAtt `xatt` f32 \[1, t\]: the cross-attention of one layer, over all
//! heads, from the last token. The hidden states go into the next call as they came out.

use super::policy::{Decode, Next};
use crate::AsrError;
use crate::boost::{Boost, Walk};
use crate::encoder::{Socket, is_float, is_integer, wrong};
use crate::features::View;
use crate::graph::{Device, Graph, Port, Runtime, Value};
use crate::vocab::Vocabulary;
use std::path::Path;

/// Both graphs and their tensors.
pub(super) struct Graphs {
    encoder: Graph,
    decoder: Graph,
    features: Socket,
    length: Socket,
    states: Socket,
    mask: Socket,
    ids: Socket,
    heard: Socket,
    heard_mask: Socket,
    mems: Socket,
    /// Layers and width of the mems.
    size: (usize, usize),
    /// Logits, next mems and, where there is one, the cross-attention.
    outputs: Vec<String>,
    attends: bool,
    vocabulary: usize,
    boost: Boost,
    /// The token that ends a transcript.
    end: u32,
}

/// A window after the encoder.
pub(super) struct Encoded {
    states: Value,
    /// Encoder frames, with those of padding.
    pub(super) frames: usize,
    /// Encoder frames of audio.
    pub(super) length: usize,
}

/// The decoder listening to the first frames of a window.
pub(super) struct Listener<'a> {
    graphs: &'a mut Graphs,
    states: &'a Value,
    mask: Value,
}

impl Graphs {
    /// Loads both graphs, for features of `mels` bins and the pieces of `vocabulary`, of
    /// which `end` ends a transcript.
    ///
    /// # Errors
    /// `Model` naming the tensor that does not fit, and whatever [`Graph::open`] gives.
    pub(super) fn open(
        runtime: &Runtime,
        (encoder, decoder): (&Path, &Path),
        device: Device,
        mels: usize,
        vocabulary: &Vocabulary,
        end: u32,
    ) -> Result<Self, AsrError> {
        let encoder = Graph::open(runtime, encoder, device)?;
        let decoder = Graph::open(runtime, decoder, device)?;
        let named = |port: &Port, part: &str| port.name.contains(part);
        let features = Socket::find(&encoder, &encoder.inputs, "the features (f32 or f16)", is_float)?;
        features.expect_shape(&encoder, &[Some(1), Some(mels), None])?;
        let length = Socket::find(&encoder, &encoder.inputs, "the features' length (integer)", is_integer)?;
        let states = Socket::find(&encoder, &encoder.outputs, "the encoder's states (f32 or f16)", is_float)?;
        let mask = Socket::find(&encoder, &encoder.outputs, "the encoder's mask (integer)", is_integer)?;
        states.expect_shape(&encoder, &[Some(1), None, None])?;
        mask.expect_shape(&encoder, &[Some(1), None])?;

        let ids = Socket::find(&decoder, &decoder.inputs, "the tokens (input_ids, integer)", |port| {
            is_integer(port) && !named(port, "mask")
        })?;
        let heard_mask = Socket::find(&decoder, &decoder.inputs, "the encoder's mask (integer)", |port| {
            is_integer(port) && named(port, "mask")
        })?;
        let mems = Socket::find(&decoder, &decoder.inputs, "the decoder's cache (decoder_mems)", |port| {
            is_float(port) && named(port, "mems")
        })?;
        let heard = Socket::find(&decoder, &decoder.inputs, "the encoder's states", |port| {
            is_float(port) && !named(port, "mems")
        })?;
        let width = states.shape.last().and_then(|d| usize::try_from(*d).ok());
        heard.expect_shape(&decoder, &[Some(1), None, width])?;
        if heard.dtype != states.dtype {
            let reason = format!(
                "tensor {:?} is {} where the encoder {} gives {}",
                heard.name,
                heard.dtype,
                encoder.path().display(),
                states.dtype
            );
            return Err(wrong(&decoder, reason));
        }
        let logits = Socket::find(&decoder, &decoder.outputs, "the logits", |port| {
            is_float(port) && named(port, "logits")
        })?;
        let next =
            Socket::find(&decoder, &decoder.outputs, "the next cache (decoder_hidden_states)", |port| {
                is_float(port) && named(port, "hidden")
            })?;
        let size = cache_size(&decoder, &mems)?;
        next.expect_shape(&decoder, &[Some(size.0), Some(1), None, Some(size.1)])?;
        let mut outputs = vec![logits.name, next.name];
        let attention = decoder.outputs.iter().find(|port| is_float(port) && named(port, "xatt"));
        outputs.extend(attention.map(|port| port.name.clone()));
        let scored = logits.shape.last().and_then(|d| usize::try_from(*d).ok());
        let (attends, vocabulary) = (attention.is_some(), vocabulary_size(&decoder, scored, vocabulary)?);
        Ok(Self {
            encoder,
            decoder,
            features,
            length,
            states,
            mask,
            ids,
            heard,
            heard_mask,
            mems,
            size,
            outputs,
            attends,
            vocabulary,
            boost: Boost::default(),
            end,
        })
    }

    /// Favours the phrases of `boost`.
    pub(super) fn favour(&mut self, boost: Boost) {
        self.boost = boost;
    }

    /// The phrases that are favoured.
    pub(super) fn boost(&self) -> &Boost {
        &self.boost
    }

    /// Whether `value` can be the decoder's cache of so many tokens.
    pub(super) fn is_cache(&self, value: &Value, tokens: usize) -> bool {
        let (layers, width) = self.size;
        let empty = self.mems.floats(&[layers, 1, tokens, width], vec![0.0; layers * tokens * width]);
        empty.is_ok_and(|like| like.is_like(value))
    }

    /// Encoder and decoder.
    pub(super) fn both(&self) -> [&Graph; 2] {
        [&self.encoder, &self.decoder]
    }

    /// The encoder's graph, for what it says about itself.
    pub(super) fn encoder(&self) -> &Graph {
        &self.encoder
    }

    /// Refuses a decoder that does not tell what it attends to.
    ///
    /// # Errors
    /// `Model` naming the tensor that is missing.
    pub(super) fn expect_attention(&self) -> Result<(), AsrError> {
        if self.attends {
            return Ok(());
        }
        let there: Vec<_> = self.decoder.outputs.iter().map(|port| port.name.as_str()).collect();
        let reason = format!(
            "it has no output \"xatt\" with the cross-attention, which policy = \"alignatt\" needs; it has {}; use an export with that output or policy = \"wait-k\"",
            there.join(", ")
        );
        Err(wrong(&self.decoder, reason))
    }

    /// Encodes the features of one window.
    ///
    /// # Errors
    /// `Run` when the graph fails or gives other shapes than it promised.
    pub(super) fn encode(&mut self, view: View) -> Result<Encoded, AsrError> {
        let (frames, length) = (view.frames, i32::try_from(view.length()).unwrap_or(i32::MAX));
        let mels = view.features.len() / frames;
        let features = self.features.floats(&[1, mels, frames], view.features)?;
        let length = self.length.integers(&[1], &[length])?;
        let inputs = vec![(self.features.name.as_str(), &features), (self.length.name.as_str(), &length)];
        let outputs = self.encoder.run(inputs, &[&self.states.name, &self.mask.name])?;
        let Ok([states, mask]) = <[Value; 2]>::try_from(outputs) else {
            return Err(AsrError::Run(format!("{} gave too few outputs", self.encoder.path().display())));
        };
        let mask = mask.integers()?;
        let &[1, frames, _] = states.shape().as_slice() else {
            let reason =
                format!("tensor {:?} comes out with the shape {:?}", self.states.name, states.shape());
            return Err(wrong(&self.encoder, reason));
        };
        let length = mask.iter().filter(|real| **real != 0).count().min(frames);
        Ok(Encoded { states, frames, length })
    }

    /// The decoder on the first `used` frames of a window.
    ///
    /// # Errors
    /// `Run` when a tensor cannot be made.
    pub(super) fn listen<'a>(
        &'a mut self,
        encoded: &'a Encoded,
        used: usize,
    ) -> Result<Listener<'a>, AsrError> {
        let mask: Vec<i32> = (0..encoded.frames).map(|frame| i32::from(frame < used)).collect();
        let mask = self.heard_mask.integers(&[1, encoded.frames], &mask)?;
        Ok(Listener { graphs: self, states: &encoded.states, mask })
    }
}

impl Decode for Listener<'_> {
    type Cache = Value;

    fn next(&mut self, ids: &[u32], cache: Option<&Value>, walk: Walk) -> Result<(Next, Value), AsrError> {
        let graphs = &mut *self.graphs;
        let ids: Vec<i32> = ids.iter().map(|id| i32::try_from(*id).unwrap_or(i32::MAX)).collect();
        let ids = graphs.ids.integers(&[1, ids.len()], &ids)?;
        let (layers, width) = graphs.size;
        let nothing = match cache {
            Some(_) => None,
            None => Some(graphs.mems.floats(&[layers, 1, 0, width], Vec::new())?),
        };
        let mut inputs = vec![
            (graphs.ids.name.as_str(), &ids),
            (graphs.heard.name.as_str(), self.states),
            (graphs.heard_mask.name.as_str(), &self.mask),
        ];
        inputs.extend(cache.or(nothing.as_ref()).map(|mems| (graphs.mems.name.as_str(), mems)));
        let wanted: Vec<&str> = graphs.outputs.iter().map(String::as_str).collect();
        let mut outputs = graphs.decoder.run(inputs, &wanted)?.into_iter();
        let fail = |reason: String| AsrError::Run(format!("{}: {reason}", graphs.decoder.path().display()));
        let (Some(logits), Some(cache)) = (outputs.next(), outputs.next()) else {
            return Err(fail("it gave too few outputs".to_owned()));
        };
        let all = logits.floats()?;
        // The scores of the last token; what is behind the vocabulary is padding.
        let scored = logits.shape().last().copied().unwrap_or(0);
        let row = all.len().checked_sub(scored).and_then(|begin| all.get(begin..begin + graphs.vocabulary));
        let row = row.ok_or_else(|| fail(format!("it scored {scored} tokens of {}", graphs.vocabulary)))?;
        let best = graphs.boost.best(row, walk, &[graphs.end as usize]);
        let (id, probability) = best.map_err(|e| fail(e.to_string()))?;
        let attention = match outputs.next() {
            Some(attention) => attention.floats()?.into_owned(),
            None => Vec::new(),
        };
        let walk = graphs.boost.advance(walk, id as u32);
        Ok((Next { best: (id as u32, probability), attention, walk }, cache))
    }
}

/// Layers and width of the decoder's cache, which the graph must declare.
fn cache_size(graph: &Graph, mems: &Socket) -> Result<(usize, usize), AsrError> {
    let positive = |declared: i64| usize::try_from(declared).ok().filter(|size| *size > 0);
    let size = match mems.shape.as_slice() {
        &[layers, -1 | 1, -1, width] => positive(layers).zip(positive(width)),
        _ => None,
    };
    size.ok_or_else(|| {
        let reason = format!(
            "tensor {:?} has the shape {:?}; [layers + 2, 1, tokens, width] is expected",
            mems.name, mems.shape
        );
        wrong(graph, reason)
    })
}

/// The size of the vocabulary, which `scored` tokens must hold.
fn vocabulary_size(graph: &Graph, scored: Option<usize>, vocabulary: &Vocabulary) -> Result<usize, AsrError> {
    match scored {
        Some(scored) if scored < vocabulary.size() => {
            let reason =
                format!("it scores {scored} tokens, but the vocabulary has {} pieces", vocabulary.size());
            Err(wrong(graph, reason))
        }
        _ => Ok(vocabulary.size()),
    }
}
