//! Which launcher started this process, and whether its MPI is ours.
//!
//! A program built for one MPI and started by the launcher of another runs as many single processes, each doing the
//! whole job, and nothing says so. What the launchers leave in the environment tells.

use crate::ClusterError;

/// Steps of a Slurm job that are not started by `srun` (batch script, interactive shell, …) have numbers from here.
const SLURM_SPECIAL_STEPS: u64 = 0xffff_fff0;

/// The variables that tell the number of processes, and what to do if it is not ours.
const OPEN_MPI: (&str, &str) =
    ("OMPI_COMM_WORLD_SIZE", "it was started by Open MPI's mpirun; use the launcher of the MPI it was built with");
const PMI: (&str, &str) = (
    "PMI_SIZE",
    "it was started by a launcher with PMI (MPICH, Intel MPI, srun --mpi=pmi2); use the launcher of the MPI it was built with",
);
const SLURM: (&str, &str) =
    ("SLURM_STEP_NUM_TASKS", "srun did not pass MPI on; try `srun --mpi=pmix`, or mpirun inside the job");
const SLURM_OLD: (&str, &str) = ("SLURM_NTASKS", SLURM.1);

/// The launchers that say how many processes they started. Those of MPI come first, Slurm counts only below `srun`: a
/// batch script has its variables too, with a single process in it.
fn launchers(variable: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, usize, &'static str)> {
    let number = |name: &str| variable(name).and_then(|value| value.trim().parse::<u64>().ok());
    let below_srun =
        number("SLURM_PROCID").is_some() && number("SLURM_STEP_ID").is_some_and(|step| step < SLURM_SPECIAL_STEPS);
    let slurm = if number(SLURM.0).is_some() { SLURM } else { SLURM_OLD };
    [Some(OPEN_MPI), Some(PMI), below_srun.then_some(slurm)]
        .into_iter()
        .flatten()
        .filter_map(|(name, advice)| Some((name, number(name)? as usize, advice)))
        .collect()
}

/// Whether a launcher started this process.
pub(crate) fn launched(variable: impl Fn(&str) -> Option<String>) -> bool {
    !launchers(variable).is_empty()
}

/// Refuses a number of ranks that no launcher started. Launchers may be nested (mpirun in a step of srun): it is enough
/// that one agrees.
pub(crate) fn check(seen: usize, variable: impl Fn(&str) -> Option<String>) -> Result<(), ClusterError> {
    let launchers = launchers(variable);
    match launchers.first() {
        Some(&(variable, launched, advice)) if launchers.iter().all(|&(_, launched, _)| launched != seen) => {
            Err(ClusterError::Launcher { variable, launched, seen, advice })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string())
    }

    #[test]
    fn without_a_launcher_one_process_is_right() {
        assert_eq!(check(1, of(&[])), Ok(()));
        assert!(!launched(of(&[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")])));
    }

    #[test]
    fn the_launcher_of_another_mpi_is_refused() {
        for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
            let error = check(1, of(&[(name, "4")])).unwrap_err();
            assert!(matches!(error, ClusterError::Launcher { variable, launched: 4, seen: 1, .. } if variable == name));
            assert!(error.to_string().contains(&format!("{name}=4")));
            assert_eq!(check(4, of(&[(name, "4")])), Ok(()));
        }
    }

    #[test]
    fn slurm_counts_only_below_srun() {
        let batch = [("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")];
        assert_eq!(check(1, of(&batch)), Ok(()));
        let shell = [("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0"), ("SLURM_STEP_ID", "4294967290")];
        assert_eq!(check(1, of(&shell)), Ok(()));
        let step = [("SLURM_NTASKS", "8"), ("SLURM_PROCID", "3"), ("SLURM_STEP_ID", "0")];
        assert!(matches!(
            check(1, of(&step)),
            Err(ClusterError::Launcher { variable: "SLURM_NTASKS", launched: 8, seen: 1, .. })
        ));
        assert_eq!(check(8, of(&step)), Ok(()));
    }

    #[test]
    fn a_step_smaller_than_its_job_counts_its_own_tasks() {
        let step =
            [("SLURM_NTASKS", "8"), ("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "1"), ("SLURM_STEP_ID", "4")];
        assert_eq!(check(2, of(&step)), Ok(()));
        assert!(check(8, of(&step)).is_err());
    }

    #[test]
    fn of_nested_launchers_one_that_agrees_is_enough() {
        let nested = [("OMPI_COMM_WORLD_SIZE", "4"), ("PMI_SIZE", "1")];
        assert_eq!(check(4, of(&nested)), Ok(()));
        assert!(check(2, of(&nested)).is_err());
    }
}
