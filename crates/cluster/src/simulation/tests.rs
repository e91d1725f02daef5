use super::failures::{Random, mean_seconds_of};
use super::*;

/// So many ranks of some workers, whose messages take no time, and which never fail.
fn machine([ranks, workers]: [usize; 2]) -> Machine {
    Machine { workers, latency_s: 0.0, message_s: 0.0, node_mtbf_s: f64::INFINITY, ..Machine::of_ranks(ranks) }
}

/// A gradient of shots that leave the disk alone, on a model of no cells, with a ledger that is never due.
fn gradient(shot_s: &[f64]) -> Gradient<'_> {
    Gradient { shot_s, spilled_bytes: 0.0, cells: 0, ledger_every: Duration::from_secs(u64::MAX) }
}

/// The shots alone.
fn queue(machine: &Machine, gradient: &Gradient) -> queue::Ended {
    let order: Vec<usize> = (0..gradient.shot_s.len()).collect();
    Queue::new(machine, gradient, &order, machine.keep_s(sum_bytes(gradient.cells))).run(f64::INFINITY)
}

fn seconds(machine: &Machine, gradient: &Gradient) -> f64 {
    queue(machine, gradient).at.expect("nothing cut it off")
}

/// Costs between 1 and 4, the dearest first.
fn costs(count: usize, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    let mut costs: Vec<f64> = (0..count).map(|_| 1.0 + 3.0 * random.uniform()).collect();
    costs.sort_by(|a, b| b.total_cmp(a));
    costs
}

/// Looks at the mail are so far apart at most.
const LOOKS_S: f64 = 0.004;

#[test]
fn every_shot_is_done_once_for_any_number_of_ranks_and_shots() {
    for ranks in 1..9 {
        for shots in [0, 1, 2, 7, 30] {
            for (delay, workers) in [(0.0, 1), (0.01, 1), (5.0, 1), (0.0, 3), (0.01, 2), (5.0, 4)] {
                let (costs, plain) = (costs(shots, 7), machine([ranks, workers]));
                let slow = Machine { latency_s: delay, message_s: delay / 10.0, ranks_per_node: 3, ..plain };
                let spilling = Gradient { spilled_bytes: 1e9, cells: 1000, ..gradient(&costs) };
                let keeping = Gradient { ledger_every: Duration::from_secs(3), ..spilling };
                for work in [gradient(&costs), spilling, keeping] {
                    let done = queue(&slow, &work).done;
                    assert!(
                        done.iter().all(|&times| times == 1),
                        "{ranks} ranks of {workers} workers, {shots} shots: {done:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn workers_are_idle_no_longer_than_one_shot_at_the_end_of_the_queue() {
    for (ranks, workers, shots) in [(2, 1, 8), (4, 1, 24), (8, 1, 100), (16, 1, 60), (2, 4, 60), (3, 2, 18)] {
        for seed in 0..20 {
            let costs = costs(shots, seed);
            let seconds = seconds(&machine([ranks, workers]), &gradient(&costs));
            // The classical bound of list scheduling: the mean, and what the last shot adds (Graham 1969). A worker may wait for a look
            // at the mail before its first shot and its last.
            let all = ranks * workers;
            let bound = costs.iter().sum::<f64>() / all as f64 + costs[shots - all] * (1.0 - 1.0 / all as f64);
            assert!(
                seconds <= bound + 4.0 * LOOKS_S,
                "{ranks} × {workers}, {shots} shots, seed {seed}: {seconds} > {bound}"
            );
        }
    }
}

#[test]
fn equal_shots_take_as_many_rounds_as_there_are_shots_for_a_worker() {
    for (ranks, workers, shots) in [(1, 1, 5), (4, 1, 24), (4, 1, 25), (3, 4, 36), (5, 2, 7), (1000, 1, 3500)] {
        let costs = vec![10.0; shots];
        let rounds = shots.div_ceil(ranks * workers) as f64;
        let seconds = seconds(&machine([ranks, workers]), &gradient(&costs));
        assert!(
            (10.0 * rounds..10.0 * rounds + 4.0 * LOOKS_S).contains(&seconds),
            "{ranks} × {workers}, {shots} shots: {seconds}"
        );
    }
}

#[test]
fn a_shot_in_hand_hides_the_wait_for_answers() {
    // An answer takes a tenth of the cheapest shot. With shots in hand only the last few per rank wait for it.
    let costs = costs(400, 3);
    let seconds = seconds(&Machine { latency_s: 0.05, ..machine([4, 1]) }, &gradient(&costs));
    let mean = costs.iter().sum::<f64>() / 4.0;
    let waits = (seconds - mean) / 0.1;
    assert!(waits < 8.0, "{waits} answers were waited for, of 100 shots per rank");
}

#[test]
fn rank_0_answers_no_faster_than_it_can_read_and_write() {
    // Shots of no length: per shot rank 0 reads two reports and sends an answer, 3 ms; its own it need not send.
    let costs = vec![0.0; 3000];
    let slow = Machine { message_s: 1e-3, ..machine([50, 1]) };
    let seconds = seconds(&slow, &gradient(&costs));
    assert!((2.0 * 2.9..4.0 * 3.0).contains(&seconds), "{seconds}");
}

#[test]
fn shots_share_the_disk_of_their_node() {
    let costs = vec![10.0; 16];
    // Each wants half a gigabyte per second: two are served, the third slows all down.
    let spilling = Gradient { spilled_bytes: 5e9, ..gradient(&costs) };
    let on_node = |ranks_per_node| {
        let machine = Machine { disk_bandwidth: 1e9, ranks_per_node, ..machine([4, 1]) };
        (seconds(&machine, &spilling), queue(&machine, &spilling).account)
    };
    let [(alone, none), (two, _), (all, waits)] = [1, 2, 4].map(on_node);
    assert!((alone - 40.0).abs() < 0.1 && (two - alone).abs() < 1e-9, "{alone}, {two}");
    assert!((all - 80.0).abs() < 0.1, "the node writes and reads 80 GB: {all}");
    assert!(none.disk.abs() < 1e-6 && (waits.disk - 160.0).abs() < 0.1, "{} and {}", none.disk, waits.disk);
}

#[test]
fn shares_add_up_to_the_whole() {
    let costs = costs(300, 5);
    let work =
        Gradient { spilled_bytes: 3e9, cells: 1_000_000, ledger_every: Duration::from_secs(5), ..gradient(&costs) };
    let machine = Machine { ranks_per_node: 8, node_mtbf_s: 3600.0, workers: 2, ..Machine::of_ranks(24) };
    let Prediction { seconds, shares, .. } = predict(&machine, &work);
    let sum: f64 = shares.named().iter().map(|(_, share)| share).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{shares:?}");
    assert!(shares.named().iter().all(|(_, share)| *share > 0.0), "each part has something: {shares:?}");
    let computing = costs.iter().sum::<f64>() / (48.0 * seconds);
    assert!((shares.computing - computing).abs() < 1e-12);
}

#[test]
fn a_gradient_without_shots_or_a_machine_of_one_rank_loses_nothing() {
    let nothing = predict(&Machine::of_ranks(1), &gradient(&[]));
    assert_eq!((nothing.seconds, nothing.shares), (0.0, Shares::default()));
    let one = predict(&machine([1, 1]), &gradient(&[2.0, 1.0]));
    assert_eq!((one.seconds, one.shares.computing), (3.0, 1.0));
}

#[test]
fn a_sum_takes_the_time_of_rabenseifners_algorithm() {
    let machine = Machine { summing_bandwidth: 5e9, ranks_per_node: 2, ..machine([16, 1]) };
    let machine = Machine { latency_s: 1e-6, ..machine };
    // 8 latencies; 15/16 of the bytes twice through half of 10 GB/s, and added once.
    let expected = 8e-6 + 15.0 / 16.0 * 1e6 * (2.0 / 5e9 + 1.0 / 5e9);
    assert!((sum_s(&machine, 1e6) / expected - 1.0).abs() < 1e-12);
    let long = sum_s(&machine, 80e6);
    let expected = 10.0 * 8e-6 + 15.0 / 16.0 * 80e6 * 3.0 / 5e9;
    assert!((long / expected - 1.0).abs() < 1e-12, "ten pieces of 8 MiB");
    assert_eq!(sum_s(&Machine { ranks: 1, ..machine }, 1e6), 0.0);
}

#[test]
fn waiting_ranks_meet_at_their_looks() {
    let meet_us =
        |ranks, latency_us: f64| 1e6 * barrier_s(&Machine { latency_s: 1e-6 * latency_us, ..machine([ranks, 1]) });
    // Looks are 60 µs apart at first, which each round waits for; from 80 µs on they are 50 µs and an eighth of the time apart.
    for (ranks, latency_us, expected_us) in
        [(1, 2.0, 0.0), (2, 2.0, 60.0), (4, 2.0, 120.0), (8, 2.0, 185.0), (2, 119.0, 120.0), (2, 121.0, 185.0)]
    {
        let found_us = meet_us(ranks, latency_us);
        assert!((found_us - expected_us).abs() < 1e-6, "{ranks} ranks, {latency_us} µs: {found_us}");
    }
}

#[test]
fn the_ledger_keeps_all_but_the_last_shots_of_a_job_that_is_cut_off() {
    let costs = vec![10.0; 100];
    let order: Vec<usize> = (0..100).collect();
    let kept = |every: u64, until: f64| {
        let work = Gradient { ledger_every: Duration::from_secs(every), ..gradient(&costs) };
        let cut = Queue::new(&machine([4, 1]), &work, &order, 0.5).run(until);
        assert_eq!(cut.at, None);
        cut.kept.len()
    };
    // Nine shots of each rank have ended after 98 s, with a save of half a second after each.
    assert_eq!(kept(0, 98.0), 36);
    // Saves after 30, 60.5 and 91 s; after 60 s.
    assert_eq!(kept(30, 98.0), 36);
    assert_eq!(kept(60, 98.0), 24);
    assert_eq!(kept(1000, 98.0), 0);
}

#[test]
fn nobody_saves_what_takes_more_than_a_twentieth_of_the_gradient() {
    let costs = vec![2.0; 1000];
    let of_cells = |cells| {
        let machine = machine([100, 1]);
        let work = Gradient { cells, ledger_every: Duration::from_secs(1), ..gradient(&costs) };
        (machine.keep_s(sum_bytes(cells)), queue(&machine, &work).account.ledger)
    };
    // 20 s of shots each: saves of half a second are worth it once, those of two seconds are not.
    let (short_s, saved) = of_cells(2_000_000);
    assert!(short_s < 1.0 && saved >= 100.0 * short_s && saved < 250.0 * short_s, "{short_s}, {saved}");
    let (long_s, not_saved) = of_cells(10_000_000);
    assert!(long_s > 2.0 && not_saved == 0.0, "{long_s}, {not_saved}");
}

/// Mean seconds over many gradients, with some mean time between failures of the job, in seconds.
fn with_failures(machine: &Machine, work: &Gradient, job_mtbf_s: f64, failures: usize) -> f64 {
    let machine = Machine { node_mtbf_s: job_mtbf_s * machine.nodes() as f64, ..*machine };
    mean_seconds_of(&machine, work, &Parts::of(&machine, work), failures, &mut Random(11))
}

#[test]
fn failures_cost_what_theory_expects_of_work_without_a_ledger() {
    // All is done again until a time as long as the whole passes without a failure: (M + R) (exp(T/M) − 1) in the mean, of T seconds of
    // work, M between failures and R to start again (Daly 2006, eq. 13 without dumps, in the limit of one segment).
    let costs = vec![1.0; 40];
    let machine = Machine { requeue_s: 3.0, ..machine([4, 1]) };
    for mtbf_s in [100.0, 10.0, 5.0_f64] {
        let mean = with_failures(&machine, &gradient(&costs), mtbf_s, 4000);
        let expected = (mtbf_s + 3.0) * ((10.0 / mtbf_s).exp() - 1.0);
        // Standard deviations of the mean are about 1.5 % of what failures add.
        let added = (mean - 10.0) / (expected - 10.0);
        assert!((0.93..1.07).contains(&added), "{mtbf_s}: {mean} s, expected {expected}");
    }
}

#[test]
fn failures_cost_what_theory_expects_of_work_that_is_kept_piece_by_piece() {
    // Shots of 1 s on one rank, a save of 0.1 s after each: n pieces of (M + R) (exp((τ + δ)/M) − 1), Daly 2006.
    let costs = vec![1.0; 50];
    let cells = (0.1 * PROCESS_STORAGE_BANDWIDTH / sum_bytes(1)) as usize;
    let work = Gradient { cells, ledger_every: Duration::ZERO, ..gradient(&costs) };
    let machine = Machine { requeue_s: 3.0, ..machine([1, 1]) };
    // Rank 0 then reads and writes what was kept, and saves the sum of all at the end.
    let (recovery_s, last_s) = (3.0 + 0.2, 0.1);
    for mtbf_s in [100.0, 10.0] {
        let mean = with_failures(&machine, &work, mtbf_s, 4000);
        let piece = |s: f64| (mtbf_s + recovery_s) * ((s / mtbf_s).exp() - 1.0);
        let expected = 50.0 * piece(1.1) + last_s;
        let clean = 50.0 * 1.1 + last_s;
        let added = (mean - clean) / (expected - clean);
        assert!((0.93..1.07).contains(&added), "{mtbf_s}: {mean} s, expected {expected}");
    }
}

#[test]
fn what_fails_all_the_time_never_ends() {
    let costs = vec![100.0; 10];
    assert_eq!(with_failures(&machine([2, 1]), &gradient(&costs), 1.0, 10), f64::INFINITY);
}

#[test]
fn more_is_never_worse() {
    let costs = costs(200, 9);
    let work = Gradient { spilled_bytes: 2e9, cells: 10_000_000, ..gradient(&costs) };
    let at = |machine: Machine| predict(&machine, &work).seconds;
    let base = Machine { ranks_per_node: 4, node_mtbf_s: f64::INFINITY, ..Machine::of_ranks(16) };
    let slower = [
        Machine { ranks: 8, ..base },
        Machine { disk_bandwidth: base.disk_bandwidth / 4.0, ..base },
        Machine { bandwidth: base.bandwidth / 4.0, ..base },
        Machine { latency_s: 0.1, ..base },
        Machine { node_mtbf_s: 1e5, ..base },
    ];
    for machine in slower {
        assert!(at(machine) > at(base), "{machine:?}");
    }
}

#[test]
fn the_same_input_gives_the_same_prediction() {
    let costs = costs(100, 2);
    let machine = Machine { node_mtbf_s: 1e4, ..Machine::of_ranks(10) };
    assert_eq!(predict(&machine, &gradient(&costs)), predict(&machine, &gradient(&costs)));
}

#[test]
#[ignore = "slow: prints how long the largest study takes"]
fn ten_thousand_ranks_and_a_hundred_thousand_shots() {
    let costs = costs(100_000, 1);
    let machine = Machine::of_ranks(10_000);
    let began = std::time::Instant::now();
    let ended = queue(&machine, &gradient(&costs));
    println!("queue: {:?}, {:?} s", began.elapsed(), ended.at);
    let began = std::time::Instant::now();
    println!("{:?}", predict(&machine, &gradient(&costs)));
    println!("all: {:?}", began.elapsed());
}
