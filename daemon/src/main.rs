//! `swictationd`: arguments, log, configuration, parts, loop, exit code.

use clap::{Args as ClapArgs, Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use swictation_control::exit;
use swictation_core::config::Config;
use swictation_daemon::control::{dbus, logind, notify};
use swictation_daemon::main_loop::{MainLoop, Parts, Wake, channel};
use swictation_daemon::transcript::{self, Transcript};
use swictation_daemon::worker::Recipe;
use swictation_daemon::{doctor, journal, private, settings, trial, typist};

/// Listens, has the speech recognised, and types it into the focused window.
#[derive(Parser)]
#[command(name = "swictationd", version, after_help = exit::help(), args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    job: Option<Job>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(ClapArgs)]
struct Serve {
    /// Read this configuration instead of ~/.config/swictation/config.toml.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Listen to this: default, a part of a microphone's name, wav:FILE, wav:FILE?realtime.
    #[arg(long)]
    source: Option<String>,
    /// Type with this: auto, wayland, x11, portal, paste, uinput, stdout, enigo.
    #[arg(long)]
    typist: Option<String>,
    /// Dictate once, at once, without a bus, and end.
    #[arg(long)]
    no_bus: bool,
}

#[derive(Subcommand)]
enum Job {
    /// Write down a recording; needs no running daemon. Replacements and spoken commands
    /// hold as in a dictation, but for "scratch that" and "stop dictation", which are words.
    Transcribe(Transcribe),
    /// Print what a daemon that was killed had not typed, and recognise what it had not.
    Recover(Recover),
    /// Load a model, and when that goes well choose it in config.toml; `swictation
    /// model use` does this where no daemon runs.
    UseModel(UseModel),
    /// Try what is needed to dictate and say what works.
    Doctor(Doctor),
}

#[derive(ClapArgs)]
struct Recover {
    /// Keep the files, so that it can be done again.
    #[arg(long)]
    keep: bool,
    /// Read this configuration instead of ~/.config/swictation/config.toml.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(ClapArgs)]
struct UseModel {
    /// The name of a model, or the absolute path of a folder.
    model: String,
    /// Choose it in this configuration instead of ~/.config/swictation/config.toml.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(ClapArgs)]
struct Doctor {
    /// Try this part for real: "typing" types into a window of its own.
    part: Option<Part>,
    /// Read this configuration instead of ~/.config/swictation/config.toml.
    #[arg(long)]
    config: Option<PathBuf>,
}

/// What the doctor can try for real.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Part {
    Typing,
}

#[derive(ClapArgs)]
struct Transcribe {
    /// A WAV or FLAC file, or - for a WAV on standard input.
    file: String,
    /// The folder or the name of a model.
    #[arg(long)]
    model: Option<String>,
    /// JSON Lines instead of text.
    #[arg(long)]
    json: bool,
    /// Also a line for every model step (with --json).
    #[arg(long)]
    steps: bool,
    /// As fast as it was spoken, instead of as fast as possible.
    #[arg(long)]
    realtime: bool,
    /// Read this configuration instead of ~/.config/swictation/config.toml.
    #[arg(long)]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let quiet = args.job.is_some();
    let log = std::env::var("SWICTATION_LOG")
        .unwrap_or_else(|_| if quiet { "error" } else { "warn,swictation=info" }.to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(&log))
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .init();
    private::keep();
    let code = match args.job {
        Some(Job::Transcribe(job)) => transcribe(job, &log),
        Some(Job::Recover(job)) => recover(job, &log),
        Some(Job::UseModel(job)) => use_model(job, &log),
        Some(Job::Doctor(job)) => examine(job, &log),
        None => serve(args.serve, &log),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err((code, why)) => {
            tracing::error!("{why}");
            ExitCode::from(code)
        }
    }
}

type Outcome = Result<u8, (u8, String)>;

fn serve(args: Serve, log: &str) -> Outcome {
    let file = args.config.unwrap_or_else(settings::config_file);
    let mut config = read(&file)?;
    if let Some(name) = &args.typist {
        config.typist.clone_from(name);
    }
    let wakes = channel();
    let metrics = Arc::new(Mutex::new("{}".to_owned()));
    let bus = match args.no_bus {
        true => None,
        false => {
            let (told, read) = (wakes.0.clone(), Arc::clone(&metrics));
            let tell = move |news| {
                drop(told.send(match news {
                    dbus::News::Asked(request) => Wake::Asked(request),
                    dbus::News::Away(away) => Wake::Away(away),
                    dbus::News::Lost(why) => Wake::BusLost(why),
                }));
            };
            let metrics = move || read.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let bus = dbus::serve(dbus::PATIENCE, tell, metrics);
            Some(bus.map_err(|e| (e.exit_code(), e.to_string()))?)
        }
    };
    let away = wakes.0.clone();
    let logind = bus.is_some().then(|| logind::watch(move |news| drop(away.send(Wake::Away(news)))));
    let no_thread = |e: std::io::Error| (exit::FAILURE, format!("the system gives no thread: {e}"));
    let logind = logind.transpose().map_err(no_thread)?;
    let typed = wakes.0.clone();
    let typist = typist::thread::spawn(&config, move |report| drop(typed.send(Wake::Typed(report))))
        .map_err(no_thread)?;
    let kept = wakes.0.clone();
    let journal = journal::Journal::start(journal::place(config.recovery), move |news| {
        drop(kept.send(Wake::Journal(news)));
    })
    .map_err(no_thread)?;
    let changed = wakes.0.clone();
    if let Err(error) = settings::watch(&file, move || drop(changed.send(Wake::Configured))) {
        tracing::warn!("{} is not watched, changes count from the next start: {error}", file.display());
    }
    terminate_on_signals(&wakes.0)?;
    notify::ready("idle");
    let parts = Parts {
        config_file: Some(file),
        typist_name: args.typist,
        source: args.source,
        typist: Some(typist),
        journal: Some(journal),
        bus,
        logind,
        metrics,
        once: args.no_bus,
        ..Parts::of(recipe(&config, false, log), config)
    };
    Ok(MainLoop::new(parts, wakes).run())
}

fn transcribe(job: Transcribe, log: &str) -> Outcome {
    let mut config = transcript::configured(read(&job.config.unwrap_or_else(settings::config_file))?);
    if let Some(model) = job.model {
        // On a command line a folder is meant, unless only a name would do.
        config.model =
            if PathBuf::from(&model).is_dir() { format!("./{model}").replace(".//", "/") } else { model };
    }
    let wakes = channel();
    terminate_on_signals(&wakes.0)?;
    let pace = if job.realtime { "?realtime" } else { "" };
    let parts = Parts {
        source: Some(format!("wav:{}{pace}", job.file)),
        transcript: Some(Transcript::new(std::io::stdout(), job.json)),
        once: true,
        ..Parts::of(recipe(&config, job.steps, log), config)
    };
    Ok(MainLoop::new(parts, wakes).run())
}

fn recover(job: Recover, log: &str) -> Outcome {
    let config = transcript::configured(read(&job.config.unwrap_or_else(settings::config_file))?);
    journal::recover::run(&journal::places(), job.keep, &mut |stretch| {
        let parts = Parts {
            transcript: Some(Transcript::new(std::io::stdout(), false)),
            past: Some(stretch),
            once: true,
            ..Parts::of(recipe(&config, false, log), config.clone())
        };
        MainLoop::new(parts, channel()).run()
    })
}

fn use_model(job: UseModel, log: &str) -> Outcome {
    let file = job.config.unwrap_or_else(settings::config_file);
    settings::check_model(&job.model).map_err(|e| (exit::USAGE, e))?;
    let config = Config { model: job.model, ..read(&file)? };
    trial::load(&recipe(&config, false, log), config.taste().devices)
        .map_err(|why| (exit::MODEL, format!("{} is not chosen: {why}", config.model)))?;
    settings::choose_model(&file, &config.model).map_err(|e| (exit::CONFIGURATION, e))?;
    Ok(exit::OK)
}

/// Prints what was found, each when it is; the exit code says whether one can dictate.
fn examine(job: Doctor, log: &str) -> Outcome {
    let file = job.config.unwrap_or_else(settings::config_file);
    let (mut findings, mut lost) = (Vec::new(), None);
    let tell = |finding| {
        let mut out = std::io::stdout().lock();
        lost = writeln!(out, "{finding}").and_then(|()| out.flush()).err().or(lost.take());
        findings.push(finding);
    };
    match job.part {
        None => doctor::examine(&file, |config| recipe(config, false, log), tell),
        Some(Part::Typing) => doctor::examine_typing(&file, tell),
    }
    match lost {
        Some(e) => Err((exit::FAILURE, format!("standard output: {e}"))),
        None => Ok(doctor::report::exit_code(&findings)),
    }
}

fn read(file: &std::path::Path) -> Result<Config, (u8, String)> {
    settings::read_config(file).map_err(|e| (exit::CONFIGURATION, e))
}

fn recipe(config: &Config, steps: bool, log: &str) -> Recipe {
    Recipe::new(settings::worker_program(), settings::model_dir(&config.model), config, steps, log)
}

fn terminate_on_signals(wakes: &std::sync::mpsc::Sender<Wake>) -> Result<(), (u8, String)> {
    let wakes = wakes.clone();
    let fail = |e: std::io::Error| (exit::FAILURE, format!("signals cannot be caught: {e}"));
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).map_err(fail)?;
    let wait = move || {
        for _ in signals.forever() {
            drop(wakes.send(Wake::Terminate));
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map_err(fail)?;
    Ok(())
}
