#!/usr/bin/env python3
"""Open a run file again and again while an inversion writes it, with h5py and both engines of xarray.

usage: scripts/open_while_written.py RUN.h5 TIMES

Every time the file must open, and its axes, units and sizes must be right. Prints how often the file was opened and
how many versions of it were seen; the first failure ends with exit code 1. Needs: h5py, xarray, h5netcdf, netCDF4.
"""

import os
import sys
import time

import h5py
import xarray

AXES = {
    "vp": ("iteration", "x", "z"),
    "gradient": ("iteration", "x", "z"),
    "vp_start": ("x", "z"),
    "misfit": ("iteration",),
    "misfit_per_shot": ("iteration", "shot_index"),
}
UNITS = {"vp": "m/s", "vp_start": "m/s", "x": "m", "z": "m"}


def with_h5py(path):
    with h5py.File(path, "r") as file:
        for name, axes in AXES.items():
            found = tuple(dimension[0].name.lstrip("/") for dimension in file[name].dims)
            assert found == axes, f"{name} has axes {found}"
        for name, units in UNITS.items():
            assert file[name].attrs["units"] == units, f"{name} is in {file[name].attrs['units']}"
        count = file["iteration"].shape[0]
        assert file["vp"].shape[0] == count and file["vp"][-1].min() > 0, "the last model is not there"
        return count


def with_xarray(path, engine):
    with xarray.open_dataset(path, engine=engine) as file:
        for name, axes in AXES.items():
            assert file[name].dims == axes, f"{name} has axes {file[name].dims}"
        for name, units in UNITS.items():
            assert file[name].attrs["units"] == units, f"{name} is in {file[name].attrs['units']}"
        assert float(file["vp"][-1].min()) > 0, "the last model is not there"
        return file.sizes["iteration"]


READERS = {
    "h5py": with_h5py,
    "h5netcdf": lambda path: with_xarray(path, "h5netcdf"),
    "netcdf4": lambda path: with_xarray(path, "netcdf4"),
}


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    path, times = sys.argv[1], int(sys.argv[2])
    while not os.path.exists(path):
        time.sleep(0.01)
    versions, last = set(), 0
    for i in range(times):
        name = list(READERS)[i % len(READERS)]
        try:
            count = READERS[name](path)
            assert count >= last, f"{count} iterations after {last}"
        except Exception as error:  # whatever a tool stumbles over is a failure of the file
            print(f"FAULT {path}: {name}, time {i}: {type(error).__name__}: {error}")
            return 1
        last = count
        versions.add(count)
    print(f"opened {times} times, {len(versions)} versions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
