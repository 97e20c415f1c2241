//! What a model must do before it is trusted with a dictation.
//!
//! Loading checks what the files declare. Here the model is run: over silence and
//! over a signal with the spectrum and rhythm of speech. Every float that a graph
//! gives must be finite: half-precision graphs that overflow give NaN from the
//! first chunk on, and then recognise nothing for ever, without an error. That
//! tokens are in the vocabulary was seen to while loading, by the widths of the
//! scores. The time of a step tells whether the model can follow a speaker here.

use crate::graph::Runtime;
use crate::vad::{FRAME, Vad};
use crate::{AsrError, Belief, Recognizer};
use std::time::{Duration, Instant};
use swictation_core::SamplePos;
use swictation_core::time::{SAMPLE_RATE, samples_in_ms};

/// Steps that are made at least.
const STEPS: u32 = 3;
/// After the least, the test goes on for so long, as steps over a window that fills
/// up become slower.
const WHILE: Duration = Duration::from_secs(1);
/// The signal ends here at the latest; no model needs more for its first step.
const LONGEST: u64 = samples_in_ms(90_000);
/// And it ends here once there were enough steps.
const ENOUGH: u64 = samples_in_ms(10_000);
/// Audio is given in pieces of this length.
const PIECE: u64 = samples_in_ms(100);
/// The signal begins with silence.
const SILENCE: u64 = samples_in_ms(1_000);

/// Runs a recognizer that was just loaded, and its detector, and leaves them as they
/// were; from then on the graphs of `runtime` are believed. How long a step took, the
/// fastest but for the first, which is warm-up.
///
/// # Errors
/// `Model` naming the tensor that has no finite numbers, or what else the model said.
pub fn run(
    runtime: &Runtime,
    recognizer: &mut dyn Recognizer,
    vad: Option<&mut Vad>,
) -> Result<Duration, AsrError> {
    runtime.examine(true);
    let done = steps(recognizer).and_then(|step| detect(vad).map(|()| step));
    runtime.examine(false);
    recognizer.begin(SamplePos::default(), &[]);
    done
}

fn steps(recognizer: &mut dyn Recognizer) -> Result<Duration, AsrError> {
    let began = Instant::now();
    let mut fastest = Duration::MAX;
    let (mut at, mut count) = (0, 0);
    recognizer.begin(SamplePos::default(), &[]);
    while at < LONGEST && (count < STEPS || (began.elapsed() < WHILE && at < ENOUGH)) {
        recognizer.feed(&signal(at));
        at += PIECE;
        loop {
            let begun = Instant::now();
            let Some(belief) = recognizer.step()? else { break };
            if count > 0 {
                fastest = fastest.min(begun.elapsed());
            }
            expect_sound(&belief)?;
            count += 1;
        }
    }
    expect_sound(&recognizer.finish()?)?;
    if fastest == Duration::MAX {
        return Err(AsrError::Run(format!(
            "it made {count} steps in {} s of audio; two or more are expected",
            at / u64::from(SAMPLE_RATE)
        )));
    }
    Ok(fastest)
}

fn expect_sound(belief: &Belief) -> Result<(), AsrError> {
    match belief.words.iter().find(|word| !word.confidence.is_finite()) {
        Some(word) => {
            let reason = format!("the probability of a word is {}, which is no number", word.confidence);
            Err(AsrError::Run(reason))
        }
        None => Ok(()),
    }
}

fn detect(vad: Option<&mut Vad>) -> Result<(), AsrError> {
    let Some(vad) = vad else { return Ok(()) };
    let audio: Vec<f32> = (0..20).flat_map(|piece| signal(SILENCE / 2 + piece * PIECE)).collect();
    for frame in audio.chunks(FRAME) {
        vad.score(frame)?;
    }
    vad.reset();
    Ok(())
}

/// The piece of the signal that begins at `at`: after some silence, a voice of 120 Hz
/// with falling harmonics, four syllables a second, and a little noise.
fn signal(at: u64) -> Vec<f32> {
    let sample = |n: u64| {
        if n < SILENCE {
            return 0.0;
        }
        let t = n as f32 / SAMPLE_RATE as f32;
        let turn = std::f32::consts::TAU * t;
        let voice: f32 = (1..=20).map(|k| (turn * 120.0 * k as f32).sin() / k as f32).sum();
        let syllable = (turn * 2.0).sin().abs();
        // A cheap hash of the position is noise enough, and the same every time.
        let noise = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        0.2 * syllable * voice + 0.01 * noise
    };
    (at..at + PIECE).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_is_silence_and_then_as_loud_as_speech() {
        let quiet = signal(0);
        assert!(quiet.iter().all(|v| *v == 0.0));
        let loud: Vec<f32> = (20..40).flat_map(|piece| signal(piece * PIECE)).collect();
        let power = loud.iter().map(|v| v * v).sum::<f32>() / loud.len() as f32;
        assert!((0.05..0.3).contains(&power.sqrt()), "{}", power.sqrt());
        assert!(loud.iter().all(|v| v.abs() < 1.0));
    }
}
