//! What becomes of a packet: decided by the weather and a seed, without clock or socket.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

/// A packet that is to be overtaken is held back this much longer, and up to twice as long: some
/// packets of voice (20 ms) pass it, a repetition of SIP (500 ms) does not.
const HELD_BACK: Duration = Duration::from_millis(10);
/// Copies arrive within this time of each other.
const COPY_AFTER: Duration = Duration::from_millis(5);

/// How bad the network is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Weather {
    /// Part of all packets that is lost, 0 to 1.
    pub loss: f64,
    /// Mean number of packets lost one after the other.
    pub burst: f64,
    /// Part that arrives twice.
    pub duplicate: f64,
    /// Part that later packets overtake.
    pub reorder: f64,
    /// Part in which a bit is flipped. A UDP checksum over IPv4 is taken off, so that the damage
    /// arrives.
    pub corrupt: f64,
    /// How long every packet is under way.
    pub delay: Duration,
    /// How much longer or shorter, at most.
    pub jitter: Duration,
    /// Nothing passes.
    pub cut: bool,
}

impl Default for Weather {
    fn default() -> Self {
        Weather {
            loss: 0.0,
            burst: 1.0,
            duplicate: 0.0,
            reorder: 0.0,
            corrupt: 0.0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            cut: false,
        }
    }
}

/// What was decided about a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// When each copy arrives, counted from now; none is a loss.
    pub(crate) arrivals: Vec<Duration>,
    /// It was held back.
    pub(crate) reordered: bool,
    /// A bit was flipped.
    pub(crate) corrupted: bool,
}

/// Decides for one direction.
#[derive(Debug)]
pub(crate) struct Fates {
    random: StdRng,
    /// In the middle of a burst of losses.
    losing: bool,
}

impl Fates {
    pub(crate) fn new(seed: u64) -> Fates {
        Fates { random: StdRng::seed_from_u64(seed), losing: false }
    }

    /// Decides about a packet, and damages it where it is to be damaged.
    pub(crate) fn of(&mut self, weather: &Weather, packet: &mut [u8]) -> Fate {
        // Every packet draws as often as any other, whatever becomes of it: so a change of one
        // setting leaves the fates by the others as they were.
        let drawn: [f64; 6] = std::array::from_fn(|_| self.random.random());
        let [loss, corrupt, reorder, duplicate, jitter, held] = drawn;
        let bit = self.random.random::<u32>() as usize;
        if weather.cut || self.is_lost(weather, loss) {
            return Fate::default();
        }
        let corrupted = corrupt < weather.corrupt && flip(packet, bit);
        let reordered = reorder < weather.reorder;
        let swing = weather.jitter.min(weather.delay).as_secs_f64() * (2.0 * jitter - 1.0);
        let mut after = Duration::try_from_secs_f64(weather.delay.as_secs_f64() + swing)
            .unwrap_or(weather.delay);
        if reordered {
            after += HELD_BACK + HELD_BACK.mul_f64(held);
        }
        let mut arrivals = vec![after];
        if duplicate < weather.duplicate {
            arrivals.push(after + COPY_AFTER.mul_f64(held));
        }
        Fate { arrivals, reordered, corrupted }
    }

    /// Two states (Gilbert): a burst ends with probability 1/burst, and begins as often as the
    /// wanted part needs.
    fn is_lost(&mut self, weather: &Weather, drawn: f64) -> bool {
        let ends = 1.0 / weather.burst.max(1.0);
        let loss = weather.loss.clamp(0.0, 0.99);
        let begins = ends * loss / (1.0 - loss);
        self.losing = if self.losing { drawn >= ends } else { drawn < begins };
        self.losing
    }
}

/// Flips a bit behind the transport's ports. False when there is nothing to flip.
fn flip(packet: &mut [u8], bit: usize) -> bool {
    let four = packet.first().is_some_and(|byte| byte >> 4 == 4);
    let header = match packet.first() {
        Some(byte) if four => usize::from(byte & 0x0F) * 4,
        _ => 40,
    };
    let payload = header + 8;
    let Some(room) = packet.len().checked_sub(payload).filter(|room| *room > 0) else {
        return false;
    };
    let at = payload + bit / 8 % room;
    packet[at] ^= 1 << (bit % 8);
    if four && packet[9] == 17 {
        // RFC 768: zero means that there is none.
        packet[header + 6..header + 8].fill(0);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let mut packet = vec![0u8; 200];
        packet[0] = 0x45;
        packet[9] = 17;
        packet[26..28].fill(0xAA);
        packet
    }

    fn run(weather: &Weather, seed: u64, packets: usize) -> Vec<Fate> {
        let mut fates = Fates::new(seed);
        (0..packets).map(|_| fates.of(weather, &mut packet())).collect()
    }

    #[test]
    fn fine_weather_lets_everything_pass_at_once() {
        let fates = run(&Weather::default(), 1, 1000);
        assert!(fates.iter().all(|fate| fate.arrivals == [Duration::ZERO]));
    }

    #[test]
    fn losses_come_in_bursts_and_are_as_many_as_asked_for() {
        let weather = Weather { loss: 0.1, burst: 4.0, ..Weather::default() };
        let lost: Vec<bool> =
            run(&weather, 7, 100_000).iter().map(|fate| fate.arrivals.is_empty()).collect();
        let total = lost.iter().filter(|lost| **lost).count();
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert!((9_000..11_000).contains(&total), "{total}");
        let mean = total as f64 / bursts as f64;
        assert!((3.6..4.4).contains(&mean), "{mean}");
    }

    #[test]
    fn copies_and_overtaking_are_as_many_as_asked_for() {
        let weather = Weather { duplicate: 1.0, reorder: 0.3, ..Weather::default() };
        let fates = run(&weather, 3, 10_000);
        assert!(fates.iter().all(|fate| fate.arrivals.len() == 2));
        let held = fates.iter().filter(|fate| fate.reordered).count();
        assert!((2_800..3_200).contains(&held), "{held}");
        let late = |fate: &&Fate| fate.arrivals[0] >= HELD_BACK;
        assert_eq!(fates.iter().filter(late).count(), held);
    }

    #[test]
    fn damage_is_one_bit_and_arrives_without_a_checksum() {
        let weather = Weather { corrupt: 1.0, ..Weather::default() };
        let mut fates = Fates::new(5);
        for _ in 0..1000 {
            let mut damaged = packet();
            assert!(fates.of(&weather, &mut damaged).corrupted);
            assert_eq!(damaged[26..28], [0, 0]);
            let sound = packet();
            let flipped = damaged[28..].iter().zip(&sound[28..]).map(|(a, b)| (a ^ b).count_ones());
            assert_eq!(flipped.sum::<u32>(), 1);
            assert_eq!(damaged[..26], sound[..26]);
        }
        let mut short = packet();
        short.truncate(28);
        assert!(!fates.of(&weather, &mut short).corrupted);
    }

    #[test]
    fn one_seed_is_one_fate_and_a_cut_takes_everything() {
        let rough = Weather { loss: 0.2, reorder: 0.2, duplicate: 0.2, ..Weather::default() };
        assert_eq!(run(&rough, 9, 500), run(&rough, 9, 500));
        assert_ne!(run(&rough, 9, 500), run(&rough, 10, 500));
        let cut = Weather { cut: true, ..rough };
        assert!(run(&cut, 9, 500).iter().all(|fate| fate.arrivals.is_empty()));
    }

    #[test]
    fn delay_swings_by_the_jitter_around_its_mean() {
        let millis = Duration::from_millis;
        let weather = Weather { delay: millis(20), jitter: millis(5), ..Weather::default() };
        let fates = run(&weather, 2, 10_000);
        let all = fates.iter().map(|fate| fate.arrivals[0]);
        assert!(all.clone().all(|after| (millis(15)..=millis(25)).contains(&after)));
        let mean = all.sum::<Duration>() / 10_000;
        assert!((Duration::from_micros(19_800)..Duration::from_micros(20_200)).contains(&mean));
    }
}
