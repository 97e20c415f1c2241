//! What a model card (`README.md` of a hub) says in its first lines.

use super::folder::Folder;
use std::fs::File;
use std::io::Read;

/// What is read of a card; the lines in question are its first.
const MAX_CARD: u64 = 64 << 10;

/// Language and licence, where a card says them.
#[derive(Default)]
pub(super) struct Card {
    pub(super) language: Option<String>,
    pub(super) licence: Option<String>,
}

/// Reads the card of a folder; what cannot be read says nothing.
pub(super) fn read(folder: &Folder) -> Card {
    let mut bytes = Vec::new();
    if folder.files.contains("README.md")
        && let Ok(file) = File::open(folder.at("README.md"))
        && file.take(MAX_CARD).read_to_end(&mut bytes).is_ok()
    {
        return parse(&String::from_utf8_lossy(&bytes));
    }
    Card::default()
}

/// The lines between two `---` at the beginning are YAML; of it are read `key: value`,
/// and for languages a list.
fn parse(text: &str) -> Card {
    let mut card = Card::default();
    let mut lines = text.lines();
    if lines.next().map(str::trim_end) != Some("---") {
        return card;
    }
    let head: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
    for (n, line) in head.iter().enumerate() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        match key {
            "license" if !value.is_empty() => card.licence = Some(licence(value)),
            "language" => {
                let items = head[n + 1..].iter().map_while(|line| line.trim_start().strip_prefix("- "));
                let inline = value.trim_matches(['[', ']']).split(',');
                let languages: Vec<&str> = if value.is_empty() { items.collect() } else { inline.collect() };
                card.language = match languages[..] {
                    [one] => Some(one.trim().to_owned()).filter(|one| is_code(one)),
                    [] => None,
                    _ => Some("mul".into()),
                };
            }
            _ => {}
        }
    }
    card
}

fn is_code(text: &str) -> bool {
    (2..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A hub's name of a licence as an SPDX expression.
fn licence(name: &str) -> String {
    match name {
        "mit" => "MIT".into(),
        "apache-2.0" => "Apache-2.0".into(),
        _ if name.starts_with("cc-") || name == "cc0-1.0" => name.to_ascii_uppercase(),
        other => {
            let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '-' };
            format!("LicenseRef-{}", other.chars().map(plain).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (Option<String>, Option<String>) {
        let card = parse(text);
        (card.language, card.licence)
    }

    #[test]
    fn a_card_says_language_and_licence_in_its_first_lines() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            of("---\nlicense: cc-by-4.0\nlanguage:\n- en\ntags: x\n---\n"),
            (some("en"), some("CC-BY-4.0"))
        );
        assert_eq!(
            of("---\nlanguage: [en, de]\nlicense: other thing\n---\n"),
            (some("mul"), some("LicenseRef-other-thing"))
        );
        assert_eq!(of("# Title\nlicense: mit\n"), (None, None));
        assert_eq!(of("---\nlanguage: $(rm)\n---\nlicense: mit\n"), (None, None));
    }
}
