//! How far the waves of a shot will come, before any step is made: what a step takes depends on it.
//!
//! A wave is never faster than the highest velocity of the part of the model that it has come to, nor, at its front along an axis, than
//! the highest one in the plane there. So each end of its extent is followed by itself.

use std::fmt::{Display, Formatter, Result};

use treewave_core::Real;

use crate::acoustic::Acoustic;
use crate::front::Extent;
use crate::layout::Layout;
use crate::points::Points;

/// How many cells the scheme's precursors run ahead of the wave, about, before they are so small that kernels set them to zero:
/// the front of a dispersive wave widens with the cube root of time; the factors are what stencils of radius 1 to 8 show.
fn ahead(step: usize, layout: &Layout) -> usize {
    let cells = 1.3 * layout.radius as f64 + 2.5 * (step as f64).cbrt();
    (cells.round() as usize).min(step * layout.reach())
}

/// Where the waves of a shot are, on average over its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// That from the source.
    pub(crate) forward: Extent,
    /// The adjoint one, from the receivers.
    pub(crate) back: Extent,
    /// Cells of the padded grid per axis.
    n: [usize; 3],
}

impl Reach {
    /// That of so many steps.
    pub(crate) fn new<T: Real>(
        acoustic: &Acoustic<T>,
        source: &Points<T>,
        receivers: &Points<T>,
        steps: usize,
    ) -> Self {
        let fastest = fastest(acoustic);
        let (layout, spacing_m) = (&acoustic.layout, acoustic.grid.spacing_m());
        let average = |points| average(&expected(layout, spacing_m, &fastest, Extent::of(points), steps));
        Reach { forward: average(source), back: average(receivers), n: layout.n }
    }

    /// The parts of the grid that are computed forward and back.
    pub fn shares(&self) -> [f64; 2] {
        let all: usize = self.n.iter().product();
        [&self.forward, &self.back].map(|extent| extent.cells() as f64 / all as f64)
    }
}

impl Display for Reach {
    fn fmt(&self, f: &mut Formatter) -> Result {
        let text = |Extent { planes, rows, depth }: &Extent| format!("{planes:?} × {rows:?} × 0..{depth}");
        write!(f, "{} and back {}", text(&self.forward), text(&self.back))
    }
}

/// How far a wave moves in a step at most, in metres, in each slice of the padded grid, per axis.
fn fastest<T: Real>(acoustic: &Acoustic<T>) -> [Vec<f64>; 3] {
    let (layout, grid) = (&acoustic.layout, &acoustic.grid);
    let mut of_model = grid.shape().map(|n| vec![0.0_f64; n]);
    for (i, vp) in acoustic.vp.iter().enumerate() {
        let distance = vp.value() * acoustic.options.dt_s;
        let slices = of_model.iter_mut().zip(grid.cell(i));
        slices.for_each(|(slices, i)| slices[i] = slices[i].max(distance));
    }
    std::array::from_fn(|axis| {
        let padded = (0..layout.n[axis]).map(|i| {
            let mut cell = [0; 3];
            cell[axis] = i;
            of_model[axis][layout.model_cell(cell)[axis]]
        });
        padded.collect()
    })
}

/// How far a wave may have come after 0, 1, …, `steps` steps, if in a step it moves by at most `fastest` metres in a slice.
fn expected(layout: &Layout, spacing_m: [f64; 3], fastest: &[Vec<f64>; 3], begin: Extent, steps: usize) -> Vec<Extent> {
    let mut ends = [&begin.planes, &begin.rows, &(0..begin.depth)].map(|range| [range.start as f64, range.end as f64]);
    // The first slice that a wave has not come to on each side, if there is one.
    let next = |axis: usize, [start, end]: [f64; 2]| {
        let (before, behind) = ((start.ceil() as usize).checked_sub(1), end.floor() as usize);
        [before, (behind < layout.n[axis]).then_some(behind)]
    };
    let mut within: [f64; 3] = std::array::from_fn(|axis| {
        let [start, end] = ends[axis].map(|end| end as usize);
        fastest[axis][start..end].iter().fold(0.0, |most: f64, &v| most.max(v))
    });
    let mut all = Vec::with_capacity(steps + 1);
    for step in 0..=steps {
        if step > 0 {
            let limits = within;
            for axis in 0..3 {
                let limit = (0..3).filter(|&other| other != axis).fold(f64::INFINITY, |least, a| least.min(limits[a]));
                let sides = next(axis, ends[axis]);
                for (side, slice) in sides.into_iter().enumerate() {
                    let Some(slice) = slice else { continue };
                    let distance = fastest[axis][slice].min(limit) / spacing_m[axis];
                    within[axis] = within[axis].max(fastest[axis][slice]);
                    let end = &mut ends[axis][side];
                    *end = if side == 0 {
                        (*end - distance).max(0.0)
                    } else {
                        (*end + distance).min(layout.n[axis] as f64)
                    };
                }
            }
        }
        let [planes, rows, depth] = ends.map(|[start, end]| start.floor() as usize..end.ceil() as usize);
        let wave = Extent { planes, rows, depth: depth.end };
        all.push(wave.grown(ahead(step, layout), layout));
    }
    all
}

/// The first of ever larger extents that has as many cells as they have on average.
fn average(extents: &[Extent]) -> Extent {
    let mean = extents.iter().map(Extent::cells).sum::<usize>() / extents.len();
    let first = extents.iter().find(|extent| extent.cells() >= mean);
    first.expect("the last one has most").clone()
}

#[cfg(test)]
mod tests {
    use treewave_core::{Grid, Shot, Wavelet};
    use treewave_kernels::{Path, Simd};

    use super::*;
    use crate::acoustic::AcousticOptions;
    use crate::layout::{Boundary, Top};
    use crate::record::RecordForm;
    use crate::shot::AcousticShot;
    use crate::tiles::Parallelism;

    /// A shot in a model that is slow above and fast below, with receivers at the top.
    fn check(shape: &[usize], order: usize, steps: usize) {
        let grid = Grid::new(shape, &[10.0, 9.0, 8.0][..shape.len()], &vec![0.0; shape.len()]).unwrap();
        let depth = grid.shape()[2];
        let vp: Vec<f64> = (0..grid.len()).map(|i| if 3 * grid.cell(i)[2] < depth { 1500.0 } else { 3000.0 }).collect();
        let [x, y, z] = [0, 1, 2].map(|a| (grid.shape()[a] - 1) as f64 * grid.spacing_m()[a]);
        let receivers_m = (0..5).map(|i| [f64::from(i) / 4.0 * x, 0.5 * y, 0.02 * z]).collect();
        let shot = Shot { source_m: [0.3 * x, 0.5 * y, 0.05 * z], receivers_m };
        let dt_s = 0.9 * crate::time::stable_dt_s(&grid, order, 3000.0);
        let options = AcousticOptions {
            space_order: order,
            boundary: Boundary { width_cells: 10, top: Top::Absorbing },
            dt_s,
            vp_max_m_per_s: 3000.0,
            frequency_hz: 20.0,
            parallelism: Parallelism::Serial,
            tile: None,
            records: RecordForm::default(),
        };
        let kernels = f32::kernels(order / 2, grid.dims(), Path::detect());
        let single: Vec<f32> = vp.iter().map(|&v| v as f32).collect();
        let acoustic = Acoustic::new(&grid, &single, options, kernels).unwrap();
        let wavelet = Wavelet::ricker(20.0, 0.06, 1.0, steps, dt_s).samples;
        let run = AcousticShot::new(&acoustic, &shot, &wavelet, steps, 1);
        run.simulate().unwrap();
        let layout = acoustic.layout();
        let real: Vec<Extent> = (0..=steps).map(|step| run.front.at(step, layout)).collect();
        let foreseen = expected(layout, grid.spacing_m(), &fastest(&acoustic), real[0].clone(), steps);
        assert_eq!(foreseen.len(), steps + 1);
        let mean = |extents: &[Extent]| extents.iter().map(|e| e.cells() as f64).sum::<f64>() / extents.len() as f64;
        let ratio = mean(&foreseen) / mean(&real);
        let last = real[steps].cells() as f64 / Extent::all(layout).cells() as f64;
        println!("{shape:?}, order {order}: {ratio:.2} times what was computed, at the end {last:.2} of the grid");
        assert!((0.8..1.25).contains(&ratio), "{shape:?}, order {order}: {ratio:.2}");
        let reach = run.reach();
        let forward = reach.forward.cells() as f64 / mean(&foreseen);
        assert!((1.0..1.1).contains(&forward), "{forward:.2}");
        assert!(reach.back.planes == (0..layout.n[0]), "receivers stand everywhere along x");
        assert!(reach.shares().iter().all(|share| (0.05..=1.0).contains(share)), "{:?}", reach.shares());
    }

    #[test]
    fn waves_come_about_as_far_as_foreseen() {
        for order in [2, 4, 8, 16] {
            check(&[300, 250], order, 300);
            check(&[90, 80, 85], order, 90);
        }
    }
}
