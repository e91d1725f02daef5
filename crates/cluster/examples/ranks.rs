//! A program for several ranks that does one thing each test asks for: `mpirun -n 3 ranks queue 10`.
//!
//! Lines on standard output: `pid P` from each rank, `failing at T` (milliseconds since 1970) from the one that breaks,
//! the results from rank 0. SIGTERM is a request to stop, as in a real job.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, process, thread};

use treewave_cluster::simulation::{self, Gradient, Machine, Prediction};
use treewave_cluster::{Cluster, Completion, Failure, Work, finish, threads_per_rank};
use treewave_core::{ReproducibleSum, StopFlag};

fn main() {
    println!("pid {}", process::id());
    let stop = StopFlag::default();
    signal_hook::flag::register(signal_hook::consts::SIGTERM, stop.shared()).expect("SIGTERM can be handled");
    let cluster = match treewave_cluster::start() {
        Ok(cluster) => cluster,
        Err(error) => treewave_cluster::fail(&error.into()),
    };
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |i: usize| words.get(i).and_then(|word| word.parse().ok()).unwrap_or(0);
    let outcome = match words[0] {
        "queue" => queue(&*cluster, number(1), &stop),
        "sums" => sums(&*cluster, &stop),
        "bytes" => bytes(&*cluster, number(1)),
        "agree" => agree(&*cluster, number(1)),
        "stop" => stopped(&*cluster, number(1), &stop),
        "late-stop" => late_stops(&*cluster, number(1)),
        "break" => broken(&*cluster, words[1], number(2), &stop),
        "idle" => idle(&*cluster, number(1), number(2) as u64, words.get(3) == Some(&"mixed"), &stop),
        "scaling" => scaling(&*cluster, [number(1), number(2), number(3), number(4)], &stop),
        "wait" => wait(&*cluster),
        "threads" => threads(&*cluster),
        "exit" => Ok(number(1) as i32),
        other => Err(Failure::new(2, format!("no such part: {other}"))),
    };
    finish(cluster, outcome)
}

/// Three queues in a row; rank 0 prints how often each shot was done, and whether it, and no other, heard of all of them.
fn queue(cluster: &dyn Cluster, shots: usize, stop: &StopFlag) -> Result<i32, Failure> {
    for round in 0..3 {
        let order: Vec<usize> = (0..shots).rev().map(|shot| 10 * shot + round).collect();
        let done = Mutex::new(vec![0i64; 10 * shots + 10]);
        // Other rounds have other numbers of workers.
        let work = |shot: usize| -> Result<(), Failure> {
            thread::sleep(Duration::from_millis(shot as u64 % 7));
            done.lock().unwrap()[shot] += 1;
            Ok(())
        };
        let mut told = vec![0];
        let workers = (0..=round).map(|_| Box::new(work) as Box<Work>).collect();
        let completion = cluster.for_each_shot_by(&order, stop, workers, &mut |finished| told.push(finished))?;
        let grows = told.windows(2).all(|pair| pair[0] < pair[1]);
        let told = grows && told.last() == Some(&if cluster.rank() == 0 { shots } else { 0 });
        let told = !cluster.any(!told);
        let mut done = done.into_inner().unwrap();
        cluster.all_sum(&mut done);
        let once = order.iter().all(|&shot| done[shot] == 1) && done.iter().sum::<i64>() == shots as i64;
        if cluster.rank() == 0 {
            println!("round {round}: {completion:?}, each once: {once}, progress told: {told}");
        }
    }
    Ok(0)
}

/// Gradients of 24 shots, each on the rank that takes it, summed; rank 0 prints the bits.
fn sums(cluster: &dyn Cluster, stop: &StopFlag) -> Result<i32, Failure> {
    const SHOTS: usize = 24;
    let order: Vec<usize> = (0..SHOTS).collect();
    let mut sum = ReproducibleSum::new(1000);
    let mut misfits = vec![0.0; SHOTS];
    cluster.for_each_shot(&order, stop, &mut |shot| {
        thread::sleep(Duration::from_millis(random(shot as u64) % 8));
        // Magnitudes over 20 decades, so that the order of plain additions would show. One shot stands out by far, so
        // that the accumulators of the ranks have different windows.
        let large = if shot == 5 { 20 } else { 0 };
        let gradient: Vec<f64> = (0..1000)
            .map(|i| {
                let bits = random((shot * 1000 + i) as u64);
                (bits as f64 / u64::MAX as f64 - 0.5) * 10f64.powi((bits % 20) as i32 + large)
            })
            .collect();
        misfits[shot] = if shot == 3 { -0.0 } else { gradient[0] };
        sum.add(&gradient).map_err(|error| Failure::new(4, error.to_string()))
    })?;
    cluster.sum(&mut sum).map_err(|error| Failure::new(4, error.to_string()))?;
    cluster.sum_owned(&mut misfits);
    let bits = |values: &[f64]| values.iter().fold(7u64, |hash, value| random(hash ^ value.to_bits()));
    // More elements than one call to MPI takes.
    let mut long: Vec<i64> = (0..(1 << 20) + 3).map(|i| i * (cluster.rank() as i64 + 1)).collect();
    cluster.all_sum(&mut long);
    let size = cluster.size() as i64;
    let right = long.iter().enumerate().all(|(i, &sum)| sum == i as i64 * size * (size + 1) / 2);
    // Sums that cannot be formed are refused everywhere.
    let refused = cluster.sum(&mut ReproducibleSum::new(1 + cluster.rank())).is_err();
    let refused = cluster.all_max(-i64::from(refused)) == -1;
    if cluster.rank() == 0 {
        println!("bits {:x} {:x}, {} summands", bits(&sum.values()), bits(&misfits), sum.summands());
        println!("long sum right: {right}, largest {}, unequal lengths refused: {refused}", sum.top());
    }
    Ok(0)
}

/// Bytes from rank 0 to all and back, and those of the node.
fn bytes(cluster: &dyn Cluster, len: usize) -> Result<i32, Failure> {
    let letter = |rank: usize| (0..len + rank).map(|i| random((i / 8 + rank) as u64) as u8).collect::<Vec<u8>>();
    let mut all = if cluster.rank() == 0 { letter(9) } else { letter(0) };
    cluster.broadcast(&mut all);
    let broadcast = !cluster.any(all != letter(9));
    let node = cluster.collect_on_node(&letter(cluster.rank()));
    let ranks = cluster.ranks_on_node();
    let node = !cluster.any(node.len() != ranks || node != (0..ranks).map(letter).collect::<Vec<_>>());
    if let Some(all) = cluster.collect(&letter(cluster.rank())) {
        let collected = all == (0..cluster.size()).map(letter).collect::<Vec<_>>();
        println!("broadcast {broadcast}, collect {collected}, node {node}");
    }
    Ok(0)
}

/// All ranks from `first` on fail, each in its own way.
fn agree(cluster: &dyn Cluster, first: usize) -> Result<i32, Failure> {
    let rank = cluster.rank();
    assert_eq!(cluster.agree(Ok(rank)), Ok(rank), "nobody failed");
    let own = if rank >= first { Err(Failure::new(3 + rank as i32, format!("trace {rank} is bad"))) } else { Ok(0) };
    if rank >= first {
        failing();
    }
    cluster.agree(own)
}

/// A stop requested on one rank, during its second shot or when it has none.
fn stopped(cluster: &dyn Cluster, rank: usize, stop: &StopFlag) -> Result<i32, Failure> {
    let order: Vec<usize> = (0..1000).collect();
    let mut own = 0;
    let completion = cluster.for_each_shot(&order, stop, &mut |_| {
        own += 1;
        if own == 2 && cluster_rank() == rank {
            stop.request();
        }
        thread::sleep(Duration::from_millis(30));
        Ok(())
    })?;
    let mut done = [own];
    cluster.all_sum(&mut done);
    let known = cluster.all_max(-i64::from(stop.requested())) == -1;
    if cluster.rank() == 0 {
        println!("{completion:?}, few done: {}, known to all: {known}", done[0] <= 3 * cluster.size() as i64 + 3);
    }
    Ok(if completion == Completion::Stopped { 75 } else { 0 })
}

/// Pairs of short queues; in the first of each pair the last rank asks to stop at about its end, in the second nobody.
fn late_stops(cluster: &dyn Cluster, pairs: usize) -> Result<i32, Failure> {
    let mut stopped = 0;
    for pair in 0..pairs {
        let stop = StopFlag::default();
        thread::scope(|scope| {
            if cluster.rank() + 1 == cluster.size() {
                let stop = &stop;
                scope.spawn(move || {
                    thread::sleep(Duration::from_micros(random(pair as u64) % 1500));
                    stop.request();
                });
            }
            cluster.for_each_shot(&[0, 1], &stop, &mut |_| Ok(()))
        })?;
        let completion = cluster.for_each_shot(&[0, 1], &StopFlag::default(), &mut |_| Ok(()))?;
        stopped += usize::from(completion == Completion::Stopped);
    }
    if cluster.rank() == 0 {
        println!("stopped by mistake: {stopped}");
    }
    Ok(0)
}

/// One rank breaks in one of many ways while the others have long shots or wait.
fn broken(cluster: &dyn Cluster, how: &str, rank: usize, stop: &StopFlag) -> Result<i32, Failure> {
    let me = cluster.rank() == rank;
    // A broken rank may break before others have come to their shots.
    let patience = Duration::from_millis(200);
    match how {
        "error" | "panic" | "side-panic" | "mute-panic" | "kill" => {
            let order: Vec<usize> = (0..100).collect();
            cluster.for_each_shot(&order, stop, &mut |shot| {
                if !me {
                    thread::sleep(Duration::from_secs(60));
                    return Ok(());
                }
                thread::sleep(patience);
                failing();
                match how {
                    "error" => return Err(Failure::new(4, format!("shot {shot} blew up"))),
                    "panic" => panic!("a shot met a bug"),
                    "mute-panic" => {
                        // Another thread hangs in writing to standard error.
                        thread::spawn(|| {
                            let _held = std::io::stderr().lock();
                            thread::sleep(Duration::from_secs(60));
                        });
                        thread::sleep(patience);
                        panic!("nobody hears of this bug");
                    }
                    "kill" => signal_hook::low_level::raise(signal_hook::consts::SIGKILL).unwrap(),
                    _ => drop(thread::spawn(|| panic!("a side thread met a bug"))),
                }
                thread::sleep(Duration::from_secs(60));
                Ok(())
            })?;
        }
        "error-outside" if me => {
            thread::sleep(patience);
            failing();
            return Err(Failure::new(3, "no such file"));
        }
        "everywhere" => {
            cluster.barrier();
            failing();
            panic!("a bug that all ranks meet");
        }
        "error-everywhere" => {
            cluster.barrier();
            failing();
            return Err(Failure::new(3, "a file that no rank finds"));
        }
        _ => cluster.barrier(),
    }
    Ok(0)
}

/// Synthetic shots that take 1 to 4 times 25 ms of nothing, the dearest first or `mixed`: so that shots dealt out
/// in turn would give one rank all the dear ones. Rank 0 prints the share of time in which ranks had none.
fn idle(cluster: &dyn Cluster, shots: usize, seed: u64, mixed: bool, stop: &StopFlag) -> Result<i32, Failure> {
    let cost = |shot: usize| 25.0 * (1.0 + 3.0 * random(seed << 32 | shot as u64) as f64 / u64::MAX as f64);
    let mut order: Vec<usize> = (0..shots).collect();
    order.sort_by(|&a, &b| cost(b).total_cmp(&cost(a)));
    if mixed {
        let each = shots.div_ceil(cluster.size());
        order = (0..each).flat_map(|i| order.iter().skip(i).step_by(each).copied().collect::<Vec<_>>()).collect();
    }
    cluster.barrier();
    let (begin, before) = (Instant::now(), cpu_seconds());
    // Between the end of a shot and the begin of the next.
    let (mut last_end, mut waited, mut worked, mut own) = (begin, Duration::ZERO, Duration::ZERO, 0);
    cluster.for_each_shot(&order, stop, &mut |shot| {
        let now = Instant::now();
        if own > 0 {
            waited += now - last_end;
        }
        thread::sleep(Duration::from_secs_f64(cost(shot) / 1000.0));
        (last_end, own) = (Instant::now(), own + 1);
        worked += last_end - now;
        Ok(())
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut sums = [worked.as_nanos() as i64, waited.as_nanos() as i64, own, ((cpu_seconds() - before) * 1e3) as i64];
    cluster.all_sum(&mut sums);
    if cluster.rank() == 0 {
        let share = 1.0 - sums[0] as f64 / 1e9 / (seconds * cluster.size() as f64);
        let wait_ms = sums[1] as f64 / 1e6 / (sums[2] - cluster.size() as i64) as f64;
        let carriers = sums[3] as f64 / 1e3 / (seconds * cluster.size() as f64);
        println!(
            "idle share {share:.4}, mean wait between shots {wait_ms:.4} ms, carriers {carriers:.4} of a processor"
        );
    }
    Ok(0)
}

/// Synthetic gradients over and over: shots that take 1 to 4 times `unit_ms` of nothing, the dearest first, and the calls and sums of a
/// model of some cells. Rank 0 prints what was measured and what the simulation predicts, with the latency and the bandwidth of sums
/// measured here before.
fn scaling(
    cluster: &dyn Cluster,
    [shots, unit_ms, cells, repetitions]: [usize; 4],
    stop: &StopFlag,
) -> Result<i32, Failure> {
    let cost = |shot: usize| unit_ms as f64 / 1e3 * (1.0 + 3.0 * random(shot as u64) as f64 / u64::MAX as f64);
    let mut order: Vec<usize> = (0..shots).collect();
    order.sort_by(|&a, &b| cost(b).total_cmp(&cost(a)));
    let shot_s: Vec<f64> = order.iter().map(|&shot| cost(shot)).collect();
    let machine = measured(cluster, 3 * cells);
    let work = Gradient { shot_s: &shot_s, spilled_bytes: 0.0, cells, ledger_every: Duration::from_secs(3600) };
    let mut sums = [0, 1].map(|_| ReproducibleSum::new(cells));
    for sum in &mut sums {
        sum.add(&vec![1.0; cells]).map_err(|error| Failure::new(4, error.to_string()))?;
    }
    let (mut queues, mut all) = (Vec::new(), Vec::new());
    for _ in 0..repetitions {
        let mut own = sums.clone();
        cluster.barrier();
        let began = Instant::now();
        small_calls(cluster, simulation::SMALL_BEFORE);
        let shots_began = Instant::now();
        cluster.for_each_shot(&order, stop, &mut |shot| {
            thread::sleep(Duration::from_secs_f64(cost(shot)));
            Ok(())
        })?;
        queues.push(shots_began.elapsed().as_secs_f64());
        // A sum makes four of the small calls itself.
        small_calls(cluster, simulation::SMALL_AFTER - 4 * own.len());
        for sum in &mut own {
            cluster.sum(sum).map_err(|error| Failure::new(4, error.to_string()))?;
        }
        cluster.sum_owned(&mut vec![0.0; shots]);
        all.push(began.elapsed().as_secs_f64());
    }
    if cluster.rank() == 0 {
        let Prediction { seconds, shares, .. } = simulation::predict(&machine, &work);
        let in_sums = shares.sum * seconds;
        println!(
            "{} ranks: shots measured {:.4} s, predicted {:.4} s; sums measured {:.4} s, predicted {in_sums:.4} s; efficiency {:.4}; \
             latency {:.1} us, bandwidth {:.2} GB/s",
            cluster.size(),
            median(&mut queues.clone()),
            seconds - in_sums,
            median(&mut all.iter().zip(&queues).map(|(all, queue)| all - queue).collect::<Vec<f64>>()),
            shares.computing,
            1e6 * machine.latency_s,
            machine.bandwidth / 1e9
        );
    }
    Ok(0)
}

/// The ranks of this job as one node: latency and bandwidth are those that give its calls on single numbers, and its sums of so many words, the
/// time that they take here.
fn measured(cluster: &dyn Cluster, words: usize) -> Machine {
    let ranks = cluster.size();
    let seconds_of = |times: usize, call: &mut dyn FnMut()| {
        let seconds = (0..times).map(|_| {
            cluster.barrier();
            let began = Instant::now();
            call();
            began.elapsed().as_secs_f64()
        });
        median(&mut seconds.collect::<Vec<f64>>())
    };
    let small_s = seconds_of(51, &mut || small_calls(cluster, 1));
    let mut numbers = vec![1; words];
    let sum_s = seconds_of(7, &mut || cluster.all_sum(&mut numbers));
    let machine = Machine {
        ranks_per_node: ranks,
        summing_bandwidth: f64::INFINITY,
        node_mtbf_s: f64::INFINITY,
        ..Machine::of_ranks(ranks)
    };
    // The latency with which a meeting and a sum of one number take as long as here, by bisection.
    let takes = |latency_s| {
        let machine = Machine { latency_s, ..machine };
        simulation::barrier_s(&machine) + simulation::sum_s(&machine, 8.0)
    };
    let (mut below, mut above) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = (below + above) / 2.0;
        *(if takes(middle) < small_s { &mut below } else { &mut above }) = middle;
    }
    let latency_s = if ranks > 1 { above } else { machine.latency_s };
    let bytes_s = (sum_s - small_s).max(1e-9);
    Machine {
        latency_s,
        message_s: 1e-6,
        bandwidth: 2.0 * (ranks - 1).max(1) as f64 * 8.0 * words as f64 / bytes_s,
        ..machine
    }
}

/// Calls on single numbers.
fn small_calls(cluster: &dyn Cluster, times: usize) {
    for _ in 0..times {
        cluster.all_max(0);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Rank 0 keeps all waiting for two seconds; every rank says what processor time that took.
fn wait(cluster: &dyn Cluster) -> Result<i32, Failure> {
    cluster.barrier();
    let before = cpu_seconds();
    if cluster.rank() == 0 {
        thread::sleep(Duration::from_secs(2));
    }
    cluster.broadcast(&mut vec![1]);
    println!("waiting took {:.3} s", cpu_seconds() - before);
    Ok(0)
}

fn threads(cluster: &dyn Cluster) -> Result<i32, Failure> {
    let threads = threads_per_rank(cluster);
    println!("rank {}: {} threads, {}", cluster.rank(), threads.count, threads.warning.unwrap_or_default());
    Ok(0)
}

fn failing() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    println!("failing at {}", now.as_millis());
}

/// Rank as the launcher tells it, for closures that run beside the thread of the cluster.
fn cluster_rank() -> usize {
    let told = ["OMPI_COMM_WORLD_RANK", "PMI_RANK"].into_iter().find_map(|name| env::var(name).ok());
    told.and_then(|rank| rank.parse().ok()).unwrap_or(0)
}

/// Processor time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// A number that looks random, the same for the same seed (splitmix64: Steele, Lea & Flood 2014).
fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
