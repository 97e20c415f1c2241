//! What is still owed after any number of entries.
//!
//! The [`Ledger`] is small and kept by whoever writes entries down: it says when all
//! is settled, and which audio is not needed any more. [`Recovered`] is the ledger
//! with that audio, for whoever reads them back.

use super::{Entry, Past};
use crate::hypothesis::DictationId;
use crate::time::{SAMPLE_RATE, SamplePos};
use crate::wire::{Checkpoint, EngineInfo};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// The longest gap that is believed: longer ones come from a damaged file, and
/// silence takes memory.
const GAP: u64 = 3600 * SAMPLE_RATE as u64;

/// Text and dictations that are not done with.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// What is owed of each piece of text.
    pieces: Vec<(u64, String)>,
    owed: Vec<Owed>,
}

/// A dictation that is not decoded to its end.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// Which.
    pub dictation: DictationId,
    /// How far it is.
    pub past: Past,
    /// Where an equal engine goes on, and which that is.
    pub checkpoint: Option<(EngineInfo, Checkpoint)>,
    /// It is over, and its rest was not decoded for want of a worker.
    pub unheard: bool,
}

impl Owed {
    /// The first sample that is needed.
    pub fn needed(&self) -> SamplePos {
        self.checkpoint.as_ref().map_or(self.past.at, |(_, checkpoint)| checkpoint.at.min(self.past.at))
    }
}

impl Ledger {
    /// Takes in what happened next.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Begin { dictation } => {
                let (past, checkpoint) = (Past::default(), None);
                self.owed.push(Owed { dictation: *dictation, past, checkpoint, unheard: false });
            }
            Entry::Audio { .. } => {}
            Entry::Text { piece, text, past } => {
                self.pieces.push((*piece, text.clone()));
                if let Some((dictation, past)) = past {
                    self.settle(*dictation, past);
                }
            }
            Entry::Paid { piece } => self.pieces.retain(|(id, _)| id != piece),
            Entry::Partly { piece, characters } => {
                if let Some((_, text)) = self.pieces.iter_mut().find(|(id, _)| id == piece) {
                    *text = text.chars().skip(*characters).collect();
                }
            }
            Entry::Settled { dictation, past } => self.settle(*dictation, past),
            Entry::Checkpoint { dictation, made } => {
                if let Some(owed) = self.of(*dictation) {
                    owed.checkpoint.clone_from(made);
                }
            }
            Entry::End { dictation } => self.owed.retain(|owed| owed.dictation != *dictation),
            Entry::Unheard { dictation } => {
                if let Some(owed) = self.of(*dictation) {
                    owed.unheard = true;
                }
            }
            Entry::Forgotten => *self = Self::default(),
            Entry::Carried(ledger) => *self = ledger.clone(),
        }
    }

    /// Nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.owed.is_empty()
    }

    /// Nothing more will happen to what is owed, if anything is.
    pub fn is_over(&self) -> bool {
        self.pieces.is_empty() && self.owed.iter().all(|owed| owed.unheard)
    }

    /// Dictations that are not decoded to their end, the oldest first.
    pub fn owed(&self) -> &[Owed] {
        &self.owed
    }

    /// Whether the audio of this dictation before this position is still needed.
    pub fn needs(&self, dictation: DictationId, end: SamplePos) -> bool {
        self.owed.iter().any(|owed| owed.dictation == dictation && owed.needed() < end)
    }

    /// Text that no window confirmed.
    pub fn untyped(&self) -> String {
        self.pieces.iter().map(|(_, text)| text.as_str()).collect()
    }

    fn settle(&mut self, dictation: DictationId, past: &Past) {
        if let Some(owed) = self.of(dictation) {
            owed.past.clone_from(past);
        }
    }

    fn of(&mut self, dictation: DictationId) -> Option<&mut Owed> {
        self.owed.iter_mut().find(|owed| owed.dictation == dictation)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({} pieces, {:?})", self.pieces.len(), self.owed)
    }
}

impl fmt::Debug for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.dictation, self.past)
    }
}

/// The ledger, and the audio that is needed to settle it.
#[derive(Default)]
pub struct Recovered {
    ledger: Ledger,
    audio: VecDeque<(DictationId, SamplePos, Vec<f32>)>,
}

/// The rest of a dictation that no word came of.
pub struct Stretch {
    /// The dictation, and what a worker must be told of it.
    pub owed: Owed,
    /// Its audio from [`Owed::needed`] on, each piece with the number of samples that
    /// are missing right before it.
    pub audio: Vec<(u64, Vec<f32>)>,
}

impl Recovered {
    /// Takes in what happened next.
    pub fn add(&mut self, entry: Entry) {
        self.ledger.apply(&entry);
        match entry {
            Entry::Audio { dictation, at, pcm } => self.audio.push_back((dictation, at, pcm)),
            _ => {
                let ledger = &self.ledger;
                let done = |(dictation, at, pcm): &(DictationId, SamplePos, Vec<f32>)| {
                    !ledger.needs(*dictation, *at + pcm.len() as u64)
                };
                while self.audio.front().is_some_and(done) {
                    self.audio.pop_front();
                }
            }
        }
    }

    /// Text that no window confirmed.
    pub fn untyped(&self) -> String {
        self.ledger.untyped()
    }

    /// The rest of every dictation that has audio behind its last word.
    pub fn stretches(mut self) -> Vec<Stretch> {
        let owed = std::mem::take(&mut self.ledger.owed);
        let stretches = owed.into_iter().map(|owed| {
            let (mut audio, mut end) = (Vec::new(), owed.needed());
            for (_, at, pcm) in self.audio.iter().filter(|(dictation, ..)| *dictation == owed.dictation) {
                let known = (end.since(*at) as usize).min(pcm.len());
                if known < pcm.len() {
                    audio.push((at.since(end).min(GAP), pcm[known..].to_vec()));
                    end = *at + pcm.len() as u64;
                }
            }
            Stretch { owed, audio }
        });
        stretches.filter(|stretch| !stretch.audio.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypothesis::UtteranceId;

    const FIRST: DictationId = DictationId(1);

    fn past(at: u64) -> Past {
        Past { utterance: UtteranceId(1), at: SamplePos(at), ..Past::default() }
    }

    fn recovered(entries: Vec<Entry>) -> Recovered {
        let mut recovered = Recovered::default();
        entries.into_iter().for_each(|entry| recovered.add(entry));
        recovered
    }

    fn text(piece: u64, text: &str) -> Entry {
        Entry::Text { piece, text: text.into(), past: None }
    }

    fn audio(at: u64, samples: std::ops::Range<u8>) -> Entry {
        let pcm = samples.map(f32::from).collect();
        Entry::Audio { dictation: FIRST, at: SamplePos(at), pcm }
    }

    #[test]
    fn what_was_typed_is_not_owed_and_of_a_piece_that_was_typed_in_part_the_rest_is() {
        assert_eq!(
            recovered(vec![text(1, "one"), text(2, " two"), Entry::Paid { piece: 1 }]).untyped(),
            " two"
        );
        let partly = vec![text(1, "one"), text(2, " two"), Entry::Partly { piece: 1, characters: 2 }];
        assert_eq!(recovered(partly.clone()).untyped(), "e two");
        let more = vec![Entry::Paid { piece: 1 }, Entry::Partly { piece: 2, characters: 1 }];
        assert_eq!(recovered([partly, more].concat()).untyped(), "two");
    }

    #[test]
    fn audio_is_owed_from_where_a_worker_has_to_begin_and_a_gap_stays_a_gap() {
        let begin = Entry::Begin { dictation: FIRST };
        let settled = Entry::Settled { dictation: FIRST, past: past(4) };
        let stretches =
            recovered(vec![begin, audio(0, 0..3), audio(3, 3..6), settled, audio(8, 8..9)]).stretches();
        let [Stretch { owed, audio }] = stretches.as_slice() else { panic!("{}", stretches.len()) };
        assert_eq!(owed.past, past(4));
        assert_eq!(audio, &[(0, vec![4.0, 5.0]), (2, vec![8.0])]);
    }

    #[test]
    fn audio_behind_a_checkpoint_is_owed_although_it_is_settled() {
        let checkpoint = Checkpoint { dictation: FIRST, at: SamplePos(2), state: Vec::new() };
        let stretches = recovered(vec![
            Entry::Begin { dictation: FIRST },
            audio(0, 0..6),
            Entry::Checkpoint { dictation: FIRST, made: Some((EngineInfo::default(), checkpoint)) },
            Entry::Settled { dictation: FIRST, past: past(4) },
        ])
        .stretches();
        assert_eq!(stretches[0].audio, [(0, vec![2.0, 3.0, 4.0, 5.0])]);
    }

    #[test]
    fn nothing_is_owed_of_a_dictation_that_ended_or_was_cancelled() {
        let begun = vec![Entry::Begin { dictation: FIRST }, audio(0, 0..6), text(1, "one")];
        for last in [vec![Entry::Paid { piece: 1 }, Entry::End { dictation: FIRST }], vec![Entry::Forgotten]]
        {
            let recovered = recovered([begun.clone(), last].concat());
            assert!(recovered.ledger.is_empty() && recovered.ledger.is_over());
            assert_eq!(recovered.stretches().len(), 0);
        }
    }

    #[test]
    fn a_dictation_that_no_worker_heard_is_over_and_owed() {
        let begin = Entry::Begin { dictation: FIRST };
        let recovered = recovered(vec![begin, audio(0, 0..6), Entry::Unheard { dictation: FIRST }]);
        assert!(recovered.ledger.is_over() && !recovered.ledger.is_empty());
        assert_eq!(recovered.stretches().len(), 1);
    }

    #[test]
    fn a_ledger_that_was_carried_over_stands_for_all_entries_before_it() {
        let before = vec![Entry::Begin { dictation: FIRST }, audio(0, 0..6), text(1, "one"), text(2, " two")];
        let ledger = recovered(before).ledger;
        let settled = Entry::Settled { dictation: FIRST, past: past(6) };
        let after =
            recovered(vec![Entry::Carried(ledger), Entry::Paid { piece: 1 }, settled, audio(6, 6..8)]);
        assert_eq!(after.untyped(), " two");
        assert_eq!(after.stretches()[0].audio, [(0, vec![6.0, 7.0])]);
    }
}
