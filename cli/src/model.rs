//! `swictation model`: which models there are, fetching, checking and removing them.
//!
//! The rules are the store's (`swictation-models`); here is what a person sees.

use crate::args::ModelVerb;
use crate::choice;
use crate::failure::Failure;
use crate::progress::{Progress, bytes};
use crate::show;
use serde_json::json;
use std::collections::BTreeMap;
use swictation_control::exit;
use swictation_models::installed::{self, Installed};
use swictation_models::{Catalogue, Entry, HUB, Http, Manifest, Patience, Places, Source, Store, StoreError};

/// Does what the verb says; the exit code when that went well.
pub(crate) fn run(verb: ModelVerb) -> Result<u8, Failure> {
    let places = Places::own();
    match verb {
        ModelVerb::List { json } => list(&places, json),
        ModelVerb::Info { name } => info(&places, &name),
        ModelVerb::Get { name, from } => get(places, &name, from),
        ModelVerb::Import(import) => crate::import::run(&places, import),
        ModelVerb::Verify { name } => verify(&places, name),
        ModelVerb::Use { model } => choice::choose(&places, &model),
        ModelVerb::Remove { name, force } => {
            if !force && installed::one(&places, &name).is_some() {
                choice::expect_unused(&places, &name)?;
            }
            installed::remove(&places, &name)?;
            show::line(&format!("{name} is removed"))
        }
    }
}

/// What is known of a model, be it here, to be had, or both.
struct Known<'a> {
    name: &'a str,
    entry: Option<&'a Entry>,
    here: Option<&'a Installed>,
    /// Whether a part of it was fetched.
    begun: bool,
}

impl Known<'_> {
    fn state(&self) -> &'static str {
        match self.here {
            Some(Installed { manifest: Ok(_), .. }) => "installed",
            Some(_) => "unreadable",
            None if self.begun => "begun",
            None => "available",
        }
    }

    /// What its model.toml says; of the installed one, as that is what is used.
    fn manifest(&self) -> Option<&Manifest> {
        match self.here {
            Some(here) => here.manifest.as_ref().ok(),
            None => self.entry.map(|entry| &entry.manifest),
        }
    }

    fn size(&self) -> Option<u64> {
        self.here.map(|here| here.size).or_else(|| self.entry?.size())
    }

    fn memory_mb(&self) -> Option<u64> {
        self.entry?.memory_mb
    }

    fn description(&self) -> &str {
        self.entry.map_or("", |entry| &entry.description)
    }
}

fn list(places: &Places, json: bool) -> Result<u8, Failure> {
    let (catalogue, installed) = (Catalogue::read(places)?, installed::all(places)?);
    let mut known: BTreeMap<&str, (Option<&Entry>, Option<&Installed>)> = BTreeMap::new();
    for entry in catalogue.entries() {
        known.entry(&entry.name).or_default().0 = Some(entry);
    }
    for model in &installed {
        known.entry(&model.name).or_default().1 = Some(model);
    }
    let known = known.into_iter().map(|(name, (entry, here))| {
        let begun = places.fetching(name).exists();
        Known { name, entry, here, begun }
    });
    if json {
        for model in known {
            show::line(&object(&model).to_string())?;
        }
        return Ok(exit::OK);
    }
    let mut rows =
        vec![["NAME", "STATE", "SIZE", "LANGUAGE", "FAMILY", "LICENCE", "GOOD FOR"].map(String::from)];
    for model in known {
        let manifest = |field: fn(&Manifest) -> &str| model.manifest().map_or("?", field).to_owned();
        rows.push([
            model.name.into(),
            model.state().into(),
            model.size().map_or_else(|| "?".into(), bytes),
            manifest(|manifest| &manifest.language),
            manifest(|manifest| &manifest.family),
            manifest(|manifest| &manifest.licence),
            model.description().into(),
        ]);
    }
    for line in table(&rows) {
        show::line(&line)?;
    }
    Ok(exit::OK)
}

fn object(model: &Known<'_>) -> serde_json::Value {
    let manifest = model.manifest();
    json!({
        "name": model.name,
        "state": model.state(),
        "installed": model.here.is_some(),
        "available": model.entry.is_some(),
        "bytes": model.size(),
        "memory_mb": model.memory_mb(),
        "language": manifest.map(|manifest| &manifest.language),
        "family": manifest.map(|manifest| &manifest.family),
        "precision": manifest.map(|manifest| &manifest.precision),
        "licence": manifest.map(|manifest| &manifest.licence),
        "description": model.entry.map(|entry| &entry.description),
    })
}

/// Columns as wide as their widest cell; the last one ends where it ends.
fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn info(places: &Places, name: &str) -> Result<u8, Failure> {
    swictation_models::check_name(name)?;
    let catalogue = Catalogue::read(places)?;
    let (entry, here) = (catalogue.get(name), installed::one(places, name));
    if entry.is_none() && here.is_none() {
        return Err(unknown(&catalogue, name, "neither installed nor in the catalogue").into());
    }
    let begun = places.fetching(name).exists();
    let model = Known { name, entry, here: here.as_ref(), begun };
    let mut lines = vec![format!("name: {name}"), format!("state: {}", model.state())];
    let mut line = |key: &str, value: &str| lines.push(format!("{key}: {value}"));
    if let Some(entry) = entry {
        line("good for", &entry.description);
    }
    if let Some(Err(reason)) = here.as_ref().map(|here| &here.manifest) {
        line("trouble", &format!("{}, {reason}", places.model(name).join("model.toml").display()));
    }
    if let Some(manifest) = model.manifest() {
        line("family", &manifest.family);
        line("language", &manifest.language);
        line("licence", &manifest.licence);
        line("precision", &manifest.precision);
    }
    line("size", &model.size().map_or_else(|| "the hub tells it".into(), bytes));
    line("memory", &model.memory_mb().map_or_else(|| "not measured".into(), |mb| format!("{mb} MB")));
    if here.is_some() {
        line("folder", &places.model(name).display().to_string());
        for weights in installed::weights(places, name) {
            line("weights", &weights);
        }
    }
    for file in entry.iter().flat_map(|entry| &entry.files) {
        let size = file.size.map_or_else(|| "the hub tells its size".into(), bytes);
        let sum = file.sum.as_ref().map_or_else(|| "the hub tells its hash".into(), ToString::to_string);
        line("file", &format!("{}, {size}, {sum}", file.path));
        let from = match &file.source {
            Source::Url(url) => url.clone(),
            Source::Hub(hub) => hub.url(&hub_base(None)),
            Source::Wheel(wheel) => {
                format!("{} in the Python package {} {}", wheel.member, wheel.package, wheel.version)
            }
        };
        line("  from", &from);
    }
    show::line(&lines.join("\n"))
}

/// Where a hub is: where was asked for, where Hugging Face's own variable says, or
/// Hugging Face.
fn hub_base(from: Option<String>) -> String {
    let set = || std::env::var("HF_ENDPOINT").ok().filter(|base| !base.is_empty());
    from.or_else(set).unwrap_or_else(|| HUB.into())
}

fn get(places: Places, name: &str, from: Option<String>) -> Result<u8, Failure> {
    swictation_models::check_name(name)?;
    let catalogue = Catalogue::read(&places)?;
    let entry = catalogue.get(name).ok_or_else(|| unknown(&catalogue, name, "not in the catalogue"))?;
    let hub = |entry: &Entry| entry.files.iter().any(|file| matches!(file.source, Source::Hub(_)));
    if from.is_some() && !hub(entry) {
        let reason = format!(
            "--from: no file of {name} comes from a hub; `swictation model info {name}` says from where"
        );
        return Err(StoreError::Name(reason).into());
    }
    let folder = places.model(name);
    let store = Store::new(places, Http::new(Patience::default()), &hub_base(from))?;
    let mut progress = Progress::new();
    let done = store.get(entry, &mut |event| progress.tell(&event));
    progress.end();
    done?;
    show::line(&format!("{name} is installed in {}", folder.display()))?;
    show::line(&format!("`swictation model use {name}` has the daemon use it"))
}

fn verify(places: &Places, name: Option<String>) -> Result<u8, Failure> {
    let names = match name {
        Some(name) => vec![name],
        None => installed::all(places)?.into_iter().map(|model| model.name).collect(),
    };
    if names.is_empty() {
        return show::line(&format!("{} has no model", places.models().display()));
    }
    let mut faults = Vec::new();
    for name in names {
        let found = installed::verify(places, &name)?;
        for path in &found.unknown {
            show::line(&format!("{name}: no sum of {path} is known; it was not checked"))?;
        }
        if found.faults.is_empty() {
            show::line(&format!("{name}: {} files are right", found.right))?;
        } else {
            faults.extend(found.faults);
            faults.push(format!(
                "{name} is damaged: `swictation model get {name}` fetches what is wrong, and no more"
            ));
        }
    }
    if faults.is_empty() { Ok(exit::OK) } else { Err(StoreError::Damaged(faults.join("\n")).into()) }
}

fn unknown(catalogue: &Catalogue, name: &str, what: &str) -> StoreError {
    let names: Vec<_> = catalogue.entries().map(|entry| entry.name.as_str()).collect();
    StoreError::Absent(format!("{name} is {what}; the catalogue has {}", names.join(", ")))
}
