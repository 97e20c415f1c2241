//! The whole worker as one function over a reader and a writer.
//!
//! Messages come in, are given to the [`Stream`], and what it says goes out
//! in the same order. The loop knows nothing of processes or devices, so tests
//! run the complete protocol in memory.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use swictation_asr::AsrError;
use swictation_asr::stream::Stream;
use swictation_core::wire::{FaultKind, FromWorker, ToWorker, WireError, read_frame, write_frame};

/// Serves until the other side closes the connection.
///
/// # Errors
/// The fault that was also told to the other side, as far as it still listens.
pub fn serve(from: &mut dyn Read, to: &mut dyn Write, stream: &mut Stream) -> Result<()> {
    loop {
        let message = match read_frame::<ToWorker>(from) {
            Ok(message) => message,
            Err(WireError::Closed) => return Ok(()),
            Err(error) => {
                fault(to, FaultKind::Protocol, &error.to_string());
                return Err(error).context("the daemon's message cannot be read");
            }
        };
        let mut lost = None;
        let mut say = |message: FromWorker| {
            if lost.is_none() {
                lost = write_frame(to, &message).err();
            }
        };
        let done = match message {
            ToWorker::Begin { dictation, checkpoint: Some(checkpoint), .. } => {
                stream.restore(dictation, &checkpoint)
            }
            ToWorker::Begin { dictation, utterance, at, typed, checkpoint: None } => {
                stream.begin(dictation, utterance, at, &typed);
                stream.first_checkpoint(&mut say)
            }
            ToWorker::Audio { at, pcm } => stream.feed(at, &pcm, &mut say),
            ToWorker::Finish { at } => stream.finish(at, &mut say),
            ToWorker::Forget => {
                stream.forget();
                Ok(())
            }
        };
        if let Err(error) = done {
            fault(to, kind(&error), &error.to_string());
            return Err(error.into());
        }
        if let Some(error) = lost {
            return Err(error).context("the daemon no longer listens");
        }
    }
}

/// What the daemon can do about an error.
pub fn kind(error: &AsrError) -> FaultKind {
    match error {
        AsrError::Runtime(_) => FaultKind::Runtime,
        AsrError::Device(_) | AsrError::Run(_) => FaultKind::Device,
        AsrError::Memory(_) => FaultKind::Memory,
        AsrError::Model { .. } | AsrError::Setting(_) => FaultKind::Model,
        AsrError::Checkpoint(_) => FaultKind::Protocol,
    }
}

/// Tells the other side why this worker ends; it may be gone already.
pub fn fault(to: &mut dyn Write, kind: FaultKind, message: &str) {
    let _ = write_frame(to, &FromWorker::Fault { kind, message: message.to_owned() });
}
