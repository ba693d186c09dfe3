//! Images of what everything else is made of.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::arena::Handle;
use crate::id::{CallId, Key};
use crate::input::{Flow, ListenerId, Transport};
use crate::media::{Latch, PortPair, Remote, SessionId, Side, SideCounters};
use crate::plan::E164;
use crate::time::{Now, Timestamp, WallTime};
use crate::wheel::TimerId;

use super::{Image, Names, Pen, Reader, SMALL, image};

/// More values than any list of a call has; a longer one is damage.
const MOST_VALUES: u64 = 65_536;

macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl Image for $type {
            fn write(&self, pen: &mut Pen, _: &Names<'_>) {
                pen.number(u64::from(*self));
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                Self::try_from(from.number()?).ok()
            }
        }
    )* };
}

numbers!(u8, u16, u32, u64);

/// Values that are made of one other.
macro_rules! wrapped {
    ($($type:ty: $inner:ty = $unwrap:expr, $wrap:expr;)*) => { $(
        impl Image for $type {
            fn write(&self, pen: &mut Pen, names: &Names<'_>) {
                let unwrap: fn(&$type) -> $inner = $unwrap;
                pen.put(&unwrap(self), names);
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                let wrap: fn($inner) -> Option<$type> = $wrap;
                wrap(from.get()?)
            }
        }
    )* };
}

wrapped! {
    bool: u8 = |it| u8::from(*it), |byte| match byte { 0 => Some(false), 1 => Some(true), _ => None };
    // Zigzag: small negative numbers are short too.
    i64: u64 = |it| (it << 1 ^ it >> 63) as u64, |raw| Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
    usize: u64 = |it| *it as u64, |value| usize::try_from(value).ok();
    f32: u32 = |it| it.to_bits(), |bits| Some(f32::from_bits(bits));
    Duration: u64 = |it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX),
        |micros| Some(Duration::from_micros(micros));
    E164: u64 = |it| it.as_u64(), |digits| crate::plan::parse_e164(&format!("+{digits}")).ok();
    SessionId: u64 = |it| it.0, |id| Some(SessionId(id));
    PortPair: u16 = |it| it.0, |port| Some(PortPair(port));
    ListenerId: u16 = |it| it.0, |at| Some(ListenerId(at));
}

/// Times and handles: eight bytes at once, for hardly any is a small number. Former releases wrote
/// them as numbers.
macro_rules! fixed {
    ($($type:ty: $raw:ty = $unwrap:expr, $wrap:expr;)*) => { $(
        impl Image for $type {
            fn write(&self, pen: &mut Pen, _: &Names<'_>) {
                let unwrap: fn(&$type) -> $raw = $unwrap;
                pen.fixed(unwrap(self).to_le_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                let wrap: fn($raw) -> $type = $wrap;
                match from.former {
                    true => from.get().map(wrap),
                    false => from.eight().map(|bytes| wrap(<$raw>::from_le_bytes(bytes))),
                }
            }
        }
    )* };
}

fixed! {
    Timestamp: u64 = |it| it.as_micros(), Timestamp::from_micros;
    WallTime: i64 = |it| it.as_unix_micros(), WallTime::from_unix_micros;
}

impl Image for u128 {
    fn write(&self, pen: &mut Pen, _: &Names<'_>) {
        pen.fixed(self.to_le_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            *byte = from.byte()?;
        }
        Some(u128::from_le_bytes(bytes))
    }
}

impl Image for CallId {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put(&self.0, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        from.get().map(CallId)
    }
}

/// Texts and bytes.
macro_rules! bytes {
    ($($type:ty: $view:expr, $make:expr;)*) => { $(
        impl Image for $type {
            fn write(&self, pen: &mut Pen, _: &Names<'_>) {
                let view: fn(&$type) -> &[u8] = $view;
                pen.bytes(view(self));
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                let make: fn(&[u8]) -> Option<$type> = $make;
                make(from.bytes()?)
            }
        }
    )* };
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

bytes! {
    Box<[u8]>: |it| it, |bytes| Some(bytes.into());
    Arc<[u8]>: |it| it, |bytes| Some(bytes.into());
    Box<str>: |it| it.as_bytes(), |bytes| text(bytes).map(Box::from);
    String: |it| it.as_bytes(), |bytes| text(bytes).map(str::to_owned);
    Key: |it| it.as_str().as_bytes(), |bytes| text(bytes).map(Key::from);
}

impl<T: Image> Image for Option<T> {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put_some(self.as_ref(), names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(None),
            1 => from.get().map(Some),
            _ => None,
        }
    }
}

impl<T: Image> Image for Box<T> {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put(&**self, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        from.get().map(Box::new)
    }
}

impl<T: Image> Image for Vec<T> {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.count(self.len());
        for value in self {
            pen.put_one(value, names);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.number().filter(|count| *count <= MOST_VALUES)?;
        (0..count).map(|_| from.get()).collect()
    }
}

impl Image for Box<[Box<str>]> {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.count(self.len());
        for text in self {
            pen.put_one(text, names);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        from.get::<Vec<Box<str>>>().map(Vec::into)
    }
}

impl<A: Image, B: Image> Image for (A, B) {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put(&self.0, names);
        pen.put(&self.1, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some((from.get()?, from.get()?))
    }
}

impl<A: Image, B: Image, C: Image> Image for (A, B, C) {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put(&self.0, names);
        pen.put(&self.1, names);
        pen.put(&self.2, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some((from.get()?, from.get()?, from.get()?))
    }
}

impl Image for IpAddr {
    fn write(&self, pen: &mut Pen, _: &Names<'_>) {
        match self {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                pen.fixed([4, a, b, c, d]);
            }
            IpAddr::V6(ip) => pen.bytes(&ip.octets()),
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let bytes = from.bytes()?;
        match <[u8; 4]>::try_from(bytes) {
            Ok(octets) => Some(IpAddr::from(octets)),
            Err(_) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        }
    }
}

impl Image for SocketAddr {
    fn write(&self, pen: &mut Pen, _: &Names<'_>) {
        let [low, high] = self.port().to_le_bytes();
        match self {
            SocketAddr::V4(v4) => {
                let [a, b, c, d] = v4.ip().octets();
                pen.fixed([4, a, b, c, d, low, high]);
            }
            SocketAddr::V6(v6) => {
                pen.bytes(&v6.ip().octets());
                pen.fixed([low, high]);
                // A link-local address means nothing without the interface.
                pen.number(v6.scope_id().into());
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let ip: IpAddr = from.get()?;
        // Former releases wrote a port as any number, and every address with a scope.
        let port = match from.former {
            true => from.get()?,
            false => u16::from_le_bytes([from.byte()?, from.byte()?]),
        };
        let mut address = SocketAddr::new(ip, port);
        let scope = if from.former || ip.is_ipv6() { from.get()? } else { 0 };
        if let SocketAddr::V6(v6) = &mut address {
            v6.set_scope_id(scope);
        }
        Some(address)
    }
}

image!(enum Transport { 0 = Udp, 1 = Tcp, 2 = Tls });

impl Image for Flow {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        // Few connections outlive their process, and none has the same number in the next.
        let Flow { listener, transport, remote, connection: _ } = self;
        if let (SocketAddr::V4(v4), Ok(at), Transport::Udp) =
            (remote, u8::try_from(listener.0), transport)
            && at < SMALL
        {
            // What is written below, at once.
            let [a, b, c, d] = v4.ip().octets();
            let [low, high] = v4.port().to_le_bytes();
            return pen.fixed([at, 0, 4, a, b, c, d, low, high]);
        }
        pen.put(listener, names);
        pen.put(transport, names);
        pen.put(remote, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (listener, transport, remote) = (from.get()?, from.get()?, from.get()?);
        // Where it ended, the shell chooses one when it is needed again.
        let core = from.core.as_ref();
        let connection = core.map_or(0, |core| core.connections.left_by(transport, remote));
        Some(Flow { listener, transport, remote, connection })
    }
}

impl<T> Image for Handle<T> {
    fn write(&self, pen: &mut Pen, _: &Names<'_>) {
        pen.fixed(self.to_bits().to_le_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let handle = Handle::from_bits(match from.former {
            true => from.number()?,
            false => u64::from_le_bytes(from.eight()?),
        });
        if let Some(core) = &mut from.core {
            core.newest = core.newest.max(handle.generation());
        }
        Some(handle)
    }
}

/// A timer is its deadline and what it is for; one that has fired is none. Reading arms it.
impl Image for Option<TimerId> {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let timer = self.and_then(|id| names.core.and_then(|core| core.io.wheel.get(id)));
        pen.put(&timer, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let Some((at, key)) = from.get::<Option<(Timestamp, crate::timer::TimerKey)>>()? else {
            return Some(None);
        };
        let core = from.core.as_mut()?;
        Some(Some(core.io.wheel.arm(at, key)))
    }
}

image!(struct Now { mono, wall });
image!(enum Side { 0 = A, 1 = B });
image!(enum Latch { 0 = Signalled, 1 = FirstSource });
image!(struct Remote { rtp, rtcp, latch, sends });
image!(struct SideCounters { packets, lost, jitter_ms, strangers, mos });

#[cfg(test)]
mod tests {
    use super::*;

    fn returns<T: Image + PartialEq + std::fmt::Debug>(value: T) {
        let bytes = Pen::writes(|pen| pen.put(&value, &Names::default()));
        let mut reader = Reader::of(&bytes, None);
        assert_eq!(reader.get::<T>(), Some(value));
        assert!(reader.is_done());
    }

    #[test]
    fn numbers_addresses_and_texts_read_back() {
        for number in [0, 127, 128, u64::MAX] {
            returns(number);
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            returns(number);
        }
        returns("192.0.2.1:5060".parse::<SocketAddr>().unwrap());
        for transport in [Transport::Udp, Transport::Tcp] {
            for listener in [0, 246, 247, 248, 65_535].map(ListenerId) {
                let remote = "192.0.2.1:5060".parse().unwrap();
                returns(Flow { listener, transport, remote, connection: 0 });
            }
        }
        returns((Timestamp::from_micros(u64::MAX), WallTime::from_unix_micros(-1)));
        returns("[fe80::1%3]:5061".parse::<SocketAddr>().unwrap());
        returns(Some(vec![(Key::from("鈴木"), true), (Key::from(""), false)]));
        returns(u128::MAX - 7);
        returns(crate::plan::parse_e164("+81312345678").unwrap());
        returns(Some(-0.5f32));
    }

    #[test]
    fn a_length_beyond_the_bytes_is_damage() {
        for bytes in [&[200, 1, b'x'][..], &[0xff; 12], &[]] {
            assert_eq!(Reader::of(bytes, None).get::<String>(), None);
            assert_eq!(Reader::of(bytes, None).get::<Vec<u8>>(), None);
        }
    }
}
