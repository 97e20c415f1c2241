//! The audio of one dictation that may still be needed.
//!
//! The tape is addressed by absolute [`SamplePos`], so any worker can be given
//! any part of it again. It grows at the end and is trimmed at the front by the
//! session alone; audio that no utterance has settled is never trimmed.

use crate::time::SamplePos;
use std::collections::VecDeque;

/// Retained 16 kHz mono audio, from [`Tape::start`] to [`Tape::end`].
#[derive(Debug, Default)]
pub struct Tape {
    start: SamplePos,
    samples: VecDeque<f32>,
}

impl Tape {
    /// A tape that begins there; what comes before is not needed any more.
    pub fn starting_at(start: SamplePos) -> Self {
        Self { start, samples: VecDeque::new() }
    }

    /// The first position that is retained.
    pub fn start(&self) -> SamplePos {
        self.start
    }

    /// The position after the last sample.
    pub fn end(&self) -> SamplePos {
        self.start + self.samples.len() as u64
    }

    /// Adds samples at the end.
    pub fn append(&mut self, pcm: &[f32]) {
        self.samples.extend(pcm);
    }

    /// Adds silence at the end, for audio that was lost.
    pub fn append_gap(&mut self, samples: u64) {
        self.samples.extend(std::iter::repeat_n(0.0, samples as usize));
    }

    /// The samples from `from` to `to`, as far as they are retained.
    pub fn slice(&self, from: SamplePos, to: SamplePos) -> Vec<f32> {
        let index = |pos: SamplePos| (pos.since(self.start) as usize).min(self.samples.len());
        self.samples.range(index(from)..index(to).max(index(from))).copied().collect()
    }

    /// Forgets what lies before `before`.
    pub fn trim(&mut self, before: SamplePos) {
        let surplus = (before.since(self.start) as usize).min(self.samples.len());
        self.samples.drain(..surplus);
        self.start = self.start + surplus as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_true_when_the_front_is_trimmed() {
        let mut tape = Tape::default();
        tape.append(&[0.0, 1.0, 2.0, 3.0]);
        tape.trim(SamplePos(2));
        tape.append(&[4.0]);
        tape.append_gap(1);
        assert_eq!((tape.start(), tape.end()), (SamplePos(2), SamplePos(6)));
        assert_eq!(tape.slice(SamplePos(3), SamplePos(5)), [3.0, 4.0]);
        assert_eq!(tape.slice(SamplePos(0), SamplePos(99)), [2.0, 3.0, 4.0, 0.0]);
        assert_eq!(tape.slice(SamplePos(5), SamplePos(3)), []);
    }

    #[test]
    fn trimming_beyond_the_end_keeps_the_end() {
        let mut tape = Tape::default();
        tape.append(&[1.0]);
        tape.trim(SamplePos(9));
        assert_eq!((tape.start(), tape.end()), (SamplePos(1), SamplePos(1)));
    }
}
