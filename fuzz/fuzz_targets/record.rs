#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kfsck_fuzz::laws::uphold("record", bytes));
