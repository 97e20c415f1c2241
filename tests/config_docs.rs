//! The default configuration says what the program does, and the README too.
//!
//! `packaging/default-config.toml` has every key in a comment, so that it changes
//! nothing as it stands: `#key = value` where there is a default, which is that value,
//! and `# Example: key = value` where the model decides. Which keys there are is asked
//! of the parser, which names them to whoever mistypes one.

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

/// What a line sets when its mark is taken away: key and value.
fn setting<'l>(line: &'l str, mark: &str) -> Option<(&'l str, &'l str)> {
    let (key, value) = line.strip_prefix(mark)?.split_once(" = ")?;
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let named = !key.is_empty() && key.chars().all(letter);
    named.then_some((key, value))
}

/// All that the lines with such a mark set, as a configuration of its own.
fn settings<'t>(text: &'t str, mark: &str) -> Vec<(&'t str, &'t str)> {
    text.lines().filter_map(|line| setting(line, mark)).collect()
}

fn parsed(settings: &[(&str, &str)]) -> Config {
    let text: String = settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    Config::parse(&text).unwrap()
}

const DEFAULT: &str = "#";
const EXAMPLE: &str = "# Example: ";

#[test]
fn the_default_configuration_changes_nothing_as_it_stands() {
    let text = read("packaging/default-config.toml");
    assert_eq!(Config::parse(&text), Ok(Config::default()));
}

#[test]
fn the_default_configuration_names_every_key_once_and_no_other() {
    let text = read("packaging/default-config.toml");
    let all = [settings(&text, DEFAULT), settings(&text, EXAMPLE)].concat();
    let mut named: Vec<&str> = all.into_iter().map(|(key, _)| key).collect();
    named.sort_unstable();
    let mut wanted = keys();
    wanted.sort_unstable();
    assert_eq!(named, wanted);
}

#[test]
fn the_values_in_the_default_configuration_are_the_defaults() {
    let text = read("packaging/default-config.toml");
    assert_eq!(parsed(&settings(&text, DEFAULT)), Config::default());
    for example in settings(&text, EXAMPLE) {
        assert_ne!(parsed(&[example]), Config::default(), "{example:?} is an example of something else");
    }
}

#[test]
fn the_table_of_the_readme_has_every_key_and_its_default() {
    let (readme, text) = (read("README.md"), read("packaging/default-config.toml"));
    let has = |row: &str| readme.lines().any(|line| line.starts_with(row));
    for key in keys() {
        assert!(has(&format!("| `{key}` | ")), "README.md has no row for {key}");
    }
    for (key, value) in settings(&text, DEFAULT) {
        assert!(
            has(&format!("| `{key}` | `{value}` | ")),
            "README.md does not say that {key} is {value} by default"
        );
    }
}

#[test]
fn a_setting_is_found_behind_its_mark_and_prose_is_not() {
    assert_eq!(setting("#wait_k = 2", DEFAULT), Some(("wait_k", "2")));
    assert_eq!(setting("# Example: wait_k = 2", EXAMPLE), Some(("wait_k", "2")));
    assert_eq!(setting("# Example: wait_k = 2", DEFAULT), None);
    assert_eq!(setting("# A model's name = its folder.", DEFAULT), None);
    assert!(keys().contains(&"trailing_space".to_owned()));
}
