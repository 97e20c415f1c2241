//! What the daemon does so that what is said stays in its memory.
//!
//! Speech and text are in there, so nothing may write that memory down. The daemon
//! remains a process that others of the same person can look at (`PR_SET_DUMPABLE`):
//! a desktop's portal asks who calls it, and reads that in `/proc`.

use std::io::Write;

/// Makes files for this person alone, and has no crash leave a copy of the memory.
pub fn keep() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain calls with valid arguments, before any thread; to lower a limit and
    // to set the mask is any process's right.
    unsafe {
        libc::umask(0o077);
        libc::setrlimit(libc::RLIMIT_CORE, &none);
    }
    // A system that hands crashes to a program of its own does not look at the limit,
    // but there is no page that it is given then.
    let filter = std::fs::OpenOptions::new().write(true).open("/proc/self/coredump_filter");
    if let Err(error) = filter.and_then(|mut filter| filter.write_all(b"0")) {
        tracing::debug!("what a crash hands out cannot be limited: {error}");
    }
}
