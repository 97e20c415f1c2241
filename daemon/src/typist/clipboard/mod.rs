//! Pasting what cannot be typed, and giving the clipboard back as it was.
//!
//! A desktop's clipboard holds nothing: whoever copied gives it to each that pastes, when
//! it pastes. That somebody wants the text is therefore the sign that the window took the
//! paste. Programs that remember what is copied want it too, but at once and unasked: before
//! a window was asked to paste it is given to nobody, as they are not to remember it.
//! What is said about a clipboard is the same on every desktop ([`selection`]), so all of
//! this is written once.

mod control;
mod selection;
mod transfer;
mod x11;

pub(super) use control::Control;
pub(super) use selection::{Selection, Sink, Told, Wish};
pub(super) use transfer::{listening, read, write};
pub(super) use x11::X11;

use super::TypistError;
use super::crowding::crowding;
use super::focus::Focused;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A thing that was copied, in each of its forms with their names (MIME types).
type Content = Vec<(String, Vec<u8>)>;

/// The forms of a text, best first.
const TEXT: [&str; 3] = ["text/plain;charset=utf-8", "text/plain", "UTF8_STRING"];

/// The forms of a picture, best first.
const PICTURE: [&str; 2] = ["image/png", "image/jpeg"];

/// By this, programs that remember what is copied are told not to.
const SECRET: (&str, &[u8]) = ("x-kde-passwordManagerHint", b"secret");

/// How long the desktop may take to make the clipboard ours.
const OWNED: Duration = Duration::from_secs(2);

/// How long whoever copied something may take to tell in which forms.
const FORMS_TOLD: Duration = Duration::from_millis(500);

/// How often the clipboard is made ours before it is left to others.
const TRIES: usize = 3;

/// How long nobody must have wanted the text before a window is asked to paste it, on an idle
/// machine: who remembers what is copied is taken for the window later.
const QUIET: Duration = Duration::from_millis(100);

/// How long a window may take to want what it is asked to paste, on an idle machine: who is
/// asked once more too early pastes twice, or takes Ctrl+V for what it is in a terminal.
const WANTED: Duration = Duration::from_millis(500);

/// How long it may take to insert it, on an idle machine: what is typed too early comes before
/// it.
const INSERTED: Duration = Duration::from_millis(150);

/// What is kept of the old content: so much in bytes, and what is given in so long.
const LARGEST: usize = 32 << 20;
const SAVING: Duration = Duration::from_secs(2);

/// What asks a window to paste, from what does no harm where it is not understood to what
/// most windows understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chord {
    /// The key that is there for it.
    Paste,
    /// Ctrl+Shift+V, as in terminals.
    ControlShiftV,
    /// Ctrl+V.
    ControlV,
}

impl Chord {
    pub(super) const ALL: [Self; 3] = [Self::Paste, Self::ControlShiftV, Self::ControlV];
}

/// The clipboard of a session.
pub(super) struct Clipboard {
    selection: Selection,
    /// The forms of what somebody else copied.
    others: Vec<String>,
    /// What is ours to give, while the clipboard is ours.
    content: Option<Content>,
    /// What there was before the text that is being pasted.
    before: Option<Content>,
    /// What made windows of a class paste, which is asked first where that does no harm.
    worked: HashMap<String, Chord>,
}

impl Clipboard {
    pub(super) fn new(selection: Selection) -> Self {
        Self { selection, others: Vec::new(), content: None, before: None, worked: HashMap::new() }
    }

    /// See [`Selection::is_frail`].
    pub(super) fn is_frail(&self) -> bool {
        self.selection.is_frail()
    }

    /// See [`Selection::composed`].
    pub(super) fn composed(&mut self, composed: bool) {
        self.selection.composed(composed);
    }

    /// The next thing that the desktop has to say; it is lost when it is not taken in.
    pub(super) async fn next(&mut self) -> Result<Told, String> {
        self.selection.next().await
    }

    /// Takes in what the desktop said; whether somebody wanted what is ours.
    pub(super) async fn take_in(&mut self, told: Told) -> Result<bool, String> {
        match told {
            Told::Owner { ours: true, .. } => Ok(false),
            Told::Owner { ours: false, forms } => {
                (self.content, self.others) = (None, forms);
                Ok(false)
            }
            Told::Wanted(wish) => self.give(wish).await,
        }
    }

    async fn give(&mut self, wish: Wish) -> Result<bool, String> {
        let form = self.content.iter().flatten().find(|(name, _)| *name == wish.form);
        let is_text = form.is_some() && TEXT.contains(&wish.form.as_str());
        self.selection.give(wish, form.map(|(_, bytes)| bytes.as_slice())).await?;
        Ok(is_text)
    }

    /// Puts a text on the clipboard and waits until nobody wants it unasked.
    ///
    /// # Errors
    /// Why the clipboard cannot be had, for a person.
    async fn hold(&mut self, text: &str) -> Result<(), String> {
        let mut content: Content = TEXT.map(|form| (form.to_owned(), text.as_bytes().to_vec())).into();
        content.push((SECRET.0.to_owned(), SECRET.1.to_vec()));
        for _ in 0..TRIES {
            self.catch_up().await?;
            // What somebody has copied since is what is kept then.
            if self.before.is_none() || self.content.is_none() {
                self.before = Some(match self.content.take() {
                    Some(content) => content,
                    None => self.save().await,
                });
            }
            self.offer(content.clone()).await?;
            if self.content.is_some() {
                return Ok(());
            }
        }
        Err("another program takes the clipboard whenever something is copied".into())
    }

    /// Takes in what the desktop has said by now.
    async fn catch_up(&mut self) -> Result<(), String> {
        let patience = Instant::now() + FORMS_TOLD;
        loop {
            let deadline = if self.selection.is_unsure() { patience } else { Instant::now() };
            match timeout_at(deadline, self.next()).await {
                Ok(told) => self.take_in(told?).await?,
                Err(_) => return Ok(()),
            };
        }
    }

    /// Has the window that has the focus paste a text without a line feed; `press` asks it to
    /// with this chord, or has no keys for that. A terminal is not asked with what is a
    /// character there.
    ///
    /// # Errors
    /// [`TypistError::Nowhere`] when the window does not paste; else as for `press`, or why
    /// nothing can be pasted any more.
    pub(super) async fn paste(
        &mut self,
        text: &str,
        focused: &Focused,
        mut press: impl AsyncFnMut(Chord) -> Result<bool, TypistError>,
    ) -> Result<(), TypistError> {
        self.hold(text).await.map_err(TypistError::lost)?;
        let known = focused.class.as_ref().and_then(|class| self.worked.get(class)).copied();
        // A program may have a terminal in it besides fields that tell that they are some.
        let known = known.filter(|chord| *chord != Chord::ControlV || focused.field.is_some());
        let others = Chord::ALL.into_iter().filter(|chord| Some(*chord) != known);
        for chord in known.into_iter().chain(others) {
            if focused.is_terminal() && chord == Chord::ControlV {
                continue;
            }
            if press(chord).await? && self.is_pasted().await.map_err(TypistError::lost)? {
                self.worked.extend(focused.class.clone().map(|class| (class, chord)));
                return Ok(());
            }
        }
        Err(TypistError::nowhere(NOT_PASTED))
    }

    /// Waits until somebody has wanted the text and had time to insert it; whether anybody
    /// did.
    ///
    /// # Errors
    /// Why nobody can want it any more.
    async fn is_pasted(&mut self) -> Result<bool, String> {
        let deadline = Instant::now() + WANTED.mul_f64(crowding());
        while let Ok(told) = timeout_at(deadline, self.next()).await {
            if self.take_in(told?).await? {
                tokio::time::sleep(INSERTED.mul_f64(crowding())).await;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts back what there was before the first text.
    pub(super) async fn put_back(&mut self) {
        // The text has arrived; what was copied before it is lost at worst.
        if let Err(why) = self.restore().await {
            tracing::warn!("the clipboard could not be put back: {why}");
        }
    }

    async fn restore(&mut self) -> Result<(), String> {
        if self.before.is_some() {
            self.catch_up().await?;
        }
        match self.before.take() {
            // Somebody has copied something in the meantime.
            Some(_) if self.content.is_none() => Ok(()),
            // An empty clipboard would be filled again by programs that remember.
            Some(content) if content.is_empty() => self.offer(vec![(TEXT[0].to_owned(), Vec::new())]).await,
            Some(content) => self.offer(content).await,
            None => Ok(()),
        }
    }

    /// Makes the clipboard ours, with this content, and waits until nobody wants it unasked.
    /// It is ours no more when somebody copies something meanwhile.
    async fn offer(&mut self, content: Content) -> Result<(), String> {
        self.selection.own(content.iter().map(|(form, _)| form.as_str()).collect()).await?;
        self.content = Some(content);
        let mut deadline = Instant::now() + OWNED;
        let mut ours = false;
        while let Ok(told) = timeout_at(deadline, self.next()).await {
            match told? {
                Told::Owner { ours: true, .. } => ours = true,
                Told::Wanted(wish) => self.selection.give(wish, None).await?,
                // Owners before us may still be told of.
                Told::Owner { ours: false, .. } if !ours => {}
                Told::Owner { ours: false, forms } => {
                    (self.content, self.others) = (None, forms);
                    return Ok(());
                }
            }
            if ours {
                deadline = Instant::now() + QUIET.mul_f64(crowding());
            }
        }
        if ours { Ok(()) } else { Err("the desktop does not lend its clipboard".into()) }
    }

    /// What somebody else copied, as far as it can be had in time.
    async fn save(&mut self) -> Content {
        let mut content = Content::new();
        let mut left = LARGEST;
        let deadline = Instant::now() + SAVING;
        for form in self.kept() {
            let asked = timeout_at(deadline, self.selection.ask(&form, left)).await;
            if let Some(bytes) = asked.ok().flatten() {
                left -= bytes.len();
                content.push((form, bytes));
            }
        }
        // A text that could be had in one form alone is that text in each.
        match content.as_slice() {
            [(form, bytes)] if TEXT.contains(&form.as_str()) => {
                TEXT.map(|form| (form.to_owned(), bytes.clone())).into()
            }
            _ => content,
        }
    }

    /// The forms that are kept of what somebody else copied.
    fn kept(&self) -> Vec<String> {
        if !self.is_frail() {
            return self.others.clone();
        }
        let has = |form: &&&str| self.others.iter().any(|other| other == **form);
        TEXT.iter().chain(&PICTURE).find(has).map(|form| (*form).to_owned()).into_iter().collect()
    }
}

const NOT_PASTED: &str = "the window does not paste, and nothing but pasting brings all of the text into it: \
                          `swictation last --copy` puts it on the clipboard";
