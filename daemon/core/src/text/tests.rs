//! What people say, and what stands in the window.

use super::*;
use crate::SamplePos;
use crate::config::Config;
use proptest::prelude::*;

fn word(text: &str) -> Word {
    Word {
        text: text.trim_start_matches('+').into(),
        glued: text.starts_with('+'),
        start: SamplePos(0),
        end: SamplePos(0),
        confidence: 1.0,
        tokens: Vec::new(),
    }
}

/// What is in the window after all this was said.
#[derive(Default)]
struct Window {
    text: Text,
    said: Vec<Said>,
}

impl Window {
    /// Words; a bar ends an utterance, and what begins with + is glued to the word before.
    fn hear(&mut self, words: &str, rules: &Rules) {
        for spoken in words.split_whitespace() {
            match spoken {
                "|" => self.text.end_utterance(rules, &mut self.said),
                spoken => self.text.word(&word(spoken), rules, &mut self.said),
            }
        }
    }

    fn shown(&self) -> String {
        let mut texts: Vec<(u32, &str)> = Vec::new();
        for said in &self.said {
            match said {
                Said::Text { utterance, text } => texts.push((*utterance, text)),
                Said::Scratch(from) => {
                    texts.retain(|(utterance, _)| from.is_none_or(|from| *utterance < from))
                }
            }
        }
        texts.into_iter().map(|(_, text)| text).collect()
    }
}

fn rules(config: &str) -> std::sync::Arc<Rules> {
    Config::parse(config).unwrap().rules
}

fn typed(config: &str, words: &str) -> String {
    let (mut window, rules) = (Window::default(), rules(config));
    window.hear(words, &rules);
    window.text.end(false, &rules, &mut window.said);
    window.shown()
}

/// What is shown before the next word, or the end, decides.
fn so_far(config: &str, words: &str) -> String {
    let mut window = Window::default();
    window.hear(words, &rules(config));
    window.shown()
}

#[track_caller]
fn check(config: &str, cases: &[(&str, &str)]) {
    for (words, wanted) in cases {
        assert_eq!(typed(config, words), *wanted, "{words}");
    }
}

const PUNCTUATION: &str = "spoken_punctuation = true";

#[test]
fn words_are_separated_and_late_punctuation_is_not() {
    check("", &[("Hello +, world.", "Hello, world."), ("\u{1b}", ""), ("", ""), ("a | b | | c", "a b c")]);
}

#[test]
fn a_dictation_ends_with_a_space_when_there_is_something_to_keep_apart() {
    for (words, wanted) in [("Hello", "Hello "), ("", ""), ("Hello new line", "Hello\n"), ("new", "new ")] {
        let (mut window, rules) = (Window::default(), rules(""));
        window.hear(words, &rules);
        window.text.end(true, &rules, &mut window.said);
        assert_eq!(window.shown(), wanted, "{words}");
    }
}

#[test]
fn commands_are_understood_however_the_model_wrote_them() {
    check(
        "",
        &[
            ("one new line two", "one\ntwo"),
            ("One. New line. Two.", "One.\nTwo."),
            ("One, new line, two", "One,\ntwo"),
            ("one NEW +. +LINE two", "one NEW.LINE two"),
            ("one new line +. two", "one\ntwo"),
            ("one New Paragraph! two", "one\n\ntwo"),
            ("new line one", "\none"),
            ("a newline b", "a\nb"),
            ("he said open quote hello close quote yes", "he said “hello” yes"),
            ("quotation mark a quotation mark b", "“a” b"),
            ("all caps nato is on", "NATO is on"),
            ("all caps on a b all caps off c", "A B c"),
            ("all caps hel +lo you", "HELLO you"),
            ("capitalize next word", "Word"),
            ("black no space here bird", "blackbird"),
        ],
    );
}

#[test]
fn words_that_are_no_phrase_after_all_are_words() {
    check(
        "",
        &[
            ("a new lion", "a new lion"),
            ("new | line", "new line"),
            ("New new line", "New\n"),
            ("all new line all", "all\nall"),
            ("news +paper lines", "newspaper lines"),
            ("new +s line", "news line"),
        ],
    );
}

#[test]
fn a_word_waits_only_where_the_next_one_decides() {
    for (words, wanted) in [
        ("Hello,", "Hello,"),
        ("a new", "a"),
        ("a new lion", "a new lion"),
        ("a new line", "a\n"),
        ("all caps", ""),
        ("a all caps", "a"),
        ("a literal new", "a"),
    ] {
        assert_eq!(so_far("", words), wanted, "{words}");
    }
    assert_eq!(so_far(PUNCTUATION, "Hello, world."), "Hello, world");
    assert_eq!(so_far(PUNCTUATION, "Hello, world. |"), "Hello, world.");
}

#[test]
fn marks_are_words_unless_they_are_dictated() {
    check("", &[("a comma b period", "a comma b period")]);
    check(
        PUNCTUATION,
        &[
            ("hello comma world period", "hello, world."),
            ("Hello, comma, world. Period.", "Hello, world."),
            ("Hello +, Comma +. world", "Hello, world"),
            ("really question mark yes", "really? Yes"),
            ("so exclamation point new line then", "so!\nThen"),
            ("and open paren or close paren not", "and (or) not"),
            ("Well, open paren yes", "Well, (yes"),
            ("well hyphen known", "well-known"),
            ("one dash two", "one – two"),
            ("me at sign example period com", "me@example. Com"),
            ("dot dot dot", "…"),
            ("dot dot com", "dot dot com"),
            ("comma a", ", a"),
            ("Hello. | Comma", "Hello.,"),
        ],
    );
}

#[test]
fn literal_words_are_words() {
    check(
        PUNCTUATION,
        &[
            ("literal comma", "comma"),
            ("a Literal new line b", "a new line b"),
            ("a literal translation", "a literal translation"),
            ("literal literal comma", "literal,"),
            ("a literal", "a literal"),
            ("literal | comma", "literal,"),
        ],
    );
}

#[test]
fn each_command_can_be_switched_off() {
    check("spoken_commands = false", &[("a new line scratch that", "a new line scratch that")]);
    check(
        "ignored_commands = [\"new-line\", \"scratch-that\"]",
        &[("a new line scratch that new paragraph b", "a new line scratch that\n\nb")],
    );
}

#[test]
fn replacements_are_whole_words_and_keep_what_the_model_put_around_them() {
    let config = "[[replace]]\nfrom = \"swick tation\"\nto = \"Swictation\"\n\
                  [[replace]]\nfrom = \"swick\"\nto = \"Swick!\"\n\
                  [[replace]]\nfrom = \"um\"\nto = \"\"\n\
                  [[replace]]\nfrom = \"my address\"\nto = \"1 High Street, York\"\n\
                  [[replace]]\nfrom = \"new line\"\nto = \"C++\"";
    check(
        config,
        &[
            ("a Swick tation, b", "a Swictation, b"),
            ("(swick tation).", "(Swictation)."),
            ("swick tation +, b", "Swictation, b"),
            ("swick swick tations", "Swick! Swick! tations"),
            ("swicks tation", "swicks tation"),
            ("um Um, so um. um", "so"),
            ("at my address.", "at 1 High Street, York."),
            ("new line", "C++"),
            ("all caps swick tation is", "SWICTATION is"),
        ],
    );
    assert_eq!(so_far(config, "a swick"), "a");
}

#[test]
fn capitals_are_the_models_or_begin_sentences_by_rule() {
    check("", &[("hello. world new line so", "hello. world\nso")]);
    check(
        "capitalise = \"rule\"",
        &[
            ("hello. world new paragraph so", "Hello. World\n\nSo"),
            ("what? (yes)", "What? (Yes)"),
            ("at 3.5 percent", "At 3.5 percent"),
            ("über. | écoute +. |  ok", "Über. Écoute. Ok"),
            ("open quote hello. close quote so", "“Hello.” So"),
            ("no... maybe", "No... Maybe"),
            ("3 apples", "3 apples"),
        ],
    );
    check(&format!("{PUNCTUATION}\ncapitalise = \"rule\""), &[("so period then comma and", "So. Then, and")]);
}

#[test]
fn scratching_takes_back_this_utterance_or_the_one_before_with_all_that_it_changed() {
    check(
        PUNCTUATION,
        &[
            ("one two scratch that three", "three"),
            ("one. | two scratch that three", "one. three"),
            ("one. | two | scratch that | three", "one. three"),
            ("one | two | scratch that scratch that three", "three"),
            ("one | two | scratch that | scratch that | three", "three"),
            ("one scratch that scratch that two", "two"),
            ("one | two new line scratch that three", "one three"),
            ("one | all caps on open quote two scratch that quotation mark three", "one “three"),
            ("one | all caps on | two scratch that three", "one THREE"),
            ("one | two, scratch that", "one"),
            ("so literal scratch that", "so scratch that"),
        ],
    );
    let mut window = Window::default();
    window.hear("one scratch that scratch that", &rules(""));
    assert_eq!(window.said.last(), Some(&Said::Scratch(None)));
}

#[test]
fn what_is_said_behind_a_spoken_stop_is_not_typed() {
    let (mut window, rules) = (Window::default(), rules(""));
    window.hear("one, stop dictation. | and more new", &rules);
    window.text.insert("[...]", &rules, &mut window.said);
    window.text.end(true, &rules, &mut window.said);
    assert_eq!((window.shown().as_str(), window.text.is_over()), ("one, ", true));
}

#[test]
fn nothing_that_a_model_or_a_replacement_says_is_a_control_character() {
    check("[[replace]]\nfrom = \"a\"\nto = \"b c\"", &[("x\u{7}y a", "xy b c"), ("a\u{1b}", "b c")]);
}

#[test]
fn german_spanish_and_french_have_their_own_words_and_marks() {
    let config = |language: &str| format!("language = {language:?}\n{PUNCTUATION}\ncapitalise = \"rule\"");
    check(
        &config("de"),
        &[
            ("hallo Komma welt Ausrufezeichen neuer Absatz so", "Hallo, welt!\n\nSo"),
            ("er sagte Doppelpunkt Anführungszeichen auf ja Punkt Anführungszeichen zu", "Er sagte: „ja.“"),
            ("das löschen", "Das löschen"),
            ("eins | zwei | streich das | drei", "Eins drei"),
            ("das Wort Gänsefüßchen ja Gänsefüßchen", "Das Wort „ja“"),
        ],
    );
    check(
        &config("es"),
        &[
            ("hola coma abrir interrogación cómo estás cerrar interrogación", "Hola, ¿cómo estás?"),
            ("punto y aparte sí punto y coma no punto fin", "\n\nSí; no. Fin"),
            ("abrir comillas sí cerrar comillas", "«Sí»"),
        ],
    );
    check(
        &config("fr"),
        &[
            ("ça va point d’interrogation oui point", "Ça va\u{202f}? Oui."),
            ("ouvrez les guillemets oui fermez les guillemets à la ligne non", "«\u{a0}Oui\u{a0}»\nNon"),
            ("il va à Paris", "Il va à Paris"),
        ],
    );
}

fn any_words() -> impl Strategy<Value = Vec<&'static str>> {
    let words = [
        "Hello,",
        "world.",
        "+,",
        "+s",
        "new",
        "line",
        "Line.",
        "paragraph",
        "comma",
        "period",
        "open",
        "close",
        "quote",
        "all",
        "caps",
        "on",
        "off",
        "literal",
        "scratch",
        "that.",
        "|",
        "|",
        "x\n",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..30)
}

proptest! {
    #[test]
    fn a_text_that_is_written_down_and_read_back_anywhere_goes_on_as_if_nothing_had_happened(
        words in any_words(), cut in 0_usize..30,
    ) {
        let config = format!("{PUNCTUATION}\ncapitalise = \"rule\"");
        let (before, behind) = words.split_at(cut.min(words.len()));
        let (mut window, rules) = (Window::default(), rules(&config));
        window.hear(&before.join(" "), &rules);
        let bytes = postcard::to_stdvec(&window.text).unwrap();
        window.text = postcard::from_bytes(&bytes).unwrap();
        window.hear(&behind.join(" "), &rules);
        window.text.end(false, &rules, &mut window.said);
        prop_assert_eq!(window.shown(), typed(&config, &words.join(" ")));
    }

    #[test]
    fn without_phrases_words_are_typed_as_they_are(words in prop::collection::vec("[a-zA-Z.,]{1,6}", 0..12)) {
        let rules = Rules::default();
        let mut window = Window::default();
        window.hear(&words.join(" "), &rules);
        prop_assert_eq!(window.shown(), words.join(" "));
    }

    #[test]
    fn only_commands_make_line_breaks(words in any_words()) {
        let shown = typed(&format!("{PUNCTUATION}\nignored_commands = [\"new-line\", \"new-paragraph\"]"), &words.join(" "));
        prop_assert!(!shown.contains(char::is_control), "{:?}", shown);
    }
}
