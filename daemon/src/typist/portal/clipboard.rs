//! Pasting what the layouts lack, and giving the clipboard back as it was.
//!
//! A desktop's clipboard holds nothing: whoever copied gives it to each that pastes, when
//! it pastes. That somebody wants the text is therefore the sign that the window took the
//! paste. Programs that remember what is copied want it too, but at once and unasked: before
//! a window was asked to paste it is given to nobody, as they are not to remember it.
//!
//! GNOME's portal 48.0 confuses its files and may end, and the session with it, when it
//! passes contents on: it is asked for that as seldom as can be.

use super::selection::{Selection, Told, Wish};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use zbus::Message;

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

/// How long nobody must have wanted the text before a window is asked to paste it.
const QUIET: Duration = Duration::from_millis(100);

/// How long a window may take to want what it is asked to paste.
const WANTED: Duration = Duration::from_millis(500);

/// How long it may take to insert it: what is typed too early comes before it.
const INSERTED: Duration = Duration::from_millis(150);

/// What is kept of the old content: the best form of it, so much in bytes, and so long.
const LARGEST: usize = 32 << 20;
const SAVING: Duration = Duration::from_secs(2);

/// The clipboard of a session.
pub(super) struct Clipboard {
    selection: Selection,
    /// The forms of what somebody else copied.
    others: Vec<String>,
    /// What is ours to give, while the clipboard is ours.
    content: Option<Content>,
    /// What there was before the text that is being pasted.
    before: Option<Content>,
}

impl Clipboard {
    pub(super) fn new(selection: Selection) -> Self {
        Self { selection, others: Vec::new(), content: None, before: None }
    }

    /// The next thing that the desktop has to say; it is lost when it is not taken in.
    pub(super) async fn next(&mut self) -> Result<Message, String> {
        self.selection.next().await
    }

    /// Takes in what the desktop said; whether somebody wanted what is ours.
    pub(super) async fn take_in(&mut self, message: &Message) -> Result<bool, String> {
        match self.selection.read(message) {
            Some(Told::Owner { ours: true, .. }) | None => Ok(false),
            Some(Told::Owner { ours: false, forms }) => {
                (self.content, self.others) = (None, forms);
                Ok(false)
            }
            Some(Told::Wanted(wish)) => self.give(wish).await,
        }
    }

    async fn give(&mut self, wish: Wish) -> Result<bool, String> {
        let form = self.content.iter().flatten().find(|(name, _)| *name == wish.form);
        self.selection.give(&wish, form.map(|(_, bytes)| bytes.as_slice())).await?;
        Ok(form.is_some() && TEXT.contains(&wish.form.as_str()))
    }

    /// Puts a text on the clipboard and waits until nobody wants it unasked.
    ///
    /// # Errors
    /// Why the clipboard cannot be had, for a person.
    pub(super) async fn hold(&mut self, text: &str) -> Result<(), String> {
        if self.before.is_none() {
            self.before = Some(match self.content.take() {
                Some(content) => content,
                None => self.save().await,
            });
        }
        let mut content: Content = TEXT.map(|form| (form.to_owned(), text.as_bytes().to_vec())).into();
        content.push((SECRET.0.to_owned(), SECRET.1.to_vec()));
        self.offer(content).await
    }

    /// Waits until somebody has wanted the text and had time to insert it; whether anybody
    /// did.
    ///
    /// # Errors
    /// Why nobody can want it any more.
    pub(super) async fn is_pasted(&mut self) -> Result<bool, String> {
        let deadline = Instant::now() + WANTED;
        while let Ok(message) = timeout_at(deadline, self.next()).await {
            if self.take_in(&message?).await? {
                tokio::time::sleep(INSERTED).await;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts back what there was before the first text.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub(super) async fn restore(&mut self) -> Result<(), String> {
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
    async fn offer(&mut self, content: Content) -> Result<(), String> {
        self.selection.own(content.iter().map(|(form, _)| form.as_str()).collect()).await?;
        self.content = Some(content);
        let mut deadline = Instant::now() + OWNED;
        let mut ours = false;
        while let Ok(message) = timeout_at(deadline, self.next()).await {
            let message = message?;
            match self.selection.read(&message) {
                // Owners before us may still be told of.
                Some(Told::Owner { ours: true, .. }) => ours = true,
                Some(Told::Wanted(wish)) => self.selection.give(&wish, None).await?,
                _ => {}
            }
            if ours {
                deadline = Instant::now() + QUIET;
            }
        }
        if ours { Ok(()) } else { Err("the desktop does not lend its clipboard".into()) }
    }

    /// What somebody else copied, if it can be had in time.
    async fn save(&mut self) -> Content {
        let has = |form: &&str| self.others.iter().any(|other| other == form);
        let Some(form) = TEXT.iter().chain(&PICTURE).find(|form| has(form)) else { return Content::new() };
        let asked = timeout(SAVING, self.selection.ask(form, LARGEST)).await;
        match asked.ok().flatten() {
            Some(bytes) if TEXT.contains(form) => TEXT.map(|form| (form.to_owned(), bytes.clone())).into(),
            Some(bytes) => vec![((*form).to_owned(), bytes)],
            None => Content::new(),
        }
    }
}
