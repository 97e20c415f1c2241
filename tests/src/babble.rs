//! Speech-like sound from a seed, for models that were not fitted to any recording.
//!
//! Integers only: models/lib/sound.py is the same generator in Python, so that a
//! golden and the test that reads it hear the same samples without a recording.

/// Numbers that look random, of Knuth's MMIX generator.
struct Dice(u64);

impl Dice {
    /// A number in `0..below`.
    fn roll(&mut self, below: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % below).unwrap_or_default()
    }

    fn of(&mut self, choices: &[i64]) -> i64 {
        choices[usize::try_from(self.roll(choices.len() as u64)).unwrap_or_default()]
    }
}

/// Two-pole resonators at 250 to 3400 Hz, by their first coefficient times 2^14.
const RESONATORS: [i64; 12] =
    [31632, 31394, 31046, 30592, 30031, 28865, 27732, 25715, 22475, 18683, 14430, 7420];
const DAMPING: i64 = 15416;

fn resonate(resonator: i64, state: &mut [i64; 2], pulse: i64) {
    *state = [pulse + ((resonator * state[0] - DAMPING * state[1]) >> 14), state[0]];
}

/// `seconds` of 16 kHz samples: gliding voiced sounds, hisses and pauses.
pub fn babble(seed: u64, seconds: usize) -> Vec<i16> {
    let (mut dice, mut samples) = (Dice(seed), Vec::new());
    while samples.len() < seconds * 16_000 {
        let (kind, length) = (dice.roll(8), 640 + dice.roll(4000));
        let loudness = if kind == 0 { 0 } else { 200 + dice.roll(1200) };
        let (first, second) = (dice.of(&RESONATORS[..6]), dice.of(&RESONATORS[6..]));
        let (pitch, glide) = (80 + dice.roll(160), dice.roll(81) - 40);
        let (mut phase, mut low, mut high) = (0, [0; 2], [0; 2]);
        for n in 0..length {
            phase += ((pitch + (glide * n).div_euclid(length)) * 65536).div_euclid(16_000);
            let pulse = if kind < 3 {
                dice.roll(2001) - 1000
            } else if phase >= 65536 {
                1000
            } else {
                -15
            };
            phase %= 65536;
            resonate(first, &mut low, pulse);
            resonate(second, &mut high, pulse);
            let swell = n.min(length - n).min(400);
            let sample = ((low[0] + high[0]) * loudness * swell) >> 18;
            samples.push(i16::try_from(sample.clamp(-32768, 32767)).unwrap_or_default());
        }
    }
    samples.truncate(seconds * 16_000);
    samples
}

/// The same as a recognizer hears it.
fn waveform(seed: u64, seconds: usize) -> Vec<f32> {
    babble(seed, seconds).into_iter().map(|sample| f32::from(sample) / 32768.0).collect()
}

/// The sound of the second golden set's clips, as models/lib/secondset.py has it.
///
/// # Panics
/// When there is no such clip.
pub fn clip(name: &str) -> Vec<f32> {
    match name {
        "babble8" => waveform(101, 8),
        "babble20" => waveform(202, 20),
        other => panic!("there is no clip {other:?}"),
    }
}
