//! Where NeMo gives a stream up, a dictation goes on.

use crate::toy::{self, end, frozen, steps};
use swictation_asr::aed::Aed;
use swictation_asr::manifest::Manifest;
use swictation_asr::{Belief, Recognizer, Settings};
use swictation_core::SamplePos;

const SECOND: usize = 16_000;

/// `<|endoftext|>`
const END: u32 = 2;

fn decode(model: &mut Aed, pcm: &[f32]) -> Vec<Belief> {
    model.begin(SamplePos(0), &[]);
    let mut beliefs = Vec::new();
    for piece in pcm.chunks(SECOND) {
        model.feed(piece);
        beliefs.extend(steps(model));
    }
    beliefs.extend(end(model));
    beliefs
}

/// A decoder whose end is taken for a token says it again and again.
#[test]
fn a_decoder_that_repeats_itself_does_not_end_the_dictation() {
    let Some((_, clip)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    let pcm = clip.repeat(2);
    // What Wait-k still owes at the end attends to the newest audio: none is left then.
    for (name, more) in [("aed-alignatt8", 1), ("aed", 0)] {
        let dir = toy::toy(name);
        let mut manifest = Manifest::read(&dir).unwrap();
        let golden = &toy::goldens()[&format!("beckett.{name}")];
        manifest.aed.as_mut().unwrap().end = "<|nospeech|>".to_owned();
        let mut model = toy::load(&dir, &manifest, &Settings::default()).unwrap();
        let beliefs = decode(&mut model, &pcm);
        let tokens: Vec<u32> = beliefs.iter().flat_map(|belief| belief.tokens.clone()).collect();
        assert!(tokens.windows(5).all(|five| five.iter().any(|id| *id != five[0])), "{name}: repeated");
        let said = tokens.iter().filter(|id| **id != END).count();
        assert!(said >= golden.tokens.len() + more, "{name}: {said} tokens");
        let words = frozen(&beliefs);
        assert!(words.windows(2).all(|pair| pair[0].start <= pair[1].start && pair[0].end <= pair[1].end));
        assert!(words.iter().all(|word| word.start < word.end && !word.text.contains('<')));
        let frames: Vec<u32> = beliefs.iter().flat_map(|belief| belief.frames.clone()).collect();
        assert!(frames.is_sorted(), "{name}: times go back");
        assert!((*frames.last().unwrap() as usize) <= pcm.len() / 1280);
        assert_eq!(decode(&mut model, &pcm), beliefs, "{name}: and the same again");
    }
}
