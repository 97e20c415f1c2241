//! Hotwords: a file beside the configuration, and the words that are typed.

use crate::bad_input::{assert_refused, daemon, desk, transcribe, verb};
use std::fs;
use swictation_control::exit;
use swictation_tests::programs::{Home, recording, runtime, toy};

const MODEL: &str = "att70_6-rnnt";
/// So much that nothing that is said is anything else.
const STRONG: &str = "# names\nwarm: 10\n";

/// Saves the list as an editor does.
fn save(home: &Home, list: &str) {
    fs::write(home.path("config/swictation/new"), list).unwrap();
    fs::rename(home.path("config/swictation/new"), home.path("config/swictation/hotwords.txt")).unwrap();
}

#[test]
fn a_transcript_has_the_words_of_the_list_and_a_bad_line_is_named() {
    let (Some(_), Some(wav)) = (runtime(), recording("beckett.wav")) else { return };
    let home = Home::new();
    let plain = transcribe(&home, &toy(MODEL), &wav);
    assert!(plain.code == 0 && !plain.out.contains("warm"), "{plain:?}");
    save(&home, STRONG);
    let heard = transcribe(&home, &toy(MODEL), &wav);
    assert!(heard.code == 0 && heard.out.contains("warm"), "{heard:?}");
    save(&home, "warm\nAnna: 99\n");
    let refused = transcribe(&home, &toy(MODEL), &wav);
    assert_refused(&refused, exit::CONFIGURATION, &["hotwords.txt, line 2", "0.1 to 10"]);
}

#[test]
fn a_saved_list_is_taken_over_and_a_bad_one_leaves_the_old_one_in_force() {
    let (Some(_), Some(wav), Some((bus, home, mut status))) = (runtime(), recording("beckett.wav"), desk())
    else {
        return;
    };
    home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n", toy(MODEL)));
    let source = format!("wav:{}", wav.display());
    let daemon = daemon(&bus, &home, &["--typist", "stdout", "--source", &source]);
    status.until("an engine", |line| line["engine"]["state"] == "ready");
    assert_eq!(status.last["engine"]["hotwords"], 0);
    save(&home, STRONG);
    status.until("the list", |line| line["engine"]["hotwords"] == 1);
    let shown = verb(&bus, &home, &["status"]);
    assert!(shown.out.contains("1 hotwords") && !shown.out.contains("warm"), "{shown:?}");
    assert_eq!(verb(&bus, &home, &["start"]).code, 0);
    status.until("a dictation", |line| line["state"] != "idle");
    status.state("idle");
    let typed = transcribe(&home, &toy(MODEL), &wav).out.trim().to_owned() + " ";
    assert!(typed.contains("warm"), "{typed}");
    assert_eq!(daemon.printed(typed.len()), typed);
    save(&home, "warm\tvery\n");
    let trouble = status.trouble("the old configuration stays in force");
    assert!(trouble.contains("hotwords.txt, line 1"), "{trouble}");
    assert_eq!(status.last["engine"]["hotwords"], 1);
    assert!(!daemon.log().contains("warm"), "{}", daemon.log());
    fs::remove_file(home.path("config/swictation/hotwords.txt")).unwrap();
    status.until("no list", |line| line["engine"]["hotwords"] == 0);
}
