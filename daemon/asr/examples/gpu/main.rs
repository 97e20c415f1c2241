//! A device held against the processor: the same tokens, how long, how much memory.
//!
//! `gpu [--device cuda:0|cpu] [--seconds 20] [--passes 3] [--audio WAV] [--write FILE]
//! FOLDER...`, each FOLDER a cache-aware model. An FP32 model is the reference of itself
//! and of the folders after it, up to the next FP32 model: it is run on the processor
//! first. Every model is measured in a process of its own, so that no memory is counted
//! twice. Without `--audio` it hears noise and tones, which do for models with random
//! weights. The table is Markdown, on standard output or in FILE.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod measure;
mod memory;
mod table;

use measure::{Job, Measured};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use table::{Row, compare};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("gpu: an FP32 model does not give the processor's tokens");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("gpu: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and writes the table; whether FP32 gave the processor's tokens.
fn run() -> Result<bool, Box<dyn Error>> {
    let (mut job, mut write, mut child) = (Job::default(), None, false);
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--device" => job.device = value()?,
            "--seconds" => job.seconds = value()?.parse()?,
            "--passes" => job.passes = value()?.parse()?,
            "--audio" => job.audio = Some(value()?.into()),
            "--write" => write = Some(PathBuf::from(value()?)),
            "--measure" => child = true,
            option if option.starts_with("--") => return Err(format!("{option} is unknown").into()),
            _ => folders.push(arg.into()),
        }
    }
    if folders.is_empty() || !(1..=3600).contains(&job.seconds) || !(1..=100).contains(&job.passes) {
        return Err("usage: gpu [--device cuda:0|cpu] [--seconds 1..3600] [--passes 1..100] [--audio WAV] [--write FILE] FOLDER...".into());
    }
    if child {
        measure::measure(&job, &folders[0])?.write(&mut std::io::stdout().lock())?;
        return Ok(true);
    }
    memory::check(&job.device)?;
    let rows = rows(&job, &folders)?;
    let text = table::render(&job, &rows);
    match write {
        Some(file) => std::fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?,
        None => print!("{text}"),
    }
    Ok(rows.iter().all(|row| row.exact || row.precision != "fp32"))
}

fn rows(job: &Job, folders: &[PathBuf]) -> Result<Vec<Row>, Box<dyn Error>> {
    let (mut rows, mut reference) = (Vec::new(), None);
    for folder in folders {
        let precision = measure::precision(folder)?;
        if precision == "fp32" {
            let on_cpu = Job { device: "cpu".into(), ..job.clone() };
            let measured = spawn(&on_cpu, folder)?;
            rows.push(compare(folder, &measured, &measured));
            reference = Some(measured);
        }
        let Some(reference) = &reference else {
            let folder = folder.display();
            return Err(format!("{folder} is {precision}; an FP32 model must come before it").into());
        };
        rows.push(compare(folder, &spawn(job, folder)?, reference));
    }
    Ok(rows)
}

/// Has a process of its own measure.
fn spawn(job: &Job, folder: &Path) -> Result<Measured, Box<dyn Error>> {
    eprintln!("measuring {} on {}", folder.display(), job.device);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--measure", "--device", &job.device, "--seconds", &job.seconds.to_string()]);
    command.args(["--passes", &job.passes.to_string()]);
    if let Some(audio) = &job.audio {
        command.arg("--audio").arg(audio);
    }
    let done = command.arg(folder).stderr(Stdio::inherit()).output()?;
    if !done.status.success() {
        return Err(format!("{} could not be measured on {}", folder.display(), job.device).into());
    }
    Measured::read(&done.stdout)
}
