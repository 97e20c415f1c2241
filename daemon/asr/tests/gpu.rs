//! `scripts/bench gpu` on the processor and a toy: every row and cell is filled, and
//! without a GPU it says so.
//!
//! Cargo builds the examples with the tests and puts them beside the folder of these.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use swictation_asr::graph::runtime_path;
use swictation_tests::need;

fn toy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy").join(name)
}

/// Runs the example, when it and ONNX Runtime are there.
fn gpu(args: &[&str], folders: &[&str]) -> Option<Output> {
    let own = std::env::current_exe().unwrap();
    let example = own.parent().and_then(Path::parent).unwrap().join("examples/gpu");
    if !need("ONNX Runtime", runtime_path().exists()) || !need("the example gpu", example.exists()) {
        return None;
    }
    let mut command = Command::new(example);
    command.env("ORT_DYLIB_PATH", runtime_path()).args(args).args(folders.iter().map(|name| toy(name)));
    Some(command.output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_cell_is_filled_and_fp32_gives_its_own_tokens() {
    let args = ["--device", "cpu", "--seconds", "4", "--passes", "2"];
    let Some(done) = gpu(&args, &["att70_6-rnnt", "att70_6-rnnt-fp16"]) else { return };
    assert!(done.status.success(), "{}", text(&done.stderr));
    let out = text(&done.stdout);
    let lines = out.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let table: Vec<Vec<&str>> = lines.map(|line| line.split(" | ").collect()).collect();
    let [heads, _, rows @ ..] = table.as_slice() else { panic!("{out}") };
    // FP32 is on the processor as the reference, and on the device, which is the same here.
    let names: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(names, ["att70_6-rnnt", "att70_6-rnnt", "att70_6-rnnt-fp16"]);
    for row in rows {
        assert_eq!(row.len(), heads.len(), "{out}");
        assert!(row.iter().all(|cell| !cell.trim().is_empty()), "{out}");
        let number = |cell: &str| cell.parse::<f64>().unwrap_or_else(|_| panic!("{cell:?} in {out}"));
        assert!(number(row[6]) > 0.0 && number(row[6]) <= number(row[7]), "{out}");
        let (loaded, peak) = row[8].split_once(" / ").unwrap();
        assert!(number(loaded) > 1.0 && number(loaded) <= number(peak), "{out}");
        assert_eq!((row[2], row[3]), ("cpu", "0"), "{out}");
    }
    assert!(rows[1][4].starts_with("all ") && rows[1][5] == "0.0e0", "{out}");
    assert!(rows[1][1].contains("% fp32") && rows[2][1].contains("99.9 % fp16"), "{out}");
    let difference: f64 = rows[2][5].parse().unwrap();
    assert!(difference > 0.0 && difference < 0.1, "{out}");
}

#[test]
fn without_a_gpu_it_says_so_and_measures_nothing() {
    // No machine has so many.
    let Some(done) = gpu(&["--device", "cuda:63"], &["att70_6-rnnt"]) else { return };
    assert!(!done.status.success());
    let said = text(&done.stderr);
    assert!(said.contains("there is no cuda:63 here, nothing was measured"), "{said}");
    assert!(said.contains("--device cpu") && done.stdout.is_empty(), "{said}");
}

#[test]
fn a_model_without_its_reference_is_refused() {
    let Some(done) = gpu(&["--device", "cpu"], &["att70_6-rnnt-fp16"]) else { return };
    assert!(text(&done.stderr).contains("an FP32 model must come before it"), "{}", text(&done.stderr));
}
