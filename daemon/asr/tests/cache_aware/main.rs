//! The cache-aware family on toy models: parity with NeMo, and damaged models.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod recurrent;
mod second;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod toy;
