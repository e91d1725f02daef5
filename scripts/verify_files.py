#!/usr/bin/env python3
"""Check that public Treewave files open in plain tools: h5py, and xarray with the engines h5netcdf and netcdf4.

usage: scripts/verify_files.py FILE...

For every file: the root attributes are there; no attribute is boolean, compound or of two dimensions; every dimension
of every dataset has one dimension scale, named like the axis and of its length; units and long_name are text; both
engines of xarray show the same dimensions, coordinates and values as h5py. Prints a line per file; the first fault
of a file is printed and makes the exit code 1. Needs: h5py, xarray, h5netcdf, netCDF4.
"""

import sys

import h5py
import numpy as np
import xarray

ROOT = ["Conventions", "title", "treewave_format", "schema_version", "history", "source", "created"]
SCALE_ATTRIBUTES = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST"}


class Fault(Exception):
    """Something that plain tools would stumble over."""


def check(condition, text):
    if not condition:
        raise Fault(text)


def check_attributes(name, attributes):
    for key, value in attributes.items():
        if key in SCALE_ATTRIBUTES:
            continue
        kind = np.asarray(value)
        check(kind.ndim <= 1, f"{name}@{key} has {kind.ndim} dimensions")
        check(kind.dtype.kind in "iufUSO", f"{name}@{key} has type {kind.dtype}")


def check_dataset(name, dataset):
    check_attributes(name, dataset.attrs)
    check(dataset.dtype.kind in "iuf", f"{name} has type {dataset.dtype}")
    for key in ("units", "long_name"):
        check(isinstance(dataset.attrs.get(key), str), f"{name}@{key} is {dataset.attrs.get(key)!r}, not text")
    if dataset.is_scale:
        check(h5py.h5ds.get_scale_name(dataset.id).decode() == name, f"scale {name} has another name")
        return [name]
    names = []
    for i, dimension in enumerate(dataset.dims):
        check(len(dimension) == 1, f"{name} dimension {i} has {len(dimension)} scales")
        scale = dimension[0]
        check(h5py.h5ds.is_attached(dataset.id, scale.id, i), f"{name} dimension {i} is attached one way only")
        check(scale.shape == (dataset.shape[i],), f"{name} dimension {i} has {dataset.shape[i]}, its scale {scale.shape}")
        names.append(scale.name.lstrip("/"))
    return names


def read_with_h5py(path):
    """Values and axis names of every dataset."""
    found = {}
    with h5py.File(path, "r") as file:
        for key in ROOT:
            check(key in file.attrs, f"root attribute {key} is missing")
        check_attributes("root", file.attrs)
        file.visititems(lambda name, item: check(isinstance(item, h5py.Dataset), f"{name} is a group"))
        for name, dataset in file.items():
            found[name] = (check_dataset(name, dataset), dataset[()])
    check(found, "no datasets")
    return found


def check_with_xarray(path, engine, expected):
    with xarray.open_dataset(path, engine=engine) as file:
        check(set(file.variables) == set(expected), f"{engine}: {sorted(file.variables)}, h5py {sorted(expected)}")
        for name, (dimensions, values) in expected.items():
            seen = file[name]
            check(list(seen.dims) == dimensions, f"{engine}: {name} has axes {seen.dims}, h5py {dimensions}")
            check(np.array_equal(seen.values, values, equal_nan=values.dtype.kind == "f"), f"{engine}: values of {name} differ")
            for axis in dimensions:
                check(axis in seen.coords, f"{engine}: {name} has no coordinate {axis}")


def verify(path):
    expected = read_with_h5py(path)
    for engine in ("h5netcdf", "netcdf4"):
        check_with_xarray(path, engine, expected)
    return ", ".join(f"{name}({','.join(axes)})" for name, (axes, _) in expected.items() if axes != [name])


def main():
    paths = sys.argv[1:]
    if not paths or paths[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if paths else 2
    faults = 0
    for path in paths:
        try:
            print(f"ok    {path}: {verify(path)}")
        except (Fault, OSError, ValueError, KeyError, RuntimeError) as error:
            faults += 1
            print(f"FAULT {path}: {type(error).__name__}: {error}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
