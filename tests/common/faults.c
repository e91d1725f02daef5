/*
 * Faults from outside, for a program that has no hooks for them. Loaded with LD_PRELOAD; compiled by the tests.
 *
 *   FAULT_RANK    the rank that meets the fault, as the launcher numbers it; a process without launcher is rank 0
 *   FAULT_THREAD  how the name of the thread begins that meets it
 *   FAULT_KIND    clock   the monotonic clock cannot be read, and Rust's standard library panics where it wants the time
 *                 sleep   a sleep fails, and Rust's standard library panics
 *                 write   a write to a file fails with "Input/output error"
 *                 read    what is read from a file is not what was written, and no number
 *   FAULT_WHEN    a file: nothing happens before it is there
 *
 * Clock and sleep fail once, files again and again.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const char *fault_kind, *fault_thread, *fault_when;
static void *program;
static atomic_int met;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_nanosleep)(const struct timespec *, struct timespec *);
static int (*real_clock_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);

static void *base_of(void *address)
{
    Dl_info info;
    return dladdr(address, &info) ? info.dli_fbase : NULL;
}

__attribute__((constructor)) static void begin(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK"), *chosen = getenv("FAULT_RANK");
    if (!rank)
        rank = getenv("PMI_RANK");
    if (!rank)
        rank = "0";
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_nanosleep = dlsym(RTLD_NEXT, "nanosleep");
    real_clock_nanosleep = dlsym(RTLD_NEXT, "clock_nanosleep");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_pread = dlsym(RTLD_NEXT, "pread");
    fault_thread = getenv("FAULT_THREAD");
    fault_when = getenv("FAULT_WHEN");
    program = base_of((void *)getauxval(AT_ENTRY));
    if (chosen && fault_thread && fault_when && strcmp(rank, chosen) == 0)
        fault_kind = getenv("FAULT_KIND");
}

/* Whether the calling thread is the one that meets a fault of this kind. */
static int concerned(const char *kind)
{
    char name[16] = "";
    if (!fault_kind || strcmp(fault_kind, kind) != 0)
        return 0;
    prctl(PR_GET_NAME, name);
    return strncmp(name, fault_thread, strlen(fault_thread)) == 0 && !atomic_load(&met);
}

static int due(const char *kind)
{
    int before = errno, there = concerned(kind) && access(fault_when, F_OK) == 0;
    errno = before;
    return there;
}

/* Sleeps until the fault is due. */
static void sleep_until_due(void)
{
    struct timespec moment = {0, 10000000};
    while (!due("sleep"))
        real_nanosleep(&moment, NULL);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    /* Libraries are spared: they do not panic. */
    if (fault_kind && clock == CLOCK_MONOTONIC && base_of(__builtin_return_address(0)) == program && due("clock") &&
        !atomic_exchange(&met, 1)) {
        errno = EINVAL;
        return -1;
    }
    return real_clock_gettime ? real_clock_gettime(clock, time) : (errno = EINVAL, -1);
}

int nanosleep(const struct timespec *time, struct timespec *rest)
{
    if (!concerned("sleep"))
        return real_nanosleep(time, rest);
    sleep_until_due();
    atomic_store(&met, 1);
    errno = EINVAL;
    return -1;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *rest)
{
    if (!concerned("sleep"))
        return real_clock_nanosleep(clock, flags, time, rest);
    sleep_until_due();
    atomic_store(&met, 1);
    return EINVAL;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
    if (due("write")) {
        errno = EIO;
        return -1;
    }
    return real_pwrite(file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t offset)
{
    return pwrite(file, bytes, count, offset);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset)
{
    ssize_t done = real_pread(file, bytes, count, offset);
    /* Snapshots are large, what HDF5 reads for itself is small. */
    if (done > 4096 && due("read"))
        memset(bytes, 0xff, done);
    return done;
}

ssize_t pread64(int file, void *bytes, size_t count, off_t offset)
{
    return pread(file, bytes, count, offset);
}
