//! A stream around a recognizer that is told what to say, and around the default model.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::OnceLock;
use swictation_asr::graph::{Device, Runtime};
use swictation_asr::manifest::Manifest;
use swictation_asr::stream::Stream;
use swictation_asr::vad::Vad;
use swictation_asr::{AsrError, Belief, Recognizer, Settings, load};
use swictation_core::wire::{Checkpoint, EngineInfo, FromWorker};
use swictation_core::{DictationId, Hypothesis, SAMPLE_RATE, SamplePos, UtteranceId, Word};
use swictation_tests::programs;

const SECOND: u64 = SAMPLE_RATE as u64;

/// Where every utterance began, and what was heard of it.
type Heard = Rc<RefCell<Vec<(SamplePos, Vec<f32>)>>>;

/// Says one word a second, named after the second, and freezes all but the newest.
#[derive(Default)]
struct Counting {
    unbounded: bool,
    begun: SamplePos,
    end: SamplePos,
    words: Vec<Word>,
    said: u64,
    heard: Heard,
}

impl Counting {
    fn word(&self) -> Word {
        let start = self.begun + self.said * SECOND;
        Word {
            text: format!("w{}", self.said),
            glued: false,
            start,
            end: start + SECOND,
            confidence: 1.0,
            tokens: vec![self.said as u32],
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
            context_seconds: 1.0,
            chunk_ms: 1000,
            latency_ms: None,
            wait_k: None,
            unbounded: self.unbounded,
            ..EngineInfo::default()
        }
    }
    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        (self.begun, self.end, self.said) = (at, at, typed.len() as u64);
        self.words.clear();
        self.heard.borrow_mut().push((at, Vec::new()));
    }
    fn feed(&mut self, pcm: &[f32]) {
        self.end = self.end + pcm.len() as u64;
        self.heard.borrow_mut().last_mut().unwrap().1.extend_from_slice(pcm);
    }
    fn step(&mut self) -> Result<Option<Belief>, AsrError> {
        if self.end.since(self.begun) < (self.said + 1) * SECOND {
            return Ok(None);
        }
        self.words.push(self.word());
        self.said += 1;
        let words = self.words.clone();
        let frozen = words.len() - 1;
        self.words.drain(..frozen);
        Ok(Some(Belief { words, frozen, tokens: vec![self.said as u32], ..Belief::default() }))
    }
    fn finish(&mut self) -> Result<Belief, AsrError> {
        let words = std::mem::take(&mut self.words);
        Ok(Belief { frozen: words.len(), words, ..Belief::default() })
    }
    fn save(&self) -> Result<Vec<u8>, AsrError> {
        let state = (self.begun, self.end, self.said, &self.words);
        postcard::to_stdvec(&state).map_err(|e| AsrError::Run(e.to_string()))
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let state = postcard::from_bytes(state).map_err(|e| AsrError::Checkpoint(e.to_string()))?;
        (self.begun, self.end, self.said, self.words) = state;
        self.heard.borrow_mut().push((self.end, Vec::new()));
        Ok(())
    }
}

/// What a stream said, without what depends on the cut or the clock.
fn said(stream: &mut Stream, pcm: &[f32], cuts: &[usize]) -> Vec<FromWorker> {
    let mut messages = Vec::new();
    let mut heard = SamplePos(0);
    let mut out = |message: FromWorker| match message {
        FromWorker::Heard { up_to, resume, .. } => {
            assert!(resume <= up_to && up_to >= heard, "{resume:?} {up_to:?} {heard:?}");
            heard = up_to;
        }
        FromWorker::Hypothesis(hypothesis) => {
            messages.push(FromWorker::Hypothesis(Hypothesis { step_us: 0, ..hypothesis }));
        }
        other => messages.push(other),
    };
    stream.begin(DictationId(3), UtteranceId(5), SamplePos(0), &[]);
    let mut at = 0;
    for length in cuts.iter().copied().cycle() {
        let to = (at + length).min(pcm.len());
        stream.feed(SamplePos(at as u64), &pcm[at..to], &mut out).unwrap();
        at = to;
        if at == pcm.len() {
            break;
        }
    }
    stream.finish(SamplePos(pcm.len() as u64), &mut out).unwrap();
    messages
}

fn text(messages: &[FromWorker]) -> String {
    let mut words = Vec::new();
    for message in messages {
        if let FromWorker::Hypothesis(hypothesis) = message {
            let frozen = &hypothesis.words[..hypothesis.frozen as usize];
            words.extend(frozen.iter().map(|word| word.text.clone()));
        }
    }
    words.join(" ")
}

#[test]
fn the_cut_of_the_audio_changes_nothing_that_is_said() {
    let pcm: Vec<f32> = (0..70_001).map(|i| i as f32).collect();
    let whole = said(&mut Stream::new(Box::new(Counting::default()), None, true), &pcm, &[pcm.len()]);
    assert_eq!(text(&whole), "w0 w1 w2 w3");
    assert_eq!(whole.last(), Some(&FromWorker::Finished { dictation: DictationId(3) }));
    for cuts in [vec![1600], vec![1, 511, 512, 513], vec![7], vec![33_000, 3]] {
        let counting = Counting::default();
        let heard = counting.heard.clone();
        assert_eq!(said(&mut Stream::new(Box::new(counting), None, true), &pcm, &cuts), whole, "{cuts:?}");
        assert_eq!(*heard.borrow(), [(SamplePos(0), pcm.clone())], "every sample once, also the last");
    }
}

#[test]
fn missing_audio_is_silence_and_audio_sent_twice_is_heard_once() {
    let counting = Counting::default();
    let heard = counting.heard.clone();
    let mut stream = Stream::new(Box::new(counting), None, false);
    stream.begin(DictationId(0), UtteranceId(0), SamplePos(100), &[]);
    stream.feed(SamplePos(100), &[1.0; 600], &mut |_| {}).unwrap();
    stream.feed(SamplePos(400), &[2.0; 600], &mut |_| {}).unwrap();
    stream.feed(SamplePos(1010), &[3.0; 5], &mut |_| {}).unwrap();
    stream.finish(SamplePos(1015), &mut |_| {}).unwrap();
    let expected = [vec![1.0; 600], vec![2.0; 300], vec![0.0; 10], vec![3.0; 5]].concat();
    assert_eq!(*heard.borrow(), [(SamplePos(100), expected)]);
}

#[test]
fn a_long_gap_ends_the_utterance_and_begins_the_next_behind_it() {
    let counting = Counting::default();
    let heard = counting.heard.clone();
    let mut stream = Stream::new(Box::new(counting), None, false);
    let mut messages = Vec::new();
    let mut out = |message| messages.push(message);
    stream.begin(DictationId(0), UtteranceId(0), SamplePos(0), &[]);
    stream.feed(SamplePos(0), &vec![1.0; 20_000], &mut out).unwrap();
    stream.feed(SamplePos(10 * SECOND), &vec![2.0; 20_000], &mut out).unwrap();
    stream.finish(SamplePos(10 * SECOND + 20_000), &mut out).unwrap();
    let begun: Vec<SamplePos> = heard.borrow().iter().map(|(at, _)| *at).collect();
    assert_eq!(begun, [SamplePos(0), SamplePos(10 * SECOND)]);
    let ends: Vec<(u32, u64)> = messages
        .iter()
        .filter_map(|m| match m {
            FromWorker::Hypothesis(h) if h.last => Some((h.utterance.0, h.heard_to.0)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(0, 20_000), (1, 10 * SECOND + 20_000)]);
}

#[test]
fn words_that_were_typed_are_not_said_again() {
    let mut stream = Stream::new(Box::new(Counting::default()), None, false);
    let mut messages = Vec::new();
    stream.begin(DictationId(0), UtteranceId(2), SamplePos(0), &[" w0".into(), " w1".into()]);
    stream.feed(SamplePos(0), &vec![0.0; 64_000], &mut |m| messages.push(m)).unwrap();
    stream.finish(SamplePos(64_000), &mut |m| messages.push(m)).unwrap();
    assert_eq!(text(&messages), "w2 w3");
    let first = messages.iter().find_map(|message| match message {
        FromWorker::Hypothesis(first) => Some((first.utterance, first.first)),
        _ => None,
    });
    assert_eq!(first, Some((UtteranceId(2), 2)));
}

#[test]
fn a_dictation_that_was_dropped_says_nothing_more() {
    let mut stream = Stream::new(Box::new(Counting::default()), None, true);
    stream.begin(DictationId(0), UtteranceId(0), SamplePos(0), &[]);
    stream.forget();
    let mut silent = |message| panic!("{message:?}");
    stream.feed(SamplePos(0), &[0.0; 40_000], &mut silent).unwrap();
    stream.finish(SamplePos(40_000), &mut silent).unwrap();
}

/// The one ONNX Runtime of this process.
fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    programs::runtime().map(|path| RUNTIME.get_or_init(|| Runtime::open(&path).unwrap()))
}

fn detector() -> Option<(PathBuf, Vad)> {
    let (runtime, model) = (runtime()?, programs::model("moonshine-tiny-en")?);
    let vad = Vad::load(runtime, &model, &Manifest::read(&model).unwrap()).unwrap();
    vad.map(|vad| (model, vad))
}

fn recording(name: &str) -> Option<Vec<f32>> {
    let wav = hound::WavReader::open(programs::recording(name)?).unwrap();
    let (channels, rate) = (wav.spec().channels as usize, wav.spec().sample_rate as usize);
    let samples: Vec<f32> = wav.into_samples::<i32>().map(|s| s.unwrap() as f32 / 32768.0).collect();
    // A third of 48 kHz is near enough for a test: nothing but words is compared.
    Some(samples.into_iter().step_by(channels * (rate / SAMPLE_RATE as usize)).collect())
}

/// `seconds` of the noise of a quiet room, the same every time.
fn room(seconds: u64) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..seconds * SECOND).map(|_| next() * 0.002).collect()
}

#[test]
fn the_recognizer_hears_speech_with_what_came_before_it_and_no_silence() {
    let (Some((_, vad)), Some(speech)) = (detector(), recording("beckett.wav")) else { return };
    let speech = &speech[..(2 * SECOND as usize).min(speech.len())];
    let pcm = [room(5), speech.to_vec(), room(10)].concat();
    let counting = Counting::default();
    let heard = counting.heard.clone();
    let messages = said(&mut Stream::new(Box::new(counting), Some(vad), false), &pcm, &[1600]);
    let heard = heard.borrow();
    let [(begun, audio)] = heard.as_slice() else { panic!("{} utterances", heard.len()) };
    assert!(begun.seconds() > 3.8 && begun.seconds() < 5.5, "{begun:?}");
    let end = begun.seconds() + audio.len() as f64 / f64::from(SAMPLE_RATE);
    assert!(end > 6.5 && end < 8.5, "{end}");
    let from = begun.0 as usize;
    assert!(audio[..] == pcm[from..from + audio.len()], "exactly what was recorded there");
    assert!(messages.iter().any(|m| matches!(m, FromWorker::Hypothesis(h) if h.last)));
}

#[test]
fn the_same_speech_is_heard_alike_however_late_a_sound_server_begins_to_deliver() {
    let Some(speech) = recording("beckett.wav") else { return };
    let speech = [room(1), speech[..3 * SECOND as usize].to_vec(), room(2)].concat();
    let heard_behind = |zeros: usize| {
        let Some((_, vad)) = detector() else { return Vec::new() };
        let counting = Counting::default();
        let heard = counting.heard.clone();
        let pcm = [vec![0.0; zeros], speech.clone()].concat();
        said(&mut Stream::new(Box::new(counting), Some(vad), false), &pcm, &[1600, 77]);
        let heard = heard.take();
        heard.into_iter().map(|(begun, audio)| (begun.0 - zeros as u64, audio)).collect::<Vec<_>>()
    };
    let at_once = heard_behind(0);
    for zeros in [1, 700, 48_123] {
        assert!(heard_behind(zeros) == at_once, "{zeros} zeros before the speech");
    }
}

/// What is said of pieces of audio, each with its position, from `from` on; without what
/// depends on the cut or the clock.
fn said_of(stream: &mut Stream, pieces: &[(u64, Vec<f32>)], from: SamplePos) -> Vec<FromWorker> {
    let mut messages = Vec::new();
    let mut out = |message: FromWorker| match message {
        FromWorker::Heard { .. } => {}
        FromWorker::Hypothesis(h) => messages.push(FromWorker::Hypothesis(Hypothesis { step_us: 0, ..h })),
        other => messages.push(other),
    };
    let mut end = from;
    for (at, piece) in pieces {
        end = SamplePos(at + piece.len() as u64);
        for (i, part) in piece.chunks(1000).enumerate() {
            let at = SamplePos(at + i as u64 * 1000);
            let known = (from.since(at) as usize).min(part.len());
            if known < part.len() {
                stream.feed(at + known as u64, &part[known..], &mut out).unwrap();
            }
        }
    }
    stream.finish(end, &mut out).unwrap();
    messages
}

/// Checkpoints, and where in `messages` they are.
fn checkpoints(messages: &[FromWorker]) -> Vec<(usize, Checkpoint)> {
    let mut found = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        if let FromWorker::Checkpoint(checkpoint) = message {
            found.push((i, checkpoint.clone()));
        }
    }
    found
}

/// Speech, silence, zeros of a muted microphone, a short gap and a long one.
fn a_hard_day() -> Option<Vec<(u64, Vec<f32>)>> {
    let speech = recording("beckett.wav")?[..3 * SECOND as usize].to_vec();
    let first = [vec![0.0; 5 * SECOND as usize], speech.clone(), room(3), speech.clone()].concat();
    let gap = first.len() as u64 + SECOND;
    let after_gap = [vec![0.0; 100], speech.clone()].concat();
    let long_gap = gap + after_gap.len() as u64 + 7 * SECOND;
    let muted = [vec![0.0; 9 * SECOND as usize + 77], speech, room(4)].concat();
    Some(vec![(0, first), (gap, after_gap), (long_gap, muted)])
}

#[test]
fn checkpoints_are_never_far_apart_and_a_stream_goes_on_from_each_through_gaps_and_muted_audio() {
    let Some(pieces) = a_hard_day() else { return };
    let fresh = || detector().map(|(_, vad)| Stream::new(Box::new(Counting::default()), Some(vad), true));
    let Some(mut first) = fresh() else { return };
    first.begin(DictationId(1), UtteranceId(0), SamplePos(0), &[]);
    let said = said_of(&mut first, &pieces, SamplePos(0));
    let checkpoints = checkpoints(&said);
    for (at, piece) in &pieces {
        let mut before = SamplePos(*at);
        let inside = checkpoints.iter().map(|(_, c)| c.at).filter(|c| *c >= before);
        for checkpoint in inside.take_while(|c| c.0 < at + piece.len() as u64).collect::<Vec<_>>() {
            assert!(checkpoint.since(before) <= 2 * SECOND + 512, "{before:?} to {checkpoint:?}");
            before = checkpoint;
        }
        assert!(at + piece.len() as u64 - before.0 <= 2 * SECOND + 512, "none behind {before:?}");
    }
    for (i, checkpoint) in &checkpoints {
        let Some(mut other) = fresh() else { return };
        other.restore(DictationId(1), checkpoint).unwrap();
        assert!(said_of(&mut other, &pieces, checkpoint.at) == said[i + 1..], "{checkpoint:?}");
    }
}

#[test]
fn a_checkpoint_of_a_stream_with_voice_activity_is_refused_by_one_without() {
    let (Some((_, vad)), Some(pieces)) = (detector(), a_hard_day()) else { return };
    let mut gated = Stream::new(Box::new(Counting::default()), Some(vad), false);
    gated.begin(DictationId(1), UtteranceId(0), SamplePos(0), &[]);
    let (_, last) = checkpoints(&said_of(&mut gated, &pieces, SamplePos(0))).pop().unwrap();
    let mut other = Stream::new(Box::new(Counting::default()), None, false);
    let refused = other.restore(DictationId(1), &last);
    assert!(matches!(refused, Err(AsrError::Checkpoint(_))), "{refused:?}");
    let elsewhere = Checkpoint { at: last.at + 1, ..last };
    assert!(matches!(gated.restore(DictationId(1), &elsewhere), Err(AsrError::Checkpoint(_))));
    let mut silent = |message| panic!("{message:?}");
    gated.feed(elsewhere.at, &[0.1; 40_000], &mut silent).unwrap();
}

#[test]
fn silence_noise_and_knocks_say_nothing() {
    let Some((model, vad)) = detector() else { return };
    let Some(runtime) = runtime() else { return };
    let recognizer = load(
        runtime,
        &model,
        &Manifest::read(&model).unwrap(),
        Device::Cpu { threads: 1 },
        &Settings::default(),
    )
    .unwrap();
    let mut stream = Stream::new(recognizer, Some(vad), false);
    let mut knocks = room(5);
    for (i, sample) in knocks.iter_mut().enumerate() {
        let since = i % 8000;
        *sample += (-(since as f32) / 60.0).exp() * (since as f32 * 0.3).sin() * 0.8;
    }
    let hum: Vec<f32> = (0..5 * SECOND).map(|i| (i as f32 * 0.0393).sin() * 0.2).collect();
    let loud: Vec<f32> = room(5).iter().map(|v| v * 200.0).collect();
    let pcm = [vec![0.0; 5 * SECOND as usize], room(5), knocks, hum, loud].concat();
    assert_eq!(text(&said(&mut stream, &pcm, &[1600])), "");
}

#[test]
fn the_default_model_says_the_same_however_the_audio_is_cut_and_in_every_dictation() {
    let (Some((model, vad)), Some(speech)) = (detector(), recording("beckett.wav")) else { return };
    let Some(runtime) = runtime() else { return };
    let recognizer = load(
        runtime,
        &model,
        &Manifest::read(&model).unwrap(),
        Device::Cpu { threads: 1 },
        &Settings::default(),
    )
    .unwrap();
    let mut stream = Stream::new(recognizer, Some(vad), true);
    let pcm = [speech.as_slice(), &room(2)].concat();
    let whole = said(&mut stream, &pcm, &[1600]);
    assert!(text(&whole).to_lowercase().contains("fail better"), "{}", text(&whole));
    assert!(said(&mut stream, &pcm, &[333, 4096]) == whole);
}

#[test]
fn speech_to_the_very_last_sample_is_not_lost() {
    let (Some((model, vad)), Some(speech)) = (detector(), recording("beckett.wav")) else { return };
    let Some(runtime) = runtime() else { return };
    let recognizer = load(
        runtime,
        &model,
        &Manifest::read(&model).unwrap(),
        Device::Cpu { threads: 1 },
        &Settings::default(),
    )
    .unwrap();
    let mut stream = Stream::new(recognizer, Some(vad), false);
    let messages = said(&mut stream, &speech, &[1600]);
    assert!(text(&messages).to_lowercase().trim_end_matches('.').ends_with("better"), "{}", text(&messages));
}
