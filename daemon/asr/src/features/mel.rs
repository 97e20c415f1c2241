//! Mel filters on Slaney's scale, as librosa and NeMo lay them out.
//!
//! Triangles with unit area per hertz between neighbouring centres, linear below
//! 1 kHz and logarithmic above. Only the few bins under each triangle are kept.

use super::{BINS, FFT};
use std::sync::Arc;

const RATE: f64 = swictation_core::time::SAMPLE_RATE as f64;
/// Added before the logarithm, so that silence has a finite value.
const FLOOR: f32 = 1.0 / (1 << 24) as f32;

/// One triangle: the first bin under it and the weights from there on.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

/// A bank of triangular filters over the power spectrum; clones share it.
#[derive(Clone)]
pub(super) struct MelBank(Arc<[Filter]>);

impl MelBank {
    /// `mels` filters from 0 Hz to half the sample rate.
    pub(super) fn new(mels: usize) -> Self {
        let top = mel(RATE / 2.0);
        let edge = |i: usize| hertz(top * i as f64 / (mels + 1) as f64);
        Self((0..mels).map(|m| Filter::triangle(edge(m), edge(m + 1), edge(m + 2))).collect())
    }

    /// Appends the logarithm of every filter's energy to `out`.
    pub(super) fn apply(&self, power: &[f32], out: &mut Vec<f32>) {
        out.extend(self.0.iter().map(|filter| {
            let energy: f32 = filter.weights.iter().zip(&power[filter.first..]).map(|(w, p)| w * p).sum();
            (energy + FLOOR).ln()
        }));
    }
}

impl Filter {
    fn triangle(low: f64, centre: f64, high: f64) -> Self {
        let weight = |bin: usize| {
            let at = bin as f64 * RATE / FFT as f64;
            let slope = ((at - low) / (centre - low)).min((high - at) / (high - centre));
            (slope.max(0.0) * 2.0 / (high - low)) as f32
        };
        let first = (0..BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
        let weights = (first..BINS).map(weight).take_while(|w| *w > 0.0).collect();
        Self { first, weights }
    }
}

const LINEAR_HERTZ: f64 = 200.0 / 3.0;
const KNEE_HERTZ: f64 = 1000.0;
const KNEE_MEL: f64 = KNEE_HERTZ / LINEAR_HERTZ;

/// Growth of the frequency per mel above the knee, as a logarithm.
fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn mel(hertz: f64) -> f64 {
    if hertz < KNEE_HERTZ { hertz / LINEAR_HERTZ } else { KNEE_MEL + (hertz / KNEE_HERTZ).ln() / log_step() }
}

fn hertz(mel: f64) -> f64 {
    if mel < KNEE_MEL { mel * LINEAR_HERTZ } else { KNEE_HERTZ * (log_step() * (mel - KNEE_MEL)).exp() }
}
