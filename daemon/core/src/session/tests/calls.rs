//! Calls have the effect of the order in which they were made, however they arrive.

use super::*;

/// "5 start" is a start that was made at 5.
pub(super) fn made(text: &str) -> Event {
    let (hundredths, verb) = text.split_once(' ').unwrap();
    Event::Called(command(verb), Made { hundredths: hundredths.parse().unwrap(), process: 0 })
}

fn command(verb: &str) -> Command {
    match verb {
        "start" => Command::Start,
        "stop" => Command::Stop,
        "toggle" => Command::Toggle,
        "cancel" => Command::Cancel,
        _ => panic!("no verb {verb:?}"),
    }
}

#[test]
fn a_tap_whose_release_arrives_first_leaves_the_microphone_closed() {
    check("ready · at 2 stop · at 1 start", "");
    check("ready · at 2 cancel · at 1 start", "");
    check("ready · at 2 stop · at 1 toggle", "");
    // The next press is a press.
    check("ready · at 2 stop · at 1 start · at 3 start", "open · begin 0");
}

#[test]
fn calls_of_one_moment_are_in_the_order_of_their_processes() {
    let at = |process| Made { hundredths: 7, process };
    let mut bench = bench();
    bench.event(Event::Called(Command::Stop, at(12)));
    bench.event(Event::Called(Command::Start, at(11)));
    assert_eq!(bench.session.state(), Published::Idle);
    bench.event(Event::Called(Command::Start, at(13)));
    assert_eq!(bench.session.state(), Published::Starting);
}

#[test]
fn a_call_that_does_not_tell_when_it_was_made_came_before_what_arrives_after_it() {
    let at = |process| Made { hundredths: 7, process };
    let mut bench = bench();
    bench.event(Event::Called(Command::Start, at(Made::UNTOLD)));
    assert_eq!(bench.session.state(), Published::Starting);
    bench.event(Event::Called(Command::Stop, at(11)));
    assert_ne!(bench.session.state(), Published::Starting);
    bench.event(Event::Called(Command::Start, at(12)));
    assert_eq!(bench.session.state(), Published::Starting);
}

#[test]
fn a_release_that_comes_after_the_next_press_cuts_the_dictation_where_it_would_have() {
    let talk = "ready · at 1 start · mic 500 · at 3 start";
    check(talk, "");
    check(&format!("{talk} · at 2 stop"), "close · open");
    check(&format!("{talk} · at 2 cancel"), "close · forget · open · begin 0");
    check(&format!("{talk} · at 2 toggle"), "close · open");
}

#[test]
fn a_late_cancel_cancels_what_was_begun_before_it_and_nothing_else() {
    let talk = "ready · at 1 start · mic 500 · at 2 stop · at 4 start";
    let (mut bench, _) = run(talk);
    bench.done.clear();
    bench.apply("at 3 cancel");
    assert_eq!(bench.done.join(" · "), "forget · begin 0");
    assert_eq!(bench.session.state(), Published::Starting);
    check("ready · at 2 start · mic 500 · at 1 cancel", "");
    // Text that waits to be typed belongs to the later dictation.
    let waits = "ready · at 2 start · mic 500 · think 300 one|two · refused · at 1 cancel";
    check(&format!("{waits} · think 400 two|"), "resume · type \"one two\"");
}

#[test]
fn a_late_call_that_changes_nothing_does_nothing() {
    check("ready · at 2 start · mic 500 · at 1 start", "");
    check("ready · at 2 start · mic 500 · at 1 stop", "");
    check("ready · at 3 toggle · at 2 stop · at 1 toggle", "");
}

#[test]
fn a_call_that_took_very_long_counts_as_older_than_all() {
    let taps = (0..40).map(|tap| format!("at {} toggle", 100 + tap)).collect::<Vec<_>>().join(" · ");
    let (bench, _) = run(&format!("ready · {taps} · at 1 stop"));
    assert_eq!(bench.session.state(), Published::Finishing);
    let (bench, _) = run(&format!("ready · {taps} · at 1 start · at 200 toggle"));
    assert_eq!(bench.session.recording(), None, "one more toggle than starts and stops");
}

#[test]
fn what_ended_by_itself_is_not_begun_again_by_a_late_call() {
    check("ready · at 1 start · mic 500 · ended · at 3 stop · at 2 start", "");
}

/// What is left after the calls: the call since which is recorded, and of the dictation
/// that ran before them, whether it is there.
fn left(calls: &[(u64, &str)], recording: bool) -> (Option<u64>, bool) {
    let (mut bench, _) = run(if recording { "ready · at 1 start · mic 500" } else { "ready" });
    for (at, verb) in calls {
        bench.event(made(&format!("{at} {verb}")));
    }
    let since = bench.session.recording().map(|place| place.made().hundredths);
    (since, bench.session.dictations.iter().any(|d| d.capture == 1 && recording))
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    let insert = |order: &Vec<usize>, at| [&order[..at], &[n - 1], &order[at..]].concat();
    shorter.iter().flat_map(|order| (0..n).map(move |at| insert(order, at))).collect()
}

#[test]
fn every_four_calls_in_every_order_of_arrival_do_what_they_do_in_their_own() {
    const VERBS: [&str; 4] = ["start", "stop", "toggle", "cancel"];
    let orders = permutations(4);
    assert_eq!(orders.len(), 24);
    for program in 0..4usize.pow(4) {
        let call = |n: usize| (10 + n as u64, VERBS[program / 4usize.pow(n as u32) % 4]);
        for recording in [false, true] {
            let wanted = left(&[call(0), call(1), call(2), call(3)], recording);
            for order in &orders {
                let calls: Vec<_> = order.iter().map(|n| call(*n)).collect();
                assert_eq!(left(&calls, recording), wanted, "{calls:?}, recording before: {recording}");
            }
        }
    }
}
