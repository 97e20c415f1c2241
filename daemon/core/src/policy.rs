//! How much of an unstable tail is committed.
//!
//! Committed words are typed and can never be taken back. Every snapshot in
//! which a word stands is evidence for it: -ln(1 - p) for the probability p that
//! the model gave it, so that a word the model is sure of needs one or two
//! snapshots and a guess needs many. A word is admitted when its evidence
//! suffices, when it has stood long enough whatever the model says, or when its
//! place has been disputed for so long that waiting helps nobody; and only
//! behind admitted words, and when at least `k` newer words follow it, because
//! the newest words end where the audio was cut.
//!
//! Weighing agreement by confidence replaces a fixed number of agreeing snapshots
//! (LocalAgreement: Liu, Spanakis and Niehues, Interspeech 2020; [`Agreement`] is that
//! method as published): at the same accuracy it commits about a second earlier
//! (docs/measurements). Holding back `k` words is wait-k (Ma et al., ACL 2019).
//! Nothing here knows where the words came from; at the end of an utterance the
//! caller commits everything.

mod agreement;

pub use agreement::Agreement;

use crate::time::{SamplePos, samples_in_ms};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// When words are committed, as the configuration names it. Which of them a family of
/// models can do, and what each means there, is in models/README.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Policy {
    /// The newest are held back: words, or chunks of audio.
    #[serde(rename = "wait-k")]
    WaitK,
    /// A token comes out once what it attends to lies far enough behind the audio
    /// (Papi, Turchi and Negri, Interspeech 2023).
    #[serde(rename = "alignatt")]
    AlignAtt,
    /// What two hypotheses in a row begin with, see [`Agreement`].
    #[serde(rename = "agreement")]
    Agreement,
    /// Nothing before the utterance ends.
    #[serde(rename = "hold")]
    Hold,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::WaitK, Self::AlignAtt, Self::Agreement, Self::Hold];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitK => "wait-k",
            Self::AlignAtt => "alignatt",
            Self::Agreement => "agreement",
            Self::Hold => "hold",
        }
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        let names = || Self::ALL.map(Self::as_str).join(", ");
        found.ok_or_else(|| format!("policy {text:?} is unknown; there are {}", names()))
    }
}

/// A policy over one utterance whose hypotheses may change their mind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Admission {
    /// [`Policy::WaitK`] with evidence, the default.
    Evidence(Evidence),
    /// [`Policy::Agreement`].
    Agreement(Agreement),
    /// [`Policy::Hold`].
    Hold,
}

impl Admission {
    /// Whether this is the same policy with the same words held back, whatever each
    /// has seen.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Evidence(one), Self::Evidence(other)) => one.k == other.k,
            (Self::Agreement(one), Self::Agreement(other)) => one.is_like(other),
            (Self::Hold, Self::Hold) => true,
            _ => false,
        }
    }

    /// Forgets what was seen, for an utterance that begins at `at`.
    pub fn begin(&mut self, at: SamplePos) {
        match self {
            Self::Evidence(evidence) => evidence.begin(at),
            Self::Agreement(agreement) => agreement.begin(),
            Self::Hold => {}
        }
    }

    /// `count` more words are committed for another reason.
    pub fn force(&mut self, count: usize) {
        match self {
            Self::Evidence(evidence) => evidence.force(count),
            Self::Agreement(agreement) => agreement.force(count),
            Self::Hold => {}
        }
    }

    /// Takes in the tail behind the committed words after audio up to `heard`;
    /// how many of its words are committed now.
    pub fn admit(&mut self, tail: &[Candidate], heard: SamplePos) -> usize {
        match self {
            Self::Evidence(evidence) => evidence.admit(tail, heard),
            Self::Agreement(agreement) => agreement.admit(tail),
            Self::Hold => 0,
        }
    }
}

/// The evidence that admits a word: the model is wrong once in e⁴ ≈ 55 times.
const ENOUGH: f32 = 4.0;
/// What admits a word that has stood unchanged.
const STEADY: u64 = samples_in_ms(4000);
/// What admits a word whose place has been disputed all the while.
const DISPUTED: u64 = samples_in_ms(6000);
/// Snapshots closer than this share their audio, and count for less.
const APART: u64 = samples_in_ms(500);
/// No probability is believed beyond this.
const SUREST: f32 = 0.9999;

/// A word of the tail as the policy sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What makes two spellings the same word, see [`key`].
    pub key: String,
    /// Probability that the model gives it, 0 to 1.
    pub confidence: f32,
}

/// Evidence together with wait-k, over one utterance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    k: usize,
    seen: Vec<Seen>,
    heard: SamplePos,
}

/// A word of the tail as of the last snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seen {
    key: String,
    evidence: f32,
    /// Since when the word has stood.
    since: SamplePos,
    /// Since when any word has stood in its place.
    place: SamplePos,
}

impl Evidence {
    /// Holds back at least `k` words behind the newest.
    pub fn new(k: u32) -> Self {
        Self { k: k as usize, seen: Vec::new(), heard: SamplePos::default() }
    }

    /// Forgets what was seen, for an utterance that begins at `at`.
    pub fn begin(&mut self, at: SamplePos) {
        self.seen.clear();
        self.heard = at;
    }

    /// `count` more words are committed for another reason.
    pub fn force(&mut self, count: usize) {
        self.seen.drain(..count.min(self.seen.len()));
    }

    /// Takes in the tail behind the committed words after audio up to `heard`;
    /// how many of its words are committed now.
    pub fn admit(&mut self, tail: &[Candidate], heard: SamplePos) -> usize {
        let weight = (heard.since(self.heard) as f32 / APART as f32).min(1.0);
        self.heard = heard;
        let old: Vec<&str> = self.seen.iter().map(|seen| seen.key.as_str()).collect();
        let new: Vec<&str> = tail.iter().map(|word| word.key.as_str()).collect();
        let origins = matches(&old, &new);
        let seen = tail.iter().zip(origins).enumerate().map(|(i, (word, origin))| {
            let before = origin.and_then(|from| self.seen.get(from));
            Seen {
                key: word.key.clone(),
                evidence: before.map_or(0.0, |b| b.evidence)
                    - weight * (-word.confidence.min(SUREST)).ln_1p(),
                since: before.map_or(heard, |b| b.since),
                place: before.or(self.seen.get(i)).map_or(heard, |b| b.place),
            }
        });
        let mut seen: Vec<Seen> = seen.collect();
        let admissible = |word: &&Seen| {
            word.evidence >= ENOUGH
                || heard.since(word.since) >= STEADY
                || heard.since(word.place) >= DISPUTED
        };
        let admitted = seen.iter().take_while(admissible).count().min(tail.len().saturating_sub(self.k));
        seen.drain(..admitted);
        self.seen = seen;
        admitted
    }
}

/// What makes two spellings the same word: letters and digits, without case.
pub fn key(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// For each word of `new` the word of `old` that it continues: a longest common
/// subsequence, so that a word that appears or vanishes costs its neighbours nothing.
pub fn matches(old: &[&str], new: &[&str]) -> Vec<Option<usize>> {
    let width = new.len() + 1;
    // longest[i * width + j] belongs to old[i..] and new[j..].
    let mut longest = vec![0u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * width + j] = match old[i] == new[j] {
                true => longest[(i + 1) * width + j + 1] + 1,
                false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
            };
        }
    }
    let mut found = vec![None; new.len()];
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            found[j] = Some(i);
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One snapshot every half second: `word` or `word:confidence`; how many of
    /// its words were admitted.
    fn admitted(k: u32, snapshots: &[&str]) -> Vec<usize> {
        let mut policy = Evidence::new(k);
        let mut heard = SamplePos(0);
        let mut step = |words: &&str| {
            heard = heard + APART;
            let word = |text: &str| {
                let (text, confidence) = text.split_once(':').unwrap_or((text, "1"));
                Candidate { key: key(text), confidence: confidence.parse().unwrap() }
            };
            policy.admit(&words.split_whitespace().map(word).collect::<Vec<_>>(), heard)
        };
        snapshots.iter().map(&mut step).collect()
    }

    #[test]
    fn a_word_the_model_is_sure_of_is_admitted_as_soon_as_another_follows() {
        assert_eq!(admitted(1, &["ever", "ever tried", "tried ever"]), [0, 1, 1]);
    }

    #[test]
    fn a_guess_needs_more_snapshots_and_holds_back_what_follows() {
        // -ln(1 - 0.9) is 2.3: the second snapshot brings it over 4.
        assert_eq!(admitted(0, &["ever:0.9", "ever:0.9"]), [0, 1]);
        assert_eq!(admitted(0, &["ever:0.5 tried"; 6]), [0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_word_that_changes_begins_anew_and_its_neighbours_do_not() {
        let snapshots = ["ever:0.9 tried:0.9", "never:0.9 tried:0.9", "never:0.9 tried:0.9"];
        assert_eq!(admitted(0, &snapshots), [0, 0, 2]);
        assert_eq!(admitted(0, &["ever:0.9 tried:0.9", "ever:0.9 so tried:0.9"]), [0, 3]);
    }

    #[test]
    fn punctuation_and_case_are_no_change() {
        assert_eq!(admitted(0, &["Ever:0.9", "ever,:0.9"]), [0, 1]);
    }

    #[test]
    fn a_doubtful_word_is_admitted_once_it_has_stood_for_four_seconds() {
        assert_eq!(admitted(0, &["hm:0.1"; 9]), [0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_place_disputed_for_six_seconds_goes_to_the_latest_word() {
        let flips: Vec<&str> = ["hm:0.1", "um:0.1"].into_iter().cycle().take(13).collect();
        let counts = admitted(0, &flips);
        assert_eq!((counts[..12].iter().sum::<usize>(), counts[12]), (0, 1));
    }

    #[test]
    fn snapshots_close_together_count_for_less() {
        let mut policy = Evidence::new(0);
        let word = [Candidate { key: "ever".into(), confidence: 0.9 }];
        let counts: Vec<usize> = (1..=4).map(|i| policy.admit(&word, SamplePos(i * APART / 2))).collect();
        assert_eq!(counts, [0, 0, 0, 1]);
    }

    #[test]
    fn a_policy_has_one_name_everywhere() {
        for policy in Policy::ALL {
            assert_eq!(policy.as_str().parse(), Ok(policy));
            let line = format!("policy = {:?}", policy.as_str());
            assert_eq!(crate::config::Config::parse(&line).unwrap().policy, Some(policy));
        }
        assert!("often".parse::<Policy>().unwrap_err().contains("agreement"));
    }

    #[test]
    fn holding_admits_nothing_however_sure_the_model_is() {
        let sure = [Candidate { key: "ever".into(), confidence: 1.0 }];
        assert_eq!((0..20).map(|i| Admission::Hold.admit(&sure, SamplePos(i * APART))).max(), Some(0));
    }

    proptest! {
        #[test]
        fn k_words_are_held_back_and_never_more_admitted_than_there_are(
            k in 0u32..4,
            snapshots in prop::collection::vec(prop::collection::vec(("[ab]", 0.0f32..=1.0), 0..8), 0..20),
        ) {
            let mut policy = Evidence::new(k);
            for (i, words) in snapshots.into_iter().enumerate() {
                let tail: Vec<_> = words.into_iter().map(|(key, confidence)| Candidate { key, confidence }).collect();
                let admitted = policy.admit(&tail, SamplePos(i as u64 * APART));
                prop_assert!(admitted <= tail.len().saturating_sub(k as usize));
            }
        }

        #[test]
        fn matches_are_equal_words_in_order(old: Vec<bool>, new: Vec<bool>) {
            let spell = |words: &[bool]| words.iter().map(|w| if *w { "a" } else { "b" }).collect::<Vec<_>>();
            let (old, new) = (spell(&old), spell(&new));
            let found = matches(&old, &new);
            let pairs: Vec<(usize, usize)> = found.iter().enumerate().filter_map(|(j, i)| i.map(|i| (i, j))).collect();
            prop_assert!(pairs.iter().all(|(i, j)| old[*i] == new[*j]));
            prop_assert!(pairs.windows(2).all(|p| p[0].0 < p[1].0));
        }
    }
}
