//! The default configuration says what the program does, and the README too.
//!
//! `packaging/default-config.toml` has every key as a comment, `#key = value`, so
//! that it changes nothing as it stands and a person only takes a `#` away. Which
//! keys there are is asked of the parser, which names them to whoever mistypes one.

use std::fs;
use swictation_core::config::Config;
use swictation_tests::programs::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every key that a configuration may have.
fn keys() -> Vec<String> {
    let refused = Config::parse("no-such-key = 1").unwrap_err().to_string();
    let (_, expected) = refused.split_once("expected").expect("the known keys are named");
    let keys: Vec<String> = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(keys.len() > 5, "{refused}");
    keys
}

/// The key of a line that assigns one, in a comment or not.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix('#').unwrap_or(line).split_once(" = ")?;
    let named = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    named.then_some(key)
}

/// The text with every key in force.
fn uncommented(text: &str) -> String {
    let bare = |line: &str| {
        if key(line).is_some() { line.trim_start_matches('#').to_owned() } else { line.to_owned() }
    };
    text.lines().map(|line| bare(line) + "\n").collect()
}

#[test]
fn the_default_configuration_changes_nothing_as_it_stands() {
    let text = read("packaging/default-config.toml");
    assert_eq!(Config::parse(&text), Ok(Config::default()));
}

#[test]
fn the_default_configuration_names_every_key_once_and_no_other() {
    let text = read("packaging/default-config.toml");
    let mut named: Vec<&str> = text.lines().filter_map(key).collect();
    named.sort_unstable();
    let mut wanted = keys();
    wanted.sort_unstable();
    assert_eq!(named, wanted);
}

#[test]
fn the_values_in_the_default_configuration_are_the_defaults() {
    let Config { context_seconds, chunk_ms, wait_k, .. } = Config::default();
    let text = uncommented(&read("packaging/default-config.toml"));
    let written = Config::parse(&text).unwrap();
    // Without these the model decides, so what the file shows is an example.
    assert!(written.context_seconds.is_some() && written.chunk_ms.is_some() && written.wait_k.is_some());
    assert_eq!(Config { context_seconds, chunk_ms, wait_k, ..written }, Config::default());
}

#[test]
fn the_table_of_the_readme_has_a_row_for_every_key() {
    let readme = read("README.md");
    for key in keys() {
        let row = format!("| `{key}` |");
        assert!(readme.lines().any(|line| line.starts_with(&row)), "README.md has no row {row}");
    }
}

#[test]
fn a_key_is_found_in_a_comment_and_prose_is_not() {
    assert_eq!(key("#wait_k = 2"), Some("wait_k"));
    assert_eq!(key("wait_k = 2"), Some("wait_k"));
    assert_eq!(key("# A model's name = its folder."), None);
    assert_eq!(uncommented("# Words.\n#wait_k = 2\n"), "# Words.\nwait_k = 2\n");
    assert!(keys().contains(&"trailing_space".to_owned()));
}
