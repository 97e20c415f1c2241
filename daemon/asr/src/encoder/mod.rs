//! Encoders: features in, encoder frames out.
//!
//! An exporter's names and axis orders differ from one tool to the next, so a
//! [`Socket`] is found by what a port is for and checked against `model.toml`
//! and the graph's metadata. What does not fit is an error that names the file
//! and the tensor, never a guess.

mod cache_aware;
mod offline;

pub use cache_aware::CacheAwareEncoder;
pub use offline::OfflineEncoder;

use crate::AsrError;
use crate::graph::{Graph, Port, Value};
use crate::vocab::Vocabulary;

/// What one call of an encoder gave.
#[derive(Debug)]
pub struct Encoded {
    /// What the graph computed: encoder states `[1, D, T]`, or log probabilities
    /// `[1, T, V]` of a graph with a CTC head.
    pub value: Value,
    /// How many of the T frames are real.
    pub frames: usize,
}

/// A port of a graph with a known meaning and a known shape.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    /// The name in the graph.
    pub(crate) name: String,
    /// The data type as [`Port::dtype`] spells it.
    pub(crate) dtype: String,
    /// Dimensions as declared; -1 where the graph leaves one open.
    pub(crate) shape: Vec<i64>,
}

impl Socket {
    /// The only port of `ports` that `fits`; `meaning` is for the message.
    pub(crate) fn find(
        graph: &Graph,
        ports: &[Port],
        meaning: &str,
        fits: impl Fn(&Port) -> bool,
    ) -> Result<Self, AsrError> {
        let mut found = ports.iter().filter(|port| fits(port));
        match (found.next(), found.next()) {
            (Some(port), None) => {
                Ok(Self { name: port.name.clone(), dtype: port.dtype.clone(), shape: port.shape.clone() })
            }
            (first, _) => {
                let count = if first.is_none() { "no" } else { "more than one" };
                let there: Vec<_> = ports.iter().map(|p| format!("{} ({})", p.name, p.dtype)).collect();
                Err(wrong(graph, format!("{count} tensor can be {meaning}; there is {}", there.join(", "))))
            }
        }
    }

    /// Checks that the declared shape can be `wanted` (`None`: any size).
    pub(crate) fn expect_shape(&self, graph: &Graph, wanted: &[Option<usize>]) -> Result<(), AsrError> {
        let agrees = self.shape.len() == wanted.len()
            && self.shape.iter().zip(wanted).all(|(have, want)| match want {
                Some(want) => *have < 0 || usize::try_from(*have) == Ok(*want),
                None => true,
            });
        if agrees {
            return Ok(());
        }
        let wanted: Vec<_> = wanted.iter().map(|d| d.map_or("any".to_owned(), |d| d.to_string())).collect();
        let reason = format!(
            "tensor {:?} has the shape {:?}; model.toml asks for [{}]",
            self.name,
            self.shape,
            wanted.join(", ")
        );
        Err(wrong(graph, reason))
    }

    /// How many tokens are scored here, where a graph ends in a CTC head.
    pub(crate) fn classes(&self, graph: &Graph) -> Result<usize, AsrError> {
        let Self { name, shape, .. } = self;
        shape.last().and_then(|width| usize::try_from(*width).ok()).ok_or_else(|| {
            let reason = format!("tensor {name:?} has the shape {shape:?}; log probabilities [1, T, tokens] of a CTC head are expected");
            wrong(graph, reason)
        })
    }

    /// A tensor of floats in this port's type.
    pub(crate) fn floats(&self, shape: &[usize], data: impl Into<Vec<f32>>) -> Result<Value, AsrError> {
        match self.dtype.as_str() {
            "f16" => Value::f16(shape, &data.into()),
            _ => Value::f32(shape, data),
        }
    }

    /// A tensor of integers in this port's type.
    pub(crate) fn integers(&self, shape: &[usize], data: &[i32]) -> Result<Value, AsrError> {
        match self.dtype.as_str() {
            "i32" => Value::i32(shape, data),
            _ => Value::i64(shape, data.iter().map(|v| i64::from(*v)).collect::<Vec<_>>()),
        }
    }
}

/// Whether a port holds floats that can be computed with here.
pub(crate) fn is_float(port: &Port) -> bool {
    matches!(port.dtype.as_str(), "f32" | "f16")
}

/// Whether a port holds integers that can be computed with here.
pub(crate) fn is_integer(port: &Port) -> bool {
    matches!(port.dtype.as_str(), "i64" | "i32")
}

/// An error about the file of `graph`.
pub(crate) fn wrong(graph: &Graph, reason: String) -> AsrError {
    AsrError::Model { file: graph.path().to_path_buf(), reason }
}

/// The number the exporter wrote under `key`, if it did.
pub(crate) fn metadata(graph: &Graph, key: &str) -> Result<Option<usize>, AsrError> {
    let Some(text) = graph.metadata.get(key) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| wrong(graph, format!("its metadata says {key} = {text:?}, which is no number")))
}

/// What the exporter wrote under `key` must be `wanted`, if it wrote anything.
pub(crate) fn expect_metadata(graph: &Graph, key: &str, wanted: usize) -> Result<(), AsrError> {
    match metadata(graph, key)? {
        Some(found) if found != wanted => {
            Err(wrong(graph, format!("its metadata says {key} = {found}; by model.toml it is {wanted}")))
        }
        _ => Ok(()),
    }
}

/// The vocabulary must be as long as the exporter says, who does not count the blank.
pub(crate) fn expect_pieces(graph: &Graph, vocabulary: &Vocabulary) -> Result<(), AsrError> {
    match metadata(graph, "vocab_size")? {
        Some(pieces) => vocabulary.expect_width(pieces.saturating_add(1), graph.path()),
        None => Ok(()),
    }
}
