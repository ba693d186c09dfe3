//! What the witness saw, kept in a file: one message a line, as JSON.

use std::io::{BufRead, Write};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Micros;
use super::packet::Sighting;

/// Everything seen by a watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// In the order of their time.
    pub sightings: Vec<Sighting>,
    /// Packets that the kernel dropped because the witness was too slow. Not zero: nothing is
    /// proved.
    pub dropped: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    at: Micros,
    from: SocketAddr,
    to: SocketAddr,
    text: String,
}

impl Recording {
    /// Writes it down. Bytes that are no UTF-8 are replaced.
    pub fn write(&self, mut out: impl Write) -> std::io::Result<()> {
        for seen in &self.sightings {
            let Sighting { at, from, to, payload } = seen;
            let text = String::from_utf8_lossy(payload).into_owned();
            let line = Line { at: *at, from: *from, to: *to, text };
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Reads it again.
    pub fn read(text: impl BufRead) -> std::io::Result<Recording> {
        let mut sightings = Vec::new();
        for line in text.lines() {
            let Line { at, from, to, text } = serde_json::from_str(&line?)?;
            sightings.push(Sighting { at, from, to, payload: text.into_bytes() });
        }
        Ok(Recording { sightings, dropped: 0 })
    }
}
