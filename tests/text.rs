//! What is said becomes text, commands and replacements, by the real programs on a real bus
//! and a real X server.
//!
//! A model that only knows the words of its recording can still say commands: a language
//! pack of the person's own says which of them are.

use crate::last::Desk;
use std::time::{Duration, Instant};
use swictation_core::config::{Config, OwnPack};
use swictation_core::text::{Said, Text};
use swictation_core::{SamplePos, Word};
use swictation_tests::programs::{PATIENCE, toy};

/// The words of a text that are in it once, without what stands around them.
fn unique(text: &str) -> Vec<String> {
    let word = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let all: Vec<String> = text.split_whitespace().map(word).collect();
    let once = |word: &&String| word.len() > 1 && all.iter().filter(|other| other == word).count() == 1;
    all.iter().filter(once).cloned().collect()
}

/// What a text comes to with this configuration and pack, when nothing in it is waited for.
fn read(text: &str, config: &str, pack: &str) -> String {
    let own = |_: &str| Ok(Some(OwnPack { file: "own.toml".into(), text: pack.into() }));
    let rules = Config::parse_with(config, &own).unwrap().rules;
    let (mut pipeline, mut said) = (Text::default(), Vec::new());
    for word in text.split_whitespace() {
        let (start, end) = (SamplePos(0), SamplePos(0));
        let word = Word { text: word.into(), glued: false, start, end, confidence: 1.0, tokens: Vec::new() };
        pipeline.word(&word, &rules, &mut said);
    }
    pipeline.end(true, &rules, &mut said);
    let texts = said.into_iter().map(|said| match said {
        Said::Text { text, .. } => text,
        Said::Scratch(from) => panic!("nothing is scratched, not {from:?}"),
    });
    texts.collect()
}

impl Desk {
    /// Gives the daemon a pack of its own, and a configuration that uses it.
    fn configure(&mut self, pack: &str, keys: &str) -> String {
        let config =
            format!("model = {:?}\ndevice = \"cpu\"\nlanguage = \"own\"\n{keys}", toy("att70_6-rnnt"));
        let folder = self.home.path("config/swictation/languages");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("own.toml"), "quotes = [1, 2]").unwrap();
        self.home.configure(&config);
        let trouble = self.status.trouble("languages/own.toml, line 1");
        assert!(trouble.contains("config.toml, line 3"), "{trouble}");
        std::fs::write(folder.join("own.toml"), pack).unwrap();
        self.home.configure(&config);
        self.status.until("no trouble", |line| line["trouble"] == "");
        config
    }
}

#[test]
fn what_is_said_is_replaced_breaks_lines_and_ends_the_dictation_from_the_next_one_on() {
    let Some(mut desk) = Desk::with("") else { return };
    let words = unique(&desk.text);
    let [first, second, .., last] = words.as_slice() else { panic!("too few words: {:?}", desk.text) };
    let pack = format!(
        "quotes = [\"<\", \">\"]\n[commands]\nnew-line = [{second:?}]\nstop-dictation = [{last:?}]\n"
    );
    let keys = format!("terminal_enter = true\n[[replace]]\nfrom = {first:?}\nto = \"Grüße, (ok)\"\n");
    let config = desk.configure(&pack, &keys);
    let expected = read(&desk.text, &config, &pack);
    assert!(expected.contains('\n') && expected.contains("Grüße, (ok)"), "{expected:?}");
    assert!(expected.len() < desk.text.len() + 10 && !expected.to_lowercase().contains(last), "{expected:?}");
    assert_eq!(desk.swictation(&["start"]).code, 0);
    let pressed = expected.replace('\n', "\r");
    assert_eq!(desk.terminal.typed(&pressed, PATIENCE).unwrap(), pressed);
    desk.status.state("idle");
    assert_eq!(desk.swictation(&["last"]).out, expected + "\n");
}

#[test]
fn what_is_scratched_is_erased_and_nothing_else() {
    let Some(mut desk) = Desk::with("?realtime") else { return };
    let words = unique(&desk.text);
    let said = &words[words.len() / 2];
    let pack = format!("quotes = [\"<\", \">\"]\n[commands]\nscratch-that = [{said:?}]\n");
    desk.configure(&pack, "");
    assert_eq!(desk.swictation(&["start"]).code, 0);
    desk.status.state("listening");
    let end = desk.status.state("idle");
    assert_eq!(end["trouble"], "");
    let last = desk.swictation(&["last"]).out;
    let last = last.strip_suffix('\n').unwrap();
    let all: Vec<&str> = desk.text.split_whitespace().collect();
    let at = all.iter().position(|word| unique(word) == [said.as_str()]).unwrap();
    let behind = all[at + 1..].join(" ") + " ";
    let before =
        last.strip_suffix(&behind).unwrap_or_else(|| panic!("{last:?} does not end with {behind:?}"));
    let scratched = all[..at].join(" ");
    assert!(scratched.starts_with(before.trim_end()), "{before:?} of {scratched:?}");
    assert!(before.trim_end().len() < scratched.len(), "of {scratched:?} nothing was scratched");
    let (mut keys, deadline) = (String::new(), Instant::now() + PATIENCE);
    while window(&keys) != last {
        assert!(Instant::now() < deadline, "{keys:?} is not {last:?}");
        keys += &desk.terminal.typed("x", Duration::from_secs(1)).unwrap();
    }
    assert!(keys.contains('\x7f'), "something was erased: {keys:?}");
}

/// What a window shows that got these keys.
fn window(keys: &str) -> String {
    let mut shown = String::new();
    for key in keys.chars() {
        match key {
            '\x7f' => drop(shown.pop()),
            key => shown.push(key),
        }
    }
    shown
}

#[test]
fn a_transcript_has_commands_and_the_words_of_those_that_mean_nothing_there() {
    let Some(desk) = Desk::with("") else { return };
    let words = unique(&desk.text);
    let [line, scratch, .., stop] = words.as_slice() else { panic!("too few words: {:?}", desk.text) };
    let commands = |scratch: &str, stop: &str| {
        format!(
            "quotes = [\"<\", \">\"]\n[commands]\nnew-line = [{line:?}]\n\
             scratch-that = [{scratch:?}]\nstop-dictation = [{stop:?}]\n"
        )
    };
    let config = format!("model = {:?}\ndevice = \"cpu\"\nlanguage = \"own\"\n", toy("att70_6-rnnt"));
    let expected = read(&desk.text, &config, &commands("no such word", "nor this one"));
    let folder = desk.home.path("config/swictation/languages");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("own.toml"), commands(scratch, stop)).unwrap();
    desk.home.configure(&config);
    let wav = swictation_tests::programs::recording("beckett.wav").unwrap();
    let ran = desk.home.run("swictation", &["transcribe", wav.to_str().unwrap()]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, &*format!("{}\n", expected.trim_end_matches(' '))),
        "{}",
        ran.err
    );
}
