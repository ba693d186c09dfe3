//! One session description.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tensou_engine::fuzz::sdp(input));
