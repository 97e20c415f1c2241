//! From the microphone to the text in a terminal, with nothing replaced: a sound
//! server, a bus, an X server, an xterm, the daemon, its worker and a model.

use crate::bad_input::transcribe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use swictation_tests::bus::{Bus, Eavesdropper};
use swictation_tests::programs::{
    Daemon, Follower, Home, PATIENCE, model, recording, run, runtime, silence, toy,
};
use swictation_tests::pulse::Pulse;
use swictation_tests::x11::terminal;
use swictation_tests::{need, note, program};

/// What became of one dictation.
struct Dictated {
    /// The text in the terminal.
    typed: String,
    /// The text that `swictation transcribe` makes of the same file.
    transcribed: String,
    /// From the beginning of the recording to the first character.
    first: Duration,
    /// Its length.
    played: Duration,
}

/// Plays a recording to a daemon with this model; none where something is missing.
fn dictate(model: &Path, wav: &Path) -> Option<Dictated> {
    if !need("dbus-monitor", program("dbus-monitor")) {
        return None;
    }
    let (pulse, bus, home) = (Pulse::start(16_000)?, Bus::start()?, Home::new());
    let (server, mut terminal) = terminal("us")?;
    home.configure(&format!("model = {model:?}\ndevice = \"cpu\"\n"));
    let transcribed = home.run("swictation", &["transcribe", wav.to_str().unwrap()]);
    assert_eq!(transcribed.code, 0, "{transcribed:?}");
    let transcribed = transcribed.out.trim().to_owned();

    let eavesdropper = Eavesdropper::on(&bus);
    let mut status = Follower::on(&bus, &home);
    let mut command = home.command("swictationd");
    bus.give_to(&mut command).envs(pulse.env()).env("DISPLAY", &server.display);
    let daemon = Daemon::start(&mut command);
    status.until("an engine", |line| line["engine"]["state"] == "ready");
    let toggle = || {
        let toggled = run(bus.give_to(&mut home.command("swictation")).arg("toggle"));
        assert_eq!(toggled.code, 0, "{toggled:?}");
    };
    toggle();
    status.state("listening");

    let begun = Instant::now();
    let (mut typed, first, played) = std::thread::scope(|scope| {
        let playing = scope.spawn(|| {
            pulse.play("mic", wav);
            begun.elapsed()
        });
        let typed = terminal.typed("x", PATIENCE).unwrap();
        (typed, begun.elapsed(), playing.join().unwrap())
    });
    toggle();
    let end = status.state("idle");
    assert_eq!((&end["typist"], &end["trouble"]), (&"x11".into(), &"".into()));
    // What is typed last is typed before the state is shown as idle or right after.
    let rest = transcribed.len() + 1 - typed.len().min(transcribed.len());
    typed += &terminal.typed(&"x".repeat(rest), Duration::from_secs(2)).unwrap();

    let (log, bus) = (daemon.log(), eavesdropper.heard());
    assert!(bus.contains("PropertiesChanged"), "the bus was listened to");
    for word in words(&typed).iter().filter(|word| word.len() > 3) {
        assert!(!log.to_lowercase().contains(word), "{word:?} is in the log: {log}");
        assert!(!bus.to_lowercase().contains(word), "{word:?} was on the bus: {bus}");
    }
    note(&format!("typed {typed:?}, first character after {first:?}, {played:?} played"));
    Some(Dictated { typed, transcribed, first, played })
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Words that are missing, too many or other ones, for each word of the reference.
pub(crate) fn word_error_rate(reference: &str, heard: &str) -> f64 {
    let (reference, heard) = (words(reference), words(heard));
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, wanted) in reference.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, got) in heard.iter().enumerate() {
            let replaced = diagonal + usize::from(wanted != got);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[heard.len()] as f64 / reference.len().max(1) as f64
}

#[test]
fn what_is_said_to_a_streaming_model_is_in_the_terminal_while_it_is_said() {
    let (Some(_), Some(wav)) = (runtime(), recording("beckett.wav")) else { return };
    let Some(dictated) = dictate(&toy("att70_6-rnnt"), &wav) else { return };
    assert_eq!(dictated.typed, dictated.transcribed + " ");
    assert!(dictated.first < dictated.played, "nothing was typed while it was said");
}

#[test]
fn what_is_said_to_the_default_model_is_in_the_terminal_while_it_is_said() {
    let (Some(_), Some(model), Some(wav)) = (runtime(), model("moonshine-tiny-en"), recording("beckett.wav"))
    else {
        return;
    };
    let Some(dictated) = dictate(&model, &wav) else { return };
    let rate = word_error_rate(&dictated.transcribed, &dictated.typed);
    assert!(rate < 0.1, "{rate}: {:?} was typed, {:?} transcribed", dictated.typed, dictated.transcribed);
    assert!(dictated.first < dictated.played, "nothing was typed while it was said");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let within = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    within.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn neither_programs_nor_libraries_leave_a_file_in_a_persons_home() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    let (wav, model) = (silence(&home, 16_000), toy("att70_6-rnnt"));
    let before = files(&home.path(""));
    let ran = transcribe(&home, &model, &wav);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(files(&home.path("")), before);
}

#[test]
fn word_errors_are_counted_against_the_reference() {
    for (reference, heard, rate) in [
        ("Ever tried. Ever failed.", "ever tried ever failed", 0.0),
        ("a b c d", "a x c d", 0.25),
        ("a b c d", "a c d", 0.25),
        ("a b c d", "a b b c d", 0.25),
        ("a b", "", 1.0),
        ("", "", 0.0),
    ] {
        assert_eq!(word_error_rate(reference, heard), rate, "{reference:?} as {heard:?}");
    }
}
