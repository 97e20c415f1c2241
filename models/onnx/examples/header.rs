//! Prints what ONNX files say about themselves.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;
use std::process::ExitCode;
use swictation_onnx::Header;

fn main() -> ExitCode {
    for file in std::env::args().skip(1) {
        let header = match Header::of_file(Path::new(&file)) {
            Ok(header) => header,
            Err(e) => {
                eprintln!("{file} {e}");
                return ExitCode::FAILURE;
            }
        };
        println!("{file}: IR {}, operators {:?}, by {:?}", header.ir_version, header.opsets, header.producer);
        for (kind, ports) in [("input", &header.inputs), ("output", &header.outputs)] {
            for port in ports {
                println!("{kind} {:?}: {:?} {:?}", port.name, port.dtype.map(|t| t.to_string()), port.dims);
            }
        }
        println!("metadata {:?}", header.metadata);
        for (dtype, weights) in header.weights_by_type() {
            println!("{dtype}: {} elements, {} bytes", weights.elements, weights.bytes);
        }
        println!("bounds {:?}", header.bounds);
        println!("beside it {:?}", header.external_files());
        println!("operators {:?}", header.operators);
    }
    ExitCode::SUCCESS
}
