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
