//! Tensors on their way in and out of a graph.

use super::run_error;
use crate::AsrError;
use half::f16;
use ort::value::{DynTensor, DynTensorValueType, DynValue, Tensor};
use std::borrow::Cow;

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
    /// The numbers of an i64 or i32 tensor.
    pub fn integers(&self) -> Result<Vec<i64>, AsrError> {
        if let Ok((_, data)) = self.0.try_extract_tensor::<i64>() {
            return Ok(data.to_vec());
        }
        let (_, data) = self.0.try_extract_tensor::<i32>().map_err(run_error)?;
        Ok(data.iter().map(|v| i64::from(*v)).collect())
    }
}
