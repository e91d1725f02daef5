//! Set-ups and what the tests measure them with.

#[path = "../common/noise.rs"]
mod noise;

pub use noise::noise;
use serde_json::Value;
use treewave_core::Real;
use treewave_kernels::{Path, SeedKernels};
use treewave_wave::seed_pml::{SeedAdjoint, SeedPml, SeedPmlOptions, SeedPmlShot, SeedTraces};
use treewave_wave::{Parallelism, SeedLayer, SeedState};

/// Everything that a gradient depends on but the target.
#[derive(Clone)]
pub struct Case {
    pub options: SeedPmlOptions,
    pub c2: Vec<f64>,
    pub source: [usize; 2],
    pub receivers: Vec<[usize; 2]>,
    pub wavelet: Vec<f64>,
    pub steps: usize,
}

/// The paper's Ricker wavelet of `n` samples: width and shift in samples, amplitude.
pub fn ricker(n: usize, width: f64, shift: f64, amplitude: f64) -> Vec<f64> {
    let scale = amplitude * 2.0 / ((3.0 * width).sqrt() * std::f64::consts::PI.powf(0.25));
    let at = |k: usize| {
        let a = ((k + 1) as f64 - shift).powi(2) / (width * width);
        scale * (1.0 - a) * (-0.5 * a).exp()
    };
    (0..n).map(at).collect()
}

fn number(json: &Value, key: &str) -> f64 {
    json[key].as_f64().unwrap_or_else(|| panic!("{key} is no number"))
}

fn pair(json: &Value) -> [usize; 2] {
    [0, 1].map(|i| json[i].as_u64().expect("an index") as usize)
}

impl Case {
    /// The set-up of a golden JSON file, with `c2` at every point.
    pub fn golden(json: &Value, steps: usize, c2: Vec<f64>) -> Case {
        let points = ["nx", "ny"].map(|key| number(json, key) as usize + 2);
        let side = |key: &str| json["pml_sides"][key].as_bool().unwrap_or(true);
        let layer = SeedLayer {
            width_cells: json["npml"].as_u64().unwrap_or(12) as usize,
            reference_vp_m_per_s: json["vp_ref"].as_f64().unwrap_or(1000.0),
            reflection: number(json, "rcoef"),
            sides: [[side("xmin"), side("xmax")], [side("ymin"), side("ymax")]],
        };
        let shape = json["ricker"].as_array().expect("a wavelet").iter().map(|x| x.as_f64().expect("a number"));
        let [width, shift, amplitude] = shape.collect::<Vec<_>>().try_into().expect("three numbers");
        let receivers = json["detectors_zero_based"].as_array().map(|list| list.iter().map(pair).collect());
        Case {
            options: SeedPmlOptions {
                points,
                spacing_m: ["dx", "dy"].map(|key| number(json, key)),
                dt_s: number(json, "dt"),
                layer,
                parallelism: Parallelism::Serial,
            },
            c2,
            source: pair(&json["src_zero_based"]),
            receivers: receivers.unwrap_or_default(),
            wavelet: ricker(number(json, "nstep") as usize, width, shift, amplitude),
            steps,
        }
    }

    pub fn program(&self) -> SeedPml<f64> {
        SeedPml::new(self.options.clone(), &self.c2, SeedKernels::on(Path::detect())).expect("a sound program")
    }
    pub fn shot<'a>(&self, program: &'a SeedPml<f64>) -> SeedPmlShot<'a, f64> {
        SeedPmlShot::new(program, self.source, &self.receivers, &self.wavelet, self.steps).expect("points inside")
    }
    /// The program on any scalar.
    pub fn program_of<T: Real + Send + Sync>(&self, c2: &[T]) -> SeedPml<T> {
        SeedPml::new(self.options.clone(), c2, SeedKernels::baseline()).expect("a sound program")
    }
    pub fn points(&self) -> usize {
        self.options.points.iter().product()
    }
}

/// Runs a shot with a record of every step.
pub fn recorded<T: Real + Send + Sync>(
    program: &SeedPml<T>,
    shot: &SeedPmlShot<T>,
) -> (SeedState<T>, SeedTraces<T>, Vec<treewave_wave::seed_pml::SeedRecord<T>>) {
    let (mut state, mut output) = (program.new_state(), shot.new_output());
    let mut records: Vec<_> = (0..shot.steps()).map(|_| program.new_record()).collect();
    shot.run(0..shot.steps(), &mut state, Some(&mut records), Some(&mut output)).expect("a stable run");
    (state, output, records)
}

/// Gradient of `⟨traces, weights⟩ + ⟨final field, last⟩`.
pub fn transpose(case: &Case, program: &SeedPml<f64>, weights: &[f64], last: &[f64]) -> SeedAdjoint<f64> {
    let shot = case.shot(program);
    let (_, _, records) = recorded(program, &shot);
    let mut adjoint = shot.new_adjoint();
    shot.start_adjoint(weights, &mut adjoint);
    shot.add_final(last, &mut adjoint);
    shot.run_back(0..shot.steps(), &records, &mut adjoint);
    adjoint
}

/// Relative difference in the L2 norm.
pub fn relative(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f64| x * x;
    let difference: f64 = found.iter().zip(expected).map(|(f, e)| square(f - e)).sum();
    (difference / expected.iter().copied().map(square).sum::<f64>()).sqrt()
}

pub fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
