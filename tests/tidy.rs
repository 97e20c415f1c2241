//! The rules of ARCHITECTURE.md, read off the sources and the dependency graph.
//!
//! A rule is a function from one file to its faults, so that a test can show of
//! each rule that it finds what it is for. What clippy or rustdoc can check is left
//! to them. The words that the rules look for are put together here from parts, as
//! this file is checked like any other.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use swictation_tests::programs::{built, root};
use swictation_tests::{need, note, program};

/// A text file of the repository, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// A fault of a line, counted from 0.
    fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, line + 1)
    }

    /// Lines with their numbers, without what is said in comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).enumerate()
    }

    /// The lines of code that hold one of these as a word, not as a part of one.
    fn words(&self, words: &[&str]) -> Vec<String> {
        let found = |line: &str| words.iter().find(|word| is_in(line, word)).copied();
        self.code().filter_map(|(n, line)| Some(self.fault(n, found(line)?))).collect()
    }
}

/// Whether `line` has `word` with nothing of a name before it, nor after it where
/// the word itself ends like a name.
fn is_in(line: &str, word: &str) -> bool {
    let named = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !(line[..at].ends_with(named) || word.ends_with(named) && after.is_some_and(named))
    })
}

type Rule = fn(&Source) -> Vec<String>;

/// Every file that is in the repository or about to be; none where git is missing.
fn sources() -> Option<Vec<Source>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let listed = listed.ok().filter(|listed| listed.status.success());
    if !need("a git repository", listed.is_some()) {
        return None;
    }
    let names = String::from_utf8(listed?.stdout).unwrap();
    // What is not text, such as a model, has no rules here.
    let read = |path: &str| Some(Source::new(path, &fs::read_to_string(root().join(path)).ok()?));
    let sources: Vec<Source> = names.split('\0').filter_map(read).collect();
    assert!(sources.len() > 50, "only {} files: is this the whole repository?", sources.len());
    Some(sources)
}

fn holds(rule: Rule) {
    let Some(sources) = sources() else { return };
    let faults: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// A rule that only `home` may use `words`, in the sources of the folder `of`.
fn only_in(source: &Source, of: &str, home: &str, words: &[&str]) -> Vec<String> {
    let concerned = source.is_rust() && !source.is_test() && source.path.starts_with(of);
    if concerned && !source.path.starts_with(home) { source.words(words) } else { Vec::new() }
}

fn runtime_has_one_place(source: &Source) -> Vec<String> {
    only_in(source, "", "daemon/asr/src/graph/", &["ort::", "use ort;"])
}

fn async_has_one_place(source: &Source) -> Vec<String> {
    // Two buses, each on a thread of its own: what happens on the system's must not wait
    // for a session bus that hangs, nor the other way round.
    // So do a desktop's portal, its clipboard and what has the focus in it: they say things
    // at any time.
    let typist = ["portal/", "clipboard/", "focus/", "compositor.rs", "listener.rs", "paste.rs"];
    let typist = typist.map(|place| format!("daemon/src/typist/{place}"));
    let others =
        typist.iter().map(String::as_str).chain(["daemon/src/bus.rs", "daemon/src/control/logind.rs"]);
    if others.into_iter().any(|place| source.path.starts_with(place)) {
        return Vec::new();
    }
    only_in(source, "daemon/", "daemon/src/control/dbus/", &["async fn", "async move", "async {", "async |"])
}

fn nvml_has_one_place(source: &Source) -> Vec<String> {
    // What measures a GPU is no part of the programs.
    if source.path.starts_with("daemon/asr/examples/gpu/") {
        return Vec::new();
    }
    only_in(source, "", "daemon/src/gpu.rs", &["nvml_wrapper"])
}

fn cpal_has_one_place(source: &Source) -> Vec<String> {
    only_in(source, "", "daemon/src/audio/alsa.rs", &["cpal::", "use cpal;"])
}

fn callback_copies_and_counts(source: &Source) -> Vec<String> {
    if source.path != "daemon/src/audio/realtime.rs" {
        return Vec::new();
    }
    let lines = source.text.lines().count();
    if lines > 100 {
        return vec![source.fault(lines, "the real-time file has more than 100 lines")];
    }
    let place = |mark: &str| source.text.find(mark);
    let Some((start, end)) = place("pub fn write(").zip(place("pub fn alarm(")).filter(|(a, b)| a < b) else {
        return vec![source.fault(0, "the callback is no longer what lies between `write` and `alarm`")];
    };
    let before = source.text[..start].lines().count();
    let callback =
        Source::new(&source.path, &("\n".repeat(before.saturating_sub(1)) + &source.text[start..end]));
    callback.words(&[
        "Vec",
        "vec!",
        "Box",
        "String",
        "format!",
        "Arc",
        "Mutex",
        "lock(",
        "wait(",
        "tracing",
        "println!",
        "unwrap",
        "expect(",
        "panic!",
        "assert!",
        "send(",
        "sleep",
        "clone(",
        "collect",
        "to_owned",
        "to_string",
    ])
}

fn files_are_of_a_readable_length(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if !source.is_rust() || source.is_test() || lines <= 350 {
        return Vec::new();
    }
    note(&format!("{}: {lines} lines; over 350 a file is worth a second look", source.path));
    if lines > 800 { vec![source.fault(800, "more than 800 lines")] } else { Vec::new() }
}

fn modules_say_what_they_are_for(source: &Source) -> Vec<String> {
    let says =
        source.text.lines().find(|line| !line.starts_with("#!")).is_some_and(|line| line.starts_with("//! "));
    if source.is_rust() && !says { vec![source.fault(0, "does not begin with `//! `")] } else { Vec::new() }
}

fn names_are_nouns_of_the_field(source: &Source) -> Vec<String> {
    if !source.is_rust() {
        return Vec::new();
    }
    let empty = |name: &str| {
        let name = name.to_lowercase();
        let mut parts = name.split(['_', '-', '/', '.']);
        [["mana", "ger"].concat(), ["hand", "ler"].concat()].iter().any(|part| name.contains(part))
            || parts.any(|part| ["util", "utils", "helper", "helpers", "common", "misc"].contains(&part))
    };
    let named = |line: &str| {
        let declared = ["struct ", "enum ", "trait ", "mod ", "fn ", "type "].iter();
        let names = declared.filter(|word| is_in(line, word)).filter_map(|word| line.split(word).nth(1));
        names
            .map(|rest| {
                rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_owned()
            })
            .find(|name| empty(name))
    };
    let files = empty(&source.path).then(|| source.fault(0, "the file's name says nothing"));
    let within = source
        .code()
        .filter_map(|(n, line)| Some(source.fault(n, &format!("{} says nothing", named(line)?))));
    files.into_iter().chain(within).collect()
}

/// The faults of lines that hold one of these, in code and in comments.
fn lines_with(source: &Source, parts: &[[&str; 2]]) -> Vec<String> {
    let parts = parts.iter().map(|part| part.concat());
    let parts: Vec<String> = parts.collect();
    let found = |line: &str| parts.iter().find(|part| is_in(line, part)).cloned();
    source.text.lines().enumerate().filter_map(|(n, line)| Some(source.fault(n, &found(line)?))).collect()
}

fn nothing_is_left_for_later(source: &Source) -> Vec<String> {
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["to", "do!"], ["unimple", "mented!"], ["HA", "CK"]];
    lines_with(source, &marks)
}

fn no_test_is_put_aside(source: &Source) -> Vec<String> {
    if source.is_rust() { lines_with(source, &[["#[ig", "nore"]]) } else { Vec::new() }
}

fn no_machine_is_spoken_of(source: &Source) -> Vec<String> {
    lines_with(source, &[["/wo", "rk/"], ["/ho", "me/"], ["/ro", "ot/"]])
}

fn no_registry_is_spoken_of(source: &Source) -> Vec<String> {
    // Cargo writes into its lock where everything came from.
    if source.name() == "Cargo.lock" {
        return Vec::new();
    }
    let hosts =
        [["crates", ".io"], ["py", "pi.org"], ["python", "hosted"], ["npm", "js."], ["proxy.gol", "ang"]];
    lines_with(source, &hosts)
}

fn only_programs_print(source: &Source) -> Vec<String> {
    let measures = source.path.contains("/examples/") || source.path.contains("/benches/");
    let may = source.is_test() || measures || source.path.starts_with("tests/");
    if !source.is_rust() || may || ["main.rs", "transcript.rs"].contains(&source.name()) {
        return Vec::new();
    }
    source.words(&["println!", "print!", "dbg!"])
}

#[test]
fn only_graph_names_onnx_runtime() {
    holds(runtime_has_one_place);
}

#[test]
fn only_the_buses_of_the_daemon_are_async() {
    holds(async_has_one_place);
}

#[test]
fn only_gpu_rs_knows_nvml() {
    holds(nvml_has_one_place);
}

#[test]
fn only_alsa_rs_knows_cpal() {
    holds(cpal_has_one_place);
}

#[test]
fn the_callback_copies_and_counts_and_does_nothing_else() {
    holds(callback_copies_and_counts);
}

#[test]
fn no_file_is_longer_than_800_lines() {
    holds(files_are_of_a_readable_length);
}

#[test]
fn every_module_says_what_it_is_for() {
    holds(modules_say_what_they_are_for);
}

#[test]
fn names_are_nouns_of_their_field() {
    holds(names_are_nouns_of_the_field);
}

#[test]
fn nothing_in_the_repository_is_left_for_later() {
    holds(nothing_is_left_for_later);
}

#[test]
fn no_test_is_ignored() {
    holds(no_test_is_put_aside);
}

#[test]
fn no_file_names_a_machines_folders() {
    holds(no_machine_is_spoken_of);
}

#[test]
fn no_file_names_a_registrys_host() {
    holds(no_registry_is_spoken_of);
}

#[test]
fn only_programs_write_to_standard_output() {
    holds(only_programs_print);
}

#[test]
fn every_rule_finds_what_it_is_for_and_nothing_else() {
    let long = "//! Long.\n".repeat(801);
    let samples: &[(Rule, &str, &str, &str)] = &[
        (
            runtime_has_one_place,
            "daemon/asr/src/lib.rs",
            "use ort::Session;",
            "fn f(p: &Port::Kind) {} // ort::x",
        ),
        (async_has_one_place, "daemon/src/gpu.rs", "pub async fn f() {}", "fn asynchronous() {}"),
        (
            nvml_has_one_place,
            "daemon/src/main.rs",
            "use nvml_wrapper::Nvml;",
            "use gpu::Nvml; // nvml_wrapper",
        ),
        (cpal_has_one_place, "daemon/src/audio/mod.rs", "cpal::default_host()", "mod cpal;"),
        (
            callback_copies_and_counts,
            "daemon/src/audio/realtime.rs",
            "pub fn write() { x.to_vec::<Vec<f32>>() }\npub fn alarm() {}",
            "pub fn write() { n += 1; }\npub fn alarm() -> String {}",
        ),
        (
            callback_copies_and_counts,
            "daemon/src/audio/realtime.rs",
            "",
            "pub fn write() {}\npub fn alarm() {}",
        ),
        (files_are_of_a_readable_length, "cli/src/sample.rs", &long, "//! Short.\n"),
        (modules_say_what_they_are_for, "cli/src/show.rs", "use std::io;\n", "//! Shows.\n"),
        (
            names_are_nouns_of_the_field,
            "cli/src/show.rs",
            concat!("struct Text", "Man", "ager;"),
            "fn handle() {} // manager",
        ),
        (names_are_nouns_of_the_field, "cli/src/show.rs", concat!("mod ut", "ils;"), "mod futile;"),
        (names_are_nouns_of_the_field, "cli/src/common.rs", "", "fn uncommon() {}"),
        (nothing_is_left_for_later, "README.md", concat!("// TO", "DO: all of it"), "todo = \"warn\""),
        (no_test_is_put_aside, "cli/src/show.rs", concat!("#[ig", "nore = \"slow\"]"), "// ignored"),
        (no_machine_is_spoken_of, "README.md", concat!("cd /ho", "me/me"), "home/work"),
        (no_registry_is_spoken_of, "README.md", concat!("from crates", ".io"), "many crates"),
        (only_programs_print, "cli/src/show.rs", "println!();", "eprintln!();"),
    ];
    for (rule, path, bad, good) in samples {
        assert_ne!(rule(&Source::new(path, bad)), [""; 0], "{path}: {bad:.60}");
        let path = if path.ends_with("common.rs") { "cli/src/show.rs" } else { path };
        assert_eq!(rule(&Source::new(path, good)), [""; 0], "{path}: {good:.60}");
    }
}

#[test]
fn core_has_every_clippy_setting_of_the_workspace() {
    let read = |path| fs::read_to_string(root().join(path)).unwrap().parse::<toml::Table>().unwrap();
    let (workspace, core) = (read("clippy.toml"), read("daemon/core/clippy.toml"));
    for (key, value) in workspace {
        assert_eq!(core.get(&key), Some(&value), "{key} of clippy.toml is not in daemon/core/clippy.toml");
    }
}

/// What a crate names as a dependency of the program itself, by name.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The dependency graph that cargo resolved, without what only tests and build
/// scripts use; none where cargo is missing.
fn dependencies() -> Option<Graph> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    if !need("cargo", cargo.contains('/') || program(&cargo)) {
        return None;
    }
    let done = Command::new(cargo)
        .args(["metadata", "--offline", "--locked", "--format-version=1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(done.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&done.stderr));
    let metadata: Value = serde_json::from_slice(&done.stdout).unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|package| (package["id"].to_string(), package["name"].as_str().unwrap().to_owned()))
        .collect();
    let mut graph = Graph::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let needed = list(&node["deps"])
            .iter()
            .filter(normal)
            .map(|dep| names[&dep["pkg"].to_string()].clone())
            .collect::<Vec<_>>();
        graph.entry(names[&node["id"].to_string()].clone()).or_default().extend(needed);
    }
    Some(graph)
}

/// All that a crate cannot be built without.
fn reach(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(name) = open.pop() {
        for needed in graph.get(name).into_iter().flatten() {
            if reached.insert(needed.clone()) {
                open.push(needed);
            }
        }
    }
    reached
}

fn assert_without(crates: &[&str], unwanted: &[&str]) {
    let Some(graph) = dependencies() else { return };
    for name in crates {
        let reached = reach(&graph, name);
        assert!(!reached.is_empty(), "there is no crate {name}");
        for unwanted in unwanted {
            assert!(!reached.contains(*unwanted), "{name} cannot be built without {unwanted}");
        }
    }
}

#[test]
fn the_daemon_and_the_command_line_link_no_inference_library() {
    assert_without(&["swictation-daemon", "swictation-cli"], &["ort", "ort-sys", "swictation-asr"]);
}

#[test]
fn the_worker_links_no_sound_desktop_or_bus_library() {
    let unwanted = ["cpal", "alsa", "pulseaudio", "zbus", "x11rb", "enigo", "tokio", "swictation-control"];
    assert_without(&["swictation-worker"], &unwanted);
}

#[test]
fn the_command_line_links_neither_rules_nor_sound() {
    assert_without(&["swictation-cli"], &["swictation-core", "cpal", "x11rb", "nvml-wrapper"]);
}

#[test]
fn daemon_and_worker_link_nothing_that_goes_to_a_network() {
    assert_without(&["swictation-daemon", "swictation-worker"], &["ureq", "rustls", "swictation-models"]);
}

#[test]
fn no_program_that_people_run_has_a_fault_in_it() {
    assert_without(&["swictation-daemon", "swictation-worker", "swictation-cli"], &["swictation-faults"]);
    // Nor by another way: it is the one that looks for a plan.
    let looks = |name: &str| {
        let (bytes, mark) = (fs::read(built(name)).unwrap(), b"SWICTATION_FAULTS");
        bytes.windows(mark.len()).any(|bytes| bytes == mark)
    };
    let found = ["faulty-worker", "swictation-worker", "swictationd", "swictation"].map(looks);
    assert_eq!(found, [true, false, false, false]);
}

#[test]
fn core_depends_on_five_crates_and_no_more() {
    let Some(graph) = dependencies() else { return };
    let allowed = ["crc32fast", "postcard", "serde", "thiserror", "toml"].map(str::to_owned);
    assert_eq!(graph["swictation-core"], BTreeSet::from(allowed));
}

#[test]
fn crates_point_one_way() {
    let Some(graph) = dependencies() else { return };
    for (name, wanted) in [
        ("swictation-core", &[][..]),
        ("swictation-control", &[]),
        ("swictation-asr", &["swictation-core", "swictation-onnx"]),
        ("swictation-worker", &["swictation-asr", "swictation-core"]),
        ("swictation-daemon", &["swictation-control", "swictation-core"]),
        ("swictation-models", &["swictation-onnx"]),
        ("swictation-onnx", &[]),
        ("swictation-cli", &["swictation-control", "swictation-models"]),
        ("swictation-tests", &[]),
        ("swictation-faults", &["swictation-asr", "swictation-core", "swictation-worker"]),
    ] {
        let own: Vec<&str> = graph[name]
            .iter()
            .map(String::as_str)
            .filter(|needed| needed.starts_with("swictation-"))
            .collect();
        assert_eq!(own, wanted, "{name}");
    }
}

#[test]
fn a_path_through_the_graph_is_found_however_long() {
    let graph = Graph::from([
        ("cli".into(), BTreeSet::from(["control".into()])),
        ("control".into(), BTreeSet::from(["bus".into(), "cli".into()])),
    ]);
    assert_eq!(reach(&graph, "cli"), BTreeSet::from(["bus".into(), "cli".into(), "control".into()]));
    assert_eq!(reach(&graph, "bus"), BTreeSet::new());
}
