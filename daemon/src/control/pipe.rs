//! A text into a pipe that a client gave, so that it is never on the bus.
//!
//! The text is written at once or not at all: the pipe is made large enough and writing
//! never waits, so a client that does not read holds up nobody. Whoever listens on the
//! bus sees that a pipe was passed and nothing of what went through it.

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The end of a pipe that can be written.
#[derive(Clone, Debug)]
pub struct Pipe(Arc<OwnedFd>);

impl Pipe {
    /// What a client passed, which may be anything.
    pub fn new(end: OwnedFd) -> Self {
        Self(Arc::new(end))
    }

    /// Writes the text and closes this end.
    ///
    /// # Errors
    /// Why that was not possible, for a person.
    pub fn write(self, text: &str) -> Result<(), String> {
        let end = &*self.0;
        let kind = rustix::fs::fstat(end).map(|about| FileType::from_raw_mode(about.st_mode));
        if kind != Ok(FileType::Fifo) {
            return Err("what was passed for the text is no pipe".to_owned());
        }
        let failed = |e: Errno| format!("the pipe does not take the text: {e}");
        rustix::fs::fcntl_getfl(end)
            .and_then(|flags| rustix::fs::fcntl_setfl(end, flags | OFlags::NONBLOCK))
            .map_err(failed)?;
        // Where the system refuses a larger one, a short text still fits.
        let _ = rustix::pipe::fcntl_setpipe_size(end, text.len().max(4096));
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(end, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(())
    }
}

/// Two are the same when they are one.
impl PartialEq for Pipe {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Pipe {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::Duration;

    /// What becomes of a text at once.
    fn written(pipe: Pipe, text: &str) -> Result<(), String> {
        let (tell, told) = std::sync::mpsc::channel();
        let text = text.to_owned();
        std::thread::spawn(move || tell.send(pipe.write(&text)));
        told.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| Err("it waits for somebody".into()))
    }

    #[test]
    fn a_text_of_any_length_that_is_remembered_is_in_the_pipe_before_anybody_reads() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let text = "语".repeat(100_000);
        Pipe::new(writer.into()).write(&text).unwrap();
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert!(read == text, "{} of {} bytes", read.len(), text.len());
    }

    #[test]
    fn a_pipe_that_is_full_or_has_no_reader_and_what_is_no_pipe_are_refused_at_once() {
        let refused = |pipe: Pipe, why: &str| {
            let said = written(pipe, "text").unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        let (reader, writer) = std::io::pipe().unwrap();
        let full = Pipe::new(writer.try_clone().unwrap().into());
        written(full.clone(), &"x".repeat(1 << 20)).unwrap();
        refused(full, "does not take");
        drop(reader);
        refused(Pipe::new(writer.into()), "does not take");
        let file = tempfile::tempfile().unwrap();
        refused(Pipe::new(file.into()), "no pipe");
    }
}
