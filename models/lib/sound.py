"""Sound for tests: recordings as NeMo reads them, and speech-like sound from a seed.

`babble` uses integers only, so that the same seed gives the same samples in every
language and on every machine; tests/src/babble.rs is the same generator in Rust.
"""

import wave
from pathlib import Path

import numpy as np

RATE = 16_000

# Two-pole resonators at 250 to 3400 Hz: y[n] = x[n] + (a * y[n-1] - b * y[n-2]) / 2^14,
# a = 2 r cos(2 pi f / 16000) * 2^14 with r = 0.97, b = r^2 * 2^14.
RESONATORS = [31632, 31394, 31046, 30592, 30031, 28865, 27732, 25715, 22475, 18683, 14430, 7420]
DAMPING = 15416


class Dice:
    """Knuth's MMIX generator; its upper bits look random."""

    def __init__(self, seed):
        self.state = seed

    def roll(self, below):
        """A number in 0..below."""
        self.state = (self.state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (self.state >> 33) % below


def babble(seed, seconds):
    """`seconds` of 16 kHz samples (i16): gliding voiced sounds, hisses and pauses."""
    dice, samples = Dice(seed), []
    while len(samples) < seconds * RATE:
        kind, length = dice.roll(8), 640 + dice.roll(4000)
        loudness = 0 if kind == 0 else 200 + dice.roll(1200)
        first, second = RESONATORS[dice.roll(6)], RESONATORS[6 + dice.roll(6)]
        pitch, glide = 80 + dice.roll(160), dice.roll(81) - 40
        phase, low, high = 0, [0, 0], [0, 0]
        for n in range(length):
            phase += (pitch + glide * n // length) * 65536 // RATE
            # Noise in two of seven sounds, else a pulse for every period of the voice.
            pulse = dice.roll(2001) - 1000 if kind < 3 else (1000 if phase >= 65536 else -15)
            phase %= 65536
            low = [pulse + ((first * low[0] - DAMPING * low[1]) >> 14), low[0]]
            high = [pulse + ((second * high[0] - DAMPING * high[1]) >> 14), high[0]]
            swell = min(n, length - n, 400)
            sample = (low[0] + high[0]) * loudness * swell >> 18
            samples.append(max(-32768, min(32767, sample)))
    return np.array(samples[: seconds * RATE], dtype="<i2")


def waveform(pcm):
    """Samples as floats in [-1, 1), as NeMo reads a 16-bit file."""
    return pcm.astype(np.float32) / 32768.0


def read_wav(path):
    """The samples (i16) of a 16-bit, 16 kHz mono file."""
    with wave.open(str(path)) as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if form != (1, 2, RATE):
            raise SystemExit(f"{path}: {form[0]} channels, {8 * form[1]} bits, {form[2]} Hz; 1, 16 and {RATE} are needed")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def write_wav(path, pcm):
    """Writes samples (i16) as a 16 kHz mono file."""
    with wave.open(str(Path(path)), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.astype("<i2").tobytes())
