//! What can happen and what can be done: two closed lists.

use super::{Away, Made, Untyped};
use crate::hypothesis::{DictationId, Word};
use crate::journal::Entry;
use crate::supervise::Ending;
use crate::wire::{EngineInfo, FromWorker, Step, ToWorker};
use crate::{Edit, Now, SamplePos};

/// Everything that can happen.
#[derive(Debug)]
pub enum Event {
    /// A person, just now.
    Command(Command),
    /// A person, through a program that may have taken its time; when it was made.
    Called(Command, Made),
    /// The person, or the machine, goes or comes back.
    Away(Away),
    /// The microphone opened for this capture.
    Microphone(u32, Microphone),
    /// The current worker spoke.
    Worker(FromWorker),
    /// The current worker ended, and what is known about it.
    WorkerGone(Ending),
    /// Another recognizer is wanted, on the first of these devices that takes it. It
    /// is tried beside the current one, and in the place of an earlier candidate.
    Consider(Vec<String>),
    /// The current recognizer is wanted and no other.
    Dismiss,
    /// The candidate spoke.
    Candidate(FromWorker),
    /// The candidate ended, and what is known about it.
    CandidateGone(Ending),
    /// The typist dealt with an edit, or with an [`Effect::Scratch`].
    Typed(u64, Result<(), Untyped>),
    /// A deadline of [`Session::deadline`] has passed.
    Tick,
}

/// What a person can ask for; each is harmless when it is already so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin to listen.
    Start,
    /// Stop listening; everything said so far is still typed.
    Stop,
    /// Stop when listening, start otherwise.
    Toggle,
    /// Stop listening; what is not typed yet never will be, and what this dictation
    /// typed is taken back where that is possible.
    Cancel,
}

/// What a capture tells.
#[derive(Debug)]
pub enum Microphone {
    /// Audio that follows what came before.
    Block {
        /// 16 kHz mono.
        pcm: Vec<f32>,
        /// When its last sample was captured.
        captured: Now,
        /// Samples that were lost right before it.
        dropped: u64,
    },
    /// The microphone delivers only zeros, or does so no longer.
    Silent(bool),
    /// No audio comes, and why; it is being reopened.
    Lost(String),
    /// The device is open (again).
    Opened,
    /// Everything captured has been delivered.
    Ended,
}

/// Everything that can be done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Open the microphone and tell of it under this number.
    OpenMicrophone(u32),
    /// Close it; what it has captured is still delivered, then `Ended`.
    CloseMicrophone(u32),
    /// The capture may deliver more: its first so many samples have been decoded.
    Decoded(u32, u64),
    /// Start a worker on this device.
    Spawn(String),
    /// End the current worker, whatever it does.
    Kill,
    /// The current worker was ended for this reason, which belongs in the log.
    Replaced(String),
    /// Start the candidate's worker on this device.
    SpawnCandidate(String),
    /// End the candidate, whatever it does.
    KillCandidate,
    /// The candidate is the current worker from now on; the one before it ends.
    Adopt,
    /// The candidate failed and is gone; why, for a person.
    Reject(String),
    /// Tell the current worker.
    Send(ToWorker),
    /// Open the typist now, so that the first word does not wait for it.
    PrepareTypist,
    /// Write down what happened, before what follows is done.
    Record(Entry),
    /// Type, and report under this number. When one edit fails, those that are on their
    /// way behind it fail as well, so that no text overtakes another.
    Type(u64, Edit),
    /// The edit that comes next is to be tried, though one before it failed.
    ResumeTyping,
    /// `true`: a dictation begins here whose text may be taken back, and that of the one
    /// before it no longer; where text is kept to a window, that is its. `false`: no
    /// dictation runs, and no text of one waits for its window.
    Watch(bool),
    /// The dictation was cancelled: type no edit on its way that is numbered `from` or
    /// higher and, with `erase`, take back what was typed since [`Effect::Watch`], in a
    /// terminal only what is of `utterance`, if nobody came in between. Then no dictation
    /// runs.
    TakeBack {
        /// The first edit that is not to be typed.
        from: u64,
        /// The first edit of the utterance that was the last to be typed.
        utterance: u64,
        /// Also erase.
        erase: bool,
    },
    /// Some of what the dictation typed is not wanted: type no edit on its way that is
    /// numbered `from` or higher, take back what those that are in the window typed, if
    /// nobody came in between, and report under the number `id`. The dictation goes on.
    Scratch {
        /// The number of the report, which comes after those of all edits before it.
        id: u64,
        /// The first edit that is not wanted.
        from: u64,
    },
    /// Words were committed when audio up to the position had been heard.
    Committed(Vec<Word>, SamplePos),
    /// A model step, when the worker was asked to tell of them.
    Stepped(Step),
    /// Audio that no worker gets over was left out.
    Skipped(Skipped),
    /// Nothing is under way any more: the machine may sleep.
    MaySleep,
    /// A dictation is over; the length of its audio.
    Done(DictationId, SamplePos),
    /// What people see has changed: [`Session::state`], `engine`, `trouble`.
    Publish,
}

/// Audio that ended the worker on every device.
#[derive(Clone, PartialEq)]
pub struct Skipped {
    /// The dictation that it is from.
    pub dictation: DictationId,
    /// Its first sample.
    pub from: SamplePos,
    /// The sample behind it.
    pub to: SamplePos,
    /// The audio, 16 kHz mono.
    pub pcm: Vec<f32>,
}

impl std::fmt::Debug for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Skipped({:?}, {:?} to {:?})", self.dictation, self.from, self.to)
    }
}

/// What people see of the dictation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Nothing is being dictated.
    Idle,
    /// The microphone is being opened.
    Starting,
    /// Audio arrives.
    Listening,
    /// Somebody speaks.
    Speaking,
    /// The microphone is closed, the last words are being decoded.
    Finishing,
}

/// What the machine can do.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// There is no worker; the next is started at this time.
    Waiting(Now),
    /// There is no worker because nobody needed one; the next dictation brings it.
    Unloaded,
    /// A worker loads its model on this device.
    Loading(String),
    /// A worker is ready.
    Ready(EngineInfo),
    /// No worker can be had, and why.
    Failed(String),
}
