"""What was spoken beside what was typed: the word error rate and the latencies.

score.py REFERENCE TYPED STATUS, three files; STATUS is `swictation status --json`.
A word is compared without case and punctuation; each place where words differ is
one error, found with the fewest errors possible.
"""

import json
import sys
import unicodedata

STAGES = {
    "start": "hotkey to open microphone",
    "captured_to_heard": "captured to model step",
    "heard_to_hypothesis": "model step",
    "hypothesis_to_committed": "first seen to committed",
    "committed_to_typed": "committed to typed",
    "spoken_to_typed": "end of word to typed",
    "stop_to_typed": "stop to last word typed",
}


def words(text):
    """Lower case, apostrophes dropped, every other mark a space."""
    text = unicodedata.normalize("NFKC", text).lower().replace("'", "").replace("\u2019", "")
    return "".join(c if c.isalnum() else " " for c in text).split()


def errors(reference, typed):
    """(substitutions, deletions, insertions) of a cheapest alignment."""
    row = [(i, 0, 0, i) for i in range(len(typed) + 1)]
    for n, wanted in enumerate(reference, 1):
        above, row = row, [(n, 0, n, 0)]
        for i, got in enumerate(typed, 1):
            cost, s, d, j = above[i - 1]
            step = int(wanted != got)
            replace = (cost + step, s + step, d, j)
            cost, s, d, j = above[i]
            delete = (cost + 1, s, d + 1, j)
            cost, s, d, j = row[i - 1]
            row.append(min(replace, delete, (cost + 1, s, d, j + 1)))
    return row[-1][1:]


def main():
    reference, typed = (open(name, encoding="utf-8", errors="replace").read() for name in sys.argv[1:3])
    status = json.load(open(sys.argv[3]))
    print(f"\nSpoken: {' '.join(reference.split()) or '(no reference was given)'}")
    print(f"Typed:  {' '.join(typed.split())}\n")
    if wanted := words(reference):
        substituted, deleted, inserted = errors(wanted, words(typed))
        wrong = substituted + deleted + inserted
        print(
            f"WER: {100 * wrong / len(wanted):.1f} % ({wrong} of {len(wanted)} words: "
            f"{substituted} other, {deleted} missing, {inserted} too many)"
        )
    engine, metrics = status["engine"], status["metrics"]
    print(f"Model: {engine['model']} on {engine['provider']}, typed through {status['typist']}")
    print(f"\n{'Latency in ms':28}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}{'count':>8}")
    for stage, name in STAGES.items():
        p = metrics["latency"][stage]
        if not p["count"]:
            continue
        figures = [p["p50_ms"], p["p95_ms"], p["p99_ms"], p["max_ms"]]
        print(f"  {name:26}" + "".join(f"{ms:8.0f}" for ms in figures) + f"{p['count']:8}")
    if metrics["lost_seconds"]:
        print(f"\n{metrics['lost_seconds']:.2f} s of audio were lost")


main()
