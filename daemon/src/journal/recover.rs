//! `swictation recover`: what an earlier daemon had not typed, on standard output.
//!
//! First the text that no window confirmed, then the audio that no word came of, by
//! the same chain as `transcribe`. Read one after the other, what was typed and what is
//! printed here is what a dictation without an interruption would have been. Files go
//! once all of it is printed, and stay where anything went wrong.

use super::leftover::{self, Leftover};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;
use swictation_control::exit;
use swictation_core::journal::Stretch;

/// Gives back all that was left in these folders. `recognise` prints the words of a
/// stretch of audio and a line's end, and says how that went with an exit code.
///
/// # Errors
/// The exit code and why, when not all could be given back.
pub fn run(
    folders: &[PathBuf],
    keep: bool,
    recognise: &mut dyn FnMut(Stretch) -> u8,
) -> Result<u8, (u8, String)> {
    let now = SystemTime::now();
    let left = leftover::all(folders, now);
    if left.is_empty() {
        say("nothing to recover: no dictation was cut off");
        return Ok(exit::OK);
    }
    let mut damage = Vec::new();
    for leftover in left {
        say(&format!("of the dictation of {}, this was not typed:", leftover::clock(leftover.begun, now)));
        let damaged = give_back(&leftover, recognise)?;
        if damaged.is_empty() && !keep {
            leftover.remove().map_err(|e| (exit::FAILURE, e))?;
        }
        damage.extend(damaged);
    }
    match damage.is_empty() {
        true => Ok(exit::OK),
        false => Err((
            exit::FAILURE,
            format!(
                "{}. What could be read is printed above; the files are kept, remove them if that is all you need",
                damage.join("; ")
            ),
        )),
    }
}

/// Prints what is owed; what could not be read.
fn give_back(
    leftover: &Leftover,
    recognise: &mut dyn FnMut(Stretch) -> u8,
) -> Result<Vec<String>, (u8, String)> {
    let (recovered, damage) = leftover.read();
    let mut text = recovered.untyped();
    let stretches = recovered.stretches();
    if stretches.is_empty() && !text.is_empty() {
        text.push('\n');
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| (exit::FAILURE, format!("standard output: {e}; the files are kept")))?;
    drop(out);
    for stretch in stretches {
        match recognise(stretch) {
            exit::OK => {}
            code => {
                return Err((
                    code,
                    "the rest of the audio is kept: run `swictation recover` again".to_owned(),
                ));
            }
        }
    }
    Ok(damage)
}

/// For the person and not for what reads the text.
fn say(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}
