//! Where NeMo gives a stream up, a dictation goes on.

use crate::toy::{self, end, frozen, steps, text};
use swictation_asr::aed::Aed;
use swictation_asr::{Belief, Recognizer, Settings};
use swictation_core::SamplePos;

const SECOND: usize = 16_000;

fn decode(model: &mut Aed, pcm: &[f32], typed: &[String]) -> Vec<Belief> {
    model.begin(SamplePos(0), typed);
    let mut beliefs = Vec::new();
    for piece in pcm.chunks(SECOND) {
        model.feed(piece);
        beliefs.extend(steps(model));
    }
    beliefs.extend(end(model));
    beliefs
}

#[test]
fn more_words_than_nemos_buffer_holds_are_all_written() {
    let Some((_, clip)) = toy::runtime().zip(toy::recording("two_cities_28s")) else { return };
    let pcm = clip.repeat(3);
    for name in ["aed-alignatt8", "aed"] {
        let mut model = toy::open(&toy::toy(name), &Settings::default()).unwrap();
        let beliefs = decode(&mut model, &pcm, &[]);
        let tokens: usize = beliefs.iter().map(|belief| belief.tokens.len()).sum();
        println!("{name}: {tokens} tokens: {}", text(&beliefs));
        assert!(tokens > 255, "{name}: {tokens} tokens");
        let words = frozen(&beliefs);
        assert!(words.windows(2).all(|pair| pair[0].start <= pair[1].start && pair[0].end <= pair[1].end));
        assert!(words.iter().all(|word| word.start < word.end));
        let frames: Vec<u32> = beliefs.iter().flat_map(|belief| belief.frames.clone()).collect();
        assert!(frames.is_sorted(), "{name}: times go back");
        assert!((*frames.last().unwrap() as usize) < pcm.len() / 1280 + 1);
    }
}
