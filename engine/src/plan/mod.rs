//! Telephone numbers: one normal form inside, the peers' forms at the edges.

mod number;

pub use number::{E164, NumberError, NumberFormat, parse_e164, read_dialled, write_number};
