//! LocalAgreement-2: what two hypotheses in a row agree on is committed.
//!
//! Liu, Spanakis and Niehues, "Low-Latency Sequence-to-Sequence Speech Recognition
//! and Translation by Partial Hypothesis Selection", Interspeech 2020: the longest
//! common prefix of the last two hypotheses. Both are compared from the committed
//! words on, so a word counts as agreed upon once it stood in the same place twice.

use super::Candidate;
use serde::{Deserialize, Serialize};

/// Local agreement of two, over one utterance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agreement {
    k: usize,
    /// The tail of the hypothesis before, from the committed words on.
    before: Vec<String>,
}

impl Agreement {
    /// Agreement alone is the method; `k` words behind the newest are held back on top.
    pub fn new(k: u32) -> Self {
        Self { k: k as usize, before: Vec::new() }
    }

    /// Whether both hold back as many words.
    pub fn is_like(&self, other: &Self) -> bool {
        self.k == other.k
    }

    /// Forgets what was seen, for a new utterance.
    pub fn begin(&mut self) {
        self.before.clear();
    }

    /// `count` more words are committed for another reason.
    pub fn force(&mut self, count: usize) {
        self.before.drain(..count.min(self.before.len()));
    }

    /// Takes in the tail behind the committed words; how many of its words are
    /// committed now.
    pub fn admit(&mut self, tail: &[Candidate]) -> usize {
        let agreed = self.before.iter().zip(tail).take_while(|(old, new)| **old == new.key).count();
        let admitted = agreed.min(tail.len().saturating_sub(self.k));
        self.before = tail[admitted..].iter().map(|word| word.key.clone()).collect();
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::key;
    use proptest::prelude::*;

    fn tail(words: &[&str]) -> Vec<Candidate> {
        words.iter().map(|word| Candidate { key: key(word), confidence: 0.5 }).collect()
    }

    /// How many words of each tail are admitted.
    fn admitted(k: u32, tails: &[&str]) -> Vec<usize> {
        let mut policy = Agreement::new(k);
        let split = |text: &&str| policy.admit(&tail(&text.split_whitespace().collect::<Vec<_>>()));
        tails.iter().map(split).collect()
    }

    #[test]
    fn the_beginning_that_two_hypotheses_share_is_committed() {
        assert_eq!(admitted(0, &["ever tried", "ever tried no", "no matter"]), [0, 2, 1]);
        assert_eq!(admitted(0, &["ever tired no", "ever tried no", "tried no"]), [0, 1, 2]);
    }

    #[test]
    fn a_word_that_flips_is_never_committed_nor_what_follows_it() {
        assert_eq!(admitted(0, &["a x", "b x", "a x", "b x"]), [0, 0, 0, 0]);
    }

    #[test]
    fn a_word_in_another_place_is_no_agreement() {
        assert_eq!(admitted(0, &["tried no", "ever tried no"]), [0, 0]);
    }

    #[test]
    fn punctuation_and_case_are_no_change() {
        assert_eq!(admitted(0, &["Ever tried,", "ever tried"]), [0, 2]);
    }

    #[test]
    fn words_can_be_held_back_on_top() {
        assert_eq!(admitted(1, &["ever tried", "ever tried"]), [0, 1]);
        assert_eq!(admitted(2, &["ever tried", "ever tried"]), [0, 0]);
    }

    #[test]
    fn words_committed_elsewhere_are_no_longer_compared() {
        let mut policy = Agreement::new(0);
        assert_eq!(policy.admit(&tail(&["ever", "tried"])), 0);
        policy.force(1);
        assert_eq!(policy.admit(&tail(&["tried", "no"])), 1);
        policy.begin();
        assert_eq!(policy.admit(&tail(&["no"])), 0, "the utterance before is forgotten");
    }

    proptest! {
        #[test]
        fn what_is_committed_is_what_both_hypotheses_begin_with(
            first in prop::collection::vec("[ab]", 0..8),
            second in prop::collection::vec("[ab]", 0..8),
            k in 0u32..3,
        ) {
            let words = |of: &[String]| tail(&of.iter().map(String::as_str).collect::<Vec<_>>());
            let mut policy = Agreement::new(k);
            prop_assert_eq!(policy.admit(&words(&first)), 0);
            let count = policy.admit(&words(&second));
            prop_assert!(count <= first.len() && first[..count.min(first.len())] == second[..count]);
            let longest = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(count, longest.min(second.len().saturating_sub(k as usize)));
        }
    }
}
