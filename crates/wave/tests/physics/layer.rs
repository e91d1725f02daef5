//! The absorbing layer: how much it reflects, and that it stays calm for ever.

use treewave_core::{Grid, Shot, Wavelet};
use treewave_reversal::Evolution;
use treewave_wave::{Acoustic, AcousticShot, Scratch, State, Top, time::stable_dt_s};

use crate::common::{Float, acoustic, dataset, difference, noise, norm, options, peak, shared, traces};

/// Width of the layer in cells.
const WIDTH: usize = 20;

/// `max|p − p_big| / max|p_rigid − p_big|` at a receiver whose reflection meets the last plane of `axis` at `degrees` off
/// the normal.
///
/// `p_big` is from a grid so large that nothing returns, `p_rigid` from one that ends where the layer begins. The other
/// sides are so far away that nothing returns from them in any of the three.
fn reflection<T: Float>(axis: usize, order: usize, points_per_wavelength: usize, degrees: f64, vp_bound: f64) -> f64 {
    let (vp, hz) = (2000.0, 20.0);
    let h = vp / (hz * points_per_wavelength as f64);
    // Source two wavelengths before that plane.
    let distance = 2 * points_per_wavelength;
    // The receiver stands as far from it as the source, or half as far from the plane where the incidence is normal.
    let receiver_before = if degrees == 0.0 { distance / 2 } else { distance };
    let offset = (2.0 * distance as f64 * degrees.to_radians().tan()).round() as usize;
    let path = (offset as f64).hypot((distance + receiver_before) as f64);
    let delay_s = 1.2 / hz;
    // Long enough for what the outer edge of the layer reflects.
    let through = 2.0 * WIDTH as f64 / degrees.to_radians().cos();
    let end_s = (path + through) * h / vp + 2.0 * delay_s;
    let margin = (end_s * vp / h / 2.0) as usize + order;
    let (across, along) = (2 * margin + offset, margin + distance);
    let turned = |across, along| if axis == 2 { [across, along] } else { [along, across] };
    let dt_s = 0.9 * stable_dt_s(&Grid::new(&[9, 9], &[h, h], &[0.0, 0.0]).unwrap(), order, vp_bound);
    let wavelet = Wavelet::ricker(hz, delay_s, 1.0, (end_s / dt_s) as usize, dt_s).samples;
    let place = |across: usize, along: usize| {
        let [ix, iz] = turned(across, along);
        [ix as f64 * h, 0.0, iz as f64 * h]
    };
    let run = |width: usize, beyond: usize| {
        let grid = Grid::new(&turned(across, along + beyond), &[h, h], &[0.0, 0.0]).unwrap();
        let acoustic =
            acoustic::<T>(&grid, &vec![vp; grid.len()], options(order, width, Top::Absorbing, dt_s, vp_bound, hz));
        let (source, receiver) =
            (place(margin, along - 1 - distance), place(margin + offset, along - 1 - receiver_before));
        traces(&acoustic, source, &[receiver], &wavelet).remove(0)
    };
    let (layer, rigid, big) = (run(WIDTH, 0), run(0, 0), run(0, margin));
    peak(&difference(&layer, &big)) / peak(&difference(&rigid, &big))
}

#[test]
fn twenty_cells_reflect_less_than_a_thousandth() {
    let mut worst = 0.0_f64;
    for order in [2, 4, 8, 16] {
        for points in [10, 14, 20] {
            for degrees in [0.0, 45.0] {
                for axis in if points == 10 { &[2, 0][..] } else { &[2] } {
                    let found = reflection::<f64>(*axis, order, points, degrees, 2000.0);
                    println!("order {order}, {points} points per wavelength, axis {axis}, {degrees}°: {found:.2e}");
                    worst = worst.max(found);
                }
            }
        }
    }
    assert!(worst <= 1e-3, "{worst:e}");
}

#[test]
fn the_layer_absorbs_slow_media_and_single_precision_as_well() {
    // The profile knows the upper bound of the velocity only; here the medium is at half of it.
    for (name, bound, single) in [("half the bound", 4000.0, false), ("f32", 2000.0, true)] {
        for degrees in [0.0, 45.0] {
            let found = if single {
                reflection::<f32>(2, 8, 10, degrees, bound)
            } else {
                reflection::<f64>(2, 8, 10, degrees, bound)
            };
            println!("{name}, {degrees}°: {found:.2e}");
            assert!(found <= 1e-3, "{name} {degrees}°: {found:e}");
        }
    }
}

/// The part of the Marmousi model that starts at cell (150, 0): 100 x 60 cells of 20 m, 1500 m/s and more.
fn marmousi_crop() -> Option<(Grid, Vec<f64>)> {
    let file = hdf5::File::open(shared("data/models/smiwiz_marmousi_461x151_20m.h5")?).unwrap();
    let vp = dataset(&file, "vp");
    let grid = Grid::new(&[100, 60], &[20.0, 20.0], &[0.0, 0.0]).unwrap();
    let crop = (0..grid.len()).map(|i| grid.cell(i)).map(|[ix, _, iz]| vp[(ix + 150) * 151 + iz]).collect();
    Some((grid, crop))
}

/// Largest field of all steps, of the last but one 10,000 and of the last 10,000.
fn long_run<T: Float>(grid: &Grid, vp: &[f64], top: Top, steps: usize) -> [f64; 3] {
    let vp_max = peak(vp);
    let dt_s = 0.99 * stable_dt_s(grid, 8, vp_max);
    let acoustic: Acoustic<T> = acoustic(grid, vp, options(8, WIDTH, top, dt_s, vp_max, 8.0));
    let mut wavelet = Wavelet::ricker(8.0, 0.15, 1.0, steps, dt_s).samples;
    wavelet.iter_mut().for_each(|w| *w *= 1e6);
    let shot = Shot { source_m: [990.0, 0.0, 30.0], receivers_m: Vec::new() };
    let shot = AcousticShot::new(&acoustic, &shot, &wavelet, steps, 1);
    let mut state: State<T> = shot.new_state();
    let mut found = [0.0_f64; 3];
    for n in 0..steps {
        shot.advance(n..n + 1, &mut state, None, &mut Scratch::default()).unwrap();
        let now = peak(&state.now);
        found[0] = found[0].max(now);
        if n + 20_000 >= steps {
            let last = 1 + usize::from(n + 10_000 >= steps);
            found[last] = found[last].max(now);
        }
    }
    found
}

fn check_long_run<T: Float>(name: &str) {
    let Some((grid, vp)) = marmousi_crop() else { return };
    let [all, before, last] = long_run::<T>(&grid, &vp, Top::FreeSurface, 50_000);
    println!("{name}, 50,000 steps: last 10,000 {:.1e} of the peak, those before {:.1e}", last / all, before / all);
    assert!(all > 0.0 && last <= before && last <= 1e-6 * all, "{all:e} {before:e} {last:e}");
}

#[test]
fn fifty_thousand_steps_stay_calm_in_single_precision() {
    check_long_run::<f32>("f32");
}

#[test]
fn fifty_thousand_steps_stay_calm_in_double_precision() {
    check_long_run::<f64>("f64");
}

#[test]
fn a_random_model_is_silent_after_2500_steps() {
    // 50 x 50 cells of 5 m, 1500 m/s changed by up to 10 %, Ricker of 25 Hz with a peak of 1 in its cell, layer of
    // 20 cells; 2500 samples of 4 ms, four steps each.
    let (n, h, hz, dt_s, steps) = (50, 5.0, 25.0, 1e-3, 10_000);
    let grid = Grid::new(&[n, n], &[h, h], &[0.0, 0.0]).unwrap();
    let vp: Vec<f64> = noise(51, n * n).iter().map(|x| 1500.0 * (1.0 + 0.1 * x)).collect();
    for order in [2, 4, 6, 8] {
        let acoustic = acoustic::<f64>(&grid, &vp, options(order, WIDTH, Top::Absorbing, dt_s, 1650.0, hz));
        let wavelet = Wavelet::ricker(hz, 1.5 / hz, h * h, steps, dt_s).samples;
        let shot = Shot { source_m: [100.0, 0.0, 125.0], receivers_m: Vec::new() };
        let shot = AcousticShot::new(&acoustic, &shot, &wavelet, steps, 1);
        let mut state = shot.new_state();
        let mut most = 0.0_f64;
        for n in 0..steps {
            shot.advance(n..n + 1, &mut state, None, &mut Scratch::default()).unwrap();
            if n % 4 == 0 {
                most = most.max(norm(&shot.physical_field(&state)));
            }
            if n == 2500 {
                println!("{:e}", norm(&shot.physical_field(&state)));
            }
        }
        let last = norm(&shot.physical_field(&state));
        println!("order {order}: norm of the field {most:.2e} at most, {last:.1e} at the end");
        assert!(most > 0.1 && last < 4e-5, "order {order}: {most:e} {last:e}");
    }
}
