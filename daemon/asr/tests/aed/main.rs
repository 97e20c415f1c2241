//! The attention decoders on a toy model: parity with NeMo, its limits, bad models.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod limits;
mod second;
#[cfg(test)]
mod toy;
