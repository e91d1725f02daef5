//! What must not depend on threads, on the shape of tiles or on the width of vector instructions.

use rayon::ThreadPoolBuilder;
use treewave_core::{Grid, Shot, Wavelet};
use treewave_kernels::Path;
use treewave_wave::{AcousticOptions, AcousticShot, Parallelism, RecordForm, TileShape, Top, time::stable_dt_s};

use crate::common::{
    Derivatives, Float, acoustic_on, derivatives, difference, half_squares, noise, norm, options, peak,
};

/// Traces, final field and gradient of a small shot with every part active.
#[derive(Debug, PartialEq)]
struct Results {
    traces: Vec<f64>,
    derivatives: Derivatives,
}

/// How the steps are carried out.
#[derive(Clone, Copy, Debug)]
struct How {
    parallelism: Parallelism,
    tile: TileShape,
    path: Path,
    /// Also where no wave can have arrived.
    everywhere: bool,
    records: RecordForm,
}

fn plainly(path: Path) -> How {
    let records = RecordForm::default();
    How { parallelism: Parallelism::Serial, tile: TileShape::PLAIN, path, everywhere: true, records }
}

fn small_grid(dims: usize) -> Grid {
    let shape: &[usize] = if dims == 2 { &[121, 53] } else { &[51, 22, 25] };
    let spacing: &[f64] = if dims == 2 { &[10.0, 9.0] } else { &[10.0, 11.0, 9.0] };
    Grid::new(shape, spacing, &[0.0; 3][..dims]).unwrap()
}

fn run<T: Float>(dims: usize, order: usize, top: Top, how: How) -> Results {
    let How { parallelism, tile, path, everywhere, records } = how;
    let grid = small_grid(dims);
    let vp: Vec<f64> = noise(21, grid.len()).iter().map(|x| 2000.0 + 300.0 * x).collect();
    let dt_s = 0.9 * stable_dt_s(&grid, order, 2300.0);
    let options = options(order, 6, top, dt_s, 2300.0, 20.0);
    let options = AcousticOptions { parallelism, tile: Some(tile), records, ..options };
    let acoustic = acoustic_on::<T>(&grid, &vp, options, path);
    let y = if dims == 2 { 0.0 } else { 121.0 };
    let receivers_m = (1..6).map(|i| [81.0 * i as f64, y, 30.0 * i as f64]).collect();
    let shot = Shot { source_m: [243.0, y, 45.0], receivers_m };
    let steps = 150;
    let wavelet = Wavelet::ricker(20.0, 0.05, 1.0, steps, dt_s).samples;
    let new_shot = || {
        let shot = AcousticShot::new(&acoustic, &shot, &wavelet, steps, 2);
        if everywhere { shot.everywhere() } else { shot }
    };
    let traces = new_shot().simulate().unwrap();
    let size = peak(&traces);
    let data: Vec<f64> = noise(22, traces.len()).iter().map(|x| size * x).collect();
    let misfit = half_squares(&data);
    let shot = new_shot().with_misfit(&misfit);
    Results { traces, derivatives: derivatives(&shot, 50) }
}

fn check_threads<T: Float>(name: &str) {
    for (dims, order) in [(2, 2), (2, 8), (2, 16), (3, 4), (3, 12)] {
        for top in [Top::Absorbing, Top::FreeSurface] {
            let serial = run::<T>(dims, order, top, plainly(Path::detect()));
            // Threads that have chunks of their own with one level, and tiles that cut the grid in few and in many parts.
            for (threads, levels, rows) in [(2, 1, 64), (3, 1, 5), (1, 2, 16), (1, 5, 7), (2, 2, 9), (3, 3, 64)] {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (parallelism, tile) = (Parallelism::Threads, TileShape { levels, rows });
                let how = How { parallelism, tile, everywhere: false, ..plainly(Path::detect()) };
                let found = pool.install(|| run::<T>(dims, order, top, how));
                assert!(
                    found == serial,
                    "{name} {dims}-D order {order} {top:?}: {threads} threads, {tile:?} differ from plain steps"
                );
            }
        }
    }
}

#[test]
fn threads_tiles_and_leaving_out_what_is_silent_change_no_bit_of_traces_and_gradients() {
    check_threads::<f32>("f32");
    check_threads::<f64>("f64");
}

/// Records of another form change nothing but gradient and illumination, these no more than by rounding, or where they are
/// not wanted; and the form's results have the same bits for any threads and tiles.
fn check_records<T: Float>() {
    let skipped_cells = 19;
    for (dims, order, top) in [(2, 8, Top::Absorbing), (2, 4, Top::FreeSurface), (3, 4, Top::Absorbing)] {
        let plain = plainly(Path::detect());
        let full = run::<T>(dims, order, top, plain);
        let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for (half, skipped_cells) in [(true, 0), (false, skipped_cells), (true, skipped_cells)] {
            let records = RecordForm { half, skipped_cells };
            let found = run::<T>(dims, order, top, How { records, ..plain });
            for (levels, rows) in [(1, 64), (3, 7)] {
                let (parallelism, tile) = (Parallelism::Threads, TileShape { levels, rows });
                let how = How { parallelism, tile, everywhere: false, records, ..plain };
                let again = pool.install(|| run::<T>(dims, order, top, how));
                assert!(again == found, "{dims}-D {records:?}: {tile:?} differ from plain steps");
            }
            assert_eq!((&found.traces, found.derivatives.misfit), (&full.traces, full.derivatives.misfit));
            assert_eq!(found.derivatives.wavelet, full.derivatives.wavelet);
            let (grid, layer) = (small_grid(dims), if top == Top::FreeSurface { 0 } else { 6 });
            // Whole vectors of 16 cells are left out.
            let left_out = if skipped_cells == 0 { 0 } else { (layer + skipped_cells) / 16 * 16 - layer };
            let pairs = [
                (&found.derivatives.vp, &full.derivatives.vp),
                (&found.derivatives.illumination, &full.derivatives.illumination),
            ];
            for (found, full) in pairs {
                let expected: Vec<f64> =
                    (0..grid.len()).map(|i| if grid.cell(i)[2] < left_out { 0.0 } else { full[i] }).collect();
                let error = norm(&difference(found, &expected)) / norm(&expected);
                println!("{dims}-D {records:?}: {error:.1e} off");
                assert!(
                    if half { error > 0.0 && error < 1.0 / 2048.0 } else { error == 0.0 },
                    "{records:?}: {error:e}"
                );
                assert!((0..grid.len()).all(|i| grid.cell(i)[2] >= left_out || found[i] == 0.0));
            }
        }
    }
}

#[test]
fn records_of_any_form_give_the_gradient_where_it_is_wanted() {
    check_records::<f32>();
    check_records::<f64>();
}

fn check_paths<T: Float>(name: &str, tolerance: f64) {
    for (dims, order) in [(2, 2), (2, 8), (2, 16), (3, 4), (3, 12)] {
        for top in [Top::Absorbing, Top::FreeSurface] {
            let on = |path| run::<T>(dims, order, top, plainly(path));
            if Path::detect() < Path::Avx2 {
                println!("skipped: this processor has no vector path");
                return;
            }
            let (baseline, avx2) = (on(Path::Baseline), on(Path::Avx2));
            let apart = |a: &[f64], b: &[f64]| peak(&difference(a, b)) / peak(b);
            let errors = [
                apart(&baseline.traces, &avx2.traces),
                apart(&baseline.derivatives.vp, &avx2.derivatives.vp),
                apart(&baseline.derivatives.wavelet, &avx2.derivatives.wavelet),
            ];
            println!(
                "{name} {dims}-D order {order} {top:?}, baseline against avx2: {:.0e} {:.0e} {:.0e}",
                errors[0], errors[1], errors[2]
            );
            assert!(errors.iter().all(|e| *e <= tolerance), "{name} {dims}-D order {order} {top:?}: {errors:?}");
            if Path::detect() < Path::Avx512 {
                println!("skipped: this processor has no avx512");
            } else {
                assert!(on(Path::Avx512) == avx2, "{name} {dims}-D order {order} {top:?}: avx512 differs from avx2");
            }
        }
    }
}

#[test]
fn vector_width_changes_no_bit_and_fusing_only_the_last() {
    check_paths::<f32>("f32", 1e-4);
    check_paths::<f64>("f64", 1e-12);
}
