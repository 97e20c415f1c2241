//! All the properties together, as a person, a script or a status bar wants them.
//!
//! A status is read once and then kept current by the changes that the daemon
//! announces. [`Status::line`] is the one place that knows the fields of waybar's
//! custom modules; it also serves every other reader of JSON.

use crate::engine::{Engine, EngineState, OwnedDict, read};
use crate::state::{State, UnknownState};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The properties of a daemon that runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// The phase of the dictation.
    pub state: State,
    /// The recognizer.
    pub engine: Engine,
    /// What is wrong, for a person; empty when all is well.
    pub trouble: String,
    /// The mechanism that types; empty before the first use.
    pub typist: String,
    /// Latency percentiles and counters, as they were when they were read.
    pub metrics: Value,
    /// The daemon's version.
    pub version: String,
}

impl Status {
    /// The status that a dictionary of properties describes, as `GetAll` answers it.
    pub fn from_properties(properties: &OwnedDict) -> Result<Status, UnknownState> {
        let mut status = Status::default();
        status.apply(properties)?;
        Ok(status)
    }

    /// Takes over the properties that are in `changed`, as `PropertiesChanged` tells them.
    pub fn apply(&mut self, changed: &OwnedDict) -> Result<(), UnknownState> {
        if let Some(word) = read::<String>(changed, "State") {
            self.state = State::parse(&word)?;
        }
        if let Some(engine) = read::<OwnedDict>(changed, "Engine") {
            self.engine = Engine::from_dict(&engine);
        }
        for (key, field) in
            [("Trouble", &mut self.trouble), ("Typist", &mut self.typist), ("Version", &mut self.version)]
        {
            if let Some(text) = read(changed, key) {
                *field = text;
            }
        }
        if let Some(metrics) = read::<String>(changed, "Metrics") {
            self.metrics = serde_json::from_str(&metrics).unwrap_or(Value::Null);
        }
        Ok(())
    }

    /// One JSON object: the fields of this struct and those of a waybar custom
    /// module with `"return-type": "json"`. `None` is a daemon that does not run.
    /// `class` is `trouble` when there is any, otherwise the state.
    pub fn line(status: Option<&Status>) -> Value {
        let Some(status) = status else {
            return json!({
                "state": "stopped",
                "text": "stopped", "alt": "stopped", "class": "stopped",
                "tooltip": "swictationd does not run",
            });
        };
        let state = status.state.as_str();
        let class = if status.trouble.is_empty() { state } else { "trouble" };
        json!({
            "state": state,
            "engine": status.engine,
            "trouble": status.trouble,
            "typist": status.typist,
            "metrics": status.metrics,
            "version": status.version,
            "text": state, "alt": state, "class": class,
            "tooltip": markup(&status.lines().join("\n")),
        })
    }

    /// The status in lines for a person, without the metrics.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.state.to_string()];
        lines.push(format!("engine: {}", self.engine_line()));
        if !self.typist.is_empty() {
            lines.push(format!("types through: {}", self.typist));
        }
        if !self.trouble.is_empty() {
            lines.push(format!("trouble: {}", self.trouble));
        }
        lines
    }

    fn engine_line(&self) -> String {
        let Engine { state, model, provider, precision, weights, on_cpu, .. } = &self.engine;
        let Engine { chunk_ms, latency_ms, hotwords, .. } = &self.engine;
        if *state != EngineState::Ready {
            return format!("{} {model}", state.as_str()).trim_end().to_owned();
        }
        let mut line = format!("{model} on {provider}");
        if !precision.is_empty() {
            line.push_str(&format!(" ({precision}; {})", seen(weights)));
        }
        if let left @ 1.. = on_cpu.values().sum::<u32>() {
            line.push_str(&format!(", {left} operators left on the processor"));
        }
        if *chunk_ms > 0 {
            line.push_str(&format!(", {chunk_ms} ms a step"));
        }
        if *latency_ms > 0 {
            line.push_str(&format!(", latency {latency_ms} ms"));
        }
        if *hotwords > 0 {
            line.push_str(&format!(", {hotwords} hotwords"));
        }
        line
    }
}

/// What the weights were seen to be.
fn seen(weights: &BTreeMap<String, f64>) -> String {
    match weights.iter().max_by(|(_, a), (_, b)| a.total_cmp(b)) {
        Some((dtype, share)) => format!("{share:.1} % of its weights are {dtype}"),
        None => "its files do not tell the types of its weights".to_owned(),
    }
}

/// Text as Pango markup, which is how a status bar reads a tooltip.
fn markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use zbus::{OwnedVariant, Variant};

    fn properties<const N: usize>(entries: [(&str, Variant<'static>); N]) -> OwnedDict {
        entries.map(|(key, value)| (key.to_owned(), OwnedVariant::try_from(value).unwrap())).into()
    }

    fn ready() -> Engine {
        Engine {
            state: EngineState::Ready,
            model: "small".into(),
            provider: "cpu".into(),
            precision: "int8".into(),
            weights: [("int8".into(), 98.61), ("fp32".into(), 1.39)].into(),
            chunk_ms: 80,
            latency_ms: 160,
            ..Engine::default()
        }
    }

    #[test]
    fn all_properties_make_a_status_and_a_change_touches_only_what_it_names() {
        let mut status = Status::from_properties(&properties([
            ("State", Variant::from("listening")),
            ("Engine", Variant::from(ready().to_dict())),
            ("Trouble", Variant::from("")),
            ("Typist", Variant::from("x11")),
            ("Metrics", Variant::from(r#"{"overruns":3}"#)),
            ("Version", Variant::from("1.2.3")),
        ]))
        .unwrap();
        assert_eq!(
            status,
            Status {
                state: State::Listening,
                engine: ready(),
                trouble: String::new(),
                typist: "x11".into(),
                metrics: json!({"overruns": 3}),
                version: "1.2.3".into(),
            }
        );
        let before = status.clone();
        status.apply(&properties([("State", Variant::from("speaking"))])).unwrap();
        assert_eq!(status, Status { state: State::Speaking, ..before });
        assert!(status.apply(&properties([("State", Variant::from("singing"))])).is_err());
    }

    #[test]
    fn a_line_has_the_fields_of_a_status_bar() {
        let status = Status { state: State::Speaking, engine: ready(), ..Status::default() };
        let line = Status::line(Some(&status));
        assert_eq!(
            (&line["text"], &line["alt"], &line["class"]),
            (&json!("speaking"), &json!("speaking"), &json!("speaking"))
        );
        assert_eq!(
            line["tooltip"],
            "speaking\nengine: small on cpu (int8; 98.6 % of its weights are int8), 80 ms a step, latency 160 ms"
        );
        assert_eq!(line["engine"]["chunk_ms"], 80);
    }

    #[test]
    fn trouble_shows_in_the_class_and_is_escaped_in_the_tooltip() {
        let status = Status { trouble: "no <default> source & no other".into(), ..Status::default() };
        let line = Status::line(Some(&status));
        assert_eq!((&line["alt"], &line["class"]), (&json!("idle"), &json!("trouble")));
        assert!(
            line["tooltip"].as_str().unwrap().ends_with("trouble: no &lt;default&gt; source &amp; no other")
        );
        assert_eq!(line["trouble"], "no <default> source & no other");
    }

    #[test]
    fn no_daemon_is_stopped() {
        let line = Status::line(None);
        assert_eq!((&line["class"], &line["state"]), (&json!("stopped"), &json!("stopped")));
    }

    #[test]
    fn an_engine_that_is_not_ready_says_so() {
        let mut status = Status::default();
        assert_eq!(status.lines(), ["idle", "engine: absent"]);
        status.engine = Engine { state: EngineState::Loading, model: "small".into(), ..Engine::default() };
        assert_eq!(status.lines(), ["idle", "engine: loading small"]);
    }

    #[test]
    fn what_is_not_on_the_gpu_or_not_known_of_the_weights_is_said() {
        let mut engine = Engine { provider: "cuda:0".into(), chunk_ms: 0, ..ready() };
        engine.on_cpu = [("Gather".into(), 3), ("Shape".into(), 2)].into();
        engine.weights.clear();
        assert_eq!(
            Status { engine, ..Status::default() }.lines()[1],
            "engine: small on cuda:0 (int8; its files do not tell the types of its weights), \
             5 operators left on the processor, latency 160 ms"
        );
    }

    #[test]
    fn metrics_that_are_not_json_are_null() {
        let status = Status::from_properties(&HashMap::from([(
            "Metrics".to_owned(),
            OwnedVariant::try_from(Variant::from("{")).unwrap(),
        )]));
        assert_eq!(status.unwrap().metrics, Value::Null);
    }
}
