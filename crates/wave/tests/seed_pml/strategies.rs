//! Misfit and gradients have the same bits by every strategy, in memory and spilled, on any number of threads.

use treewave_reversal::{
    Costs, DiskReads, Log, MemoryStore, ReverseError, Snapshot, Strategy, TieredStore, Trajectory, Turned, Watch,
    Workspace, reverse,
};
use treewave_storage::SpillStore;
use treewave_wave::seed_pml::squared_difference;
use treewave_wave::{Parallelism, SeedLayer, in_thread_pool};

use crate::case::{Case, noise, ricker};
use treewave_wave::seed_pml::SeedPmlOptions;

const STEPS: usize = 61;

fn case(parallelism: Parallelism) -> Case {
    let points = [150, 43];
    let layer = SeedLayer { width_cells: 6, ..SeedLayer::default() };
    Case {
        options: SeedPmlOptions { points, spacing_m: [10.0, 9.0], dt_s: 1e-3, layer, parallelism },
        c2: noise(1, points[0] * points[1]).iter().map(|x| (2500.0 + 500.0 * x).powi(2)).collect(),
        source: [60, 12],
        receivers: vec![[20, 20], [80, 30], [140, 3]],
        wavelet: ricker(STEPS + 1, 6.0, 18.0, 1e4),
        steps: STEPS,
    }
}

/// Every strategy that differs in what it stores, advances over and records.
fn strategies() -> Vec<(Strategy, usize)> {
    let costs = Costs { advance: 1.0, adjoint: 2.0, write: 1.0, read: 1.0 };
    let mut list = vec![(Strategy::StoreAll, 1)];
    list.extend([1, 3, 7, 20].map(|snapshots| (Strategy::Treeverse { snapshots }, 1)));
    list.extend([1, 2, 5, 20].map(|snapshots| (Strategy::Revolve { snapshots }, 1)));
    list.push((Strategy::Revolve { snapshots: 3 }, 4));
    for memory_slots in [0, 2] {
        list.push((Strategy::TwoLevel { memory_slots, disk_slots: None, costs }, 1));
        list.push((Strategy::TwoLevel { memory_slots, disk_slots: Some(3), costs }, 5));
    }
    list.push((Strategy::Multistage { memory_slots: 2, disk_slots: 3, trajectory: Trajectory::Maximum }, 1));
    list.push((Strategy::DiskRevolve { memory_slots: 2, costs, reads: DiskReads::Once }, 1));
    list.extend([2, 5, 20].map(|blocks| (Strategy::Bennett { blocks }, 1)));
    list.push((Strategy::Bennett { blocks: 3 }, 4));
    list
}

/// Misfit and all gradients, as bits, and the log.
fn gradient(case: &Case, strategy: Strategy, segment_steps: usize) -> (Vec<u64>, Log) {
    let program = case.program();
    let target = noise(2, case.steps * case.receivers.len());
    let target: Vec<f64> = target.iter().map(|x| 1e-3 * x).collect();
    let shot = case.shot(&program).with_misfit(|traces, d| squared_difference(traces, &target, d));
    let schedule = strategy.schedule_in_segments(case.steps, segment_steps).expect("a schedule");
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let spill = (schedule.disk_slots() > 0).then(|| {
        let spill = SpillStore::create(scratch.path(), "seed", 0, schedule.disk_slots(), &program.new_state());
        Box::new(spill.expect("room on disk")) as _
    });
    let mut store = TieredStore::new(MemoryStore::new(|| program.new_state()), spill);
    let mut workspace = Workspace::new(&shot, ());
    let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
    let result =
        reverse(&shot, case.steps, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false);
    let (misfit, log) = result.expect("a legal schedule");
    let parts = [
        vec![misfit],
        shot.gradient_c2(&adjoint),
        shot.gradient_wavelet(&adjoint),
        shot.gradient_u0(&adjoint),
        shot.gradient_before0(&adjoint),
    ];
    assert!(parts.iter().all(|part| part.iter().any(|x| *x != 0.0)));
    (parts.concat().into_iter().map(f64::to_bits).collect(), log)
}

#[test]
fn every_strategy_gives_the_bits_of_store_all() {
    let case = case(Parallelism::Serial);
    let (expected, _) = gradient(&case, Strategy::StoreAll, 1);
    let mut spilled = 0;
    for (strategy, segment_steps) in strategies() {
        let (found, log) = gradient(&case, strategy, segment_steps);
        assert!(found == expected, "{strategy:?} in segments of {segment_steps}");
        assert_eq!(log.counts.pulled_back, STEPS as u64);
        spilled += log.bytes_written;
    }
    assert!(spilled > 0, "no strategy went to disk");
}

/// Misfit-free gradients of a case whose model is as long as two tiles, along z or, turned by a right angle, along x.
fn long(along_z: bool) -> [Vec<f64>; 4] {
    const LONG: usize = 1600;
    const SHORT: usize = 30;
    let turned = |[a, b]: [usize; 2]| if along_z { [a, b] } else { [b, a] };
    let points = turned([SHORT, LONG]);
    let noise = noise(5, SHORT * LONG);
    // Varies along both axes, most where the wave is.
    let c2 = |[ix, iz]: [usize; 2]| {
        let [a, b] = turned([ix, iz]);
        (2500.0 + 500.0 * noise[a * LONG + b]).powi(2)
    };
    let spacing_m = if along_z { [10.0, 9.0] } else { [9.0, 10.0] };
    let layer = SeedLayer { width_cells: 6, ..SeedLayer::default() };
    let case = Case {
        options: SeedPmlOptions { points, spacing_m, dt_s: 1e-3, layer, parallelism: Parallelism::Serial },
        c2: (0..points[0]).flat_map(|ix| (0..points[1]).map(move |iz| [ix, iz])).map(c2).collect(),
        source: turned([14, 798]),
        receivers: [[3, 790], [20, 796], [16, 799], [16, 801], [9, 812]].map(turned).to_vec(),
        wavelet: ricker(STEPS + 1, 6.0, 18.0, 1e4),
        steps: STEPS,
    };
    let program = case.program();
    let zeros = vec![0.0; STEPS * case.receivers.len()];
    let shot = case.shot(&program).with_misfit(|traces, d| squared_difference(traces, &zeros, d));
    let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
    let (mut store, mut workspace) = (MemoryStore::new(|| program.new_state()), Workspace::new(&shot, ()));
    let schedule = Strategy::Revolve { snapshots: 3 }.schedule_in_segments(STEPS, 20).expect("a schedule");
    reverse(&shot, STEPS, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut || false).unwrap();
    let upright = |values: Vec<f64>| match along_z {
        true => values,
        false => (0..SHORT).flat_map(|a| (0..LONG).map(move |b| b * SHORT + a)).map(|i| values[i]).collect(),
    };
    let (c2, u0) = (shot.gradient_c2(&adjoint), shot.gradient_u0(&adjoint));
    [shot.by_trace(&output), upright(c2), shot.gradient_wavelet(&adjoint), upright(u0)]
}

#[test]
fn tiles_side_by_side_give_what_one_tile_gives() {
    // The equation is the same along both axes; only along z there are tiles side by side.
    for (two, one) in long(true).into_iter().zip(long(false)) {
        let norm = one.iter().map(|x| x * x).sum::<f64>().sqrt();
        let difference = two.iter().zip(&one).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        // Other orders of the same few sums, over 61 steps.
        assert!(norm > 0.0 && difference < 1e-12 * norm, "{difference} of {norm}");
    }
}

#[test]
fn any_number_of_threads_gives_the_bits_of_one() {
    let (expected, _) = gradient(&case(Parallelism::Serial), Strategy::StoreAll, 1);
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let threaded = case(Parallelism::Threads);
        let (found, _) = pool.install(|| in_thread_pool(|| gradient(&threaded, Strategy::Revolve { snapshots: 4 }, 2)));
        assert!(found == expected, "{threads} threads");
    }
}

/// Stops after some looks that come after the turn; or goes on.
struct Stopping(usize, Option<Turned>);

impl<A> Watch<A> for Stopping {
    fn stop(&mut self, turned: Option<Turned>, _: &A) -> bool {
        if self.1.is_some() {
            return false;
        }
        self.0 -= usize::from(turned.is_some() && self.0 > 0);
        self.0 == 0
    }
    fn misfit(&self) -> Option<f64> {
        self.1.map(|turned| turned.misfit)
    }
}

#[test]
fn a_shot_goes_on_from_the_bytes_of_its_adjoint_state() {
    let case = case(Parallelism::Serial);
    let (expected, _) = gradient(&case, Strategy::StoreAll, 1);
    let (program, strategy) = (case.program(), Strategy::Revolve { snapshots: 4 });
    let target: Vec<f64> = noise(2, case.steps * case.receivers.len()).iter().map(|x| 1e-3 * x).collect();
    let shot = case.shot(&program).with_misfit(|traces, d| squared_difference(traces, &target, d));
    let mut store = MemoryStore::new(|| program.new_state());
    let mut workspace = Workspace::new(&shot, ());
    for looks in [1, 2, 17, 90] {
        let (mut output, mut adjoint) = (shot.new_output(), shot.new_adjoint());
        let schedule = strategy.schedule(case.steps).expect("a schedule");
        let mut first = Stopping(looks, None);
        let stopped =
            reverse(&shot, case.steps, schedule, &mut store, &mut workspace, &mut output, &mut adjoint, &mut first);
        let Err(ReverseError::Stopped { remaining, .. }) = stopped else { panic!("it was not stopped") };
        assert!(remaining > 0);
        let mut other = shot.new_adjoint();
        other.parts_mut().into_iter().zip(adjoint.parts()).for_each(|(to, from)| to.copy_from_slice(from));
        let mut goes_on = Stopping(0, Some(Turned { remaining, misfit: f64::from_bits(expected[0]) }));
        let schedule = strategy.schedule(remaining).expect("a schedule");
        let mut output = shot.new_output();
        let done =
            reverse(&shot, remaining, schedule, &mut store, &mut workspace, &mut output, &mut other, &mut goes_on);
        let found = [
            vec![done.expect("a legal schedule").0],
            shot.gradient_c2(&other),
            shot.gradient_wavelet(&other),
            shot.gradient_u0(&other),
            shot.gradient_before0(&other),
        ];
        assert!(found.concat().into_iter().map(f64::to_bits).eq(expected.iter().copied()), "stopped at look {looks}");
    }
}
