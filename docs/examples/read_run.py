"""Opens a run of Treewave with h5py and with xarray, and prints what came out of it.

    python docs/examples/read_run.py runs/quickstart/run.h5
"""

import sys

import h5py
import xarray as xr

path = sys.argv[1]

# h5py: datasets with their units; every axis is a dataset of its own.
with h5py.File(path, "r") as run:
    vp = run["vp"][-1]  # the last model, (x, z)
    misfit = run["misfit"][:]
    print(f"{len(misfit) - 1} iterations, misfit {misfit[0]:.3e} to {misfit[-1]:.3e} {run['misfit'].attrs['units']}")
    print(f"model of {vp.shape[0]} x {vp.shape[1]} cells, {vp.min():.0f} to {vp.max():.0f} {run['vp'].attrs['units']}")

# xarray: the same, addressed by position in m.
with xr.open_dataset(path, engine="h5netcdf") as run:
    last = run["vp"].isel(iteration=-1)
    x_m = float(run["x"].mean())
    log = last.sel(x=x_m, method="nearest")
    print(f"velocity log at x = {float(log['x']):.0f} m: {log.values[0]:.0f} m/s on top, {log.values[-1]:.0f} m/s below")
    change = (last - run["vp_start"]).rename("change")
    print(f"largest change from the start model: {float(abs(change).max()):.0f} m/s")
