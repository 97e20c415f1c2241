//! Commands in the middle of what is said: what is scratched goes, and nothing else; a
//! spoken stop is a stop.

use super::*;
use crate::config::Config;
use std::sync::LazyLock;

/// English, with marks dictated.
pub(super) fn english() -> Arc<Rules> {
    static RULES: LazyLock<Arc<Rules>> =
        LazyLock::new(|| Config::parse("spoken_punctuation = true").unwrap().rules);
    RULES.clone()
}

/// Two utterances, the second of two edits; all of it is with the typist.
const TALK: &str = "english · ready · start · mic 4000 · heard 1900 · heard 3900 · last 500 one. · think 900 two|three · think 1500 three|four";

#[test]
fn a_word_that_may_begin_a_command_waits_for_the_next_one_and_others_do_not() {
    let talk = "english · ready · start · mic 4000 · heard 1900 · heard 3900 · think 500 hello new|lion";
    check(talk, "type \"hello\"");
    check(&format!("{talk} · think 900 lion|"), "type \" new lion\"");
    check(&format!("{talk} · think 900 line now|"), "type \"\\nNow\"");
    check(&format!("{talk} · last 900 "), "type \" new\"");
    let held = check(&format!("{talk} · stop · +200 · ended · finished"), "type \" new\" · done 4000");
    assert_eq!(held.session.last_text(), "hello new");
}

#[test]
fn scratching_takes_back_what_this_utterance_typed_and_what_follows_waits_for_that() {
    let mut bench = check(&format!("{TALK} · think 1900 Scratch that.|"), "scratch and 2 on their way");
    assert_eq!(bench.typed_in_the_end(), "one.");
    let typed = format!("{TALK} · typed · typed · typed · think 1900 scratch that|");
    check(&typed, "scratch and 0 on their way");
    check(&format!("{typed} · think 2500 five|"), "");
    let mut bench = check(&format!("{typed} · think 2500 five| · typed"), "type \" five\"");
    assert_eq!(bench.typed_in_the_end(), "one. five");
    assert_eq!(bench.session.last_text(), "one. five");
}

#[test]
fn scratching_behind_a_pause_takes_back_the_utterance_before_and_then_the_one_before_that() {
    let twice = format!("{TALK} · last 1900 four · last 2300 scratch that · last 2700 scratch that");
    let mut bench =
        check(&format!("{TALK} · last 1900 four · last 2300 scratch that"), "scratch and 3 on their way");
    assert_eq!(bench.typed_in_the_end(), "one.");
    let mut bench = check(&twice, "scratch and 1 on their way");
    assert_eq!(bench.typed_in_the_end(), "");
    let mut bench = check(&format!("{twice} · typed · think 3000 Five|"), "");
    assert_eq!(bench.typed_in_the_end(), "Five");
    assert_eq!(bench.session.trouble(), "");
    let bench = check(&format!("{twice} · last 3000 scratch that"), "");
    assert_eq!(bench.session.trouble(), "there is nothing of this dictation left to scratch");
}

#[test]
fn what_is_scratched_in_the_same_breath_or_waits_is_never_typed() {
    check(&format!("{TALK} · last 1900 four · think 2300 five scratch that six|"), "type \" six\"");
    let talk = format!("{TALK} · typed · refused · typed · think 1900 scratch that seven|");
    let mut bench = check(&talk, "resume · type \" seven\"");
    assert_eq!(bench.typed_in_the_end(), "one. seven");
    let held = format!("{TALK} · typed · typed · typed · last 1900 four · typed · hold · think 2300 five|");
    let mut bench = check(&format!("{held} · think 2700 scratch that|"), "");
    bench.apply("release");
    assert_eq!(bench.typed_in_the_end(), "one. two three four");
}

#[test]
fn of_an_utterance_that_was_typed_in_part_that_part_is_taken_back() {
    let talk = format!("{TALK} · typed · refused 2 · typed · think 1900 scratch that|");
    let mut bench = check(&talk, "scratch and 0 on their way");
    assert_eq!(bench.arrived, "one. t");
    assert_eq!(bench.typed_in_the_end(), "one.");
}

#[test]
fn an_utterance_that_was_tried_again_is_scratched_without_the_one_before_it() {
    // Both failed, and were typed again in edits that come after those.
    let again = format!("{TALK} · refused 1 · typed · typed · +500 · typed · typed");
    let (mut bench, _) = run(&again);
    assert_eq!(bench.typed_in_the_end(), "one. two three");
    let mut bench = check(&format!("{again} · think 1900 scratch that|"), "scratch and 0 on their way");
    assert_eq!(bench.typed_in_the_end(), "one.");
}

#[test]
fn what_cannot_be_taken_back_stays_and_the_trouble_says_why() {
    let first = "english · ready · start · mic 4000 · heard 1900 · heard 3900 · think 900 one|two · typed · think 1500 scratch that Two|";
    let mut bench = check(&format!("{first} · stays"), "type \" Two\"");
    let why = "what was scratched stays in the window: the focus has moved";
    assert_eq!(bench.session.trouble(), why);
    assert_eq!(bench.typed_in_the_end(), "one Two");
    let later = "english · ready · start · mic 4000 · heard 1900 · heard 3900 · think 900 one|two · typed · think 1500 scratch that|";
    let mut bench = check(&format!("{later} · stays · think 1900 Two|"), "type \" Two\"");
    assert_eq!(bench.typed_in_the_end(), "one Two");
    bench.done.clear();
    for op in ["stop", "+200", "ended", "last 4000 three", "typed", "finished", "start"] {
        bench.apply(op);
    }
    assert_eq!((bench.window.as_str(), bench.session.trouble().as_str()), ("one Two three", ""));
}

#[test]
fn scratching_leaves_the_dictation_before_alone() {
    let ended = format!("{TALK} · last 2000 four · stop · +200 · ended · finished");
    let talk = format!("{ended} · start · mic 500 · think 500 scratch that|");
    let mut bench = check(&talk, "");
    assert_eq!(bench.typed_in_the_end(), "one. two three four");
    assert!(bench.session.trouble().contains("nothing of this dictation"), "{}", bench.session.trouble());
}

#[test]
fn a_dictation_of_which_nothing_was_said_does_not_end_the_text_of_the_one_before() {
    let (mut bench, _) = run(&format!("{TALK} · toggle · toggle · toggle"));
    for (capture, op) in [(2, "ended"), (1, "ended"), (1, "last 2000 scratch that so"), (1, "finished")] {
        bench.capture = capture;
        bench.apply(op);
    }
    assert_eq!(bench.typed_in_the_end(), "one. so");
    assert_eq!(bench.session.last_text(), "one. so");
    assert_eq!(bench.watched.first().map(|(dictating, _)| *dictating), Some(true));
    assert_eq!(bench.watched.len(), 2, "it is watched to its end");
}

#[test]
fn a_cancel_while_something_is_taken_back_leaves_nothing_that_waits() {
    let talk = format!("{TALK} · typed · typed · typed · think 1900 scratch that five|");
    for answer in ["typed", "stays"] {
        let mut bench = check(&format!("{talk} · cancel · {answer} · start · mic 500 · think 500 new|"), "");
        bench.apply("think 900 world|");
        assert_eq!(bench.window, "one. two threenew world", "{answer}");
    }
}

#[test]
fn a_spoken_stop_ends_the_dictation_and_what_is_said_behind_it_is_not_typed() {
    let talk = "english · ready · start · mic 2000 · think 500 one stop|dictation";
    let mut bench = check(&format!("{talk} · think 900 dictation. and so|"), "");
    assert_eq!(bench.session.state(), Published::Finishing);
    for op in ["+200", "ended", "last 2000 on", "finished"] {
        bench.apply(op);
    }
    assert_eq!(bench.typed_in_the_end(), "one");
    assert_eq!(bench.session.state(), Published::Idle);
}

#[test]
fn a_spoken_stop_of_a_dictation_that_was_stopped_does_not_stop_the_next_one() {
    let (mut bench, _) = run("english · ready · toggle · mic 500 · toggle · toggle");
    for (capture, op) in [(1, "ended"), (2, "mic 300"), (2, "last 500 one stop dictation"), (2, "finished")] {
        bench.capture = capture;
        bench.apply(op);
    }
    assert_eq!((bench.window.as_str(), bench.session.state()), ("one", Published::Listening));
}

#[test]
fn another_configuration_holds_from_the_next_dictation_on() {
    let talk = "ready · start · mic 2000 · think 500 new line|a · english";
    check(&format!("{talk} · think 900 new line|"), "type \" new line\"");
    let ended = format!("{talk} · stop · +200 · ended · finished · start · mic 500");
    check(&format!("{ended} · think 500 new line|"), "type \"\\n\"");
}
