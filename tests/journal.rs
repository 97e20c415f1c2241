//! A daemon that is killed costs no word: what was typed and what `swictation recover`
//! prints is, one after the other, what was said.
//!
//! A daemon is stopped before it is killed, so that a test can see in its journal where
//! it is: in the middle of an utterance, with no edit on its way to the window. It says
//! and does nothing between the two.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use swictation_core::journal::{Recovered, Stretch, frame};
use swictation_tests::bus::Bus;
use swictation_tests::programs::{
    Daemon, Follower, Home, PATIENCE, Ran, model, recording, run, runtime, silence, toy,
};
use swictation_tests::{need, note, program};

/// The files of journals in a folder, in their order.
fn journals(folder: &Path) -> Vec<PathBuf> {
    let within = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = within.filter(|path| path.is_file()).collect();
    files.sort_by_key(|path| path.extension().and_then(|number| number.to_str()?.parse::<u32>().ok()));
    files
}

fn owed(folder: &Path) -> Recovered {
    let mut recovered = Recovered::default();
    for path in journals(folder) {
        frame::read(&fs::read(path).unwrap_or_default(), &mut |entry| recovered.add(entry));
    }
    recovered
}

fn signal(daemon: &Daemon, name: &str) {
    assert!(Command::new("kill").args([name, &daemon.pid().to_string()]).status().unwrap().success());
}

/// Stops the daemon where its journal in `folder` is as wanted and no edit is on its way.
fn stop_where(daemon: &Daemon, folder: &Path, wanted: impl Fn(&Stretch) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        signal(daemon, "-STOP");
        let recovered = owed(folder);
        let settled = recovered.untyped().is_empty();
        if settled && recovered.stretches().first().is_some_and(&wanted) {
            return;
        }
        signal(daemon, "-CONT");
        assert!(Instant::now() < deadline, "the journal in {} never was as wanted", folder.display());
        // Nobody is told of another process's files.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A dictation without a bus, of this recording, that prints what it types.
fn dictate(home: &Home, wav: &Path, pace: &str) -> Command {
    let source = format!("wav:{}{pace}", wav.display());
    let mut command = home.command("swictationd");
    command.args(["--no-bus", "--typist", "stdout", "--source", &source]);
    command
}

fn configure(home: &Home, model: &Path, more: &str) {
    home.configure(&format!("model = {model:?}\ndevice = \"cpu\"\ntrailing_space = false\n{more}"));
}

fn transcribed(home: &Home, wav: &Path) -> String {
    let ran = home.run("swictation", &["transcribe", wav.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.out.trim_end_matches('\n').to_owned()
}

fn recover(home: &Home, args: &[&str]) -> Ran {
    home.run("swictation", &[&["recover"], args].concat())
}

/// How much was captured of the first dictation in a journal, in samples.
fn captured(folder: &Path) -> u64 {
    let stretch = owed(folder).stretches().remove(0);
    stretch.owed.needed().0 + stretch.audio.iter().map(|(gap, pcm)| gap + pcm.len() as u64).sum::<u64>()
}

/// The first samples of a recording of 16 kHz, mono, of 16 bits.
fn beginning(home: &Home, wav: &Path, samples: u64) -> PathBuf {
    let bytes = fs::read(wav).unwrap();
    let data = bytes.windows(4).position(|window| window == b"data").unwrap() + 8;
    let path = silence(home, u32::try_from(samples).unwrap());
    let mut cut = fs::read(&path).unwrap();
    let length = 2 * samples as usize;
    cut[44..].copy_from_slice(&bytes[data..data + length]);
    fs::write(&path, cut).unwrap();
    path
}

/// What was typed before the end of a daemon, what was given back, and what is
/// transcribed of all that it had captured.
struct CutOff {
    typed: String,
    back: String,
    whole: String,
}

/// Kills a daemon in the middle of an utterance of which words are typed, and recovers.
fn cut_off(model: &Path, folder: &str, more: &str) -> Option<CutOff> {
    let (_, wav) = (runtime()?, recording("beckett.wav")?);
    let home = Home::new();
    configure(&home, model, more);
    let mut daemon = Daemon::start(&mut dictate(&home, &wav, "?realtime"));
    let folder = home.path(folder);
    let in_mid = |stretch: &Stretch| {
        stretch.owed.past.text.has_text()
            && stretch.audio.iter().map(|(_, pcm)| pcm.len()).sum::<usize>() > 8_000
    };
    stop_where(&daemon, &folder, in_mid);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert!(journals(&folder).iter().all(|path| mode(path) == 0o600));
    signal(&daemon, "-KILL");
    assert_eq!(daemon.ended(), -1);
    let typed = daemon.printed(1);
    let whole = transcribed(&home, &beginning(&home, &wav, captured(&folder)));
    for word in whole.split(' ').filter(|word| word.len() > 3) {
        assert!(!daemon.log().contains(word), "{word:?} is in the log: {}", daemon.log());
    }

    let kept = recover(&home, &["--keep"]);
    assert_eq!(kept.code, 0, "{kept:?}");
    assert!(!journals(&folder).is_empty());
    let back = recover(&home, &[]);
    assert_eq!((back.code, &back.out), (0, &kept.out), "{back:?}");
    assert_eq!(journals(&folder), Vec::<PathBuf>::new());
    let again = recover(&home, &[]);
    assert_eq!((again.code, again.out.as_str()), (0, ""));
    assert!(again.err.contains("nothing to recover"), "{again:?}");
    let back = back.out.trim_end_matches('\n').to_owned();
    note(&format!("typed {typed:?}, given back {back:?}, whole {whole:?}"));
    Some(CutOff { typed, back, whole })
}

const MEMORY: &str = "run/swictation";

#[test]
fn what_a_killed_daemon_had_typed_and_what_is_given_back_is_the_whole_dictation() {
    let Some(cut) = cut_off(&toy("att70_6-rnnt"), MEMORY, "") else { return };
    assert_eq!(cut.typed + &cut.back, cut.whole);
}

#[test]
fn what_is_kept_on_a_disk_is_given_back_from_there() {
    let disk = "recovery = \"disk\"\n";
    let Some(cut) = cut_off(&toy("att70_6-rnnt"), ".local/state/swictation", disk) else { return };
    assert_eq!(cut.typed + &cut.back, cut.whole);
}

#[test]
fn what_a_killed_daemon_with_the_default_model_had_not_typed_is_given_back() {
    let Some(model) = model("moonshine-tiny-en") else { return };
    let Some(cut) = cut_off(&model, MEMORY, "") else { return };
    assert_eq!(cut.typed + &cut.back, cut.whole);
}

#[test]
fn a_dictation_that_ended_well_leaves_no_file() {
    let (Some(_), Some(wav), home) = (runtime(), recording("beckett.wav"), Home::new()) else { return };
    configure(&home, &toy("att70_6-rnnt"), "");
    let whole = transcribed(&home, &wav);
    let mut daemon = Daemon::start(&mut dictate(&home, &wav, ""));
    assert_eq!(daemon.ended(), 0);
    assert_eq!(daemon.printed(whole.len()), whole);
    assert!(home.path(MEMORY).is_dir());
    assert_eq!(journals(&home.path(MEMORY)), Vec::<PathBuf>::new());
}

#[test]
fn nothing_is_kept_where_nothing_is_wanted() {
    let (Some(_), Some(wav), home) = (runtime(), recording("beckett.wav"), Home::new()) else { return };
    configure(&home, &toy("att70_6-rnnt"), "recovery = \"off\"\n");
    let mut daemon = Daemon::start(&mut dictate(&home, &wav, ""));
    assert_eq!(daemon.ended(), 0);
    assert!(!home.path(MEMORY).exists() && !home.path(".local").exists());
}

#[test]
fn a_disk_that_is_full_is_shown_and_the_dictation_is_complete() {
    let (Some(_), Some(wav), Some(bus)) = (runtime(), recording("beckett.wav"), Bus::start()) else { return };
    if !need("a shell", program("sh")) {
        return;
    }
    let home = Home::new();
    configure(&home, &toy("att70_6-rnnt"), "");
    let whole = transcribed(&home, &wav);
    let mut status = Follower::on(&bus, &home);
    // No file becomes larger than a few kilobytes, and writing more is an error.
    let inner = home.command("swictationd");
    let mut command = Command::new("sh");
    command.env_clear().envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]).arg(inner.get_program());
    let source = format!("wav:{}?realtime", wav.display());
    command.args(["--typist", "stdout", "--source", &source]);
    let daemon = Daemon::start(bus.give_to(&mut command));
    status.until("an engine", |line| line["engine"]["state"] == "ready");
    let started = run(bus.give_to(&mut home.command("swictation")).arg("start"));
    assert_eq!(started.code, 0, "{started:?}");
    let trouble = status.trouble("the recovery file cannot be written");
    assert!(
        trouble.contains("run/swictation/journal-") && trouble.contains("dictation goes on"),
        "{trouble}"
    );
    let end = status.until("the end", |line| line["state"] == "idle" && line["trouble"] == "");
    assert_eq!(end["trouble"], "");
    assert_eq!(daemon.printed(whole.len()), whole);
    assert_eq!(journals(&home.path(MEMORY)), Vec::<PathBuf>::new());
    for word in whole.split(' ').filter(|word| word.len() > 3) {
        assert!(!daemon.log().contains(word), "{word:?} is in the log: {}", daemon.log());
    }
}

#[test]
fn what_a_living_daemon_has_not_typed_yet_is_not_taken_away_from_it() {
    let (Some(_), Some(wav), home) = (runtime(), recording("beckett.wav"), Home::new()) else { return };
    configure(&home, &toy("att70_6-rnnt"), "");
    let whole = transcribed(&home, &wav);
    let mut first = Daemon::start(&mut dictate(&home, &wav, "?realtime"));
    stop_where(&first, &home.path(MEMORY), |stretch| stretch.owed.past.text.has_text());
    let files = journals(&home.path(MEMORY));
    let none = recover(&home, &[]);
    assert!(none.code == 0 && none.out.is_empty() && none.err.contains("nothing to recover"), "{none:?}");
    // A second daemon has files of its own, and takes none but them away.
    let mut second = Daemon::start(&mut dictate(&home, &wav, ""));
    assert_eq!(second.ended(), 0);
    assert_eq!(second.printed(whole.len()), whole);
    assert_eq!(journals(&home.path(MEMORY)), files);
    signal(&first, "-CONT");
    assert_eq!(first.ended(), 0);
    assert_eq!(first.printed(whole.len()), whole);
}

#[test]
fn a_daemon_says_what_the_one_before_it_left_until_it_is_given_back() {
    let (Some(_), Some(wav), Some(bus)) = (runtime(), recording("beckett.wav"), Bus::start()) else { return };
    let home = Home::new();
    configure(&home, &toy("att70_6-rnnt"), "");
    let mut killed = Daemon::start(&mut dictate(&home, &wav, "?realtime"));
    stop_where(&killed, &home.path(MEMORY), |stretch| stretch.owed.past.text.has_text());
    signal(&killed, "-KILL");
    killed.ended();
    let mut status = Follower::on(&bus, &home);
    let _next = Daemon::start(bus.give_to(&mut home.command("swictationd")));
    let trouble = status.trouble("was cut off: `swictation recover` gives back what was not typed");
    assert!(trouble.starts_with("a dictation of "), "{trouble}");
    assert_eq!(recover(&home, &[]).code, 0);
    status.until("that it is given back", |line| line["trouble"] == "");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_kept_and_the_others_are_given_back() {
    let home = Home::new();
    let folder = home.path(MEMORY);
    fs::create_dir(&folder).unwrap();
    let garbage = folder.join("journal-1700000000000-1.0");
    fs::write(&garbage, "no journal at all").unwrap();
    let mut bytes = frame::HEAD.to_vec();
    let text = "what was said".to_owned();
    frame::write(&swictation_core::journal::Entry::Text { piece: 1, text, past: None }, &mut bytes);
    fs::write(folder.join("journal-1700000000001-1.0"), bytes).unwrap();
    let ran = recover(&home, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "what was said\n"), "{ran:?}");
    let named = format!("{} is not a journal of this version", garbage.display());
    assert!(ran.err.contains(&named) && ran.err.contains("the files are kept"), "{ran:?}");
    assert_eq!(journals(&folder), [garbage]);
}

#[test]
fn audio_is_kept_when_no_model_can_recognise_it() {
    let (Some(_), Some(wav), home) = (runtime(), recording("beckett.wav"), Home::new()) else { return };
    configure(&home, &toy("att70_6-rnnt"), "");
    let mut daemon = Daemon::start(&mut dictate(&home, &wav, "?realtime"));
    stop_where(&daemon, &home.path(MEMORY), |_| true);
    signal(&daemon, "-KILL");
    daemon.ended();
    configure(&home, &home.path("nowhere"), "");
    let ran = recover(&home, &[]);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.err.contains("there is no model here") && ran.err.contains("is kept"), "{ran:?}");
    assert!(!journals(&home.path(MEMORY)).is_empty());
}

#[test]
fn a_recording_without_a_word_is_given_back_as_an_empty_line() {
    let (Some(_), home) = (runtime(), Home::new()) else { return };
    configure(&home, &toy("att70_6-rnnt"), "");
    let wav = silence(&home, 160_000);
    let mut daemon = Daemon::start(&mut dictate(&home, &wav, "?realtime"));
    stop_where(&daemon, &home.path(MEMORY), |_| true);
    signal(&daemon, "-KILL");
    daemon.ended();
    let ran = recover(&home, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "\n"), "{ran:?}");
}
