//! A stream of SIP, cut anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tensou_engine::fuzz::sip_stream(input));
