//! ONNX Runtime, and the only file that names it.
//!
//! A [`Runtime`] is the loaded library, a [`Graph`] one model file on one
//! device, a [`Value`] one tensor. A graph is opened on exactly the device that
//! was asked for or not at all: falling back to another device is the daemon's
//! decision, never a branch in here. What the runtime really does (provider of
//! every node, kinds of operators) is read back from it and not assumed.

use crate::{AsrError, files};
use half::f16;
use ort::AsPointer;
use ort::ep::{ArenaExtendStrategy, CUDA};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, ValueType};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a graph runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor, with this many threads.
    Cpu {
        /// Intra-operator threads, at least 1.
        threads: usize,
    },
    /// The CUDA device with this number.
    Cuda(i32),
}

impl Device {
    /// Parses `cpu`, `cuda` or `cuda:N`; `threads` is used for the processor.
    pub fn parse(text: &str, threads: usize) -> Result<Self, AsrError> {
        let cuda = |n: &str| n.parse().ok().filter(|n| (0..64).contains(n)).map(Self::Cuda);
        match text.split_once(':') {
            None if text == "cpu" => Some(Self::Cpu { threads: threads.max(1) }),
            None if text == "cuda" => Some(Self::Cuda(0)),
            Some(("cuda", n)) => cuda(n),
            _ => None,
        }
        .ok_or_else(|| AsrError::Setting(format!("device {text:?} is unknown; use cpu, cuda or cuda:N")))
    }
}

/// Where ONNX Runtime is looked for: `ORT_DYLIB_PATH`, or else where
/// `./scripts/run` puts it in the person's data folder.
pub fn runtime_path() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("ORT_DYLIB_PATH").unwrap_or_else(|| {
        let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
        data.unwrap_or_default().join("swictation/onnxruntime/libonnxruntime.so")
    })
}

/// What to do when there is no CUDA.
const WITHOUT_CUDA: &str = "set device = \"cpu\" in config.toml, or set ORT_DYLIB_PATH to a libonnxruntime.so that was built with CUDA";

/// The loaded ONNX Runtime library.
pub struct Runtime {
    environment: ort::environment::Environment,
    /// Shared with every graph: what comes out is looked at.
    examined: Arc<AtomicBool>,
}

impl Runtime {
    /// Loads the library at `path`, which must be ONNX Runtime 1.24 or newer.
    pub fn open(path: &Path) -> Result<Self, AsrError> {
        let advice = "run ./scripts/run to fetch it, or set ORT_DYLIB_PATH to a libonnxruntime.so of version 1.24 or newer";
        if path.is_absolute() && !path.exists() {
            return Err(AsrError::Runtime(format!(
                "there is no ONNX Runtime at {}; {advice}",
                path.display()
            )));
        }
        let builder = ort::init_from(path).map_err(|e| {
            AsrError::Runtime(format!("ONNX Runtime at {} cannot be used: {e}; {advice}", path.display()))
        })?;
        let environment = builder.with_name("swictation").with_telemetry(false).build().map_err(|e| {
            AsrError::Runtime(format!("ONNX Runtime at {} does not start: {e}", path.display()))
        })?;
        Ok(Self { environment, examined: Arc::default() })
    }

    /// Whether all graphs of this runtime refuse to give floats that are not finite.
    /// That reads every output again, so it is for a self-test and not for every step.
    pub fn examine(&self, on: bool) {
        self.examined.store(on, Ordering::Relaxed);
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

/// A tensor on its way in or out of a graph.
#[derive(Debug)]
pub struct Value(DynValue);

impl Value {
    /// An f32 tensor of `shape`, row-major.
    pub fn f32(shape: &[usize], data: impl Into<Vec<f32>>) -> Result<Self, AsrError> {
        Ok(Self(Tensor::from_array((shape, data.into())).map_err(run_error)?.into_dyn()))
    }
    /// An f16 tensor of `shape`, rounded from f32.
    pub fn f16(shape: &[usize], data: &[f32]) -> Result<Self, AsrError> {
        let data: Vec<f16> = data.iter().map(|v| f16::from_f32(*v)).collect();
        Ok(Self(Tensor::from_array((shape, data)).map_err(run_error)?.into_dyn()))
    }
    /// An i64 tensor of `shape`.
    pub fn i64(shape: &[usize], data: impl Into<Vec<i64>>) -> Result<Self, AsrError> {
        Ok(Self(Tensor::from_array((shape, data.into())).map_err(run_error)?.into_dyn()))
    }
    /// An i32 tensor of `shape`.
    pub fn i32(shape: &[usize], data: impl Into<Vec<i32>>) -> Result<Self, AsrError> {
        Ok(Self(Tensor::from_array((shape, data.into())).map_err(run_error)?.into_dyn()))
    }
    /// A bool tensor of `shape`.
    pub fn bool(shape: &[usize], data: impl Into<Vec<bool>>) -> Result<Self, AsrError> {
        Ok(Self(Tensor::from_array((shape, data.into())).map_err(run_error)?.into_dyn()))
    }
    /// The dimensions; empty for what is not a tensor.
    pub fn shape(&self) -> Vec<usize> {
        match self.0.dtype() {
            ValueType::Tensor { shape, .. } => {
                shape.iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect()
            }
            _ => Vec::new(),
        }
    }
    /// The numbers of an f32 or f16 tensor.
    pub fn floats(&self) -> Result<Cow<'_, [f32]>, AsrError> {
        if let Ok((_, data)) = self.0.try_extract_tensor::<f32>() {
            return Ok(Cow::Borrowed(data));
        }
        let (_, data) = self.0.try_extract_tensor::<f16>().map_err(run_error)?;
        Ok(Cow::Owned(data.iter().map(|v| v.to_f32()).collect()))
    }
    /// How many of the values of a float tensor are not finite, and of how many;
    /// none when all are.
    fn infinite(&self) -> Option<(usize, usize)> {
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
    /// Operators by execution provider, as the runtime assigned them.
    pub assignment: BTreeMap<String, Vec<String>>,
    quantised: bool,
    examined: Arc<AtomicBool>,
}

impl Graph {
    /// Loads `path` on `device`.
    ///
    /// # Errors
    /// `Device` when the execution provider cannot be had, `Model` when the file
    /// cannot be read or is no valid model.
    pub fn open(runtime: &Runtime, path: &Path, device: Device) -> Result<Self, AsrError> {
        let model = |reason: String| AsrError::Model { file: path.to_path_buf(), reason };
        files::expect_sound_graph(path)?;
        let built = session_builder(runtime, device).map_err(|e| model(e.to_string()))?;
        let mut builder = match device {
            Device::Cpu { .. } => built,
            Device::Cuda(number) => built.with_execution_providers([cuda(number)]).map_err(|e| {
                AsrError::Device(format!(
                    "CUDA device {number} cannot be used: {}; {WITHOUT_CUDA}",
                    e.message()
                ))
            })?,
        };
        let session = builder.commit_from_file(path).map_err(|e| match device {
            Device::Cuda(number) if path.exists() => {
                AsrError::Device(format!("{} does not load on CUDA device {number}: {e}", path.display()))
            }
            _ => model(format!("{e}")),
        })?;
        let ports = |outlets: &[ort::value::Outlet]| outlets.iter().map(port).collect();
        let assignment = assignment(&session).map_err(|e| model(e.to_string()))?;
        if assignment.is_empty() && matches!(device, Device::Cuda(_)) {
            let reason = format!(
                "{} does not say where its operators run, so CUDA cannot be promised",
                path.display()
            );
            return Err(AsrError::Device(reason));
        }
        let quantised = is_quantised(path, &assignment).map_err(|e| model(format!("cannot be read: {e}")))?;
        Ok(Self {
            inputs: ports(session.inputs()),
            outputs: ports(session.outputs()),
            metadata: read_metadata(&session),
            assignment,
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
        let mut outputs =
            self.session.run(inputs).map_err(|e| AsrError::Run(format!("{}: {e}", self.path.display())))?;
        let fail = |reason: String| AsrError::Model { file: self.path.clone(), reason };
        let examined = self.examined.load(Ordering::Relaxed);
        let take = |name: &&str| {
            let value = outputs.remove(*name).map(Value);
            let value = value.ok_or_else(|| fail(format!("it has no output {name:?}")))?;
            match examined.then(|| value.infinite()).flatten() {
                Some((bad, all)) => Err(fail(format!(
                    "run to test it, {bad} of the {all} values of its output {name:?} are not finite numbers: the graph overflows in its precision or its weights are damaged; take it in another precision, or fetch it again"
                ))),
                None => Ok(value),
            }
        };
        wanted.iter().map(take).collect()
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

    /// `cpu` or `cuda:N`: the provider that most operators were given to.
    pub fn provider(&self, device: Device) -> String {
        let most = self.assignment.iter().max_by_key(|(_, ops)| ops.len()).map(|(name, _)| name.as_str());
        match (most, device) {
            (Some("CUDAExecutionProvider"), Device::Cuda(n)) => format!("cuda:{n}"),
            (Some("CPUExecutionProvider") | None, _) => "cpu".to_owned(),
            (Some(other), _) => other.to_owned(),
        }
    }

    /// Whether the graph multiplies integers, as dynamically quantised models do.
    pub fn is_quantised(&self) -> bool {
        self.quantised
    }
}

/// Looks for integer operators: in what the runtime says it runs, or, for the
/// ORT format, whose operators it does not tell, in the operator names of the file.
fn is_quantised(path: &Path, assignment: &BTreeMap<String, Vec<String>>) -> std::io::Result<bool> {
    const NAMES: [&str; 4] = ["MatMulInteger", "ConvInteger", "DynamicQuantize", "QLinear"];
    if !assignment.is_empty() {
        let integer = |op: &String| NAMES.iter().any(|name| op.contains(name));
        return Ok(assignment.values().flatten().any(integer));
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
        // A dictation machine waits most of the time; spinning threads would
        // burn a core through every pause and make two threads slower than one.
        .with_intra_op_spinning(false)
        .map_err(plain)?
        // Windows grow with the utterance: a plan per shape would keep a copy
        // of the arena for each length ever seen.
        .with_memory_pattern(false)
        .map_err(plain)?
        .with_config_entry("session.record_ep_graph_assignment_info", "1")
        .map_err(plain)
}

fn cuda(device: i32) -> ort::ep::ExecutionProviderDispatch {
    // Growth as requested keeps video memory at what the model needs; an
    // announced failure is what keeps "CUDA" from silently meaning the CPU.
    CUDA::default()
        .with_device_id(device)
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .build()
        .error_on_failure()
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

/// Which provider got which operators (ONNX Runtime 1.24 and newer).
fn assignment(session: &Session) -> Result<BTreeMap<String, Vec<String>>, ort::Error> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // SAFETY: the session outlives every pointer the runtime hands out here, the
    // arrays have the lengths it reports, and the names are NUL-terminated and
    // owned by the session.
    unsafe {
        let api = ort::api();
        let mut graphs = std::ptr::null();
        let mut count = 0usize;
        let status = (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &mut graphs, &mut count);
        ort::Error::result_from_status(status)?;
        for i in 0..count {
            let graph = *graphs.add(i);
            let mut name = std::ptr::null();
            ort::Error::result_from_status((api.EpAssignedSubgraph_GetEpName)(graph, &mut name))?;
            let mut nodes = std::ptr::null();
            let mut length = 0usize;
            ort::Error::result_from_status((api.EpAssignedSubgraph_GetNodes)(
                graph,
                &mut nodes,
                &mut length,
            ))?;
            let operators = found.entry(CStr::from_ptr(name).to_string_lossy().into_owned()).or_default();
            for j in 0..length {
                let mut operator = std::ptr::null();
                let status = (api.EpAssignedNode_GetOperatorType)(*nodes.add(j), &mut operator);
                ort::Error::result_from_status(status)?;
                operators.push(CStr::from_ptr(operator).to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

fn run_error<R>(e: ort::Error<R>) -> AsrError {
    AsrError::Run(e.message().to_owned())
}
