# shellcheck shell=bash
# What all scripts share: messages, where things are, and an MPI that starts ranks on any machine. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # read by the scripts that source this file
readonly root
target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$root/$target ;; esac
# shellcheck disable=SC2034
venv=$target/python

# A rustup installation is found even where no login shell has read its profile line.
if [[ -d ${CARGO_HOME:-$HOME/.cargo}/bin ]]; then
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
fi

say() { printf '\n== %s\n' "$*"; }
note() { printf '%s\n' "$*"; }
# Exit code 5 is the program's own code for "the environment lacks something".
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 5
}
usage_error() {
    printf '%s: %s (see --help)\n' "$(basename "$0")" "$*" >&2
    exit 2
}
# The comment block at the head of a script is its help.
print_help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# Environment variables rather than options of mpirun: tests and programs that start mpirun themselves get them too.
# - Containers and small machines run as root, and with more ranks than cores.
# - By default Open MPI binds a rank to one core when there are at most two ranks, so that a rank sees one thread.
# The PRTE names are those of Open MPI 5; a name that a version does not know is ignored, as it is by MPICH.
mpi_environment() {
    if [[ $(id -u) == 0 ]]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
        export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    export OMPI_MCA_rmaps_base_oversubscribe=${OMPI_MCA_rmaps_base_oversubscribe:-1}
    export OMPI_MCA_hwloc_base_binding_policy=${OMPI_MCA_hwloc_base_binding_policy:-none}
    export PRTE_MCA_rmaps_default_mapping_policy=${PRTE_MCA_rmaps_default_mapping_policy:-:oversubscribe}
    export PRTE_MCA_hwloc_default_binding_policy=${PRTE_MCA_hwloc_default_binding_policy:-none}
}
