//! The scanner: one pass over the lines.

use std::net::IpAddr;

use super::{Direction, MAX_MEDIA, Media, Sdp, SdpError};

/// A line of a description: its letter, its value, and its end as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) letter: u8,
    pub(super) value: &'a [u8],
    /// The line with its end.
    pub(super) raw: &'a [u8],
}

impl<'a> Line<'a> {
    /// CRLF, LF, or nothing at the end of the body.
    pub(super) fn end(&self) -> &'a [u8] {
        self.raw.get(self.value.len() + LETTER_LEN..).unwrap_or_default()
    }
}

const LETTER_LEN: usize = "m=".len();

/// The lines of a body. Empty ones are left out; a line that is not `letter=value` is an error.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = Result<Line<'_>, SdpError>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (raw, after) = rest.split_at(end);
            rest = after;
            let text = raw.strip_suffix(b"\n").unwrap_or(raw);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            match text {
                [] => continue,
                [letter, b'=', value @ ..] => {
                    return Some(Ok(Line { letter: *letter, value, raw }));
                }
                _ => return Some(Err(SdpError::Line)),
            }
        }
    })
}

/// Media lines that a telephone offers.
const USUAL_MEDIA: usize = 2;

/// What the session says for every media line that does not say it itself.
#[derive(Clone, Copy, Default)]
struct Level {
    connection: Option<Connection>,
    direction: Option<Direction>,
}

#[derive(Clone, Copy)]
pub(super) enum Connection {
    Address(IpAddr),
    Name,
}

/// Whether a body is free of NUL and of carriage returns inside a line, which RFC 4566 9 forbids
/// and other parsers take for the end of a line or of everything.
fn is_clean(body: &[u8]) -> bool {
    // All bytes are looked at, in wide registers, rather than up to the first bad one.
    let pairs = body.iter().zip(body.get(1..).unwrap_or_default());
    let bad = pairs.fold(false, |bad, (byte, next)| {
        bad | (*byte == 0) | ((*byte == b'\r') & (*next != b'\n'))
    });
    !bad && !matches!(body.last(), Some(0 | b'\r'))
}

pub(super) fn parse(body: &[u8]) -> Result<Sdp<'_>, SdpError> {
    if !is_clean(body) {
        return Err(SdpError::Line);
    }
    let mut sdp = Sdp { body, media: Vec::with_capacity(USUAL_MEDIA) };
    let mut session = Level::default();
    let mut level = None;
    let mut lines = lines(body);
    match lines.next() {
        Some(Ok(Line { letter: b'v', value: b"0", .. })) => {}
        _ => return Err(SdpError::NotSdp),
    }
    for line in lines {
        let line = line?;
        if line.letter == b'm' {
            if sdp.media.len() == MAX_MEDIA {
                return Err(SdpError::TooManyMedia);
            }
            if let (Some(media), Some(level)) = (sdp.media.last_mut(), &level) {
                inherit(media, level, &session);
            }
            sdp.media.push(media_line(line.value).ok_or(SdpError::Media)?);
            level = Some(Level::default());
            continue;
        }
        let level = level.as_mut().unwrap_or(&mut session);
        match line.letter {
            b'c' => {
                let connection = connection(line.value).ok_or(SdpError::Connection)?;
                level.connection.get_or_insert(connection);
            }
            b'a' => {
                attribute(line.value, level, sdp.media.last_mut())?;
            }
            _ => {}
        }
    }
    if let (Some(media), Some(level)) = (sdp.media.last_mut(), &level) {
        inherit(media, level, &session);
    }
    Ok(sdp)
}

/// The media lines alone, as they stand, of a body that was read before.
pub(super) fn outline(body: &[u8]) -> Option<Sdp<'_>> {
    let mut sdp = Sdp { body, media: Vec::with_capacity(USUAL_MEDIA) };
    for line in lines(body).map_while(Result::ok).filter(|line| line.letter == b'm') {
        sdp.media.push(media_line(line.value)?);
    }
    Some(sdp)
}

fn inherit(media: &mut Media<'_>, level: &Level, session: &Level) {
    match level.connection.or(session.connection) {
        Some(Connection::Address(address)) => media.connection = Some(address),
        Some(Connection::Name) => media.connection_is_name = true,
        None => {}
    }
    let direction = level.direction.or(session.direction).unwrap_or_default();
    let held = media.connection.is_some_and(|address| address.is_unspecified());
    media.direction = match direction {
        Direction::SendRecv if held => Direction::SendOnly,
        Direction::RecvOnly if held => Direction::Inactive,
        direction => direction,
    };
}

fn attribute(
    value: &[u8],
    level: &mut Level,
    media: Option<&mut Media<'_>>,
) -> Result<(), SdpError> {
    match value {
        b"sendrecv" => level.direction = Some(Direction::SendRecv),
        b"sendonly" => level.direction = Some(Direction::SendOnly),
        b"recvonly" => level.direction = Some(Direction::RecvOnly),
        b"inactive" => level.direction = Some(Direction::Inactive),
        b"rtcp-mux" => {
            if let Some(media) = media {
                media.rtcp_mux = true;
            }
        }
        _ => {
            if let (Some(rtcp), Some(media)) = (value.strip_prefix(b"rtcp:"), media) {
                media.rtcp = Some(rtcp_attribute(rtcp).ok_or(SdpError::Rtcp)?);
            }
        }
    }
    Ok(())
}

/// `audio 49170/2 RTP/AVP 0 8 101`. A count after the port is passed over.
fn media_line(value: &[u8]) -> Option<Media<'_>> {
    let (kind, rest) = word(value)?;
    let (port, rest) = word(rest)?;
    let (proto, formats) = word(rest)?;
    let port = before_slash(port);
    Some(Media {
        kind,
        port: number(port)?,
        proto,
        formats: std::str::from_utf8(formats).ok()?.trim(),
        connection: None,
        connection_is_name: false,
        rtcp: None,
        rtcp_mux: false,
        direction: Direction::SendRecv,
    })
}

/// `IN IP4 192.0.2.1`, with a TTL and a count after a multicast address.
pub(super) fn connection(value: &[u8]) -> Option<Connection> {
    let (net, rest) = part(value)?;
    let (family, rest) = part(rest)?;
    let (address, _) = word(rest)?;
    let address = before_slash(address);
    let known = net.eq_ignore_ascii_case(b"IN")
        && (family.eq_ignore_ascii_case(b"IP4") || family.eq_ignore_ascii_case(b"IP6"));
    if !known || address.is_empty() {
        return None;
    }
    Some(match address.parse() {
        Ok(address) => Connection::Address(address),
        Err(_) => Connection::Name,
    })
}

/// `53020` or `53020 IN IP4 192.0.2.1` (RFC 3605 2.1). A name in it counts as no address.
fn rtcp_attribute(value: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let (port, rest) = word(value)?;
    let port = number(port).filter(|port| *port != 0)?;
    match word(rest) {
        None => Some((None, port)),
        Some(_) => match connection(rest)? {
            Connection::Address(address) => Some((Some(address), port)),
            Connection::Name => Some((None, port)),
        },
    }
}

/// The word at the front, and what follows it. Several spaces count as one.
pub(super) fn word(value: &[u8]) -> Option<(&str, &[u8])> {
    let (word, rest) = part(value)?;
    Some((std::str::from_utf8(word).ok()?, rest))
}

/// [`word`] of any bytes.
#[inline]
fn part(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = value.iter().position(|b| *b != b' ' && *b != b'\t')?;
    let value = value.get(start..)?;
    let end = value.iter().position(|b| *b == b' ' || *b == b'\t').unwrap_or(value.len());
    Some(value.split_at(end))
}

/// Without a TTL or a count.
fn before_slash(word: &str) -> &str {
    let end = word.bytes().position(|b| b == b'/').unwrap_or(word.len());
    word.get(..end).unwrap_or_default()
}

/// Digits alone, without a sign.
pub(super) fn number(digits: &str) -> Option<u16> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}
