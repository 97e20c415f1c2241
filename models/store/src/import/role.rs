//! What a graph is for, by the tensors that go in and come out.

use super::folder::Graph;
use swictation_onnx::{Header, Port};

/// What a graph is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Features and caches to states, or to log probabilities where `scores`.
    CacheAware { scores: bool },
    /// A window of features to states, or to log probabilities where `scores`.
    Offline { scores: bool },
    /// Features to states and their mask, for an attention decoder.
    AedEncoder,
    /// The attention decoder of onnx-asr's exports.
    AedDecoder,
    /// Predictor and joint network in one.
    DecoderJoint,
    /// The predictor alone.
    Decoder,
    /// The joint network alone.
    Joiner,
    /// Audio to features, which are computed here without a graph.
    Preprocessor,
    /// An attention decoder that takes one token and its position at a time, as
    /// sherpa-onnx has it.
    StepwiseAed,
}

impl Role {
    /// What a graph with these ports is for.
    pub(super) fn of(header: &Header) -> Option<Role> {
        let (takes, gives) = (Ports(&header.inputs), Ports(&header.outputs));
        let scores = gives.has("logprob") || gives.has("log_prob");
        let hears = takes.has("audio_signal") || takes.has("processed_signal");
        Some(if takes.has("cache_last_channel") && takes.has("cache_last_time") {
            Role::CacheAware { scores }
        } else if takes.has("decoder_mems_list") || gives.has("enc_states") {
            Role::StepwiseAed
        } else if takes.has("input_ids") && takes.has("mems") {
            Role::AedDecoder
        } else if takes.has("targets") {
            if takes.has("encoder_outputs") { Role::DecoderJoint } else { Role::Decoder }
        } else if takes.has("encoder_outputs") && takes.has("decoder_outputs") {
            Role::Joiner
        } else if takes.has("waveform") {
            Role::Preprocessor
        } else if hears && gives.has("encoder_mask") {
            Role::AedEncoder
        } else if hears && takes.has("length") && (scores || gives.has("length") || gives.has("_len")) {
            Role::Offline { scores }
        } else {
            return None;
        })
    }

    /// The words for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Role::CacheAware { scores: false } => "cache-aware encoder",
            Role::CacheAware { scores: true } => "cache-aware encoder with CTC head",
            Role::Offline { scores: false } => "encoder",
            Role::Offline { scores: true } => "encoder with CTC head",
            Role::AedEncoder => "encoder for an attention decoder",
            Role::AedDecoder => "attention decoder",
            Role::DecoderJoint => "predictor and joint network",
            Role::Decoder => "predictor",
            Role::Joiner => "joint network",
            Role::Preprocessor => "preprocessor, not needed",
            Role::StepwiseAed => "part of an attention model for one token at a time, not supported",
        }
    }
}

struct Ports<'a>(&'a [Port]);

impl Ports<'_> {
    fn has(&self, part: &str) -> bool {
        self.0.iter().any(|port| port.name.contains(part))
    }
}

/// A port with one of these words in its name.
pub(super) fn port<'a>(ports: &'a [Port], parts: &[&str]) -> Option<&'a Port> {
    ports.iter().find(|port| parts.iter().any(|part| port.name.contains(part)))
}

/// The float that a graph takes or gives and that is neither cache nor state.
pub(super) fn signal(ports: &[Port]) -> Option<&Port> {
    let plain = |port: &&Port| {
        port.dtype.is_some_and(swictation_onnx::DataType::is_float)
            && !["cache", "state", "mems", "decoder_outputs"].iter().any(|part| port.name.contains(part))
    };
    ports.iter().find(plain)
}

/// Everything that goes in and comes out, for a person who looks for what is wrong.
pub(super) fn ports(graph: &Graph) -> String {
    let names = |ports: &[Port]| {
        let some: Vec<_> = ports.iter().take(8).map(|port| port.name.as_str()).collect();
        format!("{}{}", some.join(", "), if ports.len() > 8 { " and others" } else { "" })
    };
    format!("takes {} and gives {}", names(&graph.header.inputs), names(&graph.header.outputs))
}
