//! The table of the seed paper on this machine: one gradient at 1000 × 1000 cells and 9999 steps by Treeverse and by Bennett's
//! algorithm, beside the published times on a V100; and single steps beside the published ones on a CPU.
//!
//!     cargo bench --bench seed_paper              a thousand steps and some of the games: two minutes
//!     cargo bench --bench seed_paper -- --full    all of it: half an hour, and 6 GB of memory
//!
//! The set-up is that of Liu & Xu (2021), section 4: three layers, `f64`, 200 detectors, of which the two on the ring record
//! zeros and are left out. Peaks and steps must be those of the paper, and all gradients have the same bits, or the program
//! panics. Printed are tables as in `docs/performance.md`.

use std::time::Instant;

use treewave_kernels::{Path, SeedKernels};
use treewave_reversal::{
    Choice, Evolution, Log, MemoryStore, PlanRequest, ReversalPlan, Schedule, StepCosts, Strategy, Workspace, reverse,
};
use treewave_wave::seed_pml::squared_difference;
use treewave_wave::{Parallelism, SeedLayer, SeedPml, SeedPmlOptions, SeedPmlShot, in_thread_pool};

/// Cells along each axis.
const CELLS: usize = 1000;
/// Steps of the paper.
const STEPS: usize = 9999;
/// Steps of the short mode.
const SHORT_STEPS: usize = 1000;
/// Velocity of the start model in m/s.
const VP: f64 = 3300.0;

/// Published: parameter, peak states, evaluations of a step, seconds on a V100.
type Published = (usize, u64, u64, f64);
/// Treeverse by δ: evaluations of forward and gradient steps together.
const TREEVERSE: [Published; 7] = [
    (5, 6, 123_094, 114.550801329),
    (10, 11, 70_226, 86.61264692),
    (20, 21, 47_971, 81.013002978),
    (40, 41, 39_127, 78.614520905),
    (80, 78, 37_137, 77.938695131),
    (160, 160, 29_836, 70.626717653),
    (320, 316, 29_680, 72.89280756),
];
/// Bennett by k: forward and reverse steps of the way there.
const BENNETT: [Published; 6] = [
    (5, 24, 178_601, 1215.531859316),
    (10, 38, 68_588, 488.806501321),
    (20, 53, 56_936, 410.123247699),
    (40, 82, 36_758, 265.234216072),
    (80, 143, 29_836, 258.379671723),
    (160, 221, 19_839, 164.522979112),
];
/// Published for one CPU thread, in ms: a step forward; a single-step gradient by dual numbers, and as Treeverse uses it.
const CPU_MS: [f64; 3] = [47.899586, 174.500943, 524.25599];

fn main() {
    let full = std::env::args().any(|word| word == "--full");
    let steps = if full { STEPS } else { SHORT_STEPS };
    let wavelet = ricker(steps + 1);
    let start = program(|_| 1.0);
    let truth = program(|k| [0.5, 0.75, 1.0][k / (CELLS / 3 + 1)]);
    let target = in_thread_pool(|| shot(&truth, &wavelet, steps).simulate()).expect("a stable run").0;
    let shot =
        shot(&start, &wavelet, steps).with_misfit(|traces, derivative| squared_difference(traces, &target, derivative));
    in_thread_pool(|| {
        let threads = rayon::current_num_threads();
        println!("{CELLS} × {CELLS} cells, f64, {steps} steps, {threads} threads\n");
        let costs = time_steps(&shot, threads);
        tables(&shot, &start, costs, full);
    });
}

/// The paper's Ricker wavelet: 30 samples wide, 200 late, of amplitude 10⁶.
fn ricker(samples: usize) -> Vec<f64> {
    let (width, shift) = (30.0_f64, 200.0);
    let scale = 1e6 * 2.0 / ((3.0 * width).sqrt() * std::f64::consts::PI.powf(0.25));
    let at = |k: usize| {
        let a = ((k + 1) as f64 - shift).powi(2) / (width * width);
        scale * (1.0 - a) * (-0.5 * a).exp()
    };
    (0..samples).map(at).collect()
}

/// The program for a model of layers: velocity by depth, relative to that of the start model.
fn program(velocity: impl Fn(usize) -> f64) -> SeedPml<f64> {
    let points = CELLS + 2;
    let options = SeedPmlOptions {
        points: [points; 2],
        spacing_m: [200.0 / 999.0; 2],
        dt_s: 1e-5,
        layer: SeedLayer { reflection: 1e-8, ..SeedLayer::default() },
        parallelism: Parallelism::Threads,
    };
    let c2: Vec<f64> = (0..points * points).map(|cell| (VP * velocity(cell % points)).powi(2)).collect();
    SeedPml::new(options, &c2, SeedKernels::on(Path::detect())).expect("a sound program")
}

fn shot<'a>(program: &'a SeedPml<f64>, wavelet: &[f64], steps: usize) -> SeedPmlShot<'a, f64> {
    let depth = CELLS / 5 - 1;
    // `round(range(1, CELLS + 2, 200))`, counted from 1.
    let detectors = (0..200).map(|i| (i as f64 * (CELLS + 1) as f64 / 199.0).round() as usize);
    let inside: Vec<[usize; 2]> = detectors.filter(|x| (1..=CELLS).contains(x)).map(|x| [x, depth]).collect();
    SeedPmlShot::new(program, [CELLS / 2 - 1, depth], &inside, wavelet, steps).expect("points on the grid")
}

/// Prints what single steps take: many in a row, and one at a time as Treeverse needs them.
fn time_steps(shot: &SeedPmlShot<f64>, threads: usize) -> StepCosts {
    const MANY: usize = 32;
    const ROUNDS: usize = 9;
    let (mut state, mut output, mut adjoint) = (shot.new_state(), shot.new_output(), shot.new_adjoint());
    let mut records: Vec<_> = (0..MANY).map(|_| shot.new_record()).collect();
    // The wave has come everywhere.
    shot.advance(0..shot.steps(), &mut state, Some(&mut output), &mut ()).expect("a stable run");
    shot.turn(&state, &output, &mut adjoint).expect("a misfit");
    let mut median = |part: usize, at_once: usize| {
        let mut seconds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let began = Instant::now();
                for n in (0..MANY).step_by(at_once) {
                    let (steps, records) = (n..n + at_once, &mut records[n..n + at_once]);
                    let done = match part {
                        0 => shot.advance(steps, &mut state, None, &mut ()),
                        1 => shot.advance_recording(steps, &mut state, records, None, &mut ()),
                        _ => shot.pull_back(steps, records, &mut adjoint, &mut ()),
                    };
                    done.expect("a stable run");
                }
                began.elapsed().as_secs_f64() / MANY as f64
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        seconds[ROUNDS / 2]
    };
    let [many, one] = [MANY, 1].map(|at_once| [0, 1, 2].map(|part| median(part, at_once)));
    let ms = |seconds: f64| 1e3 * seconds;
    println!(
        "| one step, ms | here, {threads} threads, one by one | many in a row | paper, one CPU thread |\n|---|---|---|---|"
    );
    println!("| forward | {:.3} | {:.3} | {:.1} |", ms(one[0]), ms(many[0]), CPU_MS[0]);
    println!(
        "| gradient, with its forward step | {:.3} | {:.3} | {:.1}; in Treeverse {:.1} |\n",
        ms(one[1] + one[2]),
        ms(many[1] + many[2]),
        CPU_MS[1],
        CPU_MS[2]
    );
    StepCosts { advance: many[0], record: many[1], pull_back: many[2], write: 1.0, read: 1.0 }
}

/// Prints both tables.
fn tables(shot: &SeedPmlShot<f64>, program: &SeedPml<f64>, costs: StepCosts, full: bool) {
    let (steps, mut bits) = (shot.steps(), None);
    let (state_bytes, record_bytes) = (8 * program.state_elements() as u64, 8 * program.record_elements() as u64);
    let mut timed = |schedule: Schedule, segment: usize| {
        let (seconds, log, found) = gradient(shot, program, schedule, segment);
        assert_eq!(*bits.get_or_insert(found), found, "another gradient");
        (seconds, log)
    };
    println!(
        "| Treeverse, δ | peak states | steps | s | {PARTS} | paper, V100 | ratio | revolve with records in the same memory |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for &(delta, peak, evaluations, published_s) in TREEVERSE.iter().filter(|row| full || [5, 20].contains(&row.0)) {
        let strategy = Strategy::Treeverse { snapshots: delta };
        let (seconds, log) = timed(strategy.schedule(steps).expect("a schedule"), 1);
        let done = log.counts.advances + log.counts.pulled_back;
        if full {
            assert_eq!((log.counts.peak_snapshots, done), (peak, evaluations), "Treeverse {delta}");
        }
        let memory_bytes = log.counts.peak_snapshots * state_bytes;
        let request = PlanRequest {
            costs,
            choice: Choice::Revolve,
            ..PlanRequest::new(steps, state_bytes, record_bytes, memory_bytes)
        };
        let plan = ReversalPlan::new(&request).expect("a plan");
        let (best, _) = timed(plan.schedule().expect("a schedule"), plan.segment_steps);
        println!(
            "| {delta} | {} | {done} | {seconds:.1} | {} | {} | {best:.1} |",
            log.counts.peak_snapshots,
            parts(&log),
            beside(seconds, published_s, full)
        );
    }
    println!(
        "\n| Bennett, k | peak states | steps there | of all | s | {PARTS} | paper, V100 | ratio |\n|---|---|---|---|---|---|---|---|"
    );
    for &(blocks, peak, evaluations, published_s) in BENNETT.iter().filter(|row| full || [10, 40].contains(&row.0)) {
        let (seconds, log) = timed(Strategy::Bennett { blocks }.schedule(steps).expect("a schedule"), 1);
        let there = treewave_reversal::game::bennett_counts(steps, blocks, false);
        let there = there.forward + there.reverse;
        if full {
            assert_eq!((log.counts.peak_snapshots, there), (peak, evaluations), "Bennett {blocks}");
        }
        println!(
            "| {blocks} | {} | {there} | {} | {seconds:.1} | {} | {} |",
            log.counts.peak_snapshots,
            log.counts.total_forward(),
            parts(&log),
            beside(seconds, published_s, full)
        );
    }
}

/// What [`parts`] tells.
const PARTS: &str = "of it forward, recorded, back, copies of states";

/// The seconds of the parts of a gradient.
fn parts(log: &Log) -> String {
    let parts = [log.seconds_advance, log.seconds_record, log.seconds_pull_back, log.seconds_snapshots];
    parts.map(|seconds| format!("{seconds:.1}")).join(", ")
}

/// The published seconds and the ratio to them, where the steps are as many.
fn beside(seconds: f64, published_s: f64, full: bool) -> String {
    if full { format!("{published_s:.1} | {:.2}", seconds / published_s) } else { "– | –".into() }
}

/// Seconds of a gradient, its log, and a number that stands for the bits of misfit and gradient.
fn gradient(shot: &SeedPmlShot<f64>, program: &SeedPml<f64>, schedule: Schedule, segment: usize) -> (f64, Log, u64) {
    let mut store = MemoryStore::new(|| program.new_state());
    store.reserve(schedule.memory_slots());
    let mut workspace = Workspace::new(shot, ());
    workspace.reserve(shot, segment);
    let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
    let began = Instant::now();
    let run =
        reverse(shot, shot.steps(), schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
    let (misfit, log) = run.expect("a legal schedule");
    let seconds = began.elapsed().as_secs_f64();
    let bits = [vec![misfit], shot.gradient_c2(&adjoint)].concat().into_iter().map(f64::to_bits);
    (seconds, log, bits.fold(0, |sum, bits| (sum ^ bits).wrapping_mul(0x0100_0000_01b3).rotate_left(17)))
}
