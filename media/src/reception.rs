//! What was received of a stream: loss and jitter as RFC 3550 A.1, A.3 and A.8 count them.

use crate::rtp::RtpHeader;
use crate::value::Timestamp;

/// RFC 3550 A.1: a larger step forward is a sender that restarted, not that many losses.
const MAX_DROPOUT: u16 = 3000;
/// RFC 3550 A.1: a packet this far behind may still be a late one of the same run.
const MAX_MISORDER: u16 = 100;
/// A longer step of the transit time is a pause or a jump of the sender's clock (hold, transfer,
/// announcement): it starts a new measurement instead of ruining this one for a minute.
const MAX_TRANSIT_STEP_US: i64 = 1_000_000;
/// Over how long the clock of a dynamic payload type is measured: long enough that network
/// jitter of some 10 ms cannot mistake 44.1 for 48 kHz.
const CLOCK_MEASURE_US: u64 = 1_000_000;
/// The clocks that audio and video codecs use.
const CLOCKS_HZ: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 90_000];

/// Counts one direction of a session, across changes of its SSRC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reception {
    packets: u64,
    /// Lost in the runs before this one.
    lost_before: u64,
    /// RFC 3550 A.8's estimate in microseconds, times 16.
    jitter_x16: u64,
    run: Option<Run>,
}

/// A stretch of packets with one SSRC and continuous sequence numbers.
#[derive(Clone, Copy, Debug)]
struct Run {
    ssrc: u32,
    /// First sequence number, extended.
    base: u64,
    /// Highest sequence number so far, extended by the count of its wraps.
    highest: u64,
    received: u64,
    /// The sequence number that would confirm a restart: the one after a packet out of range.
    restart: Option<u16>,
    clock: Clock,
    last: Option<Transit>,
}

/// The rate of a run's timestamps.
#[derive(Clone, Copy, Debug)]
enum Clock {
    Known(u32),
    Measuring { arrival: Timestamp, timestamp: u32 },
}

/// The packet before, for the difference of transit times.
#[derive(Clone, Copy, Debug)]
struct Transit {
    arrival: Timestamp,
    timestamp: u32,
    payload_type: u8,
}

impl Reception {
    /// Counts a packet of the stream.
    pub fn packet(&mut self, now: Timestamp, header: &RtpHeader) {
        self.packets += 1;
        let run = match &mut self.run {
            Some(run) if run.ssrc == header.ssrc => {
                if !run.follows(header.sequence) {
                    self.lost_before += run.lost();
                    run.restart_at(header.sequence);
                }
                run
            }
            previous => {
                self.lost_before += previous.as_ref().map_or(0, Run::lost);
                previous.insert(Run::begin(now, header))
            }
        };
        run.received += 1;
        if let Some(step) = run.transit_step_us(now, header) {
            // RFC 3550 A.8, the form without rounding drift.
            self.jitter_x16 = self.jitter_x16 + step - ((self.jitter_x16 + 8) >> 4);
        }
    }

    /// RTP packets received.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Packets missing by sequence number; duplicates can hide losses, as in RFC 3550 A.3.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.run.as_ref().map_or(0, Run::lost)
    }

    /// Interarrival jitter in milliseconds.
    pub fn jitter_ms(&self) -> f32 {
        (self.jitter_x16 as f32) / 16_000.0
    }
}

impl Run {
    fn begin(now: Timestamp, header: &RtpHeader) -> Run {
        Run {
            ssrc: header.ssrc,
            base: first_cycle(header.sequence),
            highest: first_cycle(header.sequence),
            received: 0,
            restart: None,
            clock: header.fixed_clock_hz().map_or(
                Clock::Measuring { arrival: now, timestamp: header.timestamp },
                Clock::Known,
            ),
            last: None,
        }
    }

    /// Counts the sequence number (RFC 3550 A.1); false if the sender restarted there.
    fn follows(&mut self, sequence: u16) -> bool {
        let step = sequence.wrapping_sub(self.highest as u16);
        if step < MAX_DROPOUT {
            self.highest += u64::from(step);
            self.restart = None;
            true
        } else if step > u16::MAX - MAX_MISORDER {
            // Late: a packet before the first one heard extends the run backwards, else it would
            // count as received but never as expected.
            self.base = self.base.min(self.highest - u64::from(u16::MAX - step) - 1);
            true
        } else if self.restart == Some(sequence) {
            false
        } else {
            self.restart = Some(sequence.wrapping_add(1));
            // Received, but of no run yet: as if it had been expected.
            self.received -= u64::from(self.received > 0);
            true
        }
    }

    fn restart_at(&mut self, sequence: u16) {
        self.base = first_cycle(sequence);
        self.highest = self.base;
        self.received = 0;
        self.restart = None;
        self.last = None;
    }

    fn lost(&self) -> u64 {
        (self.highest - self.base + 1).saturating_sub(self.received)
    }

    /// How much longer or shorter this packet travelled than the one before, in microseconds;
    /// `None` where that says nothing about the network.
    fn transit_step_us(&mut self, now: Timestamp, header: &RtpHeader) -> Option<u64> {
        let here = Transit {
            arrival: now,
            timestamp: header.timestamp,
            payload_type: header.payload_type,
        };
        let last = self.last.replace(here)?;
        // RFC 4733 2.5.1.3: all packets of a key press carry its first timestamp. A change of
        // payload (speech, key, comfort noise) may leave a gap that is not the network's.
        if last.timestamp == header.timestamp || last.payload_type != header.payload_type {
            return None;
        }
        let clock = self.clock.hz(now, header.timestamp)?;
        let sent = i64::from(header.timestamp.wrapping_sub(last.timestamp) as i32);
        let travelled = now.as_micros() as i64 - last.arrival.as_micros() as i64;
        let step = travelled - sent * 1_000_000 / i64::from(clock);
        (step.abs() < MAX_TRANSIT_STEP_US).then_some(step.unsigned_abs())
    }
}

/// The extended number of a run's first packet. One cycle up, so that a late packet from before
/// it has a number too.
fn first_cycle(sequence: u16) -> u64 {
    (1 << 16) + u64::from(sequence)
}

impl Clock {
    /// The rate, once known.
    fn hz(&mut self, now: Timestamp, timestamp: u32) -> Option<u32> {
        let (arrival, first) = match *self {
            Clock::Known(hz) => return Some(hz),
            Clock::Measuring { arrival, timestamp } => (arrival, timestamp),
        };
        let elapsed_us = now.as_micros().saturating_sub(arrival.as_micros());
        if elapsed_us < CLOCK_MEASURE_US {
            return None;
        }
        let units = u64::from(timestamp.wrapping_sub(first));
        let measured = units.saturating_mul(1_000_000) / elapsed_us;
        let nearest = CLOCKS_HZ.into_iter().min_by_key(|hz| measured.abs_diff(u64::from(*hz)))?;
        *self = Clock::Known(nearest);
        Some(nearest)
    }
}

#[cfg(test)]
mod tests;
