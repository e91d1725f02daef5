use super::*;

fn grid(shape: &[usize], spacing_m: f64) -> Grid {
    Grid::new(shape, &vec![spacing_m; shape.len()], &vec![0.0; shape.len()]).unwrap()
}

#[test]
fn every_model_exists_in_2_d_and_3_d_on_any_grid() {
    for name in BUILTIN_NAMES {
        for shape in [&[1, 1][..], &[2, 3], &[57, 31], &[7, 5, 11], &[1, 1, 40]] {
            let model = builtin(name, &grid(shape, 20.0)).unwrap();
            let (lo, hi) = model.range_m_per_s();
            assert!(lo >= 1500.0 && hi <= 4500.0, "{name} {shape:?}: {lo} to {hi}");
        }
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    let error = builtin("marmousi", &grid(&[3, 3], 1.0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no built-in model `marmousi`; there are layers, lens, circle, three-layers, foldbelt"
    );
    assert!(matches!(default_grid("lens", 4), Err(BuiltinError::Grid(GridError::Dimensions(4)))));
}

#[test]
fn foldbelt_has_water_slow_channels_many_beds_and_salt() {
    let model = builtin("foldbelt", &default_grid("foldbelt", 2).unwrap()).unwrap();
    let vp = model.vp_m_per_s();
    assert_eq!(model.range_m_per_s(), (1500.0, 4500.0));
    let share = |f: &dyn Fn(f64) -> bool| vp.iter().filter(|&&v| f(v)).count() as f64 / vp.len() as f64;
    assert!((0.08..0.16).contains(&share(&|v| v == 1500.0)), "water {}", share(&|v| v == 1500.0));
    assert!((0.04..0.14).contains(&share(&|v| v == 4500.0)), "salt {}", share(&|v| v == 4500.0));
    assert_eq!(share(&|v| v > 1500.0 && v < 1550.0), 0.0);
    assert!(share(&|v| v > 1500.0 && v < 1700.0) > 0.002, "channels {}", share(&|v| v > 1500.0 && v < 1700.0));
    assert_eq!(share(&|v| v > 4400.0 && v < 4500.0), 0.0);
    // A column away from salt crosses many beds: neighbours that differ by more than the trend explains.
    let column = &vp[60 * 121..61 * 121];
    let contacts = column.windows(2).filter(|w| (w[1] - w[0]).abs() > 40.0).count();
    assert!(contacts > 25, "{contacts} contacts");
}

#[test]
fn water_of_foldbelt_is_exact_and_on_top_only() {
    for dims in [2, 3] {
        let shape: &[usize] = if dims == 2 { &[120, 61] } else { &[30, 20, 61] };
        let model = builtin("foldbelt", &grid(shape, 40.0)).unwrap();
        let water = water_cells(&model);
        for (&w, &v) in water.iter().zip(model.vp_m_per_s()) {
            assert_eq!(w, v == WATER_VP_M_PER_S, "{v}");
        }
        for column in water.chunks_exact(61) {
            let depth = column.iter().filter(|w| **w).count();
            assert!((3..15).contains(&depth), "{depth} cells of 40 m");
        }
    }
}

#[test]
fn a_finer_grid_samples_the_same_function() {
    // Three layers are counted in cells.
    for name in BUILTIN_NAMES.into_iter().filter(|&name| name != "three-layers") {
        let coarse = builtin(name, &grid(&[101, 61], 20.0)).unwrap();
        let fine = builtin(name, &grid(&[201, 121], 7.0)).unwrap();
        for ix in 0..101 {
            for iz in 0..61 {
                let (a, b) = (ix * 61 + iz, 2 * ix * 121 + 2 * iz);
                assert_eq!(coarse.vp_m_per_s()[a].to_bits(), fine.vp_m_per_s()[b].to_bits());
            }
        }
    }
}

#[test]
fn the_2_d_model_is_the_middle_slice_of_the_3_d_one_and_other_slices_differ() {
    for name in BUILTIN_NAMES {
        let flat = builtin(name, &grid(&[61, 41], 50.0)).unwrap();
        let solid = builtin(name, &grid(&[61, 5, 41], 50.0)).unwrap();
        let slice = |iy: usize| -> Vec<f64> {
            (0..61).flat_map(|ix| solid.vp_m_per_s()[(ix * 5 + iy) * 41..][..41].to_vec()).collect()
        };
        assert_eq!(flat.vp_m_per_s(), slice(2));
        if !name.ends_with("layers") {
            let changed = slice(0).iter().zip(slice(2)).filter(|(a, b)| (**a - b).abs() > 1.0).count();
            assert!(changed > 100, "{name}: {changed} cells differ");
        }
    }
}

/// FNV-1a over the bits of all velocities.
fn fingerprint(model: &Model) -> u64 {
    let bytes = model.vp_m_per_s().iter().flat_map(|v| v.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ b as u64).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn three_layers_begin_at_the_cells_of_the_paper() {
    for (nz, contacts) in [(203, [68, 136]), (1002, [334, 668])] {
        let model = builtin("three-layers", &grid(&[1, nz], 1.0)).unwrap();
        let changes: Vec<usize> = (1..nz).filter(|&iz| model.vp_m_per_s()[iz] != model.vp_m_per_s()[iz - 1]).collect();
        assert_eq!(changes, contacts);
        assert_eq!([0, nz / 2, nz - 1].map(|iz| model.vp_m_per_s()[iz]), [1650.0, 2475.0, 3300.0]);
    }
}

#[test]
fn models_are_the_same_bits_on_every_call() {
    for name in BUILTIN_NAMES {
        let grid = grid(&[80, 60], 25.0);
        let first = fingerprint(&builtin(name, &grid).unwrap());
        assert_eq!(first, fingerprint(&builtin(name, &grid).unwrap()));
    }
}

#[test]
fn faults_move_beds_without_changing_their_area() {
    // Unit Jacobian of the map back in time, away from the fault surface and below the tip.
    let thrust = faults::Thrust {
        flat_m: 2100.0,
        ramp_x_m: 1000.0,
        ramp_slope: 0.6,
        bend_m: 100.0,
        slip_m: 400.0,
        oblique: 0.1,
    };
    let normal = faults::NormalFault {
        top_x_m: 1000.0,
        side: 1.0,
        slope: [0.4, 2e-4],
        throw_m: 120.0,
        tip_m: [200.0, 500.0],
        sinuosity_m: 80.0,
    };
    let jacobian = |f: &dyn Fn(f64, f64) -> (f64, f64), x: f64, z: f64| {
        let h = 1e-3;
        let (dx, dz) = ((f(x + h, z), f(x - h, z)), (f(x, z + h), f(x, z - h)));
        let d = |(a, b): (f64, f64)| (a - b) / (2.0 * h);
        d((dx.0.0, dx.1.0)) * d((dz.0.1, dz.1.1)) - d((dx.0.1, dx.1.1)) * d((dz.0.0, dz.1.0))
    };
    for (x, z) in [(1500.0, 900.0), (1300.0, 1200.0), (2500.0, 700.0)] {
        let back = jacobian(&|x, z| thrust.restore(x, 2500.0, z), x, z);
        assert!((back - 1.0).abs() < 1e-6, "thrust at {x}, {z}: {back}");
        assert_ne!(thrust.restore(x, 2500.0, z), (x, z));
    }
    for (x, z) in [(2500.0, 900.0), (2800.0, 1400.0)] {
        let back = jacobian(&|x, z| normal.restore(x, 2500.0, z), x, z);
        assert!((back - 1.0).abs() < 1e-6, "normal fault at {x}, {z}: {back}");
        assert_ne!(normal.restore(x, 2500.0, z), (x, z));
    }
}

#[test]
fn the_hanging_wall_slides_along_the_fault() {
    // A particle at the fault was at the fault before, further down on a thrust, further up on a normal fault.
    let foldbelt = Foldbelt::new();
    for (y, x) in [(3000.0, 900.0), (1000.0, 1900.0), (5000.0, 2600.0)] {
        for thrust in &foldbelt.thrusts {
            let z = thrust.z_m(x, y) - 1e-6;
            let (from_x, from_z) = thrust.restore(x, y, z);
            assert!((from_z - thrust.z_m(from_x, y)).abs() < 1e-5);
            assert!(from_z >= z && from_x < x, "{from_x} {from_z} from {x} {z}");
        }
    }
    for (y, z) in [(3000.0, 900.0), (1000.0, 1900.0), (5000.0, 600.0)] {
        for fault in &foldbelt.normal_faults {
            let x = fault.x_m(y, z) + 1e-6 * fault.side;
            let (from_x, from_z) = fault.restore(x, y, z);
            assert!((from_x - fault.x_m(y, from_z)).abs() < 1e-5);
            assert!(from_z < z, "{from_z} from {z}");
        }
    }
}

#[test]
fn layers_are_flat_and_the_lens_sits_in_the_middle() {
    let model = builtin("layers", &default_grid("layers", 2).unwrap()).unwrap();
    let column = &model.vp_m_per_s()[..101];
    assert_eq!([column[0], column[13], column[14], column[100]], [1500.0, 1500.0, 1800.0, 4000.0]);
    assert!(model.vp_m_per_s().chunks_exact(101).all(|c| c == column));
    let model = builtin("lens", &default_grid("lens", 3).unwrap()).unwrap();
    let grid = model.grid();
    let [at_top, at_centre] = [[50, 50, 0], [50, 50, 25]].map(|cell| model.vp_m_per_s()[grid.index(cell)]);
    assert!((at_top - 2000.0).abs() < 0.1 && at_centre == 1.25 * 2500.0, "{at_top} {at_centre}");
}

#[test]
fn circle_is_the_disc_of_the_tutorial() {
    let model = builtin("circle", &default_grid("circle", 2).unwrap()).unwrap();
    let fast = |i: i64, j: i64| (2 * i - 101).pow(2) + (2 * j - 101).pow(2) <= 900;
    for (index, &vp) in model.vp_m_per_s().iter().enumerate() {
        let [i, _, j] = model.grid().cell(index).map(|c| c as i64);
        assert_eq!(vp, if fast(i, j) { 3000.0 } else { 2500.0 }, "cell {i}, {j}");
    }
}
