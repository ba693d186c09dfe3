use proptest::prelude::*;

use super::*;

const SSRC: u32 = 7;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_micros(millis * 1000)
}

fn speech(sequence: u16, timestamp: u32) -> RtpHeader {
    RtpHeader { payload_type: 0, sequence, timestamp, ssrc: SSRC }
}

/// Packets `numbers` of a G.711 stream, each arriving when it should.
fn heard(numbers: impl IntoIterator<Item = u32>) -> Reception {
    let mut reception = Reception::default();
    for number in numbers {
        let arrival = at(u64::from(number) * 20);
        reception.packet(arrival, &speech(number as u16, number * 160));
    }
    reception
}

#[test]
fn a_whole_stream_has_no_loss_and_no_jitter() {
    let reception = heard(0..100_000);
    assert_eq!((reception.packets(), reception.lost()), (100_000, 0));
    assert_eq!(reception.jitter_ms(), 0.0);
}

#[test]
fn missing_packets_are_counted_across_the_wrap_of_the_sequence() {
    assert_eq!(heard((65_500..65_600).filter(|n| n % 10 != 5)).lost(), 10);
}

#[test]
fn late_packets_are_not_lost() {
    assert_eq!(heard([1, 2, 4, 5, 3, 6]).lost(), 0);
    assert_eq!(heard([10, 9, 8, 11]).lost(), 0, "the first heard was not the first sent");
}

#[test]
fn a_duplicate_is_no_negative_loss() {
    assert_eq!(heard([1, 2, 2, 2, 3]).lost(), 0);
}

#[test]
fn a_sender_that_starts_anew_has_lost_nothing() {
    assert_eq!(heard((0..50).chain(30_000..30_050)).lost(), 0);
    assert_eq!(heard((0..50).filter(|n| *n != 9).chain(30_000..30_050)).lost(), 1);
}

#[test]
fn a_single_packet_out_of_range_changes_nothing() {
    assert_eq!(heard((0..50).chain([40_000]).chain(50..100)).lost(), 0);
}

#[test]
fn another_source_is_counted_on_its_own() {
    let mut reception = heard([1, 2, 4]);
    reception.packet(at(100), &RtpHeader { ssrc: 8, ..speech(60_000, 5) });
    reception.packet(at(120), &RtpHeader { ssrc: 8, ..speech(60_001, 165) });
    assert_eq!((reception.packets(), reception.lost()), (5, 1));
}

#[test]
fn jitter_is_that_of_the_standard() {
    let mut reception = Reception::default();
    let mut expected = 0.0_f64;
    for number in 0..500_u32 {
        let late_ms = if number % 2 == 0 { 0 } else { 8 };
        reception
            .packet(at(u64::from(number) * 20 + late_ms), &speech(number as u16, number * 160));
        if number > 0 {
            expected += (8.0 - expected) / 16.0;
        }
    }
    assert!((f64::from(reception.jitter_ms()) - expected).abs() < 0.01, "{reception:?}");
}

#[test]
fn a_key_press_and_a_pause_are_no_jitter() {
    let mut reception = heard(0..50);
    for step in 0..10 {
        let key = RtpHeader { payload_type: 101, sequence: 50 + step, timestamp: 8000, ssrc: SSRC };
        reception.packet(at(1000 + u64::from(step) * 20), &key);
    }
    for number in 0..50_u32 {
        // Thirty seconds on hold, and the phone's timestamps stood still meanwhile.
        let arrival = at(31_200 + u64::from(number) * 20);
        reception.packet(arrival, &speech(60 + number as u16, 9600 + number * 160));
    }
    assert_eq!((reception.lost(), reception.jitter_ms()), (0, 0.0));
}

#[test]
fn the_clock_of_a_dynamic_payload_is_measured() {
    let opus = |number: u32, late_us| {
        let arrival = Timestamp::from_micros(u64::from(number) * 20_000 + late_us);
        (
            arrival,
            RtpHeader { payload_type: 111, timestamp: number * 960, ..speech(number as u16, 0) },
        )
    };
    let mut reception = Reception::default();
    for number in 0..500 {
        let (arrival, header) = opus(number, if number % 2 == 0 { 0 } else { 3000 });
        reception.packet(arrival, &header);
    }
    assert!((2.8..3.2).contains(&reception.jitter_ms()), "{} ms", reception.jitter_ms());
}

proptest! {
    /// Any headers at any time: loss never exceeds what a 16-bit number can hide per packet.
    #[test]
    fn no_stream_upsets_the_counters(
        stream in prop::collection::vec((any::<u64>(), 0u8..128, any::<u16>(), any::<u32>(), 0u32..3), 0..200)
    ) {
        let mut reception = Reception::default();
        for (micros, payload_type, sequence, timestamp, ssrc) in &stream {
            let header = RtpHeader {
                payload_type: *payload_type, sequence: *sequence, timestamp: *timestamp, ssrc: *ssrc,
            };
            reception.packet(Timestamp::from_micros(*micros >> 1), &header);
        }
        prop_assert_eq!(reception.packets(), stream.len() as u64);
        prop_assert!(reception.lost() <= stream.len() as u64 * u64::from(MAX_DROPOUT));
        prop_assert!(reception.jitter_ms().is_finite());
    }

    /// Whatever subset of a stream arrives, in whatever local order: received plus lost is sent.
    #[test]
    fn received_and_lost_make_up_what_was_sent(
        start in any::<u16>(), keep in prop::collection::vec(any::<bool>(), 2..500)
    ) {
        let mut reception = Reception::default();
        let mut kept: Vec<u32> = (0..).zip(&keep).filter(|(_, keep)| **keep).map(|(n, _)| n).collect();
        let span = kept.last().zip(kept.first()).map_or(0, |(last, first)| u64::from(last - first) + 1);
        for pair in kept.chunks_mut(2) { pair.reverse(); }
        for n in &kept {
            let sequence = start.wrapping_add(*n as u16);
            reception.packet(at(u64::from(*n) * 20), &speech(sequence, n * 160));
        }
        prop_assert_eq!(reception.packets() + reception.lost(), span);
    }
}
