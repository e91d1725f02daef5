"""Checks of Treewave's public files by other people's software: h5py, xarray (h5netcdf and netcdf4) and h5dump.

    check_files.py rules FILE...      every rule that a public file keeps (docs: the table of files)
    check_files.py equal FILE FILE... the same datasets with the same bits, apart from what differs by nature
                                      (the clock)

Each check prints one line; the last line says how many passed and failed. Exit code 1 if any failed.
"""

import subprocess
import sys

import h5py
import numpy as np
import xarray as xr

ROOT_ATTRIBUTES = ["Conventions", "title", "treewave_format", "schema_version", "history", "source", "created"]
SCALE_ATTRIBUTES = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}
CLOCK = {"wall_s"}

results = []


def check(statement, problems):
    """One check: `problems` is a list, empty where the statement is true."""
    problems = list(problems)
    results.append(not problems)
    print(("ok      " if not problems else "FAILED  ") + statement)
    for problem in problems[:20]:
        print(f"          {problem}")


def datasets(file):
    found = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def is_scale(dataset):
    return dataset.attrs.get("CLASS", b"") in (b"DIMENSION_SCALE", "DIMENSION_SCALE")


def axes_without_scale(file):
    for name, dataset in datasets(file).items():
        if is_scale(dataset):
            continue
        for axis, length in enumerate(dataset.shape):
            scales = list(dataset.dims[axis].values())
            if not scales:
                yield f"/{name}: axis {axis} of {length} has no dimension scale"
            elif scales[0].shape != (length,):
                yield f"/{name}: axis {axis} of {length}, its scale {scales[0].name} has shape {scales[0].shape}"


def undescribed(file):
    for name, dataset in datasets(file).items():
        if dataset.dtype.kind == "f" and "units" not in dataset.attrs:
            yield f"/{name}: no attribute units"
        if dataset.dtype.kind in "fiu" and "long_name" not in dataset.attrs:
            yield f"/{name}: no attribute long_name"


def unreadable_attributes(file):
    """Attributes that netCDF readers refuse: more than one axis, booleans, compounds."""
    for name, item in [("", file), *datasets(file).items()]:
        for key in set(item.attrs) - SCALE_ATTRIBUTES:
            attribute = item.attrs.get_id(key)
            if len(attribute.shape) > 1:
                yield f"/{name}: attribute {key} has {len(attribute.shape)} axes"
            if attribute.dtype.kind in "bV" or h5py.check_enum_dtype(attribute.dtype):
                yield f"/{name}: attribute {key} has type {attribute.dtype}"


def differs_in_xarray(path, engine):
    """What xarray sees otherwise than h5py: names, shapes, values."""
    with h5py.File(path) as file:
        expected = {name: item[()] for name, item in datasets(file).items() if "/" not in name}
    with xr.open_dataset(path, engine=engine, decode_times=False, mask_and_scale=False) as seen:
        for name, values in expected.items():
            if name not in seen.variables:
                yield f"/{name} is not among the variables"
            elif seen[name].shape != np.shape(values):
                yield f"/{name} has shape {seen[name].shape}, not {np.shape(values)}"
            elif np.asarray(values).dtype.kind in "fiu" and not np.array_equal(seen[name], values, equal_nan=True):
                yield f"/{name} has other values"
        for name, variable in seen.variables.items():
            yield from (f"/{name} has an unnamed axis {axis}" for axis in variable.dims if axis.startswith("phony_dim"))


def fails(function, *arguments):
    """The problems of a check that may also end in an exception, which is a problem too."""
    try:
        yield from function(*arguments)
    except Exception as error:  # any reader's error is a finding
        yield f"{type(error).__name__}: {error}"


def h5dump_refuses(path):
    run = subprocess.run(["h5dump", "--header", path], capture_output=True, text=True, check=False)
    return [f"h5dump ended with code {run.returncode}: {run.stderr[:300]}"] if run.returncode else []


def rules(path):
    with h5py.File(path) as file:
        missing = [f"no attribute {key}" for key in ROOT_ATTRIBUTES if key not in file.attrs]
        check(f"{path} says what it is", missing)
        check(f"{path} has data", [] if datasets(file) else ["no dataset"])
        check(f"{path}: every axis has its dimension scale", fails(axes_without_scale, file))
        check(f"{path}: numbers have long_name, physical ones units", fails(undescribed, file))
        check(f"{path}: attributes are those that netCDF reads", fails(unreadable_attributes, file))
    for engine in ["h5netcdf", "netcdf4"]:
        check(f"{path} is the same in xarray with {engine}", fails(differs_in_xarray, path, engine))
    check(f"{path} is read by h5dump", h5dump_refuses(path))


def differing_bits(first, other):
    with h5py.File(first) as a, h5py.File(other) as b:
        a, b = datasets(a), datasets(b)
        yield from (f"/{name} is in one file only" for name in a.keys() ^ b.keys())
        for name in a.keys() & b.keys() - CLOCK:
            x, y = a[name][()], b[name][()]
            if a[name].dtype.kind not in "fiu":
                continue
            if x.dtype != y.dtype or np.shape(x) != np.shape(y):
                yield f"/{name}: {x.dtype} {np.shape(x)} and {y.dtype} {np.shape(y)}"
            elif x.tobytes() != y.tobytes():
                count = np.count_nonzero(np.asarray(x != y))
                yield f"/{name}: {count} of {np.size(x)} values differ, by up to {np.max(np.abs(np.asarray(x) - y))}"


def main(verb, paths):
    if verb == "rules":
        for path in paths:
            rules(path)
    elif verb == "equal" and len(paths) > 1:
        for other in paths[1:]:
            check(f"{other} has the bits of {paths[0]}", fails(differing_bits, paths[0], other))
    else:
        sys.exit(__doc__)
    passed = sum(results)
    print(f"files: {passed} passed, {len(results) - passed} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:])
