//! What becomes of a dictation when workers end, hang, or cannot be had.

use super::*;

#[test]
fn a_worker_goes_on_at_the_last_checkpoint_and_what_it_says_again_is_not_typed_again() {
    let talk = "ready · start · mic 2000 · think 500 one|two · checkpoint 800 · think 1500 two|three · crash";
    check(&format!("{talk} · ready"), "resume 800 · audio 800..1300 · audio 1300..1800 · audio 1800..2000");
    let again = format!("{talk} · ready · think 1300 two|three · heard 1300 · heard 1800 · heard 2000");
    let bench = check(&format!("{again} · think 2000 three|"), "type \" three\"");
    assert_eq!(bench.window, "one two three");
}

#[test]
fn the_end_of_an_utterance_that_is_said_again_is_not_typed_again() {
    let talk = "ready · start · mic 2000 · checkpoint 100 · last 900 one two · think 1500 three|four · crash";
    let again = "ready · last 600 one two · heard 600 · heard 1100 · heard 1600 · think 1600 three|four";
    let bench = check(&format!("{talk} · {again} · think 2000 four|"), "type \" four\"");
    assert_eq!(bench.window, "one two three four");
}

#[test]
fn audio_behind_the_checkpoint_is_kept_even_when_its_words_are_settled() {
    let talk = "ready · start · mic 2000 · think 500 one|two · checkpoint 600 · think 1500 two|three · heard 1900 1800";
    check(
        &format!("{talk} · killed · ready"),
        "resume 600 · audio 600..1100 · audio 1100..1600 · audio 1600..2000",
    );
}

#[test]
fn another_recognizer_begins_at_the_first_word_that_is_not_settled() {
    let talk = "ready · start · mic 2000 · think 500 one|two · checkpoint 600 · think 1500 two|three · crash";
    let all = "audio 0..500 · audio 500..1000 · audio 1000..1500 · audio 1500..2000";
    check(&format!("{talk} · ready other"), &format!("begin 0 one two · {all}"));
}

#[test]
fn the_same_recognizer_on_another_device_goes_on_at_the_checkpoint() {
    let talk = "ready cuda:0 · start · mic 900 · think 500 one|two · checkpoint 600 · think 800 two|three";
    check(&format!("{talk} · crash · ready"), "resume 600 · audio 600..900");
}

#[test]
fn a_checkpoint_that_is_not_got_over_is_forgotten() {
    let talk = "ready · start · mic 2000 · think 500 one|two · checkpoint 600 · crash · ready · crash · +2000 · ready";
    check(talk, "resume 600 · audio 600..1100");
    // Only where no other device is left that may get over it.
    let fallen = format!("{talk} · crash · ready · crash · ready · crash");
    check(&format!("{fallen} · +2000 · ready"), "begin 0 one · audio 0..500");
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_forgotten_at_once() {
    let talk = "ready · start · mic 900 · think 500 one|two · checkpoint 600 · fault protocol";
    check(talk, "spawn cuda:0");
    check(&format!("{talk} · ready"), "begin 0 one · audio 0..500 · audio 500..900");
}

#[test]
fn a_worker_that_holds_what_it_was_never_sent_is_replaced() {
    let (mut bench, _) = run("ready · start · mic 500");
    let dictation = bench.told.map(|t| t.0).unwrap();
    bench.done.clear();
    let checkpoint = Checkpoint { dictation, at: SamplePos(999_999), state: Vec::new() };
    bench.event(Event::Worker(FromWorker::Checkpoint(checkpoint)));
    assert_eq!(bench.done.join(" · "), "kill · spawn cuda:0");
}

#[test]
fn a_worker_that_owes_an_answer_for_too_long_is_replaced_and_one_that_owes_none_is_not() {
    check("ready · start · mic 500 · +9999", "");
    check("ready · start · mic 500 · +10000", "kill · spawn cuda:0");
    check("ready · start · mic 500 · +9000 · heard 300 · +9999", "");
    check("ready · start · mic 500 · heard 500 · +600000", "");
    check("ready · +600000", "");
    check("ready · start · mic 500 · heard 500 · stop · +200 · ended · +10000", "kill · spawn cuda:0");
    let twice = "ready · start · mic 500 · +10000 · ready";
    check(&format!("{twice} · +19999"), "");
    check(&format!("{twice} · +20000"), "kill");
}

#[test]
fn a_worker_that_loads_for_ever_makes_room_for_the_next_device() {
    check("start · mic 500 · +119999", "");
    let slow = "start · mic 500 · +120000";
    check(slow, "kill · spawn cpu");
    check(&format!("{slow} · ready"), "begin 0 · audio 0..500");
    let idle = "ready · heard 500 · stop · +200 · ended · last 500 a · finished";
    check(&format!("{slow} · {idle} · +60000"), "try cuda:0");
}

#[test]
fn a_worker_that_hangs_where_the_last_one_loaded_quickly_is_not_waited_for_that_long() {
    check("ready · start · mic 500 · crash · +29999", "");
    check("ready · start · mic 500 · crash · +30000", "kill · spawn cpu");
    let slow = "+1 · +3000 · ready · start · mic 500 · crash";
    check(&format!("{slow} · +59999"), "");
    check(&format!("{slow} · +60000"), "kill · spawn cpu");
    // Of another device it says nothing.
    let lost = format!("{slow} · +60000");
    check(&format!("{lost} · +119999"), "");
}

#[test]
fn a_worker_that_others_kill_again_and_again_costs_no_audio_and_no_device() {
    let killed = " · killed · +8000 · ready".repeat(20);
    let bench = check(&format!("ready · start · mic 900{killed}"), "begin 0 · audio 0..500 · audio 500..900");
    assert!(bench.session.trouble().is_empty(), "{}", bench.session.trouble());
}

#[test]
fn audio_that_ends_every_worker_is_skipped_on_the_last_device_and_the_rest_goes_on() {
    let talk = "ready cuda:0 · start · mic 800 · heard 300 · last 300 one · mic 700";
    let die = " · crash · +2000 · ready cuda:0".repeat(2)
        + " · crash · ready"
        + &" · crash · +2000 · ready".repeat(2);
    let (bench, done) = run(&format!("{talk}{die} · crash"));
    assert_eq!(done, "skip 300..800 · type \" [...]\" · spawn cpu");
    assert!(bench.session.trouble().contains("0.5 s of speech"), "{}", bench.session.trouble());
    check(&format!("{talk}{die} · crash · ready"), "begin 800 · audio 800..1300 · audio 1300..1500");
    let bench = check(&format!("{talk}{die} · crash · ready · last 1500 two"), "type \" two\"");
    assert_eq!(bench.window, "one [...] two");
}

#[test]
fn to_hear_again_what_was_heard_before_is_no_progress() {
    let talk = "ready · start · mic 800 · heard 300";
    let die = " · crash · +2000 · ready · heard 300".repeat(5);
    let (bench, done) = run(&format!("{talk}{die} · crash"));
    assert!(done.starts_with("skip 0.."), "{done}");
    assert_eq!(bench.window, "[...]");
}

#[test]
fn what_still_ends_every_worker_is_skipped_in_ever_longer_pieces() {
    let mut bench = run("ready · start · mic 30000").0;
    for _ in 0..100 {
        for op in ["crash", "+60000", "ready"] {
            bench.apply(op);
        }
    }
    let skipped = bench.done.iter().filter(|done| done.starts_with("skip")).count();
    assert!((3..12).contains(&skipped), "{:?}", bench.done);
    assert_eq!(bench.session.positions_of_front()[1], SamplePos(samples_in_ms(30_000)));
}

#[test]
fn a_dictation_whose_end_ends_every_worker_ends_without_one() {
    let talk = "ready · start · mic 500 · stop · +200 · ended";
    let die = " · crash · +16000 · ready".repeat(6);
    let bench = run(&format!("{talk}{die}")).0;
    assert_eq!((bench.window.as_str(), bench.session.state()), ("[...]", Published::Idle));
}

#[test]
fn the_better_device_is_tried_again_when_nobody_dictates_and_ever_more_rarely() {
    let fallen = "ready cuda:0 · start · mic 500 · crash · +2000 · crash · +2000 · crash · ready";
    let bench = check(fallen, "begin 0 · audio 0..500");
    let trouble = bench.session.trouble();
    assert!(trouble.starts_with("cuda:0 failed (killed): cpu is used"), "{trouble}");
    check(&format!("{fallen} · heard 500 · +120000"), "");
    let idle = format!("{fallen} · stop · +200 · ended · last 500 a · finished");
    check(&format!("{idle} · +50000"), "");
    check(&format!("{idle} · +60000"), "try cuda:0");
    let bench = check(&format!("{idle} · +60000 · candidate ready"), "adopt");
    assert_eq!(bench.session.trouble(), "");
    check(&format!("{idle} · +60000 · candidate device"), "drop");
    check(&format!("{idle} · +60000 · candidate device · +110000"), "");
    check(&format!("{idle} · +60000 · candidate device · +120000"), "try cuda:0");
    check("fault device · ready · +9999999", "");
    check("fault memory · ready · +60000", "try cuda:0");
}

#[test]
fn a_person_who_wants_another_model_goes_before_a_better_device() {
    let back = "fault memory · ready · +60000";
    check(&format!("{back} · consider"), "drop · try cuda:0");
    check(&format!("{back} · consider · candidate model"), "drop · reject model");
}

#[test]
fn where_every_device_fails_in_mid_run_the_microphone_goes_on_and_the_audio_waits() {
    let talk = "ready · start · mic 500 · killed · fault memory · fault memory";
    let (bench, _) = run(talk);
    assert!(matches!(bench.session.engine(), Engine::Waiting(_)), "{:?}", bench.session.engine());
    check(&format!("{talk} · mic 500 · +60000 · ready"), "begin 0 · audio 0..500 · audio 500..1000");
}

#[test]
fn a_worker_that_nobody_needs_is_ended_and_the_next_dictation_brings_it_back() {
    let mut bench = bench();
    bench.session.taste.unload_after = Some(Duration::from_secs(60));
    let mut check = |ops: &str, expected: &str| {
        for op in ops.split(" · ") {
            bench.done.clear();
            bench.apply(op);
        }
        assert_eq!(bench.done.join(" · "), expected, "after {ops}");
    };
    check("ready · +59999", "");
    check("+1", "kill");
    check("+600000", "");
    check("start", "open · spawn cuda:0");
    check("mic 400 · mic 300", "");
    check("ready", "begin 0 · audio 0..500 · audio 500..700");
    check("heard 700 · +600000", "");
    check("stop · +200 · ended · last 700 a · finished · +59999", "");
    check("+1", "kill");
}

#[test]
fn how_far_the_text_is_behind_is_said_and_taken_back() {
    let late = "ready · start · mic 5000 · mic 5000 · mic 5000";
    let bench = run(late).0;
    let trouble = bench.session.trouble();
    assert!(trouble.contains("more than 12 s behind") && trouble.contains("smaller model"), "{trouble}");
    let bench = run(&format!("{late}{}", " · heard 99999".repeat(8))).0;
    assert_eq!(bench.session.trouble(), "");
}

#[test]
fn when_half_an_hour_waits_to_be_recognised_listening_ends_and_nothing_is_overwritten() {
    let bench = run(&format!("fault model · consider · start{}", " · mic 60000".repeat(30))).0;
    assert_eq!(bench.session.state(), Published::Finishing);
    let trouble = bench.session.trouble();
    assert!(trouble.contains("30 minutes of speech wait"), "{trouble}");
}
