//! The time loop allocates nothing: counted over all threads, so this program has one test only.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use treewave_core::{Grid, Shot};
use treewave_kernels::{Path, Simd};
use treewave_reversal::Evolution;
use treewave_wave::in_thread_pool;
use treewave_wave::{
    Acoustic, AcousticOptions, AcousticShot, Boundary, Parallelism, RecordForm, Scratch, TileShape, Top,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const STEPS: usize = 40;

#[test]
fn the_time_loop_allocates_nothing() {
    for shape in [&[40, 30][..], &[20, 18, 22]] {
        for parallelism in [Parallelism::Serial, Parallelism::Threads] {
            // What the test runner allocates meanwhile is counted too, but not every time.
            for records in [RecordForm::default(), RecordForm { half: true, skipped_cells: 3 }] {
                let least = (0..5).map(|_| in_thread_pool(|| counts(shape, parallelism, records)));
                let least = least.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)));
                let what = format!("{shape:?} {parallelism:?} {records:?}");
                assert_eq!(least, Some((0, 0)), "allocations forward and back of {what}");
            }
        }
    }
}

/// Allocations of steps forward, with and without records, and of steps back.
fn counts(shape: &[usize], parallelism: Parallelism, records: RecordForm) -> (usize, usize) {
    let grid = Grid::new(shape, &vec![10.0; shape.len()], &vec![0.0; shape.len()]).unwrap();
    let options = AcousticOptions {
        space_order: 8,
        boundary: Boundary { width_cells: 10, top: Top::FreeSurface },
        dt_s: 1e-3,
        vp_max_m_per_s: 2000.0,
        frequency_hz: 15.0,
        parallelism,
        tile: Some(TileShape { levels: 3, rows: 7 }),
        records,
    };
    let kernels = f32::kernels(4, shape.len(), Path::detect());
    let acoustic = Acoustic::new(&grid, &vec![2000.0; grid.len()], options, kernels).unwrap();
    let receivers_m = (2..8).map(|i| [10.0 * f64::from(i), 55.0, 30.0]).collect();
    let geometry = Shot { source_m: [62.0, 55.0, 35.0], receivers_m };
    let wavelet: Vec<f64> = (0..STEPS).map(|i| (i as f64 * 0.3).sin()).collect();
    let functional = |traces: &[f64], derivative: &mut [f64]| {
        derivative.copy_from_slice(traces);
        1.0
    };
    let shot = AcousticShot::new(&acoustic, &geometry, &wavelet, STEPS, 1).with_misfit(functional);
    let (mut state, mut output, mut adjoint) = (shot.new_state(), shot.new_output(), shot.new_adjoint());
    let mut records: Vec<_> = (0..STEPS / 2).map(|_| shot.new_record()).collect();
    let mut scratch = Scratch::default();
    shot.start(&mut state);
    // The first use makes the scratch.
    shot.advance_recording(0..STEPS / 2, &mut state, &mut records, None, &mut scratch).unwrap();
    shot.start(&mut state);

    let region = Region::new(ALLOCATOR);
    shot.advance(0..STEPS / 2, &mut state, Some(&mut output), &mut scratch).unwrap();
    shot.advance_recording(STEPS / 2..STEPS, &mut state, &mut records, Some(&mut output), &mut scratch).unwrap();
    let forward = region.change().allocations;
    shot.turn(&state, &output, &mut adjoint).unwrap();
    let region = Region::new(ALLOCATOR);
    shot.pull_back(STEPS / 2..STEPS, &records, &mut adjoint, &mut scratch).unwrap();
    (forward, region.change().allocations)
}
