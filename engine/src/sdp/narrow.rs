//! Leaves out what a peer does not know.

use super::codec::payload_type;
use super::parse::{lines, word};
use super::{MAX_CODECS, Sdp};

/// The description without the formats of its speech line whose encodings are not `known`, with
/// their `a=rtpmap`, `a=fmtp` and `a=rtcp-fb`. Payload types stay as they are. `None` when no
/// encoding that carries speech is left; a description of fax or video is returned as it is.
pub(crate) fn narrow(body: &[u8], known: &[Box<str>]) -> Option<Vec<u8>> {
    let Ok(sdp) = Sdp::parse(body) else { return Some(body.to_vec()) };
    let Some(at) = sdp.relayed().filter(|at| is_speech(&sdp, *at)) else {
        return Some(body.to_vec());
    };
    let mut kept = [None; MAX_CODECS];
    let mut speaks = false;
    let known = |name: &str| known.iter().any(|one| one.eq_ignore_ascii_case(name));
    for (slot, codec) in kept.iter_mut().zip(sdp.codecs(at).filter(|codec| known(codec.name))) {
        *slot = Some(codec.payload_type);
        speaks |= codec.is_speech();
    }
    speaks.then_some(())?;
    let is_kept = |format: u8| kept.contains(&Some(format));
    let mut out = Vec::with_capacity(body.len());
    let mut section = None;
    for line in lines(body).map_while(Result::ok) {
        if line.letter == b'm' {
            section = Some(section.map_or(0, |n: usize| n + 1));
        }
        match line.letter {
            b'm' if section == Some(at) => {
                out.extend_from_slice(b"m=");
                write_formats(line.value, is_kept, &mut out);
                out.extend_from_slice(line.end());
            }
            b'a' if section == Some(at)
                && format_of(line.value).is_some_and(|format| !is_kept(format)) => {}
            _ => out.extend_from_slice(line.raw),
        }
    }
    Some(out)
}

fn is_speech(sdp: &Sdp<'_>, at: usize) -> bool {
    sdp.media().get(at).is_some_and(|media| media.kind.eq_ignore_ascii_case("audio"))
}

/// `audio 4000 RTP/AVP` as it is, and of the formats those that are kept.
fn write_formats(value: &[u8], is_kept: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let mut rest = value;
    let mut first = true;
    for at in 0.. {
        let Some((text, after)) = word(rest) else { return };
        rest = after;
        let kept = at < FORMATS_AT || payload_type(text).is_some_and(&is_kept);
        if kept {
            if !first {
                out.push(b' ');
            }
            first = false;
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Kind, port and profile stand before the formats (RFC 4566 5.14).
const FORMATS_AT: usize = 3;

/// The payload type that an attribute speaks of.
fn format_of(attribute: &[u8]) -> Option<u8> {
    let names: [&[u8]; 3] = [b"rtpmap:", b"fmtp:", b"rtcp-fb:"];
    let rest = names.iter().find_map(|name| attribute.strip_prefix(*name))?;
    payload_type(word(rest)?.0)
}

#[cfg(test)]
mod tests {
    use super::narrow;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                         m=audio 4000 RTP/AVP 8 0 9 101 18 96\r\na=rtpmap:8 PCMA/8000\r\n\
                         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
                         a=fmtp:18 annexb=no\r\na=rtpmap:96 opus/48000/2\r\na=ptime:20\r\n\
                         m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

    fn narrowed(body: &str, known: &[&str]) -> Option<String> {
        let known: Vec<Box<str>> = known.iter().map(|one| Box::from(*one)).collect();
        narrow(body.as_bytes(), &known).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn formats_that_a_peer_does_not_know_go_with_their_attributes() {
        assert_eq!(
            narrowed(OFFER, &["pcmu", "Telephone-Event"]).unwrap(),
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 0 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n\
             m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        );
    }

    #[test]
    fn an_offer_without_a_known_voice_is_none() {
        assert_eq!(narrowed(OFFER, &["GSM"]), None);
        assert_eq!(narrowed(OFFER, &["telephone-event"]), None);
    }

    #[test]
    fn fax_and_what_is_known_already_stay_as_they_are() {
        let fax = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=image 4000 udptl t38\r\n";
        assert_eq!(narrowed(fax, &["PCMU"]).as_deref(), Some(fax));
        let plain = "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n";
        assert_eq!(narrowed(plain, &["PCMU"]).as_deref(), Some(plain));
    }
}
