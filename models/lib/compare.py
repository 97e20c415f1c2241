"""Two folders of goldens: what NeMo said must be the same, decision for decision.

Usage: python lib/compare.py COMMITTED MADE
"""

import json
import sys
from pathlib import Path


def faults(committed, made):
    """What differs between two golden.json, in words."""
    ours, theirs = (json.loads((folder / "golden.json").read_text()) for folder in (committed, made))
    if ours.keys() != theirs.keys():
        yield f"{made.name}: the runs are {', '.join(theirs)}; committed are {', '.join(ours)}"
    for run in ours.keys() & theirs.keys():
        for key in ours[run].keys() | theirs[run].keys():
            if ours[run].get(key) != theirs[run].get(key):
                yield f"{made.name}, {run}: {key} is {theirs[run].get(key)}; committed is {ours[run].get(key)}"


def main():
    committed, made = (Path(argument) for argument in sys.argv[1:])
    folders = sorted(made.iterdir())
    found = [fault for folder in folders for fault in faults(committed / folder.name, folder)]
    if found:
        raise SystemExit("\n".join(found))
    print(f"{len(folders)} models gave the committed goldens")


if __name__ == "__main__":
    main()
