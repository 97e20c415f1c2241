//! What of a running dictation outlives the daemon, as a list of entries.
//!
//! The session tells each entry when it happens; somebody writes them down, in this
//! order. Read back, they say what a daemon that ended in between still owed
//! ([`Ledger`]): text that no window confirmed, and audio that no word came of. How
//! bytes become entries is here, too ([`frame`]); where bytes are kept is not known.

pub mod frame;
mod ledger;

use crate::hypothesis::{DictationId, UtteranceId};
use crate::text::Text;
use crate::time::SamplePos;
use crate::wire::{Checkpoint, EngineInfo};
pub use ledger::{Ledger, Owed, Recovered, Stretch};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that happened in a dictation.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A dictation began.
    Begin {
        /// What it is called from here on.
        dictation: DictationId,
    },
    /// Audio that follows what came before; lost samples in between are a gap.
    Audio {
        /// The dictation that it belongs to.
        dictation: DictationId,
        /// Position of the first sample.
        at: SamplePos,
        /// 16 kHz mono.
        pcm: Vec<f32>,
    },
    /// Text was committed, to be typed behind all that is owed already.
    Text {
        /// The number of this piece.
        piece: u64,
        /// What is to be typed.
        text: String,
        /// The dictation whose words are in it, and how far they bring it. In one entry
        /// with the text, as a word that is owed as text must not be owed as audio.
        past: Option<(DictationId, Past)>,
    },
    /// Nothing of a piece is owed any more: it was typed, or the person has it, or does
    /// not want it, as after "scratch that".
    Paid {
        /// The number of the piece.
        piece: u64,
    },
    /// So many characters more at the beginning of a piece were typed.
    Partly {
        /// The number of the piece.
        piece: u64,
        /// Characters of what was owed of it.
        characters: usize,
    },
    /// Where a worker of any kind has to begin if it takes over; audio before that will
    /// not be needed again, unless a [`Entry::Checkpoint`] lies before it.
    Settled {
        /// The dictation.
        dictation: DictationId,
        /// How far it is.
        past: Past,
    },
    /// Where a worker with an equal engine can go on, in the place of an earlier one.
    Checkpoint {
        /// The dictation.
        dictation: DictationId,
        /// What it is, and what made it; none when the one before is void.
        made: Option<(EngineInfo, Checkpoint)>,
    },
    /// Everything of the dictation is decoded; text may still be on its way.
    End {
        /// The dictation.
        dictation: DictationId,
    },
    /// The dictation is over and no worker was there to decode the rest of it.
    Unheard {
        /// The dictation.
        dictation: DictationId,
    },
    /// The person wants nothing of what is not typed yet.
    Forgotten,
    /// All that is owed up to here, but for audio: what comes after this can be read
    /// without what came before.
    Carried(Ledger),
}

/// How far a dictation is: what a worker that takes over must be told.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// The utterance that is being decoded.
    pub utterance: UtteranceId,
    /// The first sample that is needed.
    pub at: SamplePos,
    /// How many words of that utterance end before `at`.
    pub settled: u32,
    /// Its committed words after those, as they were typed, and their ends.
    pub typed: Vec<(String, SamplePos)>,
    /// Its text as far as it matters for the words that follow.
    pub text: Text,
}

/// Nobody dictates for so long; numbers from here on are not believed, so that none
/// overflows later.
const FURTHEST: u64 = 1 << 48;

impl Past {
    fn is_plausible(&self) -> bool {
        self.at.0 < FURTHEST
            && self.utterance.0 < u32::MAX / 2
            && self.settled < u32::MAX / 2
            && self.text.is_plausible()
    }
}

impl Entry {
    /// Whether a session can have told this; bytes from a disk may say anything.
    fn is_plausible(&self) -> bool {
        match self {
            Entry::Audio { at, .. } => at.0 < FURTHEST,
            Entry::Text { past: Some((_, past)), .. } | Entry::Settled { past, .. } => past.is_plausible(),
            Entry::Checkpoint { made: Some((_, checkpoint)), .. } => checkpoint.at.0 < FURTHEST,
            Entry::Carried(ledger) => {
                ledger.owed().iter().all(|owed| owed.past.is_plausible() && owed.needed().0 < FURTHEST)
            }
            _ => true,
        }
    }
}

// What was said is in the entries, and debug output goes into logs.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Begin { dictation } => write!(f, "Begin({})", dictation.0),
            Entry::Audio { dictation, at, pcm } => {
                write!(f, "Audio({}, {} samples at {})", dictation.0, pcm.len(), at.0)
            }
            Entry::Text { piece, text, past } => {
                write!(f, "Text({piece}, {} characters, {past:?})", text.chars().count())
            }
            Entry::Paid { piece } => write!(f, "Paid({piece})"),
            Entry::Partly { piece, characters } => write!(f, "Partly({piece}, {characters} typed)"),
            Entry::Settled { dictation, past } => write!(f, "Settled({}, {past:?})", dictation.0),
            Entry::Checkpoint { dictation, made } => {
                write!(
                    f,
                    "Checkpoint({}, {:?})",
                    dictation.0,
                    made.as_ref().map(|(_, checkpoint)| checkpoint)
                )
            }
            Entry::End { dictation } => write!(f, "End({})", dictation.0),
            Entry::Unheard { dictation } => write!(f, "Unheard({})", dictation.0),
            Entry::Forgotten => f.write_str("Forgotten"),
            Entry::Carried(ledger) => ledger.fmt(f),
        }
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { utterance, at, settled, typed, .. } = self;
        write!(f, "utterance {} from {}, {settled} and {} words", utterance.0, at.0, typed.len())
    }
}
