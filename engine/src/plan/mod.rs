//! Telephone numbers: one normal form inside, the peers' forms at the edges.

mod form;
mod hash;
mod number;

pub use form::{DigitEdit, DigitEdits, UriForm};
pub(crate) use hash::NumberHash;
pub use number::{E164, NumberError, NumberFormat, parse_e164, read_dialled, write_number};
