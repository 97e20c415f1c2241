//! What the daemon does so that what is said stays in its memory.
//!
//! Speech and text are in there, so nothing may write that memory down. The daemon
//! remains a process that others of the same person can look at (`PR_SET_DUMPABLE`):
//! a desktop's portal asks who calls it, and reads that in `/proc`.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

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

/// Puts a file with this text in the place of another at once, so that a reader or a crash
/// finds the old one or the new one. Its permissions are `mode`; a folder that has to be made
/// for it is for this person alone.
///
/// # Errors
/// The system's; the old one stays then.
pub fn replace(file: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}", std::process::id()));
    let fresh = file.with_file_name(name);
    let written = (|| {
        let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        out.write_all(text.as_bytes())?;
        out.set_permissions(std::fs::Permissions::from_mode(mode))?;
        out.sync_all()?;
        std::fs::rename(&fresh, file)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    written
}
