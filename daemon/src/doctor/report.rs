//! What a trial gave, how it looks to a person, and what it means for a script.

use std::fmt::{self, Display};
use swictation_control::exit;
use swictation_core::engine::shares;
use swictation_core::wire::{EngineInfo, GraphInfo};

/// What a finding means for dictation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Works,
    /// It is good to know and keeps nobody from dictating.
    Note,
    /// Nobody can dictate; the exit code that says why.
    Fails(u8),
}

/// What one trial gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub part: &'static str,
    /// What it means.
    pub verdict: Verdict,
    /// What there is to say, in lines.
    pub lines: Vec<String>,
}

impl Finding {
    fn new(part: &'static str, verdict: Verdict, line: impl Display) -> Self {
        Self { part, verdict, lines: vec![line.to_string()] }
    }

    /// A part that works.
    pub fn works(part: &'static str, line: impl Display) -> Self {
        Self::new(part, Verdict::Works, line)
    }

    /// Something to know.
    pub fn note(part: &'static str, line: impl Display) -> Self {
        Self::new(part, Verdict::Note, line)
    }

    /// A part without which nobody can dictate.
    pub fn fails(part: &'static str, code: u8, line: impl Display) -> Self {
        Self::new(part, Verdict::Fails(code), line)
    }

    /// The same with one more line.
    #[must_use]
    pub fn and(mut self, line: impl Display) -> Self {
        self.lines.push(line.to_string());
        self
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Works => "works",
            Verdict::Note => "note",
            Verdict::Fails(_) => "FAILS",
        };
        for (i, line) in self.lines.iter().flat_map(|line| line.lines()).enumerate() {
            match i {
                0 => write!(f, "{mark:5}  {:13}  {line}", self.part)?,
                _ => write!(f, "\n{:22}{line}", "")?,
            }
        }
        Ok(())
    }
}

/// The exit code: that of the first part that fails.
pub fn exit_code<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> u8 {
    let failed = findings.into_iter().find_map(|finding| match finding.verdict {
        Verdict::Fails(code) => Some(code),
        Verdict::Works | Verdict::Note => None,
    });
    failed.unwrap_or(exit::OK)
}

/// A model that a worker has loaded: what of it is where, as the runtime told.
pub fn engine(info: &EngineInfo) -> Finding {
    let EngineInfo { model, family, provider, runtime, precision, .. } = info;
    let loaded = format!("{model} ({family}) on {provider}, with ONNX Runtime {runtime}");
    let weights = match info.weight_shares() {
        shares if shares.is_empty() => {
            format!("{precision} by its model.toml; its files do not tell the types of its weights")
        }
        seen => format!("{precision}; of its weights {}", shares(&seen)),
    };
    let found =
        info.graphs.iter().map(graph).fold(Finding::works("recognizer", loaded).and(weights), Finding::and);
    match info.hotwords.phrases {
        0 => found,
        phrases => found.and(format!("it expects {phrases} hotwords")),
    }
}

/// Where the operators of a graph are; on a GPU those that it left to the processor, by name.
fn graph(graph: &GraphInfo) -> String {
    let GraphInfo { file, placement, .. } = graph;
    if placement.is_empty() {
        return format!("{file}: the runtime does not tell where its operators run");
    }
    let mut providers = Vec::new();
    for (provider, operators) in placement {
        let mut text = format!("{} on {}", operators.values().sum::<u32>(), short(provider));
        if placement.len() > 1 && short(provider) == "CPU" {
            let named: Vec<String> = operators.iter().map(|(name, n)| format!("{name} {n}")).collect();
            text.push_str(&format!(" ({})", named.join(", ")));
        }
        providers.push(text);
    }
    format!("{file}: operators {}", providers.join(", "))
}

fn short(provider: &str) -> &str {
    provider.strip_suffix("ExecutionProvider").unwrap_or(provider)
}

/// How a hotkey is set: that cannot be tried from here.
pub fn hotkey(desktop: &str) -> Finding {
    let lower = desktop.to_lowercase();
    let line = match () {
        () if lower.contains("sway") => "in ~/.config/sway/config: bindsym Mod4+grave exec swictation toggle",
        () if lower.contains("hyprland") => {
            "in ~/.config/hypr/hyprland.conf: bind = SUPER, grave, exec, swictation toggle"
        }
        () if lower.contains("i3") => {
            "in ~/.config/i3/config: bindsym Mod4+grave exec --no-startup-id swictation toggle"
        }
        () if lower.contains("gnome") => {
            "in Settings, Keyboard, View and Customize Shortcuts, Custom Shortcuts: swictation toggle"
        }
        () if lower.contains("kde") => {
            "in System Settings, Keyboard, Shortcuts, Add New, Command or Script: swictation toggle"
        }
        () => "in the settings of the desktop, for the command: swictation toggle",
    };
    Finding::note("hotkey", "whether one is set cannot be seen from here; it is set").and(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(provider: &str, placement: &[(&str, &[(&str, u32)])], weights: &[(&str, u64)]) -> EngineInfo {
        let operators = |list: &[(&str, u32)]| list.iter().map(|(op, n)| ((*op).to_owned(), *n)).collect();
        EngineInfo {
            model: "m".into(),
            family: "cache-aware-rnnt".into(),
            provider: provider.into(),
            precision: "fp16".into(),
            runtime: "1.24.4".into(),
            graphs: vec![GraphInfo {
                file: "encoder.onnx".into(),
                placement: placement
                    .iter()
                    .map(|(name, list)| ((*name).to_owned(), operators(list)))
                    .collect(),
                weights: weights.iter().map(|(dtype, n)| ((*dtype).to_owned(), *n)).collect(),
            }],
            ..EngineInfo::default()
        }
    }

    #[test]
    fn operators_that_a_gpu_left_to_the_processor_are_named_with_their_graph() {
        let cuda = ("CUDAExecutionProvider", [("MatMul", 40), ("Conv", 20)].as_slice());
        let left = ("CPUExecutionProvider", [("Gather", 12), ("Shape", 3)].as_slice());
        let text = engine(&info("cuda:0", &[cuda, left], &[("fp16", 990), ("fp32", 10)])).to_string();
        assert_eq!(
            text,
            "works  recognizer     m (cache-aware-rnnt) on cuda:0, with ONNX Runtime 1.24.4\n\
             \x20                     fp16; of its weights 99.0 % fp16, 1.0 % fp32\n\
             \x20                     encoder.onnx: operators 15 on CPU (Gather 12, Shape 3), 60 on CUDA"
        );
    }

    #[test]
    fn what_was_not_told_is_not_guessed() {
        let text = engine(&info("cpu", &[], &[])).to_string();
        assert!(text.contains("fp16 by its model.toml; its files do not tell"), "{text}");
        assert!(text.contains("encoder.onnx: the runtime does not tell where"), "{text}");
        assert!(!text.to_lowercase().contains("cuda"), "{text}");
    }

    #[test]
    fn the_first_part_that_fails_decides_the_exit_code_and_notes_do_not() {
        let findings = [
            Finding::works("configuration", "file"),
            Finding::note("graphics card", "none"),
            Finding::fails("microphone", exit::AUDIO, "none"),
            Finding::fails("typing", exit::TYPING, "none"),
        ];
        assert_eq!(exit_code(&findings), exit::AUDIO);
        assert_eq!(exit_code(&findings[..2]), exit::OK);
    }

    #[test]
    fn each_desktop_has_its_own_line_for_the_hotkey() {
        for (desktop, part) in [
            ("sway", "bindsym Mod4"),
            ("ubuntu:GNOME", "Custom Shortcuts"),
            ("KDE", "Add New"),
            ("", "desktop"),
        ] {
            assert!(hotkey(desktop).to_string().contains(part), "{desktop}");
        }
    }
}
