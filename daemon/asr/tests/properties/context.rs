//! A longer left context changes nothing before the shorter one is full.
//!
//! More cannot hold. A buffered or an attention model takes mean and deviation of every
//! mel bin over its window (NeMo's `per_feature`), and its encoder attends to all of it:
//! once a window has let audio go, another that has not yet differs in every feature of
//! every frame, and NeMo's tokens differ, too. A cache-aware model attends to its whole
//! left context in every layer. So what is asked is: as long as nothing has left the
//! shorter window, every step, word and time is the same, and audio that fits into it
//! is the same to its end.

use crate::{beliefs, cases, check, open, piece, recording};
use proptest::prelude::*;
use std::cell::RefCell;
use swictation_asr::{Belief, Recognizer, Settings};

const CUT: [(usize, bool); 1] = [(16_000, false)];

fn context(seconds: f32) -> Settings {
    Settings { context_seconds: Some(seconds), ..Settings::default() }
}

/// Tokens, frames, words and how many of them are frozen.
type Said<'b> = (&'b [u32], &'b [u32], Vec<&'b str>, usize);

/// What every step says, without the probabilities.
fn said(beliefs: &[Belief]) -> Vec<Said<'_>> {
    let mut said = Vec::new();
    for belief in beliefs {
        let texts = belief.words.iter().map(|word| word.text.as_str()).collect();
        said.push((belief.tokens.as_slice(), belief.frames.as_slice(), texts, belief.frozen));
    }
    said
}

/// The steps, without the end, whose windows begin where the audio does.
fn whole_windows(model: &dyn Recognizer, beliefs: &[Belief]) -> usize {
    let info = model.info();
    let (left, chunk) = ((info.context_seconds * 1000.0).round() as usize, info.chunk_ms as usize);
    (beliefs.len() - 1).min(left / chunk + 1)
}

#[test]
fn windows_that_nothing_has_left_give_the_same_whatever_they_could_hold() {
    for name in ["buffered-tdt", "buffered-ctc", "aed", "aed-alignatt8"] {
        let Some(pcm) = recording("two_cities_28s") else { return };
        let Some(longest) = open(name, &context(60.0)) else { return };
        let longest = RefCell::new(longest.unwrap());
        check(3, (piece(&pcm, 1.0..10.0), 2.0f32..10.0), |(range, seconds)| {
            let (pcm, mut longest) = (&pcm[range], longest.borrow_mut());
            let mut shorter = open(name, &context(seconds)).unwrap().unwrap();
            let expected = beliefs(longest.as_mut(), pcm, &CUT);
            let found = beliefs(shorter.as_mut(), pcm, &CUT);
            let same = whole_windows(shorter.as_ref(), &found);
            prop_assert!(same >= 2 || same + 1 == found.len());
            prop_assert_eq!(&found[..same], &expected[..same], "{}, {} s", name, seconds);
            if same + 1 == found.len() {
                prop_assert_eq!(found, expected, "{}, {} s hold it all", name, seconds);
            }
            Ok(())
        });
    }
}

#[test]
fn caches_that_are_not_full_give_the_same_whatever_they_could_hold() {
    let Some(pcm) = recording("two_cities_28s") else { return };
    let all = |seconds| open("att-all-rnnt", &Settings { chunk_ms: Some(560), ..context(seconds) });
    let (Some(short), Some(long)) = (all(5.6), all(20.16)) else { return };
    let models = RefCell::new((short.unwrap(), long.unwrap()));
    check(6, piece(&pcm, 0.0..10.0), |range| {
        let (pcm, mut models) = (&pcm[range], models.borrow_mut());
        let short = beliefs(models.0.as_mut(), pcm, &CUT);
        let long = beliefs(models.1.as_mut(), pcm, &CUT);
        // Ten chunks of seven frames fill a cache of seventy; the one after sees all of it.
        let same = (short.len() - 1).min(11);
        let same = if same + 1 == short.len() { short.len() } else { same };
        // Two graphs add up in another order: the last digits of a probability differ.
        prop_assert_eq!(said(&short[..same]), said(&long[..same]));
        Ok(())
    });
}

#[test]
fn an_utterance_of_moonshine_that_fits_is_the_same_in_every_context() {
    let Some(pcm) = recording("two_cities_28s") else { return };
    let name = "moonshine-tiny-en";
    let Some(longest) = open(name, &context(60.0)) else { return };
    let longest = RefCell::new(longest.unwrap());
    check(cases(name), (piece(&pcm, 1.0..4.0), 4.0f32..20.0), |(range, seconds)| {
        let pcm = &pcm[range];
        let mut shorter = open(name, &context(seconds)).unwrap().unwrap();
        let found = beliefs(shorter.as_mut(), pcm, &CUT);
        prop_assert_eq!(found, beliefs(longest.borrow_mut().as_mut(), pcm, &CUT), "{} s", seconds);
        Ok(())
    });
}
