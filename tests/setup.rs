//! `scripts/setup --only-fetch`, with a package index of its own: a folder.
//!
//! The script is run from a copy of `scripts` and a catalogue that names one small
//! wheel, so nothing here needs a network and everything can be spoiled.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use swictation_tests::need;
use swictation_tests::programs::root;
use tempfile::TempDir;

const GRAPH: &[u8] = b"the graph";
const MANIFEST: &str = "name = \"toy\"\n";

/// A checkout, a data folder and an index with one wheel.
struct Place {
    folder: TempDir,
}

impl Place {
    /// None where there is no pip.
    fn new() -> Option<Self> {
        let pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
        if !need("pip", pip.is_ok_and(|done| done.status.success())) {
            return None;
        }
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["index", "checkout/models/toy"] {
            fs::create_dir_all(place.at(folder)).unwrap();
        }
        let copied =
            Command::new("cp").arg("-r").arg(root().join("scripts")).arg(place.at("checkout")).status();
        assert!(copied.unwrap().success());
        fs::write(place.at("checkout/models/toy/model.toml"), MANIFEST).unwrap();
        place.wheel();
        let wheel = fs::read(place.at("index/toy-1.0-py3-none-any.whl")).unwrap();
        place.catalogue(&sha256(&wheel), &sha256(GRAPH));
        Some(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the script installs.
    fn installed(&self, name: &str) -> PathBuf {
        self.at("data/swictation/models/toy").join(name)
    }

    fn wheel(&self) {
        let script = "import sys, zipfile\n\
            with zipfile.ZipFile(sys.argv[1], 'w') as wheel:\n\
            \x20   wheel.writestr('toy/graph.onnx', sys.argv[2])\n\
            \x20   about = 'toy-1.0.dist-info/'\n\
            \x20   wheel.writestr(about + 'METADATA', 'Metadata-Version: 2.1\\nName: toy\\nVersion: 1.0\\n')\n\
            \x20   wheel.writestr(about + 'WHEEL', 'Wheel-Version: 1.0\\nTag: py3-none-any\\n')\n\
            \x20   wheel.writestr(about + 'RECORD', '')\n";
        let graph = std::str::from_utf8(GRAPH).unwrap();
        let made = Command::new("python3")
            .args(["-c", script])
            .arg(self.at("index/toy-1.0-py3-none-any.whl"))
            .arg(graph)
            .status();
        assert!(made.unwrap().success());
    }

    /// Says what the wheel and the file in it must hash to.
    fn catalogue(&self, wheel: &str, graph: &str) {
        let models = self.at("checkout/models");
        fs::write(models.join("wheels.txt"), format!("toy==1.0 --hash=sha256:{wheel}\n")).unwrap();
        let line = format!("toy any {graph} models/toy/graph.onnx toy/graph.onnx\n");
        fs::write(models.join("fetched.txt"), line).unwrap();
    }

    fn fetch(&self) -> Output {
        Command::new(self.at("checkout/scripts/setup"))
            .arg("--only-fetch")
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.at("data"))
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", self.at("index"))
            .env_remove("ORT_DYLIB_PATH")
            .output()
            .unwrap()
    }

    fn fetches(&self) -> String {
        let done = self.fetch();
        assert!(done.status.success(), "{}", said(&done));
        said(&done)
    }

    fn refuses(&self) -> String {
        let done = self.fetch();
        assert!(!done.status.success(), "{}", said(&done));
        said(&done)
    }

    /// Every file below the data folder but the lock, which is empty.
    fn left(&self) -> Vec<PathBuf> {
        let found = Command::new("find").arg(self.at("data")).args(["-type", "f", "-size", "+0"]).output();
        String::from_utf8(found.unwrap().stdout).unwrap().lines().map(PathBuf::from).collect()
    }
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

fn sha256(bytes: &[u8]) -> String {
    let mut program = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    program.stdin.take().unwrap().write_all(bytes).unwrap();
    let line = program.wait_with_output().unwrap().stdout;
    String::from_utf8(line).unwrap().split_whitespace().next().unwrap().to_owned()
}

fn content(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_default()
}

#[test]
fn a_model_is_fetched_whole_and_only_once() {
    let Some(place) = Place::new() else { return };
    place.fetches();
    assert_eq!(content(&place.installed("graph.onnx")), GRAPH);
    assert_eq!(content(&place.installed("model.toml")), MANIFEST.as_bytes());
    assert_eq!(place.left().len(), 2, "nothing else is left: {:?}", place.left());
    fs::remove_dir_all(place.at("index")).unwrap();
    assert_eq!(place.fetches(), "", "with everything there, nothing is fetched or said");
}

#[test]
fn a_damaged_file_is_fetched_again() {
    let Some(place) = Place::new() else { return };
    place.fetches();
    fs::write(place.installed("graph.onnx"), "the gra").unwrap();
    assert!(place.fetches().contains("graph.onnx is not the file it should be"));
    assert_eq!(content(&place.installed("graph.onnx")), GRAPH);
}

#[test]
fn a_wheel_with_another_hash_is_refused_and_nothing_is_installed() {
    let Some(place) = Place::new() else { return };
    place.catalogue(&sha256(b"another"), &sha256(GRAPH));
    assert!(place.refuses().contains("toy could not be fetched"));
    assert_eq!(place.left(), Vec::<PathBuf>::new());
}

#[test]
fn a_file_with_another_hash_is_refused_and_what_was_there_stays() {
    let Some(place) = Place::new() else { return };
    place.fetches();
    let wheel = content(&place.at("index/toy-1.0-py3-none-any.whl"));
    place.catalogue(&sha256(&wheel), &sha256(b"another"));
    assert!(place.refuses().contains("has another sha256"));
    assert_eq!(content(&place.installed("graph.onnx")), GRAPH);
    assert_eq!(place.left().len(), 2, "{:?}", place.left());
}

#[test]
fn without_a_network_a_message_says_so_and_the_next_run_goes_on() {
    let Some(place) = Place::new() else { return };
    fs::rename(place.at("index"), place.at("elsewhere")).unwrap();
    assert!(place.refuses().contains("run this again"));
    assert_eq!(place.left(), Vec::<PathBuf>::new());
    fs::rename(place.at("elsewhere"), place.at("index")).unwrap();
    place.fetches();
    assert_eq!(content(&place.installed("graph.onnx")), GRAPH);
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let Some(place) = Place::new() else { return };
    let rest = place.at("data/swictation/.fetched.killed");
    fs::create_dir_all(&rest).unwrap();
    fs::write(rest.join("half.whl"), "half").unwrap();
    place.fetches();
    assert!(!rest.exists());
}

#[test]
fn the_default_model_is_pinned_twice_to_the_same_files() {
    let fetched = fs::read_to_string(root().join("models/fetched.txt")).unwrap();
    let manifest = fs::read_to_string(root().join("models/moonshine-tiny-en/model.toml")).unwrap();
    let pinned = manifest.lines().filter_map(|line| line.split_once("path = \""));
    let mut files = 0;
    for (_, rest) in pinned {
        let [file, hash] = [rest.split('"').next(), rest.split('"').nth(2)].map(Option::unwrap);
        let line = fetched.lines().find(|line| line.contains(&format!(" models/moonshine-tiny-en/{file} ")));
        assert!(line.unwrap().contains(hash), "{file}");
        files += 1;
    }
    assert_eq!(files, 4);
}
