//! Texts that every way of typing must get into a window unchanged.

/// Everything on an American keyboard.
pub const ASCII: &str = "Sphinx of black quartz, judge my vow! 0123456789 \
                         `~!@#$%^&*()-_=+[{]}\\|;:'\",<.>/? JACKDAWS love my BIG sphinx";
/// Western Europe.
pub const ACCENTS: &str = "é ß € ñ Ünïcödé ÀÇÊ œuvre – „Straße“ l’été¿";
/// Chinese, Japanese, Korean.
pub const CJK: &str = "今日は良い天気ですね。你好世界，这是一个测试。안녕하세요";
/// Characters outside the basic plane, some of several code points.
pub const EMOJI: &str = "😀 👩\u{200d}💻 🎉 ❤\u{fe0f}";
/// All together, as nobody would dictate it.
pub const MIXED: &str = "Naïve café: 3 € für 你好 (ok?) 😀 — Москва, Ωmega & ñandú!";

/// All of them.
pub const ALL: [&str; 5] = [ASCII, ACCENTS, CJK, EMOJI, MIXED];

/// A test for each layout: calls a function with the layouts and the letters that they have as
/// their own.
#[macro_export]
macro_rules! every_layout {
    ($every_script_on:path) => {
        #[test]
        fn an_american_layout_types_every_script() {
            $every_script_on("us", "Hello, World!");
        }

        #[test]
        fn a_german_layout_types_every_script() {
            $every_script_on("de", "Zwölf Boxkämpfer jagen §5, ÄÖÜß, 20 €");
        }

        #[test]
        fn a_french_layout_types_every_script() {
            $every_script_on("fr", "à ç é è ù €, µ £ §");
        }

        #[test]
        fn dvorak_types_every_script() {
            $every_script_on("us(dvorak)", "Pack my box");
        }

        #[test]
        fn a_russian_layout_types_every_script() {
            $every_script_on("ru", "Съешь ещё этих мягких булок, №5");
        }

        #[test]
        fn greek_beside_latin_types_every_script() {
            $every_script_on("gr,us", "αβγδ ΑΒΓΔ ς 123");
        }
    };
}

/// The same with all texts of a round at once, for a way of typing that takes its time for each
/// edit.
#[track_caller]
pub fn six_rounds(own: &str, mut types: impl FnMut(&str)) {
    let mut round = Vec::new();
    six_times(own, |text| {
        round.push(text.to_owned());
        if round.len() > ALL.len() {
            types(&round.concat());
            round.clear();
        }
    });
}

/// Types a layout's own letters and all of them, three times while the machine is idle and
/// three times while it is busy.
#[track_caller]
pub fn six_times(own: &str, mut types: impl FnMut(&str)) {
    let mut thrice = || std::iter::repeat_n([own].into_iter().chain(ALL), 3).flatten().for_each(&mut types);
    thrice();
    crate::busy(thrice);
}
