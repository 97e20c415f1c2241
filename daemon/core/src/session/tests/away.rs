//! Sleep and lock: everything said before is decoded, and typed where it belongs.

use super::*;

pub(super) fn named(name: &str) -> Away {
    match name {
        "sleep" => Away::Sleep,
        "wake" => Away::Wake,
        "locking" => Away::Locking,
        "lock" => Away::Lock,
        "unlock" => Away::Unlock,
        _ => panic!("nobody goes {name:?}"),
    }
}

#[test]
fn an_idle_machine_may_sleep_at_once_and_is_told_so_once() {
    check("ready · away sleep", "may sleep");
    check("ready · away sleep · +100", "");
    check("ready · away sleep · away wake · away sleep", "may sleep");
}

#[test]
fn sleep_waits_until_everything_captured_is_decoded_and_typed() {
    let talk = "ready · start · mic 500 · away sleep";
    check(talk, "");
    check(&format!("{talk} · mic 200 · +200"), "close");
    check(&format!("{talk} · +200 · ended"), "finish 500");
    check(&format!("{talk} · +200 · ended · last 500 the end"), "type \"the end\"");
    check(&format!("{talk} · +200 · ended · last 500 the end · finished"), "done 500");
    check(&format!("{talk} · +200 · ended · last 500 the end · finished · typed"), "may sleep");
}

#[test]
fn what_sleep_left_undone_is_done_after_it() {
    let talk = "ready · start · mic 500 · away sleep · +200 · ended · away wake";
    let bench = check(&format!("{talk} · last 500 the end · finished"), "done 500");
    assert_eq!((bench.window.as_str(), bench.session.state()), ("the end", Published::Idle));
}

#[test]
fn no_dictation_begins_while_the_machine_falls_asleep_and_the_first_after_it_does() {
    check("ready · away sleep · start", "");
    check("ready · away sleep · toggle", "");
    check("ready · away sleep · toggle · away wake · toggle", "open · begin 0");
}

#[test]
fn an_engine_on_a_graphics_card_is_replaced_after_sleep_and_one_on_the_processor_is_not() {
    check("ready · away sleep · away wake", "");
    check("ready cuda:0 · away sleep · away wake", "kill · spawn cuda:0");
    check("ready cuda:0 · away sleep · away wake · ready cuda:0", "");
    check("ready cuda:0 · away sleep · away wake · start · mic 100 · ready cuda:0", "begin 0 · audio 0..100");
}

#[test]
fn an_engine_on_a_graphics_card_is_not_replaced_while_somebody_waits_for_it() {
    let talk = "ready cuda:0 · start · mic 500 · away sleep · +200 · ended · away wake";
    check(talk, "");
    check(&format!("{talk} · last 500 a · finished"), "done 500 · kill · spawn cuda:0");
    // One that did not survive the sleep was replaced before.
    check(&format!("{talk} · crash · ready cuda:0 · last 500 a · finished"), "done 500");
}

#[test]
fn a_locked_screen_ends_the_dictation_and_its_last_words_are_typed_when_it_is_open_again() {
    let talk = "ready · start · mic 500 · think 300 one|two · typed · away lock";
    check(talk, "");
    check(&format!("{talk} · +200"), "close");
    let bench = check(&format!("{talk} · +200 · ended · last 500 two three · finished"), "done 500");
    assert_eq!((bench.window.as_str(), bench.session.state()), ("one", Published::Idle));
    let end = format!("{talk} · +200 · ended · last 500 two three · finished · away unlock");
    let bench = check(&end, "type \" two three\"");
    assert_eq!(bench.window, "one two three");
}

#[test]
fn what_is_said_while_the_screen_is_locked_is_kept_as_well() {
    let talk = "ready · away lock · start · mic 500 · think 300 one|two";
    check(talk, "");
    check(&format!("{talk} · away unlock"), "type \"one\"");
}

#[test]
fn a_lock_that_was_only_asked_for_is_over_when_the_person_dictates() {
    let talk = "ready · start · mic 500 · away locking · +200 · ended · last 500 one · finished";
    let bench = check(talk, "done 500");
    assert_eq!(bench.window, "");
    check(&format!("{talk} · start"), "type \"one\" · open · begin 0");
    check(&format!("{talk} · away unlock"), "type \"one\"");
    check(&format!("{talk} · away lock · start"), "open · begin 0");
}

#[test]
fn a_machine_that_sleeps_locked_does_not_wait_for_what_only_an_open_screen_can_take() {
    let talk = "ready · start · mic 500 · away lock · +200 · ended · last 500 one · finished";
    check(&format!("{talk} · away sleep"), "may sleep");
    check(&format!("{talk} · away sleep · away wake · away unlock"), "type \"one\"");
}

#[test]
fn what_a_locked_screen_keeps_from_the_window_is_in_the_journal() {
    let owes = |program: &str| {
        let mut ledger = crate::journal::Ledger::default();
        run(program).0.journal.iter().for_each(|entry| ledger.apply(entry));
        ledger.untyped()
    };
    let talk = "ready · start · mic 500 · think 300 one|two · typed · away lock · +200 · ended";
    assert_eq!(owes(talk), "");
    let locked = format!("{talk} · last 500 two three · finished");
    assert_eq!(owes(&locked), " two three");
    assert_eq!(owes(&format!("{locked} · away unlock")), " two three");
    assert_eq!(owes(&format!("{locked} · away unlock · typed")), "");
}
