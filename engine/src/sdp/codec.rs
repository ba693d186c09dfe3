//! Codecs by name, for "no codec in common".

use super::parse::{lines, number, word};
use super::{Sdp, is_fax};

/// The most formats of a media line that are looked at: phones offer up to 20. The bound keeps
/// the work on a hostile offer small.
pub const MAX_CODECS: usize = 32;

/// A format of a media line, with its `a=rtpmap` or its static name (RFC 3551 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec<'a> {
    /// The payload type.
    pub payload_type: u8,
    /// The encoding's name; case-insensitive.
    pub name: &'a str,
    /// Clock rate in hertz.
    pub clock: u32,
}

impl Codec<'_> {
    /// The same encoding, whatever its payload type.
    pub fn is_same(&self, other: &Codec<'_>) -> bool {
        self.clock == other.clock && self.name.eq_ignore_ascii_case(other.name)
    }

    /// Carries sound: not telephone events (RFC 4733), not comfort noise (RFC 3389).
    pub fn is_speech(&self) -> bool {
        let other = ["telephone-event", "tone", "CN"];
        !other.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }
}

/// Static payload types that telephones use.
const STATIC: [Codec<'static>; 9] = [
    fixed(0, "PCMU", 8_000),
    fixed(3, "GSM", 8_000),
    fixed(4, "G723", 8_000),
    fixed(8, "PCMA", 8_000),
    fixed(9, "G722", 8_000),
    fixed(13, "CN", 8_000),
    fixed(15, "G728", 8_000),
    fixed(18, "G729", 8_000),
    fixed(34, "H263", 90_000),
];

/// The speech among them (RFC 3551 6): these numbers mean what they mean, whatever an
/// `a=rtpmap` may call them.
const SPEECH: u64 = 1 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 9 | 1 << 15 | 1 << 18;

const fn fixed(payload_type: u8, name: &'static str, clock: u32) -> Codec<'static> {
    Codec { payload_type, name, clock }
}

/// A payload type that is still without a name.
#[derive(Clone, Copy)]
struct Format<'a> {
    payload_type: u8,
    mapped: Option<(&'a str, u32)>,
}

impl<'a> Sdp<'a> {
    /// The codecs of a media line, in the order of preference, the first [`MAX_CODECS`] of them.
    /// A dynamic payload type without `a=rtpmap` is left out, and so is what is no payload type.
    pub fn codecs(&self, media: usize) -> impl Iterator<Item = Codec<'a>> + use<'a> {
        let mut formats = [None; MAX_CODECS];
        let listed = self.media().get(media).map_or("", |media| media.formats);
        let types = listed.split_ascii_whitespace().filter_map(payload_type);
        for (slot, payload_type) in formats.iter_mut().zip(types) {
            *slot = Some(Format { payload_type, mapped: None });
        }
        self.map_formats(media, &mut formats);
        formats.into_iter().flatten().filter_map(|format| match format.mapped {
            Some((name, clock)) => Some(Codec { payload_type: format.payload_type, name, clock }),
            None => STATIC.into_iter().find(|codec| codec.payload_type == format.payload_type),
        })
    }

    /// The payload types of a media line that carry sound by their number alone, as a set of
    /// bits. Nearly every pair of phones has one in common, so that names need no reading.
    fn static_speech(&self, media: usize) -> u64 {
        let listed = self.media().get(media).map_or("", |media| media.formats);
        let types = listed.split_ascii_whitespace().take(MAX_CODECS).filter_map(payload_type);
        types.filter(|one| *one < 64).fold(0, |set, one| set | 1 << one) & SPEECH
    }

    /// One pass over the lines, for all formats.
    fn map_formats(&self, media: usize, formats: &mut [Option<Format<'a>>; MAX_CODECS]) {
        let mut section = None;
        for line in lines(self.body()).map_while(Result::ok) {
            if line.letter == b'm' {
                section = Some(section.map_or(0, |n: usize| n + 1));
            }
            if line.letter != b'a' || section != Some(media) {
                continue;
            }
            let Some((mapped_type, name, clock)) = rtpmap(line.value) else { continue };
            for format in formats.iter_mut().flatten() {
                if format.payload_type == mapped_type && format.mapped.is_none() {
                    format.mapped = Some((name, clock));
                }
            }
        }
    }
}

/// Whether the relayed lines of offer and answer share a codec that carries sound, or are both
/// fax. False when either has no line that is relayed.
pub fn codec_in_common(offer: &Sdp<'_>, answer: &Sdp<'_>) -> bool {
    let (Some(offered), Some(answered)) = (offer.relayed(), answer.relayed()) else {
        return false;
    };
    if is_fax(offer) || is_fax(answer) {
        return is_fax(offer) && is_fax(answer);
    }
    if offer.static_speech(offered) & answer.static_speech(answered) != 0 {
        return true;
    }
    let mut speech = [None; MAX_CODECS];
    for (slot, codec) in speech.iter_mut().zip(offer.codecs(offered).filter(Codec::is_speech)) {
        *slot = Some(codec);
    }
    answer.codecs(answered).any(|codec| speech.iter().flatten().any(|other| other.is_same(&codec)))
}

pub(super) fn payload_type(format: &str) -> Option<u8> {
    u8::try_from(number(format)?).ok().filter(|payload_type| *payload_type < 128)
}

/// `rtpmap:101 telephone-event/8000`
fn rtpmap(attribute: &[u8]) -> Option<(u8, &str, u32)> {
    let (format, rest) = word(attribute.strip_prefix(b"rtpmap:")?)?;
    let (encoding, _) = word(rest)?;
    let mut parts = encoding.split('/');
    let name = parts.next()?;
    let clock = parts.next()?.parse().ok()?;
    Some((payload_type(format)?, name, clock))
}
