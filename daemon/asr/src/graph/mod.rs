//! ONNX Runtime, and the only place that names it.
//!
//! A [`Runtime`] is the loaded library, a [`Graph`] one model file on one
//! device, a [`Value`] one tensor, a [`Recurrent`] a graph whose state stays there. A
//! graph is opened on exactly the device that was asked for or not at all: falling
//! back to another device is the daemon's decision, never a branch in here. What the
//! runtime really does (provider of every node, kinds of operators) is read back from
//! it and not assumed.

mod device;
mod failure;
mod placement;
mod recurrent;
mod runtime;
mod value;

pub use device::{Cuda, Device, Shapes};
pub use placement::Placement;
pub use recurrent::{Recurrent, State};
pub use runtime::{Runtime, runtime_path};
pub use value::Value;

use crate::{AsrError, files};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, ValueType};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use swictation_onnx::{DataType, Weights};

/// What to do when there is no CUDA, from what ONNX Runtime says of it.
fn remedy(message: &str) -> &'static str {
    // "CUDA failure" is an answer of CUDA's, so it was there to be asked.
    if message.contains("CUDA failure") {
        "see what nvidia-smi says; a driver that was updated works after a restart of the machine, and with device = \"cpu\" in config.toml no driver is needed"
    } else if message.contains("cannot open shared object file") || message.contains("undefined symbol") {
        "install the library that is named, put its folder into LD_LIBRARY_PATH, or set device = \"cpu\" in config.toml"
    } else {
        "set device = \"cpu\" in config.toml, or set ORT_DYLIB_PATH to a libonnxruntime.so that was built with CUDA"
    }
}

/// The declared type of one input or output.
#[derive(Clone, Debug)]
pub struct Port {
    /// The name in the graph.
    pub name: String,
    /// `f32`, `f16`, `i64`, `i32`, `bool` or another name of ONNX's.
    pub dtype: String,
    /// Dimensions; -1 where the graph leaves one open.
    pub shape: Vec<i64>,
}

/// One model file, loaded on one device.
pub struct Graph {
    session: Session,
    path: PathBuf,
    /// What goes in, in the graph's order.
    pub inputs: Vec<Port>,
    /// What comes out, in the graph's order.
    pub outputs: Vec<Port>,
    /// The metadata that the exporter wrote.
    pub metadata: BTreeMap<String, String>,
    /// Where its operators run, as the runtime says.
    pub placement: Placement,
    /// What its file says of its weights; empty for ONNX Runtime's own format, which
    /// does not tell.
    pub weights: BTreeMap<DataType, Weights>,
    quantised: bool,
    examined: Arc<AtomicBool>,
}

impl Graph {
    /// Loads `path` on `device`; its shapes may move.
    ///
    /// # Errors
    /// `Device` when the execution provider cannot be had, `Memory` when it has no room,
    /// `Model` when the file cannot be read or is no valid model.
    pub fn open(runtime: &Runtime, path: &Path, device: Device) -> Result<Self, AsrError> {
        Self::open_as(runtime, path, device, Shapes::Moving)
    }

    /// Loads `path` on `device` for calls with such `shapes`.
    ///
    /// # Errors
    /// As [`Graph::open`].
    pub fn open_as(runtime: &Runtime, path: &Path, device: Device, shapes: Shapes) -> Result<Self, AsrError> {
        let model = |reason: String| AsrError::Model { file: path.to_path_buf(), reason };
        let header = files::sound_header(path)?;
        let built = session_builder(runtime, device).map_err(|e| model(e.to_string()))?;
        let mut builder = match device {
            Device::Cpu { .. } => built,
            Device::Cuda(cuda) => built.with_execution_providers([cuda.provider(shapes)]).map_err(|e| {
                let message = e.message().trim_end();
                AsrError::of_device(format!("device {device} cannot be used: {message}; {}", remedy(message)))
            })?,
        };
        let session = builder.commit_from_file(path).map_err(|e| match device {
            Device::Cuda(_) if path.exists() => {
                AsrError::of_device(format!("{} does not load on device {device}: {e}", path.display()))
            }
            _ => model(format!("{e}")),
        })?;
        let ports = |outlets: &[ort::value::Outlet]| outlets.iter().map(port).collect();
        let placement = Placement::read(&session).map_err(|e| model(e.to_string()))?;
        if let Some(fault) = placement.fault(device) {
            return Err(AsrError::Device(format!("{} {fault}", path.display())));
        }
        let quantised = is_quantised(path, &placement).map_err(|e| model(format!("cannot be read: {e}")))?;
        Ok(Self {
            inputs: ports(session.inputs()),
            outputs: ports(session.outputs()),
            metadata: read_metadata(&session),
            placement,
            weights: header.map_or_else(BTreeMap::new, |header| header.weights_by_type()),
            quantised,
            examined: Arc::clone(&runtime.examined),
            path: path.to_path_buf(),
            session,
        })
    }

    /// The file this graph was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs the graph; the outputs named in `wanted`, in that order.
    pub fn run(&mut self, inputs: Vec<(&str, &Value)>, wanted: &[&str]) -> Result<Vec<Value>, AsrError> {
        let inputs: Vec<(&str, SessionInputValue<'_>)> =
            inputs.into_iter().map(|(name, value)| (name, SessionInputValue::from(&value.0))).collect();
        let span = run_span();
        let mut outputs = self
            .session
            .run(inputs)
            .map_err(|e| AsrError::of_run(format!("{}: {e}", self.path.display())))?;
        drop(span);
        let taken: Vec<_> = wanted.iter().map(|name| outputs.remove(*name)).collect();
        drop(outputs);
        let mut values = Vec::with_capacity(taken.len());
        for (name, value) in wanted.iter().zip(taken) {
            let value = value.ok_or_else(|| self.fault(format!("it has no output {name:?}")))?;
            values.push(Value::of(value).map_err(run_error)?);
        }
        self.expect_finite(wanted, &values)?;
        Ok(values)
    }

    /// While graphs are examined: that the outputs called `names` are finite numbers.
    fn expect_finite(&self, names: &[&str], values: &[Value]) -> Result<(), AsrError> {
        if !self.examined.load(Ordering::Relaxed) {
            return Ok(());
        }
        let bad =
            |(name, value): (&&str, &Value)| value.infinite().map(|(bad, all)| (name.to_string(), bad, all));
        match names.iter().zip(values).find_map(bad) {
            None => Ok(()),
            Some((name, bad, all)) => Err(self.fault(format!(
                "run to test it, {bad} of the {all} values of its output {name:?} are not finite numbers: the graph overflows in its precision or its weights are damaged; take it in another precision, or fetch it again"
            ))),
        }
    }

    fn fault(&self, reason: String) -> AsrError {
        AsrError::Model { file: self.path.clone(), reason }
    }

    /// A float tensor in the type that the input `name` declares.
    pub fn float_input(&self, name: &str, shape: &[usize], data: &[f32]) -> Result<Value, AsrError> {
        match self.input(name)?.dtype.as_str() {
            "f16" => Value::f16(shape, data),
            _ => Value::f32(shape, data),
        }
    }

    /// The input called `name`.
    ///
    /// # Errors
    /// `Model`, naming the inputs there are.
    pub fn input(&self, name: &str) -> Result<&Port, AsrError> {
        find(&self.inputs, name, "input", &self.path)
    }

    /// The output called `name`.
    ///
    /// # Errors
    /// `Model`, naming the outputs there are.
    pub fn output(&self, name: &str) -> Result<&Port, AsrError> {
        find(&self.outputs, name, "output", &self.path)
    }

    /// `cpu` or `cuda:N`: where most operators were placed.
    pub fn provider(&self, device: Device) -> String {
        self.placement.provider(device)
    }

    /// Whether the graph multiplies integers, as dynamically quantised models do.
    pub fn is_quantised(&self) -> bool {
        self.quantised
    }
}

/// Looks for integer operators: in what the runtime says it runs, or, for the
/// ORT format, whose operators it does not tell, in the operator names of the file.
fn is_quantised(path: &Path, placement: &Placement) -> std::io::Result<bool> {
    const NAMES: [&str; 4] = ["MatMulInteger", "ConvInteger", "DynamicQuantize", "QLinear"];
    if !placement.is_empty() {
        return Ok(placement.operators().any(|op| NAMES.iter().any(|name| op.contains(name))));
    }
    let bytes = std::fs::read(path)?;
    let starts = |name: &str| {
        let (first, name) = (name.as_bytes()[0], name.as_bytes());
        bytes.iter().enumerate().any(|(i, b)| *b == first && bytes[i..].starts_with(name))
    };
    Ok(NAMES.iter().any(|name| starts(name)))
}

fn find<'a>(ports: &'a [Port], name: &str, what: &str, path: &Path) -> Result<&'a Port, AsrError> {
    ports.iter().find(|p| p.name == name).ok_or_else(|| {
        let there: Vec<_> = ports.iter().map(|p| p.name.as_str()).collect();
        AsrError::Model {
            file: path.to_path_buf(),
            reason: format!("it has no {what} {name:?}; it has {}", there.join(", ")),
        }
    })
}

fn session_builder(runtime: &Runtime, device: Device) -> Result<SessionBuilder, ort::Error> {
    let threads = match device {
        Device::Cpu { threads } => threads,
        Device::Cuda(_) => 1,
    };
    let plain = ort::Error::<()>::from;
    Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(plain)?
        .with_intra_threads(threads)
        .map_err(plain)?
        .with_inter_threads(1)
        .map_err(plain)?
        // A thread that spins for its next piece of a step has it sooner than one that
        // is woken. A dictation machine waits most of the time, though: behind each
        // call they must stop, or they would burn a core through every pause.
        .with_intra_op_spinning(true)
        .map_err(plain)?
        .with_config_entry("session.force_spinning_stop", "1")
        .map_err(plain)?
        // Windows grow with the utterance: a plan per shape would keep a copy
        // of the arena for each length ever seen.
        .with_memory_pattern(false)
        .map_err(plain)?
        .with_config_entry("session.record_ep_graph_assignment_info", "1")
        .map_err(plain)
}

fn port(outlet: &ort::value::Outlet) -> Port {
    let (dtype, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (type_name(*ty), shape.to_vec()),
        other => (format!("{other:?}"), Vec::new()),
    };
    Port { name: outlet.name().to_owned(), dtype, shape }
}

fn type_name(ty: TensorElementType) -> String {
    match ty {
        TensorElementType::Float32 => "f32".to_owned(),
        TensorElementType::Float16 => "f16".to_owned(),
        TensorElementType::Int64 => "i64".to_owned(),
        TensorElementType::Int32 => "i32".to_owned(),
        TensorElementType::Bool => "bool".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn read_metadata(session: &Session) -> BTreeMap<String, String> {
    let Ok(metadata) = session.metadata() else { return BTreeMap::new() };
    let keys = metadata.custom_keys().unwrap_or_default();
    keys.into_iter().filter_map(|key| metadata.custom(&key).map(|value| (key, value))).collect()
}

/// Around every call of the runtime, so that `benches/step` can tell its time from ours.
fn run_span() -> tracing::span::EnteredSpan {
    tracing::trace_span!("run").entered()
}

fn run_error<R>(e: ort::Error<R>) -> AsrError {
    AsrError::of_run(e.message().to_owned())
}
