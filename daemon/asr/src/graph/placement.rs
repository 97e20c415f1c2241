//! Which execution provider got which operators, as the runtime tells it.
//!
//! ONNX Runtime places every operator by itself, and one that a device cannot do goes
//! to the processor without a word. So nothing here is concluded from what was asked for.

use super::Device;
use ort::AsPointer;
use ort::session::Session;
use std::collections::BTreeMap;
use std::ffi::CStr;

/// How many operators of which kind each execution provider got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement(pub BTreeMap<String, BTreeMap<String, u32>>);

/// ONNX Runtime's names for the providers that are known here.
const CPU: &str = "CPUExecutionProvider";
const CUDA: &str = "CUDAExecutionProvider";

impl Placement {
    /// Reads it back from a loaded session (ONNX Runtime 1.24 and newer); empty for
    /// the ORT format, whose operators the runtime does not tell.
    pub(super) fn read(session: &Session) -> Result<Self, ort::Error> {
        let mut found = Self::default();
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
                let status = (api.EpAssignedSubgraph_GetNodes)(graph, &mut nodes, &mut length);
                ort::Error::result_from_status(status)?;
                let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                let operators = found.0.entry(name).or_default();
                for j in 0..length {
                    let mut operator = std::ptr::null();
                    let status = (api.EpAssignedNode_GetOperatorType)(*nodes.add(j), &mut operator);
                    ort::Error::result_from_status(status)?;
                    let operator = CStr::from_ptr(operator).to_string_lossy().into_owned();
                    *operators.entry(operator).or_default() += 1;
                }
            }
        }
        Ok(found)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.operators().next().is_none()
    }

    /// The kinds of operators, each as often as providers have it.
    pub fn operators(&self) -> impl Iterator<Item = &str> {
        self.0.values().flatten().map(|(operator, _)| operator.as_str())
    }

    /// `cpu`, or `cuda:N` of `device` where most operators were given to CUDA.
    pub fn provider(&self, device: Device) -> String {
        let count =
            |operators: &BTreeMap<String, u32>| operators.values().map(|n| u64::from(*n)).sum::<u64>();
        let most = self.0.iter().max_by_key(|(_, operators)| count(operators)).map(|(name, _)| name.as_str());
        match (most, device) {
            (Some(CUDA), Device::Cuda(_)) => device.to_string(),
            (Some(CPU) | None, _) => "cpu".to_owned(),
            (Some(other), _) => other.to_owned(),
        }
    }

    /// Why this placement is not what `device` promises, if it is not: that is known
    /// when the runtime tells it, and CUDA has got something to do.
    pub(super) fn fault(&self, device: Device) -> Option<String> {
        let Device::Cuda(_) = device else { return None };
        if self.is_empty() {
            return Some("does not say where its operators run, so CUDA cannot be promised".to_owned());
        }
        let cuda = self.0.get(CUDA).is_some_and(|operators| !operators.is_empty());
        (!cuda).then(|| format!("loads, but none of its operators runs on {device}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Cuda;

    const GPU: Device = Device::Cuda(Cuda { number: 1, memory_mb: 0, tf32: false, capture: false });
    const PROCESSOR: Device = Device::Cpu { threads: 1 };

    fn placement(providers: &[(&str, &[(&str, u32)])]) -> Placement {
        let operators = |list: &[(&str, u32)]| list.iter().map(|(op, n)| ((*op).to_owned(), *n)).collect();
        Placement(providers.iter().map(|(name, list)| ((*name).to_owned(), operators(list))).collect())
    }

    #[test]
    fn a_gpu_is_shown_only_when_most_operators_were_seen_on_it() {
        for (providers, shown) in [
            (placement(&[(CUDA, &[("MatMul", 40), ("Conv", 9)]), (CPU, &[("Gather", 12)])]), "cuda:1"),
            (placement(&[(CUDA, &[("MatMul", 4)]), (CPU, &[("Gather", 3), ("Shape", 9)])]), "cpu"),
            (placement(&[(CPU, &[("MatMul", 40)])]), "cpu"),
            (placement(&[]), "cpu"),
            (placement(&[("XnnpackExecutionProvider", &[("MatMul", 40)])]), "XnnpackExecutionProvider"),
        ] {
            assert_eq!(providers.provider(GPU), shown, "{providers:?}");
        }
        // What runs on CUDA without having been asked to is no device of ours.
        let odd = placement(&[(CUDA, &[("MatMul", 1)])]);
        assert_eq!(odd.provider(PROCESSOR), CUDA);
    }

    #[test]
    fn cuda_without_an_operator_seen_on_it_is_a_fault_and_the_processor_promises_nothing() {
        assert!(placement(&[]).fault(GPU).unwrap().contains("cannot be promised"));
        assert!(placement(&[(CUDA, &[])]).fault(GPU).unwrap().contains("cannot be promised"));
        let all_on_cpu = placement(&[(CPU, &[("MatMul", 40)])]);
        assert!(all_on_cpu.fault(GPU).unwrap().contains("none of its operators runs on cuda:1"));
        assert_eq!(placement(&[(CUDA, &[("MatMul", 1)]), (CPU, &[("Shape", 9)])]).fault(GPU), None);
        assert_eq!(all_on_cpu.fault(PROCESSOR), None);
        assert_eq!(placement(&[]).fault(PROCESSOR), None);
    }
}
