//! What a terminal was typed, as it arrives.
//!
//! The terminal copies every byte it is sent, in raw mode, into a named pipe: what was
//! typed can be awaited instead of looked for, Enter arrives as "\r" and Backspace as
//! "\x7f".

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a terminal says of its window when that gets the focus, and when it loses it.
const FOCUS: [&str; 2] = ["\x1b[I", "\x1b[O"];

/// The reading end of the pipe that a terminal writes to.
pub struct Typed {
    arrived: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// Reports of the focus come between the text and are no part of it.
    reports: bool,
    focused: usize,
    pipe: PathBuf,
    _folder: TempDir,
}

impl Typed {
    /// Makes the pipe; with `reports`, the terminal also reports its focus.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn new(reports: bool) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let pipe = folder.path().join("typed");
        let made = Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status()?;
        if !made.success() {
            return Err(io::Error::other(format!("mkfifo: {made}")));
        }
        let arrived = read_on_a_thread(&pipe)?;
        Ok(Self { arrived, seen: Vec::new(), reports, focused: 0, pipe, _folder: folder })
    }

    /// Where the terminal writes to.
    pub fn pipe(&self) -> &Path {
        &self.pipe
    }

    /// How often the window was reported to have got the focus.
    pub fn focused(&self) -> usize {
        self.focused
    }

    /// Waits until as many bytes as `text` has were typed since the last call, and
    /// returns them; less after `patience`.
    ///
    /// # Errors
    /// None but the end of the terminal.
    pub fn typed(&mut self, text: &str, patience: Duration) -> io::Result<String> {
        match self.until(patience, |typed| typed.seen.len() >= text.len()) {
            Err(e) if e.kind() == io::ErrorKind::TimedOut => Ok(self.take()),
            other => other,
        }
    }

    /// Waits for the end of the line that the terminal's program says first.
    ///
    /// # Errors
    /// The end of the terminal, or of the patience.
    pub fn line(&mut self, patience: Duration) -> io::Result<String> {
        self.until(patience, |typed| typed.seen.ends_with(b"\n"))
    }

    /// Waits until something is so, and returns what was typed up to then.
    ///
    /// # Errors
    /// The end of the terminal, or of the patience.
    pub fn until(&mut self, patience: Duration, so: impl Fn(&Self) -> bool) -> io::Result<String> {
        let deadline = Instant::now() + patience;
        while !so(self) {
            match self.arrived.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take_in(&bytes),
                Err(RecvTimeoutError::Timeout) => {
                    let what = "nothing more came from the terminal";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, what));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(self.take())
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.seen.extend(bytes);
        while let Some((at, report)) = self.report() {
            self.seen.drain(at..at + report.len());
            self.focused += usize::from(report == FOCUS[0]);
        }
    }

    /// Where the next report of the focus is, and which.
    fn report(&self) -> Option<(usize, &'static str)> {
        FOCUS.into_iter().filter(|_| self.reports).find_map(|report| {
            let at = self.seen.windows(report.len()).position(|bytes| bytes == report.as_bytes())?;
            Some((at, report))
        })
    }

    fn take(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned()
    }
}

/// Reads the pipe on a thread of its own, which ends with the pipe's writer. The
/// pipe is opened for writing as well until the terminal has written, so that a
/// terminal that never starts cannot block the thread for ever.
fn read_on_a_thread(pipe: &Path) -> io::Result<Receiver<Vec<u8>>> {
    let mut both = Some(File::options().read(true).write(true).open(pipe)?);
    let mut reader = File::open(pipe)?;
    let (send, arrived) = mpsc::channel();
    std::thread::Builder::new().name("terminal".into()).spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut bytes) {
            both.take();
            if send.send(bytes[..count].to_vec()).is_err() {
                break;
            }
        }
    })?;
    Ok(arrived)
}
