//! The committed shell completions are those of the command line as it is.
//!
//! `SWICTATION_BLESS=1` writes them anew.

#[path = "../src/args.rs"]
#[allow(dead_code)]
mod args;

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use std::fs;
use std::path::Path;

#[test]
fn the_completions_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/completions");
    for (shell, file) in
        [(Shell::Bash, "swictation.bash"), (Shell::Zsh, "_swictation"), (Shell::Fish, "swictation.fish")]
    {
        let mut current = Vec::new();
        generate(shell, &mut args::Args::command(), "swictation", &mut current);
        let path = folder.join(file);
        if std::env::var_os("SWICTATION_BLESS").is_some() {
            fs::write(&path, &current).unwrap();
        }
        let committed = fs::read(&path).unwrap_or_default();
        assert!(
            committed == current,
            "{} is out of date: SWICTATION_BLESS=1 cargo test -p swictation-cli",
            path.display()
        );
    }
}
