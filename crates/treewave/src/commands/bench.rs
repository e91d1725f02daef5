//! `treewave bench`: speed of the kernels, next to what the memory of the machine can deliver.

use std::time::Instant;

use rayon::prelude::*;
use serde_json::json;
use treewave_cluster::Failure;
use treewave_core::{Grid, Shot, Wavelet};
use treewave_reversal::Evolution;
use treewave_wave::{
    Acoustic, AcousticOptions, AcousticShot, Boundary, Parallelism, Path, RecordForm, Scalar, Scratch, TileShape, Top,
    WaveError, in_thread_pool,
};

mod gradient;

use gradient::Gradient;

use super::{Outcome, print_json};
use crate::calibration::median;
use crate::cli::{Bench, Common};
use crate::memory::peak_rss_bytes;
use crate::study::{misconfigured, unwritable};

/// The set-up of the peers' scripts.
const SPACING_M: f64 = 10.0;
const DT_S: f64 = 1e-3;
const PEAK_HZ: f64 = 15.0;
/// Velocities at the top and at the bottom, and of the fast body.
const VP_M_PER_S: [f64; 3] = [1500.0, 2500.0, 2400.0];
/// Seconds that a repetition should take at least.
const LONG_ENOUGH_S: f64 = 1.0;

/// Steps by which shapes of tiles are compared; whole groups of steps.
const STEPS_TRIED: usize = 32;

/// What was measured.
struct Measured {
    points: f64,
    tile: TileShape,
    steps: usize,
    forward_s: Vec<f64>,
    gradient: Option<Gradient>,
    /// Bytes per second of a streaming triad over arrays of the field's size, write-allocate counted.
    bandwidth: f64,
}

/// Carries the verb out.
///
/// # Errors
/// Code 2 for an odd order or a size that does not fit.
pub fn run(arguments: &Bench, common: &Common) -> Outcome {
    if arguments.order % 2 == 1 {
        return Err(misconfigured(format!("--order {}: it must be even", arguments.order)));
    }
    let threads =
        common.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(|e| unwritable(format!("cannot start {threads} threads: {e}")))?;
    let (measured, scalar) = match arguments.precision.as_str() {
        "f64" => (measure::<f64>(arguments)?, 8.0),
        _ => (measure::<f32>(arguments)?, 4.0),
    };
    let seconds = median(&measured.forward_s);
    let gpts = measured.points * measured.steps as f64 / seconds / 1e9;
    // Read p, p before and m, write p after.
    let bytes_per_point = 4.0 * scalar;
    let fraction = gpts * 1e9 * bytes_per_point / measured.bandwidth;
    let mut object = json!({
        "equation": arguments.equation,
        "dims": arguments.dims,
        "size": arguments.size,
        "order": arguments.order,
        "precision": arguments.precision,
        "threads": threads,
        "tile_levels": measured.tile.levels,
        "tile_rows": measured.tile.rows,
        "steps": measured.steps,
        "simd_path": Path::detect().name(),
        "gpts": gpts,
        "gpts_best": measured.points * measured.steps as f64 / least(&measured.forward_s) / 1e9,
        "seconds": seconds,
        "bytes_per_point": bytes_per_point,
        "bandwidth_bytes_per_s": measured.bandwidth,
        "fraction_of_bandwidth": fraction,
        "peak_rss_bytes": peak_rss_bytes(),
    });
    if let Some(gradient) = &measured.gradient {
        object["forward_seconds"] = json!(seconds);
        gradient.tell(&mut object);
    }
    if arguments.json {
        print_json(&object);
    } else {
        for (key, value) in object.as_object().expect("it was made as an object") {
            println!("{key:24} {}", value.to_string().trim_matches('"'));
        }
    }
    Ok(0)
}

fn measure<T: Scalar>(arguments: &Bench) -> Result<Measured, Failure> {
    let (dims, n) = (arguments.dims as usize, arguments.size as usize);
    let grid = Grid::new(&vec![n; dims], &vec![SPACING_M; dims], &vec![0.0; dims]).map_err(misconfigured)?;
    let acoustic = |tile| acoustic::<T>(&grid, arguments, Some(tile)).map_err(misconfigured);
    let rows = arguments.tile_rows.map_or(TileShape::PLAIN.rows, usize::from);
    let (acoustic, tile) = match arguments.tile_levels {
        Some(levels) => {
            let tile = TileShape { levels: levels.into(), rows };
            (acoustic(tile)?, tile)
        }
        None => faster(acoustic)?,
    };
    let points = acoustic.layout().points() as f64;
    let run = |steps: usize| forward_s(&acoustic, steps).map_err(misconfigured);
    let steps = match arguments.steps {
        Some(steps) => steps.max(2),
        None => {
            let per_step = run(8)? / 8.0;
            ((LONG_ENOUGH_S / per_step) as usize).clamp(20, 5000)
        }
    };
    let mut measured = Measured { points, tile, steps, forward_s: Vec::new(), gradient: None, bandwidth: 0.0 };
    for _ in 0..arguments.repetitions.max(1) {
        measured.bandwidth = measured.bandwidth.max(triad::<T>(acoustic.layout().len));
        measured.forward_s.push(run(steps)?);
    }
    if arguments.gradient {
        measured.gradient = Some(Gradient::measure(&acoustic, steps, arguments)?);
    }
    Ok(measured)
}

/// The program in tiles of the shape that is faster, of those that a run tries.
fn faster<T: Scalar>(
    acoustic: impl Fn(TileShape) -> Result<Acoustic<T>, Failure>,
) -> Result<(Acoustic<T>, TileShape), Failure> {
    let layout = acoustic(TileShape::PLAIN)?.layout().clone();
    let mut best: Option<(f64, TileShape)> = None;
    for tile in TileShape::candidates(&layout, size_of::<T>()) {
        let acoustic = acoustic(tile)?;
        let rounds = (0..3).map(|_| forward_s(&acoustic, STEPS_TRIED).map_err(misconfigured));
        let seconds = least(&rounds.collect::<Result<Vec<f64>, Failure>>()?);
        if best.is_none_or(|(least, _)| seconds < least) {
            best = Some((seconds, tile));
        }
    }
    let (_, tile) = best.expect("there are candidates");
    Ok((acoustic(tile)?, tile))
}

/// Seconds of some steps forward; every point of the grid counts, and is computed.
fn forward_s<T: Scalar>(acoustic: &Acoustic<T>, steps: usize) -> Result<f64, WaveError> {
    let shot = shot(acoustic, steps).everywhere();
    in_thread_pool(|| {
        let (mut state, mut output, mut work) = (shot.new_state(), shot.new_output(), Scratch::default());
        shot.start(&mut state);
        // The first step touches the memory for the first time.
        shot.advance(0..1, &mut state, Some(&mut output), &mut work)?;
        let began = Instant::now();
        shot.advance(1..steps, &mut state, Some(&mut output), &mut work)?;
        Ok(began.elapsed().as_secs_f64() * steps as f64 / (steps - 1) as f64)
    })
}

/// The model of the peers' scripts: velocity growing with depth, a fast body in the middle.
fn acoustic<T: Scalar>(grid: &Grid, arguments: &Bench, tile: Option<TileShape>) -> Result<Acoustic<T>, WaveError> {
    let order = arguments.order as usize;
    let n = grid.shape()[2];
    let inside = |i: usize, n: usize| (n / 2 - n / 10..n / 2 + n / 10).contains(&i);
    let vp: Vec<T> = (0..grid.len())
        .map(|i| {
            let cell = grid.cell(i);
            let body = grid.axes().iter().all(|&a| inside(cell[a], grid.shape()[a]));
            let linear = VP_M_PER_S[0] + (VP_M_PER_S[1] - VP_M_PER_S[0]) * cell[2] as f64 / (n - 1) as f64;
            T::from_f64(if body { VP_M_PER_S[2] } else { linear })
        })
        .collect();
    let options = AcousticOptions {
        space_order: order,
        boundary: Boundary { width_cells: arguments.layer.into(), top: Top::Absorbing },
        dt_s: DT_S,
        vp_max_m_per_s: VP_M_PER_S[1],
        frequency_hz: PEAK_HZ,
        parallelism: Parallelism::Threads,
        tile,
        records: RecordForm { half: arguments.records == "half", skipped_cells: 0 },
    };
    let kernels = T::kernels(order / 2, grid.dims(), Path::detect());
    in_thread_pool(|| Acoustic::new(grid, &vp, options, kernels))
}

/// A source at the top in the middle, a receiver at every fifth cell along x.
fn shot<T: Scalar>(acoustic: &Acoustic<T>, steps: usize) -> AcousticShot<'_, T> {
    let grid = acoustic.grid();
    let middle = |a: usize| if grid.axes().contains(&a) { (grid.shape()[a] / 2) as f64 * SPACING_M } else { 0.0 };
    let place = |x: f64| [x, middle(1), 4.0 * SPACING_M];
    let receivers_m = (0..grid.shape()[0]).step_by(5).map(|i| place(i as f64 * SPACING_M)).collect();
    let geometry = Shot { source_m: place(middle(0)), receivers_m };
    let wavelet = Wavelet::ricker(PEAK_HZ, 1.2 / PEAK_HZ, 1.0, steps, DT_S);
    AcousticShot::new(acoustic, &geometry, &wavelet.samples, steps, 1)
}

/// Bytes per second of `a = b + s c` over arrays of `n` elements by all threads, the line that is fetched before it is
/// written counted; the best of a few.
fn triad<T: Scalar>(n: usize) -> f64 {
    let (mut a, b, c) = (vec![T::ZERO; n], vec![T::ONE; n], vec![T::ONE; n]);
    let scale = T::from_f64(3.0);
    let chunk = n.div_ceil(rayon::current_num_threads()).max(1);
    let rounds = (1 << 28) / (n * size_of::<T>()).max(1) + 2;
    let mut best = f64::INFINITY;
    for _ in 0..rounds.min(200) {
        let began = Instant::now();
        a.par_chunks_mut(chunk).zip(b.par_chunks(chunk)).zip(c.par_chunks(chunk)).for_each(|((a, b), c)| {
            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                *a = *b + scale * *c;
            }
        });
        best = best.min(began.elapsed().as_secs_f64());
    }
    std::hint::black_box(&a);
    (4 * n * size_of::<T>()) as f64 / best
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}
