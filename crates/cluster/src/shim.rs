//! The few calls into the C library that have no safe form.

/// CPUs that the calling thread may run on, in ascending order.
#[cfg(target_os = "linux")]
pub(crate) fn own_cpus() -> Vec<usize> {
    // Room for 8192 CPUs; the kernel refuses a set smaller than its own.
    let mut words = [0u64; 128];
    // SAFETY: the kernel writes at most `size_of_val(&words)` bytes to `words`, which is aligned at least as `cpu_set_t`
    // (an array of unsigned long), outlives the call, and is valid for any bits.
    let status = unsafe { libc::sched_getaffinity(0, size_of_val(&words), words.as_mut_ptr().cast()) };
    if status != 0 {
        return fallback();
    }
    (0..words.len() * 64).filter(|cpu| words[cpu / 64] >> (cpu % 64) & 1 == 1).collect()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn own_cpus() -> Vec<usize> {
    fallback()
}

/// As many CPUs as the standard library reports.
fn fallback() -> Vec<usize> {
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

/// Arrays of this many bytes go back to the system when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GOES_BACK: libc::c_int = 128 << 10;

/// Makes the allocator give large arrays back when they are freed.
///
/// Left alone, that of glibc keeps more and more of them: an inversion of Marmousi then takes 189 instead of 152 MiB per rank.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes two numbers, and what is allocated already stays as it is. An option that is not known, as with
    // another allocator in the place of glibc's, is ignored.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, GOES_BACK)
    };
}

/// Ends the process at once, without exit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any value and does not return; nothing of this process is used afterwards.
    unsafe { libc::_exit(code) }
}

/// Gives SIGTERM its default action back: the end of the process.
pub(crate) fn restore_sigterm() {
    // SAFETY: `SIG_DFL` is a valid disposition and no handler of ours is installed by this call; other threads see
    // either the old or the new one.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
}
