//! Writing the text to standard output, for containers, pipes and bug reports.
//!
//! Every edit is written and flushed at once; erasing goes back one column, blanks
//! it and goes back again. It is never probed: a daemon without a desktop must say
//! so, not write what was said into a journal.

use super::{Typist, TypistError};
use std::io::{self, Write};
use swictation_core::Edit;
use swictation_core::edit::insertable;

/// A typist that writes to `W`.
pub struct Written<W>(W);

/// Opens standard output.
///
/// # Errors
/// None; the signature is that of every mechanism.
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    Ok(Box::new(Written(io::stdout())))
}

impl<W: Write + Send> Typist for Written<W> {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        let text = "\u{8} \u{8}".repeat(edit.erase) + &insertable(&edit.insert);
        let written = self.0.write_all(text.as_bytes()).and_then(|()| self.0.flush());
        written
            .map_err(|e| TypistError::Lost { typed: 0, reason: format!("writing to standard output: {e}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(edits: &[(usize, &str)]) -> String {
        let mut typist = Written(Vec::new());
        for (erase, insert) in edits {
            typist.apply(&Edit { erase: *erase, insert: (*insert).into() }).unwrap();
        }
        String::from_utf8(typist.0).unwrap()
    }

    #[test]
    fn inserts_follow_each_other_without_control_characters_but_line_breaks() {
        assert_eq!(written(&[(0, "héllo "), (0, "wor\x1bld\r\n")]), "héllo world\n");
    }

    #[test]
    fn erasing_blanks_the_column_it_leaves() {
        assert_eq!(written(&[(0, "ab"), (2, "c")]), "ab\u{8} \u{8}\u{8} \u{8}c");
    }

    #[test]
    fn a_closed_pipe_is_reported_as_lost() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let result = Written(Closed).apply(&Edit { erase: 0, insert: "a".into() });
        assert!(matches!(result, Err(TypistError::Lost { typed: 0, .. })), "{result:?}");
    }
}
