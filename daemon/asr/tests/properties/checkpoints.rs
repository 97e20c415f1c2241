//! Whoever goes on from a checkpoint says exactly what would have been said.

use crate::commits::stream;
use crate::hotwords::{expecting, with_hotwords};
use crate::{FAMILIES, cases, check, feed, open, piece, recording};
use proptest::prelude::*;
use std::cell::RefCell;
use swictation_asr::stream::Stream;
use swictation_asr::{AsrError, Settings};
use swictation_core::policy::Policy;
use swictation_core::wire::{Checkpoint, FromWorker};
use swictation_core::{DictationId, Hypothesis, SamplePos, UtteranceId};

const DICTATION: DictationId = DictationId(7);

/// Of the second golden set, and with a state in half precision.
const OTHERS: [&str; 7] = [
    "../seeded/att24_3-ctc",
    "../seeded/eou-rnnt",
    "../seeded/buffered-rnnt",
    "../seeded/buffered-tdt",
    "../seeded/aed",
    "att70_6-rnnt-fp16",
    "aed-fp16",
];

/// Families with settings that put something around the recognizer.
fn policies() -> [(&'static str, Settings); 2] {
    let policy = |policy| Settings { policy: Some(policy), ..Settings::default() };
    [("aed-alignatt8", policy(Policy::Hold)), ("moonshine-tiny-en", policy(Policy::Agreement))]
}

/// What a stream says of `pcm` from `from` on and of its end, without the times; only
/// up to the next checkpoint, where it is to `die` there.
fn rest(stream: &mut Stream, pcm: &[f32], from: SamplePos, cuts: &[usize], die: bool) -> Vec<FromWorker> {
    let mut messages = Vec::new();
    let mut dead = false;
    let mut take = |message: FromWorker| match message {
        _ if dead => {}
        FromWorker::Heard { .. } => {}
        FromWorker::Hypothesis(hypothesis) => {
            messages.push(FromWorker::Hypothesis(Hypothesis { step_us: 0, ..hypothesis }));
        }
        other => {
            dead = die && matches!(other, FromWorker::Checkpoint(_));
            messages.push(other);
        }
    };
    feed(stream, pcm, from.0 as usize, cuts, &mut take);
    stream.finish(SamplePos(pcm.len() as u64), &mut take).unwrap();
    messages
}

/// The whole, from its beginning.
fn whole(stream: &mut Stream, pcm: &[f32], cuts: &[usize]) -> Vec<FromWorker> {
    stream.begin(DICTATION, UtteranceId(0), SamplePos(0), &[]);
    rest(stream, pcm, SamplePos(0), cuts, false)
}

fn checkpoints(messages: &[FromWorker]) -> Vec<(usize, Checkpoint)> {
    let checkpoint = |(i, message): (usize, &FromWorker)| match message {
        FromWorker::Checkpoint(checkpoint) => Some((i, checkpoint.clone())),
        _ => None,
    };
    messages.iter().enumerate().filter_map(checkpoint).collect()
}

/// Twice the same words, with a pause: an utterance ends in the middle where they end.
fn speech() -> Option<Vec<f32>> {
    let speech = recording("beckett")?;
    let half = &speech[speech.len() / 2..];
    Some([half, &[0.0; 16_000], half].concat())
}

/// Another recognizer for every checkpoint, just loaded.
fn goes_on(model: &str, settings: &Settings) {
    let Some(pcm) = speech() else { return };
    let fresh = || stream(model, settings);
    let Some(mut first) = fresh() else { return };
    let said = whole(&mut first, &pcm, &[1600]);
    let checkpoints = checkpoints(&said);
    assert!(checkpoints.len() >= 5, "{model}: {} checkpoints", checkpoints.len());
    assert!(said.iter().any(|message| matches!(message, FromWorker::Hypothesis(_))), "{model} says nothing");
    for (i, checkpoint) in &checkpoints {
        let Some(mut other) = fresh() else { return };
        other.restore(DICTATION, checkpoint).unwrap();
        let rest = rest(&mut other, &pcm, checkpoint.at, &[1600], false);
        assert!(rest == said[i + 1..], "{model} from {checkpoint:?}: {rest:#?}");
    }
}

#[test]
fn a_recognizer_of_any_family_goes_on_from_every_checkpoint_as_if_nothing_had_been() {
    FAMILIES.into_iter().chain(OTHERS).for_each(|model| goes_on(model, &Settings::default()));
}

#[test]
fn a_recognizer_under_any_policy_goes_on_from_every_checkpoint() {
    policies().iter().for_each(|(model, settings)| goes_on(model, settings));
}

#[test]
fn a_recognizer_with_hotwords_goes_on_from_every_checkpoint_and_from_within_a_phrase() {
    FAMILIES.into_iter().for_each(|model| goes_on(model, &with_hotwords()));
}

#[test]
fn workers_that_each_die_at_their_first_checkpoint_say_together_what_one_says() {
    let Some(pcm) = speech() else { return };
    for model in FAMILIES {
        let fresh = || stream(model, &Settings::default());
        let Some(mut worker) = fresh() else { continue };
        let said = whole(&mut worker, &pcm, &[1600]);
        worker.begin(DICTATION, UtteranceId(0), SamplePos(0), &[]);
        let mut together = rest(&mut worker, &pcm, SamplePos(0), &[1600], true);
        while let Some(FromWorker::Checkpoint(last)) = together.last().cloned() {
            let Some(mut next) = fresh() else { return };
            next.restore(DICTATION, &last).unwrap();
            together.extend(rest(&mut next, &pcm, last.at, &[1600], true));
        }
        assert!(together == said, "{model}: {together:#?}");
    }
}

#[test]
fn a_recognizer_that_heard_something_else_goes_on_however_the_audio_is_cut() {
    for model in FAMILIES {
        let Some(pcm) = recording("two_cities_28s") else { return };
        let Some(stream) = stream(model, &Settings::default()) else { continue };
        let stream = RefCell::new(stream);
        let cuts = || prop::collection::vec(1..30_000usize, 1..5);
        let values = (piece(&pcm, 2.1..7.0), cuts(), cuts(), any::<prop::sample::Index>());
        check(cases(model).min(2), values, |(range, before, after, which)| {
            let (pcm, mut stream) = (&pcm[range], stream.borrow_mut());
            let said = whole(&mut stream, pcm, &before);
            let checkpoints = checkpoints(&said);
            let (i, checkpoint) = which.get(&checkpoints);
            stream.restore(DICTATION, checkpoint).unwrap();
            let rest = rest(&mut stream, pcm, checkpoint.at, &after, false);
            prop_assert!(rest == said[i + 1..], "{model} from {checkpoint:?}: {rest:#?}");
            Ok(())
        });
    }
}

/// The state of a recognizer that has heard three seconds.
fn state(model: &str, settings: &Settings) -> Option<Vec<u8>> {
    let pcm = recording("beckett")?;
    let mut recognizer = open(model, settings)?.unwrap();
    recognizer.begin(SamplePos(100), &[]);
    recognizer.feed(&pcm[..48_000]);
    while recognizer.step().unwrap().is_some() {}
    Some(recognizer.save().unwrap())
}

#[test]
fn what_is_no_state_is_refused_and_a_damaged_one_does_no_harm() {
    for model in FAMILIES {
        let Some(state) = state(model, &Settings::default()) else { continue };
        let Some(recognizer) = open(model, &Settings::default()) else { continue };
        let recognizer = RefCell::new(recognizer.unwrap());
        let bytes = prop::collection::vec(any::<u8>(), 0..300);
        let any_byte = (any::<prop::sample::Index>(), 1u8..);
        // Most of a state is audio and tensors; what is at its ends is read first.
        let near_an_end = (prop_oneof![0..80usize, state.len() - 80..state.len()], 1u8..);
        let damages = (bytes, any_byte, near_an_end);
        check(if cases(model) > 1 { 64 } else { 8 }, damages, |(bytes, (any, by), (near, other))| {
            let mut recognizer = recognizer.borrow_mut();
            let cut = &state[..any.index(state.len())];
            for bytes in [bytes.as_slice(), cut] {
                let refused = recognizer.restore(bytes);
                prop_assert!(matches!(refused, Err(AsrError::Checkpoint(_))), "{model}: {refused:?}");
            }
            for (at, by) in [(any.index(state.len()), by), (near, other)] {
                let mut damaged = state.clone();
                damaged[at] ^= by;
                if recognizer.restore(&damaged).is_ok() {
                    recognizer.feed(&[0.1; 20_000]);
                    while matches!(recognizer.step(), Ok(Some(_))) {}
                    let _ = recognizer.finish();
                }
            }
            Ok(())
        });
    }
}

#[test]
fn the_state_of_another_model_or_setting_is_refused() {
    let policy = |policy, wait_k| Settings { policy, wait_k, ..Settings::default() };
    let plain = || policy(None, None);
    for (made, by, used, with) in [
        ("att70_6-ctc", plain(), "att70_6-rnnt", plain()),
        ("att70_6-rnnt", plain(), "../seeded/att24_3-rnnt", plain()),
        ("att70_6-rnnt", plain(), "buffered-tdt", plain()),
        ("buffered-ctc", plain(), "buffered-tdt", plain()),
        ("buffered-tdt", plain(), "../seeded/buffered-tdt", plain()),
        ("aed", plain(), "aed", policy(Some(Policy::AlignAtt), None)),
        ("aed", plain(), "aed", policy(Some(Policy::Hold), None)),
        ("aed", policy(Some(Policy::Hold), None), "aed", plain()),
        ("moonshine-tiny-en", plain(), "moonshine-tiny-en", policy(None, Some(2))),
        ("moonshine-tiny-en", plain(), "moonshine-tiny-en", with_hotwords()),
        ("att70_6-ctc", with_hotwords(), "att70_6-ctc", plain()),
        ("att70_6-rnnt", with_hotwords(), "att70_6-rnnt", expecting("warm")),
        ("aed", plain(), "aed", with_hotwords()),
        (
            "moonshine-tiny-en",
            policy(None, Some(0)),
            "moonshine-tiny-en",
            policy(Some(Policy::Agreement), None),
        ),
    ] {
        let (Some(state), Some(other)) = (state(made, &by), open(used, &with)) else { continue };
        let refused = other.unwrap().restore(&state);
        assert!(
            matches!(refused, Err(AsrError::Checkpoint(_))),
            "{made} {by:?} to {used} {with:?}: {refused:?}"
        );
    }
}
