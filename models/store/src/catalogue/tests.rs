//! What a catalogue may say, and what it is told when it says something else.

use super::*;

const GOOD: &str = r#"
version = 1

[models.toy]
description = "for tests"
memory_mb = 12
files = [
    { path = "a/graph.onnx", hub = { repo = "people/toy", revision = "main", file = "graph.onnx" }, size = 3 },
    { path = "vocab.txt", url = "http://localhost/vocab.txt", size = 4, sha256 = "SUM" },
]
manifest = """
version = 1
name = "toy"
family = "cache-aware-ctc"
language = "en"
licence = "MIT"
precision = "fp32"

[files]
encoder = { path = "a/graph.onnx" }
vocabulary = { path = "vocab.txt" }
"""
"#;

fn good() -> String {
    GOOD.replace("SUM", &"0f".repeat(32))
}

/// What is said of a catalogue in which `from` is `to`.
fn said(from: &str, to: &str) -> String {
    let text = good();
    assert!(text.contains(from), "{from}");
    parse("own.toml", &text.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn an_entry_says_where_its_files_come_from_and_what_the_model_is() {
    let entries = parse("own.toml", &good()).unwrap();
    let toy = &entries["toy"];
    assert_eq!((toy.size(), toy.memory_mb), (Some(7), Some(12)));
    assert_eq!((toy.manifest.family.as_str(), toy.manifest.licence.as_str()), ("cache-aware-ctc", "MIT"));
    let Source::Hub(hub) = &toy.files[0].source else { panic!("{:?}", toy.files[0]) };
    assert_eq!(hub.url("https://hub.example/"), "https://hub.example/people/toy/resolve/main/graph.onnx");
    assert_eq!(toy.files[1].sum, Sum::sha256(&"0f".repeat(32)));
}

#[test]
fn what_is_wrong_is_said_with_file_line_and_key() {
    for (from, to, wanted) in [
        (
            "version = 1",
            "version = 2",
            "own.toml, version = 2 is not known here; this program reads version 1",
        ),
        ("memory_mb", "memory", "own.toml, line 6: unknown field `memory`"),
        ("size = 3", "size = -3", "own.toml, line 8: "),
        ("description = \"for tests\"", "", "own.toml, line 4: missing field `description`"),
        ("models.toy", "models.\"../toy\"", "own.toml, line 4: [models]: \"../toy\" is no name of a model"),
        ("path = \"a/", "path = \"../", "line 8: models.toy: files: \"../graph.onnx\" leaves the folder"),
        ("path = \"a/", "path = \"/a/", "line 8: models.toy: files: \"/a/graph.onnx\" leaves the folder"),
        (
            "path = \"vocab.txt\", url",
            "path = \"model.toml\", url",
            "line 9: models.toy: files: \"model.toml\" is written",
        ),
        ("path = \"vocab.txt\", url", "path = \"a/graph.onnx\", url", "\"a/graph.onnx\" is there twice"),
        (
            "url = \"http://localhost/vocab.txt\", ",
            "",
            "line 9: models.toy: files: \"vocab.txt\" needs exactly one of",
        ),
        ("\"0f0f", "\"xf0f", "is not 64 hex digits"),
        (", sha256", ", size2", "line 9: unknown field `size2`"),
        (
            "name = \"toy\"",
            "name = \"toys\"",
            "line 11: models.toy: manifest: name = \"toys\" is not the name",
        ),
        ("family = ", "kind = ", "line 11: models.toy: manifest: line 1: missing field `family`"),
        (
            "vocabulary = { path = \"vocab.txt\" }",
            "v = { path = \"v\" }",
            "[files] v: \"v\" is not among the files",
        ),
    ] {
        let said = said(from, to);
        assert!(said.contains(wanted), "{from} -> {to}: {said}");
    }
    let unpinned = format!(", sha256 = \"{}\"", "0f".repeat(32));
    assert!(said(&unpinned, "").contains("\"vocab.txt\" needs a `sha256`: only a hub tells it"));
}

#[test]
fn a_wheel_is_a_package_of_a_version_and_nothing_else() {
    let sum = "0f".repeat(32);
    let url = "url = \"http://localhost/vocab.txt\"";
    for (package, sum) in [("../toy", sum.as_str()), ("toy\\n--index-url", &sum), ("-r", &sum), ("toy", "0f")]
    {
        let wheel = format!(
            "wheel = {{ package = \"{package}\", version = \"1\", sha256 = \"{sum}\", member = \"a\" }}"
        );
        let said = said(url, &wheel);
        assert!(
            said.contains("line 9: models.toy: files: \"vocab.txt\" needs a wheel with a plain"),
            "{said}"
        );
    }
}

#[test]
fn the_built_in_catalogue_is_sound_and_pins_what_is_known() {
    let catalogue = Catalogue::built_in().unwrap();
    assert!(catalogue.get("moonshine-tiny-en").is_some());
    for entry in catalogue.entries() {
        assert!(!entry.description.is_empty() && !entry.files.is_empty(), "{}", entry.name);
    }
}

#[test]
fn the_default_model_is_what_scripts_setup_installs() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = |name: &str| std::fs::read_to_string(format!("{root}/models/{name}")).unwrap();
    let catalogue = Catalogue::built_in().unwrap();
    let entry = catalogue.get("moonshine-tiny-en").unwrap();
    assert_eq!(entry.text, read("moonshine-tiny-en/model.toml"));
    let (wheels, fetched) = (read("wheels.txt"), read("fetched.txt"));
    let wanted = fetched.lines().filter(|line| line.contains(" models/moonshine-tiny-en/"));
    assert_eq!(wanted.clone().count(), entry.files.len());
    for line in wanted {
        let words: Vec<_> = line.split_whitespace().collect();
        let path = words[3].trim_start_matches("models/moonshine-tiny-en/");
        let file = entry.files.iter().find(|file| file.path == path).unwrap();
        assert_eq!(file.sum, Sum::sha256(words[2]), "{path}");
        let Source::Wheel(wheel) = &file.source else { panic!("{path} comes from a wheel") };
        assert_eq!((wheel.package.as_str(), wheel.member.as_str()), (words[0], words[4]));
        assert!(wheels.lines().any(|line| line == wheel.requirement()), "{}", wheel.requirement());
    }
}

#[test]
fn a_persons_own_catalogue_replaces_entries_and_adds_some() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places::below(folder.path(), folder.path());
    let built_in = Catalogue::read(&places).unwrap().entries().count();
    std::fs::create_dir_all(places.catalogue().parent().unwrap()).unwrap();
    let own = good().replace("toy", "moonshine-tiny-en") + good().split_once("version = 1\n").unwrap().1;
    std::fs::write(places.catalogue(), own).unwrap();
    let catalogue = Catalogue::read(&places).unwrap();
    assert_eq!(catalogue.entries().count(), built_in + 1);
    assert_eq!(catalogue.get("moonshine-tiny-en").unwrap().description, "for tests");
    std::fs::write(places.catalogue(), "version = 1\nmodel = 2\n").unwrap();
    let said = Catalogue::read(&places).unwrap_err().to_string();
    assert!(said.contains("swictation/catalogue.toml, line 2: unknown field `model`"), "{said}");
}
