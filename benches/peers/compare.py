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
# Gradients of one shot, order 8: what they may use, dimensions, points per axis, time steps, words of each program, and whether
# Deepwave is told to use the disk. Budgets are such that Treewave's whole process has less memory than the peer's.
GRADIENT = {
    "gradient-2d": [
        ("in memory", 2, 1000, 2000, [], ["grad-save"], "device"),
        ("within 1.1 GB", 2, 1000, 2000, ["--memory", "1.0 GB"], ["grad-revolve", "--ncp", "100"], None),
        ("within 0.3 GB", 2, 1000, 2000, ["--memory", "220 MB"], ["grad-revolve"], None),
        ("through disk", 2, 1000, 2000, ["--memory", "700 MB", "--disk", "20 GB"], None, "disk"),
    ],
    "gradient-3d": [
        ("in memory", 3, 128, 500, [], ["grad-save"], "device"),
        ("within 0.75 GB", 3, 128, 500, ["--memory", "500 MB"], ["grad-revolve"], None),
    ],
}
# Of each peer: the words for forward modelling, the option for the order of the stencil, the highest that it has.
PEERS = {"devito": (["acoustic"], "--so", 16), "deepwave": (["scalar"], "--acc", 8), "simwave": ([], "--so", 16)}
# Devito leaves a 2-D loop unblocked unless told; its 3-D defaults are its best.
DEVITO_2D = "('advanced',{'blockinner':True,'par-dynamic-work':100000})"


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def treewave(program, dims, size, order, threads, words=()):
    words = [program, "bench", "--dims", dims, "--size", size, "--order", order, "--repetitions", 1, "--json", *words]
    done = subprocess.run([*map(str, words), "--threads", str(threads)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"treewave bench failed:\n{done.stderr}")
    return json.loads(done.stdout)


def peer(name, dims, size, order, threads, steps, case):
    """What a peer prints about a case: a dictionary."""
    shape = "x".join([str(size)] * dims)
    words = [sys.executable, "-B", str(HERE / f"{name}_bench.py"), *case, PEERS[name][1], order]
    if name == "devito":
        words += ["--opt", DEVITO_2D if dims == 2 else "advanced"]
    words += ["--shape", shape, "--nt", steps, "--reps", 1]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.setdefault("PEERS_QUIET_WAIT", "5")
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=HERE, env=environment)
    found = re.search(r"^BENCH (.*)$", done.stdout, re.M)
    if not found:
        raise SystemExit(f"{name} printed no figure:\n{done.stdout}{done.stderr[-2000:]}")
    return dict(word.split("=", 1) for word in found.group(1).split())


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--treewave", required=True)
    parser.add_argument("--cases", default=",".join([*FORWARD, *GRADIENT]), help=", ".join([*FORWARD, *GRADIENT]))
    parser.add_argument("--peers", default="devito", help=f"{', '.join(PEERS)}; gradients: the first two")
    parser.add_argument("--orders", default="4,8,16")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--sizes", default="", help="only these sizes")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    numbers = lambda text: [int(word) for word in text.split(",") if word]
    peers, sizes = options.peers.split(","), numbers(options.sizes)

    print(f"{processor()}, {os.cpu_count()} processors; f32; median (least–most) of {options.pairs} pairs")
    cases = options.cases.split(",")
    forward = [(case, *line) for case in cases if case in FORWARD for line in FORWARD[case]]
    if forward:
        print("\nForward, Gpts/s\n")
        print("| case | order | threads | Treewave | of the streaming limit | " + " | ".join(f"{p} | ratio" for p in peers) + " |")
        print("|---" * (5 + 2 * len(peers)) + "|")
    for case, dims, size, steps in forward:
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
                        words, _, highest = PEERS[p]
                        if order <= highest:
                            others[p].append(float(peer(p, dims, size, order, threads, steps, words)["gpts"]))
                cells = [f"{dims}-D {size}", order, threads, spread(own), f"{statistics.median(fractions):.2f}"]
                for p in peers:
                    ratios = [a / b for a, b in zip(own, others[p])]
                    cells += [spread(others[p]), f"{statistics.median(ratios):.2f}"] if ratios else ["–", "–"]
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)

    gradients = [(case, *line) for case in cases if case in GRADIENT for line in GRADIENT[case]]
    if gradients:
        print("\nGradient of one shot, order 8, seconds; resident memory of the process in MiB\n")
        print("| case | steps | threads | Treewave | MiB | forward steps per step | over its schedule's arithmetic | "
              + " | ".join(f"{p} | MiB | ratio" for p in peers) + " |")
        print("|---" * (7 + 3 * len(peers)) + "|")
    for case, name, dims, size, steps, words, devito, deepwave in gradients:
        if sizes and size not in sizes:
            continue
        for threads in numbers(options.threads):
            own, others, memory, found = [], {p: [] for p in peers}, {p: 0.0 for p in peers}, {}
            for _ in range(options.pairs):
                found = treewave(options.treewave, dims, size, 8, threads, ["--gradient", "--steps", steps, *words])
                own.append(found["gradient_seconds"])
                for p in peers:
                    asked = {"devito": devito, "deepwave": deepwave and ["grad", "--storage", deepwave]}.get(p)
                    if asked:
                        told = peer(p, dims, size, 8, threads, steps, asked)
                        others[p].append(float(told["seconds_median"]))
                        memory[p] = max(memory[p], float(told["rss_mib"]))
            arithmetic = found["gradient_seconds"] / found["planned_seconds"] if "planned_seconds" in found else None
            cells = [f"{dims}-D {size}, {name}", steps, threads, spread(own), f"{found['peak_rss_bytes'] / 2**20:.0f}",
                     f"{found.get('recompute_factor', 1.0):.2f}", f"{arithmetic:.2f}" if arithmetic else "–"]
            for p in peers:
                ratios = [b / a for a, b in zip(own, others[p])]
                if not ratios:
                    cells += ["–", "–", "–"]
                    continue
                cells += [spread(others[p]), f"{memory[p]:.0f}", f"{statistics.median(ratios):.2f}"]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
