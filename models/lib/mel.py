"""Log-mel features as NeMo's AudioToMelSpectrogramPreprocessor computes them, in numpy."""

import wave

import numpy as np

RATE, HOP, WINDOW, POINTS = 16000, 160, 400, 512


def read(file):
    """Samples of a WAV file, 16 kHz mono with 16 bits, from -1 to 1."""
    with wave.open(str(file)) as wav:
        if (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) != (RATE, 1, 2):
            raise SystemExit(f"{file}: 16 kHz mono with 16 bits is needed")
        return np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(np.float32) / 32768


def features(samples, mels, normalize):
    """Frames [mels, T] of `samples` and how many of them are real: the last one is padding."""
    emphasised = np.concatenate([samples[:1], samples[1:] - np.float32(0.97) * samples[:-1]])
    side = (POINTS - WINDOW) // 2
    window = np.pad(np.hanning(WINDOW), (side, side))
    padded = np.pad(emphasised.astype(np.float64), POINTS // 2)
    length = len(samples) // HOP
    power = np.stack([np.abs(np.fft.rfft(padded[HOP * t :][:POINTS] * window)) ** 2 for t in range(length)], axis=1)
    frames = np.log(bank(mels) @ power + 2.0**-24)
    if normalize == "per_feature":
        frames = (frames - frames.mean(1, keepdims=True)) / (frames.std(1, ddof=1, keepdims=True) + 1e-5)
    return np.pad(frames, ((0, 0), (0, 1))).astype(np.float32), length


def bank(mels):
    """Triangular filters [mels, bins] on Slaney's scale, of unit area."""
    linear, knee = 200 / 3, 1000.0
    step = np.log(6.4) / 27
    top = knee / linear + np.log(RATE / 2 / knee) / step
    scale = np.linspace(0, top, mels + 2)
    edges = np.where(scale < knee / linear, scale * linear, knee * np.exp(step * (scale - knee / linear)))
    bins = np.arange(POINTS // 2 + 1) * RATE / POINTS
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    slopes = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return np.maximum(slopes, 0) * 2 / (high - low)
