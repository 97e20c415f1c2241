//! Another model is tried beside the one in use, and takes over or is refused.

use super::*;

/// Names the model that dictates.
fn model(bench: &Bench) -> &str {
    match bench.session.engine() {
        Engine::Ready(info) => &info.model,
        _ => "none",
    }
}

#[test]
fn a_candidate_that_is_ready_takes_over_at_once_while_nobody_dictates() {
    check("ready · consider", "try cuda:0");
    let bench = check("ready · consider · candidate ready", "adopt");
    assert_eq!(model(&bench), "new");
    check("ready · consider · candidate ready · start · mic 100", "audio 0..100");
}

#[test]
fn a_candidate_that_is_ready_while_somebody_dictates_waits_and_the_old_model_types_every_word() {
    let talk = "ready · start · mic 1000 · consider · candidate ready";
    let bench = check(talk, "");
    assert_eq!(model(&bench), "toy");
    check(&format!("{talk} · think 900 a|b"), "type \"a\"");
    let end = format!("{talk} · stop · +200 · ended · last 1000 a b · finished");
    let bench = check(&end, "done 1000 · adopt");
    assert_eq!((bench.window.as_str(), model(&bench)), ("a b", "new"));
}

#[test]
fn a_candidate_takes_over_between_two_dictations_and_hears_the_second_from_its_beginning() {
    let talk = "ready · toggle · mic 500 · consider · candidate ready · toggle · toggle";
    let (mut bench, _) = run(talk);
    for (capture, op) in [(1, "ended"), (2, "mic 300"), (2, "last 500 one")] {
        bench.capture = capture;
        bench.apply(op);
    }
    bench.done.clear();
    bench.apply("finished");
    assert_eq!(bench.done.join(" · "), "done 500 · adopt · begin 0 · audio 0..300");
}

#[test]
fn a_candidate_that_fails_changes_nothing_and_says_why() {
    for (end, why) in
        [("model", "model"), ("killed", "killed while the model was loaded or waited to be used")]
    {
        let talk = "ready · start · mic 500 · consider";
        let bench = check(&format!("{talk} · candidate {end}"), &format!("drop · reject {why}"));
        assert_eq!((model(&bench), bench.session.trouble().as_str()), ("toy", ""));
        check(&format!("{talk} · candidate {end} · mic 100"), "audio 500..600");
    }
}

#[test]
fn a_candidate_that_dies_after_it_was_ready_and_before_it_took_over_is_refused() {
    let bench =
        check("ready · start · mic 9 · consider · candidate ready · candidate killed · mic 9", "audio 9..18");
    assert_eq!(model(&bench), "toy");
}

#[test]
fn a_candidate_that_hangs_is_given_up() {
    check("ready · consider · +299999", "");
    check("ready · consider · +300000", "drop · reject the model is not ready after 300 s");
    check("ready · start · mic 100 · heard 100 · consider · candidate ready · +300000", "");
}

#[test]
fn a_candidate_goes_down_its_own_ladder_of_devices() {
    check("ready · consider · candidate device", "try cpu");
    check(
        "ready · consider · candidate device · candidate device",
        "drop · reject no device works; the last error was: device",
    );
}

#[test]
fn the_old_worker_that_dies_while_the_candidate_loads_comes_back_or_is_replaced() {
    let talk = "ready · start · mic 1000 · think 500 one|two · consider";
    check(&format!("{talk} · crash"), "spawn cuda:0");
    check(&format!("{talk} · crash · ready"), "begin 0 one · audio 0..500 · audio 500..1000");
    check(
        &format!("{talk} · crash · candidate ready"),
        "adopt · begin 0 one · audio 0..500 · audio 500..1000",
    );
    check(
        &format!("{talk} · candidate ready · crash"),
        "spawn cuda:0 · adopt · begin 0 one · audio 0..500 · audio 500..1000",
    );
    let bench = check(&format!("{talk} · crash · candidate ready · think 1000 two|"), "type \" two\"");
    assert_eq!((bench.window.as_str(), model(&bench)), ("one two", "new"));
}

#[test]
fn without_an_engine_the_microphone_waits_for_the_candidate_and_no_word_is_lost() {
    let talk = "fault model · consider · start · mic 400 · stop · +200 · ended";
    check(talk, "");
    check(&format!("{talk} · candidate ready"), "adopt · begin 0 · audio 0..400 · finish 400");
    check(&format!("{talk} · candidate model"), "drop · reject model · done 400");
}

#[test]
fn stop_toggle_and_cancel_mean_the_same_while_a_candidate_loads() {
    check("ready · consider · toggle", "open · begin 0");
    check("ready · start · mic 500 · consider · cancel", "close · forget");
    check("ready · start · mic 500 · consider · candidate ready · cancel", "close · forget · adopt");
    check("ready · start · mic 500 · consider · candidate ready · stop · +200 · ended", "finish 500");
}

#[test]
fn the_last_wish_counts() {
    check("ready · consider · consider", "drop · try cuda:0");
    check("ready · start · mic 9 · consider · candidate ready · consider", "drop · try cuda:0");
    let bench = check("ready · consider · dismiss", "drop");
    assert_eq!(model(&bench), "toy");
    check("ready · dismiss", "");
}

/// An engine on the graphics card that the candidate wants, too.
const ON_GPU: &str = "ready cuda:0 · consider";

#[test]
fn where_a_card_has_no_room_for_two_models_the_old_one_ends_first_and_comes_back_when_the_new_one_fails() {
    let crowded = format!("{ON_GPU} · candidate device");
    let bench = check(&crowded, "kill · try cuda:0");
    assert!(bench.session.trouble().contains("no room for two models"), "{}", bench.session.trouble());
    let bench = check(&format!("{crowded} · candidate ready"), "adopt");
    assert_eq!((model(&bench), bench.session.trouble().as_str()), ("new", ""));
    let bench = check(&format!("{crowded} · candidate model"), "drop · spawn cuda:0 · reject model");
    assert_eq!(bench.session.trouble(), "");
    check(&format!("{crowded} · candidate device"), "try cpu");
    check(&format!("{crowded} · start · mic 100 · candidate ready"), "adopt · begin 0 · audio 0..100");
}

#[test]
fn the_old_model_ends_for_the_new_one_only_when_nobody_dictates() {
    let talk = "ready cuda:0 · start · mic 500 · consider · candidate device";
    check(talk, "");
    check(&format!("{talk} · stop · +200 · ended · last 500 a · finished"), "done 500 · kill · try cuda:0");
    check(&format!("{talk} · crash"), "spawn cuda:0 · kill · try cuda:0");
}

#[test]
fn a_model_that_is_slower_than_speech_is_used_and_the_trouble_says_so() {
    let mut bench = bench();
    bench.event(Event::Worker(FromWorker::Ready(engine(), 500_001)));
    assert!(
        bench.session.trouble().starts_with("toy needs 500 ms for 500 ms of audio on cpu"),
        "{}",
        bench.session.trouble()
    );
    bench.event(Event::Worker(FromWorker::Ready(engine(), 500_000)));
    assert_eq!(bench.session.trouble(), "");
}
