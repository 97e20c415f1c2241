//! The recognizer around a decoder that is made of rules: sound of one level is
//! the token of that number, and silence is nothing.

use super::*;

const PIECES: [&str; 8] = ["<unk>", "<s>", "</s>", "▁ever", "▁tried", "▁failed.", "▁no", "▁matter"];
const FAILED: u32 = 5;
const SECOND: usize = SAMPLE_RATE as usize;

/// Hears every token, but nothing behind "failed." when there is something before it.
struct Pleased;

impl Decode for Pleased {
    fn decode(
        &mut self,
        audio: &[f32],
        _draft: Option<&[u32]>,
        limit: usize,
        accept: &dyn Fn(&[Token]) -> bool,
    ) -> Result<Vec<Token>, AsrError> {
        let mut ids: Vec<u32> = audio.iter().map(|level| *level as u32).collect();
        ids.dedup();
        ids.retain(|id| *id > 2);
        let end = ids.iter().position(|id| *id == FAILED).map_or(ids.len(), |at| at + 1);
        let mut found = Vec::new();
        for id in ids[..end].iter().take(limit) {
            found.push(Token { id: *id, probability: 0.999 });
            if !accept(&found) {
                break;
            }
        }
        Ok(found)
    }
}

fn recognizer() -> Moonshine<Pleased> {
    let info = EngineInfo {
        model: "rules".to_owned(),
        family: "moonshine".to_owned(),
        provider: "cpu".to_owned(),
        precision: "fp32".to_owned(),
        context_seconds: 20.0,
        chunk_ms: 500,
        wait_k: Some(1),
        unbounded: false,
        ..EngineInfo::default()
    };
    Moonshine {
        graphs: Pleased,
        tokens: Tokens::of(&PIECES),
        info,
        chunk: samples_in_ms(500),
        context: 20 * SECOND,
        policy: Evidence::new(1),
        utterance: Utterance::default(),
    }
}

/// Half a second of every token, and what is committed until the end of it.
fn says(recognizer: &mut Moonshine<Pleased>, ids: &[u32]) -> String {
    let mut said: Vec<String> = Vec::new();
    for id in ids {
        recognizer.feed(&vec![*id as f32; SECOND / 2]);
        while let Some(belief) = recognizer.step().unwrap() {
            said.extend(belief.words[..belief.frozen].iter().map(|word| word.text.clone()));
        }
    }
    let belief = recognizer.finish().unwrap();
    assert_eq!(belief.frozen, belief.words.len());
    said.extend(belief.words.into_iter().map(|word| word.text));
    said.join(" ")
}

#[test]
fn words_are_committed_once_over_utterances_that_share_their_audio() {
    let mut recognizer = recognizer();
    recognizer.begin(SamplePos(0), &[]);
    assert_eq!(says(&mut recognizer, &[3, 4]), "ever tried");
    recognizer.follow(SamplePos(2 * SECOND as u64));
    assert_eq!(says(&mut recognizer, &[6, 7]), "no matter");
    recognizer.follow(SamplePos(4 * SECOND as u64));
    assert_eq!(says(&mut recognizer, &[3, 5]), "ever failed.");
}

#[test]
fn a_word_is_not_lost_because_the_sentence_before_it_seemed_complete() {
    let mut recognizer = recognizer();
    recognizer.begin(SamplePos(0), &[]);
    assert_eq!(says(&mut recognizer, &[3, 5]), "ever failed.");
    recognizer.follow(SamplePos(2 * SECOND as u64));
    assert_eq!(says(&mut recognizer, &[6]), "no");
    // And what follows goes on from there.
    recognizer.follow(SamplePos(4 * SECOND as u64));
    assert_eq!(says(&mut recognizer, &[7, 3]), "matter ever");
}

#[test]
fn words_that_were_typed_before_the_worker_began_are_not_said_again() {
    let mut recognizer = recognizer();
    recognizer.begin(SamplePos(0), &[" ever".to_owned(), " tri".to_owned(), "ed".to_owned()]);
    assert_eq!(says(&mut recognizer, &[3, 4, 6]), "no");
}

#[test]
fn nobody_speaking_is_no_word() {
    let mut recognizer = recognizer();
    recognizer.begin(SamplePos(0), &[]);
    assert_eq!(says(&mut recognizer, &[0, 0]), "");
    recognizer.follow(SamplePos(2 * SECOND as u64));
    assert_eq!(says(&mut recognizer, &[0]), "");
}

#[test]
fn what_people_repeat_is_kept_and_what_a_lost_decoder_repeats_is_not() {
    let cycle = |period: u32, length: usize| (0..length as u32).map(move |i| 5 + i % period);
    assert_eq!(repeated(cycle(1, 11)), None);
    assert_eq!(repeated(cycle(1, 12)), Some(1));
    assert_eq!(repeated([9].into_iter().chain(cycle(2, 11))), None);
    assert_eq!(repeated([9].into_iter().chain(cycle(2, 12))), Some(3));
    assert_eq!(repeated(cycle(5, 19)), None);
    assert_eq!(repeated(cycle(5, 20)), Some(5));
}
