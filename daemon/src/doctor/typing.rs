//! `swictation doctor typing`: types into a window of its own and reads what arrives.
//!
//! The way of typing is the one that a dictation would take. Each class of characters has
//! a sentence, because a way can have its limits with one and none with another. The
//! sentences are the same everywhere, so that what went wrong can be shown.

use super::Finding;
use super::window::{self, Window};
use crate::typist::{self, Typist, TypistError};
use std::time::{Duration, Instant};
use swictation_control::exit;
use swictation_core::Edit;

/// A name, and a sentence with the characters of that class.
const CLASSES: [(&str, &str); 10] = [
    ("ASCII", "The quick brown fox jumps over the lazy dog; 0123456789 !\"#$%&'()*+,-./:<=>?@[\\]^_`{|}~"),
    ("accents", "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich: café, señor, garçon, ß, €"),
    ("Cyrillic", "Съешь же ещё этих мягких французских булок, да выпей чаю"),
    ("Greek", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία"),
    ("Arabic", "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق"),
    ("Hebrew", "דג סקרן שט בים מאוכזב ולפתע מצא חברה"),
    ("Devanagari", "ऋषियों को सताने वाले दुष्ट राक्षसों का सर्वनाश करने वाले"),
    ("Thai", "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า"),
    ("CJK", "いろはにほへと 天地玄黃 宇宙洪荒 다람쥐 헌 쳇바퀴"),
    ("emoji", "😀 🎉 ❤\u{fe0f} 👩\u{200d}💻"),
];

/// How long a person has to give the window the focus.
const FOCUS: Duration = Duration::from_secs(20);

/// How long a person has to answer the desktop's question, and how often it is looked at.
const CONSENT: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(500);

/// How long the last characters may be on their way.
const ARRIVAL: Duration = Duration::from_secs(3);

/// Types every sentence with the typist of that name, and tells of each.
pub(super) fn examine(name: &str, mut tell: impl FnMut(Finding)) {
    let fails = |why: String| Finding::fails("typing", exit::TYPING, why);
    let mut typist = match typist::open(name, &[]) {
        Ok(typist) => typist,
        Err(e) => return tell(fails(e.to_string())),
    };
    let mut window = match window::open(typist.name()) {
        Ok(window) => window,
        Err(why) => {
            return tell(fails(format!(
                "through {}, but there is no window to type into: {why}",
                typist.name()
            )));
        }
    };
    // A keyboard that the typist brings along may be the only one, and the focus with it.
    if !window.wait_for_focus(FOCUS) {
        let why = format!(
            "the window \"{}\" has not got the focus for {} s; click into it",
            window::TITLE,
            FOCUS.as_secs()
        );
        return tell(fails(why));
    }
    typist.watch(true);
    if let Some(why) = not_allowed(typist.as_mut(), &mut tell) {
        return tell(fails(why));
    }
    tell(Finding::works("typing", format!("through {}, into a window of the doctor's own", typist.name())));
    for (class, sentence) in CLASSES {
        tell(try_out(typist.as_mut(), window.as_mut(), class, sentence));
    }
    typist.rest();
}

/// Waits until the desktop lets the typist type, which a person may be asked; why it does
/// not.
fn not_allowed(typist: &mut dyn Typist, tell: &mut impl FnMut(Finding)) -> Option<String> {
    let until = Instant::now() + CONSENT;
    let mut told = false;
    loop {
        match typist.apply(&Edit::default()) {
            Ok(()) => return None,
            Err(TypistError::Nowhere { reason, .. }) if Instant::now() < until => {
                if !std::mem::replace(&mut told, true) {
                    tell(Finding::note("typing", reason));
                }
                std::thread::sleep(AGAIN);
            }
            Err(e) => return Some(e.to_string()),
        }
    }
}

fn try_out(typist: &mut dyn Typist, window: &mut dyn Window, class: &'static str, sentence: &str) -> Finding {
    let begun = Instant::now();
    let (applied, arrived) = std::thread::scope(|scope| {
        let typing = scope.spawn(|| typist.apply(&Edit { erase: 0, insert: sentence.to_owned() }));
        let mut until = None;
        let mut arrived = String::new();
        while arrived.chars().count() < sentence.chars().count()
            && until.is_none_or(|until| Instant::now() < until)
        {
            arrived += &window.collect(Duration::from_millis(50));
            if until.is_none() && typing.is_finished() {
                until = Some(Instant::now() + ARRIVAL);
            }
        }
        (typing.join(), arrived)
    });
    let took = begun.elapsed();
    match applied {
        Ok(Ok(())) if arrived == sentence => {
            let count = sentence.chars().count();
            Finding::works(class, format!("{count} characters in {} ms", took.as_millis()))
        }
        Ok(Ok(())) => Finding::fails(class, exit::TYPING, "what arrived is not what was typed")
            .and(format!("typed:   {sentence}"))
            .and(format!("arrived: {arrived}")),
        Ok(Err(e)) => Finding::fails(class, exit::TYPING, e).and(format!("arrived: {arrived}")),
        Err(_) => Finding::fails(
            class,
            exit::TYPING,
            "the typist broke down; `RUST_BACKTRACE=1 swictation doctor typing` tells where",
        ),
    }
}
