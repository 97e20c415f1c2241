//! The messages of `onnx.proto`, as far as they describe a model.

use crate::weights::Claim;
use crate::wire::{Value, Wire};
use crate::{Convolution, DataType, Dim, External, Header, OnnxError, Port, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

/// How deep subgraphs may lie in one another; ONNX Runtime has no more either.
const MAX_DEPTH: u32 = 32;
/// Dimensions of a tensor; real ones have up to six.
const MAX_RANK: usize = 64;

/// Reads a `ModelProto`.
pub(crate) fn header(input: &mut (impl Read + Seek)) -> Result<Header, OnnxError> {
    let (mut wire, end) = Wire::new(input)?;
    if end == 0 {
        return Err(OnnxError::NotOnnx("it is empty".into()));
    }
    if wire.peek()?.starts_with(b"version https://git-lfs") {
        return Err(OnnxError::NotOnnx("it is a pointer of Git LFS; `git lfs pull` fetches the file".into()));
    }
    let mut parse = Parse::default();
    wire.message(end, &mut |wire, number, value| parse.model(wire, number, value)).map_err(|e| match e {
        // Nothing of a model came before: it is not a damaged one but something else.
        OnnxError::Malformed { at, reason } if parse.header.ir_version == 0 && !parse.has_graph => {
            OnnxError::NotOnnx(format!("at byte {at}, {reason}"))
        }
        e => e,
    })?;
    let missing = match (&parse.header, parse.has_graph) {
        (header, _) if header.ir_version == 0 => "there is no ir_version",
        (_, false) => "there is no graph",
        (header, _) if header.opsets.is_empty() => "there is no opset_import; the file may be cut short",
        _ => {
            let Parse { mut header, initialized, clips, scalars, .. } = parse;
            header.inputs.retain(|port| !initialized.contains(&port.name));
            for port in &header.outputs {
                let bound = clips.get(&port.name).and_then(|bound| scalars.get(bound));
                header.bounds.extend(bound.map(|bound| (port.name.clone(), *bound)));
            }
            return Ok(header);
        }
    };
    Err(OnnxError::NotOnnx(missing.into()))
}

#[derive(Default)]
struct Parse {
    header: Header,
    /// The names of the graph's own initialisers, which old files list as inputs.
    initialized: BTreeSet<String>,
    has_graph: bool,
    /// What each Clip of the graph itself gives, and the name of its upper bound.
    clips: BTreeMap<String, String>,
    /// Integers that are constants.
    scalars: BTreeMap<String, i64>,
    /// The newest tensor, if it is one integer.
    scalar: Option<i64>,
}

impl Parse {
    fn model<R: Read + Seek>(
        &mut self,
        wire: &mut Wire<R>,
        number: u64,
        value: Value,
    ) -> Result<(), OnnxError> {
        match number {
            1 => self.header.ir_version = wire.integer(value)?,
            2 => self.header.producer.0 = wire.text(value)?,
            3 => self.header.producer.1 = wire.text(value)?,
            7 => {
                self.has_graph = true;
                let end = wire.inside(value)?;
                self.graph(wire, end, 0)?;
            }
            8 => {
                wire.count()?;
                let (mut domain, mut version) = (String::new(), 0);
                let end = wire.inside(value)?;
                wire.message(end, &mut |wire, number, value| {
                    match number {
                        1 => domain = wire.text(value)?,
                        2 => version = wire.integer(value)?,
                        _ => {}
                    }
                    Ok(())
                })?;
                self.header.opsets.insert(domain, version);
            }
            14 => {
                wire.count()?;
                let (key, value) = pair(wire, value)?;
                self.header.metadata.insert(key, value);
            }
            // A FunctionProto: a graph that nodes call by its name.
            25 => {
                let end = wire.inside(value)?;
                wire.message(end, &mut |wire, number, value| match number {
                    7 => self.node(wire, value, 1),
                    _ => Ok(()),
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn graph<R: Read + Seek>(&mut self, wire: &mut Wire<R>, end: u64, depth: u32) -> Result<(), OnnxError> {
        if depth > MAX_DEPTH {
            return Err(OnnxError::TooMuch("more than 32 subgraphs in one another"));
        }
        wire.message(end, &mut |wire, number, value| {
            match number {
                1 => self.node(wire, value, depth)?,
                5 => {
                    self.tensor(wire, value)?;
                    if let Some(tensor) = self.header.tensors.last().filter(|_| depth == 0) {
                        self.initialized.insert(tensor.name.clone());
                        self.scalars.extend(self.scalar.map(|scalar| (tensor.name.clone(), scalar)));
                    }
                }
                11 if depth == 0 => self.header.inputs.push(port(wire, value)?),
                12 if depth == 0 => self.header.outputs.push(port(wire, value)?),
                15 => self.sparse(wire, value)?,
                _ => {}
            }
            Ok(())
        })
    }

    fn node<R: Read + Seek>(
        &mut self,
        wire: &mut Wire<R>,
        value: Value,
        depth: u32,
    ) -> Result<(), OnnxError> {
        let (mut operator, mut output, mut inputs) = (String::new(), String::new(), Vec::new());
        let first = self.header.tensors.len();
        let mut convolution = Convolution::default();
        self.scalar = None;
        let end = wire.inside(value)?;
        wire.message(end, &mut |wire, number, value| {
            match number {
                1 if inputs.len() < 3 => inputs.push(wire.text(value)?),
                2 if output.is_empty() => output = wire.text(value)?,
                4 => operator = wire.text(value)?,
                5 => self.attribute(wire, value, depth, &mut convolution)?,
                _ => {}
            }
            Ok(())
        })?;
        if operator.starts_with("Conv") && !convolution.kernel.is_empty() {
            if !self.header.convolutions.contains_key(&convolution) {
                wire.count()?;
            }
            *self.header.convolutions.entry(convolution).or_default() += 1;
        }
        for tensor in self.header.tensors[first..].iter_mut().filter(|tensor| tensor.name.is_empty()) {
            tensor.name.clone_from(&output);
        }
        if depth == 0 && operator == "Constant" {
            // The node's output is what others know it by.
            let scalar = self.scalar.take();
            self.scalars.extend(scalar.map(|scalar| (output.clone(), scalar)));
        }
        if depth == 0 && operator == "Clip" && inputs.len() == 3 {
            wire.count()?;
            self.clips.extend(inputs.pop().map(|bound| (output.clone(), bound)));
        }
        if !self.header.operators.contains_key(&operator) {
            wire.count()?;
        }
        *self.header.operators.entry(operator).or_default() += 1;
        Ok(())
    }

    fn attribute<R: Read + Seek>(
        &mut self,
        wire: &mut Wire<R>,
        value: Value,
        depth: u32,
        convolution: &mut Convolution,
    ) -> Result<(), OnnxError> {
        let (mut name, mut one, mut several) = (String::new(), None, Vec::new());
        let end = wire.inside(value)?;
        wire.message(end, &mut |wire, number, value| match number {
            1 => wire.text(value).map(|text| name = text),
            3 => wire.integer(value).map(|n| one = Some(n)),
            5 | 10 => self.tensor(wire, value),
            6 | 11 => {
                let end = wire.inside(value)?;
                self.graph(wire, end, depth + 1)
            }
            // No convolution has more dimensions; other lists may have any length.
            8 => wire.numbers(value, &mut |n| {
                several.extend((several.len() < 8).then_some(n));
                Ok(())
            }),
            22 | 23 => self.sparse(wire, value),
            _ => Ok(()),
        })?;
        match name.as_str() {
            "kernel_shape" => convolution.kernel = several,
            "strides" => convolution.strides = several,
            "group" => convolution.groups = one.unwrap_or(1),
            _ => {}
        }
        Ok(())
    }

    /// A `SparseTensorProto`: what counts is the values that are there.
    fn sparse<R: Read + Seek>(&mut self, wire: &mut Wire<R>, value: Value) -> Result<(), OnnxError> {
        let end = wire.inside(value)?;
        wire.message(end, &mut |wire, number, value| match number {
            1 => self.tensor(wire, value),
            _ => Ok(()),
        })
    }

    fn tensor<R: Read + Seek>(&mut self, wire: &mut Wire<R>, value: Value) -> Result<(), OnnxError> {
        wire.count()?;
        let mut claim = Claim::default();
        let mut external = External { location: String::new(), offset: 0, length: 0 };
        let (mut name, mut dims, mut length) = (String::new(), Vec::new(), None);
        let mut integer = None;
        let end = wire.inside(value)?;
        wire.message(end, &mut |wire, number, value| {
            match number {
                1 => wire.numbers(value, &mut |dim| {
                    dims.push(dim);
                    if dims.len() > MAX_RANK {
                        return Err(OnnxError::TooMuch("a tensor of more than 64 dimensions"));
                    }
                    Ok(())
                })?,
                2 => claim.dtype = DataType(wire.integer(value)?),
                // Floats, integers, strings and so on, by their own types.
                4..=7 | 10 | 11 => {
                    claim.typed += wire.length(value).max(1);
                    if [5, 7].contains(&number) && wire.length(value) <= 10 {
                        wire.numbers(value, &mut |n| {
                            integer = Some(n as i64);
                            Ok(())
                        })?;
                    }
                }
                8 => name = wire.text(value)?,
                9 => {
                    claim.raw = Some(wire.length(value));
                    integer = wire.little_endian(value)?.or(integer);
                }
                13 => {
                    let (key, value) = pair(wire, value)?;
                    let number = || {
                        value
                            .parse::<u64>()
                            .map_err(|_| wire.malformed(format!("external_data has {key} = {value:?}")))
                    };
                    match key.as_str() {
                        "location" => external.location = value,
                        "offset" => external.offset = number()?,
                        "length" => length = Some(number()?),
                        _ => {}
                    }
                }
                14 => claim.external = wire.integer(value)? == 1,
                _ => {}
            }
            Ok(())
        })?;
        let named = |reason: String| OnnxError::Tensor { name: name.clone(), reason };
        let (elements, bytes) = claim.check(&dims, length).map_err(named)?;
        self.scalar =
            integer.filter(|_| elements == 1 && [DataType::I64, DataType::I32].contains(&claim.dtype));
        let external = claim.external.then_some(External { length: bytes, ..external });
        self.header.tensors.push(Tensor { name, dtype: claim.dtype, dims, elements, external });
        Ok(())
    }
}

/// A `StringStringEntryProto`.
fn pair<R: Read + Seek>(wire: &mut Wire<R>, value: Value) -> Result<(String, String), OnnxError> {
    let mut pair = (String::new(), String::new());
    let end = wire.inside(value)?;
    wire.message(end, &mut |wire, number, value| {
        match number {
            1 => pair.0 = wire.text(value)?,
            2 => pair.1 = wire.text(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(pair)
}

/// A `ValueInfoProto`.
fn port<R: Read + Seek>(wire: &mut Wire<R>, value: Value) -> Result<Port, OnnxError> {
    wire.count()?;
    let mut port = Port { name: String::new(), dtype: None, dims: None };
    let end = wire.inside(value)?;
    wire.message(end, &mut |wire, number, value| {
        match number {
            1 => port.name = wire.text(value)?,
            2 => {
                // TypeProto with, for a tensor, a TypeProto.Tensor.
                let end = wire.inside(value)?;
                wire.message(end, &mut |wire, number, value| match number {
                    1 => tensor_type(wire, value, &mut port),
                    _ => Ok(()),
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(port)
}

fn tensor_type<R: Read + Seek>(wire: &mut Wire<R>, value: Value, port: &mut Port) -> Result<(), OnnxError> {
    let end = wire.inside(value)?;
    wire.message(end, &mut |wire, number, value| {
        match number {
            1 => port.dtype = Some(DataType(wire.integer(value)?)),
            2 => {
                let dims = port.dims.get_or_insert_default();
                let end = wire.inside(value)?;
                wire.message(end, &mut |wire, number, value| match number {
                    1 => {
                        dims.push(dimension(wire, value)?);
                        if dims.len() > MAX_RANK {
                            return Err(OnnxError::TooMuch("a tensor of more than 64 dimensions"));
                        }
                        Ok(())
                    }
                    _ => Ok(()),
                })?;
            }
            _ => {}
        }
        Ok(())
    })
}

fn dimension<R: Read + Seek>(wire: &mut Wire<R>, value: Value) -> Result<Dim, OnnxError> {
    let mut dim = Dim::Open;
    let end = wire.inside(value)?;
    wire.message(end, &mut |wire, number, value| {
        match number {
            // Old exporters write -1 for what is open.
            1 => {
                dim = i64::try_from(wire.integer(value)?).map_or(Dim::Open, |n| Dim::Fixed(n.unsigned_abs()))
            }
            2 => dim = Dim::Named(wire.text(value)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(dim)
}
