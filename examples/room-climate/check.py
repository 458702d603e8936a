#!/usr/bin/env python3
"""Computes from room-climate files what Holon must have once they were sent.

Usage: check.py FILE... > expected.json

It knows nothing of the Go program beside it: both must come to the same
counts, newest values and hourly means. Standard library only.
"""

import json
import math
import os
import re
import sys

NAMES = ["temperature", "humidity", "light1", "light2", "occupants", "activity", "door", "window"]
BOOLEANS = {"door", "window"}
HOUR = 3_600_000


def readings(path):
    """Yields (device, milliseconds, the eight values) for each line."""
    match = re.fullmatch(r"location_([A-Za-z0-9]+)-measurement\d+\.csv", os.path.basename(path))
    if not match:
        raise SystemExit(f"{path}: the name is not location_<L>-measurementNN.csv")
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if not line.strip():
                continue
            _, millis, _, node, *texts = [field.strip() for field in line.split(",")]
            numbers = [float(text) for text in texts]
            values = [n != 0 if name in BOOLEANS else n for name, n in zip(NAMES, numbers, strict=True)]
            yield f"{match.group(1)}-{int(node)}", int(millis), values


def series(pairs, is_number):
    """Reduces (milliseconds, value) pairs, in order of time, to what is compared."""
    hours = {}
    for at, value in pairs:
        hours.setdefault(at // HOUR * HOUR, []).append(value)
    at, value = pairs[-1]
    return {
        "count": len(pairs),
        "newest": {"at": at, "value": value},
        "hours": {
            begin: {"count": len(some), "mean": math.fsum(some) / len(some) if is_number else None}
            for begin, some in hours.items()
        },
    }


def main(paths):
    """Prints the expectation as JSON."""
    lines = repeats = conflicts = 0
    stored = {}
    for path in sorted(paths):
        for device, at, values in readings(path):
            lines += 1
            first = stored.setdefault(device, {}).setdefault(at, values)
            if first is not values:
                repeats += first == values
                conflicts += first != values
    result = {
        "readings": lines,
        "stored": sum(len(times) for times in stored.values()),
        "repeats": repeats,
        "conflicts": conflicts,
        "series": {
            device: {
                name: series([(at, times[at][i]) for at in sorted(times)], name not in BOOLEANS)
                for i, name in enumerate(NAMES)
            }
            for device, times in stored.items()
        },
    }
    json.dump(result, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
