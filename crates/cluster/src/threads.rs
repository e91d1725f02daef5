//! How many threads a rank should have.

use std::{env, fs, thread};

use crate::{Cluster, launcher, shim};

/// Variables that set the number of threads, the most particular first.
const VARIABLES: [&str; 3] = ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"];

/// How many threads a rank should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    /// The number, at least 1.
    pub count: usize,
    /// Why this may not be what was meant, to be told once per node; empty on other ranks than the first of a node.
    pub warning: Option<String>,
}

/// What the number depends on.
struct Circumstances<'a> {
    /// CPUs each rank of the node may run on.
    masks: &'a [Vec<usize>],
    /// This rank among them.
    own: usize,
    /// CPUs the processes of this node may use at a time (control groups limit them without a mask).
    quota: usize,
    /// CPUs of the node that are there for this job.
    node: usize,
    /// Whether a launcher started the ranks, and may have bound them.
    launched: bool,
    /// What a variable asks for.
    wanted: Option<(&'static str, usize)>,
}

/// The number of threads for this rank: what `RAYON_NUM_THREADS`, `OMP_NUM_THREADS` or `SLURM_CPUS_PER_TASK` says (the
/// first that is set), else this rank's share of the CPUs it may run on.
///
/// A CPU that several ranks of the node may run on belongs to one of them, so that the threads of a node are as many as
/// its CPUs. Warns when the launcher has bound the ranks so that CPUs stay idle, and when a variable asks for more
/// threads than there are CPUs. Collective.
pub fn threads_per_rank(cluster: &dyn Cluster) -> Threads {
    let own: Vec<u8> = shim::own_cpus().iter().flat_map(|&cpu| (cpu as u32).to_le_bytes()).collect();
    // The rank goes ahead of its mask, to find the own one among those of the node.
    let letter = [&(cluster.rank() as u64).to_le_bytes()[..], &own].concat();
    let letters = cluster.collect_on_node(&letter);
    let masks: Vec<Vec<usize>> = letters
        .iter()
        .map(|letter| letter[8..].as_chunks().0.iter().map(|&cpu| u32::from_le_bytes(cpu) as usize).collect())
        .collect();
    let variable = |name: &str| env::var(name).ok();
    choose(&Circumstances {
        masks: &masks,
        own: letters.iter().position(|other| *other == letter).unwrap_or(0),
        quota: thread::available_parallelism().map_or(usize::MAX, usize::from),
        node: cpus_of_node(variable),
        launched: launcher::launched(variable),
        wanted: wanted(variable),
    })
}

fn choose(at: &Circumstances) -> Threads {
    let first_cpus = at.masks[at.own].len().max(1);
    let share = share(at.masks, at.own);
    // A quota below the mask is the quota of all ranks together.
    let share = if at.quota < first_cpus { share.min(at.quota / at.masks.len()) } else { share }.max(1);
    let count = at.wanted.map_or(share, |(_, count)| count);
    let mut bound: Vec<usize> = at.masks.concat();
    bound.sort_unstable();
    bound.dedup();
    let (ranks, usable) = (at.masks.len(), bound.len());
    let warning = if at.own > 0 {
        None
    } else if at.launched && usable < at.node {
        Some(format!(
            "the {ranks} ranks of this node are bound to {usable} of its {} CPUs, the others stay idle; \
             start with `mpirun --bind-to none` (or `--map-by slot:PE=<threads>`, `srun --cpus-per-task=<threads>`)",
            at.node
        ))
    } else {
        at.wanted.filter(|&(_, count)| count * ranks > usable).map(|(variable, count)| {
            format!(
                "{variable}={count} gives the {ranks} ranks of this node {} threads on {usable} CPUs",
                count * ranks
            )
        })
    };
    Threads { count, warning }
}

/// CPUs of rank `own` when each CPU goes to the one rank, among those that may use it, that has the fewest so far.
fn share(masks: &[Vec<usize>], own: usize) -> usize {
    let mut counts = vec![0; masks.len()];
    let mut cpus: Vec<usize> = masks.concat();
    cpus.sort_unstable();
    cpus.dedup();
    for cpu in cpus {
        let users = (0..masks.len()).filter(|&rank| masks[rank].binary_search(&cpu).is_ok());
        if let Some(rank) = users.min_by_key(|&rank| counts[rank]) {
            counts[rank] += 1;
        }
    }
    counts[own]
}

/// The first variable that sets a number of threads. `OMP_NUM_THREADS` may be a list, one number per nested level.
fn wanted(variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, usize)> {
    VARIABLES.into_iter().find_map(|name| {
        let value = variable(name)?;
        let count = value.split(',').next()?.trim().parse().ok().filter(|&count| count > 0)?;
        Some((name, count))
    })
}

/// CPUs of this node that are there for this job: those online, less those that the control group of a container or an
/// allocation of Slurm keeps away.
fn cpus_of_node(variable: impl Fn(&str) -> Option<String>) -> usize {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").ok().and_then(|list| count_cpus(&list));
    // In a container the first process is bound as the container is; elsewhere it may use all.
    let first = fs::read_to_string("/proc/1/status")
        .ok()
        .and_then(|status| count_cpus(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?));
    let allocated = variable("SLURM_CPUS_ON_NODE").and_then(|value| value.trim().parse().ok());
    [online, first, allocated].into_iter().flatten().min().unwrap_or(0)
}

/// The number of CPUs of a list such as `0-3,8`.
fn count_cpus(list: &str) -> Option<usize> {
    list.trim().split(',').try_fold(0, |count, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(count + (last + 1).checked_sub(first)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SoloCluster;

    fn at(masks: &[Vec<usize>], own: usize) -> Circumstances<'_> {
        Circumstances { masks, own, quota: usize::MAX, node: 8, launched: true, wanted: None }
    }

    #[test]
    fn ranks_that_share_a_mask_share_its_cpus_and_leave_none_idle() {
        let masks = vec![(0..8).collect::<Vec<_>>(); 3];
        let counts: Vec<usize> = (0..3).map(|own| choose(&at(&masks, own)).count).collect();
        assert_eq!(counts, [3, 3, 2]);
        assert_eq!(choose(&at(&masks, 0)).warning, None);
    }

    #[test]
    fn a_rank_bound_to_its_own_cpus_has_them_all() {
        let masks = [(0..4).collect::<Vec<_>>(), (4..8).collect()];
        assert_eq!([0, 1].map(|own| choose(&at(&masks, own)).count), [4, 4]);
        // Overlapping masks: nobody's CPU is counted twice.
        let masks = [(0..8).collect::<Vec<_>>(), (4..8).collect()];
        assert_eq!([0, 1].map(|own| choose(&at(&masks, own)).count), [4, 4]);
    }

    #[test]
    fn more_ranks_than_cpus_have_one_thread_each() {
        let masks = vec![vec![0, 1]; 5];
        assert!((0..5).all(|own| choose(&at(&masks, own)).count == 1));
    }

    #[test]
    fn a_binding_that_leaves_cpus_idle_is_told_by_the_first_rank_of_the_node() {
        let masks = [vec![0], vec![1]];
        let Threads { count, warning } = choose(&at(&masks, 0));
        assert_eq!(count, 1);
        let warning = warning.unwrap();
        assert!(warning.contains("bound to 2 of its 8 CPUs") && warning.contains("--bind-to none"), "{warning}");
        assert_eq!(choose(&at(&masks, 1)).warning, None);
        // Without a launcher it was the user who bound the process.
        assert_eq!(choose(&Circumstances { launched: false, ..at(&masks, 0) }).warning, None);
    }

    #[test]
    fn variables_are_respected_and_told_if_they_ask_for_too_much() {
        let masks = vec![(0..8).collect::<Vec<_>>(); 2];
        let with = |count| choose(&Circumstances { wanted: Some(("OMP_NUM_THREADS", count)), ..at(&masks, 0) });
        assert_eq!(with(2), Threads { count: 2, warning: None });
        assert_eq!(with(5).count, 5);
        assert!(with(5).warning.unwrap().contains("OMP_NUM_THREADS=5 gives the 2 ranks of this node 10 threads on 8"));
        let of = |set: &'static [(&str, &str)]| {
            wanted(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string()))
        };
        assert_eq!(of(&[("SLURM_CPUS_PER_TASK", "4")]), Some(("SLURM_CPUS_PER_TASK", 4)));
        assert_eq!(of(&[("SLURM_CPUS_PER_TASK", "4"), ("OMP_NUM_THREADS", "3,2")]), Some(("OMP_NUM_THREADS", 3)));
        assert_eq!(of(&[("RAYON_NUM_THREADS", "0"), ("OMP_NUM_THREADS", "3")]), Some(("OMP_NUM_THREADS", 3)));
        assert_eq!(of(&[("OMP_NUM_THREADS", "many")]), None);
    }

    #[test]
    fn a_quota_below_the_mask_is_shared_by_the_ranks() {
        let masks = vec![(0..64).collect::<Vec<_>>(); 2];
        assert_eq!(choose(&Circumstances { quota: 8, node: 64, ..at(&masks, 1) }).count, 4);
        assert_eq!(choose(&Circumstances { quota: 1, node: 64, ..at(&masks, 1) }).count, 1);
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        assert_eq!(count_cpus("0-3,8\n"), Some(5));
        assert_eq!(count_cpus("0"), Some(1));
        assert_eq!(["", "a-b", "5-3"].map(count_cpus), [None; 3]);
    }

    #[test]
    fn one_process_on_its_own_has_the_cpus_it_may_run_on() {
        let Threads { count, .. } = threads_per_rank(&SoloCluster);
        let variable = wanted(|name| env::var(name).ok());
        assert_eq!(count, variable.map_or(thread::available_parallelism().unwrap().get(), |(_, count)| count));
    }
}
