//! Where an utterance begins and ends.
//!
//! A detector scores frames of audio; [`Segmenter`] turns scores into an onset
//! and an end, by numbers that were measured together with the detector
//! (docs/measurements). An onset takes several frames in a row, so that a knock
//! is none; the audio handed over then reaches back before it, because soft
//! sounds come first. How much silence ends an utterance is a table over its
//! length: a short one waits for a real pause, a long one takes the next breath,
//! so that the recognizer's window is rarely outgrown. Nothing here hears audio.

use crate::time::{SamplePos, samples_in_ms};
use serde::{Deserialize, Serialize};

/// Samples per scored frame: 32 ms, what the detector takes.
pub const FRAME: u64 = 512;

/// A frame with at least this score counts towards an onset.
pub const ON: f32 = 0.70;
/// A frame below this score is silence within speech.
pub const OFF: f32 = 0.35;
/// Frames in a row that make an onset.
pub const ONSET_FRAMES: u64 = 3;
/// Frames in a row that make an onset when nothing can follow: a short last word.
pub const LAST_ONSET_FRAMES: u64 = 2;
/// How far before the decision the utterance begins, in samples.
pub const PRE_ROLL: u64 = samples_in_ms(640);

/// One row of the table: utterances shorter than `below` end after `silence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Length of the utterance since its onset, in samples.
    pub below: u64,
    /// Silence that ends it, in samples.
    pub silence: u64,
}

const fn rule(below_seconds: u64, silence_ms: u64) -> Rule {
    Rule { below: samples_in_ms(below_seconds * 1000), silence: samples_in_ms(silence_ms) }
}

/// The rules in force, by length; after the last row any silent frame ends the utterance.
pub const RULES: &[Rule] = &[rule(8, 700), rule(12, 400), rule(16, 250), rule(22, 100)];

/// Whether an utterance of `length` samples with `quiet` samples of silence at
/// its end is over.
pub fn ends(rules: &[Rule], length: u64, quiet: u64) -> bool {
    let needed = rules.iter().find(|rule| length < rule.below).map_or(1, |rule| rule.silence);
    quiet >= needed
}

/// What a frame brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Speech has begun; the utterance's audio begins at this position.
    Onset(SamplePos),
    /// The utterance ends with this frame.
    End,
}

/// Frame scores to onsets and ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Segmenter {
    /// Not written down: whoever reads a segmenter has the same ones in force.
    #[serde(skip, default = "in_force")]
    rules: &'static [Rule],
    /// Where the utterance before ended: no onset reaches back further.
    cut: SamplePos,
    /// Where speech began, while there is some.
    onset: Option<SamplePos>,
    /// Consecutive frames: above [`ON`] without speech, below [`OFF`] within it.
    run: u64,
}

fn in_force() -> &'static [Rule] {
    RULES
}

impl Segmenter {
    /// Waits for speech from `at` on.
    pub fn new(rules: &'static [Rule], at: SamplePos) -> Self {
        Self { rules, cut: at, onset: None, run: 0 }
    }

    /// Takes for granted that somebody speaks since `at`.
    pub fn speaking(rules: &'static [Rule], at: SamplePos) -> Self {
        Self { rules, cut: at, onset: Some(at), run: 0 }
    }

    /// Whether somebody speaks.
    pub fn is_speech(&self) -> bool {
        self.onset.is_some()
    }

    /// The earliest position that a later onset, or the current one, reaches back to.
    pub fn earliest(&self, heard: SamplePos) -> SamplePos {
        heard.back(PRE_ROLL).max(self.cut)
    }

    /// Takes in the score of the frame that ends at `end`.
    pub fn frame(&mut self, score: f32, end: SamplePos) -> Option<Edge> {
        let counts = match self.onset {
            None => score >= ON,
            Some(_) => score < OFF,
        };
        self.run = if counts { self.run + 1 } else { 0 };
        match self.onset {
            None => (self.run >= ONSET_FRAMES).then(|| self.begin(end)),
            Some(onset) => ends(self.rules, end.since(onset), self.run * FRAME).then(|| {
                *self = Self::new(self.rules, end);
                Edge::End
            }),
        }
    }

    /// Nothing follows: an onset that was about to be one counts.
    pub fn last(&mut self, end: SamplePos) -> Option<Edge> {
        (self.onset.is_none() && self.run >= LAST_ONSET_FRAMES).then(|| self.begin(end))
    }

    fn begin(&mut self, end: SamplePos) -> Edge {
        self.onset = Some(end.back(self.run * FRAME));
        self.run = 0;
        Edge::Onset(end.back(PRE_ROLL).max(self.cut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `scores` from frame `first` on; every edge with the number of the
    /// frame it came with.
    fn run(segmenter: &mut Segmenter, first: u64, scores: &[f32]) -> Vec<(u64, Edge)> {
        let edges = (first..).zip(scores).map(|(i, s)| (i, segmenter.frame(*s, SamplePos((i + 1) * FRAME))));
        edges.filter_map(|(i, edge)| edge.map(|edge| (i, edge))).collect()
    }

    fn waiting() -> Segmenter {
        Segmenter::new(RULES, SamplePos(0))
    }

    #[test]
    fn two_frames_are_a_knock_and_three_are_speech_with_what_came_before_it() {
        let mut waiting = waiting();
        assert_eq!(run(&mut waiting, 0, &[0.0; 30]), []);
        assert_eq!(run(&mut waiting, 30, &[0.9, 0.9, 0.6, 0.7, 0.7]), []);
        let onset = Edge::Onset(SamplePos(36 * FRAME - PRE_ROLL));
        assert_eq!(run(&mut waiting, 35, &[0.8]), [(35, onset)]);
    }

    #[test]
    fn an_onset_never_reaches_back_into_the_utterance_before() {
        let mut first = Segmenter::speaking(RULES, SamplePos(0));
        assert_eq!(run(&mut first, 0, &[0.1; 22]), [(21, Edge::End)]);
        let cut = SamplePos(22 * FRAME);
        assert_eq!(run(&mut first, 22, &[1.0; 3]), [(24, Edge::Onset(cut))]);
    }

    #[test]
    fn the_longer_an_utterance_the_shorter_the_pause_that_ends_it() {
        for (seconds, frames) in [(2, 22), (9, 13), (13, 8), (17, 4), (23, 1)] {
            let spoken = seconds * 16_000 / FRAME;
            let mut segmenter = Segmenter::speaking(RULES, SamplePos(0));
            assert_eq!(run(&mut segmenter, 0, &vec![0.9; spoken as usize]), []);
            assert_eq!(run(&mut segmenter, spoken, &[0.0; 40])[0], (spoken + frames - 1, Edge::End));
        }
    }

    #[test]
    fn a_pause_that_somebody_speaks_into_starts_anew() {
        let mut segmenter = Segmenter::speaking(RULES, SamplePos(0));
        let pause = [[0.1; 21].as_slice(), &[0.4]].concat();
        assert_eq!(run(&mut segmenter, 0, &pause.repeat(5)), []);
    }

    #[test]
    fn at_the_very_end_two_frames_are_speech_and_one_is_not() {
        let mut one = waiting();
        assert_eq!(run(&mut one, 0, &[0.0, 0.9]), []);
        assert_eq!(one.last(SamplePos(2 * FRAME)), None);
        let mut two = waiting();
        assert_eq!(run(&mut two, 0, &[0.9, 0.9]), []);
        assert_eq!(two.last(SamplePos(2 * FRAME)), Some(Edge::Onset(SamplePos(0))));
        assert!(two.is_speech());
    }

    proptest::proptest! {
        #[test]
        fn onsets_and_ends_take_turns_and_utterances_do_not_overlap(scores in proptest::collection::vec(0.0f32..1.0, 0..3000)) {
            let mut segmenter = waiting();
            let (mut speaking, mut cut) = (false, SamplePos(0));
            for (i, score) in scores.into_iter().enumerate() {
                let end = SamplePos((i as u64 + 1) * FRAME);
                match segmenter.frame(score, end) {
                    Some(Edge::Onset(at)) => {
                        assert!(!speaking && at >= cut && at < end);
                        speaking = true;
                    }
                    Some(Edge::End) => {
                        assert!(speaking);
                        (speaking, cut) = (false, end);
                    }
                    None => {}
                }
                assert_eq!(segmenter.is_speech(), speaking);
            }
        }
    }
}
