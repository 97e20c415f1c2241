"""The second golden set: which seeded models it has, on what sound and with which windows.

Everything differs from the first set (models/toy): seed, sizes, vocabulary, contexts,
windows and sound, so that what agrees with both was fitted to neither.
"""

from dataclasses import dataclass

# Sound by name: seed and seconds of `sound.babble`, and so in tests/src/babble.rs.
CLIPS = {"babble8": (101, 8), "babble20": (202, 20)}

# The smallest lead of any decision; what differs by less on another machine is no golden.
MARGIN = 5e-4


@dataclass(frozen=True)
class Golden:
    """A folder of models/seeded and what is run on its model."""

    model: str
    family: str
    context: tuple = None  # att_context of cache-aware models
    windows: tuple = ()  # left, chunk and right in seconds
    runs: tuple = ()  # of attention decoders: name, policy, window, wait_k, alignatt_frames
    split: bool = False


WINDOWS = ((12, 2, 1), (6, 1.5, 0.5), (3, 0.8, 1.2))

SET = {
    "att24_3-rnnt": Golden("hybrid", "cache-aware-rnnt", context=(24, 3), split=True),
    "att24_3-ctc": Golden("hybrid", "cache-aware-ctc", context=(24, 3)),
    "att20_1-rnnt": Golden("hybrid", "cache-aware-rnnt", context=(20, 1)),
    "eou-rnnt": Golden("eou", "cache-aware-rnnt", context=(12, 2)),
    "buffered-ctc": Golden("ctc", "buffered-ctc", windows=WINDOWS),
    "buffered-rnnt": Golden("rnnt", "buffered-rnnt", windows=WINDOWS, split=True),
    "buffered-tdt": Golden("tdt", "buffered-tdt", windows=WINDOWS),
    "aed": Golden(
        "aed", "aed",
        runs=(
            ("waitk2", "waitk", (20, 0.5, 0.5), 2, 8), ("waitk3", "waitk", (10, 1, 0.5), 3, 8),
            ("alignatt8", "alignatt", (20, 1, 0.5), 2, 8),
        ),
    ),
}
