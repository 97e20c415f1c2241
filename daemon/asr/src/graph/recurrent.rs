//! A graph whose state goes from one call into the next without leaving the device.
//!
//! Each tensor of the state has two places: a call reads one and writes the other, so
//! nothing is copied and nothing allocated, on the processor no more than on a GPU.
//! What a call gets and gives otherwise is small and crosses every time. Where a CUDA
//! graph is captured (`Cuda::capture`), these tensors have fixed places on the device,
//! too: a captured graph knows addresses only. It is captured once for each direction
//! of the state, and calls with other shapes go past it.

use super::{Device, Graph, Value, run_error, run_span};
use crate::AsrError;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, NoSelectedOutputs, RunOptions, Session};
use ort::value::DynTensor;

/// What tells a CUDA graph from another of the same session; -1 is none.
const CAPTURE: &str = "gpu_graph_annotation_id";

/// A tensor that comes out of a call and goes into the next.
pub struct State {
    /// The name of the input.
    pub input: String,
    /// The name of the output; both have the same type and shape.
    pub output: String,
    /// What goes into the first call.
    pub first: Value,
}

/// A graph with state.
pub struct Recurrent {
    graph: Graph,
    binding: IoBinding,
    memory: Memory,
    states: Vec<(State, [DynTensor; 2])>,
    /// The place that holds the state; none before the first call.
    current: Option<usize>,
    /// Whether calls of one shape are to keep all tensors at their places.
    capture: bool,
    captured: Option<Captured>,
    uncaptured: RunOptions<NoSelectedOutputs>,
}

/// Where tensors lie.
struct Memory {
    processor: MemoryInfo<'static>,
    allocator: Allocator,
}

/// The fixed places of what goes in and comes out, bound once for each direction.
struct Captured {
    inputs: Vec<(String, DynTensor)>,
    outputs: Vec<(String, DynTensor)>,
    directions: [(IoBinding, RunOptions<NoSelectedOutputs>); 2],
}

impl Recurrent {
    /// Takes `graph`, which was opened on `device`; with `capture` calls of one shape
    /// keep all their tensors at fixed places.
    ///
    /// # Errors
    /// `Run` when the device has no memory for the state.
    pub fn new(graph: Graph, device: Device, capture: bool, states: Vec<State>) -> Result<Self, AsrError> {
        let build = || -> Result<Self, ort::Error> {
            let memory = Memory::of(&graph.session, device)?;
            let place = |state: State| -> Result<_, ort::Error> {
                let places = [memory.like(&state.first)?, memory.like(&state.first)?];
                Ok((state, places))
            };
            let states = states.into_iter().map(place).collect::<Result<_, _>>()?;
            let (binding, uncaptured) = (graph.session.create_binding()?, run_options("-1")?);
            Ok(Self { graph, binding, memory, states, current: None, capture, captured: None, uncaptured })
        };
        build().map_err(run_error)
    }

    /// The graph, for what it says about itself.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The next call gets the first state.
    pub fn begin(&mut self) {
        self.current = None;
    }

    /// Runs the graph on `inputs` and the state; the outputs named in `wanted`, in
    /// that order, on the processor.
    ///
    /// # Errors
    /// `Run` when the graph fails; the state is then what it was before.
    pub fn run(&mut self, inputs: &[(&str, &Value)], wanted: &[&str]) -> Result<Vec<Value>, AsrError> {
        let outputs = match &self.captured {
            Some(captured) if captured.fits(inputs, wanted) => self.replay(inputs),
            Some(_) => self.call(inputs, wanted),
            None => self.call(inputs, wanted).and_then(|outputs| {
                if self.capture {
                    self.captured = Some(self.capture(inputs, wanted, &outputs)?);
                }
                Ok(outputs)
            }),
        };
        let path = self.graph.path.display();
        let outputs = outputs.map_err(|e| AsrError::of_run(format!("{path}: {}", e.message())))?;
        self.graph.expect_finite(wanted, &outputs)?;
        self.current = Some(self.target());
        Ok(outputs)
    }

    /// One call from the first state, which checks that the state comes out as it
    /// went in; the next call gets the first state again.
    ///
    /// # Errors
    /// `Model` naming the tensor that does not, `Run` when the graph fails.
    pub fn rehearse(&mut self, inputs: &[(&str, &Value)], wanted: &[&str]) -> Result<Vec<Value>, AsrError> {
        let path = &self.graph.path;
        let fail = |e: ort::Error| AsrError::of_run(format!("{}: {}", path.display(), e.message()));
        let mut binding = self.graph.session.create_binding().map_err(fail)?;
        let mut bind = || -> Result<(), ort::Error> {
            for (name, value) in inputs {
                binding.bind_input(*name, &value.0)?;
            }
            for (state, _) in &self.states {
                binding.bind_input(&state.input, &state.first.0)?;
                binding.bind_output_to_device(&state.output, &self.memory.processor)?;
            }
            wanted.iter().try_for_each(|name| binding.bind_output_to_device(*name, &self.memory.processor))
        };
        bind().map_err(fail)?;
        let options = &self.uncaptured;
        let mut outputs = self.graph.session.run_binding_with_options(&binding, options).map_err(fail)?;
        let mut take = |name: &str| outputs.remove(name).map(Value::of).transpose().map_err(fail);
        for (State { input, output, first }, _) in &self.states {
            let (came, went) = (take(output)?.map(|value| value.shape()), first.shape());
            if came.as_ref() != Some(&went) {
                let came = came.unwrap_or_default();
                let reason = format!(
                    "tensor {output:?} comes out with the shape {came:?} where {went:?} went in as {input:?}; model.toml does not belong to this graph"
                );
                return Err(AsrError::Model { file: path.clone(), reason });
            }
        }
        let given: Result<Vec<_>, _> = wanted.iter().filter_map(|name| take(name).transpose()).collect();
        drop(outputs);
        let given = given?;
        self.graph.expect_finite(wanted, &given)?;
        Ok(given)
    }

    /// What the state is, on the processor; of those who have made no call, the first.
    ///
    /// # Errors
    /// `Run` when it cannot be copied.
    pub fn state(&self) -> Result<Vec<Value>, AsrError> {
        let read = |(state, places): &(State, [DynTensor; 2])| {
            let held = self.current.map_or(&state.first.0, |current| &places[current]);
            held.to(AllocationDevice::CPU, 0).map(Value)
        };
        self.states.iter().map(|pair| read(pair).map_err(run_error)).collect()
    }

    /// The next call gets `state`, each tensor of which has the type and the shape of
    /// the first one.
    ///
    /// # Errors
    /// `Checkpoint` when one has not, `Run` when it cannot be copied to the device.
    pub fn restore(&mut self, state: &[Value]) -> Result<(), AsrError> {
        let fits = |((known, _), value): (&(State, _), &Value)| known.first.is_like(value);
        let all = state.len() == self.states.len() && self.states.iter().zip(state).all(fits);
        crate::state::expect(all, "the state of the graph")?;
        for ((_, places), value) in self.states.iter_mut().zip(state) {
            value.0.copy_into(&mut places[0]).map_err(run_error)?;
        }
        self.current = Some(0);
        Ok(())
    }

    /// The place that the next call writes the state to.
    fn target(&self) -> usize {
        self.current.map_or(0, |current| 1 - current)
    }

    fn call(&mut self, inputs: &[(&str, &Value)], wanted: &[&str]) -> Result<Vec<Value>, ort::Error> {
        let target = self.target();
        let binding = &mut self.binding;
        for (name, value) in inputs {
            binding.bind_input(*name, &value.0)?;
        }
        for (state, places) in &mut self.states {
            match self.current {
                Some(current) => binding.bind_input(&state.input, &places[current])?,
                None => binding.bind_input(&state.input, &state.first.0)?,
            }
            binding.bind_output(&state.output, &mut places[target])?;
        }
        for name in wanted {
            // Bound anew, or the next call would write into what this one gave.
            binding.bind_output_to_device(*name, &self.memory.processor)?;
        }
        binding.synchronize_inputs()?;
        let options = &self.uncaptured;
        let span = run_span();
        let mut outputs = self.graph.session.run_binding_with_options(&self.binding, options)?;
        drop(span);
        wanted.iter().filter_map(|name| outputs.remove(*name).map(Value::of)).collect()
    }

    /// Gives everything of a call that was just made, and of those like it, its place.
    fn capture(
        &mut self,
        inputs: &[(&str, &Value)],
        wanted: &[&str],
        outputs: &[Value],
    ) -> Result<Captured, ort::Error> {
        let memory = &self.memory;
        let place = |(name, value): (&str, &Value)| Ok(((*name).to_owned(), memory.like(value)?));
        let inputs = inputs.iter().map(|(name, value)| place((name, value)));
        let inputs = inputs.collect::<Result<Vec<_>, ort::Error>>()?;
        let outputs = wanted.iter().zip(outputs).map(|(name, value)| place((name, value)));
        let mut outputs = outputs.collect::<Result<Vec<_>, ort::Error>>()?;
        let mut direction = |target: usize| -> Result<_, ort::Error> {
            let mut binding = self.graph.session.create_binding()?;
            for (name, value) in &inputs {
                binding.bind_input(name, value)?;
            }
            for (name, value) in &mut outputs {
                binding.bind_output(&*name, value)?;
            }
            for (state, places) in &mut self.states {
                binding.bind_input(&state.input, &places[1 - target])?;
                binding.bind_output(&state.output, &mut places[target])?;
            }
            Ok((binding, run_options(&(target + 1).to_string())?))
        };
        let directions = [direction(0)?, direction(1)?];
        Ok(Captured { inputs, outputs, directions })
    }

    fn replay(&mut self, inputs: &[(&str, &Value)]) -> Result<Vec<Value>, ort::Error> {
        let target = self.target();
        let Some(captured) = &mut self.captured else { return Ok(Vec::new()) };
        for ((_, place), (_, value)) in captured.inputs.iter_mut().zip(inputs) {
            value.0.copy_into(place)?;
        }
        if self.current.is_none() {
            for (state, places) in &mut self.states {
                state.first.0.copy_into(&mut places[1 - target])?;
            }
        }
        let (binding, options) = &captured.directions[target];
        let span = run_span();
        drop(self.graph.session.run_binding_with_options(binding, options)?);
        drop(span);
        let read = |(_, place): &(String, DynTensor)| place.to(AllocationDevice::CPU, 0).map(Value);
        captured.outputs.iter().map(read).collect()
    }
}

impl Captured {
    fn fits(&self, inputs: &[(&str, &Value)], wanted: &[&str]) -> bool {
        let same = |(name, place): &(String, DynTensor), (other, value): &(&str, &Value)| {
            name == other && place.dtype() == value.0.dtype()
        };
        self.inputs.len() == inputs.len()
            && self.inputs.iter().zip(inputs).all(|(place, input)| same(place, input))
            && self.outputs.iter().map(|(name, _)| name.as_str()).eq(wanted.iter().copied())
    }
}

impl Memory {
    fn of(session: &Session, device: Device) -> Result<Self, ort::Error> {
        let processor = MemoryInfo::default();
        let device = match device {
            Device::Cpu { .. } => processor.clone(),
            Device::Cuda(cuda) => MemoryInfo::new(
                AllocationDevice::CUDA,
                cuda.number,
                AllocatorType::Device,
                MemoryType::Default,
            )?,
        };
        Ok(Self { allocator: Allocator::new(session, device)?, processor })
    }

    /// Room on the device for a tensor like `value`.
    fn like(&self, value: &Value) -> Result<DynTensor, ort::Error> {
        DynTensor::new(&self.allocator, *value.0.data_type(), value.0.shape().clone())
    }
}

fn run_options(capture: &str) -> Result<RunOptions<NoSelectedOutputs>, ort::Error> {
    let mut options = RunOptions::new()?;
    options.set(CAPTURE, capture)?;
    Ok(options)
}
