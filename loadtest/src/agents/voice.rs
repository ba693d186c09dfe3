//! Voice of the simulated user agents: RTP (RFC 3550, the `rtp` crate) with 20 ms of PCMU,
//! and the ear on the other side that tells whose voice arrived and whether it was whole.
//!
//! A phone takes in what it hears a few packets at a time, and the kernel says when each came: so
//! thousands of phones fit on a thread, and what they measure does not depend on when it gets to
//! run.

use std::net::{SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtp::header::Header;
use rtp::packet::Packet;
use webrtc_util::marshal::{Marshal, Unmarshal};

use super::inbox::Inbox;
use super::latency::SendLog;

/// Packet time of every codec here.
pub(crate) const PTIME: Duration = Duration::from_millis(20);
/// Samples of a packet at 8 kHz.
const SAMPLES: usize = 160;
/// Packets until the voice repeats: five syllables a second, ten packets a syllable.
const PERIOD: usize = 10;
/// Packets spoken between two looks at what has come: a socket's buffer holds some hundreds.
const SPOKEN_PER_LOOK: u32 = 3;
/// Different voices. Each has its own pitch, so that an ear or a spectrum tells them apart.
const VOICES: usize = 16;

/// What all voices of a world share.
#[derive(Default)]
pub(crate) struct Air {
    pub(crate) log: SendLog,
    inbox: Inbox,
}

/// One leg's sending and receiving side.
pub(crate) struct Voice {
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    muted: bool,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    first: bool,
    sent: u64,
    /// Packet times since it was looked what has come.
    unheard: u32,
    ear: Ear,
}

impl Voice {
    /// Binds an even port (RFC 3550 11) on the given address. `ssrc` is unique in the world.
    pub(crate) fn open(near: SocketAddr, ssrc: u32) -> std::io::Result<Voice> {
        let mut odd = Vec::new();
        // The kernel hands out ports of both parities; the odd ones are kept until an even one
        // comes, so that they are not handed out again.
        let socket = loop {
            let socket = UdpSocket::bind(SocketAddr::new(near.ip(), 0))?;
            if socket.local_addr()?.port() % 2 == 0 {
                break socket;
            }
            odd.push(socket);
        };
        Inbox::prepare(&socket)?;
        Ok(Voice {
            socket,
            remote: None,
            muted: false,
            ssrc,
            sequence: (ssrc >> 8) as u16,
            timestamp: ssrc.rotate_left(16),
            first: true,
            sent: 0,
            unheard: 0,
            ear: Ear::default(),
        })
    }

    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Where to speak to from now on, and whether to. What came before is heard as it was meant.
    pub(crate) fn aim(&mut self, remote: SocketAddr, muted: bool, air: &mut Air) {
        self.listen(air);
        self.remote = Some(remote);
        self.muted = muted;
    }

    /// Speaks to nobody from now on.
    pub(crate) fn hush(&mut self) {
        self.muted = true;
    }

    /// A packet time: says the next 20 ms, and now and then takes in what has come.
    pub(crate) fn turn(&mut self, air: &mut Air) {
        self.speak(&mut air.log);
        self.unheard += 1;
        if self.unheard >= SPOKEN_PER_LOOK {
            self.listen(air);
        }
    }

    /// Sends the next 20 ms, when somebody is there to hear it. The clock runs while muted.
    fn speak(&mut self, log: &mut SendLog) {
        let frame = (self.timestamp as usize / SAMPLES) % PERIOD;
        if let Some(remote) = self.remote.filter(|_| !self.muted) {
            let packet = Packet {
                header: Header {
                    version: 2,
                    marker: self.first,
                    payload_type: 0,
                    sequence_number: self.sequence,
                    timestamp: self.timestamp,
                    ssrc: self.ssrc,
                    ..Header::default()
                },
                payload: Bytes::from_static(frames(self.ssrc)[frame].as_slice()),
            };
            let mut buffer = [0u8; 12 + SAMPLES];
            // A full socket buffer loses the packet as a busy network would: the far ear counts.
            if let Ok(len) = packet.marshal_to(&mut buffer) {
                // Before it goes: it arrives within the call.
                let now = Instant::now();
                if self.socket.send_to(&buffer[..len], remote).is_ok() {
                    self.sent += 1;
                    self.first = false;
                    log.sent(self.ssrc, self.sequence, now);
                }
            }
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
    }

    /// Takes in everything that has arrived.
    pub(crate) fn listen(&mut self, air: &mut Air) {
        self.unheard = 0;
        let (ear, remote, log) = (&mut self.ear, self.remote, &mut air.log);
        air.inbox.take(&self.socket, |datagram, from, at| {
            // RFC 3264 5.1: whoever offered hears voice as soon as the offer is out, the answer
            // may still be under way.
            let expected = remote.is_none_or(|remote| remote == from);
            if let Some((ssrc, sequence)) = ear.hear(datagram, expected) {
                ear.note(at);
                log.received(ssrc, sequence, at);
            }
        });
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// From the last packet heard to the end of the talk.
    pub(crate) fn quiet_before(&self, end: Option<Instant>) -> Option<Duration> {
        Some(end?.saturating_duration_since(self.ear.last?))
    }

    pub(crate) fn heard(&self) -> &Heard {
        &self.ear.heard
    }
}

/// What arrived at a leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Packets received.
    pub packets: u64,
    /// Packets missing between the first and the last of each speaker.
    pub lost: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came twice.
    pub duplicated: u64,
    /// Packets whose voice is not what the speaker said.
    pub altered: u64,
    /// Datagrams that are no RTP, or came from elsewhere than the session description says.
    pub strange: u64,
    /// The longest time between two packets that came one after the other.
    pub longest_pause: Duration,
    /// Speakers in order of their first packet.
    pub speakers: Vec<u32>,
}

#[derive(Default)]
struct Ear {
    heard: Heard,
    /// The running speaker: its highest sequence number.
    highest: Option<(u32, u16)>,
    /// When the last packet of voice came.
    last: Option<Instant>,
}

impl Ear {
    /// Measures the pause before a packet of voice.
    fn note(&mut self, now: Instant) {
        let pause = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.heard.longest_pause = self.heard.longest_pause.max(pause);
        self.last = Some(now);
    }

    /// Judges a datagram; gives the speaker and number of a packet of voice.
    fn hear(&mut self, mut datagram: &[u8], expected_source: bool) -> Option<(u32, u16)> {
        let packet = match Packet::unmarshal(&mut datagram) {
            Ok(packet) if expected_source && packet.header.payload_type == 0 => packet,
            _ => {
                self.heard.strange += 1;
                return None;
            }
        };
        self.heard.packets += 1;
        let Header { ssrc, sequence_number, timestamp, .. } = packet.header;
        match self.highest {
            Some((speaker, highest)) if speaker == ssrc => {
                match sequence_number.wrapping_sub(highest) as i16 {
                    0 => self.heard.duplicated += 1,
                    gap if gap > 0 => {
                        self.heard.lost += gap as u64 - 1;
                        self.highest = Some((ssrc, sequence_number));
                    }
                    // It was counted lost when a later one overtook it.
                    _ => {
                        self.heard.reordered += 1;
                        self.heard.lost = self.heard.lost.saturating_sub(1);
                    }
                }
            }
            _ => {
                self.highest = Some((ssrc, sequence_number));
                if !self.heard.speakers.contains(&ssrc) {
                    self.heard.speakers.push(ssrc);
                }
            }
        }
        let frame = (timestamp as usize / SAMPLES) % PERIOD;
        if packet.payload != frames(ssrc)[frame].as_slice() {
            self.heard.altered += 1;
        }
        Some((ssrc, sequence_number))
    }
}

type Frames = [[u8; SAMPLES]; PERIOD];

/// The voice of a speaker, repeated every 200 ms: a vowel of three harmonics whose loudness
/// rises and falls like syllables. The pitch is a multiple of 50 Hz, so that 20 ms hold whole
/// waves and the frames join without a click.
fn frames(ssrc: u32) -> &'static Frames {
    static TABLE: OnceLock<Vec<Frames>> = OnceLock::new();
    let table = TABLE.get_or_init(|| (0..VOICES).map(render).collect());
    &table[ssrc as usize % VOICES]
}

fn render(voice: usize) -> Frames {
    let pitch = 150.0 + 50.0 * voice as f64;
    let mut frames = [[0u8; SAMPLES]; PERIOD];
    for (index, sample) in frames.iter_mut().flatten().enumerate() {
        let seconds = index as f64 / 8000.0;
        let wave = |harmonic: f64| (std::f64::consts::TAU * pitch * harmonic * seconds).sin();
        let syllable = (std::f64::consts::PI * seconds * 5.0).sin().powi(2);
        let level = 0.2 + 0.8 * syllable;
        *sample =
            mu_law((6000.0 * level * (wave(1.0) + 0.5 * wave(2.0) + 0.25 * wave(3.0))) as i16);
    }
    frames
}

/// ITU-T G.711 μ-law.
fn mu_law(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0x00 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    let exponent = 31 - magnitude.leading_zeros() as i32 - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    !(sign | (exponent << 4) | mantissa) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence_number: u16) -> Vec<u8> {
        let timestamp = u32::from(sequence_number) * SAMPLES as u32;
        let header = Header { version: 2, sequence_number, timestamp, ssrc, ..Header::default() };
        let frame = frames(ssrc)[usize::from(sequence_number) % PERIOD];
        Packet { header, payload: Bytes::copy_from_slice(&frame) }.marshal().unwrap().to_vec()
    }

    #[test]
    fn the_ear_counts_loss_order_and_copies() {
        let mut ear = Ear::default();
        for sequence in [65_534, 65_535, 0, 3, 2, 3] {
            ear.hear(&packet(9, sequence), true);
        }
        let heard = ear.heard;
        assert_eq!((heard.packets, heard.lost, heard.reordered, heard.duplicated), (6, 1, 1, 1));
        assert_eq!(heard.speakers, [9]);
    }

    #[test]
    fn the_longest_silence_between_two_packets_is_kept() {
        let mut ear = Ear::default();
        let start = Instant::now();
        for millis in [0, 20, 340, 360] {
            ear.note(start + Duration::from_millis(millis));
        }
        assert_eq!(ear.heard.longest_pause, Duration::from_millis(320));
    }

    #[test]
    fn another_voice_under_the_same_name_is_noticed() {
        let mut ear = Ear::default();
        let mut forged = packet(9, 1);
        forged[12] ^= 0x01;
        ear.hear(&forged, true);
        ear.hear(&packet(10, 1), false);
        ear.hear(b"no rtp", true);
        assert_eq!((ear.heard.packets, ear.heard.altered, ear.heard.strange), (1, 1, 2));
    }

    #[test]
    fn mu_law_meets_the_table_of_the_recommendation() {
        // G.711 table 2a: 0 → 0xFF, ±8159·4 → 0x80 and 0x00.
        assert_eq!(mu_law(0), 0xFF);
        assert_eq!(mu_law(32_635), 0x80);
        assert_eq!(mu_law(-32_635), 0x00);
    }
}
