//! The process around a worker: its pipes, its log, its exit code.
//!
//! Nothing here knows what is recognised. The pipes are taken away from stdin and
//! stdout before a native library is loaded, because those print when it pleases them,
//! and the process is confined before it opens a model.

use crate::life::{Args, Loaded, run};
use crate::sandbox;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::ExitCode;
use swictation_asr::AsrError;
use swictation_asr::graph::runtime_path;

/// Lives as `args` say on stdin and stdout, with the recognizer that `wrap` makes of
/// the loaded one.
pub fn live(args: &Args, wrap: impl FnOnce(Loaded) -> Result<Loaded, AsrError>) -> ExitCode {
    sandbox::keep_private();
    // One stray line on stdout would break the protocol.
    let Ok((from, mut to)) = take_stdio() else { return ExitCode::FAILURE };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("SWICTATION_LOG")
                .unwrap_or_else(|_| "warn,swictation=info".into()),
        )
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .init();
    let confine = || sandbox::enter(&args.model, &runtime_path(), args.device.starts_with("cuda"));
    let confinement = (!args.no_sandbox).then(confine);
    if args.confinement {
        let text = confinement.map_or_else(|| "not confined".to_owned(), |held| held.to_string());
        return if writeln!(to, "{text}").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match run(args, &mut BufReader::new(from), &mut BufWriter::new(to), wrap) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The daemon was told, and it knows whether that matters: on the way
            // down the device ladder it does not.
            tracing::debug!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Moves stdin and stdout to descriptors of our own; what anybody else reads
/// from stdin is empty, and what anybody else prints goes to stderr.
fn take_stdio() -> std::io::Result<(File, File)> {
    // SAFETY: plain descriptor calls on 0, 1 and 2 before any thread exists; the
    // results are checked and owned exactly once.
    unsafe {
        let from = owned(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3))?;
        let to = owned(libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3))?;
        let null = owned(libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))?;
        if libc::dup2(null.as_raw_fd(), 0) < 0 || libc::dup2(2, 1) < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok((File::from(from), File::from(to)))
    }
}

/// # Safety
/// `fd` must be negative or a descriptor that nobody else owns.
unsafe fn owned(fd: i32) -> std::io::Result<OwnedFd> {
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: promised by the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
