//! What the loop is made of.

use crate::control::dbus::Bus;
use crate::control::logind::Logind;
use crate::journal::Journal;
use crate::transcript::Transcript;
use crate::typist::thread::TypistThread;
use crate::worker::Recipe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use swictation_core::config::Config;
use swictation_core::journal::Stretch;

/// What the loop is made of; what is `None` is not wanted in this run.
pub struct Parts {
    /// The configuration in force, and where changes of it are read.
    pub config: Config,
    /// The file that [`super::Wake::Configured`] reads again.
    pub config_file: Option<PathBuf>,
    /// What to type with, when the command line says so.
    pub typist_name: Option<String>,
    /// What to listen to, when the command line says so.
    pub source: Option<String>,
    /// How workers are started.
    pub recipe: Recipe,
    /// Types what is committed.
    pub typist: Option<TypistThread>,
    /// Writes what is committed.
    pub transcript: Option<Transcript<std::io::Stdout>>,
    /// Writes down what is not typed yet.
    pub journal: Option<Journal>,
    /// A dictation that an earlier daemon began, in the place of a source.
    pub past: Option<Stretch>,
    /// Takes commands and shows the state.
    pub bus: Option<Bus>,
    /// Waits with sleep for the last words.
    pub logind: Option<Logind>,
    /// What `status --json` shows as metrics; kept current by the loop.
    pub metrics: Arc<Mutex<String>>,
    /// Dictate once, at once, and end.
    pub once: bool,
}

impl Parts {
    /// What every loop is made of, and nothing of what is not wanted in every run.
    pub fn of(recipe: Recipe, config: Config) -> Self {
        Self {
            config,
            config_file: None,
            typist_name: None,
            source: None,
            recipe,
            typist: None,
            transcript: None,
            journal: None,
            past: None,
            bus: None,
            logind: None,
            metrics: Arc::default(),
            once: false,
        }
    }
}
