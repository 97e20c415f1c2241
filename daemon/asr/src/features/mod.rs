//! Log-mel features of a live stream, equal to what NeMo computes of the file.
//!
//! Samples pass pre-emphasis and the window (`window`), a real transform of 512
//! points and the mel filters (`mel`); a frame comes out 12.5 ms after its
//! centre and never changes. How the samples were cut must make no difference,
//! and a frame costs no allocation.

mod mel;
mod ring;
mod window;

pub use ring::{Parts, Ring, View};

use crate::AsrError;
use crate::manifest::Features;
use mel::MelBank;
use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;
pub(crate) use window::Taken;
use window::Windower;

/// Samples from one frame to the next.
pub const HOP: usize = 160;
/// Samples under the window.
const WINDOW: usize = 400;
/// Points of the transform.
const FFT: usize = 512;
/// Bins of the power spectrum.
const BINS: usize = FFT / 2 + 1;

/// Log-mel frames of a stream of samples, not normalised.
#[derive(Clone)]
pub struct LogMel {
    mels: usize,
    windower: Windower,
    spectrum: Spectrum,
    frame: Vec<f32>,
}

/// One window's way from samples to log-mel, with its buffers.
#[derive(Clone)]
struct Spectrum {
    transform: Arc<dyn RealToComplex<f32>>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
    power: Vec<f32>,
    bank: MelBank,
}

impl LogMel {
    /// The front end that `features` describes.
    ///
    /// # Errors
    /// `Setting` when the number of bins is not known.
    pub fn new(features: &Features) -> Result<Self, AsrError> {
        if features.mels != 80 && features.mels != 128 {
            let reason =
                format!("[features] mels = {} is not known; NeMo's models have 80 or 128", features.mels);
            return Err(AsrError::Setting(reason));
        }
        let mels = features.mels as usize;
        let transform = RealFftPlanner::new().plan_fft_forward(FFT);
        let spectrum = Spectrum {
            bins: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
            power: vec![0.0; BINS],
            bank: MelBank::new(mels),
            transform,
        };
        Ok(Self { mels, windower: Windower::new(), spectrum, frame: vec![0.0; FFT] })
    }

    /// Values per frame.
    pub fn mels(&self) -> usize {
        self.mels
    }

    /// Begins a new utterance.
    pub fn reset(&mut self) {
        self.windower.reset();
    }

    /// What is held of the utterance but the frames.
    pub(crate) fn taken(&self) -> &Taken {
        self.windower.taken()
    }

    /// Goes on with an utterance of which `taken` was held.
    ///
    /// # Errors
    /// `Checkpoint` when it is of no utterance.
    pub(crate) fn restore(&mut self, taken: Taken) -> Result<(), AsrError> {
        self.windower.restore(taken)
    }

    /// Takes in samples (16 kHz mono, nominally -1 to 1) and appends every frame
    /// that became final to `out`, one after the other.
    pub fn feed(&mut self, pcm: &[f32], out: &mut Vec<f32>) {
        let Self { windower, spectrum, frame, .. } = self;
        windower.feed(pcm, frame, |window| spectrum.transform(window, out));
    }

    /// Ends the utterance: the frames whose window reaches past the last sample,
    /// then the one frame of zeros that NeMo leaves after them.
    pub fn end(&mut self, out: &mut Vec<f32>) {
        let Self { windower, spectrum, frame, .. } = self;
        windower.end(frame, |window| spectrum.transform(window, out));
        if windower.taken().counts().0 > 0 {
            out.resize(out.len() + self.mels, 0.0);
        }
    }
}

impl Spectrum {
    fn transform(&mut self, window: &mut [f32], out: &mut Vec<f32>) {
        // The lengths are fixed above, so this cannot fail.
        let done = self.transform.process_with_scratch(window, &mut self.bins, &mut self.scratch);
        debug_assert!(done.is_ok());
        for (power, bin) in self.power.iter_mut().zip(&self.bins) {
            *power = bin.norm_sqr();
        }
        self.bank.apply(&self.power, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Normalize;

    /// Noise with a tone in it, the same everywhere.
    fn signal(samples: usize) -> Vec<f32> {
        let mut state = 7_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..samples).map(|i| 0.2 * noise() + 0.3 * (i as f32 * 0.1).sin()).collect()
    }

    fn frames(mels: u32, cuts: &[usize], pcm: &[f32]) -> Vec<f32> {
        let mut front = LogMel::new(&Features { mels, normalize: Normalize::None }).unwrap();
        let (mut out, mut rest) = (Vec::new(), pcm);
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            front.feed(piece, &mut out);
            if after.is_empty() {
                break;
            }
            rest = after;
        }
        front.end(&mut out);
        out
    }

    /// One log-mel value, by its definition and in double precision.
    fn defined(pcm: &[f32], mels: usize, t: usize, bin: usize) -> f64 {
        let emphasised = |i: isize| match usize::try_from(i) {
            Ok(0) => f64::from(pcm[0]),
            Ok(i) if i < pcm.len() => f64::from(pcm[i]) - 0.97 * f64::from(pcm[i - 1]),
            _ => 0.0,
        };
        let tau = std::f64::consts::TAU;
        let windowed = |i: usize| {
            let hann = 0.5 - 0.5 * (tau * i as f64 / 399.0).cos();
            hann * emphasised((160 * t + i) as isize - 200)
        };
        let samples: Vec<f64> = (0..400).map(windowed).collect();
        let hertz =
            |m: f64| if m < 15.0 { m * 200.0 / 3.0 } else { 1000.0 * 6.4_f64.powf((m - 15.0) / 27.0) };
        let top = 15.0 + 27.0 * 8.0_f64.ln() / 6.4_f64.ln();
        let edge = |i: usize| hertz(top * i as f64 / (mels + 1) as f64);
        let (low, centre, high) = (edge(bin), edge(bin + 1), edge(bin + 2));
        let energy = |k: usize| {
            let at = k as f64 * 31.25;
            let weight = ((at - low) / (centre - low)).min((high - at) / (high - centre)).max(0.0) * 2.0
                / (high - low);
            let part = |f: fn(f64) -> f64| -> f64 {
                samples.iter().enumerate().map(|(i, x)| x * f(tau * (k * i) as f64 / 512.0)).sum()
            };
            if weight > 0.0 { weight * (part(f64::cos).powi(2) + part(f64::sin).powi(2)) } else { 0.0 }
        };
        ((0..257).map(energy).sum::<f64>() + 2.0_f64.powi(-24)).ln()
    }

    #[test]
    fn frames_are_what_the_definition_says() {
        let pcm = signal(3333);
        for mels in [80, 128] {
            let out = frames(mels as u32, &[3333], &pcm);
            assert_eq!(out.len(), (3333 / 160 + 1) * mels);
            for t in [0, 1, 7, 19] {
                for bin in (0..mels).step_by(5).chain([mels - 1]) {
                    let difference = (f64::from(out[t * mels + bin]) - defined(&pcm, mels, t, bin)).abs();
                    assert!(difference < 1e-3, "frame {t}, bin {bin} of {mels}: off by {difference}");
                }
            }
            assert!(out[20 * mels..].iter().all(|value| *value == 0.0), "the frame after the last is zeros");
        }
    }

    #[test]
    fn cuts_do_not_show() {
        let pcm = signal(7000);
        let whole = frames(80, &[7000], &pcm);
        for cuts in [&[1][..], &[160], &[399, 2], &[1, 1700, 40]] {
            assert_eq!(frames(80, cuts, &pcm), whole, "cut into {cuts:?}");
        }
    }

    #[test]
    fn a_frame_is_final_12_5_ms_after_its_centre() {
        let mut front = LogMel::new(&Features { mels: 80, normalize: Normalize::None }).unwrap();
        let mut out = Vec::new();
        front.feed(&signal(160 * 4 + 199), &mut out);
        assert_eq!(out.len(), 4 * 80);
        front.feed(&[0.0], &mut out);
        assert_eq!(out.len(), 5 * 80);
    }

    #[test]
    fn samples_that_are_no_numbers_do_no_lasting_harm() {
        let mut pcm = signal(2000);
        pcm[300] = f32::NAN;
        pcm[301] = f32::INFINITY;
        assert!(frames(80, &[2000], &pcm).iter().all(|value| value.is_finite()));
    }
}
