//! What the discrete program conserves, and what it does exactly.

use treewave_core::{Grid, Shot, Wavelet};
use treewave_kernels::{Path, Simd};
use treewave_reversal::Evolution;
use treewave_wave::{
    Acoustic, AcousticShot, Layout, Record, RecordForm, Scratch, State, Top, WaveError, time::stable_dt_s,
};

use crate::common::{acoustic, difference, grid, line_source, noise, norm, options, peak, relative_l2, traces};

/// A rigid box of 45 x 37 cells with a random model, and a state in which a shot has left waves everywhere.
fn shaken_box(order: usize, top: Top) -> (Acoustic<f64>, Vec<f64>, State<f64>) {
    let grid = Grid::new(&[45, 37], &[10.0, 9.0], &[0.0, 0.0]).unwrap();
    let vp: Vec<f64> = noise(41, grid.len()).iter().map(|x| 2000.0 + 400.0 * x).collect();
    let dt_s = 0.95 * stable_dt_s(&grid, order, 2400.0);
    let acoustic = acoustic::<f64>(&grid, &vp, options(order, 0, top, dt_s, 2400.0, 20.0));
    let steps = 200;
    let wavelet = Wavelet::ricker(20.0, 0.06, 1.0, steps, dt_s).samples;
    let shot = Shot { source_m: [152.0, 0.0, 88.0], receivers_m: Vec::new() };
    let shot = AcousticShot::new(&acoustic, &shot, &wavelet, steps, 1);
    let mut state = shot.new_state();
    shot.advance(0..steps, &mut state, None, &mut Scratch::default()).unwrap();
    drop(shot);
    let m = vp.iter().map(|v| (v * dt_s).powi(2)).collect();
    (acoustic, m, state)
}

/// Values of the padded cells, in their order, from an array in which `place` says where they stand.
fn cells(acoustic: &Acoustic<f64>, values: &[f64], place: fn(&Layout, [usize; 3]) -> usize) -> Vec<f64> {
    let (layout, [nx, ny, nz]) = (acoustic.layout(), acoustic.layout().n);
    let all = (0..nx).flat_map(|ix| (0..ny).flat_map(move |iy| (0..nz).map(move |iz| [ix, iy, iz])));
    all.map(|cell| values[place(layout, cell)]).collect()
}

#[test]
fn the_leapfrog_conserves_its_energy_in_a_rigid_box() {
    for order in [2, 8, 16] {
        for top in [Top::Absorbing, Top::FreeSurface] {
            let (acoustic, m, mut state) = shaken_box(order, top);
            let mut record = [Record::new(RecordForm::default(), acoustic.layout())];
            let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
            for _ in 0..1000 {
                // ½ ‖p[n+1] − p[n]‖² / m − ½ ⟨p[n+1], L p[n]⟩: constant where L is symmetric.
                acoustic.run_freely(1, &mut state, &mut record);
                let laplacian = cells(&acoustic, record[0].whole().unwrap(), Layout::cell);
                let (next, now) =
                    (cells(&acoustic, &state.now, Layout::index), cells(&acoustic, &state.before, Layout::index));
                let energy: f64 =
                    (0..m.len()).map(|i| 0.5 * (next[i] - now[i]).powi(2) / m[i] - 0.5 * next[i] * laplacian[i]).sum();
                (least, most) = (least.min(energy), most.max(energy));
            }
            println!("order {order} {top:?}: energy {most:.3e}, drift {:.1e}", (most - least) / most);
            assert!(least > 0.0 && (most - least) / most <= 1e-11, "order {order} {top:?}: {least:e} … {most:e}");
        }
    }
}

#[test]
fn a_rigid_box_run_backwards_returns_to_its_start() {
    for top in [Top::Absorbing, Top::FreeSurface] {
        let (acoustic, _, start) = shaken_box(8, top);
        let mut state = start.clone();
        let run = |state: &mut State<f64>| acoustic.run_freely(1000, state, &mut []);
        run(&mut state);
        let away = relative_l2(&state.now, &start.now);
        std::mem::swap(&mut state.now, &mut state.before);
        run(&mut state);
        std::mem::swap(&mut state.now, &mut state.before);
        let error = peak(&difference(&state.now, &start.now)) / peak(&start.now);
        println!("{top:?}: after 1000 steps {away:.2} away, and back: {error:.1e}");
        assert!(away > 0.5 && error <= 1e-11, "{top:?}: {away} {error:e}");
    }
}

#[test]
fn a_free_surface_is_the_direct_wave_minus_its_image() {
    let (vp, hz, h, n) = (2000.0, 20.0, 10.0, [141, 81]);
    for (order, source_z, receiver_z) in [(2, 60.0, 100.0), (8, 60.0, 100.0), (16, 20.0, 10.0), (8, 63.3, 17.7)] {
        let (source, receiver) = ([600.0, 0.0, source_z], [720.0, 0.0, receiver_z]);
        let below = grid(&n, h, 0.0);
        // The full space: the same grid and its mirror image, with the same layer on the far side.
        let full = Grid::new(&[n[0], 2 * n[1] - 1], &[h, h], &[0.0, -below.end_m(2)]).unwrap();
        let dt_s = 0.3 * stable_dt_s(&below, order, vp);
        let samples = (0.4 / dt_s) as usize;
        let wavelet = Wavelet::ricker(hz, 1.2 / hz, 1.0, samples, dt_s).samples;
        let program =
            |grid: &Grid, top| acoustic::<f64>(grid, &vec![vp; grid.len()], options(order, 20, top, dt_s, vp, hz));
        let (half, whole) = (program(&below, Top::FreeSurface), program(&full, Top::Absorbing));
        let one =
            |acoustic: &Acoustic<f64>, source| traces(acoustic, source, &[receiver], &wavelet[..samples - 1]).remove(0);
        let image = [source[0], 0.0, -source[2]];
        let found = one(&half, source);
        let expected = difference(&one(&whole, source), &one(&whole, image));
        let numerical = norm(&difference(&found, &expected)) / norm(&expected);
        let analytic = [source, image].map(|s| line_source(&wavelet, dt_s, norm(&difference(&s, &receiver)), vp));
        let analytic = relative_l2(&found, &difference(&analytic[0], &analytic[1]));
        println!("order {order}, z {source_z} and {receiver_z} m: numerical {numerical:.1e}, analytic {analytic:.1e}");
        assert!(numerical <= 1e-12, "order {order}: {numerical:e}");
        assert!(analytic <= if order == 2 { 0.5 } else { 3e-2 }, "order {order}: {analytic:e}");
    }
}

#[test]
fn two_half_spaces_reflect_by_their_impedances() {
    // A plane wave along z in the middle of a wide box; from the sides nothing arrives in time.
    let (c, h, nx, nz, interface) = ([2000.0, 3000.0], 10.0, 501, 300, 180);
    let grid = grid(&[nx, nz], h, 0.0);
    let vp: Vec<f64> = (0..grid.len()).map(|i| c[usize::from(grid.cell(i)[2] >= interface)]).collect();
    let dt_s = 0.5 * stable_dt_s(&grid, 8, c[1]);
    let acoustic = acoustic::<f64>(&grid, &vp, options(8, 0, Top::Absorbing, dt_s, c[1], 10.0));
    let mut state = State::new(acoustic.layout());
    // A bell of 12 cells' half width that moves down: p(z − c t).
    let bell = |z: f64| (-(z / 12.0).powi(2)).exp();
    for i in 0..grid.len() {
        let cell = grid.cell(i);
        let place = acoustic.layout().index(cell);
        let z = cell[2] as f64 - 100.0;
        state.now[place] = bell(z);
        state.before[place] = bell(z + c[0] * dt_s / h);
    }
    // 80 cells to the interface and 60 back.
    let steps = (140.0 * h / c[0] / dt_s) as usize;
    acoustic.run_freely(steps, &mut state, &mut []);
    let line = |range: std::ops::Range<usize>| {
        let values = range.map(|iz| state.now[acoustic.layout().index([nx / 2, 0, iz])]);
        values.fold(0.0_f64, |top, p| if p.abs() > top.abs() { p } else { top })
    };
    // Density is constant, so impedances are as velocities.
    let expected = [(c[1] - c[0]) / (c[1] + c[0]), 2.0 * c[1] / (c[1] + c[0])];
    let found = [line(60..interface), line(interface..nz)];
    println!("reflected {:.5} ({:.5}), transmitted {:.5} ({:.5})", found[0], expected[0], found[1], expected[1]);
    for (found, expected) in found.iter().zip(expected) {
        assert!((found / expected - 1.0).abs() <= 5e-3, "{found} {expected}");
    }
}

#[test]
fn sources_and_receivers_can_be_exchanged() {
    // Stretching keeps the operator symmetric between places outside the layer, up to a factor inside it.
    let all = [(2, Top::Absorbing, 0), (2, Top::FreeSurface, 0), (3, Top::FreeSurface, 0), (2, Top::FreeSurface, 20)];
    for (dims, top, width) in all {
        let grid = grid(&[31, 28, 26][..dims], 10.0, 0.0);
        let vp: Vec<f64> = noise(43, grid.len()).iter().map(|x| 2000.0 + 200.0 * x).collect();
        let dt_s = 0.9 * stable_dt_s(&grid, 8, 2200.0);
        let acoustic = acoustic::<f64>(&grid, &vp, options(8, width, top, dt_s, 2200.0, 20.0));
        let wavelet = Wavelet::ricker(20.0, 0.06, 1.0, 300, dt_s).samples;
        let y = if dims == 2 { 0.0 } else { 100.0 };
        for (a, b) in [([60.0, y, 40.0], [220.0, 1.5 * y, 190.0]), ([63.0, y, 44.1], [218.8, 1.4 * y, 187.0])] {
            let there = traces(&acoustic, a, &[b], &wavelet).remove(0);
            let back = traces(&acoustic, b, &[a], &wavelet).remove(0);
            let error = peak(&difference(&there, &back)) / peak(&there);
            println!("reciprocity {dims}-D {top:?} layer of {width}: {error:.1e}");
            assert!(error <= 1e-12, "{error:e}");
        }
    }
}

#[test]
fn travel_times_are_distances_over_velocity() {
    let (vp, hz, h, dt_s, n) = (2000.0, 25.0, 5.0, 0.5e-3, [51, 41]);
    let grid = grid(&n, h, 0.0);
    let acoustic = acoustic::<f64>(&grid, &vec![vp; n[0] * n[1]], options(8, 20, Top::Absorbing, dt_s, vp, hz));
    let wavelet = Wavelet::ricker(hz, 1.2 / hz, 1.0, 400, dt_s).samples;
    let receivers = [[125.0, 0.0, 100.0], [225.0, 0.0, 100.0]];
    let arrival = |trace: &Vec<f64>| {
        let top = peak(trace);
        trace.iter().position(|p| p.abs() == top).unwrap() as f64 * dt_s
    };
    let found = traces(&acoustic, [25.0, 0.0, 100.0], &receivers, &wavelet);
    let lag_s = arrival(&found[1]) - arrival(&found[0]);
    println!("travel time over 100 m: {:.2} ms, expected {:.2} ms", 1e3 * lag_s, 1e5 / vp);
    assert!((lag_s - 100.0 / vp).abs() <= dt_s * 1.000001, "{lag_s}");
}

#[test]
fn a_velocity_at_the_bound_may_be_rounded_up_to_f32_and_no_further() {
    let (grid, bound) = (grid(&[5, 5], 10.0, 0.0), 3991.5595340993955);
    let program = |vp: f32| {
        let options = options(4, 0, Top::Absorbing, 0.9 * stable_dt_s(&grid, 4, bound), bound, 10.0);
        Acoustic::<f32>::new(&grid, &[vp; 25], options, f32::kernels(2, 2, Path::detect()))
    };
    let rounded = bound as f32;
    assert!(f64::from(rounded) > bound, "this bound is rounded up");
    assert!(program(rounded).is_ok());
    assert!(matches!(program(rounded.next_up()), Err(WaveError::AboveBound { .. })));
}
