//! The session's rules as sentences in a tiny language.
//!
//! A program is a line of operations joined by " · "; `run` gives back what the
//! session did, in the same style. The invariants are verified after each one.
//! The worker is honest here: it acknowledges what it was sent when it is told to.

mod away;
mod bench;
mod calls;
mod candidate;
mod invariants;
mod journal;
mod recovery;
mod text;
mod typing;
mod world;

use super::*;
use crate::hypothesis::{Hypothesis, UtteranceId, Word};
use crate::time::samples_in_ms;
use crate::wire::{Checkpoint, EngineInfo, FaultKind, FromWorker, Step, VERSION};
use crate::{SamplePos, supervise};
use bench::{Bench, bench, check, engine, run};

#[test]
fn start_opens_the_microphone_and_listening_begins_with_the_first_sample() {
    let bench = check("ready · start", "open · begin 0");
    assert_eq!(bench.session.state(), Published::Starting);
    let bench = check("ready · start · mic 100", "audio 0..100");
    assert_eq!(bench.session.state(), Published::Listening);
}

#[test]
fn words_are_typed_once_they_are_frozen_and_never_before() {
    check("ready · start · mic 1000 · think 500 hello", "");
    check("ready · start · mic 1000 · think 500 hello · think 1000 hello|world", "type \"hello\"");
    check("ready · start · mic 900 · think 500 a|b · think 900 b|c", "type \" b\"");
}

#[test]
fn stop_keeps_the_microphone_open_for_the_last_word_and_then_decodes_everything() {
    check("ready · start · mic 500 · stop", "");
    check("ready · start · mic 500 · stop · +199", "");
    check("ready · start · mic 500 · stop · +200", "close");
    check("ready · start · mic 500 · stop · mic 200 · +200 · ended", "finish 700");
    let bench =
        check("ready · start · mic 500 · stop · +200 · ended · last 500 the end · finished", "done 500");
    assert_eq!((bench.window.as_str(), bench.session.state()), ("the end", Published::Idle));
}

#[test]
fn every_verb_is_harmless_when_it_is_already_so() {
    check("ready · stop", "");
    check("ready · cancel", "");
    check("ready · start · start", "");
    check("ready · start · mic 10 · stop · stop", "");
}

#[test]
fn toggle_starts_and_stops_and_starts_again_while_the_last_words_are_decoded() {
    let bench = check("ready · toggle · mic 500 · toggle · toggle", "close · open");
    assert_eq!(bench.session.state(), Published::Starting);
    let mut bench = bench;
    // The first capture ends, its audio is decoded to the end, then the second's.
    bench.capture = 1;
    bench.apply("ended");
    bench.capture = 2;
    bench.apply("mic 300");
    bench.apply("last 500 one");
    bench.done.clear();
    bench.apply("finished");
    assert_eq!(bench.done.join(" · "), "done 500 · begin 0 · audio 0..300");
}

#[test]
fn the_microphone_does_not_wait_for_the_engine_and_no_word_is_lost_meanwhile() {
    check("start · mic 400 · mic 300", "");
    check("start · mic 400 · mic 300 · ready", "begin 0 · audio 0..500 · audio 500..700");
    check("start · mic 400 · stop · +200 · ended · ready", "begin 0 · audio 0..400 · finish 400");
}

#[test]
fn no_more_than_two_seconds_are_in_flight() {
    let five = "ready · start · mic 5000";
    check(five, "audio 0..500 · audio 500..1000 · audio 1000..1500 · audio 1500..2000");
    check(&format!("{five} · heard 600"), "audio 2000..2500 · audio 2500..3000");
}

#[test]
fn a_new_worker_gets_the_utterance_again_with_what_was_typed_and_types_nothing_twice() {
    let talk = "ready · start · mic 2000 · heard 2000 · think 1500 one two|three · crash";
    check(talk, "spawn cuda:0");
    check(
        &format!("{talk} · ready"),
        "begin 0 one two · audio 0..500 · audio 500..1000 · audio 1000..1500 · audio 1500..2000",
    );
    let bench = check(&format!("{talk} · ready · think 2000 three|four"), "type \" three\"");
    assert_eq!(bench.window, "one two three");
}

#[test]
fn a_new_utterance_begins_where_the_last_one_ended() {
    let talk = "ready · start · mic 2000 · last 1500 one two · crash · ready";
    check(talk, "begin 1500 · audio 1500..2000");
}

#[test]
fn a_stream_without_utterances_goes_on_after_the_words_that_are_settled() {
    let talk = "ready · start · mic 2000 · think 500 one|two · think 1000 two|three · heard 1500 800";
    let bench = check(&format!("{talk} · think 1500 three|four"), "type \" three\"");
    assert_eq!(bench.window, "one two three");
    check(
        &format!("{talk} · crash · ready"),
        "begin 800 two · audio 800..1300 · audio 1300..1800 · audio 1800..2000",
    );
    let bench = check(&format!("{talk} · crash · ready · think 1800 three|four"), "type \" three\"");
    assert_eq!(bench.window, "one two three");
}

#[test]
fn a_gap_in_the_audio_is_a_gap_in_time() {
    check("ready · start · mic 100 · gap 50", "audio 100..151");
}

#[test]
fn a_device_that_refuses_is_followed_by_the_next_and_then_by_an_explanation() {
    check("fault device", "spawn cpu");
    let bench = check("fault device · fault device", "kill");
    assert!(bench.session.trouble().contains("no device works"), "{}", bench.session.trouble());
    check("fault device · fault device · start", "open · spawn cuda:0");
}

#[test]
fn without_an_engine_a_stopped_dictation_ends_and_says_why() {
    let bench = check("fault model · start · fault model · mic 100 · stop · +200 · ended", "done 100");
    assert_eq!((bench.session.state(), bench.session.trouble()), (Published::Idle, "model".to_owned()));
}

#[test]
fn text_that_could_not_be_typed_is_kept_and_goes_before_the_next() {
    let talk = "ready · start · mic 2000 · think 500 one|two · refused";
    let bench = check(talk, "");
    assert!(bench.session.trouble().contains("no window"));
    check(&format!("{talk} · think 1000 two|three"), "resume · type \"one two\"");
    let bench = check(&format!("{talk} · think 1000 two|three · typed"), "");
    assert_eq!(bench.session.trouble(), "");
}

#[test]
fn cancel_closes_the_microphone_and_later_words_of_that_dictation_are_dropped() {
    check("ready · start · mic 500 · cancel", "close · forget");
    let (mut bench, _) = run("ready · start · mic 500");
    let stale = bench.told;
    bench.apply("cancel");
    bench.told = stale;
    bench.done.clear();
    bench.apply("last 500 too late");
    assert!(bench.done.is_empty(), "{:?}", bench.done);
}

#[test]
fn a_worker_that_breaks_the_protocol_is_replaced() {
    let (mut talking, _) = run("ready · start · mic 500");
    let dictation = talking.told.map(|t| t.0).unwrap();
    talking.done.clear();
    let up_to = SamplePos(999_999);
    talking.event(Event::Worker(FromWorker::Heard { dictation, up_to, speech: false, resume: up_to }));
    assert_eq!(talking.done.join(" · "), "kill · spawn cuda:0");
    let mut bench = bench();
    bench.done.clear();
    bench.event(Event::Worker(FromWorker::Hello { version: VERSION + 1 }));
    assert!(bench.session.trouble().contains("install both"), "{}", bench.session.trouble());
}

#[test]
fn a_lost_microphone_is_told_until_audio_comes_again() {
    let bench = check("ready · start · mic 100 · lost", "");
    assert_eq!(bench.session.trouble(), "unplugged");
    let bench = check("ready · start · mic 100 · lost · mic 100", "audio 100..200");
    assert_eq!(bench.session.trouble(), "");
}

#[test]
fn sound_that_was_lost_is_said_until_the_next_dictation() {
    let away = "ready · start · mic 100 · lost · gap 2300";
    let bench = check(away, "audio 100..600 · audio 600..1100 · audio 1100..1600 · audio 1600..2100");
    assert!(bench.session.trouble().starts_with("2.3 s of sound were lost"), "{}", bench.session.trouble());
    let bench = run(&format!("{away} · mic 500 · mic 500")).0;
    assert!(bench.session.trouble().starts_with("2.3 s of sound were lost"), "{}", bench.session.trouble());
    assert_eq!(run(&format!("{away} · toggle · toggle")).0.session.trouble(), "");
    assert_eq!(run("ready · start · mic 100 · gap 20 · gap 30").0.session.trouble(), "");
}

#[test]
fn an_idle_session_has_no_deadline() {
    assert_eq!(run("ready").0.session.deadline(), None);
    assert_eq!(run("ready · start · mic 100 · heard 100").0.session.deadline(), None);
    assert!(run("ready · start · mic 100 · heard 100 · stop").0.session.deadline().is_some());
}
