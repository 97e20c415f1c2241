//! Where another worker can go on: what a stream holds of its dictation, and back.
//!
//! A checkpoint lies between two frames of the detector and behind every step that the
//! audio allows, so nothing is under way in it, and where it lies depends on the audio
//! alone. What is said of audio is not said again: whoever goes on says the rest.

use super::{Dictation, Out, Stream};
use crate::{AsrError, state};
use serde::{Deserialize, Serialize};
use swictation_core::endpoint::{FRAME, PRE_ROLL};
use swictation_core::time::samples_in_ms;
use swictation_core::wire::{Checkpoint, FromWorker};
use swictation_core::{DictationId, block};

/// Audio from one checkpoint to the next, unless an utterance ends before. A worker
/// that takes over hears that much again at most, in a tenth of the time, and even one
/// that dies every second gets on; one costs about as much as a frame of speech.
const EVERY: u64 = samples_in_ms(2_000);

/// All that a worker holds of a dictation.
#[derive(Serialize, Deserialize)]
struct Held<D> {
    dictation: D,
    /// None when nobody has spoken yet: it is begun then.
    recognizer: Option<Blob>,
    /// None for streams without voice activity.
    vad: Option<Blob>,
}

#[derive(Serialize, Deserialize)]
struct Blob(#[serde(with = "block::bytes")] Vec<u8>);

impl Stream {
    /// Goes on with a dictation where another worker's `checkpoint` is, in the place of
    /// [`Stream::begin`]; the audio from there on comes next.
    ///
    /// # Errors
    /// `Checkpoint` when it cannot be read or was made with another model or other
    /// settings, and what the model or the device says; there is no dictation then.
    pub fn restore(&mut self, dictation: DictationId, checkpoint: &Checkpoint) -> Result<(), AsrError> {
        self.dictation = None;
        let held: Held<Dictation> = state::read("stream", &checkpoint.state)?;
        let Held { dictation: mut going, recognizer, vad } = held;
        state::expect(going.end == checkpoint.at, "its position")?;
        state::expect(going.is_heard() == recognizer.is_some() && going.fits(), "the dictation")?;
        state::expect(going.gated == self.vad.is_some(), "its voice activity")?;
        match (&mut self.vad, vad) {
            (Some(own), Some(Blob(state))) => own.restore(&state)?,
            (None, None) => {}
            _ => return state::expect(false, "its voice activity"),
        }
        if let Some(Blob(state)) = recognizer {
            self.recognizer.restore(&state)?;
        }
        going.id = dictation;
        self.dictation = Some(going);
        Ok(())
    }

    /// Tells of the checkpoint before anything is heard: a worker that ends before the
    /// next one costs no more than one that ends behind it.
    ///
    /// # Errors
    /// What the model or the device said.
    pub fn first_checkpoint(&mut self, out: Out<'_>) -> Result<(), AsrError> {
        let Some(dictation) = self.dictation.take() else { return Ok(()) };
        out(FromWorker::Checkpoint(self.held(&dictation)?));
        self.dictation = Some(dictation);
        Ok(())
    }

    /// Tells of a checkpoint at the end of what was heard.
    pub(super) fn checkpoint(&mut self, dictation: &mut Dictation, out: Out<'_>) -> Result<(), AsrError> {
        // So that `benches/checkpoint` can tell its time from that of everything else.
        let _span = tracing::trace_span!("checkpoint").entered();
        dictation.checkpoint = dictation.end;
        let checkpoint = self.held(dictation)?;
        out(dictation.heard());
        out(FromWorker::Checkpoint(checkpoint));
        Ok(())
    }

    fn held(&self, dictation: &Dictation) -> Result<Checkpoint, AsrError> {
        let recognizer = match dictation.is_heard() {
            true => Some(Blob(self.recognizer.save()?)),
            false => None,
        };
        let vad = self.vad.as_ref().map(|vad| vad.save().map(Blob)).transpose()?;
        let state = state::write("stream", &Held { dictation, recognizer, vad })?;
        Ok(Checkpoint { dictation: dictation.id, at: dictation.end, state })
    }
}

impl Dictation {
    /// Samples to the next checkpoint.
    pub(super) fn to_checkpoint(&self) -> usize {
        (self.checkpoint + EVERY).since(self.end) as usize
    }

    /// Whether the recognizer holds something of this dictation.
    fn is_heard(&self) -> bool {
        self.begun.is_some() || self.ended
    }

    /// Whether a stream can have come to this.
    fn fits(&self) -> bool {
        let past = self.begun.unwrap_or_default().max(self.settled).max(self.checkpoint);
        past <= self.end && self.history.len() as u64 <= (PRE_ROLL + FRAME).min(self.end.0)
    }
}
