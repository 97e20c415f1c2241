//! The whole protocol in memory: frames in, frames out, no process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use clap::Parser;
use std::io::{Cursor, Read};
use swictation_asr::stream::Stream;
use swictation_asr::{AsrError, Belief, Recognizer};
use swictation_core::wire::{
    Checkpoint, EngineInfo, FaultKind, FromWorker, ToWorker, VERSION, read_frame, write_frame,
};
use swictation_core::{DictationId, Hypothesis, SamplePos, UtteranceId, Word};
use swictation_worker::life::{Args, run};
use swictation_worker::serve::serve;

/// Hears a word in every half second of audio, and fails when a sample is NaN.
struct Counting {
    at: SamplePos,
    pending: Vec<f32>,
    words: u32,
    /// Steps that bring no word before the first that does.
    deaf: u32,
}

impl Counting {
    fn word(&mut self) -> Word {
        self.words += 1;
        let start = self.at;
        self.at = self.at + 8000;
        Word {
            text: format!("word{}", self.words),
            glued: false,
            start,
            end: self.at,
            confidence: 1.0,
            tokens: vec![self.words],
        }
    }
}

impl Recognizer for Counting {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            model: "counting".into(),
            family: "test".into(),
            provider: "cpu".into(),
            precision: "fp32".into(),
            context_seconds: 0.0,
            chunk_ms: 500,
            unbounded: true,
            ..EngineInfo::default()
        }
    }
    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        *self = Self { at, pending: Vec::new(), words: typed.len() as u32, deaf: self.deaf };
    }
    fn feed(&mut self, pcm: &[f32]) {
        self.pending.extend_from_slice(pcm);
    }
    fn step(&mut self) -> Result<Option<Belief>, AsrError> {
        if self.pending.iter().any(|s| s.is_nan()) {
            return Err(AsrError::Run("not a number".into()));
        }
        if self.pending.iter().any(|s| s.is_infinite()) {
            return Err(AsrError::Memory("no room for it".into()));
        }
        if self.pending.len() < 8000 {
            return Ok(None);
        }
        self.pending.drain(..8000);
        if self.deaf > 0 {
            self.deaf -= 1;
            return Ok(Some(Belief::default()));
        }
        let words = vec![self.word()];
        let (tokens, frames) = (vec![self.words], vec![self.words]);
        Ok(Some(Belief { words, frozen: 1, tokens, frames, ..Belief::default() }))
    }
    fn finish(&mut self) -> Result<Belief, AsrError> {
        Ok(Belief::default())
    }
    fn save(&self) -> Result<Vec<u8>, AsrError> {
        let numbers = [self.at.0, u64::from(self.words), u64::from(self.deaf), self.pending.len() as u64];
        let pending = self.pending.iter().flat_map(|sample| sample.to_le_bytes());
        Ok(numbers.iter().flat_map(|number| number.to_le_bytes()).chain(pending).collect())
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let damaged = || AsrError::Checkpoint("a number is missing".into());
        let (numbers, pending) = state.split_at_checked(32).ok_or_else(damaged)?;
        let number = |i: usize| u64::from_le_bytes(numbers[8 * i..8 * i + 8].try_into().unwrap());
        let pending = pending.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        *self = Self {
            at: SamplePos(number(0)),
            words: number(1) as u32,
            deaf: number(2) as u32,
            pending: pending.collect(),
        };
        Ok(())
    }
}

fn counting(deaf: u32) -> Stream {
    Stream::new(Box::new(Counting { at: SamplePos(0), pending: Vec::new(), words: 0, deaf }), None, true)
}

#[test]
fn a_worker_that_is_to_get_hotwords_and_gets_something_else_says_so() {
    let args = Args::parse_from(["swictation-worker", "--model", "/nowhere", "--hotwords"]);
    let (mut from, mut to) = (Vec::new(), Vec::new());
    write_frame(&mut from, &FromWorker::Hello { version: VERSION }).unwrap();
    let ended = run(&args, &mut from.as_slice(), &mut to, Ok);
    assert!(ended.is_err());
    let mut said = to.as_slice();
    assert_eq!(read_frame::<FromWorker>(&mut said).unwrap(), FromWorker::Hello { version: VERSION });
    match read_frame(&mut said).unwrap() {
        FromWorker::Fault { kind: FaultKind::Protocol, message } => {
            assert!(message.contains("hotwords"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

fn begin(dictation: u32) -> ToWorker {
    ToWorker::Begin {
        dictation: DictationId(dictation),
        utterance: UtteranceId(0),
        at: SamplePos(0),
        typed: Vec::new(),
        checkpoint: None,
    }
}

/// A dictation that goes on in this worker; the rest of the message is nonsense.
fn begin_at(checkpoint: Checkpoint) -> ToWorker {
    ToWorker::Begin {
        dictation: DictationId(1),
        utterance: UtteranceId(99),
        at: SamplePos(99),
        typed: vec![" nonsense".into()],
        checkpoint: Some(checkpoint),
    }
}

fn audio(at: u64, samples: usize) -> ToWorker {
    ToWorker::Audio { at: SamplePos(at), pcm: vec![0.1; samples] }
}

fn frames(messages: &[ToWorker]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|m| write_frame(&mut bytes, m).unwrap());
    bytes
}

fn answers(from: impl Read) -> (anyhow::Result<()>, Vec<FromWorker>) {
    answers_of(from, 0)
}

fn answers_of(mut from: impl Read, deaf: u32) -> (anyhow::Result<()>, Vec<FromWorker>) {
    let mut out = Vec::new();
    let ended = serve(&mut from, &mut out, &mut counting(deaf));
    let mut out = Cursor::new(out);
    let mut said = Vec::new();
    while let Ok(message) = read_frame(&mut out) {
        said.push(message);
    }
    (ended, said)
}

fn words(said: &[FromWorker]) -> Vec<String> {
    let words = said.iter().filter_map(|m| match m {
        FromWorker::Hypothesis(h) => Some(h.words[..h.frozen as usize].iter().map(|w| w.text.clone())),
        _ => None,
    });
    words.flatten().collect()
}

#[test]
fn audio_becomes_words_and_finished_is_the_last_word() {
    let program =
        [begin(1), audio(0, 12_000), audio(12_000, 8_000), ToWorker::Finish { at: SamplePos(20_000) }];
    let (ended, said) = answers(&frames(&program)[..]);
    ended.unwrap();
    assert_eq!(words(&said), ["word1", "word2"]);
    assert_eq!(said.last(), Some(&FromWorker::Finished { dictation: DictationId(1) }));
    let steps = said.iter().filter(|m| matches!(m, FromWorker::Step(_))).count();
    assert_eq!(steps, 2);
}

#[test]
fn every_audio_message_is_acknowledged_to_its_end() {
    let (_, said) = answers(&frames(&[begin(3), audio(0, 700), audio(700, 900)])[..]);
    let heard: Vec<_> = said
        .iter()
        .filter_map(|m| match m {
            FromWorker::Heard { dictation, up_to, .. } => Some((dictation.0, up_to.0)),
            _ => None,
        })
        .collect();
    assert_eq!(heard, [(3, 700), (3, 1600)]);
}

#[test]
fn a_stream_without_words_settles_all_but_the_last_half_minute() {
    let minute = |n: u64| audio(n * 960_000, 960_000);
    let program: Vec<_> = std::iter::once(begin(1)).chain((0..3).map(minute)).collect();
    let (_, said) = answers_of(&frames(&program)[..], u32::MAX);
    let resumes: Vec<_> = said
        .iter()
        .filter_map(|m| match m {
            FromWorker::Heard { up_to, resume, .. } => Some(up_to.since(*resume)),
            _ => None,
        })
        .collect();
    assert!(resumes.len() >= 3);
    assert!(resumes.iter().all(|kept| *kept <= 480_000), "{resumes:?}");
}

#[test]
fn what_was_forgotten_is_not_spoken_of_again() {
    let program = [begin(1), audio(0, 7_000), ToWorker::Forget, begin(2), audio(0, 8_192)];
    let (_, said) = answers(&frames(&program)[..]);
    assert_eq!(words(&said), ["word1"]);
    let late = said.iter().any(|m| matches!(m, FromWorker::Hypothesis(h) if h.dictation == DictationId(1)));
    assert!(!late);
}

#[test]
fn a_frame_that_cannot_be_read_is_a_protocol_fault() {
    let mut bytes = frames(&[begin(1)]);
    bytes.extend_from_slice(&[5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let (ended, said) = answers(&bytes[..]);
    assert!(ended.is_err());
    assert!(matches!(said.last(), Some(FromWorker::Fault { kind: FaultKind::Protocol, .. })), "{said:?}");
}

#[test]
fn a_daemon_that_dies_in_the_middle_of_a_frame_is_an_error_and_no_panic() {
    let bytes = frames(&[begin(1), audio(0, 100)]);
    let (ended, _) = answers(&bytes[..bytes.len() - 3]);
    assert!(ended.is_err());
}

#[test]
fn a_model_that_fails_is_a_device_fault_with_its_reason() {
    let program = [begin(1), ToWorker::Audio { at: SamplePos(0), pcm: vec![f32::NAN; 600] }];
    let (ended, said) = answers(&frames(&program)[..]);
    assert!(ended.is_err());
    match said.last() {
        Some(FromWorker::Fault { kind: FaultKind::Device, message }) => {
            assert!(message.contains("not a number"))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_that_has_no_room_is_told_from_one_that_fails() {
    let program = [begin(1), ToWorker::Audio { at: SamplePos(0), pcm: vec![f32::INFINITY; 600] }];
    let (_, said) = answers(&frames(&program)[..]);
    assert!(matches!(said.last(), Some(FromWorker::Fault { kind: FaultKind::Memory, .. })), "{said:?}");
}

#[test]
fn messages_outside_a_dictation_do_no_harm() {
    let program = [audio(0, 100), ToWorker::Finish { at: SamplePos(100) }, ToWorker::Forget];
    let (ended, said) = answers(&frames(&program)[..]);
    ended.unwrap();
    assert_eq!(words(&said), [] as [&str; 0]);
}

/// Eight seconds of audio in tenths, from the one at `from` on, and the end.
fn eight_seconds(from: u64) -> Vec<ToWorker> {
    let end = ToWorker::Finish { at: SamplePos(128_000) };
    (from..80).map(|tenth| audio(tenth * 1600, 1600)).chain([end]).collect()
}

/// What was said, without the time that it took.
fn timeless(said: Vec<FromWorker>) -> Vec<FromWorker> {
    let timeless = |message| match message {
        FromWorker::Hypothesis(hypothesis) => FromWorker::Hypothesis(Hypothesis { step_us: 0, ..hypothesis }),
        other => other,
    };
    said.into_iter().map(timeless).collect()
}

#[test]
fn a_worker_goes_on_from_a_checkpoint_and_says_the_rest() {
    let program = [vec![begin(1)], eight_seconds(0)].concat();
    let (ended, said) = answers(&frames(&program)[..]);
    ended.unwrap();
    let said = timeless(said);
    let mut tried = 0;
    for (i, message) in said.iter().enumerate() {
        let FromWorker::Checkpoint(checkpoint) = message else { continue };
        let tenth = checkpoint.at.0 / 1600;
        // What was sent before the checkpoint is not looked at again.
        let program = [vec![begin_at(checkpoint.clone())], eight_seconds(tenth)].concat();
        let (ended, rest) = answers(&frames(&program)[..]);
        ended.unwrap();
        assert_eq!(timeless(rest), said[i + 1..]);
        tried += 1;
    }
    assert_eq!(tried, 4, "the beginning, and every two seconds");
}

#[test]
fn a_checkpoint_that_cannot_be_used_is_a_protocol_fault_that_says_what_to_do() {
    let checkpoint = Checkpoint { dictation: DictationId(1), at: SamplePos(5), state: vec![1, 2, 3] };
    let (ended, said) = answers(&frames(&[begin_at(checkpoint)])[..]);
    assert!(ended.is_err());
    match said.last() {
        Some(FromWorker::Fault { kind: FaultKind::Protocol, message }) => {
            assert!(message.contains("checkpoint") && message.contains("begin again"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}
