#!/usr/bin/env python3
"""Check that HDF5 files hold the same bits: the same datasets, of the same type and shape, byte for byte.

usage: scripts/compare_files.py FILE FILE...

Every file is compared with the first one. Left out is what differs by nature: attributes (dates, ranks) and the clock
(`wall_s`). Prints a line per file and what differs; the exit code is 1 if anything does. Needs: h5py.
"""

import sys

import h5py
import numpy as np

CLOCK = {"wall_s"}


def datasets(file):
    found = {}
    file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return {name: np.asarray(values) for name, values in found.items() if name not in CLOCK}


def differences(first, other):
    with h5py.File(first) as a, h5py.File(other) as b:
        a, b = datasets(a), datasets(b)
    if not a:
        yield "no datasets"
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            yield f"/{name} is in one file only"
        elif (a[name].dtype, a[name].shape) != (b[name].dtype, b[name].shape):
            yield f"/{name}: {a[name].dtype} {a[name].shape} and {b[name].dtype} {b[name].shape}"
        elif a[name].dtype.kind in "fiu" and a[name].tobytes() != b[name].tobytes():
            count = np.count_nonzero(a[name] != b[name])
            yield f"/{name}: {count} of {a[name].size} values differ, by up to {np.abs(a[name] - b[name]).max():g}"
        elif a[name].dtype.kind not in "fiu" and not np.array_equal(a[name], b[name]):
            yield f"/{name}: other texts"


def main():
    paths = sys.argv[1:]
    if len(paths) < 2:
        print(__doc__)
        return 0 if paths in (["-h"], ["--help"]) else 2
    faults = 0
    for other in paths[1:]:
        found = list(differences(paths[0], other))
        faults += bool(found)
        print(f"{'FAULT' if found else 'ok   '} {other} {'differs from' if found else 'has the bits of'} {paths[0]}")
        for line in found:
            print(f"      {line}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
