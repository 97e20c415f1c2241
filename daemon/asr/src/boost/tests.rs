//! Tokens here are numbers; a phrase earns 1 for each unless it says otherwise.

use super::*;

fn tree(phrases: &[&[u32]]) -> Boost {
    let phrases: Vec<_> = phrases.iter().map(|tokens| (tokens.to_vec(), 1.0)).collect();
    Boost::of(&phrases)
}

fn walked(boost: &Boost, said: &[u32]) -> Walk {
    said.iter().fold(Walk::default(), |walk, token| boost.advance(walk, *token))
}

/// What every token of ten is favoured after these.
fn favours(boost: &Boost, said: &[u32]) -> Vec<f32> {
    boost.favoured(&[0.0; 10], walked(boost, said), &[])
}

/// What a sequence has earned in all, with what is still lent.
fn earned(boost: &Boost, said: &[u32]) -> f32 {
    let mut walk = Walk::default();
    let mut sum = 0.0;
    for token in said {
        sum += boost.favoured(&[0.0; 10], walk, &[])[*token as usize] - boost.debt(walk);
        walk = boost.advance(walk, *token);
    }
    sum
}

#[test]
fn a_phrase_earns_with_every_token_and_keeps_it_when_it_is_complete() {
    let boost = tree(&[&[1, 2, 3]]);
    let sums: Vec<f32> = (1..=3).map(|n| earned(&boost, &[1, 2, 3][..n])).collect();
    assert_eq!(sums, [1.0, 2.0, 3.0]);
    assert_eq!(earned(&boost, &[1, 2, 3, 9]), 3.0);
}

#[test]
fn a_phrase_that_is_left_gives_everything_back() {
    let boost = tree(&[&[1, 2, 3]]);
    assert_eq!(earned(&boost, &[1, 2, 9]), 0.0);
    assert_eq!(earned(&boost, &[1, 1, 2, 9]), 0.0);
    assert_eq!(earned(&boost, &[9, 3, 2]), 0.0);
}

#[test]
fn a_phrase_that_begins_inside_of_another_is_found() {
    let boost = tree(&[&[1, 2, 3, 4], &[2, 3, 5]]);
    assert_eq!(earned(&boost, &[1, 2, 3, 5]), 3.0);
    assert_eq!(earned(&boost, &[1, 2, 3, 4]), 4.0);
    assert_eq!(earned(&boost, &[1, 1, 2, 3, 4, 2, 3, 5]), 7.0);
}

#[test]
fn what_a_phrase_inside_of_another_has_earned_is_kept_when_the_longer_is_left() {
    let boost = tree(&[&[1, 2, 3, 4], &[2, 3]]);
    assert_eq!(earned(&boost, &[1, 2, 3, 9]), 2.0);
    let boost = tree(&[&[1, 2], &[1, 2, 3, 4]]);
    assert_eq!(earned(&boost, &[1, 2, 3, 9]), 2.0);
}

#[test]
fn the_farther_a_phrase_came_the_better_it_holds() {
    let boost = tree(&[&[1, 2, 3], &[4]]);
    assert_eq!(favours(&boost, &[])[..5], [0.0, 1.0, 0.0, 0.0, 1.0]);
    assert_eq!(favours(&boost, &[1])[..5], [0.0, 1.0, 2.0, 0.0, 1.0]);
    assert_eq!(favours(&boost, &[1, 2])[..5], [0.0, 1.0, 0.0, 3.0, 1.0]);
}

#[test]
fn phrases_share_a_beginning_and_the_greater_weight_of_it() {
    let boost = Boost::of(&[(vec![1, 2], 1.0), (vec![1, 3], 2.0)]);
    assert_eq!(favours(&boost, &[])[1], 2.0);
    assert_eq!(favours(&boost, &[1])[2..4], [3.0, 4.0]);
}

#[test]
fn silence_stays_silence_and_something_said_is_the_phrase_instead() {
    let boost = tree(&[&[1]]);
    let best = |scores: &[f32]| boost.best(scores, Walk::default(), &[0]).unwrap().0;
    assert_eq!(best(&[0.5, 0.4, 0.0]), 0);
    assert_eq!(best(&[0.3, 0.0, 0.5]), 1);
    assert_eq!(best(&[0.3, -1.0, 0.5]), 2);
}

#[test]
fn nothing_to_expect_leaves_every_score_as_it_is() {
    let boost = tree(&[&[]]);
    assert!(boost.is_empty());
    assert_eq!(boost.best(&[0.1, 0.7], Walk::default(), &[]).unwrap(), best(&[0.1, 0.7]).unwrap());
    assert_eq!(favours(&boost, &[1, 2]), [0.0; 10]);
}

proptest::proptest! {
    #[test]
    fn what_is_earned_is_what_complete_phrases_and_the_open_one_are_worth(
        phrases in proptest::collection::vec(proptest::collection::vec(1..5u32, 1..5), 0..6),
        said in proptest::collection::vec(1..5u32, 0..30),
    ) {
        let phrases: Vec<&[u32]> = phrases.iter().map(Vec::as_slice).collect();
        let boost = tree(&phrases);
        let earned = earned(&boost, &said);
        // No token is paid twice for less than a phrase of its own, and none is owed.
        let most: usize = phrases.iter().map(|phrase| {
            said.windows(phrase.len()).filter(|part| part == phrase).count() * phrase.len()
        }).sum();
        let open = boost.debt(walked(&boost, &said));
        proptest::prop_assert!(earned >= open - 1e-4, "{earned} of which {open} is lent");
        proptest::prop_assert!(earned - open <= most as f32 + 1e-4, "{earned}, {most}");
        // The walk is the longest end of what was said that begins a phrase.
        let begins = |n: &usize| phrases.iter().any(|phrase| phrase.starts_with(&said[said.len() - n..]));
        let longest = (0..=said.len()).rev().find(begins).unwrap_or(0);
        proptest::prop_assert_eq!(walked(&boost, &said), walked(&boost, &said[said.len() - longest..]));
    }
}
