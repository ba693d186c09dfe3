//! Session descriptions of the simulated user agents, with the `sdp` crate (RFC 8866, RFC 3264).

use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};

use sdp::description::common::{Address, Attribute, ConnectionInformation};
use sdp::description::media::{MediaName, RangedPort};
use sdp::description::session::{Origin, TimeDescription};
use sdp::{MediaDescription, SessionDescription};

/// Which way voice flows, seen from the one who says it (RFC 3264 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// What answers it when we want everything (RFC 3264 6.1).
    pub(crate) fn answer(self) -> Direction {
        match self {
            Direction::SendRecv => Direction::SendRecv,
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            Direction::Inactive => Direction::Inactive,
        }
    }

    /// Whether the one who says it sends voice.
    pub(crate) fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }
}

/// What the far end said about its voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) address: SocketAddr,
    pub(crate) direction: Direction,
}

/// PCMU and telephone-event at 20 ms, as a Japanese PRI gateway offers them.
pub(crate) fn describe(id: u64, version: u64, at: SocketAddr, direction: Direction) -> Vec<u8> {
    let family = if at.is_ipv4() { "IP4" } else { "IP6" };
    let attribute = |key: &str, value: Option<&str>| Attribute {
        key: key.to_owned(),
        value: value.map(str::to_owned),
    };
    let audio = MediaDescription {
        media_name: MediaName {
            media: "audio".to_owned(),
            port: RangedPort { value: at.port() as isize, range: None },
            protos: vec!["RTP".to_owned(), "AVP".to_owned()],
            formats: vec!["0".to_owned(), "101".to_owned()],
        },
        attributes: vec![
            attribute("rtpmap", Some("0 PCMU/8000")),
            attribute("rtpmap", Some("101 telephone-event/8000")),
            attribute("fmtp", Some("101 0-15")),
            attribute("ptime", Some("20")),
            attribute(direction.word(), None),
        ],
        ..MediaDescription::default()
    };
    let session = SessionDescription {
        origin: Origin {
            username: "-".to_owned(),
            session_id: id,
            session_version: version,
            network_type: "IN".to_owned(),
            address_type: family.to_owned(),
            unicast_address: at.ip().to_string(),
        },
        session_name: "-".to_owned(),
        connection_information: Some(ConnectionInformation {
            network_type: "IN".to_owned(),
            address_type: family.to_owned(),
            address: Some(Address { address: at.ip().to_string(), ttl: None, range: None }),
        }),
        time_descriptions: vec![TimeDescription::default()],
        ..SessionDescription::default()
    };
    session.with_media(audio).marshal().into_bytes()
}

/// Reads the first audio line of an offer or answer.
pub(crate) fn read(body: &[u8]) -> Result<Media, String> {
    let session =
        SessionDescription::unmarshal(&mut Cursor::new(body)).map_err(|e| format!("SDP: {e}"))?;
    let audio = session
        .media_descriptions
        .iter()
        .find(|media| media.media_name.media == "audio")
        .ok_or("SDP without an audio line")?;
    let connection = audio
        .connection_information
        .as_ref()
        .or(session.connection_information.as_ref())
        .and_then(|c| c.address.as_ref())
        .ok_or("SDP without a connection address")?;
    let ip: IpAddr = connection
        .address
        .parse()
        .map_err(|_| format!("SDP with connection address {}", connection.address))?;
    let port = u16::try_from(audio.media_name.port.value).map_err(|_| "SDP port out of range")?;
    if port == 0 {
        return Err("the audio line was refused (port 0)".to_owned());
    }
    if !audio.media_name.formats.iter().any(|format| format == "0") {
        return Err("the audio line has no PCMU".to_owned());
    }
    let has = |word: &str| audio.has_attribute(word) || session.has_attribute(word);
    let direction = [Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
        .into_iter()
        .find(|direction| has(direction.word()))
        .unwrap_or(Direction::SendRecv);
    Ok(Media { address: SocketAddr::new(ip, port), direction })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_read_back() {
        let at: SocketAddr = "127.0.0.1:40000".parse().unwrap();
        let body = describe(7, 1, at, Direction::SendOnly);
        assert_eq!(read(&body), Ok(Media { address: at, direction: Direction::SendOnly }));
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains("m=audio 40000 RTP/AVP 0 101\r\n"), "{text}");
        assert!(text.starts_with("v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\n"), "{text}");
    }

    #[test]
    fn a_refused_or_foreign_line_is_an_error() {
        let body = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";
        let with = |line: &str| [body.as_slice(), line.as_bytes()].concat();
        assert!(read(&with("m=audio 0 RTP/AVP 0\r\n")).unwrap_err().contains("refused"));
        assert!(read(&with("m=audio 4000 RTP/AVP 8\r\n")).unwrap_err().contains("PCMU"));
        assert!(read(&with("m=video 4000 RTP/AVP 96\r\n")).is_err());
    }
}
