//! Text that cannot be typed is kept, delivered in order or left to the person, and a
//! cancelled dictation takes back its own.

use super::*;
use proptest::prelude::*;

/// One word is at the typist, the next is in the tail.
const TALK: &str = "ready · start · mic 2000 · heard 2000 · think 500 one|two";

/// The dictation of [`TALK`] to its end.
const END: &str = "stop · +200 · ended · last 2000 two · finished";

#[test]
fn text_that_could_not_be_typed_is_tried_again_after_growing_pauses() {
    let mut bench = check(&format!("{TALK} · refused"), "");
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let at = bench.session.deadline().expect("it is tried again");
        pauses.push((at - bench.now).as_millis());
        bench.now = at;
        bench.done.clear();
        bench.event(Event::Tick);
        assert_eq!(bench.done.join(" · "), "resume · type \"one\"");
        bench.apply("refused");
    }
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    bench.apply("+8000");
    assert_eq!(bench.typed_in_the_end(), "one");
    assert_eq!((bench.session.trouble().as_str(), bench.session.deadline()), ("", None));
}

#[test]
fn after_a_part_of_an_edit_arrived_only_the_rest_is_typed() {
    check(&format!("{TALK} · refused 2 · +500"), "resume · type \"e\"");
    let mut bench = check(&format!("{TALK} · refused 2 · think 1000 two|three"), "resume · type \"e two\"");
    assert_eq!(bench.typed_in_the_end(), "one two");
}

#[test]
fn words_that_follow_a_failure_wait_behind_it_even_if_they_were_on_their_way() {
    let talk = format!("{TALK} · think 900 two|three");
    check(&format!("{talk} · refused 1"), "");
    check(&format!("{talk} · refused 1 · think 1200 three|"), "");
    let mut bench = check(
        &format!("{talk} · refused 1 · think 1200 three| · typed · +500"),
        "resume · type \"ne two three\"",
    );
    assert_eq!(bench.typed_in_the_end(), "one two three");
}

#[test]
fn the_trouble_says_how_many_characters_wait_and_the_way_out() {
    let bench = check(&format!("{TALK} · refused 1"), "");
    assert_eq!(
        bench.session.trouble(),
        "no window; 2 characters are kept and typed as soon as that works; \
         `swictation last --copy` puts them on the clipboard"
    );
}

#[test]
fn a_minute_after_the_dictation_its_text_is_left_to_the_person() {
    let (mut bench, _) = run(&format!("{TALK} · refused 1 · {END} · refused"));
    let over = bench.now;
    while bench.session.deadline().is_some() {
        bench.now = bench.session.deadline().unwrap_or_default();
        bench.event(Event::Tick);
        bench.apply("refused");
        assert!((bench.now - over).as_secs() <= 60, "it is given up some time");
    }
    assert_eq!((bench.now - over).as_secs(), 60);
    assert!(bench.session.trouble().contains("6 characters were not typed"), "{}", bench.session.trouble());
    assert_eq!((bench.session.last_text(), bench.session.untyped_text().as_str()), ("one two", "ne two"));
    bench.done.clear();
    for op in ["start", "mic 500", "think 500 new|"] {
        bench.apply(op);
    }
    assert_eq!(bench.done.join(" · "), "open · begin 0 · audio 0..500 · resume · type \"new\"");
    bench.apply("typed");
    assert_eq!((bench.session.last_text(), bench.session.untyped_text().as_str()), ("new", "ne two"));
    bench.done.clear();
    bench.apply("copy");
    assert_eq!(bench.done, ["copied \"ne two\""]);
    assert_eq!(bench.session.trouble(), "");
}

#[test]
fn text_that_waits_is_delivered_after_the_dictation_too_and_before_the_next() {
    let mut bench = check(
        &format!("{TALK} · refused 1 · {END} · refused · start · mic 500 · think 500 new|"),
        "resume · type \"ne two\" · type \"new\"",
    );
    assert_eq!(bench.typed_in_the_end(), "one twonew");
}

#[test]
fn what_a_person_copies_is_not_typed_any_more() {
    check(&format!("{TALK} · refused 1 · copy"), "copied \"ne\"");
    let bench = check(&format!("{TALK} · refused 1 · copy · +500"), "");
    assert_eq!((bench.session.trouble().as_str(), bench.session.deadline()), ("", None));
    check(&format!("{TALK} · typed · copy"), "copied \"one\"");
}

#[test]
fn while_typing_is_held_text_is_kept_and_then_delivered() {
    let talk = "ready · start · mic 2000 · heard 2000 · hold · think 500 one|two · think 900 two|three";
    let bench = check(talk, "");
    assert_eq!((bench.session.trouble().as_str(), bench.session.deadline()), ("", None));
    let mut bench = check(&format!("{talk} · release"), "type \"one two\"");
    assert_eq!(bench.typed_in_the_end(), "one two");
    let night = format!("{talk} · {END} · +28800000");
    check(&night, "");
    check(&format!("{night} · release"), "type \"one two two\"");
    check(&format!("{TALK} · hold · refused 1 · +500"), "");
    check(&format!("{TALK} · hold · refused 1 · release"), "resume · type \"ne\"");
}

#[test]
fn cancel_takes_back_the_dictation_and_forgets_what_waits() {
    let bench = check(&format!("{TALK} · typed · cancel"), "close · forget");
    assert_eq!(bench.took_back, [true]);
    let bench = check(&format!("{TALK} · refused 1 · cancel · +500"), "");
    assert_eq!((bench.session.trouble().as_str(), bench.session.deadline()), ("", None));
    assert_eq!(bench.session.last_text(), "one", "who cancelled by mistake still has it");
}

#[test]
fn cancel_takes_back_nothing_where_nothing_runs_or_the_person_does_not_want_it() {
    assert_eq!(check("ready · cancel", "").took_back, [false; 0]);
    let (mut bench, _) = run(TALK);
    let taste = Taste { cancel_erases: false, ..bench.session.taste.clone() };
    bench.session.retaste(taste);
    bench.apply("cancel");
    assert_eq!(bench.took_back, [false]);
}

#[test]
fn cancel_leaves_the_text_of_the_dictation_before_alone() {
    let finished = format!("{TALK} · {END} · start · mic 500 · think 500 new|");
    let mut bench = check(&format!("{finished} · cancel"), "close · forget");
    assert_eq!(bench.typed_in_the_end(), "one two");
    let mut bench = check(
        &format!("{TALK} · refused 1 · {END} · refused 2 · start · mic 500 · cancel"),
        "close · forget",
    );
    bench.apply("+1000");
    assert_eq!(bench.typed_in_the_end(), "one two");
}

#[test]
fn what_can_be_taken_back_begins_with_a_dictation_and_behind_the_text_of_the_one_before() {
    let (bench, _) = run(&format!("{TALK} · typed · {END} · typed"));
    assert_eq!(bench.watched, [(true, 0), (false, 0)]);
    let (bench, _) = run(&format!("{TALK} · refused 1 · {END} · refused · start · mic 500 · think 500 new|"));
    assert_eq!(bench.watched[1..], [(true, 0), (true, 1)], "the old text is sent before the second");
    let (bench, _) = run("ready · toggle · mic 500 · toggle · toggle");
    assert_eq!(bench.watched, [(true, 0)], "the first is still decoded, and a cancel ends both");
}

#[test]
fn cancel_forgets_what_was_left_when_no_dictation_runs() {
    let (mut bench, _) =
        run(&format!("{TALK} · refused 1 · {END} · refused · +61000 · refused · +1 · cancel"));
    assert_eq!((bench.session.untyped_text().as_str(), bench.session.trouble().as_str()), ("", ""));
    assert_eq!(bench.session.deadline(), None);
    bench.done.clear();
    bench.apply("+61000");
    assert!(bench.done.is_empty(), "{:?}", bench.done);
}

#[test]
fn only_the_newest_hundred_thousand_characters_are_remembered() {
    let (mut bench, _) = run("ready · start · mic 2000");
    for n in 0..60 {
        bench.told = bench.told.map(|(dictation, _, _)| (dictation, UtteranceId(n), 0));
        bench.hypothesis(2000, &format!("{}{n}", "é".repeat(1997)), true);
        bench.apply("typed");
    }
    let text = bench.session.last_text();
    assert_eq!(text.chars().count(), 100_000);
    assert!(text.ends_with("é59"));
}

fn any_fault() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        3 => Just("think 99999 w|"),
        1 => Just("last 99999 e"),
        2 => Just("typed"),
        1 => Just("refused"),
        1 => Just("refused 1"),
        1 => Just("refused 2"),
        1 => Just("hold"),
        1 => Just("release"),
        1 => Just("+100"),
        1 => Just("+700"),
        1 => Just("+9000"),
        1 => Just("crash"),
        1 => Just("ready"),
        1 => Just("think 99999 new|"),
        1 => Just("think 99999 Scratch that.|"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_typing_does_every_character_is_typed_once_and_in_order(
        ops in prop::collection::vec(any_fault(), 0..60),
    ) {
        let (mut bench, _) = run("english · ready · start · mic 2000 · heard 2000");
        for op in &ops {
            bench.apply(op);
        }
        for op in ["release", "ready", "heard 99999", "think 99999 end|"] {
            bench.apply(op);
        }
        while bench.session.deadline().is_some() || !bench.typing.is_empty() {
            bench.typed_in_the_end();
            bench.apply("+500");
            // No silence of the worker is to come in between.
            bench.apply("heard 99999");
        }
        prop_assert_eq!(bench.arrived.as_str(), bench.session.last_text());
        prop_assert_eq!(bench.session.typing_trouble(), "");
    }
}

#[test]
fn text_that_is_kept_to_a_window_is_tried_as_soon_as_that_may_have_the_focus_again() {
    let mut bench = check(&format!("{TALK} · elsewhere"), "");
    for _ in 0..20 {
        let at = bench.session.deadline().expect("it is tried again");
        assert_eq!((at - bench.now).as_millis(), 500);
        bench.now = at;
        bench.event(Event::Tick);
        bench.apply("elsewhere");
    }
    assert!(bench.session.dictations.iter().all(|d| d.stopped.is_none()), "nobody stopped it");
    bench.apply("+500");
    assert_eq!(bench.typed_in_the_end(), "one");
}

#[test]
fn a_dictation_that_is_to_stop_when_the_focus_moves_ends_and_its_text_waits_for_its_window() {
    let mut bench = check(TALK, "type \"one\"");
    bench.session.taste.focus = Focus::Stop;
    bench.apply("elsewhere");
    assert!(bench.session.dictations.iter().all(|d| d.stopped.is_some()));
    format!("{END} · elsewhere · +500").split(" · ").skip(1).for_each(|op| bench.apply(op));
    assert_eq!(bench.typed_in_the_end(), "one two");
    // The next one begins as ever.
    bench.apply("start");
    assert!(bench.session.dictations.iter().any(|d| d.stopped.is_none()));
}

#[test]
fn a_window_is_a_dictations_as_long_as_text_of_it_waits_and_then_the_next_ones() {
    let kept_by = |focus: Focus, program: &str| {
        let mut bench = bench();
        bench.session.taste.focus = focus;
        for op in program.split(" · ") {
            bench.done.clear();
            bench.apply(op);
        }
        bench
    };
    let kept = |program: &str| kept_by(Focus::Hold, program);
    let away = format!("{TALK} · typed · {END} · elsewhere");
    assert_eq!(kept(&away).watched, [(true, 0)], "the text still belongs to its window");
    assert_eq!(kept(&format!("{away} · +500 · typed")).watched, [(true, 0), (false, 0)]);
    assert_eq!(
        kept(&format!("{away} · +500 · elsewhere · +60500 · elsewhere")).watched.last(),
        Some(&(false, 0))
    );
    assert_eq!(kept(&format!("{away} · copy")).watched.last(), Some(&(false, 0)));
    // It is tried once more before the window is another dictation's, and then no more.
    let next = kept(&format!("{away} · start"));
    assert_eq!(next.done.join(" · "), "resume · type \" two\" · open · begin 0");
    assert_eq!(next.watched, [(true, 0), (true, 1)]);
    let mut next = kept(&format!("{away} · start · elsewhere"));
    assert_eq!(next.session.untyped_text(), " two");
    for op in "mic 500 · heard 500 · think 500 new|".split(" · ") {
        next.apply(op);
    }
    assert_eq!(next.typed_in_the_end(), "onenew", "the new text alone is in its window");
    assert!(next.session.trouble().contains("4 characters were not typed"), "{}", next.session.trouble());
    assert_eq!(next.session.untyped_text(), " two");
    // Nor do the last words of one that is still decoded end the next one.
    let still = format!("{TALK} · typed · stop · +200 · ended · start · mic 500 · last 2000 two · elsewhere");
    let next = kept_by(Focus::Stop, &still);
    assert!(next.session.dictations.iter().any(|d| d.stopped.is_none()), "it goes on");
    // What belongs elsewhere does not end the one that is here.
    let next = kept_by(Focus::Stop, &format!("{away} · start · elsewhere · mic 500"));
    assert!(next.session.dictations.iter().all(|d| d.stopped.is_none()), "it goes on");
    assert_eq!(next.session.untyped_text(), " two");
}
