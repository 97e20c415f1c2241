//! The protocol between the daemon and a worker, version [`VERSION`].
//!
//! Frames are a little-endian u32 length and a postcard body, over the worker's
//! stdin and stdout. The worker speaks first: `Hello` with its version, then
//! `Ready` or `Fault`. Every message that speaks of audio carries a
//! [`SamplePos`] and the [`DictationId`] it belongs to, so a late message can be
//! told from a current one. Nothing here knows what a process is.

pub use crate::engine::GraphInfo;
use crate::hotwords::{Hotword, Used};
use crate::hypothesis::{DictationId, Hypothesis, UtteranceId};
use crate::time::SamplePos;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// The protocol version; both sides must have the same.
/// 1: the first. 2: [`EngineInfo`] tells the latency, the runtime, and of each graph.
/// 3: [`Checkpoint`], and [`FaultKind::Memory`]. 4: [`Expect`].
pub const VERSION: u32 = 4;

/// What to tell a person whose worker speaks `version`, another than [`VERSION`].
pub fn other_version(version: u32) -> String {
    format!(
        "swictation-worker speaks version {version} of the protocol and swictationd version {VERSION}: install both from the same release"
    )
}

/// The longest frame either side accepts, in bytes: the caches of a large streaming
/// model fit, which a [`Checkpoint`] holds.
pub const MAX_FRAME: u32 = 64 << 20;

/// From the daemon to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// A dictation begins, or goes on in a new worker, with an utterance at `at`.
    Begin {
        /// Echoed in every answer.
        dictation: DictationId,
        /// The number of the first utterance.
        utterance: UtteranceId,
        /// The position of the first sample that will be sent.
        at: SamplePos,
        /// Words of this utterance that are already typed. They are taken as
        /// given and not sent again.
        typed: Vec<String>,
        /// Where to go on instead: `at` is then the checkpoint's, and `utterance` and
        /// `typed` are not looked at, because the state holds them.
        checkpoint: Option<Checkpoint>,
    },
    /// Audio that follows what was sent before, 16 kHz mono.
    Audio {
        /// Position of the first sample.
        at: SamplePos,
        /// Samples, nominally -1 to 1.
        pcm: Vec<f32>,
    },
    /// Decode everything before `at`, then answer [`FromWorker::Finished`].
    Finish {
        /// The end of the dictation's audio.
        at: SamplePos,
    },
    /// Drop the current dictation; nothing more is said about it.
    Forget,
}

/// Hotwords for a worker's whole life: the first frame to one that was started with
/// `--hotwords`, which waits for it before it loads, and to no other. They go this way
/// because a command line can be read by everybody on the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expect(pub Vec<Hotword>);

/// From the worker to the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The first message of a worker's life.
    Hello {
        /// The worker's [`VERSION`].
        version: u32,
    },
    /// The model is loaded, warm and passed its self-test, in which one step took so
    /// many microseconds.
    Ready(EngineInfo, u32),
    /// All audio before `up_to` was fed to the model and every step it allows
    /// was made.
    Heard {
        /// The dictation this belongs to.
        dictation: DictationId,
        /// Acknowledged position.
        up_to: SamplePos,
        /// Voice activity says somebody is speaking at `up_to`.
        speech: bool,
        /// Audio before this position will not be needed again, not even by a
        /// worker that has to take over: the beginning of the current utterance,
        /// or while nobody speaks, the earliest place where the next can begin.
        resume: SamplePos,
    },
    /// One model step, only when the worker was started with `--steps`.
    Step(Step),
    /// The state after a step that changed something, or after the end of an utterance.
    Hypothesis(Hypothesis),
    /// From here another worker can go on exactly as this one will.
    Checkpoint(Checkpoint),
    /// The answer to [`ToWorker::Finish`]: nothing more will be said about this dictation.
    Finished {
        /// The dictation that is done.
        dictation: DictationId,
    },
    /// The worker cannot go on; it ends after this message.
    Fault {
        /// What the daemon can do about it.
        kind: FaultKind,
        /// What failed, for the person who reads it.
        message: String,
    },
}

/// Everything that a worker holds of a dictation when it has heard the audio before
/// `at` and made every step that it allows. A worker of the same
/// recognizer ([`EngineInfo::goes_on_from`]) that gets it, and the audio from `at` on,
/// says what this one says, to the letter on the same device.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The dictation this belongs to.
    pub dictation: DictationId,
    /// The position of the first sample that is not in it.
    pub at: SamplePos,
    /// For workers alone, and of no meaning to anybody else.
    #[serde(with = "crate::block::bytes")]
    pub state: Vec<u8>,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What was said is in the state, and debug output goes into logs.
        write!(f, "Checkpoint({:?} at {:?}, {} bytes)", self.dictation, self.at, self.state.len())
    }
}

/// What one model step emitted, for comparison with a reference implementation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Steps since the beginning of the dictation, from 0.
    pub step: u32,
    /// Token ids that this step added (transducer, CTC), or the full
    /// unprefixed decode of this step (attention).
    pub tokens: Vec<u32>,
    /// The encoder frame of each token, counted from the beginning of the
    /// stream; empty where the family has no token times.
    pub frames: Vec<u32>,
}

/// What is loaded and where it runs, read back from the runtime, never assumed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// The model's name from its `model.toml`.
    pub model: String,
    /// The family from its `model.toml`.
    pub family: String,
    /// The execution provider that got the nodes, such as `cpu` or `cuda:0`.
    pub provider: String,
    /// The data type of most of the weights: `fp32`, `fp16`, `int8`.
    pub precision: String,
    /// Left context the model sees, in seconds.
    pub context_seconds: f32,
    /// Audio per model step, in milliseconds.
    pub chunk_ms: u32,
    /// The algorithmic latency: the chunk of a step and what is heard behind it, in
    /// milliseconds; none where no setting fixes it. Wait-k of an attention decoder
    /// comes on top.
    pub latency_ms: Option<u32>,
    /// How far behind the audio a word must be before it is committed, in the family's
    /// own unit; none for families whose words never change.
    pub wait_k: Option<u32>,
    /// The recognizer streams without bound: it never ends an utterance by itself.
    pub unbounded: bool,
    /// The hotwords that are expected; another list gives other words.
    pub hotwords: Used,
    /// The version of ONNX Runtime.
    pub runtime: String,
    /// What was read back of each graph.
    pub graphs: Vec<GraphInfo>,
}

/// Why a worker gave up, as far as it decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The device failed or is not there: another device may do.
    Device,
    /// The device has no room for the model now: another device may do, or the same
    /// one later.
    Memory,
    /// The model or a setting for it is wrong: a person has to act.
    Model,
    /// ONNX Runtime is missing or unusable: a person has to act.
    Runtime,
    /// The other side spoke another protocol.
    Protocol,
}

/// What can go wrong between the two processes.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side closed the stream between two frames.
    #[error("the other side closed the connection")]
    Closed,
    /// Reading or writing failed, also by an end in the middle of a frame.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// A frame that this version cannot read.
    #[error("a frame of {length} bytes cannot be understood: {reason}")]
    Malformed {
        /// The length the frame declared.
        length: u32,
        /// What the decoder said.
        reason: String,
    },
}

/// Writes one frame and flushes.
pub fn write_frame<T: Serialize>(to: &mut dyn Write, message: &T) -> Result<(), WireError> {
    let body = postcard::to_stdvec(message)
        .map_err(|e| WireError::Malformed { length: 0, reason: e.to_string() })?;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    if length > MAX_FRAME {
        return Err(WireError::Malformed { length, reason: format!("longer than {MAX_FRAME} bytes") });
    }
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&body)?;
    to.flush()?;
    Ok(())
}

/// Reads one frame; blocks until it is whole.
pub fn read_frame<T: DeserializeOwned>(from: &mut dyn Read) -> Result<T, WireError> {
    let mut head = [0u8; 4];
    let mut got = 0;
    while got < head.len() {
        match from.read(&mut head[got..]) {
            Ok(0) if got == 0 => return Err(WireError::Closed),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    let length = u32::from_le_bytes(head);
    if length > MAX_FRAME {
        return Err(WireError::Malformed { length, reason: format!("longer than {MAX_FRAME} bytes") });
    }
    let mut body = vec![0u8; length as usize];
    from.read_exact(&mut body)?;
    let (message, rest) = postcard::take_from_bytes(&body)
        .map_err(|e| WireError::Malformed { length, reason: e.to_string() })?;
    if !rest.is_empty() {
        return Err(WireError::Malformed { length, reason: format!("{} bytes too many", rest.len()) });
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> FromWorker {
        FromWorker::Heard {
            dictation: DictationId(7),
            up_to: SamplePos(u64::MAX),
            speech: true,
            resume: SamplePos(1),
        }
    }

    #[test]
    fn a_message_comes_back_as_it_went() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &heard()).unwrap();
        write_frame(&mut bytes, &FromWorker::Hello { version: VERSION }).unwrap();
        let mut from = &bytes[..];
        assert_eq!(read_frame::<FromWorker>(&mut from).unwrap(), heard());
        assert_eq!(read_frame::<FromWorker>(&mut from).unwrap(), FromWorker::Hello { version: VERSION });
        assert!(matches!(read_frame::<FromWorker>(&mut from), Err(WireError::Closed)));
    }

    #[test]
    fn a_frame_cut_anywhere_is_an_error_and_not_an_end() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &heard()).unwrap();
        for cut in 1..bytes.len() {
            let got = read_frame::<FromWorker>(&mut &bytes[..cut]);
            assert!(matches!(got, Err(WireError::Io(_))), "cut at {cut}: {got:?}");
        }
    }

    #[test]
    fn a_length_that_lies_is_refused_before_memory_is_taken() {
        let bytes = u32::MAX.to_le_bytes();
        assert!(matches!(read_frame::<FromWorker>(&mut &bytes[..]), Err(WireError::Malformed { .. })));
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = read_frame::<FromWorker>(&mut &bytes[..]);
            let _ = read_frame::<ToWorker>(&mut &bytes[..]);
            let _ = read_frame::<Expect>(&mut &bytes[..]);
        }
    }
}
