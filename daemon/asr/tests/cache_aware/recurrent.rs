//! A graph whose state stays on its device gives what the same graph gives when its
//! state is handed over by hand.

use crate::toy::{self, CPU, Dice};
use std::path::PathBuf;
use swictation_asr::AsrError;
use swictation_asr::graph::{Graph, Recurrent, State, Value};

const CACHES: [(&str, &str); 3] = [
    ("cache_last_channel", "cache_last_channel_next"),
    ("cache_last_time", "cache_last_time_next"),
    ("cache_last_channel_len", "cache_last_channel_next_len"),
];
const WANTED: [&str; 2] = ["outputs", "encoded_lengths"];

fn encoder() -> Option<(Graph, PathBuf)> {
    let path = toy::toy("att70_6-rnnt/encoder-model.onnx");
    Some((Graph::open(toy::runtime()?, &path, CPU).unwrap(), path))
}

/// The empty caches of a graph with a batch of one.
fn empty(graph: &Graph) -> Vec<Value> {
    let zeros = |(name, _): &(&str, &str)| {
        let port = graph.input(name).unwrap();
        // What a graph leaves open is the batch, or the exporter wrote it down.
        let written = |i: usize| graph.metadata[&format!("{name}_dim{i}")].parse().unwrap();
        let open = |i: usize| if i == 0 { 1 } else { written(i) };
        let size = |(i, d): (usize, &i64)| usize::try_from(*d).unwrap_or_else(|_| open(i));
        let shape: Vec<usize> = port.shape.iter().enumerate().map(size).collect();
        match port.dtype.as_str() {
            "i64" => Value::i64(&shape, vec![0; shape.iter().product()]).unwrap(),
            _ => Value::f32(&shape, vec![0.0; shape.iter().product()]).unwrap(),
        }
    };
    CACHES.iter().map(zeros).collect()
}

fn states(graph: &Graph) -> Vec<State> {
    let state = |((input, output), first): (&(&str, &str), Value)| State {
        input: (*input).to_owned(),
        output: (*output).to_owned(),
        first,
    };
    CACHES.iter().zip(empty(graph)).map(state).collect()
}

/// Chunks of features and their lengths: whole ones, and one that is short.
fn chunks() -> Vec<(Value, Value)> {
    let mut dice = Dice(3);
    let mut chunk = |frames: usize| {
        let features: Vec<f32> = (0..80 * frames).map(|_| dice.roll(1000) as f32 / 100.0 - 12.0).collect();
        let length = Value::i64(&[1], vec![frames as i64]).unwrap();
        (Value::f32(&[1, 80, frames], features).unwrap(), length)
    };
    [65, 65, 65, 65, 33].map(&mut chunk).into()
}

/// What matters of a call: the encoder's states, how many, and the caches after it.
type Given = Vec<Vec<f32>>;

fn floats(values: &[Value]) -> Given {
    let read = |value: &Value| match value.floats() {
        Ok(floats) => floats.into_owned(),
        Err(_) => value.integers().unwrap().iter().map(|n| *n as f32).collect(),
    };
    values.iter().map(read).collect()
}

fn by_hand(graph: &mut Graph) -> Vec<Given> {
    let mut caches = empty(graph);
    let mut call = |(features, length): (Value, Value)| {
        let mut inputs = vec![("audio_signal", &features), ("length", &length)];
        inputs.extend(CACHES.iter().zip(&caches).map(|((name, _), value)| (*name, value)));
        let wanted = [WANTED.as_slice(), &CACHES.map(|(_, next)| next)].concat();
        let outputs = graph.run(inputs, &wanted).unwrap();
        let given = floats(&outputs);
        caches = outputs.into_iter().skip(2).collect();
        given
    };
    chunks().into_iter().map(&mut call).collect()
}

#[test]
fn state_that_stays_is_the_state_that_is_handed_over_wherever_tensors_lie() {
    let Some((mut graph, path)) = encoder() else { return };
    let wanted = by_hand(&mut graph);
    for fixed in [false, true] {
        let graph = Graph::open(toy::runtime().unwrap(), &path, CPU).unwrap();
        let states = states(&graph);
        let mut graph = Recurrent::new(graph, CPU, fixed, states).unwrap();
        // The second utterance begins with empty caches, whichever place holds the last.
        for utterance in 0..3 {
            graph.begin();
            let chunks = chunks();
            let chunks = &chunks[..chunks.len() - utterance];
            for (i, (features, length)) in chunks.iter().enumerate() {
                let outputs = graph.run(&[("audio_signal", features), ("length", length)], &WANTED).unwrap();
                let given = [floats(&outputs), floats(&graph.state().unwrap())].concat();
                assert_eq!(given, wanted[i], "fixed {fixed}, utterance {utterance}, chunk {i}");
            }
        }
    }
}

#[test]
fn what_a_call_gave_is_not_overwritten_by_the_next() {
    for fixed in [false, true] {
        let Some((graph, _)) = encoder() else { return };
        let states = states(&graph);
        let mut graph = Recurrent::new(graph, CPU, fixed, states).unwrap();
        let mut all = Vec::new();
        for (features, length) in &chunks() {
            let outputs = graph.run(&[("audio_signal", features), ("length", length)], &WANTED).unwrap();
            all.push((floats(&outputs), outputs));
        }
        assert!(all.iter().all(|(then, outputs)| *then == floats(outputs)), "fixed {fixed}");
    }
}

#[test]
fn a_state_that_comes_out_in_another_shape_is_found_in_the_rehearsal() {
    let Some((graph, path)) = encoder() else { return };
    let mut states = states(&graph);
    for (state, (_, output)) in states.iter_mut().zip([CACHES[1], CACHES[0]]) {
        state.output = output.to_owned();
    }
    let mut graph = Recurrent::new(graph, CPU, false, states).unwrap();
    let (features, length) = &chunks()[0];
    let error = graph.rehearse(&[("audio_signal", features), ("length", length)], &["outputs"]).unwrap_err();
    assert!(matches!(&error, AsrError::Model { file, .. } if *file == path), "{error:?}");
    assert!(error.to_string().contains("\"cache_last_time_next\" comes out with the shape"), "{error}");
}

#[test]
fn a_graph_goes_on_from_the_state_of_another_wherever_tensors_lie() {
    let Some((mut graph, path)) = encoder() else { return };
    let wanted = by_hand(&mut graph);
    let open = |fixed| {
        let graph = Graph::open(toy::runtime().unwrap(), &path, CPU).unwrap();
        let states = states(&graph);
        Recurrent::new(graph, CPU, fixed, states).unwrap()
    };
    let call = |graph: &mut Recurrent, (features, length): &(Value, Value)| {
        let outputs = graph.run(&[("audio_signal", features), ("length", length)], &WANTED).unwrap();
        [floats(&outputs), floats(&graph.state().unwrap())].concat()
    };
    for fixed in [false, true] {
        for cut in 0..wanted.len() {
            let (mut one, mut other) = (open(fixed), open(fixed));
            let chunks = chunks();
            chunks[..cut].iter().for_each(|chunk| drop(call(&mut one, chunk)));
            // The other one has been elsewhere.
            call(&mut other, &chunks[4]);
            let written = postcard::to_stdvec(&one.state().unwrap()).unwrap();
            other.restore(&postcard::from_bytes::<Vec<Value>>(&written).unwrap()).unwrap();
            let given: Vec<Given> = chunks[cut..].iter().map(|chunk| call(&mut other, chunk)).collect();
            assert_eq!(given, wanted[cut..], "fixed {fixed}, from chunk {cut}");
        }
    }
}

#[test]
fn the_state_of_another_graph_is_refused() {
    let Some((graph, _)) = encoder() else { return };
    let states = states(&graph);
    let mut graph = Recurrent::new(graph, CPU, false, states).unwrap();
    let mut state = graph.state().unwrap();
    state.swap(0, 1);
    for state in [state, Vec::new()] {
        let refused = graph.restore(&state);
        assert!(matches!(refused, Err(AsrError::Checkpoint(_))), "{refused:?}");
    }
}

#[test]
fn tensors_of_every_type_are_written_down_bit_by_bit() {
    if toy::runtime().is_none() {
        return;
    }
    // A signalling NaN, a negative zero, a number too small to be normal.
    let floats = [0x7f80_0001, 0x8000_0000, 0x0000_0001, 0x3f80_0000].map(f32::from_bits);
    let halves = [1.0, -0.0, 6e-8, 65504.0];
    for (value, last) in [
        (Value::f32(&[2, 2], floats).unwrap(), [0x00, 0x00, 0x80, 0x3f].as_slice()),
        (Value::f16(&[1, 4], &halves).unwrap(), &[0xff, 0x7b]),
        (Value::i64(&[1], [-2]).unwrap(), &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (Value::i32(&[1], [7]).unwrap(), &[7, 0, 0, 0]),
        (Value::f32(&[3, 0, 2], []).unwrap(), &[0]),
    ] {
        let written = postcard::to_stdvec(&value).unwrap();
        assert!(written.ends_with(last), "{written:?}");
        let back: Value = postcard::from_bytes(&written).unwrap();
        assert!(back.is_like(&value));
        assert_eq!(postcard::to_stdvec(&back).unwrap(), written);
        assert!(postcard::from_bytes::<Value>(&written[..written.len() - 1]).is_err());
    }
    let lies = postcard::to_stdvec(&(0u32, [u64::MAX, u64::MAX].as_slice(), [0u8].as_slice())).unwrap();
    assert!(postcard::from_bytes::<Value>(&lies).is_err());
}
