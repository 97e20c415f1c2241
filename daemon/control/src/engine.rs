//! The recognizer and where it runs, as a struct and as the dictionary on the bus.
//!
//! A dictionary (`a{sv}`) rather than a structure, so that a later daemon can say
//! more without a new interface: an unknown key is skipped and a missing one is
//! left at its default. A key of the wrong type counts as missing for the same
//! reason: a status line must not fail because of one odd value.

use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use zbus::{OwnedVariant, Variant};

/// A dictionary on its way to the bus.
pub type Dict = HashMap<&'static str, Variant<'static>>;
/// A dictionary that came from the bus.
pub type OwnedDict = HashMap<String, OwnedVariant>;

/// What the recognizer can do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineState {
    /// No worker runs; the next dictation starts one.
    #[default]
    Absent,
    /// A worker is loading the model. Audio is kept meanwhile.
    Loading,
    /// Audio is recognized as it comes.
    Ready,
    /// No device would take the model; `Trouble` says why.
    Failed,
}

impl EngineState {
    const ALL: [EngineState; 4] =
        [EngineState::Absent, EngineState::Loading, EngineState::Ready, EngineState::Failed];

    /// The word on the bus.
    pub fn as_str(self) -> &'static str {
        match self {
            EngineState::Absent => "absent",
            EngineState::Loading => "loading",
            EngineState::Ready => "ready",
            EngineState::Failed => "failed",
        }
    }
}

/// The recognizer: which model, run by what, with which delays.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Engine {
    /// What it can do now.
    pub state: EngineState,
    /// The model's name, empty while unknown.
    pub model: String,
    /// The model's family, for example `rnnt`.
    pub family: String,
    /// The execution provider and device, for example `cuda:0` or `cpu`.
    pub provider: String,
    /// The weights in use, for example `fp16`.
    pub precision: String,
    /// The share of each type in the weights as they were read from the model's files,
    /// in percent; empty while unknown.
    pub weights: BTreeMap<String, f64>,
    /// The operators that a GPU left to the processor, and how many of each.
    pub on_cpu: BTreeMap<String, u32>,
    /// The version of ONNX Runtime, empty while unknown.
    pub runtime: String,
    /// The audio the model can look back on, in seconds.
    pub context_seconds: f64,
    /// The audio that one step takes, in milliseconds.
    pub chunk_ms: u32,
    /// The chunk of a step and what is heard behind it, in milliseconds; 0 where no
    /// setting fixes it.
    pub latency_ms: u32,
    /// How many hotwords it expects; those that it cannot write are not counted.
    pub hotwords: u32,
    /// The folder that the model was loaded from.
    pub folder: String,
}

impl Engine {
    /// The value of the property `Engine`.
    pub fn to_dict(&self) -> Dict {
        let text = |value: &str| Variant::from(value.to_owned());
        HashMap::from([
            ("state", text(self.state.as_str())),
            ("model", text(&self.model)),
            ("family", text(&self.family)),
            ("provider", text(&self.provider)),
            ("precision", text(&self.precision)),
            ("weights", Variant::from(self.weights.clone().into_iter().collect::<HashMap<_, _>>())),
            ("on_cpu", Variant::from(self.on_cpu.clone().into_iter().collect::<HashMap<_, _>>())),
            ("runtime", text(&self.runtime)),
            ("context_seconds", Variant::from(self.context_seconds)),
            ("chunk_ms", Variant::from(self.chunk_ms)),
            ("latency_ms", Variant::from(self.latency_ms)),
            ("hotwords", Variant::from(self.hotwords)),
            ("folder", text(&self.folder)),
        ])
    }

    /// The engine that a value of the property `Engine` describes.
    pub fn from_dict(dict: &OwnedDict) -> Engine {
        let text = |key: &str| read::<String>(dict, key).unwrap_or_default();
        let state = text("state");
        Engine {
            state: EngineState::ALL.into_iter().find(|known| known.as_str() == state).unwrap_or_default(),
            model: text("model"),
            family: text("family"),
            provider: text("provider"),
            precision: text("precision"),
            weights: read::<HashMap<String, f64>>(dict, "weights").unwrap_or_default().into_iter().collect(),
            on_cpu: read::<HashMap<String, u32>>(dict, "on_cpu").unwrap_or_default().into_iter().collect(),
            runtime: text("runtime"),
            context_seconds: read(dict, "context_seconds").unwrap_or_default(),
            chunk_ms: read(dict, "chunk_ms").unwrap_or_default(),
            latency_ms: read(dict, "latency_ms").unwrap_or_default(),
            hotwords: read(dict, "hotwords").unwrap_or_default(),
            folder: text("folder"),
        }
    }
}

/// The value of `key`, when it is there and has the type that is asked for.
pub(crate) fn read<T: TryFrom<OwnedVariant>>(dict: &OwnedDict, key: &str) -> Option<T> {
    T::try_from(dict.get(key)?.try_clone().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(dict: Dict) -> OwnedDict {
        dict.into_iter()
            .map(|(key, value)| (key.to_owned(), OwnedVariant::try_from(value).unwrap()))
            .collect()
    }

    #[test]
    fn an_engine_survives_the_bus() {
        let engine = Engine {
            state: EngineState::Ready,
            model: "a model".into(),
            family: "tdt".into(),
            provider: "cuda:0".into(),
            precision: "fp16".into(),
            weights: [("fp16".into(), 97.5), ("fp32".into(), 2.5)].into(),
            on_cpu: [("Gather".into(), 12)].into(),
            runtime: "1.24.4".into(),
            context_seconds: 5.6,
            chunk_ms: 80,
            latency_ms: 160,
            hotwords: 12,
            folder: "/models/a".into(),
        };
        assert_eq!(Engine::from_dict(&owned(engine.to_dict())), engine);
    }

    #[test]
    fn unknown_missing_and_odd_entries_leave_the_default() {
        let dict = owned(HashMap::from([
            ("state", Variant::from("asleep")),
            ("chunk_ms", Variant::from("eighty")),
            ("colour", Variant::from("blue")),
            ("model", Variant::from("m")),
        ]));
        assert_eq!(Engine::from_dict(&dict), Engine { model: "m".into(), ..Engine::default() });
    }
}
