//! Which launcher started this process, and whether its MPI is ours.
//!
//! A program built for one MPI and started by the launcher of another runs as many single processes, each doing the
//! whole job, and nothing says so. What the launchers leave in the environment tells.

use crate::ClusterError;

/// Steps of a Slurm job that are not started by `srun` (batch script, interactive shell, …) have numbers from here.
const SLURM_SPECIAL_STEPS: u64 = 0xffff_fff0;

/// What a launcher leaves in the environment.
#[derive(Clone, Copy, Debug)]
struct Launcher {
    /// The variable that tells the number of processes.
    size: &'static str,
    /// The variable that tells which of them this one is.
    rank: &'static str,
    /// Which launchers these are.
    who: &'static str,
}

const OPEN_MPI: Launcher =
    Launcher { size: "OMPI_COMM_WORLD_SIZE", rank: "OMPI_COMM_WORLD_RANK", who: "it was started by Open MPI's mpirun" };
const PMI: Launcher = Launcher {
    size: "PMI_SIZE",
    rank: "PMI_RANK",
    who: "it was started by a launcher with PMI (MPICH, Intel MPI, srun --mpi=pmi2)",
};
const SLURM: Launcher =
    Launcher { size: "SLURM_STEP_NUM_TASKS", rank: "SLURM_PROCID", who: "srun did not pass MPI on" };
const SLURM_OLD: Launcher = Launcher { size: "SLURM_NTASKS", ..SLURM };

/// The launchers that say how many processes they started, with that number. Slurm counts only below `srun`, a batch
/// script has its variables too, with a single process in it; and only where no launcher of MPI speaks, which may have had
/// `srun` start one daemon per node.
fn launchers(variable: impl Fn(&str) -> Option<String>) -> Vec<(Launcher, usize)> {
    let number = |name: &str| variable(name).and_then(|value| value.trim().parse::<u64>().ok());
    let below_srun =
        number(SLURM.rank).is_some() && number("SLURM_STEP_ID").is_some_and(|step| step < SLURM_SPECIAL_STEPS);
    let slurm = if number(SLURM.size).is_some() { SLURM } else { SLURM_OLD };
    let counted = |launcher: Launcher| Some((launcher, number(launcher.size)? as usize));
    let of_mpi: Vec<_> = [OPEN_MPI, PMI].into_iter().filter_map(counted).collect();
    if of_mpi.is_empty() { below_srun.then(|| counted(slurm)).flatten().into_iter().collect() } else { of_mpi }
}

/// Whether a launcher started this process.
pub(crate) fn launched(variable: impl Fn(&str) -> Option<String>) -> bool {
    !launchers(variable).is_empty()
}

/// Which of the processes of its launcher this one is, whatever MPI sees.
pub(crate) fn rank(library: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    let (launcher, _) = deciding(library, &variable).first().copied()?;
    variable(launcher.rank)?.trim().parse().ok()
}

/// The launchers whose numbers count: the own one of an MPI, if it says anything, or all there are.
fn deciding(library: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Vec<(Launcher, usize)> {
    let all = launchers(variable);
    let own = all.iter().find(|(launcher, _)| own_size(library) == Some(launcher.size)).copied();
    own.map_or(all, |own| vec![own])
}

/// Refuses a number of ranks that no launcher started; `library` is the MPI of this build. Launchers may be nested: where
/// the own one says nothing, it is enough that one agrees.
pub(crate) fn check(
    seen: usize,
    library: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), ClusterError> {
    let launchers = deciding(library, variable);
    match launchers.first() {
        Some(&(launcher, launched)) if launchers.iter().all(|&(_, launched)| launched != seen) => {
            let built = library.map_or("this program is built without MPI".into(), |library| {
                format!("this program is built with {}", library.split(',').next().unwrap_or(library))
            });
            let advice = format!("{}, and {built}: {}", launcher.who, fitting(library));
            Err(ClusterError::Launcher { variable: launcher.size, launched, seen, advice })
        }
        _ => Ok(()),
    }
}

fn is_open_mpi(library: &str) -> bool {
    library.contains("Open MPI")
}

fn is_mpich(library: &str) -> bool {
    ["MPICH", "Intel", "MVAPICH"].iter().any(|name| library.contains(name))
}

/// The variable of the launchers that come with an MPI.
fn own_size(library: Option<&str>) -> Option<&'static str> {
    match library? {
        library if is_open_mpi(library) => Some(OPEN_MPI.size),
        library if is_mpich(library) => Some(PMI.size),
        _ => None,
    }
}

/// The launchers that fit an MPI.
fn fitting(library: Option<&str>) -> &'static str {
    match library {
        None => "start one process, or build with MPI",
        Some(library) if is_open_mpi(library) => {
            "use Open MPI's own mpirun (Debian: mpirun.openmpi), or `srun --mpi=pmix`"
        }
        Some(library) if is_mpich(library) => "use its own mpirun (Debian: mpirun.mpich), or `srun --mpi=pmi2`",
        Some(_) => "use the launcher that comes with it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN_OPEN_MPI: &str = "Open MPI v4.1.4, package: Debian OpenMPI";
    const DEBIAN_MPICH: &str = "MPICH Version:\t4.0.2";

    fn of<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string())
    }

    #[test]
    fn without_a_launcher_one_process_is_right() {
        assert_eq!(check(1, None, of(&[])), Ok(()));
        assert!(!launched(of(&[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")])));
    }

    #[test]
    fn the_launcher_of_another_mpi_is_refused() {
        for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
            let error = check(1, None, of(&[(name, "4")])).unwrap_err();
            assert!(matches!(error, ClusterError::Launcher { variable, launched: 4, seen: 1, .. } if variable == name));
            assert!(error.to_string().contains(&format!("{name}=4")));
            assert_eq!(check(4, None, of(&[(name, "4")])), Ok(()));
        }
    }

    #[test]
    fn slurm_counts_only_below_srun() {
        let batch = [("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")];
        assert_eq!(check(1, None, of(&batch)), Ok(()));
        let shell = [("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0"), ("SLURM_STEP_ID", "4294967290")];
        assert_eq!(check(1, None, of(&shell)), Ok(()));
        let step = [("SLURM_NTASKS", "8"), ("SLURM_PROCID", "3"), ("SLURM_STEP_ID", "0")];
        assert!(matches!(
            check(1, None, of(&step)),
            Err(ClusterError::Launcher { variable: "SLURM_NTASKS", launched: 8, seen: 1, .. })
        ));
        assert_eq!(check(8, None, of(&step)), Ok(()));
    }

    #[test]
    fn a_step_smaller_than_its_job_counts_its_own_tasks() {
        let step =
            [("SLURM_NTASKS", "8"), ("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "1"), ("SLURM_STEP_ID", "4")];
        assert_eq!(check(2, None, of(&step)), Ok(()));
        assert!(check(8, None, of(&step)).is_err());
    }

    #[test]
    fn of_nested_launchers_one_that_agrees_is_enough() {
        let nested = [("OMPI_COMM_WORLD_SIZE", "4"), ("PMI_SIZE", "1")];
        assert_eq!(check(4, None, of(&nested)), Ok(()));
        assert!(check(2, None, of(&nested)).is_err());
    }

    #[test]
    fn the_daemon_that_srun_starts_for_a_launcher_of_mpi_does_not_count() {
        let daemon = [("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_PROCID", "0"), ("SLURM_STEP_ID", "0"), ("PMI_SIZE", "4")];
        assert!(check(1, Some(DEBIAN_OPEN_MPI), of(&daemon)).is_err());
        assert_eq!(check(4, Some(DEBIAN_MPICH), of(&daemon)), Ok(()));
    }

    #[test]
    fn what_the_own_launcher_says_counts() {
        let both = [("OMPI_COMM_WORLD_SIZE", "1"), ("PMI_SIZE", "4")];
        assert_eq!(check(1, Some(DEBIAN_OPEN_MPI), of(&both)), Ok(()));
        assert!(check(1, Some(DEBIAN_MPICH), of(&both)).is_err());
        assert_eq!(check(4, Some(DEBIAN_MPICH), of(&both)), Ok(()));
    }

    #[test]
    fn the_refusal_names_the_launcher_that_fits() {
        let said = |library, variable| check(1, library, of(&[(variable, "3")])).unwrap_err().to_string();
        let open_mpi = said(Some(DEBIAN_OPEN_MPI), "PMI_SIZE");
        assert!(open_mpi.contains("built with Open MPI v4.1.4: use Open MPI's own mpirun"), "{open_mpi}");
        let mpich = said(Some(DEBIAN_MPICH), "OMPI_COMM_WORLD_SIZE");
        assert!(mpich.contains("by Open MPI's mpirun, and") && mpich.contains("mpirun.mpich"), "{mpich}");
        assert!(said(None, "PMI_SIZE").contains("without MPI: start one process"));
    }

    #[test]
    fn the_launcher_tells_the_rank_that_mpi_does_not_see() {
        assert_eq!(rank(None, of(&[])), None);
        assert_eq!(rank(None, of(&[("PMI_SIZE", "3"), ("PMI_RANK", "2"), ("SLURM_PROCID", "0")])), Some(2));
        let nested =
            [("OMPI_COMM_WORLD_SIZE", "3"), ("OMPI_COMM_WORLD_RANK", "2"), ("PMI_SIZE", "1"), ("PMI_RANK", "0")];
        assert_eq!(rank(Some(DEBIAN_MPICH), of(&nested)), Some(0));
        assert_eq!(rank(None, of(&[("SLURM_NTASKS", "3"), ("SLURM_PROCID", "1"), ("SLURM_STEP_ID", "0")])), Some(1));
    }
}
