//! The policies with a decoder that reads from a script.

use super::*;

const END: u32 = 0;
const PROMPT: [u32; 2] = [90, 91];

/// Says one token after the other; each attends to one frame.
struct Script {
    /// Token and frame of the window that it attends to.
    says: Vec<(u32, usize)>,
    frames: usize,
    /// How many tokens went in with each call.
    fed: Vec<usize>,
}

impl Decode for Script {
    /// Tokens that it was given.
    type Cache = usize;

    fn next(&mut self, ids: &[u32], cache: Option<&usize>, walk: Walk) -> Result<(Next, usize), AsrError> {
        self.fed.push(ids.len());
        let seen = cache.copied().unwrap_or(0) + ids.len();
        let &(id, frame) = self.says.get(seen - PROMPT.len()).unwrap_or(&(END, self.frames - 1));
        let mut attention = vec![0.0; self.frames];
        attention[frame.min(self.frames - 1)] = 1.0;
        Ok((Next { best: (id, 0.5), attention, walk }, seen))
    }
}

fn rules(policy: Policy) -> Rules {
    Rules {
        policy,
        chunk: 12,
        wait_k: 2,
        alignatt_frames: 8,
        most_per_step: 10,
        end: END,
        prompt: PROMPT.to_vec(),
    }
}

/// Tokens by step and the outcomes of a stream of `chunks`, the last one ending it.
fn stream(rules: &Rules, says: &[(u32, usize)], chunks: usize) -> (Vec<Vec<Token>>, Vec<Outcome>) {
    let mut transcript = Transcript::new(rules);
    let (mut tokens, mut outcomes) = (Vec::new(), Vec::new());
    for chunk in 1..=chunks {
        let last = chunk == chunks;
        let used = chunk * rules.chunk;
        let frames = if last { used } else { used + 7 };
        let mut script = Script { says: says.to_vec(), frames, fed: Vec::new() };
        let window = Window { frames, used, first: 0, whole: true, last };
        let mut out = Vec::new();
        let begins_word = |id: u32| id >= 50;
        outcomes.push(rules.step(&mut script, &mut transcript, &window, begins_word, &mut out).unwrap());
        tokens.push(out);
        if *outcomes.last().unwrap() != Outcome::Goes {
            break;
        }
    }
    (tokens, outcomes)
}

fn ids(tokens: &[Vec<Token>]) -> Vec<Vec<u32>> {
    tokens.iter().map(|step| step.iter().map(|token| token.id).collect()).collect()
}

/// Tokens that never repeat in a pattern, all attending to `frame`.
fn speech(tokens: usize, frame: usize) -> Vec<(u32, usize)> {
    (0..tokens).map(|i| (1 + (i as u32 * i as u32) % 47, frame)).collect()
}

#[test]
fn wait_k_waits_and_then_says_a_token_per_chunk_and_the_rest_at_the_end() {
    let says = [(1, 9), (2, 9), (3, 9), (4, 9), (5, 9)];
    let (tokens, _) = stream(&rules(Policy::WaitK), &says, 4);
    assert_eq!(ids(&tokens), [vec![], vec![1], vec![2], vec![3, 4, 5]]);
    assert_eq!(tokens[1][0].frame, 23, "the newest frame that was heard");
}

#[test]
fn the_prompt_goes_in_once_and_then_one_token_at_a_time() {
    let rules = rules(Policy::WaitK);
    let mut transcript = Transcript::new(&rules);
    let mut script = Script { says: speech(3, 9), frames: 24, fed: Vec::new() };
    let window = Window { frames: 24, used: 24, first: 0, whole: true, last: true };
    rules.step(&mut script, &mut transcript, &window, |_| false, &mut Vec::new()).unwrap();
    assert_eq!(script.fed, [2, 1, 1, 1]);
}

#[test]
fn an_end_before_the_end_of_the_audio_only_waits() {
    let rules = rules(Policy::WaitK);
    let mut transcript = Transcript::new(&rules);
    let mut said = Vec::new();
    for (says, last) in [(vec![], false), (vec![(7, 9)], false), (vec![(7, 9), (8, 9)], true)] {
        let mut script = Script { says, frames: 30, fed: Vec::new() };
        let window = Window { frames: 30, used: 24, first: 0, whole: true, last };
        rules.step(&mut script, &mut transcript, &window, |_| false, &mut said).unwrap();
    }
    assert_eq!(said.iter().map(|token| token.id).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn alignatt_says_what_attends_to_audio_far_enough_back() {
    // 24 frames heard: the last that may be attended to is 15, of 36 it is 27.
    let says = [(1, 10), (2, 15), (3, 16), (4, 27), (5, 28), (6, 47)];
    let (tokens, _) = stream(&rules(Policy::AlignAtt), &says, 4);
    assert_eq!(ids(&tokens), [vec![], vec![1, 2], vec![3, 4], vec![5, 6]]);
    let frames: Vec<u64> = tokens.iter().flatten().map(|token| token.frame).collect();
    assert_eq!(frames, [10, 15, 16, 27, 28, 47]);
}

#[test]
fn alignatt_says_so_many_tokens_in_a_step_before_the_end() {
    let (tokens, _) = stream(&rules(Policy::AlignAtt), &speech(25, 9), 3);
    assert_eq!(tokens.iter().map(Vec::len).collect::<Vec<_>>(), [0, 10, 15]);
}

#[test]
fn the_sink_draws_no_attention_while_the_window_begins_where_the_decoder_did() {
    let window = |frames, whole| Window { frames, used: frames, first: 0, whole, last: false };
    let mut attention = vec![0.1; 20];
    (attention[3], attention[12]) = (0.9, 0.2);
    assert_eq!(attended(&attention, &window(20, true), false), Some(12));
    assert_eq!(attended(&attention, &window(20, false), false), Some(3));
    assert_eq!(attended(&attention, &window(6, true), true), Some(3), "half of a short window");
    assert_eq!(attended(&attention[3..], &window(6, true), false), Some(0), "NeMo fails here");
    assert_eq!(attended(&[], &window(20, true), false), None);
}

#[test]
fn repetitions_are_five_of_one_and_three_of_two_or_three() {
    let before = [80, 81, 82, 83, 84, 85, 86];
    let found = |tail: &[u32]| repeats(&[&before, tail].concat());
    assert!(found(&[1, 1, 1, 1, 1]) && !found(&[1, 1, 1, 1]) && !found(&[1, 1, 1, 1, 2]));
    assert!(found(&[1, 2, 1, 2, 1, 2]) && !found(&[2, 1, 2, 1, 2]));
    assert!(found(&[1, 2, 3, 1, 2, 3, 1, 2, 3]) && !found(&[2, 3, 1, 2, 3, 1, 2, 3]));
    assert!(!found(&[1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]), "longer patterns can be speech");
    assert!(!repeats(&[1; 8]) && repeats(&[1; 9]), "NeMo looks from position 8 on");
    assert!(!repeats(&[]));
}

#[test]
fn a_decoder_that_repeats_itself_begins_anew_behind_what_it_attended_to() {
    for policy in [Policy::WaitK, Policy::AlignAtt] {
        let says = [&speech(6, 9)[..], &[(50, 14); 9][..]].concat();
        let (tokens, outcomes) = stream(&rules(policy), &says, 2);
        assert_eq!(outcomes[1], Outcome::Anew(15));
        let said: Vec<u32> = ids(&tokens).concat();
        assert_eq!(said[6..], [50; 4], "the fifth is not written");
    }
}

#[test]
fn a_decoder_that_goes_on_repeating_itself_is_found_out_at_once() {
    let rules = rules(Policy::AlignAtt);
    let mut transcript = Transcript::new(&rules);
    let window = Window { frames: 24, used: 24, first: 0, whole: true, last: true };
    let mut said = Vec::new();
    for before in [6, 0, 0] {
        let says = [&speech(before, 9)[..], &[(50, 14); 9][..]].concat();
        let mut script = Script { says, frames: 24, fed: Vec::new() };
        let outcome = rules.step(&mut script, &mut transcript, &window, |_| false, &mut said).unwrap();
        assert_eq!(outcome, Outcome::Anew(15));
        transcript.begin_anew(&rules);
    }
    assert_eq!(said.len(), 6 + 4);
}

#[test]
fn a_full_buffer_ends_with_the_word_that_is_being_said() {
    let full = MOST_TOKENS - PROMPT.len();
    let mut says = speech(400, 20);
    for at in [full - 30, full - 5, full - 2] {
        says[at].0 = 60;
    }
    let (tokens, outcomes) = stream(&rules(Policy::WaitK), &says, 3);
    assert_eq!(outcomes[2], Outcome::Anew(21));
    assert_eq!(tokens.concat().len(), full - 5, "the next word did not begin");
    let (tokens, _) = stream(&rules(Policy::WaitK), &speech(400, 20), 3);
    assert_eq!(tokens.concat().len(), full, "a word without end is cut");
}

/// Whatever a decoder says, the steps keep what they promise.
#[test]
fn any_script_gives_its_own_beginning_in_order_and_within_the_limits() {
    let mut state = 1_u64;
    let mut roll = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..400 {
        let policy = if round % 2 == 0 { Policy::WaitK } else { Policy::AlignAtt };
        let length = roll(300) as usize;
        let alphabet = 2 + roll(90);
        let says: Vec<(u32, usize)> =
            (0..length).map(|_| (1 + roll(alphabet) as u32, roll(120) as usize)).collect();
        let chunks = 1 + roll(9) as usize;
        let rules = Rules { wait_k: 1 + roll(4) as usize, ..rules(policy) };
        let (tokens, outcomes) = stream(&rules, &says, chunks);
        let said = ids(&tokens).concat();
        assert!(said.iter().zip(&says).all(|(a, (b, _))| a == b), "nothing is left out or moved");
        assert!(said.len() + PROMPT.len() <= MOST_TOKENS);
        for (chunk, step) in tokens.iter().enumerate().filter(|(chunk, _)| chunk + 1 < chunks) {
            let used = (chunk + 1) * rules.chunk;
            assert!(chunk + 1 >= rules.wait_k || step.is_empty());
            let most = if policy == Policy::WaitK { 1 } else { rules.most_per_step };
            assert!(step.len() <= most);
            let behind = |token: &Token| token.frame as usize + rules.alignatt_frames < used;
            assert!(policy == Policy::WaitK || step.iter().all(behind));
        }
        let anew = outcomes.last().is_some_and(|outcome| *outcome != Outcome::Goes);
        assert!(anew || said.len() == says.len(), "at the end all is said");
        assert_eq!(stream(&rules, &says, chunks), (tokens, outcomes), "and the same again");
    }
}
