//! What the tensors of a model amount to, and whether their claims can be true.

use crate::{DataType, Header, OnnxError};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The tensors of one type of elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// How many elements they have together.
    pub elements: u64,
    /// How many bytes these take.
    pub bytes: u64,
}

impl Header {
    /// The elements that the model brings, by their type: those of initialisers and
    /// constants, in subgraphs too. What a model is called says nothing: a graph is
    /// FP16 where most of this is [`DataType::F16`].
    pub fn weights_by_type(&self) -> BTreeMap<DataType, Weights> {
        let mut all = BTreeMap::<DataType, Weights>::new();
        for tensor in &self.tensors {
            let of_type = all.entry(tensor.dtype).or_default();
            of_type.elements = of_type.elements.saturating_add(tensor.elements);
            let bytes = size(tensor.dtype, tensor.elements).unwrap_or(0);
            of_type.bytes = of_type.bytes.saturating_add(bytes);
        }
        all
    }

    /// The files beside the ONNX file that hold weights, by their path relative to
    /// its folder, and how many bytes each must have at least.
    ///
    /// # Errors
    /// [`OnnxError::Tensor`] when a tensor names a path that leaves the folder.
    pub fn external_files(&self) -> Result<BTreeMap<PathBuf, u64>, OnnxError> {
        let mut files = BTreeMap::new();
        for tensor in &self.tensors {
            let Some(external) = &tensor.external else { continue };
            let path = Path::new(&external.location);
            let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
            let is_inside = parts.peek().is_some()
                && parts.clone().all(|part| matches!(part, Component::Normal(_)))
                && !external.location.contains('\0');
            if !is_inside {
                let reason = format!(
                    "has its values in {:?}, which is no path inside the folder of the model",
                    external.location
                );
                return Err(OnnxError::Tensor { name: tensor.name.clone(), reason });
            }
            let needed: &mut u64 = files.entry(parts.collect()).or_default();
            *needed = (*needed).max(external.offset.saturating_add(external.length));
        }
        Ok(files)
    }
}

/// The bytes of so many elements; none where the type has no size or the number of
/// bytes is none.
fn size(dtype: DataType, elements: u64) -> Option<u64> {
    elements.checked_mul(dtype.bits()?).map(|bits| bits.div_ceil(8))
}

/// What a tensor says of its values.
#[derive(Default)]
pub(crate) struct Claim {
    pub(crate) dtype: DataType,
    /// The length of `raw_data`.
    pub(crate) raw: Option<u64>,
    /// The bytes of all fields with values of a type.
    pub(crate) typed: u64,
    pub(crate) external: bool,
}

impl Claim {
    /// How many elements the shape has and how many bytes they take. The values
    /// must be there: whoever loads the model would allocate what is claimed.
    pub(crate) fn check(&self, dims: &[u64], length: Option<u64>) -> Result<(u64, u64), String> {
        let product = dims.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
        let shape = || format!("of the type {} and the shape {dims:?}", self.dtype);
        let elements = product
            .filter(|elements| *elements <= i64::MAX as u64 / 16)
            .ok_or_else(|| format!("{} is larger than any memory", shape()))?;
        let bytes = size(self.dtype, elements);
        let wants =
            |there: u64| Err(format!("{} should have {} bytes and has {there}", shape(), bytes.unwrap_or(0)));
        match (self.external, self.raw, bytes) {
            (true, _, Some(bytes)) => match length {
                Some(length) if length != bytes => wants(length),
                _ => Ok((elements, bytes)),
            },
            (true, ..) | (false, Some(_), None) => Err(format!("{} has no values of a known size", shape())),
            (false, Some(raw), Some(bytes)) if raw != bytes => wants(raw),
            (false, Some(_), Some(bytes)) => Ok((elements, bytes)),
            // A number takes a byte at least, and two four-bit ones share one.
            (false, None, _) if elements > self.typed.saturating_mul(2) => wants(self.typed),
            (false, None, _) => Ok((elements, bytes.unwrap_or(0))),
        }
    }
}
