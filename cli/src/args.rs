//! The command line: verbs for the daemon, one for a file, and those for models.
//!
//! Also the source of the shell completions, which a test keeps current; so
//! nothing here may depend on anything but clap and the contract.

use clap::{Args as Group, Parser, Subcommand, ValueHint};
use std::path::PathBuf;
use swictation_control::exit;

/// Dictate into the focused window.
#[derive(Debug, Parser)]
#[command(name = "swictation", version, after_help = exit::help())]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do. Start, stop, toggle, cancel and quit print the state that follows.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Begin to dictate; starts the daemon if need be
    Start,
    /// End the dictation once its last words are typed
    Stop,
    /// Start when idle, stop otherwise: one hotkey for both
    Toggle,
    /// End the dictation at once, without its untyped words
    Cancel,
    /// Show how the daemon is; exit code 7 when it does not run
    Status(Status),
    /// End the daemon
    Quit,
    /// Print the words of an audio file; needs no daemon
    Transcribe(Transcribe),
    /// Try what is needed to dictate, say what works, and what is left to do
    Doctor,
    /// List, fetch, check and remove models; needs no daemon
    Model(Model),
}

/// How to show the status.
#[derive(Debug, Group)]
pub(crate) struct Status {
    /// Print one JSON object, with the fields of a waybar custom module
    #[arg(long)]
    pub(crate) json: bool,
    /// Print such an object in a line of its own at every change, without end
    #[arg(long)]
    pub(crate) follow: bool,
}

/// What to transcribe. Read by swictationd; here it is only checked and explained.
#[derive(Debug, Group)]
pub(crate) struct Transcribe {
    /// A WAV or FLAC file, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The folder of the model, instead of the configured one
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    model: Option<PathBuf>,
    /// Print JSON: words with their times
    #[arg(long)]
    json: bool,
    /// Print every step of the recognizer
    #[arg(long)]
    steps: bool,
    /// Feed the audio as fast as it was spoken
    #[arg(long)]
    realtime: bool,
}

/// What to do with models.
#[derive(Debug, Group)]
pub(crate) struct Model {
    /// What to do
    #[command(subcommand)]
    pub(crate) verb: ModelVerb,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelVerb {
    /// List the models that are installed and those that can be had
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show all that is known of a model
    Info {
        /// The name of the model
        name: String,
    },
    /// Fetch a model and install it; goes on where it broke off the last time
    Get {
        /// The name of the model
        name: String,
        /// The hub to fetch from, instead of $HF_ENDPOINT or huggingface.co
        #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
        from: Option<String>,
    },
    /// Hold the files of a model, or of all models, against their SHA-256 sums
    Verify {
        /// The name of the model
        name: Option<String>,
    },
    /// Remove a model, and what is there of one that was not fetched to its end
    Remove {
        /// The name of the model
        name: String,
    },
}
