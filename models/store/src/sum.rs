//! What a file must hash to, and what it does.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The hash of a file, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sum {
    /// Of its bytes.
    Sha256(String),
    /// As git names a file: SHA-1 of `blob`, its length, and its bytes. A hub tells
    /// this of small files.
    GitBlob(String),
}

impl Sum {
    /// A SHA-256 as people write it; none when it is not one.
    pub fn sha256(hex: &str) -> Option<Sum> {
        is_hex(hex, 64).then(|| Sum::Sha256(hex.to_ascii_lowercase()))
    }

    /// What the ETag of a hub says, which is one hash or the other by its length;
    /// none when it is neither.
    pub fn of_etag(etag: &str) -> Option<Sum> {
        let hex = etag.trim().trim_start_matches("W/").trim_matches('"');
        Sum::sha256(hex).or_else(|| is_hex(hex, 40).then(|| Sum::GitBlob(hex.to_ascii_lowercase())))
    }

    /// The hash of the same kind that a file has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_file_like(&self, path: &Path) -> io::Result<Sum> {
        let file = File::open(path)?;
        match self {
            Sum::Sha256(_) => sha256_of(file).map(Sum::Sha256),
            Sum::GitBlob(_) => {
                let mut hash = Sha1::new();
                hash.update(format!("blob {}\0", file.metadata()?.len()));
                digest(hash, file).map(Sum::GitBlob)
            }
        }
    }

    /// Whether a file is there and has this hash.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn is_of(&self, path: &Path) -> io::Result<bool> {
        match self.of_file_like(path) {
            Ok(found) => Ok(found == *self),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sum::Sha256(hex) => write!(f, "sha256 {hex}"),
            Sum::GitBlob(hex) => write!(f, "git blob {hex}"),
        }
    }
}

/// The SHA-256 of all that can be read.
pub(crate) fn sha256_of(from: impl Read) -> io::Result<String> {
    digest(Sha256::new(), from)
}

fn digest(mut hash: impl Digest, mut from: impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_one_hash_or_the_other_by_its_length() {
        let (long, short) = ("AB".repeat(32), "cd".repeat(20));
        assert_eq!(Sum::of_etag(&format!("\"{long}\"")), Some(Sum::Sha256("ab".repeat(32))));
        assert_eq!(Sum::of_etag(&format!("W/\"{short}\"")), Some(Sum::GitBlob(short)));
        assert_eq!(Sum::of_etag("\"5e8f-60\""), None);
        assert_eq!(Sum::of_etag(&"x".repeat(64)), None);
    }

    #[test]
    fn a_file_hashes_as_git_and_sha256sum_say() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "hello\n").unwrap();
        // `git hash-object file` and `sha256sum file`.
        let git = Sum::GitBlob("ce013625030ba8dba906f756967f9e9ca394464a".into());
        let sha = Sum::Sha256("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".into());
        assert!(git.is_of(&file).unwrap() && sha.is_of(&file).unwrap());
        std::fs::write(&file, "hallo\n").unwrap();
        assert!(!git.is_of(&file).unwrap() && !sha.is_of(&file).unwrap());
        assert!(!sha.is_of(&folder.path().join("none")).unwrap());
    }
}
