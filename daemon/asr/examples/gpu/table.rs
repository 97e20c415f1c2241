//! What was measured, compared and as a table.

use crate::measure::{Job, Measured};
use std::path::Path;

/// A line of the table.
pub(crate) struct Row {
    pub(crate) precision: String,
    /// The tokens are the reference's.
    pub(crate) exact: bool,
    cells: [String; 9],
}

const HEADS: [&str; 9] = [
    "model",
    "weights",
    "device",
    "operators left on the CPU",
    "tokens as FP32 on the CPU",
    "encoder, largest difference",
    "ms a chunk, p50",
    "ms a chunk, p95",
    "memory loaded / peak, MiB",
];

pub(crate) fn compare(folder: &Path, measured: &Measured, reference: &Measured) -> Row {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let exact = measured.tokens == reference.tokens;
    let tokens = match measured.tokens.len() {
        n if exact => format!("all {n}"),
        n => {
            let same = measured.tokens.iter().zip(&reference.tokens).take_while(|(a, b)| a == b).count();
            format!("the first {same}; {n} against {}", reference.tokens.len())
        }
    };
    let mut steps = measured.steps.clone();
    steps.sort_by(f64::total_cmp);
    let percentile = |p: usize| {
        let at = (steps.len() * p).div_ceil(100).clamp(1, steps.len().max(1)) - 1;
        steps.get(at).map_or_else(|| "no step".to_owned(), |ms| format!("{ms:.2}"))
    };
    let cells = [
        name,
        measured.weights.clone(),
        measured.provider.clone(),
        measured.on_cpu.to_string(),
        tokens,
        difference(&measured.states, &reference.states),
        percentile(50),
        percentile(95),
        format!("{:.0} / {:.0}", measured.baseline, measured.peak),
    ];
    Row { precision: measured.precision.clone(), exact, cells }
}

fn difference(states: &[f32], reference: &[f32]) -> String {
    if states.len() != reference.len() {
        return format!("{} values against {}", states.len(), reference.len());
    }
    let largest = states.iter().zip(reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // `max` passes over what is no number.
    if states.iter().any(|state| state.is_nan()) {
        "not numbers".to_owned()
    } else {
        format!("{largest:.1e}")
    }
}

pub(crate) fn render(job: &Job, rows: &[Row]) -> String {
    let Job { device, seconds, passes, audio } = job;
    let heard = audio.as_ref().map_or("noise and tones", |_| "a recording");
    let mut text = format!(
        "Measured on `{device}`, {passes} times {seconds} s of {heard}, one thread of the processor. \
         Memory of a GPU is what NVML counts on the card since before the model was loaded, \
         of the processor what is resident.\n\n"
    );
    let mut line = |cells: &[String]| text.push_str(&format!("| {} |\n", cells.join(" | ")));
    line(&HEADS.map(str::to_owned));
    line(&HEADS.map(|_| "---".to_owned()));
    rows.iter().for_each(|row| line(&row.cells));
    text
}
