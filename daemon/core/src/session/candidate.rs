//! The worker of another recognizer, tried beside the current one.
//!
//! The current worker dictates until the candidate has loaded its model and passed
//! its self-test; only then, and only where no dictation is cut in two, does the
//! candidate take its place. A candidate that fails changes nothing. It gets less
//! patience than the current worker: whoever asked for it waits for an answer, so
//! one death is enough.
//!
//! A graphics card may have no room for two models. Then the current worker ends
//! first, while nobody dictates, and comes back when the candidate fails.

use super::{Effect, Engine, Session};
use crate::Now;
use crate::supervise::{Doing, Ending, Ladder, Next};
use crate::wire::{self, EngineInfo, FaultKind, FromWorker, VERSION};
use std::time::Duration;

/// How long a candidate may load: gigabytes from a slow disk with their sums take
/// a minute or two, a graph that never ends takes longer than anybody waits.
pub const LOADING: Duration = Duration::from_secs(300);

/// A worker that is not the current one yet.
#[derive(Debug)]
pub(super) struct Candidate {
    devices: Vec<String>,
    ladder: Ladder,
    stage: Stage,
    /// When it has loaded for too long.
    until: Now,
    /// It is the current recognizer on a better device, which nobody asked for.
    own: bool,
}

#[derive(Debug)]
enum Stage {
    /// It loads beside the current worker.
    Loading,
    /// The device has no room for it beside the current worker.
    Crowded,
    /// It loads in the place of the current worker, which has ended for it.
    Alone,
    /// It takes over as soon as no dictation is cut in two; the time of one step.
    Ready(EngineInfo, u32),
}

impl Session {
    /// Tries another recognizer on these devices. The last wish counts: a candidate
    /// that is there already goes.
    pub(super) fn consider(&mut self, devices: Vec<String>, now: Now, out: &mut Vec<Effect>) {
        self.dismiss(out);
        let ladder = Ladder::new(devices.clone());
        out.push(Effect::SpawnCandidate(ladder.device().to_owned()));
        self.candidate =
            Some(Candidate { devices, ladder, stage: Stage::Loading, until: now + LOADING, own: false });
    }

    /// Tries the current recognizer on better devices that had failed, while nobody
    /// dictates.
    pub(super) fn try_to_return(&mut self, devices: Vec<String>, now: Now, out: &mut Vec<Effect>) {
        self.consider(devices, now, out);
        if let Some(candidate) = &mut self.candidate {
            candidate.own = true;
        }
    }

    /// The candidate is not wanted any more.
    pub(super) fn dismiss(&mut self, out: &mut Vec<Effect>) {
        let Some(candidate) = self.candidate.take() else { return };
        out.push(Effect::KillCandidate);
        if matches!(candidate.stage, Stage::Alone) {
            self.trouble.engine.clear();
            self.spawn(out);
        }
    }

    /// The candidate spoke.
    pub(super) fn candidate(&mut self, message: FromWorker, out: &mut Vec<Effect>) {
        let Some(candidate) = &mut self.candidate else { return };
        match message {
            FromWorker::Hello { version } if version != VERSION => {
                self.reject(wire::other_version(version), out);
            }
            FromWorker::Ready(info, step) => candidate.stage = Stage::Ready(info, step),
            // It was told of no audio, and the end of its process carries its fault.
            _ => {}
        }
    }

    /// The candidate ended.
    pub(super) fn candidate_gone(&mut self, ending: &Ending, now: Now, out: &mut Vec<Effect>) {
        let Some(candidate) = &mut self.candidate else { return };
        let refused = matches!(ending.fault, Some(FaultKind::Device | FaultKind::Memory));
        if refused && self.engine.is_on_gpu(candidate.ladder.device()) {
            candidate.stage = Stage::Crowded;
            return;
        }
        match candidate.ladder.ended(ending, Doing::Loading, now) {
            Next::Spawn if refused => {
                out.push(Effect::SpawnCandidate(candidate.ladder.device().to_owned()));
            }
            Next::GiveUp(why) => self.reject(why, out),
            Next::Spawn | Next::Skip | Next::Wait(_) => {
                self.reject(format!("{ending} while the model was loaded or waited to be used"), out);
            }
        }
    }

    /// When a candidate that still loads is given up.
    pub(super) fn candidate_deadline(&self) -> Option<Now> {
        let candidate = self.candidate.as_ref()?;
        matches!(candidate.stage, Stage::Loading | Stage::Alone).then_some(candidate.until)
    }

    /// Does with the candidate what can be done now.
    pub(super) fn settle(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.candidate_deadline().is_some_and(|at| at <= now) {
            return self.reject(format!("the model is not ready after {} s", LOADING.as_secs()), out);
        }
        // A dictation that no worker knows of, or that the current one lost when it
        // died, is told to the next one from its tape: nothing is cut there.
        let between = self.dictations.front().is_none_or(|d| !d.begun());
        let works = matches!(self.engine, Engine::Ready(_));
        let Some(candidate) = &mut self.candidate else { return };
        match &candidate.stage {
            Stage::Ready(..) if between => self.adopt(out),
            Stage::Crowded if self.dictations.is_empty() || !works => {
                let device = candidate.ladder.device().to_owned();
                (candidate.stage, candidate.until) = (Stage::Alone, now + LOADING);
                self.trouble.engine = format!(
                    "{device} has no room for two models: the old one ended before the new one loads"
                );
                self.engine = Engine::Loading(device.clone());
                self.watch.loaded = None;
                out.extend([Effect::Kill, Effect::SpawnCandidate(device)]);
            }
            _ => {}
        }
    }

    fn adopt(&mut self, out: &mut Vec<Effect>) {
        let Some(Candidate { devices, ladder, stage: Stage::Ready(info, step), own, .. }) =
            self.candidate.take()
        else {
            return;
        };
        if own {
            self.ladder.climbed(ladder.device());
        } else {
            self.taste.devices = devices;
            self.ladder = ladder;
        }
        // How long this model takes to load beside another says little of it alone.
        self.watch.loaded = None;
        self.ready(info, step, out);
        out.push(Effect::Adopt);
    }

    fn reject(&mut self, why: String, out: &mut Vec<Effect>) {
        let own = self.candidate.as_ref().is_some_and(|candidate| candidate.own);
        self.dismiss(out);
        if !own {
            out.push(Effect::Reject(why));
        }
    }
}

impl Engine {
    /// Whether it works on this graphics card.
    fn is_on_gpu(&self, device: &str) -> bool {
        let device = if device == "cuda" { "cuda:0" } else { device };
        matches!(self, Engine::Ready(info) if info.provider == device && device.starts_with("cuda"))
    }
}
