//! Headers of real models, of models made by hand, and of what is no model.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use swictation_onnx::{DataType, Dim, Header, OnnxError, Weights};
use swictation_tests::protobuf::{field as bytes, number, varint};

fn tensor(name: &str, dtype: u64, dims: &[u64], values: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|dim| number(1, *dim)).collect();
    [dims, number(2, dtype), bytes(8, name), values.to_vec()].concat()
}

fn external(name: &str, location: &str, offset: &str, length: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| bytes(13, [bytes(1, key), bytes(2, value)].concat());
    let entries = [entry("location", location), entry("offset", offset), entry("length", length)].concat();
    tensor(name, 10, &[2, 3], &[entries, number(14, 1)].concat())
}

fn port(name: &str, dtype: u64, dims: &[Vec<u8>]) -> Vec<u8> {
    let shape: Vec<u8> = dims.iter().flat_map(|dim| bytes(1, dim)).collect();
    let tensor_type = [number(1, dtype), bytes(2, shape)].concat();
    [bytes(1, name), bytes(2, bytes(1, tensor_type))].concat()
}

fn node(operator: &str, output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes.iter().flat_map(|one| bytes(5, one)).collect();
    [bytes(2, output), bytes(4, operator), attributes].concat()
}

fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    let opset = [bytes(1, ""), number(2, 17)].concat();
    let metadata = [bytes(1, "vocab_size"), bytes(2, "1024")].concat();
    let fields =
        [number(1, 8), bytes(2, "hand"), bytes(7, graph.concat()), bytes(8, opset), bytes(14, metadata)];
    fields.concat()
}

fn read(bytes: &[u8]) -> Result<Header, OnnxError> {
    Header::read(&mut Cursor::new(bytes))
}

fn error(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

/// A model with one of everything that is read.
fn whole() -> Vec<u8> {
    let raw = |n: usize| bytes(9, vec![7; n]);
    let inner = [
        bytes(5, tensor("inner", 10, &[4], &raw(8))),
        bytes(
            1,
            node("Constant", "deep", &[[bytes(1, "value"), bytes(5, tensor("", 3, &[5], &raw(5)))].concat()]),
        ),
    ];
    model(&[
        bytes(1, node("If", "out", &[[bytes(1, "then_branch"), bytes(6, inner.concat())].concat()])),
        bytes(1, node("MatMul", "out2", &[])),
        bytes(1, node("MatMul", "out3", &[])),
        bytes(5, tensor("weight", 1, &[2, 3], &raw(24))),
        bytes(5, tensor("shape", 7, &[2], &bytes(7, [1, 2]))),
        bytes(5, external("beside", "./model.onnx.data", "64", "12")),
        bytes(11, port("audio_signal", 1, &[bytes(2, "B"), number(1, 80), number(1, u64::MAX), vec![]])),
        bytes(11, port("weight", 1, &[number(1, 2), number(1, 3)])),
        bytes(12, port("outputs", 10, &[number(1, 1)])),
    ])
}

#[test]
fn everything_that_describes_a_model_is_read() {
    let header = read(&whole()).unwrap();
    assert_eq!((header.ir_version, header.producer.0.as_str()), (8, "hand"));
    assert_eq!(header.opsets.get(""), Some(&17));
    assert_eq!(header.metadata["vocab_size"], "1024");
    let input = header.input("audio_signal").unwrap();
    assert_eq!(input.dtype, Some(DataType::F32));
    assert_eq!(input.dims, Some(vec![Dim::Named("B".into()), Dim::Fixed(80), Dim::Open, Dim::Open]));
    assert_eq!(header.inputs.len(), 1, "an initialiser is no input");
    assert_eq!(header.output("outputs").unwrap().dims.as_deref(), Some(&[Dim::Fixed(1)][..]));
    assert_eq!(
        header.operators.iter().map(|(name, n)| (name.as_str(), *n)).collect::<Vec<_>>(),
        [("Constant", 1), ("If", 1), ("MatMul", 2)]
    );
    let names: Vec<&str> = header.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["inner", "deep", "weight", "shape", "beside"]);
}

#[test]
fn weights_are_counted_by_type_in_subgraphs_and_beside_the_file() {
    let weights: Vec<(String, Weights)> =
        read(&whole()).unwrap().weights_by_type().into_iter().map(|(t, w)| (t.to_string(), w)).collect();
    let of = |dtype: &str, elements, bytes| (dtype.to_owned(), Weights { elements, bytes });
    assert_eq!(weights, [of("f32", 6, 24), of("i8", 5, 5), of("i64", 2, 16), of("f16", 4 + 6, 20)]);
}

#[test]
fn a_file_beside_the_model_is_named_with_the_size_it_needs() {
    let files = read(&whole()).unwrap().external_files().unwrap();
    assert_eq!(files.into_iter().collect::<Vec<_>>(), [(PathBuf::from("model.onnx.data"), 76)]);
}

#[test]
fn weights_outside_the_folder_are_refused_with_the_tensor() {
    for location in ["../../etc/passwd", "/etc/passwd", "a/../../b", "", ".", "..", "a\0b"] {
        let bytes = model(&[bytes(5, external("evil", location, "0", "12"))]);
        let said = read(&bytes).unwrap().external_files().unwrap_err().to_string();
        assert!(said.contains("\"evil\"") && said.contains("inside the folder"), "{location}: {said}");
    }
}

#[test]
fn a_tensor_cannot_claim_what_it_does_not_bring() {
    let huge = model(&[bytes(5, tensor("bomb", 1, &[1 << 30, 1 << 30], &bytes(9, [0; 4])))]);
    assert!(error(&huge).contains("tensor \"bomb\" of the type f32"), "{}", error(&huge));
    let overflow = model(&[bytes(5, tensor("bomb", 1, &[1 << 40, 1 << 40], &[]))]);
    assert!(error(&overflow).contains("larger than any memory"), "{}", error(&overflow));
    let typed = model(&[bytes(5, tensor("bomb", 1, &[1 << 30], &bytes(4, [0; 4])))]);
    assert!(error(&typed).contains("should have 4294967296 bytes and has 4"), "{}", error(&typed));
    let short = model(&[bytes(5, external("short", "data", "0", "11"))]);
    assert!(error(&short).contains("should have 12 bytes and has 11"), "{}", error(&short));
    let negative = model(&[bytes(5, tensor("bomb", 1, &[u64::MAX], &bytes(9, [0; 4])))]);
    assert!(error(&negative).contains("larger than any memory"), "{}", error(&negative));
}

#[test]
fn subgraphs_without_end_are_refused() {
    let mut graph = Vec::new();
    for _ in 0..2000 {
        graph = bytes(1, node("If", "out", &[bytes(6, &graph)]));
    }
    assert!(error(&model(&[graph])).contains("more than 32 subgraphs"));
}

#[test]
fn lengths_without_end_are_refused_before_anything_is_allocated() {
    for field in [1, 2, 7, 8, 14, 25] {
        let bomb = [number(1, 8), varint(field << 3 | 2), varint(1 << 60)].concat();
        assert!(
            error(&bomb).contains("claims 1152921504606846976 bytes where 0 are left"),
            "{}",
            error(&bomb)
        );
    }
    // As many entries as take memory: each is two bytes in the file.
    let many: Vec<u8> = bytes(12, []).repeat(300_000);
    assert!(error(&model(&[many])).contains("more than 262144 tensors"));
}

#[test]
fn what_is_no_model_is_said_to_be_none() {
    for (bytes, said) in [
        (&b""[..], "it is empty"),
        (b"hello, this is a text file\n", "is no ONNX file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"\x08\x08", "there is no graph"),
        (b"\x08\x08\x3a\x00", "there is no opset_import"),
        (b"PK\x03\x04zip", "is no ONNX file"),
    ] {
        assert!(error(bytes).contains(said), "{}", error(bytes));
    }
    let folder = Header::of_file(Path::new("/")).unwrap_err().to_string();
    assert!(folder.contains("no regular file"), "{folder}");
    assert!(matches!(Header::of_file(Path::new("/dev/zero")), Err(OnnxError::NotOnnx(_))));
}

fn toy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../toy").join(file)
}

#[test]
fn a_model_in_half_precision_is_seen_to_be_one() {
    for (file, dtype) in [
        ("att70_6-rnnt/encoder-model.onnx", DataType::F32),
        ("att70_6-rnnt-fp16/encoder-model.fp16.onnx", DataType::F16),
    ] {
        let weights = Header::of_file(&toy(file)).unwrap().weights_by_type();
        let all: u64 = weights.values().map(|weights| weights.elements).sum();
        let share = weights[&dtype].elements as f64 / all as f64;
        assert!(share > 0.9, "{file}: {share} of {weights:?}");
    }
}

#[test]
fn the_ports_of_a_real_model_are_its_own() {
    let header = Header::of_file(&toy("att70_6-rnnt/encoder-model.onnx")).unwrap();
    assert!(header.producer.0.contains("pytorch"), "{:?}", header.producer);
    let names =
        |ports: &[swictation_onnx::Port]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        names(&header.inputs),
        ["audio_signal", "length", "cache_last_channel", "cache_last_time", "cache_last_channel_len"]
    );
    assert_eq!(names(&header.outputs)[..2], ["outputs", "encoded_lengths"]);
    assert!(header.operators["MatMul"] > 4, "{:?}", header.operators);
}

#[test]
fn the_geometry_of_a_streaming_model_shows_in_the_bounds_of_its_outputs() {
    for (model, left, chunk) in
        [("att70_0-rnnt", 70, 1), ("att70_13-rnnt", 70, 14), ("att252_6-rnnt", 252, 7)]
    {
        let header = Header::of_file(&toy(&format!("{model}/encoder-model.onnx"))).unwrap();
        let bounds: Vec<_> = header.bounds.iter().map(|(name, bound)| (name.as_str(), *bound)).collect();
        assert_eq!(bounds, [("cache_last_channel_next_len", left), ("encoded_lengths", chunk)], "{model}");
    }
    // A bound may also be an initialiser, of 32 bits, or a number of its own field.
    for (dtype, value) in [(6, bytes(9, 5_i32.to_le_bytes())), (7, number(7, 5)), (6, bytes(5, varint(5)))] {
        let clip = [bytes(1, "in"), bytes(1, ""), bytes(1, "most"), node("Clip", "out", &[])].concat();
        let graph =
            [bytes(1, clip), bytes(5, tensor("most", dtype, &[], &value)), bytes(12, port("out", 7, &[]))];
        assert_eq!(read(&model(&graph)).unwrap().bounds.get("out"), Some(&5));
    }
}

#[test]
fn subsampling_and_kernels_show_in_the_convolutions() {
    let header = Header::of_file(&toy("att70_6-rnnt/encoder-model.onnx")).unwrap();
    let strided = header.convolutions.iter().filter(|(one, _)| one.strides.first().is_some_and(|by| *by > 1));
    let by: u64 = strided.map(|(one, n)| one.strides[0].pow(u32::try_from(*n).unwrap())).product();
    assert_eq!(by, 8, "{:?}", header.convolutions);
    let depthwise: Vec<_> =
        header.convolutions.keys().filter(|one| one.groups > 1 && one.kernel.len() == 1).collect();
    assert_eq!(depthwise.iter().map(|one| one.kernel[0]).collect::<Vec<_>>(), [9]);
}

#[test]
fn a_file_cut_short_anywhere_never_has_other_weights() {
    let whole = whole();
    let full = read(&whole).unwrap();
    let mut read_anyway = 0;
    for end in 0..whole.len() {
        // Between two fields of the model itself nothing shows that others are missing.
        if let Ok(header) = read(&whole[..end]) {
            assert_eq!(header.tensors, full.tensors, "cut at {end}");
            read_anyway += 1;
        }
    }
    assert_eq!(read_anyway, 1, "only the metadata can be missing unseen");
}

proptest! {
    #[test]
    fn a_real_model_cut_short_is_an_error(end in 0_usize..12_000) {
        let bytes = std::fs::read(toy("att70_6-rnnt-split/decoder.onnx")).unwrap();
        prop_assert!(read(&bytes[..end.min(bytes.len() - 200)]).is_err());
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_damaged_model_gives_an_answer(at in any::<prop::sample::Index>(), byte in any::<u8>(), more in any::<prop::sample::Index>()) {
        let mut bytes = whole();
        let (at, more) = (at.index(bytes.len()), more.index(bytes.len()));
        bytes[at] = byte;
        bytes[more] ^= byte;
        if let Ok(header) = read(&bytes) {
            let _ = (header.weights_by_type(), header.external_files());
        }
    }
}
