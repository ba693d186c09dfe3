//! Any sequence of inputs to the engine.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tensou_engine::fuzz::engine_input(input));
