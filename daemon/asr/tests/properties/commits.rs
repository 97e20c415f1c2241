//! A committed word never changes, whatever is said later.

use crate::{FAMILIES, cases, check, feed, folder, open, recording, runtime};
use proptest::prelude::*;
use std::cell::RefCell;
use swictation_asr::Settings;
use swictation_asr::manifest::Manifest;
use swictation_asr::stream::Stream;
use swictation_asr::vad::Vad;
use swictation_core::policy::Policy;
use swictation_core::wire::FromWorker;
use swictation_core::{DictationId, SamplePos, UtteranceId, Word};

/// A committed word, its utterance, and the audio heard when it was committed.
type Committed = (Word, u32, u64);

/// What a stream commits of `pcm`, in pieces of these lengths; the end only with `end`.
/// The messages are held to the protocol: words are handed over once and in order.
fn committed(stream: &mut Stream, pcm: &[f32], cuts: &[usize], end: bool) -> Vec<Committed> {
    let mut committed: Vec<Committed> = Vec::new();
    let (mut utterance, mut count) = (0, 0);
    let mut take = |message: FromWorker| {
        let FromWorker::Hypothesis(hypothesis) = message else { return };
        assert_eq!((hypothesis.utterance.0, hypothesis.first), (utterance, count));
        let frozen = hypothesis.frozen as usize;
        assert!(hypothesis.words.iter().all(|word| !word.text.is_empty() && word.start <= word.end));
        for word in &hypothesis.words[..frozen] {
            committed.push((word.clone(), utterance, hypothesis.heard_to.0));
        }
        count += hypothesis.frozen;
        if hypothesis.last {
            assert_eq!(frozen, hypothesis.words.len(), "no word is left behind");
            (utterance, count) = (utterance + 1, 0);
        }
    };
    stream.begin(DictationId(0), UtteranceId(0), SamplePos(0), &[]);
    feed(stream, pcm, 0, cuts, &mut take);
    if end {
        stream.finish(SamplePos(pcm.len() as u64), &mut take).unwrap();
    }
    committed
}

/// A stream with the detector of the default model for families whose utterances end.
pub(crate) fn stream(model: &str, settings: &Settings) -> Option<Stream> {
    let recognizer = open(model, settings)?.unwrap();
    let detector = match recognizer.info().unbounded {
        true => None,
        false => {
            let dir = folder("moonshine-tiny-en")?;
            Vad::load(runtime()?, &dir, &Manifest::read(&dir).unwrap()).unwrap()
        }
    };
    Some(Stream::new(recognizer, detector, false))
}

/// A committed word stands as it is: audio broken off anywhere has committed exactly
/// what the whole has committed by then.
pub(crate) fn hold(model: &str, settings: &Settings) {
    let Some(speech) = recording("beckett") else { return };
    let Some(stream) = stream(model, settings) else { return };
    // Twice, with a pause: an utterance ends in the middle where utterances end.
    let half = &speech[speech.len() / 2..];
    let pcm = [half, &[0.0; 16_000], half].concat();
    let stream = RefCell::new(stream);
    let whole = committed(&mut stream.borrow_mut(), &pcm, &[1600], true);
    assert!(!whole.is_empty(), "{model} says nothing");
    let cuts = prop::collection::vec(1..20_000usize, 1..6);
    check(cases(model), (0..pcm.len(), cuts), |(length, cuts)| {
        let broken_off = committed(&mut stream.borrow_mut(), &pcm[..length], &cuts, false);
        let by_then = whole.iter().take_while(|(.., heard)| *heard <= length as u64);
        prop_assert_eq!(broken_off, by_then.cloned().collect::<Vec<_>>(), "{}, {} samples", model, length);
        Ok(())
    });
}

#[test]
fn a_committed_word_never_changes_in_any_family() {
    for model in FAMILIES {
        hold(model, &Settings::default());
    }
}

#[test]
fn a_committed_word_never_changes_under_any_policy() {
    for (model, policy) in [
        ("aed", Policy::AlignAtt),
        ("aed-alignatt8", Policy::Hold),
        ("moonshine-tiny-en", Policy::Agreement),
        ("moonshine-tiny-en", Policy::Hold),
    ] {
        hold(model, &Settings { policy: Some(policy), ..Settings::default() });
    }
}
