//! What an ONNX file says about itself, read without its weights.
//!
//! An ONNX file is one protocol buffers message with the weights inside, up to two
//! gigabytes of them. The libraries for protocol buffers decode a message that is
//! in memory; this reads the few fields that describe the graph and seeks over the
//! rest, so a header costs what it says and not what the file weighs. The input is
//! not trusted: whatever the bytes are, the answer is a header or an error, within
//! bounded memory. Field numbers are those of `onnx.proto` (ONNX IR version 10).

mod dtype;
mod parse;
mod weights;
pub mod wire;

pub use dtype::DataType;
pub use weights::Weights;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

/// What an ONNX file says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The version of the file format (`ir_version`).
    pub ir_version: u64,
    /// The program that wrote the file, and its version.
    pub producer: (String, String),
    /// Operator sets by their domain; the standard one has the domain "".
    pub opsets: BTreeMap<String, u64>,
    /// What the caller gives, in order; without the initialisers that old files list
    /// here too.
    pub inputs: Vec<Port>,
    /// What the graph gives, in order.
    pub outputs: Vec<Port>,
    /// What exporters write beside the graph (`metadata_props`).
    pub metadata: BTreeMap<String, String>,
    /// Every tensor that the file or a file beside it holds: initialisers and
    /// constants, those of subgraphs (branches, loops) and functions too.
    pub tensors: Vec<Tensor>,
    /// Outputs that the graph keeps below a constant, and the greatest value they can
    /// have: of a Clip that gives the output. Exporters of streaming models bake
    /// their geometry into such bounds and write it nowhere else.
    pub bounds: BTreeMap<String, i64>,
    /// How many nodes there are of each operator type, in subgraphs too.
    pub operators: BTreeMap<String, u64>,
    /// How many convolutions there are of each kind, in subgraphs too.
    pub convolutions: BTreeMap<Convolution, u64>,
}

/// What the attributes of a convolution say, be it of floats or of integers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Convolution {
    /// Its size in each dimension (`kernel_shape`).
    pub kernel: Vec<u64>,
    /// How far it goes on in each dimension (`strides`); empty for ones.
    pub strides: Vec<u64>,
    /// How many groups the channels are in; in a depthwise one as many as channels.
    pub groups: u64,
}

impl Default for Convolution {
    fn default() -> Self {
        Convolution { kernel: Vec::new(), strides: Vec::new(), groups: 1 }
    }
}

/// An input or an output of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// What it is called.
    pub name: String,
    /// The type of its elements; none where it is no tensor.
    pub dtype: Option<DataType>,
    /// Its shape; none where the file leaves even the rank open.
    pub dims: Option<Vec<Dim>>,
}

/// One dimension of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A number.
    Fixed(u64),
    /// A name, which means the same size wherever it stands.
    Named(String),
    /// Left open.
    Open,
}

impl Dim {
    /// The number, where it is one.
    pub fn fixed(&self) -> Option<u64> {
        match self {
            Dim::Fixed(n) => Some(*n),
            _ => None,
        }
    }
}

/// A tensor whose values the file brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// What it is called; a constant without a name has that of its node's output.
    pub name: String,
    /// The type of its elements.
    pub dtype: DataType,
    /// Its shape.
    pub dims: Vec<u64>,
    /// The product of the shape.
    pub elements: u64,
    /// Where its values are, when they are not in this file.
    pub external: Option<External>,
}

/// Where the values of a tensor are, when they are in a file beside the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The path, relative to the folder of the ONNX file.
    pub location: String,
    /// Their first byte.
    pub offset: u64,
    /// How many bytes they are.
    pub length: u64,
}

impl Header {
    /// Reads the header of a whole ONNX file.
    ///
    /// # Errors
    /// [`OnnxError`], with the byte or the tensor.
    pub fn read(input: &mut (impl Read + Seek)) -> Result<Header, OnnxError> {
        parse::header(input)
    }

    /// Reads the header of the ONNX file at `path`.
    ///
    /// # Errors
    /// As [`Header::read`]; also when there is no regular file.
    pub fn of_file(path: &Path) -> Result<Header, OnnxError> {
        // A pipe or a device would be waited for without end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(OnnxError::NotOnnx("it is no regular file".into()));
        }
        Header::read(&mut File::open(path)?)
    }

    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<&Port> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output of that name.
    pub fn output(&self, name: &str) -> Option<&Port> {
        self.outputs.iter().find(|port| port.name == name)
    }
}

/// Why a header could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("is no ONNX file: {0}")]
    NotOnnx(String),
    /// The message breaks off or contradicts itself.
    #[error("is damaged or cut short: at byte {at}, {reason}")]
    Malformed {
        /// Counted from the beginning of the file.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// More of something than any model has; reading on would cost memory.
    #[error("has {0}, more than is read here")]
    TooMuch(&'static str),
    /// A tensor cannot be what the file says.
    #[error("tensor {name:?} {reason}")]
    Tensor {
        /// What it is called.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
