//! `swictation doctor`: what it finds where parts are missing, with real programs.
//!
//! The home of a test has no sound server, display or bus but those it is given.

use swictation_control::exit;
use swictation_tests::bus::Bus;
use swictation_tests::desktop::{Desktop, Kind};
use swictation_tests::programs::{Home, Ran, run, runtime, toy};
use swictation_tests::x11::{self, XServer};

/// What the doctor says of a part: its verdict and its lines as one text.
fn said(ran: &Ran, part: &str) -> Vec<(String, String)> {
    let mut findings: Vec<(String, String, String)> = Vec::new();
    for line in ran.out.lines() {
        let (verdict, rest) = (line.get(..5).unwrap_or(line).trim(), line.get(7..).unwrap_or_default());
        match (verdict, findings.last_mut()) {
            ("", Some(last)) => last.2 += &format!("\n{}", line.trim()),
            _ => {
                let (name, text) = rest.split_at(rest.len().min(15));
                findings.push((verdict.into(), name.trim().into(), text.trim().into()));
            }
        }
    }
    let of = findings.into_iter().filter(|(_, name, _)| name == part);
    of.map(|(verdict, _, text)| (verdict, text)).collect()
}

#[track_caller]
fn says(ran: &Ran, part: &str, verdict: &str, words: &[&str]) {
    let found = said(ran, part);
    let (is, text) = found.last().unwrap_or_else(|| panic!("nothing of {part}: {ran:?}"));
    assert_eq!(is, verdict, "{part}: {text}");
    for word in words {
        assert!(text.contains(word), "{part}: {word:?} is not in {text}");
    }
}

fn working(home: &Home, more: &str) {
    home.configure(&format!("model = {:?}\ntypist = \"stdout\"\n{more}", toy("att70_6-rnnt-fp16")));
}

#[test]
fn the_doctor_tells_what_works_and_what_keeps_one_from_dictating() {
    if runtime().is_none() {
        return;
    }
    let Some(bus) = Bus::start() else { return };
    let home = Home::new();
    working(&home, "");
    let ran = run(bus.give_to(&mut home.command("swictation")).arg("doctor"));
    says(&ran, "configuration", "works", &["config.toml"]);
    // Without a GPU the first device of "auto" is a note, and the next one is tried.
    let all = said(&ran, "recognizer");
    assert!(all[0].0 == "note" && all[0].1.contains("not on cuda:0: "), "{all:?}");
    let files = ["decoder_joint-model.fp16.onnx: operators", "encoder-model.fp16.onnx: operators"];
    says(
        &ran,
        "recognizer",
        "works",
        &["toy-att70_6-rnnt-fp16 (cache-aware-rnnt) on cpu", "ONNX Runtime 1."],
    );
    says(&ran, "recognizer", "works", &["fp16; of its weights 99.9 % fp16", files[0], files[1], "on CPU"]);
    assert!(!all[1].1.contains("CUDA"), "{all:?}");
    // How far depends on the kernel; that it is said, and what every kernel has, do not.
    let confined = &said(&ran, "confinement")[0].1;
    assert!(
        confined.contains("confined: ") && confined.contains("sockets and programs (seccomp)"),
        "{ran:?}"
    );
    says(&ran, "microphone", "FAILS", &["\"default\" is not there", "pulseaudio", "alsa"]);
    says(&ran, "typing", "works", &["stdout"]);
    says(&ran, "session bus", "works", &["no daemon runs"]);
    says(&ran, "hotkey", "note", &["swictation toggle"]);
    assert_eq!(ran.code, i32::from(exit::AUDIO), "{ran:?}");
}

#[test]
fn a_model_that_does_not_load_and_a_missing_bus_are_found_with_their_reasons() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    home.configure("model = \"./nowhere\"\ndevice = \"cpu\"\nsandbox = false\n");
    let ran = home.run("swictation", &["doctor"]);
    says(&ran, "confinement", "note", &["none: sandbox = false"]);
    says(&ran, "recognizer", "FAILS", &["not on cpu", "nowhere/model.toml"]);
    says(&ran, "typing", "FAILS", &["x11"]);
    says(&ran, "session bus", "FAILS", &["no session bus"]);
    assert_eq!(ran.code, i32::from(exit::MODEL), "{ran:?}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_said_and_the_rest_is_tried_all_the_same() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    home.configure("gpu_memory_mb = -1\n");
    let ran = home.run("swictation", &["doctor"]);
    says(&ran, "configuration", "FAILS", &["line 1", "gpu_memory_mb = -1", "defaults"]);
    says(&ran, "recognizer", "FAILS", &["moonshine-tiny-en/model.toml"]);
    assert_eq!(ran.code, i32::from(exit::CONFIGURATION), "{ran:?}");
}

const CLASSES: [&str; 10] =
    ["ASCII", "accents", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Thai", "CJK", "emoji"];

#[test]
fn the_doctor_types_every_class_of_characters_into_a_window_of_its_own_on_x11() {
    if !x11::present() {
        return;
    }
    let (server, home) = (XServer::start().unwrap(), Home::new());
    server.layout("de").unwrap();
    for (typist, name) in [("auto", "x11"), ("paste", "paste")] {
        home.configure(&format!("typist = {typist:?}"));
        let mut command = home.command("swictation");
        let ran = run(command.args(["doctor", "typing"]).env("DISPLAY", &server.display));
        says(&ran, "typing", "works", &[&format!("through {name}")]);
        CLASSES.iter().for_each(|class| says(&ran, class, "works", &["characters in"]));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn the_doctor_types_every_class_of_characters_into_a_window_of_its_own_on_wayland() {
    let Some(kind) = Kind::of_wlroots() else { return };
    let (desktop, home) = (Desktop::start(kind, "us").unwrap(), Home::new());
    let mut command = home.command("swictation");
    let ran = run(command.args(["doctor", "typing"]).env("WAYLAND_DISPLAY", desktop.display()));
    says(&ran, "typing", "works", &["through wayland"]);
    CLASSES.iter().for_each(|class| says(&ran, class, "works", &["characters in"]));
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_doctor_without_a_desktop_to_type_on_says_what_every_way_of_typing_lacks() {
    let home = Home::new();
    let ran = home.run("swictation", &["doctor", "typing"]);
    says(&ran, "typing", "FAILS", &["wayland: ", "x11: ", "portal: "]);
    assert_eq!(ran.code, i32::from(exit::TYPING), "{ran:?}");
}
