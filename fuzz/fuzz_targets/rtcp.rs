//! One datagram on a port that RTP and RTCP share.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tensou_media::fuzz::rtcp(input));
