"""Treewave and its peers on the same cases, alternately: medians, spread and ratios, as a table.

Points are counted with the absorbing layer, as all of them count; each side times its own time loop.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Cases: dimensions, points per axis, time steps of the peer.
FORWARD = {
    "forward-2d": [(2, 1000, 1000), (2, 2000, 300)],
    "forward-3d": [(3, 256, 60), (3, 400, 20)],
}
# Devito leaves a 2-D loop unblocked unless told; its 3-D defaults are its best.
DEVITO_2D = "('advanced',{'blockinner':True,'par-dynamic-work':100000})"


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def treewave(program, dims, size, order, threads):
    words = [program, "bench", "--dims", dims, "--size", size, "--order", order, "--repetitions", 1, "--json"]
    done = subprocess.run([*map(str, words), "--threads", str(threads)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def peer(name, dims, size, order, threads, steps):
    shape = "x".join([str(size)] * dims)
    words = [sys.executable, "-B", str(HERE / f"{name}_bench.py")]
    if name == "devito":
        words += ["acoustic", "--so", order, "--opt", DEVITO_2D if dims == 2 else "advanced"]
    else:
        words += ["scalar", "--acc", order]
    words += ["--shape", shape, "--nt", steps, "--reps", 1]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.setdefault("PEERS_QUIET_WAIT", "5")
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=HERE, env=environment)
    found = re.search(r"^BENCH .*\bgpts=([0-9.]+)", done.stdout, re.M)
    if not found:
        raise SystemExit(f"{name} printed no figure:\n{done.stdout}{done.stderr[-2000:]}")
    return float(found.group(1))


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--treewave", required=True)
    parser.add_argument("--cases", default=",".join(FORWARD), help="forward-2d, forward-3d")
    parser.add_argument("--peers", default="devito", help="devito, deepwave")
    parser.add_argument("--orders", default="4,8,16")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--sizes", default="", help="only these sizes")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    numbers = lambda text: [int(word) for word in text.split(",") if word]
    peers, sizes = options.peers.split(","), numbers(options.sizes)

    print(f"{processor()}, {os.cpu_count()} processors; f32; Gpts/s: median (least–most) of {options.pairs} pairs\n")
    print("| case | order | threads | Treewave | of the streaming limit | " + " | ".join(f"{p} | ratio" for p in peers) + " |")
    print("|---" * (5 + 2 * len(peers)) + "|")
    for case in options.cases.split(","):
        for dims, size, steps in FORWARD[case]:
            if sizes and size not in sizes:
                continue
            for order in numbers(options.orders):
                for threads in numbers(options.threads):
                    own, fractions, others = [], [], {p: [] for p in peers}
                    for _ in range(options.pairs):
                        found = treewave(options.treewave, dims, size, order, threads)
                        own.append(found["gpts"])
                        fractions.append(found["fraction_of_bandwidth"])
                        for p in peers:
                            if p == "deepwave" and order > 8:
                                continue
                            others[p].append(peer(p, dims, size, order, threads, steps))
                    cells = [f"{dims}-D {size}", order, threads, spread(own), f"{statistics.median(fractions):.2f}"]
                    for p in peers:
                        ratios = [a / b for a, b in zip(own, others[p])]
                        cells += [spread(others[p]), f"{statistics.median(ratios):.2f}"] if ratios else ["–", "–"]
                    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
