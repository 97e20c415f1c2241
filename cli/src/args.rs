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
    /// End the dictation at once and take back what it typed, if nobody has typed, clicked
    /// or moved the focus since
    Cancel,
    /// Print the text of the newest dictation, typed or not
    Last(Last),
    /// Show how the daemon is; exit code 7 when it does not run
    Status(Status),
    /// End the daemon
    Quit,
    /// Print the words of an audio file; needs no daemon
    Transcribe(Transcribe),
    /// Print what a daemon that was killed had not typed; needs no daemon
    Recover(Recover),
    /// Try what is needed to dictate, say what works, and what is left to do
    Doctor(Doctor),
    /// List, fetch, import, check, choose and remove models; needs no daemon
    Model(Model),
}

/// Which part of the last text, and where to.
#[derive(Debug, Group)]
pub(crate) struct Last {
    /// Print only what could not be typed, of earlier dictations too
    #[arg(long)]
    pub(crate) untyped: bool,
    /// Put it on the clipboard: what could not be typed, if there is any, else all
    #[arg(long, conflicts_with = "untyped")]
    pub(crate) copy: bool,
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

/// How to recover. Read by swictationd; here it is only checked and explained.
#[derive(Debug, Group)]
pub(crate) struct Recover {
    /// Keep the files, so that it can be done again
    #[arg(long)]
    keep: bool,
}

/// What to try. Read by swictationd; here it is only checked and explained.
#[derive(Debug, Group)]
pub(crate) struct Doctor {
    /// Try this part for real: "typing" types into a window of its own
    #[arg(value_parser = ["typing"])]
    part: Option<String>,
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
    /// Find out what the model in a folder is, and write a model.toml for it
    Import(Import),
    /// Hold the files of a model, or of all models, against their SHA-256 sums
    Verify {
        /// The name of the model
        name: Option<String>,
    },
    /// Have the daemon use a model; when it fails, the one in use stays
    Use {
        /// The name of the model, or its folder
        #[arg(value_hint = ValueHint::DirPath)]
        model: String,
    },
    /// Remove a model, and what is there of one that was not fetched to its end
    Remove {
        /// The name of the model
        name: String,
        /// Also when the daemon uses it or config.toml chooses it
        #[arg(long)]
        force: bool,
    },
}

/// A model that is there already, and what its files do not say of it.
#[derive(Debug, Group)]
pub(crate) struct Import {
    /// The folder with the ONNX files
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,
    /// What to call it, instead of as its folder
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Show what it is, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write anew what an earlier import wrote
    #[arg(long)]
    pub(crate) force: bool,
    /// Write nothing into the folder; the model is entered with a link to it
    #[arg(long)]
    pub(crate) link: bool,
    /// Which copy of the graphs, instead of the most exact
    #[arg(long, value_parser = ["fp32", "fp16", "int8"])]
    pub(crate) precision: Option<String>,
    /// Which of several decoders
    #[arg(long, value_parser = ["ctc", "rnnt", "tdt", "aed"])]
    pub(crate) head: Option<String>,
    /// The vocabulary or tokenizer: vocab.txt, tokens.txt, tokenizer.model, tokenizer.json
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) vocabulary: Option<PathBuf>,
    /// The code of its language, such as en; an attention decoder writes in it
    #[arg(long, value_name = "CODE")]
    pub(crate) language: Option<String>,
    /// The licence of the weights, as an SPDX expression
    #[arg(long, value_name = "SPDX")]
    pub(crate) licence: Option<String>,
    /// Left context in encoder frames, where the graph does not tell
    #[arg(long, value_name = "N")]
    pub(crate) left_frames: Option<u64>,
    /// Look-ahead in encoder frames, where the graph does not tell
    #[arg(long, value_name = "N")]
    pub(crate) right_frames: Option<u64>,
    /// Mel frames per encoder frame, where the graph does not tell
    #[arg(long, value_name = "N")]
    pub(crate) subsampling: Option<u64>,
    /// Encoder frames by which each duration of a TDT model goes on, such as 0,1,2,3,4
    #[arg(long, value_name = "N,N...", value_delimiter = ',')]
    pub(crate) durations: Option<Vec<u32>>,
}
