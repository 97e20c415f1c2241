//! The two clocks of the program, both handed in by the caller.
//!
//! `SamplePos` counts 16 kHz samples since a dictation began and never wraps: it
//! is the only clock that crosses a process.
//! `Now` is monotonic wall time, used for latency and deadlines alone. Nothing
//! in this crate reads either of them from the machine.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use std::time::Duration;

/// Samples per second of every audio stream inside the program.
pub const SAMPLE_RATE: u32 = 16_000;

/// A position on the 16 kHz sample clock of one dictation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SamplePos(pub u64);

impl SamplePos {
    /// The position `seconds` after the start of the clock, rounded down.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds.max(0.0) * f64::from(SAMPLE_RATE)) as u64)
    }

    /// Seconds since the start of the clock.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / f64::from(SAMPLE_RATE)
    }

    /// Samples from `earlier` to here, or 0 when `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The position `samples` before this one, not before the start of the clock.
    pub fn back(self, samples: u64) -> Self {
        Self(self.0.saturating_sub(samples))
    }
}

impl Add<u64> for SamplePos {
    type Output = Self;
    fn add(self, samples: u64) -> Self {
        // The clock never gets there; a position that another process sent may.
        Self(self.0.saturating_add(samples))
    }
}

/// Samples in a span of milliseconds.
pub const fn samples_in_ms(ms: u64) -> u64 {
    ms * SAMPLE_RATE as u64 / 1000
}

/// Monotonic wall time since an origin the caller chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub Duration);

impl Add<Duration> for Now {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0 + span)
    }
}

impl Sub for Now {
    type Output = Duration;
    /// Time from `earlier` to here, zero when `earlier` lies ahead.
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
