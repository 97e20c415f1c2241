//! What was read back of a loaded model: its weights, and where its operators run.
//!
//! A model is called FP16, and a device CUDA, because of what the files hold and of
//! what the runtime did; both are told graph by graph and summed up here.

use crate::wire::EngineInfo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// ONNX Runtime's name for the processor.
const PROCESSOR: &str = "CPUExecutionProvider";

/// One graph of a loaded model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphInfo {
    /// The file's name.
    pub file: String,
    /// How many operators of which kind each execution provider got; empty where
    /// the runtime does not tell, as for the ORT format.
    pub placement: BTreeMap<String, BTreeMap<String, u32>>,
    /// How many elements of each type the weights have: `fp32`, `fp16`, `int8` (of
    /// either sign) and ONNX's names of others; empty where the file does not tell.
    pub weights: BTreeMap<String, u64>,
}

impl EngineInfo {
    /// The share of each type in the weights of all graphs, in percent of elements;
    /// empty when a file does not tell. Elements and not bytes: half the numbers in
    /// FP32 is half the model, and not two thirds of it.
    pub fn weight_shares(&self) -> BTreeMap<String, f64> {
        let mut elements: BTreeMap<String, u64> = BTreeMap::new();
        for graph in &self.graphs {
            if graph.weights.is_empty() {
                return BTreeMap::new();
            }
            for (dtype, n) in &graph.weights {
                *elements.entry(dtype.clone()).or_default() += n;
            }
        }
        let total = elements.values().sum::<u64>().max(1) as f64;
        elements.into_iter().map(|(dtype, n)| (dtype, n as f64 * 100.0 / total)).collect()
    }

    /// Whether a worker with this can go on from a checkpoint of one with `other`: the
    /// same model, precision and settings, wherever either of them runs.
    pub fn goes_on_from(&self, other: &EngineInfo) -> bool {
        let anywhere = |info: &EngineInfo| {
            let mut info = EngineInfo { provider: String::new(), ..info.clone() };
            info.graphs.iter_mut().for_each(|graph| graph.placement.clear());
            info
        };
        anywhere(self) == anywhere(other)
    }

    /// The operators that a GPU left to the processor, by kind; none where the
    /// processor is meant to have them all.
    pub fn left_on_cpu(&self) -> BTreeMap<String, u32> {
        let mut left = BTreeMap::new();
        if self.provider != "cpu" {
            for (operator, n) in
                self.graphs.iter().filter_map(|graph| graph.placement.get(PROCESSOR)).flatten()
            {
                *left.entry(operator.clone()).or_default() += n;
            }
        }
        left
    }
}

/// Shares of [`EngineInfo::weight_shares`] for a person, the greatest first:
/// `99.9 % fp16, 0.1 % i64`; `unknown` where there are none.
pub fn shares(shares: &BTreeMap<String, f64>) -> String {
    if shares.is_empty() {
        return "unknown".to_owned();
    }
    let mut shares: Vec<_> = shares.iter().collect();
    shares.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    // Less than that is the shapes and the axes of a graph, not its weights.
    let shown = shares.iter().filter(|(_, share)| **share >= 0.05);
    let shown: Vec<String> = shown.map(|(dtype, share)| format!("{share:.1} % {dtype}")).collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(weights: &[(&str, u64)], providers: &[(&str, &[(&str, u32)])]) -> GraphInfo {
        let operators = |list: &[(&str, u32)]| list.iter().map(|(op, n)| ((*op).to_owned(), *n)).collect();
        GraphInfo {
            file: "graph.onnx".to_owned(),
            placement: providers.iter().map(|(name, list)| ((*name).to_owned(), operators(list))).collect(),
            weights: weights.iter().map(|(dtype, n)| ((*dtype).to_owned(), *n)).collect(),
        }
    }

    fn engine(provider: &str, graphs: Vec<GraphInfo>) -> EngineInfo {
        EngineInfo { provider: provider.to_owned(), graphs, ..EngineInfo::default() }
    }

    #[test]
    fn shares_are_of_the_elements_of_all_graphs() {
        let graphs = vec![graph(&[("fp16", 700), ("i64", 100)], &[]), graph(&[("fp16", 200)], &[])];
        let shares = engine("cpu", graphs).weight_shares();
        assert_eq!(shares, [("fp16".to_owned(), 90.0), ("i64".to_owned(), 10.0)].into());
    }

    #[test]
    fn a_graph_that_does_not_tell_leaves_the_shares_unknown() {
        let graphs = vec![graph(&[("fp16", 700)], &[]), graph(&[], &[])];
        assert!(engine("cpu", graphs).weight_shares().is_empty());
    }

    #[test]
    fn shares_are_shown_with_the_greatest_first_and_without_what_is_next_to_nothing() {
        let of = |list: &[(&str, f64)]| shares(&list.iter().map(|(d, s)| ((*d).to_owned(), *s)).collect());
        assert_eq!(of(&[("fp16", 2.96), ("fp32", 97.0), ("bool", 0.04)]), "97.0 % fp32, 3.0 % fp16");
        assert_eq!(of(&[]), "unknown");
    }

    #[test]
    fn what_a_gpu_left_to_the_processor_is_counted_by_kind_over_all_graphs() {
        let cuda = ("CUDAExecutionProvider", [("MatMul", 40)].as_slice());
        let graphs = vec![
            graph(&[], &[cuda, (PROCESSOR, &[("Gather", 2), ("Shape", 1)])]),
            graph(&[], &[cuda, (PROCESSOR, &[("Gather", 3)])]),
        ];
        let left = [("Gather".to_owned(), 5), ("Shape".to_owned(), 1)];
        assert_eq!(engine("cuda:0", graphs.clone()).left_on_cpu(), left.into());
        assert!(engine("cpu", graphs).left_on_cpu().is_empty());
    }
}
