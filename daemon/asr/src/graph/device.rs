//! Where a graph runs, and what ONNX Runtime is told about a CUDA device.

use crate::AsrError;
use ort::ep::{ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProviderDispatch};
use std::fmt;

/// Where a graph runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor, with this many threads.
    Cpu {
        /// Intra-operator threads, at least 1.
        threads: usize,
    },
    /// A CUDA device.
    Cuda(Cuda),
}

/// A CUDA device and how it is to be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cuda {
    /// The number of the device.
    pub number: i32,
    /// The most memory that the arena of a graph may take, in MiB; 0: no limit.
    pub memory_mb: u32,
    /// Whether FP32 is multiplied as TF32, with 10 bits of mantissa in the place of 23.
    pub tf32: bool,
    /// Whether graphs with fixed shapes are captured once and replayed (CUDA graphs).
    pub capture: bool,
}

/// Whether all calls of a graph have the same shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shapes {
    /// They have, and the tensors stay at their addresses, see
    /// [`Recurrent`](super::Recurrent); a call that has not is marked as such.
    Fixed,
    /// They grow with the audio, or the tensors move.
    Moving,
}

impl Device {
    /// Parses `cpu`, `cuda` or `cuda:N`; `threads` is used for the processor.
    ///
    /// # Errors
    /// `Setting` with what can be written.
    pub fn parse(text: &str, threads: usize) -> Result<Self, AsrError> {
        let number = |n: &str| n.parse().ok().filter(|n| (0..64).contains(n));
        let cuda = |number| Self::Cuda(Cuda { number, ..Cuda::default() });
        match text.split_once(':') {
            None if text == "cpu" => Some(Self::Cpu { threads: threads.max(1) }),
            None if text == "cuda" => Some(cuda(0)),
            Some(("cuda", n)) => number(n).map(cuda),
            _ => None,
        }
        .ok_or_else(|| AsrError::Setting(format!("device {text:?} is unknown; use cpu, cuda or cuda:N")))
    }

    /// The same device, used as `tuning` says where it is a CUDA device.
    pub fn tuned(self, tuning: Cuda) -> Self {
        match self {
            Self::Cpu { .. } => self,
            Self::Cuda(Cuda { number, .. }) => Self::Cuda(Cuda { number, ..tuning }),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu { .. } => f.write_str("cpu"),
            Self::Cuda(cuda) => write!(f, "cuda:{}", cuda.number),
        }
    }
}

impl Cuda {
    /// What the CUDA provider is told, as its option keys and values
    /// (onnxruntime.ai, "CUDA Execution Provider").
    pub fn options(self, shapes: Shapes) -> Vec<(&'static str, String)> {
        let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
        let limited = self.memory_mb > 0;
        let mut options = vec![
            ("device_id", self.number.to_string()),
            // Video memory stays at what the model needs; the default doubles it.
            ("arena_extend_strategy", "kSameAsRequested".to_owned()),
            // The default tries every algorithm for each new shape. Windows grow, and
            // even a cache-aware encoder has another shape at the end of an utterance:
            // the person would wait for that search just then.
            ("cudnn_conv_algo_search", "HEURISTIC".to_owned()),
            // The workspace is taken outside the arena, so the limit would not hold it.
            ("cudnn_conv_use_max_workspace", flag(!limited)),
            // The runtime's own default is on, which makes FP32 another precision
            // than the one that is shown.
            ("use_tf32", flag(self.tf32)),
        ];
        if limited {
            options.push(("gpu_mem_limit", (u64::from(self.memory_mb) << 20).to_string()));
        }
        if self.capture && shapes == Shapes::Fixed {
            options.push(("enable_cuda_graph", flag(true)));
        }
        options
    }

    /// The provider, which fails aloud: else "CUDA" could silently mean the processor.
    pub(super) fn provider(self, shapes: Shapes) -> ExecutionProviderDispatch {
        let provider = CUDA::default();
        let told = |provider: CUDA, (key, value): (&str, String)| provider.with_arbitrary_config(key, value);
        self.options(shapes).into_iter().fold(provider, told).build().error_on_failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn options(cuda: Cuda, shapes: Shapes) -> BTreeMap<&'static str, String> {
        let list = cuda.options(shapes);
        let map: BTreeMap<_, _> = list.iter().cloned().collect();
        assert_eq!(map.len(), list.len(), "no key is given twice");
        map
    }

    #[test]
    fn a_dictation_machine_gets_exact_fp32_and_no_more_memory_than_the_model_needs() {
        let told = options(Cuda { number: 1, ..Cuda::default() }, Shapes::Moving);
        let wanted = [
            ("arena_extend_strategy", "kSameAsRequested"),
            ("cudnn_conv_algo_search", "HEURISTIC"),
            ("cudnn_conv_use_max_workspace", "1"),
            ("device_id", "1"),
            ("use_tf32", "0"),
        ];
        assert_eq!(told, wanted.map(|(key, value)| (key, value.to_owned())).into());
    }

    #[test]
    fn a_memory_limit_is_told_in_bytes_and_holds_the_workspace_too() {
        let told = options(Cuda { memory_mb: 6000, ..Cuda::default() }, Shapes::Fixed);
        assert_eq!(told["gpu_mem_limit"], "6291456000");
        assert_eq!(told["cudnn_conv_use_max_workspace"], "0");
    }

    #[test]
    fn only_graphs_with_fixed_shapes_are_captured_and_only_when_asked() {
        for (capture, shapes, captured) in [
            (true, Shapes::Fixed, true),
            (true, Shapes::Moving, false),
            (false, Shapes::Fixed, false),
            (false, Shapes::Moving, false),
        ] {
            let told = options(Cuda { capture, ..Cuda::default() }, shapes);
            assert_eq!(told.contains_key("enable_cuda_graph"), captured, "{capture} {shapes:?}");
        }
    }

    #[test]
    fn tf32_is_there_for_those_who_ask() {
        assert_eq!(options(Cuda { tf32: true, ..Cuda::default() }, Shapes::Moving)["use_tf32"], "1");
    }

    #[test]
    fn a_device_is_read_and_shown_alike_and_nothing_else_is_read() {
        for text in ["cpu", "cuda:0", "cuda:63"] {
            assert_eq!(Device::parse(text, 2).unwrap().to_string(), text);
        }
        assert_eq!(Device::parse("cuda", 2).unwrap().to_string(), "cuda:0");
        assert_eq!(Device::parse("cpu", 0).unwrap(), Device::Cpu { threads: 1 });
        for text in ["", "gpu", "cuda:", "cuda:64", "cuda:-1", "cpu:0"] {
            assert!(Device::parse(text, 1).unwrap_err().to_string().contains("cuda:N"), "{text}");
        }
    }

    #[test]
    fn a_tuning_keeps_the_device_and_leaves_the_processor_alone() {
        let tuning = Cuda { number: 7, memory_mb: 100, tf32: true, capture: true };
        let tuned = Device::parse("cuda:2", 1).unwrap().tuned(tuning);
        assert_eq!(tuned, Device::Cuda(Cuda { number: 2, ..tuning }));
        assert_eq!(Device::Cpu { threads: 3 }.tuned(tuning), Device::Cpu { threads: 3 });
    }
}
