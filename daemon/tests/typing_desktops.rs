//! Typing into a real terminal on the desktop that DESKTOP names: what arrives is what
//! was meant. `scripts/desktops` runs this on every desktop.

#![allow(clippy::unwrap_used)] // A desktop that cannot be set up fails its test there and then.

use std::time::Duration;
use swictation_tests::desktop::{Desktop, Kind};
use swictation_tests::texts;

/// How long everything may take to arrive while the machine does other things.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_fixture_sees_what_another_program_types() {
    let Some(kind @ (Kind::Sway | Kind::Labwc)) = Kind::asked() else { return };
    let desktop = Desktop::start(kind, "us").unwrap();
    let mut terminal = desktop.terminal().unwrap();
    assert!(desktop.command("wtype").args(["-s", "200", texts::MIXED]).status().unwrap().success());
    assert_eq!(terminal.typed(texts::MIXED, PATIENCE).unwrap(), texts::MIXED);
}

#[test]
fn a_desktop_comes_up() {
    let Some(kind) = Kind::asked() else { return };
    let desktop = Desktop::start(kind, "us").unwrap();
    let _terminal = desktop.terminal().unwrap();
}
