//! Which graphs of a folder make the model, where copies in several precisions or
//! several decoders are there.

use super::folder::{Folder, Graph};
use super::role::{self, Role};
use super::{Head, Precision, Wish, wrong};
use crate::StoreError;
use swictation_onnx::{Header, Port};

/// The graphs of the model, as places among those of the folder.
pub(super) struct Chosen {
    /// By their role in `model.toml`.
    pub(super) graphs: Vec<(&'static str, usize)>,
    pub(super) precision: Precision,
    pub(super) streams: bool,
    /// Which decoder; a transducer may turn out to be TDT.
    pub(super) head: Head,
    /// Graphs that were left out, with why.
    pub(super) left_out: Vec<String>,
}

impl Chosen {
    /// The graph with a role in `model.toml`.
    pub(super) fn graph<'a>(&self, folder: &'a Folder, role: &str) -> Option<&'a Graph> {
        self.graphs.iter().find(|(name, _)| *name == role).map(|(_, at)| &folder.graphs[*at])
    }

    /// All graphs.
    pub(super) fn graphs<'a>(&'a self, folder: &'a Folder) -> impl Iterator<Item = &'a Graph> + 'a {
        self.graphs.iter().map(|(_, at)| &folder.graphs[*at])
    }

    /// The encoder; there is one in every model.
    pub(super) fn encoder<'a>(&self, folder: &'a Folder) -> &'a Graph {
        &folder.graphs[self.graphs[0].1]
    }

    /// Checks that what one graph gives is what the next takes.
    pub(super) fn expect_fit(&self, folder: &Folder) -> Result<(), StoreError> {
        let encoder = self.encoder(folder);
        let (axis, taker) = match self.head {
            Head::Ctc => return Ok(()),
            Head::Aed => (2, "decoder"),
            Head::Rnnt | Head::Tdt if self.graph(folder, "joiner").is_some() => (1, "joiner"),
            Head::Rnnt | Head::Tdt => (1, "decoder_joint"),
        };
        let Some(taker) = self.graph(folder, taker) else { return Ok(()) };
        let gives = role::signal(&encoder.header.outputs);
        let takes = |header: &'_ Header| {
            let named = ["encoder_outputs", "encoder_embeddings"];
            role::port(&header.inputs, &named).cloned()
        };
        expect_same(folder, (encoder, gives), (taker, takes(&taker.header).as_ref()), axis)?;
        if let (Some(decoder), true) = (self.graph(folder, "decoder"), self.head != Head::Aed) {
            let gives = role::signal(&decoder.header.outputs);
            let takes = role::port(&taker.header.inputs, &["decoder_outputs"]);
            expect_same(folder, (decoder, gives), (taker, takes), 1)?;
        }
        Ok(())
    }
}

/// Two ports must have the same width, where both tell it.
fn expect_same(
    folder: &Folder,
    (from, gives): (&Graph, Option<&Port>),
    (to, takes): (&Graph, Option<&Port>),
    axis: usize,
) -> Result<(), StoreError> {
    let width = |port: &Port| port.dims.as_ref()?.get(axis)?.fixed();
    let (Some(gives), Some(takes)) = (gives, takes) else { return Ok(()) };
    match (width(gives), width(takes)) {
        (Some(given), Some(taken)) if given != taken => Err(wrong(
            &folder.at(&to.file),
            format!(
                "takes {taken} values a frame (tensor {:?}), but {} gives {given} (tensor {:?}): they are of different models",
                takes.name, from.file, gives.name
            ),
        )),
        _ => Ok(()),
    }
}

/// Chooses the graphs of the model.
pub(super) fn choose(folder: &Folder, wish: &Wish, told: Option<Head>) -> Result<Chosen, StoreError> {
    let has = |role: Role| folder.graphs.iter().any(|graph| graph.role == Some(role));
    let transducer = has(Role::DecoderJoint) || has(Role::Decoder) && has(Role::Joiner);
    let (streams, scores) = (|scores| Role::CacheAware { scores }, |scores| Role::Offline { scores });
    // The most exact first: a transducer knows the words before, CTC does not.
    let ways = [
        (Head::Aed, Role::AedEncoder, has(Role::AedDecoder)),
        (Head::Rnnt, streams(false), transducer),
        (Head::Rnnt, scores(false), transducer),
        (Head::Ctc, streams(true), true),
        (Head::Ctc, scores(true), true),
    ];
    let wanted = wish.head.or(told);
    let fits =
        |head: Head| wanted.is_none_or(|wanted| wanted == head || wanted == Head::Tdt && head == Head::Rnnt);
    let possible: Vec<_> =
        ways.into_iter().filter(|(_, encoder, decodes)| has(*encoder) && *decodes).collect();
    let Some(&(head, encoder, _)) = possible.iter().find(|(head, ..)| fits(*head)) else {
        return Err(incomplete(folder, wanted));
    };
    let head = if wanted == Some(Head::Tdt) { Head::Tdt } else { head };
    let precision = precision(folder, encoder, wish)?;
    let mut graphs = vec![("encoder", one(folder, encoder, precision, true)?)];
    let mut add = |name: &'static str, role: Role| -> Result<(), StoreError> {
        graphs.push((name, one(folder, role, precision, false)?));
        Ok(())
    };
    match head {
        Head::Ctc => {}
        Head::Aed => add("decoder", Role::AedDecoder)?,
        Head::Rnnt | Head::Tdt if has(Role::DecoderJoint) => add("decoder_joint", Role::DecoderJoint)?,
        Head::Rnnt | Head::Tdt => {
            add("decoder", Role::Decoder)?;
            add("joiner", Role::Joiner)?;
        }
    }
    let left_out =
        folder.graphs.iter().enumerate().filter(|(at, _)| graphs.iter().all(|(_, used)| used != at));
    let left_out = left_out.map(|(_, graph)| {
        let what = match graph.role {
            Some(role) => format!("{}, {}", role.name(), graph.precision()),
            None => format!("not known here: it {}", role::ports(graph)),
        };
        format!("{} ({what})", graph.file)
    });
    let left_out = left_out.collect();
    Ok(Chosen { graphs, precision, streams: matches!(encoder, Role::CacheAware { .. }), head, left_out })
}

/// Which precision: the one that was asked for, or the most exact.
fn precision(folder: &Folder, encoder: Role, wish: &Wish) -> Result<Precision, StoreError> {
    let encoders = || folder.graphs.iter().filter(|graph| graph.role == Some(encoder));
    let has = |precision: &Precision| encoders().any(|graph| graph.precision() == *precision);
    let order = [Precision::Fp32, Precision::Fp16, Precision::Int8];
    match wish.precision {
        Some(wanted) if !has(&wanted) => {
            let there: Vec<_> =
                encoders().map(|graph| format!("{} is {}", graph.file, graph.precision())).collect();
            Err(wrong(&folder.path, format!("has no encoder in {wanted}: {}", there.join(", "))))
        }
        Some(wanted) => Ok(wanted),
        None => Ok(order.into_iter().find(has).unwrap_or(Precision::Fp32)),
    }
}

/// The one graph of a role, in this precision if it is there. Only the encoder
/// decides the precision; the small graphs beside it often have one alone.
fn one(folder: &Folder, role: Role, precision: Precision, strict: bool) -> Result<usize, StoreError> {
    let of = |wanted: Option<Precision>| -> Vec<usize> {
        let fits = |graph: &Graph| {
            graph.role == Some(role) && wanted.is_none_or(|wanted| graph.precision() == wanted)
        };
        let places = folder.graphs.iter().enumerate().filter(|(_, graph)| fits(graph));
        places.map(|(at, _)| at).collect()
    };
    let mut found = of(Some(precision));
    for other in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
        if found.is_empty() && !strict {
            found = of(Some(other));
        }
    }
    // With its attention an attention decoder can do more, and nothing less.
    let attends = |at: &usize| folder.graphs[*at].header.output("xatt").is_some();
    if found.iter().filter(|at| attends(at)).count() == 1 {
        found.retain(attends);
    }
    match found[..] {
        [at] => Ok(at),
        [first, second, ..] => Err(wrong(
            &folder.path,
            format!(
                "has two graphs that can be the {}: {} and {}; put the files of each model into a folder of its own",
                role.name(),
                folder.graphs[first].file,
                folder.graphs[second].file
            ),
        )),
        [] => Err(wrong(&folder.path, format!("has no {}", role.name()))),
    }
}

/// Why the graphs that are there are no model.
fn incomplete(folder: &Folder, wanted: Option<Head>) -> StoreError {
    let graph = |wanted: Role| folder.graphs.iter().find(|graph| graph.role == Some(wanted));
    let listed = |graph: &Graph| match graph.role {
        Some(role) => format!("{} ({})", graph.file, role.name()),
        None => format!("{} (not known: it {})", graph.file, role::ports(graph)),
    };
    let there: Vec<_> = folder.graphs.iter().map(listed).collect();
    let there = there.join("; ");
    if let Some(stepwise) = graph(Role::StepwiseAed) {
        let reason = "takes one token and its position at a time; attention models are supported as onnx-asr exports \
            them, with a decoder that takes input_ids and decoder_mems";
        return wrong(&folder.at(&stepwise.file), reason);
    }
    if let Some(wanted) = wanted {
        return wrong(&folder.path, format!("has no whole {wanted} model; it has {there}"));
    }
    let lacks = [
        (
            Role::AedEncoder,
            "there is no attention decoder for it (a graph that takes input_ids and decoder_mems)",
        ),
        (
            Role::AedDecoder,
            "there is no encoder for it (a graph that gives encoder_embeddings and encoder_mask)",
        ),
        (Role::CacheAware { scores: false }, NO_PREDICTOR),
        (Role::Offline { scores: false }, NO_PREDICTOR),
        (Role::DecoderJoint, NO_ENCODER),
        (Role::Decoder, NO_ENCODER),
        (Role::Joiner, NO_ENCODER),
    ];
    for (role, lack) in lacks {
        if let Some(graph) = graph(role) {
            return wrong(
                &folder.at(&graph.file),
                format!("is a {}, but {lack}; the folder has {there}", role.name()),
            );
        }
    }
    wrong(&folder.path, format!("has no encoder of a NeMo model; it has {there}"))
}

const NO_PREDICTOR: &str =
    "there is no predictor and joint network for it (decoder_joint*.onnx, or decoder*.onnx and joiner*.onnx)";
const NO_ENCODER: &str =
    "there is no encoder for it (encoder*.onnx, a graph that takes audio_signal and length)";
