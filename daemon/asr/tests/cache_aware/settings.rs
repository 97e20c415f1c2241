//! Several contexts in one model folder, and models that end utterances themselves.

use crate::golden::decode_all;
use crate::toy::{self, CLIPS, CPU};
use std::fs;
use std::path::Path;
use swictation_asr::cache_aware::CacheAware;
use swictation_asr::manifest::Manifest;
use swictation_asr::stream::Stream;
use swictation_asr::{AsrError, Belief, Recognizer, Settings, load};
use swictation_core::policy::Policy;
use swictation_core::wire::FromWorker;
use swictation_core::{DictationId, Hypothesis, SamplePos, UtteranceId};
use tempfile::TempDir;

const FRAME: u64 = 1280;

/// What is asked of the folder, the golden of the export that has it, its latency and context.
fn asked() -> [(Settings, &'static str, u32, f32); 6] {
    let latency = |ms| Settings { latency_ms: Some(ms), ..Settings::default() };
    [
        (Settings::default(), "att70_6-rnnt", 560, 5.6),
        (latency(80), "att70_0-rnnt", 80, 5.6),
        (latency(1119), "att70_6-rnnt", 560, 5.6),
        (latency(1120), "att70_13-rnnt", 1120, 5.6),
        (Settings { context_seconds: Some(20.0), ..Settings::default() }, "att252_6-rnnt", 560, 20.16),
        (Settings { chunk_ms: Some(80), ..Settings::default() }, "att70_0-rnnt", 80, 5.6),
    ]
}

fn tokens(model: &mut CacheAware, clip: &str) -> Vec<u32> {
    let mut tokens = Vec::new();
    model.begin(SamplePos(0), &[]);
    model.feed_frames(&toy::mel(clip).by_columns());
    while let Some(belief) = model.step().unwrap() {
        tokens.extend(belief.tokens);
    }
    tokens.extend(model.finish().unwrap().tokens);
    tokens
}

/// The files of one toy model beside its `model.toml`, and that as `change` has it.
fn copy(name: &str, change: impl Fn(&str) -> String) -> TempDir {
    let dir = TempDir::new().unwrap();
    let manifest = Manifest::read(&toy::toy(name)).unwrap();
    let mut text = fs::read_to_string(toy::toy(name).join("model.toml")).unwrap();
    for (role, file) in &manifest.files {
        let beside = format!("{role}.file");
        fs::copy(manifest.file(&toy::toy(name), role).unwrap(), dir.path().join(&beside)).unwrap();
        let path = file.path.display().to_string();
        let line = text.lines().find(|line| line.starts_with(&format!("{role} ="))).unwrap().to_owned();
        let without_sum = line.split(", sha256").next().unwrap().to_owned() + " }";
        text = text.replace(&line, &without_sum.replace(&path, &beside));
    }
    let changed = change(&text);
    assert_ne!(text, changed, "the edit changes something");
    fs::write(dir.path().join("model.toml"), changed).unwrap();
    dir
}

#[test]
fn each_setting_of_one_folder_gives_the_tokens_of_its_golden() {
    if toy::runtime().is_none() {
        return;
    }
    for (settings, golden, latency, context) in asked() {
        let mut model = toy::open(&toy::toy("att-all-rnnt"), &settings).unwrap();
        let info = model.info();
        assert_eq!((info.latency_ms, info.chunk_ms), (Some(latency), latency), "{settings:?}");
        assert!((info.context_seconds - context).abs() < 1e-4, "{settings:?}");
        for clip in CLIPS {
            let golden = &toy::goldens(golden)[&format!("{clip}.rnnt")];
            assert_eq!(tokens(&mut model, clip), golden.tokens, "{settings:?}, {clip}");
        }
    }
}

#[test]
fn only_the_encoder_that_is_chosen_is_read() {
    if toy::runtime().is_none() {
        return;
    }
    let damaged = copy("att-all-rnnt", |text| {
        text.replace("encoder_80ms.file\" }", "encoder_80ms.file\", sha256 = \"00\" }")
    });
    let fast = Settings { latency_ms: Some(80), ..Settings::default() };
    assert!(toy::open(damaged.path(), &Settings::default()).is_ok());
    let error = toy::open(damaged.path(), &fast).err().unwrap().to_string();
    assert!(error.contains("encoder_80ms.file") && error.contains("sha256"), "{error}");
    fs::remove_file(damaged.path().join("encoder_80ms.file")).unwrap();
    let error = toy::open(damaged.path(), &Settings::default()).err().unwrap().to_string();
    assert!(error.contains("encoder_80ms") && error.contains("cannot be opened"), "{error}");
}

#[track_caller]
fn refused(dir: &Path, settings: &Settings, parts: &[&str]) {
    let error = match Manifest::read(dir) {
        Ok(manifest) => load(toy::runtime().unwrap(), dir, &manifest, CPU, settings).err().unwrap(),
        Err(error) => error,
    };
    assert!(matches!(error, AsrError::Setting(_) | AsrError::Model { .. }), "{error:?}");
    let error = error.to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{error:?} does not say {parts:?}");
}

#[test]
fn what_no_setting_has_is_refused_with_those_there_are() {
    if toy::runtime().is_none() {
        return;
    }
    let all = toy::toy("att-all-rnnt");
    let asked = |context_seconds, chunk_ms, latency_ms| Settings {
        context_seconds,
        chunk_ms,
        latency_ms,
        ..Settings::default()
    };
    refused(&all, &asked(None, None, Some(79)), &["latency_ms = 79", "80, 560, 1120"]);
    refused(&all, &asked(None, Some(560), Some(100)), &["latency_ms = 100", "chunk_ms = 560"]);
    refused(&all, &asked(Some(2.0), None, None), &["2 s", "5.6, 20.16"]);
    refused(&toy::toy("att70_6-ctc"), &asked(None, None, Some(500)), &["latency_ms = 500", "560"]);
    for policy in Policy::ALL {
        let settings = Settings { policy: Some(policy), ..Settings::default() };
        refused(
            &all,
            &settings,
            &[policy.as_str(), "toy-att-all-rnnt", "never change", "leave the setting out"],
        );
    }
}

#[test]
fn a_setting_that_does_not_fit_is_named() {
    if toy::runtime().is_none() {
        return;
    }
    let changed =
        |from: &'static str, to: &'static str| copy("att-all-rnnt", move |text| text.replace(from, to));
    let fast = Settings { latency_ms: Some(80), ..Settings::default() };
    let dir = changed("encoder = \"encoder_80ms\"", "encoder = \"encoder_fast\"");
    refused(dir.path(), &fast, &["model.toml", "encoder_fast"]);
    let dir = changed("encoder = \"encoder_80ms\"", "encoder = \"encoder_1120ms\"");
    refused(dir.path(), &fast, &["encoder_1120ms.file", "chunk_shift = 112"]);
    let dir = changed("left_frames = 252", "left_frames = 253");
    refused(dir.path(), &Settings::default(), &["model.toml", "[[settings]]", "253"]);
    let dir = changed("right_frames = 13", "right_frames = 13\nname = \"slow\"");
    refused(dir.path(), &Settings::default(), &["model.toml", "line", "name"]);
    let dir = changed("family = \"cache-aware-rnnt\"", "family = \"buffered-rnnt\"");
    refused(dir.path(), &Settings::default(), &["model.toml", "[[settings]]", "buffered-rnnt"]);
}

/// The toy model with the piece of "no" as the end of an utterance.
fn ending(reset: bool) -> TempDir {
    let dir = copy("att70_6-rnnt", |text| {
        format!("{text}\n[end_of_utterance]\npieces = [\"<EOU>\"]\nreset_decoder = {reset}\n")
    });
    let file = dir.path().join("vocabulary.file");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\n▁no "));
    fs::write(&file, text.replace("\n▁no ", "\n<EOU> ")).unwrap();
    dir
}

fn steps(model: &mut dyn Recognizer, pcm: &[f32]) -> Vec<Belief> {
    model.begin(SamplePos(0), &[]);
    model.feed(pcm);
    decode_all(model)
}

/// The end's token and frame in the golden of beckett.
fn end_in(golden: &toy::Golden, dir: &Path) -> (usize, u64) {
    let vocabulary = fs::read_to_string(dir.join("vocabulary.file")).unwrap();
    let end = vocabulary.lines().position(|line| line.starts_with("<EOU> ")).unwrap() as u32;
    let at = golden.tokens.iter().position(|token| *token == end).expect("the golden has the piece");
    (at, u64::from(golden.frames[at]))
}

#[test]
fn an_end_of_utterance_is_nemos_token_and_is_never_typed() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    let golden = &toy::goldens("att70_6-rnnt")["beckett.rnnt"];
    let dir = ending(false);
    let beliefs = steps(&mut toy::open(dir.path(), &Settings::default()).unwrap(), &pcm);
    let tokens: Vec<u32> = beliefs.iter().flat_map(|belief| belief.tokens.clone()).collect();
    assert_eq!(tokens, golden.tokens, "the predictor goes on as in NeMo's loop");
    let words = beliefs.iter().flat_map(|belief| &belief.words[..belief.frozen]);
    let text: Vec<&str> = words.map(|word| word.text.as_str()).collect();
    assert_eq!(text.join(" "), golden.text.replace("no ", ""));
    let (_, frame) = end_in(golden, dir.path());
    let ends: Vec<SamplePos> = beliefs.iter().flat_map(|b| b.ends.iter().map(|(_, at)| *at)).collect();
    assert_eq!(ends, [SamplePos((frame + 1) * FRAME)]);
}

#[test]
fn behind_an_end_of_utterance_the_predictor_begins_anew_and_the_caches_go_on() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    let golden = &toy::goldens("att70_6-rnnt")["beckett.rnnt"];
    let dir = ending(true);
    let beliefs = steps(&mut toy::open(dir.path(), &Settings::default()).unwrap(), &pcm);
    let (at, frame) = end_in(golden, dir.path());
    let tokens: Vec<u32> = beliefs.iter().flat_map(|belief| belief.tokens.clone()).collect();
    let frames: Vec<u32> = beliefs.iter().flat_map(|belief| belief.frames.clone()).collect();
    assert_eq!(tokens[..=at], golden.tokens[..=at]);
    assert!(frames[at + 1..].iter().all(|later| u64::from(*later) > frame), "on the next frame: {frames:?}");
    assert!(tokens.len() > at + 1, "and it goes on");
    let last: u64 = u64::from(*frames.last().unwrap());
    assert!(last < (pcm.len() as u64).div_ceil(FRAME), "frames count on: {last}");
}

fn messages(dir: &Path, settings: &Settings, pcm: &[f32]) -> Vec<FromWorker> {
    let manifest = Manifest::read(dir).unwrap();
    let model = load(toy::runtime().unwrap(), dir, &manifest, CPU, settings).unwrap();
    let mut stream = Stream::new(model, None, false);
    let mut messages = Vec::new();
    stream.begin(DictationId(1), UtteranceId(0), SamplePos(0), &[]);
    for (i, piece) in pcm.chunks(1600).enumerate() {
        stream.feed(SamplePos(i as u64 * 1600), piece, &mut |message| messages.push(message)).unwrap();
    }
    stream.finish(SamplePos(pcm.len() as u64), &mut |message| messages.push(message)).unwrap();
    messages
}

fn hypotheses(messages: &[FromWorker]) -> Vec<&Hypothesis> {
    let mut hypotheses = Vec::new();
    for message in messages {
        if let FromWorker::Hypothesis(hypothesis) = message {
            hypotheses.push(hypothesis);
        }
    }
    hypotheses
}

#[test]
fn an_end_of_utterance_freezes_its_last_word_and_begins_another_utterance() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    let golden = &toy::goldens("att70_6-rnnt")["beckett.rnnt"];
    let dir = ending(false);
    let end = SamplePos((end_in(golden, dir.path()).1 + 1) * FRAME);
    let said = messages(dir.path(), &Settings::default(), &pcm);
    let mut utterances: Vec<Vec<String>> = vec![Vec::new()];
    let mut ends = Vec::new();
    for hypothesis in hypotheses(&said) {
        let number = hypothesis.utterance.0 as usize;
        assert_eq!(number, ends.len(), "an utterance ends before the next begins");
        utterances.resize(number + 1, Vec::new());
        assert_eq!(hypothesis.first as usize, utterances[number].len());
        let frozen = &hypothesis.words[..hypothesis.frozen as usize];
        utterances[number].extend(frozen.iter().map(|word| word.text.clone()));
        if hypothesis.last {
            ends.push(hypothesis.heard_to);
        }
    }
    let texts: Vec<String> = utterances.iter().map(|words| words.join(" ")).collect();
    assert_eq!(
        texts.iter().map(String::as_str).collect::<Vec<_>>(),
        golden.text.split(" no ").collect::<Vec<_>>()
    );
    assert_eq!(ends, [end, SamplePos(pcm.len() as u64)]);
    // What a worker that takes over needs begins behind the end, once that was told.
    let resumes: Vec<SamplePos> = said
        .iter()
        .filter_map(|message| match message {
            FromWorker::Heard { resume, .. } => Some(*resume),
            _ => None,
        })
        .collect();
    assert!(resumes.is_sorted() && resumes.contains(&end), "{resumes:?}");
}

#[test]
fn nobody_speaks_between_an_end_and_the_next_word() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    let dir = ending(false);
    let mut resting = false;
    for message in messages(dir.path(), &Settings::default(), &pcm) {
        match message {
            FromWorker::Hypothesis(hypothesis) => {
                resting = hypothesis.words.is_empty() && (hypothesis.last || resting);
            }
            FromWorker::Heard { speech, .. } => assert_eq!(speech, !resting),
            _ => {}
        }
    }
}

#[test]
fn words_can_be_held_until_the_model_ends_the_utterance() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    let golden = &toy::goldens("att70_6-rnnt")["beckett.rnnt"];
    let dir = ending(false);
    let hold = Settings { policy: Some(Policy::Hold), ..Settings::default() };
    let said = messages(dir.path(), &hold, &pcm);
    let committed: Vec<String> = hypotheses(&said)
        .iter()
        .filter(|hypothesis| hypothesis.frozen > 0)
        .map(|h| h.words[..h.frozen as usize].iter().map(|w| w.text.clone()).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(committed, golden.text.split(" no ").collect::<Vec<_>>());
    let shown = |h: &&&Hypothesis| h.words.len() > h.frozen as usize;
    assert!(hypotheses(&said).iter().filter(shown).count() > 3, "they are shown meanwhile");
    refused(dir.path(), &Settings { policy: Some(Policy::WaitK), ..hold }, &["\"wait-k\"", "\"hold\""]);
}

#[test]
fn an_end_of_utterance_that_the_vocabulary_does_not_have_is_refused() {
    if toy::runtime().is_none() {
        return;
    }
    let table = "\n[end_of_utterance]\npieces = [\"<EOB>\"]\n";
    let dir = copy("att70_6-rnnt", |text| format!("{text}{table}"));
    refused(dir.path(), &Settings::default(), &["vocabulary.file", "<EOB>"]);
    let dir = copy("buffered-ctc", |text| format!("{text}{table}"));
    refused(dir.path(), &Settings::default(), &["model.toml", "[end_of_utterance]", "buffered-ctc"]);
}

#[test]
fn a_model_that_ends_utterances_goes_on_from_every_checkpoint_with_held_words_too() {
    let Some((runtime, pcm)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    for (reset, policy) in [(true, None), (false, Some(Policy::Hold))] {
        let (dir, settings) = (ending(reset), Settings { policy, ..Settings::default() });
        let manifest = Manifest::read(dir.path()).unwrap();
        let said = messages(dir.path(), &settings, &pcm);
        let mut tried = 0;
        for (i, message) in said.iter().enumerate() {
            let FromWorker::Checkpoint(checkpoint) = message else { continue };
            let model = load(runtime, dir.path(), &manifest, CPU, &settings).unwrap();
            let (mut stream, mut rest) = (Stream::new(model, None, false), Vec::new());
            let mut out = |message| rest.push(message);
            stream.restore(DictationId(1), checkpoint).unwrap();
            stream.feed(checkpoint.at, &pcm[checkpoint.at.0 as usize..], &mut out).unwrap();
            stream.finish(SamplePos(pcm.len() as u64), &mut out).unwrap();
            let timeless = |said: &[FromWorker]| {
                let said = hypotheses(said).into_iter().cloned();
                said.map(|hypothesis| Hypothesis { step_us: 0, ..hypothesis }).collect::<Vec<_>>()
            };
            assert_eq!(timeless(&rest), timeless(&said[i + 1..]), "{policy:?} from {checkpoint:?}");
            tried += 1;
        }
        assert!(tried >= 5, "{tried} checkpoints, one of them behind the end of the utterance");
    }
}
