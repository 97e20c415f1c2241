//! Tensors on their way in and out of a graph.

use super::run_error;
use crate::AsrError;
use half::f16;
use ort::value::{
    DynTensor, DynTensorValueType, DynValue, PrimitiveTensorElementType, Tensor, TensorElementType,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use swictation_core::block;

/// A tensor on its way in or out of a graph.
#[derive(Debug)]
pub struct Value(pub(super) DynTensor);

impl Value {
    /// An f32 tensor of `shape`, row-major.
    pub fn f32(shape: &[usize], data: impl Into<Vec<f32>>) -> Result<Self, AsrError> {
        Ok(Self(Tensor::from_array((shape, data.into())).map_err(run_error)?.upcast()))
    }
    /// An f16 tensor of `shape`, rounded from f32.
    pub fn f16(shape: &[usize], data: &[f32]) -> Result<Self, AsrError> {
        let data: Vec<f16> = data.iter().map(|v| f16::from_f32(*v)).collect();
        Ok(Self(Tensor::from_array((shape, data)).map_err(run_error)?.upcast()))
    }
    /// An i64 tensor of `shape`.
    pub fn i64(shape: &[usize], data: impl Into<Vec<i64>>) -> Result<Self, AsrError> {
        Ok(Self(Tensor::from_array((shape, data.into())).map_err(run_error)?.upcast()))
    }
    /// An i32 tensor of `shape`.
    pub fn i32(shape: &[usize], data: impl Into<Vec<i32>>) -> Result<Self, AsrError> {
        Ok(Self(Tensor::from_array((shape, data.into())).map_err(run_error)?.upcast()))
    }
    /// A bool tensor of `shape`.
    pub fn bool(shape: &[usize], data: impl Into<Vec<bool>>) -> Result<Self, AsrError> {
        Ok(Self(Tensor::from_array((shape, data.into())).map_err(run_error)?.upcast()))
    }
    /// What a graph gave.
    pub(super) fn of(value: DynValue) -> Result<Self, ort::Error> {
        value.downcast::<DynTensorValueType>().map(Self)
    }
    /// The dimensions.
    pub fn shape(&self) -> Vec<usize> {
        self.0.shape().iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect()
    }
    /// The numbers of an f32 or f16 tensor.
    pub fn floats(&self) -> Result<Cow<'_, [f32]>, AsrError> {
        if let Ok((_, data)) = self.0.try_extract_tensor::<f32>() {
            return Ok(Cow::Borrowed(data));
        }
        let (_, data) = self.0.try_extract_tensor::<f16>().map_err(run_error)?;
        Ok(Cow::Owned(data.iter().map(|v| v.to_f32()).collect()))
    }
    /// Whether `other` has the same type and shape.
    pub fn is_like(&self, other: &Self) -> bool {
        self.0.data_type() == other.0.data_type() && self.0.shape() == other.0.shape()
    }
    /// How many of the values of a float tensor are not finite, and of how many;
    /// none when all are.
    pub(super) fn infinite(&self) -> Option<(usize, usize)> {
        let values = self.floats().ok()?;
        let bad = values.iter().filter(|value| !value.is_finite()).count();
        (bad > 0).then_some((bad, values.len()))
    }
    /// The numbers of an i64 or i32 tensor.
    pub fn integers(&self) -> Result<Vec<i64>, AsrError> {
        if let Ok((_, data)) = self.0.try_extract_tensor::<i64>() {
            return Ok(data.to_vec());
        }
        let (_, data) = self.0.try_extract_tensor::<i32>().map_err(run_error)?;
        Ok(data.iter().map(|v| i64::from(*v)).collect())
    }
}

/// A tensor as it is written down, bit by bit.
#[derive(Serialize, Deserialize)]
struct Written {
    kind: Kind,
    shape: Vec<usize>,
    #[serde(with = "block::bytes")]
    data: Vec<u8>,
}

/// The types that a state can have.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Kind {
    F32,
    F16,
    I64,
    I32,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (kind, data) = match self.0.data_type() {
            TensorElementType::Float32 => (Kind::F32, self.bytes(f32::to_le_bytes)),
            TensorElementType::Float16 => (Kind::F16, self.bytes(f16::to_le_bytes)),
            TensorElementType::Int64 => (Kind::I64, self.bytes(i64::to_le_bytes)),
            TensorElementType::Int32 => (Kind::I32, self.bytes(i32::to_le_bytes)),
            other => return Err(serde::ser::Error::custom(format!("a tensor of {other} is no state"))),
        };
        Written { kind, shape: self.shape(), data: data.map_err(serde::ser::Error::custom)? }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Written { kind, shape, data } = Written::deserialize(from)?;
        let value = match kind {
            Kind::F32 => Self::from_bytes(&shape, &data, f32::from_le_bytes),
            Kind::F16 => Self::from_bytes(&shape, &data, f16::from_le_bytes),
            Kind::I64 => Self::from_bytes(&shape, &data, i64::from_le_bytes),
            Kind::I32 => Self::from_bytes(&shape, &data, i32::from_le_bytes),
        };
        value.map_err(serde::de::Error::custom)
    }
}

impl Value {
    fn bytes<T: PrimitiveTensorElementType + Copy, const N: usize>(
        &self,
        bytes: impl Fn(T) -> [u8; N],
    ) -> Result<Vec<u8>, AsrError> {
        let (_, values) = self.0.try_extract_tensor::<T>().map_err(run_error)?;
        let mut data = vec![0; values.len() * N];
        for (place, value) in data.chunks_exact_mut(N).zip(values) {
            place.copy_from_slice(&bytes(*value));
        }
        Ok(data)
    }

    fn from_bytes<T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static, const N: usize>(
        shape: &[usize],
        data: &[u8],
        value: impl Fn([u8; N]) -> T,
    ) -> Result<Self, String> {
        let (values, rest) = data.as_chunks::<N>();
        let wanted = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        if wanted != Some(values.len()) || !rest.is_empty() {
            return Err(format!("{} bytes are no tensor of the shape {shape:?}", data.len()));
        }
        let values: Vec<T> = values.iter().map(|bytes| value(*bytes)).collect();
        let tensor = Tensor::from_array((shape, values)).map_err(|e| e.message().to_owned())?;
        Ok(Self(tensor.upcast()))
    }
}
