//! What goes to standard output, and how a status looks to a person.

use crate::failure::Failure;
use serde_json::Value;
use std::io::{self, Write};
use swictation_control::{Status, exit};

/// The word for a daemon that does not run.
pub(crate) const STOPPED: &str = "stopped";

/// Prints a line at once; the exit code that is right after it.
pub(crate) fn line(line: &str) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(exit::OK),
        Err(e) => Err(Failure::new(exit::FAILURE, format!("standard output: {e}"))),
    }
}

/// A status in lines for a person.
pub(crate) fn status(status: Option<&Status>) -> String {
    let Some(status) = status else { return STOPPED.into() };
    let mut lines = status.lines();
    lines.push(format!("version: {}", status.version));
    metrics("", &status.metrics, &mut lines);
    lines.join("\n")
}

/// One line for each number, named by its path.
fn metrics(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                metrics(&path, value, lines);
            }
        }
        Value::Null => {}
        value => lines.push(format!("{path}: {value}")),
    }
}
