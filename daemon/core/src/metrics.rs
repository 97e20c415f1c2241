//! How long each part of the way from the microphone to the window takes.
//!
//! Messages carry stamps, so measuring is a subtraction in one place. A
//! [`Histogram`] has a fixed size whatever it is fed: eight buckets an octave,
//! which makes a percentile exact to about 9 %.

use serde::Serialize;
use std::time::Duration;

const PER_OCTAVE: usize = 8;
const BUCKETS: usize = 32 * PER_OCTAVE;

/// Durations from a microsecond to an hour, counted in logarithmic buckets.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u32; BUCKETS],
    count: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], count: 0, longest: Duration::ZERO }
    }
}

/// What is told of a histogram, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many durations were counted.
    pub count: u64,
    /// Half were at most this.
    pub p50_ms: f64,
    /// 95 in 100 were at most this.
    pub p95_ms: f64,
    /// 99 in 100 were at most this.
    pub p99_ms: f64,
    /// The longest, exactly.
    pub max_ms: f64,
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        let micros = duration.as_micros().max(1) as f64;
        let bucket = ((micros.log2() * PER_OCTAVE as f64) as usize).min(BUCKETS - 1);
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.count += 1;
        self.longest = self.longest.max(duration);
    }

    /// The duration that the fraction `q` of all durations do not exceed.
    pub fn quantile(&self, q: f64) -> Duration {
        let wanted = (q * self.count as f64).ceil().max(1.0) as u64;
        let mut passed = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            passed += u64::from(*count);
            if passed >= wanted {
                let middle = ((bucket as f64 + 0.5) / PER_OCTAVE as f64).exp2();
                return Duration::from_micros(middle as u64).min(self.longest);
            }
        }
        self.longest
    }

    /// The usual percentiles.
    pub fn percentiles(&self) -> Percentiles {
        let ms = |d: Duration| (d.as_secs_f64() * 1e5).round() / 100.0;
        Percentiles {
            count: self.count,
            p50_ms: ms(self.quantile(0.50)),
            p95_ms: ms(self.quantile(0.95)),
            p99_ms: ms(self.quantile(0.99)),
            max_ms: ms(self.longest),
        }
    }
}

/// The stages of one word's way, and what went wrong on it.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Toggle taken → first real sample.
    pub start: Histogram,
    /// Captured by the sound server's callback → taken up by a model step.
    pub captured_to_heard: Histogram,
    /// The model step.
    pub heard_to_hypothesis: Histogram,
    /// The word's first appearance in a hypothesis → committed by the policy.
    pub hypothesis_to_committed: Histogram,
    /// Committed → confirmed by the typist.
    pub committed_to_typed: Histogram,
    /// End of the word at the microphone → confirmed by the typist.
    pub spoken_to_typed: Histogram,
    /// Stop taken → last word typed.
    pub stop_to_typed: Histogram,
    /// Dictations that were begun.
    pub dictations: u64,
    /// Words handed to the typist.
    pub words: u64,
    /// Samples of audio taken in.
    pub samples: u64,
    /// Samples lost before they could be taken in.
    pub lost_samples: u64,
    /// Model steps made.
    pub steps: u64,
    /// Workers that ended without being told to.
    pub worker_ends: u64,
    /// Samples that were left out because they end every worker.
    pub skipped_samples: u64,
    /// The most that the text was behind what was said, in seconds.
    pub longest_behind: u64,
}

/// [`Metrics`] as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Percentiles by stage.
    pub latency: Latency,
    /// Dictations that were begun.
    pub dictations: u64,
    /// Words handed to the typist.
    pub words: u64,
    /// Seconds of audio taken in.
    pub audio_seconds: f64,
    /// Seconds of audio lost before they could be taken in.
    pub lost_seconds: f64,
    /// Model steps made.
    pub steps: u64,
    /// Workers that ended without being told to.
    pub worker_ends: u64,
    /// Seconds of audio that were left out because they end every worker.
    pub skipped_seconds: f64,
    /// The most that the text was behind what was said, in seconds.
    pub longest_behind: u64,
}

/// Percentiles by stage; the names are those of [`Metrics`].
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Latency {
    pub start: Percentiles,
    pub captured_to_heard: Percentiles,
    pub heard_to_hypothesis: Percentiles,
    pub hypothesis_to_committed: Percentiles,
    pub committed_to_typed: Percentiles,
    pub spoken_to_typed: Percentiles,
    pub stop_to_typed: Percentiles,
}

impl Metrics {
    /// What is shown in `status --json`.
    pub fn snapshot(&self) -> Snapshot {
        let seconds = |samples: u64| samples as f64 / f64::from(crate::SAMPLE_RATE);
        Snapshot {
            latency: Latency {
                start: self.start.percentiles(),
                captured_to_heard: self.captured_to_heard.percentiles(),
                heard_to_hypothesis: self.heard_to_hypothesis.percentiles(),
                hypothesis_to_committed: self.hypothesis_to_committed.percentiles(),
                committed_to_typed: self.committed_to_typed.percentiles(),
                spoken_to_typed: self.spoken_to_typed.percentiles(),
                stop_to_typed: self.stop_to_typed.percentiles(),
            },
            dictations: self.dictations,
            words: self.words,
            audio_seconds: seconds(self.samples),
            lost_seconds: seconds(self.lost_samples),
            steps: self.steps,
            worker_ends: self.worker_ends,
            skipped_seconds: seconds(self.skipped_samples),
            longest_behind: self.longest_behind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_tenth_of_the_truth() {
        let mut histogram = Histogram::default();
        (1..=1000u64).for_each(|ms| histogram.add(Duration::from_millis(ms)));
        let got = histogram.percentiles();
        for (got, want) in [(got.p50_ms, 500.0), (got.p95_ms, 950.0), (got.p99_ms, 990.0)] {
            assert!((got / want - 1.0).abs() < 0.1, "{got} for {want}");
        }
        assert_eq!((got.count, got.max_ms), (1000, 1000.0));
    }

    #[test]
    fn an_empty_histogram_tells_zeros() {
        assert_eq!(Histogram::default().percentiles(), Percentiles::default());
    }
}
