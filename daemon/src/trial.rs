//! A model tried without a daemon: a worker that loads it, and nothing else.
//!
//! What the daemon does beside its current worker is done here alone, for those who
//! choose a model before they start the daemon, and for `swictation doctor`.

use crate::worker::{News, Recipe, Worker};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;
use swictation_core::Now;
use swictation_core::session::LOADING;
use swictation_core::supervise::{Doing, Ladder, Next};
use swictation_core::wire::{EngineInfo, FromWorker, VERSION, other_version};

/// Loads the model of `recipe` on the first of `devices` that takes it.
///
/// # Errors
/// Why it cannot be used, for a person.
pub fn load(recipe: &Recipe, devices: Vec<String>) -> Result<EngineInfo, String> {
    let mut ladder = Ladder::new(devices);
    let until = Instant::now() + LOADING;
    loop {
        let (told, news) = mpsc::channel();
        let _worker = Worker::spawn(recipe, ladder.device(), move |news| drop(told.send(news)));
        let ending = loop {
            match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(News::Said(FromWorker::Ready(info, _))) => return Ok(info),
                Ok(News::Said(FromWorker::Hello { version })) if version != VERSION => {
                    return Err(other_version(version));
                }
                Ok(News::Said(_)) => {}
                Ok(News::Gone(ending)) => break ending,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(format!("the model is not ready after {} s", LOADING.as_secs()));
                }
            }
        };
        match ladder.ended(&ending, Doing::Loading, Now::default()) {
            Next::Spawn if ending.fault.is_some() => {}
            Next::GiveUp(why) => return Err(why),
            Next::Spawn | Next::Skip | Next::Wait(_) => {
                return Err(format!("{ending} while the model was loaded"));
            }
        }
    }
}
