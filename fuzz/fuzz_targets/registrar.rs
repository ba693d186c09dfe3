//! One header value or URI on its own.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tensou_engine::fuzz::registrar(input));
