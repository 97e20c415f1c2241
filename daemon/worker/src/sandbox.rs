//! What a worker gives up before it opens a model or loads a native library.
//!
//! A model comes from elsewhere, and megabytes of native code read it. Whatever goes
//! wrong there must stay in this process: it reads its model and its libraries and
//! talks over its pipes, and that is all it can do. Landlock keeps it from files
//! ([`files`]), seccomp from sockets, programs and other processes ([`calls`]). What
//! is refused is an error for who asks, never a death. Nothing here is needed for
//! recognition: on a kernel that has only a part of it, the part that it has holds.

pub mod calls;
pub mod files;

use std::fmt::{self, Display};
use std::path::Path;

/// What holds, or why it does not.
pub type Held = Result<String, String>;

/// How this process is confined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// Files, and with newer kernels TCP, signals and abstract sockets.
    pub files: Held,
    /// Sockets, programs, other processes.
    pub calls: Held,
}

impl Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.files {
            Ok(by) => write!(f, "confined: files ({by})")?,
            Err(why) => write!(f, "not confined: files ({why})")?,
        }
        match (&self.files, &self.calls) {
            (Ok(_), Ok(by)) => write!(f, ", sockets and programs ({by})"),
            (Err(_), Ok(by)) => write!(f, "; confined: sockets and programs ({by})"),
            (_, Err(why)) => write!(f, "; not confined: sockets and programs ({why})"),
        }
    }
}

/// Keeps what is said out of everything that others can read, confined or not: no core
/// file, no debugger of the same person, no file for other users.
pub fn keep_private() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain calls with valid arguments; lowering a limit, the mask or what may
    // be dumped is any process's right.
    unsafe {
        libc::umask(0o077);
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

/// Confines this thread and all that it starts, for good, to what a worker needs that
/// loads `model` with the library at `runtime`; `cuda` is whether a GPU is used.
///
/// It must come before any other thread: what runs already stays free.
pub fn enter(model: &Path, runtime: &Path, cuda: bool) -> Confinement {
    let allowed = files::Allowed::of(model, runtime, cuda);
    let confinement = Confinement { files: files::hold(&allowed), calls: calls::hold(cuda) };
    tracing::debug!("{confinement}");
    confinement
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_landlock_gives_what_it_has_and_says_so() {
        for (error, why) in [
            (libc::ENOSYS, "this kernel has no landlock"),
            (libc::EOPNOTSUPP, "this kernel has landlock and was started without it"),
        ] {
            // A kernel that answers so, for one thread.
            let other = std::thread::spawn(move || {
                let rules = calls::Rules::from([(libc::SYS_landlock_create_ruleset, Vec::new())]);
                seccompiler::apply_filter(&calls::filter(rules, error).unwrap()).unwrap();
                let confinement = enter(Path::new("/nowhere"), Path::new("/nowhere/lib.so"), false);
                (confinement, std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| e.raw_os_error()))
            });
            let (confinement, socket) = other.join().unwrap();
            assert_eq!((&confinement.files, &confinement.calls), (&Err(why.into()), &Ok("seccomp".into())));
            assert_eq!(socket.unwrap_err(), Some(libc::EPERM));
        }
    }

    #[test]
    fn what_is_missing_is_said_with_its_reason_and_what_holds_all_the_same() {
        let (files, calls) = (Ok("landlock ABI 7".to_owned()), Ok("seccomp".to_owned()));
        let no = |why: &str| Err(why.to_owned());
        for (files, calls, text) in [
            (
                files.clone(),
                calls.clone(),
                "confined: files (landlock ABI 7), sockets and programs (seccomp)",
            ),
            (
                no("no landlock"),
                calls,
                "not confined: files (no landlock); confined: sockets and programs (seccomp)",
            ),
            (
                files,
                no("no seccomp"),
                "confined: files (landlock ABI 7); not confined: sockets and programs (no seccomp)",
            ),
        ] {
            assert_eq!(Confinement { files, calls }.to_string(), text);
        }
    }
}
