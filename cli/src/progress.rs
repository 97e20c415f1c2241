//! How far fetching is, on standard error: a line that is written over where a
//! person looks at it, a line for each file elsewhere.

use std::io::{self, IsTerminal, Write};
use swictation_models::Event;

/// What is shown while a model is fetched.
pub(crate) struct Progress {
    terminal: bool,
    file: String,
    have: u64,
    /// The line that stands there, so that it is only written when it changes.
    line: String,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        let terminal = io::stderr().is_terminal();
        Progress { terminal, file: String::new(), have: 0, line: String::new() }
    }

    /// Shows an event.
    pub(crate) fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::File(path) => {
                (self.file, self.have) = ((*path).to_owned(), 0);
                self.over(self.file.clone());
            }
            Event::Bytes(have, total) => {
                self.have = *have;
                self.over(format!("{}: {}", self.file, portion(*have, *total)));
            }
            Event::Again(why) => self.stay(&format!("{}: {why}; trying again", self.file)),
            Event::There => self.stay(&format!("{}: is there", self.file)),
            Event::Done if self.have > 0 => {
                self.stay(&format!("{}: {}, fetched", self.file, bytes(self.have)))
            }
            Event::Done => self.stay(&format!("{}: fetched", self.file)),
        }
    }

    /// Leaves a line that was not ended, so that what follows has one of its own.
    pub(crate) fn end(&mut self) {
        if !self.line.is_empty() {
            self.write("\n");
            self.line.clear();
        }
    }

    /// A line that the next one is written over.
    fn over(&mut self, line: String) {
        if self.terminal && line != self.line {
            self.write(&format!("\r\x1b[K{line}"));
            self.line = line;
        }
    }

    /// A line that stays.
    fn stay(&mut self, line: &str) {
        self.write(&if self.terminal { format!("\r\x1b[K{line}\n") } else { format!("{line}\n") });
        self.line.clear();
    }

    fn write(&self, text: &str) {
        // Whether somebody sees the progress is no reason to stop it.
        let mut out = io::stderr().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn portion(have: u64, total: Option<u64>) -> String {
    match total {
        Some(total) if total > 0 => format!("{} of {}, {} %", bytes(have), bytes(total), have * 100 / total),
        _ => bytes(have),
    }
}

/// A number of bytes as people read it.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_people_read_them() {
        let shown = [999, 93_939, 652_183_999, 2_436_567_040].map(bytes);
        assert_eq!(shown, ["999 B", "93.9 kB", "652.2 MB", "2.44 GB"]);
        assert_eq!(portion(50, Some(200)), "50 B of 200 B, 25 %");
        assert_eq!(portion(50, None), "50 B");
    }
}
