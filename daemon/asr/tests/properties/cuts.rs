//! How the audio is cut shows nowhere.

use crate::{FAMILIES, beliefs, cases, check, committed, open, piece, recording};
use proptest::prelude::*;
use std::cell::RefCell;
use swictation_asr::Settings;
use swictation_core::SamplePos;

#[test]
fn audio_cut_at_any_samples_gives_the_same_steps_and_words() {
    FAMILIES.into_iter().for_each(|name| hold(name, &Settings::default()));
}

/// However a piece of a recording is cut, the steps and words are those of the whole.
pub(crate) fn hold(name: &str, settings: &Settings) {
    let Some(pcm) = recording("two_cities_28s") else { return };
    let Some(model) = open(name, settings) else { return };
    let model = RefCell::new(model.unwrap());
    let cuts = prop::collection::vec((prop_oneof![1..200usize, 1..50_000usize], any::<bool>()), 1..8);
    check(cases(name), (piece(&pcm, 0.0..6.0), cuts), |(range, cuts)| {
        let (pcm, mut model) = (&pcm[range], model.borrow_mut());
        let whole = beliefs(model.as_mut(), pcm, &[(pcm.len(), true)]);
        prop_assert_eq!(beliefs(model.as_mut(), pcm, &cuts), whole, "{}", name);
        Ok(())
    });
}

/// The graph's own chunks are constants of it, so "whole" is what it can be: everything
/// is there before the first step and one call makes them all. That the steps are those
/// of features computed over the whole recording is what the goldens hold.
#[test]
fn a_cache_aware_stream_in_chunks_is_the_stream_as_a_whole() {
    let Some(pcm) = recording("two_cities_28s") else { return };
    for latency in [80, 560, 1120] {
        let settings = Settings { latency_ms: Some(latency), ..Settings::default() };
        let Some(model) = open("att-all-rnnt", &settings) else { return };
        let model = RefCell::new(model.unwrap());
        let chunk = latency as usize * 16;
        check(6, piece(&pcm, 0.0..8.0), |range| {
            let (pcm, mut model) = (&pcm[range], model.borrow_mut());
            let chunks = beliefs(model.as_mut(), pcm, &[(chunk, false)]);
            model.begin(SamplePos(0), &[]);
            model.feed(pcm);
            let whole = model.finish().unwrap();
            let tokens: Vec<u32> = chunks.iter().flat_map(|belief| belief.tokens.clone()).collect();
            let frames: Vec<u32> = chunks.iter().flat_map(|belief| belief.frames.clone()).collect();
            prop_assert_eq!((&tokens, &frames), (&whole.tokens, &whole.frames));
            prop_assert_eq!(committed(&chunks), committed(&[whole]));
            Ok(())
        });
    }
}
