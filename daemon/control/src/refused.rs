//! Why the daemon did not do what it was asked to, by the names on the bus.

use crate::exit;
use zbus::DBusError;

/// A refusal, with a text for a person.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.swictation.Dictation1.Error")]
pub enum Refused {
    /// The bus itself failed; never sent.
    #[zbus(error)]
    Bus(zbus::Error),
    /// For a reason without a name of its own.
    Failed(String),
    /// There is no verb of that name.
    Verb(String),
    /// No model can have that name.
    Name(String),
    /// The model cannot be used; the one before it still is.
    Model(String),
    /// The configuration file cannot be read or written.
    Configuration(String),
    /// The text can be put nowhere in this session.
    Typing(String),
    /// Another model was asked for before this one was in use.
    Replaced(String),
}

impl Refused {
    /// The exit code for an error of that name on the bus, if it is one of these.
    pub fn exit_code(name: &str) -> Option<u8> {
        match name.strip_prefix("org.swictation.Dictation1.Error.")? {
            "Name" | "Verb" => Some(exit::USAGE),
            "Model" => Some(exit::MODEL),
            "Configuration" => Some(exit::CONFIGURATION),
            "Typing" => Some(exit::TYPING),
            _ => Some(exit::FAILURE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_an_exit_code() {
        let why = || "why".to_owned();
        for (refused, code) in [
            (Refused::Failed(why()), exit::FAILURE),
            (Refused::Verb(why()), exit::USAGE),
            (Refused::Name(why()), exit::USAGE),
            (Refused::Model(why()), exit::MODEL),
            (Refused::Configuration(why()), exit::CONFIGURATION),
            (Refused::Typing(why()), exit::TYPING),
            (Refused::Replaced(why()), exit::FAILURE),
        ] {
            assert_eq!(Refused::exit_code(&refused.name()), Some(code), "{refused}");
            assert_eq!(refused.description(), Some("why"));
        }
        assert_eq!(Refused::exit_code("org.freedesktop.DBus.Error.Failed"), None);
    }
}
