//! SIP syntax (RFC 3261 7, 19, 20, 25): an index over a message, typed values on demand, and a
//! writer.
//!
//! A message is read in one pass that copies nothing and allocates nothing. What passes through
//! is copied once, into the outgoing buffer. Reading is liberal where RFC 4475 asks for it (white
//! space, folding, compact forms, bare line feeds) and refuses what two readers could understand
//! differently; the writer writes one form only.

mod check;
mod compact;
mod digest;
mod error;
mod fields;
mod header;
mod index;
mod message;
mod method;
mod name_addr;
mod params;
mod reason;
mod scan;
mod uri;
mod via;
mod writer;

pub(crate) use compact::compact_names;
pub use digest::{Challenge, Credentials};
pub use error::{ParseError, ParseErrorKind};
pub use fields::{CSeq, RAck};
pub use header::{Header, HeaderId};
pub use message::{MAX_DATAGRAM, MAX_HEADER_LINE, MAX_HEADERS, Message, Start, Values};
pub use method::Method;
pub use name_addr::{NameAddr, NameAddrs};
pub use params::Params;
pub use reason::reason_phrase;
pub(crate) use uri::unescape;
pub use uri::{Scheme, Uri};
pub use via::{MAGIC_COOKIE, Via};
pub use writer::Writer;
pub(crate) use writer::{put_ipv4, put_number};

#[cfg(test)]
mod tests;
