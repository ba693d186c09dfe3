//! Hashes of messages that nobody without our secret can make collide.

use std::hash::{DefaultHasher, Hasher};

/// What a branch, an address and a host name take; what is longer is hashed in pieces.
const ROOM: usize = 256;

/// Gathers what is hashed, so that the hash takes it as one: many small pieces of the same bytes
/// take it four times as long.
pub(super) struct Keyed {
    secret: (u64, u64),
    hasher: DefaultHasher,
    gathered: [u8; ROOM],
    len: usize,
}

impl Keyed {
    pub(super) fn with(secret: (u64, u64)) -> Keyed {
        let mut keyed = Keyed { secret, hasher: DefaultHasher::new(), gathered: [0; ROOM], len: 0 };
        keyed.write_u64(secret.0);
        keyed
    }

    /// The hash of all that was written.
    pub(super) fn key(mut self) -> u128 {
        self.flush();
        // The second half goes on from the state of the first under the other secret.
        let mut second = self.hasher.clone();
        second.write_u64(self.secret.1);
        u128::from(self.hasher.finish()) << 64 | u128::from(second.finish())
    }

    fn flush(&mut self) {
        self.hasher.write(self.gathered.get(..self.len).unwrap_or_default());
        self.len = 0;
    }
}

impl Hasher for Keyed {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        if self.len + bytes.len() > ROOM {
            self.flush();
        }
        match self.gathered.get_mut(self.len..self.len + bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.hasher.write(bytes),
        }
    }

    fn finish(&self) -> u64 {
        let mut hasher = self.hasher.clone();
        hasher.write(self.gathered.get(..self.len).unwrap_or_default());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash;
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_key_is_the_same_whether_gathered_or_not() {
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        let hosts = [String::new(), "h".repeat(20), "h".repeat(ROOM - 30), "h".repeat(3 * ROOM)];
        for host in &hosts {
            let all = ("INVITE", source, host.as_str(), Some(5060u16), "z9hG4bK776asdhds");
            let mut keyed = Keyed::with((1, 2));
            all.hash(&mut keyed);
            let mut plain = DefaultHasher::new();
            plain.write_u64(1);
            all.hash(&mut plain);
            let mut second = plain.clone();
            second.write_u64(2);
            let key = u128::from(plain.finish()) << 64 | u128::from(second.finish());
            assert_eq!(keyed.key(), key, "{} bytes", host.len());
        }
    }
}
