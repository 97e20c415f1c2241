//! The second golden set: other seed, sizes, contexts and sound (models/README.md),
//! so that what agrees with NeMo was not fitted to the first. Its sound is babble,
//! so everything runs from samples and nothing is skipped.

use crate::golden::{expect_nemos_steps, largest_difference, log_mel, states_difference};
use crate::toy::{self, Array, CPU};
use swictation_asr::Recognizer;
use swictation_asr::encoder::CacheAwareEncoder;
use swictation_asr::manifest::Manifest;
use swictation_tests::babble::{babble, clip as sound};

const CLIPS: [&str; 2] = ["babble8", "babble20"];

#[test]
fn babble_is_that_of_the_goldens() {
    let sum = |samples: Vec<i16>| {
        let sample = |sum: u32, sample: &i16| sum.wrapping_mul(31).wrapping_add(u32::from(*sample as u16));
        samples.iter().fold(0, sample)
    };
    assert_eq!(sum(babble(101, 8)), 2_339_281_950);
    assert_eq!(sum(babble(202, 20)), 3_957_264_746);
}

#[test]
fn features_of_other_sound_equal_nemos() {
    let golden = Array::read(&toy::toy("../seeded/att24_3-rnnt/mel128_babble8_every25.npy"));
    let ours = log_mel(128, &sound("babble8"));
    assert_eq!((golden.rows, golden.columns), (128, ours.len() / 128 / 25 + 1));
    let sampled: Vec<f32> = ours.chunks(128).step_by(25).flatten().copied().collect();
    let difference = largest_difference(&sampled, &golden.by_columns());
    println!("features differ by at most {difference:e}");
    assert!(difference < 1e-3, "{difference}");
}

#[test]
fn states_of_an_encoder_of_other_sizes_equal_nemos() {
    let Some(runtime) = toy::runtime() else { return };
    let dir = toy::toy("../seeded/att24_3-rnnt");
    let manifest = Manifest::read(&dir).unwrap();
    let path = manifest.file(&dir, "encoder").unwrap();
    let mut encoder = CacheAwareEncoder::open(runtime, &path, CPU, manifest.streaming.unwrap(), 128).unwrap();
    encoder.begin();
    encoder.pending().extend(log_mel(128, &sound("babble8")));
    encoder.end();
    let golden = Array::read(&dir.join("encoded_babble8.npy"));
    let difference = states_difference(&mut encoder, &golden);
    println!("encoder states differ by at most {difference:e}");
    assert!(difference < 1e-3, "{difference}");
}

#[test]
fn other_models_give_nemos_tokens_at_nemos_frames_step_by_step() {
    let models = [
        ("../seeded/att24_3-rnnt", "../seeded/att24_3-rnnt", "rnnt"),
        ("../seeded/att24_3-ctc", "../seeded/att24_3-ctc", "ctc"),
        ("../seeded/att20_1-rnnt", "../seeded/att20_1-rnnt", "rnnt"),
        ("../seeded/eou-rnnt", "../seeded/eou-rnnt", "rnnt"),
    ];
    expect_nemos_steps(&models, CLIPS, |model, clip| {
        model.feed(&sound(clip));
        true
    });
}
