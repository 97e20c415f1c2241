//! What a person gets who has something wrong: an exit code that scripts can rely
//! on, and a message that names the file or value and the way out. A daemon says
//! the same in its status, and goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use swictation_control::exit;
use swictation_tests::bus::Bus;
use swictation_tests::need;
use swictation_tests::programs::{Daemon, Follower, Home, Ran, recording, run, runtime, silence, toy};

/// Asserts how a program ended, and that it said all of `parts`.
pub(crate) fn assert_refused(ran: &Ran, code: u8, parts: &[&str]) {
    assert_eq!(ran.code, i32::from(code), "{ran:?}");
    assert_says(&ran.err, parts);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

pub(crate) fn transcribe(home: &Home, model: &Path, file: &Path) -> Ran {
    let (model, file) = (model.to_str().unwrap(), file.to_str().unwrap());
    home.run("swictation", &["transcribe", "--model", model, file])
}

/// A copy of a toy model, to be damaged.
fn damaged(home: &Home, damage: impl FnOnce(&Path)) -> PathBuf {
    let copy = home.path("data/swictation/models/copy");
    fs::create_dir_all(&copy).unwrap();
    for file in fs::read_dir(toy("att70_6-rnnt")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    fs::copy(toy("vocab.txt"), copy.join("../vocab.txt")).unwrap();
    damage(&copy);
    copy
}

pub(crate) fn edit(file: &Path, edit: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(file).unwrap();
    let edited = edit(text.clone());
    assert_ne!(text, edited, "{} is changed", file.display());
    fs::write(file, edited).unwrap();
}

/// A configuration with a model that works.
fn working(more: &str) -> String {
    format!("model = {:?}\ndevice = \"cpu\"\n{more}", toy("att70_6-rnnt"))
}

/// A home, a bus and a follower: what a daemon needs to be looked at.
pub(crate) fn desk() -> Option<(Bus, Home, Follower)> {
    let (bus, home) = (Bus::start()?, Home::new());
    let follower = Follower::on(&bus, &home);
    Some((bus, home, follower))
}

pub(crate) fn daemon(bus: &Bus, home: &Home, args: &[&str]) -> Daemon {
    Daemon::start(bus.give_to(&mut home.command("swictationd")).args(args))
}

pub(crate) fn verb(bus: &Bus, home: &Home, args: &[&str]) -> Ran {
    run(bus.give_to(&mut home.command("swictation")).args(args))
}

#[test]
fn a_missing_model_is_named_with_the_way_to_get_it() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    let ran = home.run("swictation", &["transcribe", silence(&home, 16_000).to_str().unwrap()]);
    let place = home.path("data/swictation/models/moonshine-tiny-en/model.toml");
    assert_refused(&ran, exit::MODEL, &[place.to_str().unwrap(), "scripts/run", "config.toml"]);
}

#[test]
fn a_daemon_without_a_model_says_so_and_stays() {
    let (Some(_), Some((bus, home, mut status))) = (runtime(), desk()) else { return };
    let mut daemon = daemon(&bus, &home, &[]);
    let trouble = status.trouble("there is no model here");
    assert_says(&trouble, &["moonshine-tiny-en/model.toml", "scripts/run"]);
    assert_eq!(status.last["engine"]["state"], "failed");
    let shown = verb(&bus, &home, &["status"]);
    assert_eq!(shown.code, i32::from(exit::OK));
    assert_says(&shown.out, &["engine: failed", "trouble: "]);
    assert!(daemon.runs());
}

#[test]
fn a_truncated_model_file_is_named() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    let model = damaged(&home, |copy| {
        let graph = copy.join("encoder-model.onnx");
        let whole = fs::read(&graph).unwrap();
        fs::write(&graph, &whole[..whole.len() / 2]).unwrap();
        edit(&copy.join("model.toml"), |text| {
            text.lines()
                .map(|line| line.split(", sha256").next().unwrap().replace(".onnx\"", ".onnx\" }") + "\n")
                .collect::<String>()
                .replace("vocab.txt\"", "vocab.txt\" }")
        });
    });
    let ran = transcribe(&home, &model, &silence(&home, 16_000));
    assert_refused(&ran, exit::MODEL, &["copy/encoder-model.onnx"]);
}

#[test]
fn a_file_with_another_checksum_is_named_with_the_way_out() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    let model = damaged(&home, |copy| {
        let graph = copy.join("decoder_joint-model.onnx");
        let mut bytes = fs::read(&graph).unwrap();
        bytes[1000] ^= 1;
        fs::write(&graph, bytes).unwrap();
    });
    let ran = transcribe(&home, &model, &silence(&home, 16_000));
    assert_refused(&ran, exit::MODEL, &["copy/decoder_joint-model.onnx", "sha256", "fetch the model again"]);
}

#[test]
fn an_unknown_family_is_named_with_its_line_and_the_known_ones() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    let model = damaged(&home, |copy| {
        edit(&copy.join("model.toml"), |text| text.replace("cache-aware-rnnt", "whisper"))
    });
    let ran = transcribe(&home, &model, &silence(&home, 16_000));
    assert_refused(
        &ran,
        exit::MODEL,
        &["copy/model.toml", "line 3", "whisper", "moonshine", "cache-aware-ctc"],
    );
}

#[test]
fn an_unknown_key_of_a_model_is_named_with_its_line() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    let model =
        damaged(&home, |copy| edit(&copy.join("model.toml"), |text| format!("colour = \"blue\"\n{text}")));
    let ran = transcribe(&home, &model, &silence(&home, 16_000));
    assert_refused(&ran, exit::MODEL, &["copy/model.toml", "line 1", "colour"]);
}

#[test]
fn a_recording_that_cannot_be_read_is_named() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    for (name, reason) in [("nowhere.wav", "No such file"), ("run", "directory")] {
        let file = home.path(name);
        let ran = transcribe(&home, &toy("att70_6-rnnt"), &file);
        assert_refused(&ran, exit::AUDIO, &[file.to_str().unwrap(), reason]);
    }
}

#[test]
fn a_recording_without_a_sample_is_named() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    fs::write(home.path("empty.wav"), "").unwrap();
    for file in [home.path("empty.wav"), silence(&home, 0)] {
        let ran = transcribe(&home, &toy("att70_6-rnnt"), &file);
        assert_refused(&ran, exit::AUDIO, &[file.to_str().unwrap()]);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn a_file_that_is_no_recording_is_named_with_what_would_do() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    let file = home.path("letter.wav");
    fs::write(&file, "Dear Sir or Madam").unwrap();
    let ran = transcribe(&home, &toy("att70_6-rnnt"), &file);
    assert_refused(&ran, exit::AUDIO, &[file.to_str().unwrap(), "neither a WAV nor a FLAC"]);
}

#[test]
fn without_a_microphone_the_daemon_says_so_and_stays() {
    let Some((bus, home, mut status)) = desk() else { return };
    let mut daemon = daemon(&bus, &home, &[]);
    status.state("idle");
    assert_eq!(verb(&bus, &home, &["start"]).out, "starting\n");
    let trouble = status.trouble("no microphone");
    assert_says(&trouble, &["Start the sound server", "plug a microphone in"]);
    assert_says(&verb(&bus, &home, &["status"]).out, &["trouble: ", "no microphone"]);
    assert_eq!(verb(&bus, &home, &["stop"]).code, i32::from(exit::OK));
    status.state("idle");
    assert!(daemon.runs());
}

#[test]
fn without_a_display_the_text_is_kept_and_the_status_says_why() {
    let (Some(_), Some(file), Some((bus, home, mut status))) = (runtime(), recording("beckett.wav"), desk())
    else {
        return;
    };
    home.configure(&working("trailing_space = false\n"));
    let text = transcribe(&home, &toy("att70_6-rnnt"), &file).out;
    let mut daemon = daemon(&bus, &home, &["--source", &format!("wav:{}", file.display())]);
    status.until("an engine", |line| line["engine"]["state"] == "ready");
    verb(&bus, &home, &["start"]);
    let kept =
        format!("{} characters are kept and typed as soon as that works", text.trim_end().chars().count());
    let trouble = status.trouble(&kept);
    assert_says(&trouble, &["nothing here can type", "x11", "DISPLAY"]);
    status.state("idle");
    assert!(daemon.runs());
    let first = text.split(' ').next().unwrap();
    assert!(!daemon.log().contains(first), "what was dictated is in the log: {}", daemon.log());
}

#[test]
fn without_a_bus_both_programs_say_so_with_the_way_out() {
    let home = Home::new();
    assert_refused(&home.run("swictationd", &[]), exit::NO_BUS, &["no session bus", "--no-bus"]);
    assert_refused(
        &home.run("swictation", &["toggle"]),
        exit::NO_BUS,
        &["no session bus", "DBUS_SESSION_BUS_ADDRESS"],
    );
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_with_line_and_key() {
    for (text, parts) in [
        ("# mine\nwait_kk = 3\n", &["line 2", "wait_kk"][..]),
        ("device = \"tpu\"\n", &["line 1", "tpu", "\"cpu\"", "\"cuda:N\""]),
        ("\nthreads = 99\n", &["line 2", "threads = 99", "0 to 64"]),
        ("context_seconds = \"long\"\n", &["line 1", "context_seconds"]),
        ("model = \"\n", &["line 1"]),
    ] {
        let home = Home::new();
        home.configure(text);
        let file = home.path("config/swictation/config.toml");
        for args in [&[][..], &["transcribe", "speech.wav"]] {
            let ran = home.run("swictationd", args);
            assert_refused(&ran, exit::CONFIGURATION, &[file.to_str().unwrap()]);
            assert_says(&ran.err, parts);
        }
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let ran = Home::new().run("swictationd", &["--config", "mine.toml"]);
    assert_refused(&ran, exit::CONFIGURATION, &["mine.toml", "No such file"]);
}

#[test]
fn a_bad_edit_leaves_the_old_configuration_in_force_and_the_status_says_so() {
    let (Some(_), Some((bus, home, mut status))) = (runtime(), desk()) else { return };
    home.configure(&working(""));
    let mut daemon = daemon(&bus, &home, &[]);
    let before = status.until("an engine", |line| line["engine"]["state"] == "ready");
    home.configure(&working("wait_kk = 1\n"));
    let trouble = status.trouble("the old configuration stays in force");
    assert_says(&trouble, &["config.toml", "line 3", "wait_kk"]);
    assert_eq!(status.last["engine"], before["engine"]);
    home.configure(&working(""));
    status.until("no trouble", |line| line["trouble"] == "");
    assert!(daemon.runs());
}

#[test]
fn an_edit_that_no_engine_can_follow_brings_the_old_engine_back() {
    let (Some(_), Some((bus, home, mut status))) = (runtime(), desk()) else { return };
    home.configure(&working(""));
    let mut daemon = daemon(&bus, &home, &[]);
    let before = status.until("an engine", |line| line["engine"]["state"] == "ready");
    home.configure("model = \"no-such-model\"\n");
    let trouble = status.trouble("the new configuration is not in force");
    assert_says(&trouble, &["no-such-model/model.toml"]);
    let after = status.until("an engine", |line| line["engine"]["state"] == "ready");
    assert_eq!(after["engine"], before["engine"]);
    assert_says(after["trouble"].as_str().unwrap(), &["no-such-model/model.toml"]);
    assert!(daemon.runs());
}

#[test]
fn a_second_daemon_names_the_first_and_ends() {
    let Some((bus, home, mut status)) = desk() else { return };
    let mut first = daemon(&bus, &home, &[]);
    status.state("idle");
    let second = run(bus.give_to(&mut home.command("swictationd")));
    let pid = format!("pid {}", first.pid());
    assert_refused(&second, exit::ANOTHER_DAEMON, &[&pid, "swictation quit"]);
    assert!(first.runs());
    assert_eq!(verb(&bus, &home, &["quit"]).code, i32::from(exit::OK));
    assert_eq!(first.ended(), i32::from(exit::OK));
}

#[test]
fn an_unknown_verb_is_named() {
    let home = Home::new();
    for program in ["swictation", "swictationd"] {
        let ran = home.run(program, &["dance"]);
        assert_refused(&ran, exit::USAGE, &["dance", "--help"]);
    }
}

/// Transcribes with another file in ONNX Runtime's place.
fn with_runtime(home: &Home, library: &Path) -> Ran {
    let file = silence(home, 16_000);
    let mut command = home.command("swictation");
    command
        .env("ORT_DYLIB_PATH", library)
        .arg("transcribe")
        .arg("--model")
        .arg(toy("att70_6-rnnt"))
        .arg(file);
    run(&mut command)
}

#[test]
fn a_missing_runtime_is_named_with_the_ways_to_get_it() {
    let home = Home::new();
    let library = home.path("libonnxruntime.so");
    let ran = with_runtime(&home, &library);
    assert_refused(&ran, exit::MODEL, &[library.to_str().unwrap(), "scripts/run", "ORT_DYLIB_PATH"]);
}

#[test]
fn a_file_that_is_no_library_is_named_with_the_ways_to_get_one() {
    let home = Home::new();
    let library = home.path("libonnxruntime.so");
    fs::write(&library, "This is a letter and no library.").unwrap();
    let ran = with_runtime(&home, &library);
    assert_refused(&ran, exit::MODEL, &[library.to_str().unwrap(), "scripts/run", "ORT_DYLIB_PATH"]);
}

/// A library with ONNX Runtime's only entry, which is of before its interface 24.
const TOO_OLD: &str = r#"
typedef struct { const void *(*api)(unsigned); const char *(*version)(void); } Base;
static const void *api(unsigned wanted) { (void)wanted; return 0; }
static const char *version(void) { return "1.17.0"; }
static const Base base = { api, version };
const Base *OrtGetApiBase(void) { return &base; }
"#;

#[test]
fn a_runtime_that_is_too_old_is_named_with_its_version_and_what_would_do() {
    if !need("cc", swictation_tests::program("cc")) {
        return;
    }
    let home = Home::new();
    let (source, library) = (home.path("old.c"), home.path("libonnxruntime.so"));
    fs::write(&source, TOO_OLD).unwrap();
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(made.success());
    let ran = with_runtime(&home, &library);
    assert_refused(&ran, exit::MODEL, &[library.to_str().unwrap(), "1.17.0", "1.24 or newer", "scripts/run"]);
}

#[test]
fn a_gpu_that_is_not_there_is_said_and_the_processor_does_not_step_in() {
    let (Some(_), Some((bus, home, mut status))) = (runtime(), desk()) else { return };
    home.configure(&working("").replace("\"cpu\"", "\"cuda\""));
    let file = silence(&home, 16_000);
    let ran = home.run("swictationd", &["transcribe", file.to_str().unwrap()]);
    assert_refused(&ran, exit::MODEL, &["CUDA", "device = \"cpu\"", "ORT_DYLIB_PATH"]);
    let mut daemon = daemon(&bus, &home, &[]);
    let failed = status.until("a failure", |line| line["engine"]["state"] == "failed");
    assert_says(failed["trouble"].as_str().unwrap(), &["CUDA"]);
    assert_eq!(failed["engine"]["provider"], "");
    assert!(daemon.runs());
}

#[test]
fn auto_takes_the_processor_where_there_is_no_gpu_and_the_status_says_so() {
    let (Some(_), Some((bus, home, mut status))) = (runtime(), desk()) else { return };
    home.configure(&working("").replace("\"cpu\"", "\"auto\""));
    let _daemon = daemon(&bus, &home, &[]);
    let ready = status.until("an engine", |line| line["engine"]["state"] == "ready");
    assert_eq!((&ready["engine"]["provider"], &ready["trouble"]), (&"cpu".into(), &"".into()));
}
