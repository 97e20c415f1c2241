//! What `swictation doctor typing` says on a desktop, with the shipped program.

use swictation_tests::desktop::{Desktop, Kind, TOKEN};

#[test]
fn the_doctor_types_every_class_of_characters_into_a_window_of_its_own() {
    let Some(kind) = Kind::asked() else { return };
    let desktop = Desktop::start(kind, "us").unwrap();
    if kind == Kind::Gnome {
        // A person's keyboard is there once it was used; without one, no window has the focus.
        const SHIFT: u32 = 42;
        desktop.press(SHIFT).unwrap();
        desktop.release(SHIFT).unwrap();
        // Where the daemon keeps the leave that a person gave.
        let state = desktop.path("state/swictation");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::write(format!("{state}/portal-token"), TOKEN).unwrap();
    }
    // Beside the folder of the tests, which the desktops may see under another name.
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(|tests| tests.parent()).unwrap().join("swictationd");
    let ran = desktop.command(program).args(["doctor", "typing"]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    let way = if desktop.pastes() { "through portal" } else { "through wayland" };
    for part in [way, "ASCII", "accents", "Arabic", "Thai", "CJK", "emoji"] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    assert_eq!(said.matches(" characters in ").count(), 10, "{said}");
}
