//! One UDP datagram on the SIP port.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tensou_engine::fuzz::sip_datagram(input));
