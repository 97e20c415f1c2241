//! What holds of every family whatever the audio, its cut and the settings.
//!
//! Inputs are random pieces of the recordings, of a random length: the toy models say
//! nonsense of them, and have to say the same nonsense. A case takes parts of a second,
//! so there are few.

#![cfg(test)]

mod checkpoints;
mod commits;
mod context;
mod cuts;
mod hotwords;
mod settings;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;
use swictation_asr::graph::{Device, Runtime};
use swictation_asr::manifest::Manifest;
use swictation_asr::stream::Stream;
use swictation_asr::{AsrError, Belief, Recognizer, Settings, load};
use swictation_core::SamplePos;
use swictation_core::wire::FromWorker;
use swictation_tests::programs;

/// A model of every family and head; the last is not in the repository.
pub(crate) const FAMILIES: [&str; 8] = [
    "att70_6-rnnt",
    "att70_6-ctc",
    "att70_0-rnnt",
    "buffered-tdt",
    "buffered-ctc",
    "aed",
    "aed-alignatt8",
    "moonshine-tiny-en",
];

/// Where a model lies, or `None` after saying that it is missing.
pub(crate) fn folder(model: &str) -> Option<PathBuf> {
    match model {
        "moonshine-tiny-en" => programs::model(model),
        toy => Some(programs::toy(toy)),
    }
}

/// How many cases a model of this size gets.
pub(crate) fn cases(model: &str) -> u32 {
    if model == "moonshine-tiny-en" { 1 } else { 4 }
}

/// The one ONNX Runtime of the test process, or `None` after saying what is missing.
pub(crate) fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    programs::runtime().map(|path| RUNTIME.get_or_init(|| Runtime::open(&path).unwrap()))
}

/// Loads a model; `None` after saying what is missing.
pub(crate) fn open(model: &str, settings: &Settings) -> Option<Result<Box<dyn Recognizer>, AsrError>> {
    let (runtime, dir) = (runtime()?, folder(model)?);
    let manifest = Manifest::read(&dir).unwrap();
    Some(load(runtime, &dir, &manifest, Device::Cpu { threads: 1 }, settings))
}

/// The samples of a clip, or `None` after saying what is missing.
pub(crate) fn recording(clip: &str) -> Option<Vec<f32>> {
    let mut reader = hound::WavReader::open(programs::recording(&format!("{clip}.wav"))?).unwrap();
    assert_eq!(reader.spec().sample_rate, 16_000);
    Some(reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32768.0).collect())
}

/// Holds `test` against that many values, none of which is written down.
pub(crate) fn check<S: Strategy>(
    cases: u32,
    values: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 8, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(&values, test) {
        panic!("{error}");
    }
}

/// A piece of `pcm` that is as long as `seconds` say, somewhere.
pub(crate) fn piece(pcm: &[f32], seconds: Range<f32>) -> impl Strategy<Value = Range<usize>> {
    let length = pcm.len();
    let lengths = (seconds.start * 16_000.0) as usize..(seconds.end * 16_000.0) as usize;
    (lengths, 0..length).prop_map(move |(wanted, from)| {
        let wanted = wanted.min(length);
        let from = from.min(length - wanted);
        from..from + wanted
    })
}

/// All steps and the end of an utterance that comes in pieces of these lengths, over and
/// over; after some of them the audio runs ahead of the steps.
pub(crate) fn beliefs(model: &mut dyn Recognizer, pcm: &[f32], cuts: &[(usize, bool)]) -> Vec<Belief> {
    let (mut rest, mut beliefs) = (pcm, Vec::new());
    model.begin(SamplePos(0), &[]);
    for (length, late) in cuts.iter().cycle() {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        model.feed(piece);
        if !late {
            beliefs.extend(std::iter::from_fn(|| model.step().unwrap()));
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    while let Some(belief) = model.step().unwrap() {
        beliefs.push(belief);
    }
    model.end();
    while let Some(belief) = model.step().unwrap() {
        beliefs.push(belief);
    }
    beliefs.push(model.finish().unwrap());
    beliefs
}

/// Gives a stream everything of `pcm` from a position on, in pieces of these lengths, over
/// and over.
pub(crate) fn feed(
    stream: &mut Stream,
    pcm: &[f32],
    from: usize,
    cuts: &[usize],
    take: &mut impl FnMut(FromWorker),
) {
    let mut at = from;
    for length in cuts.iter().cycle() {
        let to = (at + length).min(pcm.len());
        stream.feed(SamplePos(at as u64), &pcm[at..to], take).unwrap();
        at = to;
        if at == pcm.len() {
            break;
        }
    }
}

/// What was committed, with its times.
pub(crate) fn committed(beliefs: &[Belief]) -> Vec<(String, u64, u64)> {
    let words = beliefs.iter().flat_map(|belief| &belief.words[..belief.frozen]);
    words.map(|word| (word.text.clone(), word.start.0, word.end.0)).collect()
}
