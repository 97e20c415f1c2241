//! Cuts the sample stream into the windows of the short-time spectrum.
//!
//! Frame `t` covers the pre-emphasised samples `160 t - 200 .. 160 t + 200`, the
//! support of the Hann window inside the centred transform of 512 points, so it
//! is final once sample `160 t + 199` has been heard. Left of the utterance lie
//! zeros. The cut of the input must not show: only positions decide.

use super::{FFT, HOP, WINDOW};
use crate::{AsrError, state};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::sync::Arc;
use swictation_core::block;

/// Share of the sample before that pre-emphasis takes away.
const PREEMPHASIS: f32 = 0.97;

/// Samples taken in before windows are cut; bounds the buffer however much
/// arrives at once.
const PIECE: usize = 10 * HOP;

/// Pre-emphasis, framing and the Hann window over a stream of samples.
#[derive(Clone)]
pub(super) struct Windower {
    hann: Arc<[f32]>,
    taken: Taken,
}

/// What is held of the stream.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Pre-emphasised samples that a window to come still needs.
    #[serde(with = "block::floats")]
    pending: Vec<f32>,
    previous: f32,
    samples: u64,
    windows: u64,
}

impl Taken {
    /// How many samples came, and how many windows were cut of them.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.samples, self.windows)
    }
}

impl Windower {
    pub(super) fn new() -> Self {
        let hann = (0..WINDOW).map(|i| (0.5 - 0.5 * (TAU * i as f64 / (WINDOW - 1) as f64).cos()) as f32);
        let pending = Vec::with_capacity(WINDOW + PIECE);
        let taken = Taken { pending, previous: 0.0, samples: 0, windows: 0 };
        let mut new = Self { hann: hann.collect(), taken };
        new.reset();
        new
    }

    /// Begins a new utterance.
    pub(super) fn reset(&mut self) {
        self.taken.pending.clear();
        self.taken.pending.resize(WINDOW / 2, 0.0);
        self.taken.previous = 0.0;
        self.taken.samples = 0;
        self.taken.windows = 0;
    }

    /// What is held of the stream.
    pub(super) fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Goes on where a stream was of which `taken` was held.
    ///
    /// # Errors
    /// `Checkpoint` when no stream can have been there.
    pub(super) fn restore(&mut self, taken: Taken) -> Result<(), AsrError> {
        let ahead = taken.windows.checked_mul(HOP as u64).map(|cut| taken.samples.saturating_sub(cut));
        let fits = taken.pending.len() < WINDOW && ahead.is_some_and(|ahead| ahead <= WINDOW as u64);
        state::expect(fits, "the number of its samples")?;
        self.taken = taken;
        Ok(())
    }

    /// Takes in samples and fills `frame` for every window that became final.
    /// A sample that is not a number counts as silence: it would otherwise stay
    /// in the model's caches for good.
    pub(super) fn feed(&mut self, pcm: &[f32], frame: &mut [f32], mut ready: impl FnMut(&mut [f32])) {
        for piece in pcm.chunks(PIECE) {
            for &sample in piece {
                let sample = if sample.is_finite() { sample } else { 0.0 };
                self.taken.pending.push(sample - PREEMPHASIS * self.taken.previous);
                self.taken.previous = sample;
            }
            self.taken.samples += piece.len() as u64;
            self.cut(frame, &mut ready);
        }
    }

    /// The last windows, with zeros right of the utterance: `samples / 160` in
    /// all, which is what NeMo calls the length of the utterance.
    pub(super) fn end(&mut self, frame: &mut [f32], mut ready: impl FnMut(&mut [f32])) {
        while self.taken.windows < self.taken.samples / HOP as u64 {
            self.taken.pending.resize(WINDOW, 0.0);
            self.cut(frame, &mut ready);
        }
    }

    fn cut(&mut self, frame: &mut [f32], ready: &mut impl FnMut(&mut [f32])) {
        const SIDE: usize = (FFT - WINDOW) / 2;
        let mut from = 0;
        while let Some(samples) = self.taken.pending.get(from..from + WINDOW) {
            frame.fill(0.0);
            for ((out, sample), weight) in frame[SIDE..].iter_mut().zip(samples).zip(self.hann.iter()) {
                *out = sample * weight;
            }
            ready(frame);
            self.taken.windows += 1;
            from += HOP;
        }
        self.taken.pending.drain(..from);
    }
}
