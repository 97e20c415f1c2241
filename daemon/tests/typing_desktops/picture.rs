//! What was typed, for a person to look at: the letters are there, and nothing lies over
//! them. The picture goes into the folder that SWICTATION_PICTURES names.

use crate::desk::{Desk, PATIENCE};
use std::path::PathBuf;
use swictation_tests::desktop::{Desktop, Kind};
use swictation_tests::texts;

#[test]
fn what_was_typed_is_there_to_be_seen() {
    let Some(kind) = Kind::asked() else { return };
    let mut desk = Desk::on(Desktop::start_seen(kind, "us").unwrap(), Desktop::page);
    // What the terminal tells of its focus has moved the place where its text begins.
    let text = format!("\n{}\n", texts::ALL.join("\n"));
    desk.apply(0, &text).unwrap();
    assert_eq!(desk.terminal.typed(&text, PATIENCE).unwrap(), text);
    let picture = desk.desktop.picture().unwrap();
    assert!(picture.starts_with(b"\x89PNG"), "{} bytes are no picture", picture.len());
    if let Some(folder) = std::env::var_os("SWICTATION_PICTURES").map(PathBuf::from) {
        std::fs::write(folder.join(format!("{kind:?}.png").to_lowercase()), picture).unwrap();
    }
}
