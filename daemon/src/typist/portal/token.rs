//! The token with which the desktop gives the leave to type again without asking.
//!
//! It is a secret of this person: whoever has it and is the same program may type. The
//! portal gives another one each time, so that a copy is of no use for long.

use crate::private;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where the token is kept.
pub(super) struct Token(PathBuf);

/// The most that is read; tokens are some dozens of bytes.
const LONGEST: u64 = 4096;

impl Token {
    /// The token in the folder `state`, which need not be there.
    pub(super) fn in_folder(state: &Path) -> Self {
        Self(state.join("portal-token"))
    }

    /// The token, if there is a usable one.
    pub(super) fn read(&self) -> Option<String> {
        use std::io::Read;
        let mut text = String::new();
        File::open(&self.0).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
        let token = text.trim();
        let usable = !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
        usable.then(|| token.to_owned())
    }

    /// Keeps the token instead of the one before; none forgets it. A token that cannot be
    /// kept costs a question with the next start, and is no reason not to type.
    pub(super) fn replace(&self, token: Option<&str>) {
        let replaced = match token {
            Some(token) => private::replace(&self.0, token, 0o600),
            None => match fs::remove_file(&self.0) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            },
        };
        if let Err(e) = replaced {
            let path = self.0.display();
            tracing::warn!("the desktop will ask again whether Swictation may type: {path}: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_kept_for_its_person_alone_and_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::in_folder(&folder.path().join("state"));
        assert_eq!(token.read(), None);
        token.replace(Some("first"));
        token.replace(Some("second"));
        assert_eq!(token.read().as_deref(), Some("second"));
        let mode = fs::metadata(&token.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1);
        token.replace(None);
        token.replace(None);
        assert_eq!(token.read(), None);
    }

    #[test]
    fn what_is_no_token_is_not_sent_to_the_portal() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::in_folder(folder.path());
        for text in [&b""[..], b" \n", b"two words", b"\xff\xfe", b"a\0b"] {
            fs::write(&token.0, text).unwrap();
            assert_eq!(token.read(), None, "{text:?}");
        }
        fs::write(&token.0, "by-hand\n").unwrap();
        assert_eq!(token.read().as_deref(), Some("by-hand"));
    }
}
