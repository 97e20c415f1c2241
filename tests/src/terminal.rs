//! A terminal that tells what it gets.
//!
//! It copies every byte it is sent, in raw mode, into a named pipe: what was typed can be
//! awaited instead of looked for, Enter arrives as "\r" and Backspace as "\x7f".

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that a part of a desktop may take to start.
pub(crate) const START: Duration = Duration::from_secs(20);

/// A window of a terminal's, xterm or another.
pub struct Terminal {
    process: Child,
    /// What was asked of it when it came up.
    pub said: String,
    arrived: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    _folder: TempDir,
}

impl Terminal {
    /// Starts the terminal of a `command` that lacks only the program to run in it, and
    /// has the shell there tell `what`, such as "$WINDOWID".
    ///
    /// # Errors
    /// A program's failure, or 20 seconds without a sign of the terminal.
    pub fn run(command: &mut Command, what: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let pipe = folder.path().join("typed");
        let made = Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status()?;
        if !made.success() {
            return Err(io::Error::other(format!("mkfifo: {made}")));
        }
        // The first line is the answer, all after it was typed.
        let script = format!("stty raw -echo; exec >\"$PIPE\"; echo \"{what}\"; exec cat");
        let process = command
            .args(["sh", "-c", &script])
            .env("PIPE", &pipe)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let arrived = read_on_a_thread(&pipe)?;
        let mut terminal = Self { process, said: String::new(), arrived, seen: Vec::new(), _folder: folder };
        terminal.said = terminal.until(START, |seen| seen.ends_with(b"\n"))?.trim().to_owned();
        Ok(terminal)
    }

    /// Waits until as many bytes as `text` has were typed since the last call, and
    /// returns them; less after `patience`.
    ///
    /// # Errors
    /// None but the end of the terminal.
    pub fn typed(&mut self, text: &str, patience: Duration) -> io::Result<String> {
        match self.until(patience, |seen| seen.len() >= text.len()) {
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                Ok(String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned())
            }
            other => other,
        }
    }

    fn until(&mut self, patience: Duration, enough: impl Fn(&[u8]) -> bool) -> io::Result<String> {
        let deadline = Instant::now() + patience;
        while !enough(&self.seen) {
            match self.arrived.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "nothing more came from the terminal",
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
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
