//! Fields, pulses, losses and gradients against the reference data (`../shared/golden`, `seed-pml-spec.md`).

use serde_json::Value;
use treewave_reversal::Evolution;
use treewave_wave::seed_pml::squared_difference;

use crate::case::{Case, norm, recorded, relative, transpose};
use crate::npz::{Npz, json};

/// Largest relative difference of the small case, and of the others: `f64` itself is 1e-12 from the references.
const SMALL: f64 = 1e-11;
const TOLERANCE: f64 = 1e-10;

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{what}: {found:e}, expected {expected:e}");
}

fn closely(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let error = relative(found, expected);
    println!("{what}: {error:.1e}");
    assert!(error <= tolerance, "{what}: {error:e}");
}

/// The adjoint φ and ψ of the initial state at every point, where they are stored and where they are not.
///
/// They follow from the adjoint of the field alone: `φ̄⁻ = (1 − Δt σ) φ̄ − h δx v`.
struct Auxiliary {
    decay: [Vec<f64>; 2],
    h: [f64; 2],
    bar: [Vec<f64>; 2],
}

impl Auxiliary {
    fn new(case: &Case) -> Self {
        let o = &case.options;
        let decay = [0, 1].map(|axis| o.damping(axis).iter().map(|s| 1.0 - o.dt_s * s).collect());
        let h = o.spacing_m.map(|d| o.dt_s * o.dt_s / (2.0 * d));
        Auxiliary { decay, h, bar: [vec![0.0; case.points()], vec![0.0; case.points()]] }
    }
    fn step(&mut self, v: &[f64]) {
        let (nx, nz) = (self.decay[0].len(), self.decay[1].len());
        for (i, k) in (1..nx - 1).flat_map(|i| (1..nz - 1).map(move |k| (i, k))) {
            let p = i * nz + k;
            self.bar[0][p] = self.decay[0][i] * self.bar[0][p] - self.h[0] * (v[p + nz] - v[p - nz]);
            self.bar[1][p] = self.decay[1][k] * self.bar[1][p] - self.h[1] * (v[p + 1] - v[p - 1]);
        }
    }
}

/// All gradients of a golden archive: squared velocity, wavelet, and the four fields of the initial state.
fn gradients_agree(name: &str, tolerance: f64, expected_phi: bool) {
    let (Some(npz), Some(json)) = (Npz::open(&format!("{name}.npz")), json(&format!("{name}.json"))) else { return };
    let steps = json["ntimesteps"].as_u64().expect("a count") as usize;
    let points = ["nx", "ny"].map(|key| json[key].as_u64().expect("a count") as usize + 2);
    let three_layers = |k: usize| (3300.0 * [0.5_f64, 0.75, 1.0][k / points[1].div_ceil(3)]).powi(2);
    let (truth, start) = if expected_phi {
        (npz.reals("c2_true"), npz.reals("c2_start"))
    } else {
        let n = points[0] * points[1];
        ((0..n).map(|p| three_layers(p % points[1])).collect(), vec![3300.0 * 3300.0; n])
    };
    let case = Case::golden(&json, steps, start);
    assert_eq!([case.source].to_vec(), npz.pairs("source"));
    assert_eq!(case.receivers, npz.pairs("detectors"));
    closely("wavelet", &case.wavelet, &npz.reals("srcv"), 1e-13);
    for (axis, name) in ["sigma_x", "sigma_y"].into_iter().enumerate() {
        closely(name, &case.options.damping(axis), &npz.reals(name), 1e-12);
    }
    let truth = Case { c2: truth, ..case.clone() };
    let program = truth.program();
    let (target, state) = truth.shot(&program).simulate().expect("a stable run");
    closely("target", &target, &npz.reals("target"), tolerance);
    close("target²", norm(&target).powi(2), json["sum_target_sq"].as_f64().expect("a number"), tolerance);
    let (program, target) = (case.program(), npz.reals("target"));
    let shot = case.shot(&program).with_misfit(|traces, d| squared_difference(traces, &target, d));
    let (last, output, records) = recorded(&program, &shot);
    closely("traces", &shot.by_trace(&output), &npz.reals("traces_start"), tolerance);
    if expected_phi {
        // The final state of the small case belongs to the start model.
        assert_ne!(state, last);
        closely("final u", &program.points(&last.now), &npz.reals("final_u"), tolerance);
        closely("final u⁻", &program.points(&last.before), &npz.reals("final_uprev"), tolerance);
        closely("final φ", &program.frame().spread(&last.phi), &npz.reals("final_phi"), tolerance);
        closely("final ψ", &program.frame().spread(&last.psi), &npz.reals("final_psi"), tolerance);
    }
    let mut adjoint = shot.new_adjoint();
    let loss = shot.turn(&last, &output, &mut adjoint).expect("a misfit");
    close("loss", loss, npz.reals("loss")[0], tolerance);
    let mut auxiliary = Auxiliary::new(&case);
    for n in (0..steps).rev() {
        shot.run_back(n..n + 1, &records[n..n + 1], &mut adjoint);
        let v: Vec<f64> = program.points(&adjoint.state().before).iter().zip(&case.c2).map(|(q, m)| q / m).collect();
        auxiliary.step(&v);
    }
    closely("gradient c²", &shot.gradient_c2(&adjoint), &npz.reals("grad_c"), tolerance);
    closely("gradient wavelet", &shot.gradient_wavelet(&adjoint), &npz.reals("grad_srcv"), tolerance);
    closely("gradient u0", &shot.gradient_u0(&adjoint), &npz.reals("grad_u0"), tolerance);
    closely("gradient u⁻0", &shot.gradient_before0(&adjoint), &npz.reals("grad_uprev0"), tolerance);
    for (bar, key) in auxiliary.bar.iter().zip(["phi0", "psi0"]) {
        if expected_phi {
            closely(key, bar, &npz.reals(&format!("grad_{key}")), tolerance);
        }
        close(key, norm(bar), json[format!("norm_grad_{key}")].as_f64().expect("a number"), tolerance);
    }
}

#[test]
fn the_small_case_has_the_reference_fields_pulses_loss_and_gradients() {
    gradients_agree("pml_small", SMALL, true);
}

#[test]
fn the_three_layers_have_the_reference_pulses_loss_and_gradients() {
    gradients_agree("pml_three_layers", TOLERANCE, false);
}

fn number(json: &Value, path: &str) -> f64 {
    json.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} is no number"))
}

fn homogeneous(json: &Value) -> Case {
    let points = (json["nx"].as_u64().expect("a count") + 2) * (json["ny"].as_u64().expect("a count") + 2);
    let steps = json["nstep"].as_u64().expect("a count") as usize - 1;
    Case::golden(json, steps, vec![number(json, "/c2"); points as usize])
}

#[test]
fn sums_of_the_homogeneous_cases_are_those_of_the_paper() {
    let Some(json) = json("pml_homogeneous.json") else { return };
    for name in ["seed_test_simulation_nx100_nstep2000", "seed_test_treeverse_nx50_nstep1000"] {
        let json = &json[name];
        let case = homogeneous(json);
        let (program, mut all) = (case.program(), 0.0);
        let (shot, mut state) = (case.shot(&program), program.new_state());
        for n in 0..case.steps {
            shot.run(n..n + 1, &mut state, None, None).expect("a stable run");
            all += norm(&program.points(&state.now)).powi(2);
        }
        close("all u²", all, number(json, "/sum_abs2_all_u_after_nstep_minus_1_steps"), TOLERANCE);
        let last = norm(&program.points(&state.now)).powi(2);
        close("final u²", last, number(json, "/sum_abs2_final_u_longdouble"), TOLERANCE);
        close("final u²", last, number(json, "/sum_abs2_final_u_after_nstep_minus_1_steps"), TOLERANCE);
        for (field, key) in [(&state.phi, "/sum_abs2_final_phi"), (&state.psi, "/sum_abs2_final_psi")] {
            close(key, norm(&program.frame().spread(field)).powi(2), number(json, key), TOLERANCE);
        }
        if case.options.points[0] == 102 {
            // What the paper's own tests assert.
            close("final u²", last, 6.234873084873294e-5, TOLERANCE);
            close("all u²", all, 10.931466822080788, TOLERANCE);
        }
    }
}

#[test]
fn gradients_of_losses_of_the_final_field_are_the_reference_ones() {
    let Some(json) = json("pml_homogeneous.json") else { return };
    for name in ["seed_test_simulation_nx100_nstep2000", "seed_test_treeverse_nx50_nstep1000"] {
        let json = &json[name];
        let case = homogeneous(json);
        let program = case.program();
        let shot = case.shot(&program);
        let (_, state) = shot.simulate().expect("a stable run");
        let last = program.points(&state.now);
        let at = |key: &str| {
            let place = |i: usize| json.pointer(key).and_then(|pair| pair[i].as_u64()).expect("an index") as usize;
            place(0) * case.options.points[1] + place(1)
        };
        let (point, source) = (at("/point_loss/point_zero_based"), at("/src_zero_based"));
        close("u", last[point], number(json, "/point_loss/u"), TOLERANCE);
        let mut one = vec![0.0; last.len()];
        one[point] = 1.0;
        let adjoint = transpose(&case, &program, &[], &one);
        let (c2, wavelet, u0) =
            (shot.gradient_c2(&adjoint), shot.gradient_wavelet(&adjoint), shot.gradient_u0(&adjoint));
        for (key, found) in [
            ("max_grad_c", c2.iter().fold(f64::MIN, |a, &b| a.max(b))),
            ("min_grad_c", c2.iter().fold(f64::MAX, |a, &b| a.min(b))),
            ("norm_grad_c", norm(&c2)),
            ("grad_c_at_point", c2[point]),
            ("grad_c_at_src", c2[source]),
            ("grad_u0_at_src", u0[source]),
            ("norm_grad_u0", norm(&u0)),
            ("norm_grad_srcv", norm(&wavelet)),
            ("grad_srcv_first", wavelet[0]),
            // The 100th sample: the paper counts from one.
            ("grad_srcv_100", wavelet[99]),
        ] {
            close(key, found, number(json, &format!("/point_loss/{key}")), TOLERANCE);
        }
        let twice: Vec<f64> = last.iter().map(|u| 2.0 * u).collect();
        let adjoint = transpose(&case, &program, &[], &twice);
        let c2 = shot.gradient_c2(&adjoint);
        for (key, found) in [
            ("loss", norm(&last).powi(2)),
            ("norm_grad_c", norm(&c2)),
            ("grad_c_at_point", c2[point]),
            ("norm_grad_srcv", norm(&shot.gradient_wavelet(&adjoint))),
        ] {
            close(key, found, number(json, &format!("/abs2_loss/{key}")), TOLERANCE);
        }
    }
}
