//! What of a running dictation outlives the daemon, as a list of entries.
//!
//! The session tells each entry when it happens; somebody writes them down, in this
//! order. Read back, the entries say what a daemon that ended in between had not
//! typed yet: text that no window confirmed, and audio that no word came of. How and
//! where entries are kept is not known here.

use crate::hypothesis::{DictationId, UtteranceId};
use crate::time::SamplePos;
use crate::wire::{Checkpoint, EngineInfo};
use serde::{Deserialize, Serialize};

/// Something that happened in a dictation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A dictation began.
    Begin {
        /// What it is called from here on.
        dictation: DictationId,
    },
    /// Audio that follows what came before; lost samples are zeros in it.
    Audio {
        /// The dictation that it belongs to: the newest one, as only one is recorded.
        dictation: DictationId,
        /// Position of the first sample.
        at: SamplePos,
        /// 16 kHz mono.
        pcm: Vec<f32>,
    },
    /// Text was handed to the typist.
    Text {
        /// The number of the edit.
        edit: u64,
        /// What is to be inserted.
        text: String,
    },
    /// An edit was confirmed, or so many characters of it.
    Typed {
        /// The number of the edit.
        edit: u64,
        /// Characters of its text that are in the window.
        characters: usize,
    },
    /// Where a worker of any kind has to begin if it takes over; audio before that will
    /// not be needed again, unless a later [`Entry::Checkpoint`] lies before it.
    Settled {
        /// The dictation.
        dictation: DictationId,
        /// The number of the utterance that begins there.
        utterance: UtteranceId,
        /// The first sample that is needed.
        at: SamplePos,
        /// Words of that utterance that are committed already.
        typed: Vec<String>,
    },
    /// Where a worker with an equal engine can go on.
    Checkpoint {
        /// What made it.
        engine: EngineInfo,
        /// What it is.
        checkpoint: Checkpoint,
        /// How many words were committed since: a worker that begins there says them
        /// again.
        said: usize,
    },
    /// Everything of the dictation is decoded; text may still be on its way.
    End {
        /// The dictation.
        dictation: DictationId,
    },
}
