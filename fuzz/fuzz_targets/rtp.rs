//! A stream of packets on an RTP port.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tensou_media::fuzz::rtp(input));
