//! What a recognizer holds of an utterance, as bytes and back.
//!
//! Each part writes plain data, and says whether what it reads fits its model; audio
//! and tensors go as blocks ([`swictation_core::block`]). In front stands whose state it
//! is, so that one is never taken for another's. There is no version in it: only a
//! worker of the same release is given it.

use crate::AsrError;
use serde::{Serialize, de::DeserializeOwned};

/// The state that `owner` is in.
///
/// # Errors
/// `Run` when a tensor of it cannot be read.
pub(crate) fn write<T: Serialize>(owner: &str, state: &T) -> Result<Vec<u8>, AsrError> {
    let fail = |e| AsrError::Run(format!("the state of its {owner} cannot be written down: {e}"));
    postcard::to_stdvec(&(owner, state)).map_err(fail)
}

/// What [`write`] made of a state of `owner`.
///
/// # Errors
/// `Checkpoint` when it is no such state.
pub(crate) fn read<T: DeserializeOwned>(owner: &str, bytes: &[u8]) -> Result<T, AsrError> {
    let unreadable = || refuse(&format!("{} bytes are no state of its {owner}", bytes.len()));
    let (found, rest) = postcard::take_from_bytes::<&str>(bytes).map_err(|_| unreadable())?;
    if found != owner {
        let found: String = found.chars().take(40).collect();
        return Err(refuse(&format!("it is the state of {found:?} where that of its {owner} is expected")));
    }
    match postcard::take_from_bytes(rest) {
        Ok((state, [])) => Ok(state),
        _ => Err(unreadable()),
    }
}

/// Refuses a state unless it `fits`; `what` does not, otherwise.
///
/// # Errors
/// `Checkpoint` with what does not fit.
pub(crate) fn expect(fits: bool, what: &str) -> Result<(), AsrError> {
    match fits {
        true => Ok(()),
        false => Err(refuse(&format!("{what} does not fit the model"))),
    }
}

/// An error about a state that cannot be gone on from.
pub(crate) fn refuse(reason: &str) -> AsrError {
    AsrError::Checkpoint(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_whole_by_its_owner_and_by_nobody_else() {
        let written = write("ring", &(1u64, "two")).unwrap();
        assert_eq!(read::<(u64, String)>("ring", &written).unwrap(), (1, "two".to_owned()));
        let other = read::<(u64, String)>("decoder", &written).unwrap_err().to_string();
        assert!(other.contains("\"ring\"") && other.contains("decoder"), "{other}");
        for cut in 0..written.len() {
            assert!(read::<(u64, String)>("ring", &written[..cut]).is_err(), "{cut} bytes of it");
        }
        let longer = [written.as_slice(), &[0]].concat();
        assert!(read::<(u64, String)>("ring", &longer).is_err());
    }
}
