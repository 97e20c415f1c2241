//! What is expected is heard, by every family, and all that holds of them holds then.

use crate::{FAMILIES, beliefs, commits, committed, cuts, open, recording};
use swictation_asr::{Belief, Settings};
use swictation_core::hotwords::parse;

/// So much that nothing that is said is anything else.
const STRONG: &str = "warm: 10";
/// So much that the toys' and the default model's words change here and there.
const PHRASES: &str = "warm: 2\never warm: 2\nnot a matter: 2\nfrail: 2\nthe worse of chimes: 2";

/// The settings of somebody with this list.
pub(crate) fn expecting(list: &str) -> Settings {
    Settings { hotwords: parse(list).unwrap(), ..Settings::default() }
}

/// With phrases that change something.
pub(crate) fn with_hotwords() -> Settings {
    expecting(PHRASES)
}

/// What a model says of a recording, and how many hotwords it can write.
fn heard(model: &str, settings: &Settings) -> Option<(Vec<Belief>, u32)> {
    let (pcm, model) = (recording("beckett")?, open(model, settings)?);
    let mut model = model.unwrap();
    let phrases = model.info().hotwords.phrases;
    Some((beliefs(model.as_mut(), &pcm, &[(1600, false)]), phrases))
}

fn text(beliefs: &[Belief]) -> String {
    committed(beliefs).into_iter().map(|(word, ..)| word.to_lowercase() + " ").collect()
}

#[test]
fn what_is_expected_strongly_enough_is_heard_by_every_family() {
    for model in FAMILIES {
        let Some((plain, _)) = heard(model, &Settings::default()) else { continue };
        let Some((strong, phrases)) = heard(model, &expecting(STRONG)) else { continue };
        assert!(!text(&plain).contains("warm"), "{model}: {}", text(&plain));
        assert!(text(&strong).contains("warm"), "{model}: {}", text(&strong));
        assert_eq!(phrases, 1, "{model}");
    }
}

#[test]
fn what_a_model_cannot_write_changes_nothing() {
    for model in FAMILIES.into_iter().filter(|model| *model != "moonshine-tiny-en") {
        let Some((plain, _)) = heard(model, &Settings::default()) else { continue };
        let Some((other, phrases)) = heard(model, &expecting("東京: 10")) else { continue };
        assert_eq!((phrases, other), (0, plain), "{model}");
    }
}

#[test]
fn with_hotwords_too_the_cut_of_the_audio_shows_nowhere() {
    FAMILIES.into_iter().for_each(|model| cuts::hold(model, &with_hotwords()));
}

#[test]
fn with_hotwords_too_a_committed_word_never_changes() {
    FAMILIES.into_iter().for_each(|model| commits::hold(model, &with_hotwords()));
}
