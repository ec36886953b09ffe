#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dkms::fuzzing::record(data));
