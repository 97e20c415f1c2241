//! Any rate and channel count to 16 kHz mono.
//!
//! What comes out depends on the samples alone, never on how they were cut into
//! blocks: the resampler works on fixed pieces of about 10 ms, its delay is
//! taken off at the start and given back at the end (to half a sample of the
//! device, where a piece has an odd length), and a recording of n samples becomes
//! n · 16000 / rate samples, rounded. Nothing here knows where
//! the samples come from or what time it is.

use super::AudioError;
use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use std::time::Duration;
use swictation_core::SAMPLE_RATE;

/// The rates that are understood, in samples per second.
pub const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Turns interleaved samples of one stream into 16 kHz mono.
pub struct Converter {
    mono: Mono,
    rate: Option<Rate>,
    mixed: Vec<f32>,
}

impl Converter {
    /// A converter for a stream of `rate` samples per second and channel.
    pub fn new(rate: u32, channels: u16) -> Result<Self, AudioError> {
        if !RATES.contains(&rate) || channels == 0 {
            return Err(AudioError::Format { rate, channels });
        }
        let step = if rate == SAMPLE_RATE { None } else { Some(Rate::new(rate)?) };
        Ok(Self { mono: Mono::new(channels), rate: step, mixed: Vec::new() })
    }

    /// Takes whole interleaved frames and appends what is ready to `out`.
    pub fn push(&mut self, frames: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        match &mut self.rate {
            None => self.mono.mix(frames, out),
            Some(rate) => {
                self.mixed.clear();
                self.mono.mix(frames, &mut self.mixed);
                rate.push(&self.mixed, out)?;
            }
        }
        Ok(())
    }

    /// Appends what was held back; what is pushed next begins a new recording.
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        match &mut self.rate {
            None => Ok(()),
            Some(rate) => rate.finish(out),
        }
    }

    /// How far what came out lies behind what went in.
    pub fn lag(&self) -> Duration {
        self.rate.as_ref().map_or(Duration::ZERO, Rate::lag)
    }
}

/// The mean of those channels that have ever carried a signal: a server may
/// offer two channels for a microphone that fills only the first, and a mean
/// with an empty one would halve the level.
struct Mono {
    carries: Vec<bool>,
}

impl Mono {
    fn new(channels: u16) -> Self {
        Self { carries: vec![false; usize::from(channels)] }
    }

    fn mix(&mut self, frames: &[f32], out: &mut Vec<f32>) {
        if let [_] = self.carries[..] {
            out.extend_from_slice(frames);
            return;
        }
        out.extend(frames.chunks_exact(self.carries.len()).map(|frame| {
            let (mut sum, mut count) = (0.0, 0u32);
            for (sample, carries) in frame.iter().zip(&mut self.carries) {
                *carries |= *sample != 0.0;
                sum += sample;
                count += u32::from(*carries);
            }
            sum / count.max(1) as f32
        }));
    }
}

/// One change of rate.
struct Rate {
    from: u32,
    fft: Fft<f32>,
    piece: usize,
    pending: Vec<f32>,
    made: Vec<f32>,
    /// Samples of delay still to be taken off.
    skip: usize,
    taken: u64,
    given: u64,
}

impl Rate {
    fn new(from: u32) -> Result<Self, AudioError> {
        let piece = (from as usize).div_ceil(100);
        let fft = Fft::new_custom(
            from as usize,
            SAMPLE_RATE as usize,
            piece,
            1,
            1,
            rubato::WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|e| AudioError::Resampler(e.to_string()))?;
        let piece = fft.input_frames_max();
        let made = vec![0.0; fft.output_frames_max()];
        let skip = fft.output_delay();
        Ok(Self { from, fft, piece, pending: Vec::with_capacity(2 * piece), made, skip, taken: 0, given: 0 })
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        self.taken += samples.len() as u64;
        self.pending.extend_from_slice(samples);
        let whole = self.pending.len() / self.piece * self.piece;
        for start in (0..whole).step_by(self.piece) {
            self.step(start, u64::MAX, out)?;
        }
        self.pending.drain(..whole);
        Ok(())
    }

    /// Converts the piece at `start`; gives no more than `end` samples in all.
    fn step(&mut self, start: usize, end: u64, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let failed = |e: &dyn std::fmt::Display| AudioError::Resampler(e.to_string());
        let input = &self.pending[start..start + self.piece];
        let input = InterleavedSlice::new(input, 1, self.piece).map_err(|e| failed(&e))?;
        let room = self.made.len();
        let mut made = InterleavedSlice::new_mut(&mut self.made, 1, room).map_err(|e| failed(&e))?;
        let (_, count) = self.fft.process_into_buffer(&input, &mut made, None).map_err(|e| failed(&e))?;
        let fresh = self.made.get(self.skip.min(count)..count).unwrap_or_default();
        self.skip -= self.skip.min(count);
        let fresh = &fresh[..fresh.len().min((end - self.given) as usize)];
        out.extend_from_slice(fresh);
        self.given += fresh.len() as u64;
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let (from, to) = (u64::from(self.from), u64::from(SAMPLE_RATE));
        let end = (self.taken * to + from / 2) / from;
        self.pending.resize(self.piece, 0.0);
        while self.given < end {
            self.step(0, end, out)?;
            self.pending.fill(0.0);
        }
        self.pending.clear();
        self.fft.reset();
        self.skip = self.fft.output_delay();
        (self.taken, self.given) = (0, 0);
        Ok(())
    }

    fn lag(&self) -> Duration {
        let taken = self.taken as f64 / f64::from(self.from);
        let given = self.given as f64 / f64::from(SAMPLE_RATE);
        Duration::from_secs_f64((taken - given).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone that begins `late` seconds after the first sample.
    fn shifted(rate: u32, hertz: f64, samples: usize, late: f64) -> Vec<f32> {
        let at = |n: usize| n as f64 / f64::from(rate) - late;
        (0..samples).map(|n| (0.5 * (std::f64::consts::TAU * hertz * at(n)).sin()) as f32).collect()
    }

    fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<f32> {
        shifted(rate, hertz, samples, 0.0)
    }

    fn convert(rate: u32, channels: u16, samples: &[f32], block: usize) -> Vec<f32> {
        let mut converter = Converter::new(rate, channels).unwrap();
        let mut out = Vec::new();
        for frames in samples.chunks(block * usize::from(channels)) {
            converter.push(frames, &mut out).unwrap();
        }
        converter.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn a_tone_keeps_its_frequency_level_and_place_at_every_rate() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000] {
            let got = convert(rate, 1, &tone(rate, 1_000.0, rate as usize), 480);
            let apart = |late: f64| {
                let want = shifted(SAMPLE_RATE, 1_000.0, got.len(), late);
                let pairs = got.iter().zip(&want).skip(800).take(14_400);
                pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            let worst = apart(0.0).min(apart(-0.5 / f64::from(rate)));
            assert!(worst < 1e-3, "{rate} Hz: a sample is off by {worst}");
        }
    }

    #[test]
    fn what_16_khz_cannot_carry_does_not_come_back_as_another_tone() {
        for (rate, hertz) in [(48_000, 10_000.0), (44_100, 12_000.0), (96_000, 9_500.0)] {
            let got = convert(rate, 1, &tone(rate, hertz, rate as usize), 480);
            let loudest = got[800..15_200].iter().fold(0.0f32, |m, s| m.max(s.abs()));
            assert!(loudest < 1e-3, "{hertz} Hz at {rate}: {loudest}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_recording_to_half_a_sample() {
        for rate in [8_000, 22_050, 44_100, 48_000, 96_000, 44_056] {
            for samples in [1usize, 2, 159, 441, 480, 481, 12_345, 48_001] {
                let got = convert(rate, 1, &vec![0.25; samples], 100).len() as f64;
                let want = samples as f64 * f64::from(SAMPLE_RATE) / f64::from(rate);
                assert!((got - want).abs() <= 0.5, "{samples} at {rate}: {got} for {want}");
            }
        }
    }

    #[test]
    fn blocks_may_be_cut_anywhere() {
        for (rate, channels) in [(44_100, 1), (48_000, 2), (22_050, 1), (16_000, 2)] {
            let samples = tone(rate, 440.0, 9_000);
            let whole = convert(rate, channels, &samples, samples.len());
            for block in [1, 7, 441, 480, 1_000] {
                assert_eq!(convert(rate, channels, &samples, block), whole, "{rate} in {block}");
            }
        }
    }

    #[test]
    fn an_empty_channel_does_not_halve_the_other() {
        let one = tone(16_000, 300.0, 1_600);
        let left: Vec<f32> = one.iter().flat_map(|s| [*s, 0.0]).collect();
        assert_eq!(convert(16_000, 2, &left, 160), one);
        let both: Vec<f32> = one.iter().flat_map(|s| [*s, *s]).collect();
        assert_eq!(convert(16_000, 2, &both, 160), one);
    }

    #[test]
    fn a_finished_converter_begins_anew() {
        let mut converter = Converter::new(48_000, 1).unwrap();
        let samples = tone(48_000, 440.0, 5_000);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for out in [&mut first, &mut second] {
            converter.push(&samples, out).unwrap();
            converter.finish(out).unwrap();
        }
        assert_eq!(first, second);
        assert_eq!(converter.lag(), Duration::ZERO);
    }

    #[test]
    fn silence_stays_exactly_silent() {
        assert!(convert(44_100, 1, &vec![0.0; 44_100], 441).iter().all(|s| *s == 0.0));
    }

    #[test]
    fn a_rate_or_channel_count_that_makes_no_sense_is_refused() {
        for (rate, channels) in [(0, 1), (999, 1), (u32::MAX, 1), (16_000, 0)] {
            assert!(matches!(Converter::new(rate, channels), Err(AudioError::Format { .. })));
        }
    }
}
