//! The exit codes of `swictation` and `swictationd`, one meaning each.
//!
//! Scripts and the systemd unit rely on them, so a code is never given another
//! meaning. [`TABLE`] is what `--help` and the README print.

/// All went well.
pub const OK: u8 = 0;
/// It failed for a reason that has no code of its own; the message says why.
pub const FAILURE: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// Another daemon has the bus name.
pub const ANOTHER_DAEMON: u8 = 3;
/// There is no session bus, or it went away.
pub const NO_BUS: u8 = 4;
/// The configuration cannot be used.
pub const CONFIGURATION: u8 = 5;
/// The model or the inference runtime cannot be used.
pub const MODEL: u8 = 6;
/// No daemon runs, or it cannot be started or reached.
pub const NO_DAEMON: u8 = 7;
/// No audio could be captured or read.
pub const AUDIO: u8 = 8;
/// No way to type works in this session.
pub const TYPING: u8 = 9;

/// Every code with its meaning, in order.
pub const TABLE: [(u8, &str); 10] = [
    (OK, "all went well"),
    (FAILURE, "it failed for another reason; the message says why"),
    (USAGE, "the command line is wrong"),
    (ANOTHER_DAEMON, "another daemon runs already"),
    (NO_BUS, "there is no session bus, or it went away"),
    (CONFIGURATION, "the configuration cannot be used"),
    (MODEL, "the model or the inference runtime cannot be used"),
    (NO_DAEMON, "no daemon runs, or it cannot be started or reached"),
    (AUDIO, "no audio could be captured or read"),
    (TYPING, "no way to type works in this session"),
];

/// The table as the last lines of a `--help`.
pub fn help() -> String {
    let mut help = String::from("Exit codes:");
    for (code, meaning) in TABLE {
        help.push_str(&format!("\n  {code}  {meaning}"));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_place_in_the_table() {
        for (place, (code, meaning)) in TABLE.into_iter().enumerate() {
            assert_eq!(usize::from(code), place);
            assert!(help().contains(meaning));
        }
    }
}
