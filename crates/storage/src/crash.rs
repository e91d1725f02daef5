//! What happens where the HDF5 library crashes on a damaged file: one line that names the file, and the exit code of
//! bad data.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use libc::{SIGABRT, SIGBUS, SIGFPE, SIGSEGV, c_int, sigaction};

/// Exit code of bad data.
pub const CRASH_CODE: i32 = 3;
const SIGNALS: [c_int; 4] = [SIGSEGV, SIGBUS, SIGFPE, SIGABRT];

thread_local! {
    /// What this thread says if it crashes now; null while it reads no file.
    static LAST_WORDS: Cell<(*const u8, usize)> = const { Cell::new((ptr::null(), 0)) };
}

/// What was done at each of [`SIGNALS`] before.
static BEFORE: OnceLock<[sigaction; 4]> = OnceLock::new();

/// While it lives, a crash of this thread ends the process with [`CRASH_CODE`] and the line `error: PATH: …`.
///
/// It is to be the first local variable of a function that reads a file: such values end in the opposite order of their
/// beginnings, and after what has the file open.
pub(crate) struct CrashWatch {
    words: Vec<u8>,
    /// Of the watch within which this one began.
    outer: (*const u8, usize),
    /// It belongs to its thread.
    stays: PhantomData<*const ()>,
}

impl CrashWatch {
    /// Begins to watch over the reading of a file.
    pub fn over(path: &Path) -> Self {
        BEFORE.get_or_init(|| SIGNALS.map(install));
        let mut words = b"error: ".to_vec();
        words.extend(path.as_os_str().as_bytes());
        words.extend(b": the HDF5 library crashed in reading this file; it is damaged\n");
        let outer = LAST_WORDS.replace((words.as_ptr(), words.len()));
        CrashWatch { words, outer, stays: PhantomData }
    }
}

impl Drop for CrashWatch {
    fn drop(&mut self) {
        debug_assert_eq!(LAST_WORDS.get().0, self.words.as_ptr(), "watches are nested");
        LAST_WORDS.set(self.outer);
    }
}

/// Has a signal met by [`on_crash`]; what was done before.
fn install(signal: c_int) -> sigaction {
    let mut before = MaybeUninit::zeroed();
    // SAFETY: all zeros is a valid `sigaction`; both structures live until the call returns. The handler keeps to what a
    // handler may do.
    unsafe {
        let mut ours: sigaction = std::mem::zeroed();
        ours.sa_sigaction = on_crash as *const () as usize;
        // Where a stack has overflowed the handler needs another one, which the standard library has made.
        ours.sa_flags = libc::SA_ONSTACK | libc::SA_NODEFER;
        libc::sigaction(signal, &ours, before.as_mut_ptr());
        before.assume_init()
    }
}

extern "C" fn on_crash(signal: c_int) {
    let (words, length) = LAST_WORDS.get();
    // SAFETY: only functions that a handler of signals may call. `words` is null or points to the words of a watch of
    // this very thread that is alive: it sets the pointer back before they go.
    unsafe {
        if !words.is_null() {
            libc::write(libc::STDERR_FILENO, words.cast(), length);
            libc::_exit(CRASH_CODE);
        }
        // Not ours: the instruction is repeated, and what was done before is done then.
        if let (Some(before), Some(at)) = (BEFORE.get(), SIGNALS.iter().position(|&other| other == signal)) {
            libc::sigaction(signal, &before[at], ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    const VARIABLE: &str = "TREEWAVE_CRASH_NOW";

    /// What the other test has a child do: a crash while it reads a file within a file, or after it has read both.
    #[test]
    fn a_child_crashes_where_it_is_told() {
        let Ok(how) = std::env::var(VARIABLE) else { return };
        let read = |name: &str, inner: &dyn Fn()| {
            let _watch = CrashWatch::over(&PathBuf::from(name));
            inner();
        };
        let crash = |at: &str| {
            if how == at {
                // SAFETY: none; this is the crash that is wanted.
                unsafe { ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
            }
        };
        read("outer.h5", &|| {
            read("inner.h5", &|| crash("inner"));
            crash("outer");
        });
        crash("after");
        panic!("no crash came");
    }

    #[test]
    fn a_crash_names_the_file_that_is_being_read_and_no_other() {
        for (how, code, says) in [
            ("inner", Some(CRASH_CODE), Some("error: inner.h5: ")),
            ("outer", Some(CRASH_CODE), Some("error: outer.h5: ")),
            ("after", None, None),
        ] {
            let child = Command::new(std::env::current_exe().expect("a test knows its program"))
                .args(["crash::tests::a_child_crashes_where_it_is_told", "--exact", "--nocapture"])
                .env(VARIABLE, how)
                .output()
                .expect("a child runs");
            let text = String::from_utf8_lossy(&child.stderr).into_owned();
            let said = text.lines().find(|line| line.contains("the HDF5 library crashed"));
            assert_eq!(child.status.code(), code, "{how}: {:?} {text}", child.status);
            assert_eq!(said.map(|line| &line[..says.unwrap_or("").len()]), says, "{how}: {text}");
            assert!(code.is_some() || child.status.signal() == Some(SIGSEGV), "{how}: {:?}", child.status);
        }
    }
}
