//! Steps in fixed-point arithmetic are undone to the bit, give the gradient of any schedule to the bit, and compute the waves of
//! floating-point arithmetic.

#[path = "common/noise.rs"]
mod noise;

use noise::noise;
use treewave_core::{Grid, Shot, Wavelet};
use treewave_kernels::Path;
use treewave_reversal::{
    Blocks, Evolution, InversionWorkspace, Invertible, MemoryStore, Snapshot, Strategy, Workspace, reverse,
    reverse_by_inversion,
};
use treewave_wave::{
    Acoustic, AcousticOptions, AcousticShot, Boundary, Fixed, FixedLayout, FixedShot, Parallelism, RecordForm, Scalar,
    Scratch, TileShape, Top, time::stable_dt_s,
};

struct Case {
    grid: Grid,
    vp: Vec<f64>,
    shot: Shot,
    options: AcousticOptions,
    wavelet: Vec<f64>,
    steps: usize,
}

impl Case {
    /// A rough model with sources and receivers between its cells.
    fn new(shape: &[usize], order: usize, top: Top, width_cells: usize, steps: usize) -> Case {
        let spacing = &[10.0, 11.0, 9.0];
        let spacing = if shape.len() == 2 { &[10.0, 9.0][..] } else { spacing };
        let grid = Grid::new(shape, spacing, &vec![0.0; shape.len()]).unwrap();
        let vp = noise(1, grid.len()).iter().map(|x| 2300.0 + 700.0 * x).collect();
        let extent = [0, 1, 2].map(|a| (grid.shape()[a] - 1) as f64 * grid.spacing_m()[a]);
        let place = |x: f64, y: f64, z: f64| [x * extent[0], y * extent[1], z * extent[2]];
        let receivers_m =
            (0..7).map(|i| place(0.13 * f64::from(i), 0.1 * f64::from(i), 0.05 + 0.12 * f64::from(i))).collect();
        let shot = Shot { source_m: place(0.43, 0.51, 0.21), receivers_m };
        let vp_max = 3000.0;
        let dt_s = 0.95 * stable_dt_s(&grid, order, vp_max);
        let options = AcousticOptions {
            space_order: order,
            boundary: Boundary { width_cells, top },
            dt_s,
            vp_max_m_per_s: vp_max,
            frequency_hz: 18.0,
            // Small grids.
            parallelism: Parallelism::Serial,
            tile: None,
            records: RecordForm::default(),
        };
        Case { grid, vp, shot, options, wavelet: Wavelet::ricker(18.0, 0.07, 3.0, steps, dt_s).samples, steps }
    }

    fn acoustic<T: Scalar>(&self) -> Acoustic<T> {
        let kernels = T::kernels(self.options.space_order / 2, self.grid.dims(), Path::detect());
        let vp: Vec<T> = self.vp.iter().map(|&v| T::from_f64(v)).collect();
        Acoustic::new(&self.grid, &vp, self.options.clone(), kernels).unwrap()
    }

    fn shot<'a, T: Scalar>(&self, acoustic: &'a Acoustic<T>) -> AcousticShot<'a, T> {
        let weights = noise(5, self.shot.receivers_m.len() * (self.steps + 1));
        AcousticShot::new(acoustic, &self.shot, &self.wavelet, self.steps, 1).with_misfit(move |traces, derivative| {
            // A misfit whose derivative depends on the traces.
            derivative.iter_mut().zip(traces).zip(&weights).for_each(|((d, p), w)| *d = p * (1.0 + 0.5 * w));
            traces.iter().zip(&weights).map(|(p, w)| 0.5 * p * p * (1.0 + 0.5 * w)).sum()
        })
    }

    /// Traces and gradient in floating-point arithmetic.
    fn floating<T: Scalar>(&self) -> (Vec<f64>, Vec<f64>) {
        let acoustic = self.acoustic::<T>();
        let shot = self.shot(&acoustic);
        let traces = shot.simulate().unwrap();
        let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
        let mut store = MemoryStore::new(|| shot.new_state());
        let schedule = Strategy::StoreAll.schedule(self.steps).unwrap();
        let mut workspace = Workspace::new(&shot, Scratch::default());
        reverse(&shot, self.steps, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false)
            .unwrap();
        (traces, shot.gradient_vp(&adjoint))
    }
}

/// What a gradient gives, as bits.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}

type Result = (u64, Vec<u64>, Vec<u64>, Vec<f64>, Vec<f64>);

fn results(
    shot: &FixedShot,
    misfit: f64,
    output: &<FixedShot as Evolution>::Output,
    adjoint: &<FixedShot as Evolution>::Adjoint,
) -> Result {
    let own = shot.shot();
    let (gradient, traces) = (own.gradient_vp(adjoint), own.physical_traces(output));
    (misfit.to_bits(), bits(&gradient), bits(&own.illumination(adjoint)), gradient, traces)
}

fn by_schedule(shot: &FixedShot, strategy: Strategy) -> Result {
    let steps = shot.shot().steps();
    let (mut output, mut adjoint) = (shot.shot().new_output(), shot.shot().new_adjoint());
    let mut store = MemoryStore::new(|| shot.new_state());
    let mut workspace = Workspace::new(shot, Scratch::default());
    let schedule = strategy.schedule(steps).unwrap();
    let done = reverse(shot, steps, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
    results(shot, done.unwrap().0, &output, &adjoint)
}

fn by_inversion(shot: &FixedShot, each: usize) -> Result {
    let steps = shot.shot().steps();
    let (mut output, mut adjoint) = (shot.shot().new_output(), shot.shot().new_adjoint());
    let blocks = Blocks { steps, each, in_memory: usize::MAX };
    let mut store = MemoryStore::new(|| shot.new_residue(each));
    let mut workspace = InversionWorkspace::new(shot, each, Scratch::default());
    let done = reverse_by_inversion(shot, blocks, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
    let (misfit, log) = done.unwrap();
    assert_eq!(log.counts, blocks.counts());
    assert!(workspace.state().parts().iter().all(|part| part.iter().all(|&byte| byte == 0)), "it began at rest");
    results(shot, misfit, &output, &adjoint)
}

/// Grids, space orders, tops and widths of the layer.
fn cases(steps: usize) -> Vec<(String, Case)> {
    let shapes: [&[usize]; 2] = [&[43, 31], &[17, 15, 19]];
    let mut all = Vec::new();
    for shape in shapes {
        for order in [2, 4, 8, 16] {
            for (top, width) in [(Top::Absorbing, 6), (Top::FreeSurface, 9), (Top::Absorbing, 3), (Top::FreeSurface, 0)]
            {
                let name = format!("{} dimensions, order {order}, {top:?}, layer of {width}", shape.len());
                all.push((name, Case::new(shape, order, top, width, steps)));
            }
        }
    }
    all
}

#[test]
fn steps_are_undone_to_the_bit_whatever_the_state() {
    for (name, case) in cases(60) {
        let acoustic = case.acoustic::<f32>();
        let fixed = Fixed::new(&acoustic, Path::detect()).unwrap();
        let shot = FixedShot::new(&fixed, case.shot(&acoustic).everywhere());
        let (mut state, mut output) = (shot.new_state(), shot.shot().new_output());
        // Not at rest: waves everywhere, in the layer's memory too.
        shot.advance(0..40, &mut state, None, &mut Scratch::default()).unwrap();
        let before = state.clone();
        let mut residue = shot.new_residue(20);
        let mut scratch = Scratch::default();
        shot.advance_keeping(40..60, &mut state, &mut residue, &mut output, &mut scratch).unwrap();
        assert!(state != before, "{name}");
        let mut records: Vec<_> = (0..20).map(|_| shot.new_record()).collect();
        shot.retreat(40..60, &mut state, &residue, 40, &mut records, &mut scratch).unwrap();
        assert!(state == before, "{name}");
        let sizes = FixedLayout::new(&case.grid, &case.options).unwrap();
        assert_eq!(residue.bytes() as u64, 20 * sizes.residue_bytes());
        assert_eq!(state.bytes() as u64, sizes.state_bytes());
    }
}

#[test]
fn ten_thousand_steps_are_undone_to_the_bit() {
    const BLOCK: usize = 200;
    for (shape, order, top) in [(&[21, 17][..], 8, Top::FreeSurface), (&[6, 7, 5], 4, Top::Absorbing)] {
        let case = Case::new(shape, order, top, 4, 40 + 50 * BLOCK);
        let acoustic = case.acoustic::<f32>();
        let fixed = Fixed::new(&acoustic, Path::detect()).unwrap();
        let shot = FixedShot::new(&fixed, case.shot(&acoustic));
        let (mut state, mut output, mut scratch) = (shot.new_state(), shot.shot().new_output(), Scratch::default());
        shot.advance(0..40, &mut state, None, &mut scratch).unwrap();
        let before = state.clone();
        let blocks = || (0..50).map(|block| 40 + block * BLOCK..40 + (block + 1) * BLOCK);
        let mut residues = Vec::new();
        for steps in blocks() {
            let mut residue = shot.new_residue(BLOCK);
            shot.advance_keeping(steps, &mut state, &mut residue, &mut output, &mut scratch).unwrap();
            residues.push(residue);
        }
        assert!(state != before);
        let mut records: Vec<_> = (0..BLOCK).map(|_| shot.new_record()).collect();
        for (steps, residue) in blocks().zip(&residues).rev() {
            shot.retreat(steps.clone(), &mut state, residue, steps.start, &mut records, &mut scratch).unwrap();
        }
        assert!(state == before, "{shape:?}");
    }
}

#[test]
fn the_gradient_has_the_bits_of_every_schedule_of_the_same_arithmetic() {
    for (name, case) in cases(40) {
        let acoustic = case.acoustic::<f32>();
        let fixed = Fixed::new(&acoustic, Path::detect()).unwrap();
        let gradient = |everywhere: bool, each: usize| {
            let shot = case.shot(&acoustic);
            let shot = FixedShot::new(&fixed, if everywhere { shot.everywhere() } else { shot });
            by_inversion(&shot, each)
        };
        let stored = by_schedule(&FixedShot::new(&fixed, case.shot(&acoustic)), Strategy::StoreAll);
        assert!(stored.3.iter().any(|&g| g != 0.0), "{name}");
        let again = by_schedule(&FixedShot::new(&fixed, case.shot(&acoustic)), Strategy::Revolve { snapshots: 4 });
        assert!(stored == again, "{name}: revolve");
        for each in [1, 7] {
            assert!(gradient(false, each) == stored, "{name}: blocks of {each}");
        }
        assert!(gradient(true, 8) == stored, "{name}: everywhere");
    }
}

#[test]
fn threads_and_forms_of_records_change_nothing_that_they_should_not() {
    let case = Case::new(&[43, 31], 8, Top::FreeSurface, 9, 90);
    let gradient = |case: &Case| {
        let acoustic = case.acoustic::<f32>();
        let fixed = Fixed::new(&acoustic, Path::detect()).unwrap();
        let shot = FixedShot::new(&fixed, case.shot(&acoustic));
        (by_inversion(&shot, 8), by_schedule(&shot, Strategy::StoreAll))
    };
    let with = |options: AcousticOptions| Case { options, ..Case::new(&[43, 31], 8, Top::FreeSurface, 9, 90) };
    let (whole, _) = gradient(&case);
    let threads = with(AcousticOptions { parallelism: Parallelism::Threads, ..case.options.clone() });
    assert!(gradient(&threads).0 == whole);
    let halves =
        with(AcousticOptions { records: RecordForm { half: true, skipped_cells: 12 }, ..case.options.clone() });
    let (inverted, stored) = gradient(&halves);
    assert!(inverted == stored && inverted != whole);
}

#[test]
fn what_a_wave_has_not_reached_changes_no_bit_in_deep_grids_either() {
    let tiles = [None, Some(TileShape { levels: 4, rows: 16 })];
    for (shape, order) in [(&[30, 170][..], 2), (&[30, 170], 8), (&[9, 8, 120], 4)] {
        for (tile, half) in tiles.into_iter().flat_map(|tile| [(tile, false), (tile, true)]) {
            let mut case = Case::new(shape, order, Top::Absorbing, 9, 40);
            case.options.tile = tile;
            case.options.records.half = half;
            let acoustic = case.acoustic::<f32>();
            let fixed = Fixed::new(&acoustic, Path::detect()).unwrap();
            let followed = FixedShot::new(&fixed, case.shot(&acoustic));
            let everywhere = FixedShot::new(&fixed, case.shot(&acoustic).everywhere());
            let found = by_inversion(&followed, 8);
            assert!(found == by_inversion(&everywhere, 8), "{shape:?}, order {order}, {tile:?}, half {half}");
            assert!(
                found == by_schedule(&followed, Strategy::StoreAll),
                "{shape:?}, order {order}, {tile:?}, half {half}"
            );
        }
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

#[test]
fn traces_and_gradients_are_those_of_floating_point_arithmetic() {
    for (shape, order, steps) in [(&[80, 60][..], 8, 600), (&[80, 60], 4, 600), (&[26, 24, 22], 8, 220)] {
        let case = Case::new(shape, order, Top::Absorbing, 12, steps);
        let (exact, single) = (case.floating::<f64>(), case.floating::<f32>());
        let acoustic = case.acoustic::<f32>();
        let fixed = Fixed::new(&acoustic, Path::detect()).unwrap();
        let (.., gradient, traces) = by_inversion(&FixedShot::new(&fixed, case.shot(&acoustic)), 8);
        let [ours, others] = [&traces, &single.0].map(|found| distance(found, &exact.0));
        let [our_gradient, their_gradient] = [&gradient, &single.1].map(|found| distance(found, &exact.1));
        println!(
            "{shape:?} order {order}: distance to f64 of traces {ours:.2e} (f32 {others:.2e}), of gradients {our_gradient:.2e} \
             (f32 {their_gradient:.2e})"
        );
        // The adjoint is in f32; where the field is too, some of the errors of both are the same and cancel.
        assert!(ours < 6e-7 && ours < 0.5 * others && our_gradient < 1e-5, "{ours:e} {others:e} {our_gradient:e}");
    }
}
