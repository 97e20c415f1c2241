//! What was copied before a text was pasted is there again afterwards.

use crate::desk::{Desk, connect_with};
use std::io::Write;
use std::process::Stdio;
use swictation_tests::copied::{Copied, forms, paste};
use swictation_tests::desktop::Kind;

/// What has no key on an American keyboard.
const PASTED: &str = "naïve 你好";

/// A desk whose typist has typed already; nothing where nothing is pasted.
fn desk() -> Option<Desk> {
    let mut desk = Desk::with("us")?;
    if !desk.desktop.pastes() {
        return None;
    }
    desk.types("warm");
    Some(desk)
}

/// Copies something, as a program of Wayland does.
fn copy(desk: &mut Desk, arguments: &[&str], bytes: &[u8]) {
    desk.aside(|desktop| {
        let mut copying = desktop.command("wl-copy").args(arguments).stdin(Stdio::piped()).spawn().unwrap();
        copying.stdin.take().unwrap().write_all(bytes).unwrap();
        assert!(copying.wait().unwrap().success());
    });
}

/// What is on the clipboard, as a program of Wayland sees it.
fn pasted(desk: &mut Desk, arguments: &[&str]) -> Vec<u8> {
    let mut pasted = Vec::new();
    desk.aside(|desktop| {
        pasted = desktop.command("wl-paste").arg("--no-newline").args(arguments).output().unwrap().stdout;
    });
    pasted
}

/// A picture that is larger than what is passed on at once.
fn picture() -> Vec<u8> {
    (0..600_000_u32).map(|n| (n % 251) as u8).collect()
}

#[test]
fn what_a_program_copied_is_there_again_in_all_its_forms() {
    let Some(mut desk) = desk() else { return };
    let picture = picture();
    let things: [(&[&str], &[u8]); 4] = [
        (&[], "naïvely kept".as_bytes()),
        (&["--type", "text/html"], b"<b>kept</b>"),
        (&["--type", "image/png"], &picture),
        (&["--type", "application/x-empty"], b""),
    ];
    for (arguments, bytes) in things {
        copy(&mut desk, arguments, bytes);
        let forms = String::from_utf8(pasted(&mut desk, &["--list-types"])).unwrap();
        desk.types(PASTED);
        for form in forms.lines() {
            assert!(pasted(&mut desk, &["--type", form]) == bytes, "{form} of {arguments:?} is another");
        }
    }
}

#[test]
fn what_a_program_of_x_copied_is_there_again_in_all_its_forms() {
    let Some(mut desk) = desk() else { return };
    let Some(display) = desk.desktop.variable("DISPLAY").map(str::to_owned) else { return };
    let things =
        [("UTF8_STRING", b"kept".to_vec()), ("text/html", b"<b>kept</b>".to_vec()), ("image/png", picture())];
    let copied = Copied::new(&display, &things).unwrap();
    for _ in 0..2 {
        desk.types(PASTED);
        let there = forms(&display).unwrap();
        for (form, bytes) in &things {
            assert!(there.iter().any(|known| known == form), "{form} is lost: {there:?}");
            assert!(paste(&display, form).unwrap().as_ref() == Some(bytes), "{form} is another");
        }
    }
    drop(copied);
}

#[test]
fn without_an_x_server_the_best_form_is_there_again() {
    let Some(mut desk) = desk() else { return };
    if desk.desktop.kind != Kind::Gnome {
        return;
    }
    desk.typist = connect_with(&desk.desktop, &desk.desktop.display(), None).unwrap();
    desk.open();
    copy(&mut desk, &[], b"kept");
    desk.types(PASTED);
    assert_eq!(pasted(&mut desk, &[]), b"kept");
    desk.types("naïve again");
}

#[test]
fn an_x_server_that_does_not_let_us_in_costs_no_text() {
    let Some(mut desk) = desk() else { return };
    let nobody = Some(":4711".to_owned());
    desk.typist = connect_with(&desk.desktop, &desk.desktop.display(), nobody).unwrap();
    desk.open();
    desk.types(PASTED);
}
