//! `swictation doctor`: what is needed to dictate, each part tried as a dictation would.
//!
//! Nothing is concluded from settings: a worker loads the model, the sound server is
//! asked for the microphone, the typist is opened, the bus is called. What is changed
//! is nothing: nothing is recorded, typed or kept; only [`examine_typing`] types, into a
//! window of its own. A [`Finding`] says what one trial gave;
//! how they look, and what they mean for the exit code, is [`report`]'s.

pub mod report;
mod typing;
mod window;

pub use report::{Finding, Verdict};

use crate::audio::{self, Spec};
use crate::control::dbus::{self, BusError};
use crate::gpu::{self, Nvml};
use crate::worker::Recipe;
use crate::{settings, trial, typist};
use std::path::Path;
use swictation_control::exit;
use swictation_core::config::Config;

/// Tries everything, and hands each finding over as soon as it is there.
///
/// `recipe` makes the recipe of a configuration's worker.
pub fn examine(file: &Path, recipe: impl Fn(&Config) -> Recipe, mut tell: impl FnMut(Finding)) {
    let (config, finding) = configuration(file);
    tell(finding);
    tell(graphics());
    recognizer(&config, &recipe(&config), &mut tell);
    tell(confinement(&config, &recipe(&config)));
    tell(microphone(&config.microphone));
    tell(typing(&config.typist));
    tell(bus());
    tell(report::hotkey(&std::env::var("XDG_CURRENT_DESKTOP").unwrap_or_default()));
}

/// Tries to type, into a window of its own.
pub fn examine_typing(file: &Path, mut tell: impl FnMut(Finding)) {
    let (config, finding) = configuration(file);
    tell(finding);
    typing::examine(&config.typist, tell);
}

/// The configuration, or the defaults, so that the rest can be tried.
fn configuration(file: &Path) -> (Config, Finding) {
    match settings::read_config(file) {
        Ok(config) if file.exists() => (config, Finding::works("configuration", file.display())),
        Ok(config) => {
            let text = format!("the defaults hold; there is no {}", file.display());
            (config, Finding::works("configuration", text))
        }
        Err(why) => {
            let fails = Finding::fails("configuration", exit::CONFIGURATION, why);
            (Config::default(), fails.and("what follows was tried with the defaults"))
        }
    }
}

/// What NVML says; no card is no fault, as the processor will do.
fn graphics() -> Finding {
    let cards = Nvml::init().map_err(|e| e.to_string()).and_then(|nvml| gpu::cards(&nvml));
    match cards {
        Ok(cards) if cards.is_empty() => Finding::note("graphics card", "NVML knows of none"),
        Ok(cards) => cards.into_iter().fold(Finding::note("graphics card", "as NVML tells:"), Finding::and),
        Err(why) => Finding::note("graphics card", format!("NVML cannot be asked: {why}")),
    }
}

/// Loads the model on every device that the configuration allows, in its order, until
/// one takes it.
fn recognizer(config: &Config, recipe: &Recipe, tell: &mut impl FnMut(Finding)) {
    let devices = config.taste().devices;
    for (i, device) in devices.iter().enumerate() {
        match trial::load(recipe, vec![device.clone()]) {
            Ok(info) => return tell(report::engine(&info)),
            Err(why) => {
                let text = format!("not on {device}: {why}");
                let finding = match i + 1 < devices.len() {
                    true => Finding::note("recognizer", text),
                    false => Finding::fails("recognizer", exit::MODEL, text),
                };
                tell(match works_unconfined(recipe, device) {
                    true => finding.and(format!("with sandbox = false it works on {device}")),
                    false => finding,
                });
            }
        }
    }
}

/// Whether it is the confinement that keeps a model from a GPU: its driver is the one
/// thing in a worker that nobody can know.
fn works_unconfined(recipe: &Recipe, device: &str) -> bool {
    let free = recipe.unconfined().filter(|_| device.starts_with("cuda"));
    free.is_some_and(|free| trial::load(&free, vec![device.to_owned()]).is_ok())
}

/// Has a worker confine itself and say what this kernel gives for it.
fn confinement(config: &Config, recipe: &Recipe) -> Finding {
    if !config.sandbox {
        return Finding::note("confinement", "none: sandbox = false");
    }
    let device = config.taste().devices.first().cloned().unwrap_or_default();
    match recipe.confinement(&device) {
        Ok(told) if told.contains("not confined") => {
            Finding::note("confinement", format!("the worker is {told}"))
        }
        Ok(told) => Finding::works("confinement", format!("the worker is {told}")),
        Err(why) => Finding::note("confinement", format!("no worker tells of it: {why}")),
    }
}

/// Asks whether the microphone can be listened to: nobody is recorded to find a fault.
fn microphone(name: &str) -> Finding {
    let device = match audio::open(name) {
        Ok(Spec::Microphone(device)) => device,
        Ok(Spec::File { path, .. }) => return Finding::works("microphone", path.display()),
        Err(e) => return Finding::fails("microphone", exit::AUDIO, e),
    };
    let mut reasons = Vec::new();
    for (way, open) in audio::SOURCES {
        match open(device.as_deref()).and_then(|source| source.device()) {
            Ok(device) => return Finding::works("microphone", format!("{device}, through {way}")),
            Err(e) => reasons.push(format!("{way}: {e}")),
        }
    }
    let fails = Finding::fails("microphone", exit::AUDIO, format!("{name:?} is not there"));
    reasons.into_iter().fold(fails, Finding::and)
}

fn typing(name: &str) -> Finding {
    match typist::open(name, &[]) {
        Ok(typist) => Finding::works("typing", format!("through {}", typist.name())),
        Err(e) => Finding::fails("typing", exit::TYPING, e),
    }
}

fn bus() -> Finding {
    match dbus::serving() {
        Ok(Some(pid)) => {
            let daemon = format!("there; the daemon runs (pid {pid}), `swictation status` tells of it");
            Finding::works("session bus", daemon)
        }
        Ok(None) => Finding::works("session bus", "there; no daemon runs"),
        Err(e @ BusError::NoBus(_)) => Finding::fails("session bus", exit::NO_BUS, e),
        Err(e) => Finding::fails("session bus", exit::FAILURE, e),
    }
}
