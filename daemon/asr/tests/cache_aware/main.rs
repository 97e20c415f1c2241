//! The cache-aware family on toy models: parity with NeMo, and damaged models.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod golden;
mod second;
#[cfg(test)]
mod recurrent;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod toy;
