//! What a model's graphs were seen to be, and whether `model.toml` says the same.
//!
//! The types of the weights are read from the files themselves (`swictation-onnx`), as
//! a runtime may load FP16 and compute something else, and a file may be called FP16
//! and hold FP32. ONNX Runtime's own format does not tell them; there it counts
//! whether integers are multiplied.

use crate::AsrError;
use crate::graph::Graph;
use crate::manifest::{Manifest, Precision};
use std::collections::BTreeMap;
use swictation_core::wire::GraphInfo;

/// Reads back what `graphs` are, and checks the precision that `manifest` declares:
/// most elements of the model's weights must have it, or for INT8 a graph must multiply
/// integers, because quantisation leaves what it cannot do in FP32 (tables,
/// convolutions), and in a small model that is most of it.
///
/// # Errors
/// `Model` naming the file with the fewest such elements, and their share.
pub fn read_back(graphs: &[&Graph], manifest: &Manifest) -> Result<Vec<GraphInfo>, AsrError> {
    let read: Vec<GraphInfo> = graphs.iter().map(|graph| info(graph)).collect();
    let integers = graphs.iter().position(|graph| graph.is_quantised());
    let fault = if read.iter().any(|graph| graph.weights.is_empty()) {
        untold(integers, manifest.precision)
    } else if integers.is_some() && manifest.precision == Precision::Int8 {
        None
    } else {
        wrong_share(&read, manifest.precision)
    };
    match fault.and_then(|(at, reason)| Some((graphs.get(at)?, reason))) {
        Some((graph, reason)) => Err(AsrError::Model { file: graph.path().to_path_buf(), reason }),
        None => Ok(read),
    }
}

fn info(graph: &Graph) -> GraphInfo {
    let file = graph.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    GraphInfo { file, placement: graph.placement.0.clone(), weights: weights(graph) }
}

/// The elements of a graph's weights, by type.
fn weights(graph: &Graph) -> BTreeMap<String, u64> {
    let mut weights = BTreeMap::new();
    for (dtype, found) in &graph.weights {
        *weights.entry(name(&dtype.to_string()).to_owned()).or_default() += found.elements;
    }
    weights
}

/// ONNX's name of a type as people know it.
fn name(dtype: &str) -> &str {
    match dtype {
        "f32" => Precision::Fp32.as_str(),
        "f16" => Precision::Fp16.as_str(),
        "i8" | "u8" => Precision::Int8.as_str(),
        other => other,
    }
}

/// Where the files do not tell: whether one multiplies integers, or none does.
fn untold(integers: Option<usize>, declared: Precision) -> Option<(usize, String)> {
    let found = match (integers, declared) {
        (Some(_), Precision::Int8) | (None, Precision::Fp32 | Precision::Fp16) => return None,
        (Some(_), _) => "multiplies integers",
        (None, _) => "has no integer operators",
    };
    let declared = declared.as_str();
    Some((integers.unwrap_or(0), format!("it {found}; model.toml says precision = {declared:?}")))
}

/// The graph that has least of the declared type, when most of all weights are others.
fn wrong_share(graphs: &[GraphInfo], declared: Precision) -> Option<(usize, String)> {
    let declared = declared.as_str();
    let have = |graph: &GraphInfo| graph.weights.get(declared).copied().unwrap_or(0);
    let all = |graph: &GraphInfo| graph.weights.values().sum::<u64>();
    let percent = |have: u64, all: u64| have as f64 * 100.0 / all.max(1) as f64;
    let share = percent(graphs.iter().map(have).sum(), graphs.iter().map(all).sum());
    if share >= 50.0 {
        return None;
    }
    let of = |graph: &GraphInfo| percent(have(graph), all(graph));
    let (at, graph) = graphs.iter().enumerate().min_by(|(_, a), (_, b)| of(a).total_cmp(&of(b)))?;
    let most = graph.weights.iter().max_by_key(|(_, n)| **n).map_or("others", |(dtype, _)| dtype.as_str());
    let reason = format!(
        "{:.1} % of its weights are {declared}, of all files of the model {share:.1} %; model.toml says precision = {declared:?}, but most are {most}",
        of(graph)
    );
    Some((at, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(weights: &[(&str, u64)]) -> GraphInfo {
        let weights = weights.iter().map(|(dtype, n)| ((*dtype).to_owned(), *n)).collect();
        GraphInfo { weights, ..GraphInfo::default() }
    }

    #[test]
    fn a_model_that_is_called_fp16_and_is_not_is_found_out_with_file_and_share() {
        let graphs = [graph(&[("fp16", 30), ("fp32", 970)]), graph(&[("fp16", 10), ("fp32", 90)])];
        let (at, reason) = wrong_share(&graphs, Precision::Fp16).unwrap();
        assert_eq!(at, 0);
        for part in ["3.0 %", "3.6 %", "fp16", "most are fp32"] {
            assert!(reason.contains(part), "{reason:?} does not say {part:?}");
        }
    }

    #[test]
    fn most_elements_of_the_whole_model_decide() {
        let kept_in_fp32 = [graph(&[("fp16", 900), ("fp32", 20)]), graph(&[("fp32", 50)])];
        assert_eq!(wrong_share(&kept_in_fp32, Precision::Fp16), None);
        assert_eq!(wrong_share(&[graph(&[("int8", 540), ("fp32", 460)])], Precision::Int8), None);
        assert!(wrong_share(&kept_in_fp32, Precision::Fp32).is_some());
        assert!(wrong_share(&kept_in_fp32, Precision::Int8).unwrap().1.contains("0.0 %"));
    }

    #[test]
    fn where_files_do_not_tell_it_counts_whether_integers_are_multiplied() {
        assert_eq!(untold(Some(1), Precision::Int8), None);
        assert_eq!(untold(None, Precision::Fp16), None);
        assert_eq!(untold(Some(1), Precision::Fp16).unwrap().0, 1);
        assert!(untold(None, Precision::Int8).unwrap().1.contains("no integer operators"));
    }
}
