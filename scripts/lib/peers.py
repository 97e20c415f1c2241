"""Swictation beside sherpa-onnx, and beside a bare loop over ONNX Runtime.

    peers.py BENCH MODEL_FOLDER SHERPA_FOLDER WAV [--rounds N]

Each round starts every engine once, one after the other, in a process of its own, so
that a machine which becomes slower does so for all of them. Time is that of decoding,
without loading; memory is the process's peak.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np


def main():
    options = argparse.ArgumentParser()
    options.add_argument("bench", type=Path)
    options.add_argument("model", type=Path)
    options.add_argument("sherpa", type=Path)
    options.add_argument("wav", type=Path)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.threads:
        print(json.dumps(decode(options.sherpa, options.wav, options.threads)))
        return
    for threads in (1, 2):
        ours, theirs = [], []
        for _ in range(options.rounds):
            command = [options.bench, "--json", "--rounds", "1", "--threads", str(threads), options.model, options.wav]
            ours.append(answer(command))
            theirs.append(answer([sys.executable, __file__, *sys.argv[1:5], "--threads", str(threads)]))
        report(threads, ours, theirs)


def answer(command):
    run = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def report(threads, ours, theirs):
    seconds = ours[0]["seconds"]
    print(f"\n{threads} thread{'s' if threads > 1 else ''}         processor s / audio s     wall s / audio s    peak MB   tokens")
    print("                     best   median          best   median")
    rows = {"swictation": ours, "sherpa-onnx": theirs}
    for name, runs in rows.items():
        processor, wall = ([first(run[key]) / seconds for run in runs] for key in ("processor", "wall"))
        peak = max(run["peak_mb"] for run in runs)
        print(f"{name:16} {min(processor):8.4f} {statistics.median(processor):8.4f}      {min(wall):8.4f} "
              f"{statistics.median(wall):8.4f}   {peak:8} {runs[0]['tokens']:8}")
    for key in ("processor", "wall"):
        shares = [first(a[key]) / first(b[key]) for a, b in zip(ours, theirs)]
        best = min(first(a[key]) for a in ours) / min(first(b[key]) for b in theirs)
        print(f"{key}: of sherpa-onnx's {best:.3f} (best of each), {statistics.median(shares):.3f} (median of rounds)")


def first(value):
    return value[0] if isinstance(value, list) else value


def decode(folder, wav, threads):
    """One pass of sherpa-onnx over a recording, fed in the same blocks of 32 ms."""
    import sherpa_onnx

    with wave.open(str(wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    file = lambda name: str(next(path for path in (folder / f"{name}.int8.onnx", folder / f"{name}.onnx") if path.exists()))
    recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(
        tokens=str(folder / "tokens.txt"), encoder=file("encoder"), decoder=file("decoder"), joiner=file("joiner"),
        num_threads=threads, decoding_method="greedy_search",
    )
    for measured in (False, True):
        wall, processor = time.perf_counter(), time.process_time()
        stream = recognizer.create_stream()
        for start in range(0, len(samples), 512):
            stream.accept_waveform(16000, samples[start : start + 512])
            while recognizer.is_ready(stream):
                recognizer.decode_stream(stream)
        stream.input_finished()
        while recognizer.is_ready(stream):
            recognizer.decode_stream(stream)
        if measured:
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return dict(
        seconds=len(samples) / 16000, wall=wall, processor=processor, tokens=len(recognizer.tokens(stream)),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


if __name__ == "__main__":
    main()
