//! What people see of the daemon: on the bus, in the unit's status, in the metrics.
//!
//! The session says what there is, and here it gets the words of the contract. Nothing
//! is decided about dictation, and no text of one passes here.

use super::MainLoop;
use crate::control::dbus::Published;
use crate::control::notify;
use crate::gpu::{self, Nvml};
use crate::worker::Recipe;
use std::sync::PoisonError;
use std::time::Instant;
use swictation_control::{Engine, EngineState, State, exit};
use swictation_core::session;

impl MainLoop {
    pub(super) fn publish(&mut self) {
        let engine = self.session.engine().clone();
        if let session::Engine::Ready(_) = engine {
            self.dictating_since.get_or_insert_with(Instant::now);
        }
        let state = state(self.session.state());
        notify::status(state.as_str());
        self.show_metrics();
        if let session::Engine::Failed(why) = &engine
            && self.parts.once
        {
            self.fail(exit::MODEL, why);
        }
        if let Some(bus) = &self.parts.bus {
            bus.publish(Published {
                state,
                engine: shown(&engine, &self.parts.recipe),
                trouble: self.session.trouble(),
                typist: self.typed_with.to_owned(),
            });
        }
    }

    pub(super) fn show_metrics(&mut self) {
        let Ok(mut shown) = serde_json::to_value(self.session.metrics().snapshot()) else { return };
        if let session::Engine::Ready(info) = self.session.engine()
            && info.provider.starts_with("cuda")
        {
            let nvml = self.nvml.get_or_insert_with(|| Nvml::init().ok());
            shown["gpu"] = gpu::snapshot(nvml.as_ref(), &info.provider).unwrap_or_default();
        }
        *self.parts.metrics.lock().unwrap_or_else(PoisonError::into_inner) = shown.to_string();
    }
}

/// The word for a phase of the dictation.
pub(super) fn state(published: session::Published) -> State {
    match published {
        session::Published::Idle => State::Idle,
        session::Published::Starting => State::Starting,
        session::Published::Listening => State::Listening,
        session::Published::Speaking => State::Speaking,
        session::Published::Finishing => State::Finishing,
    }
}

fn shown(engine: &session::Engine, recipe: &Recipe) -> Engine {
    match engine {
        session::Engine::Waiting(_) | session::Engine::Unloaded => Engine::default(),
        session::Engine::Loading(_) => Engine { state: EngineState::Loading, ..Engine::default() },
        session::Engine::Failed(_) => Engine { state: EngineState::Failed, ..Engine::default() },
        session::Engine::Ready(info) => Engine {
            state: EngineState::Ready,
            model: info.model.clone(),
            family: info.family.clone(),
            provider: info.provider.clone(),
            precision: info.precision.clone(),
            weights: info.weight_shares(),
            on_cpu: info.left_on_cpu(),
            runtime: info.runtime.clone(),
            context_seconds: f64::from(info.context_seconds),
            chunk_ms: info.chunk_ms,
            latency_ms: info.latency_ms.unwrap_or(0),
            hotwords: info.hotwords.phrases,
            folder: recipe.model.display().to_string(),
        },
    }
}
