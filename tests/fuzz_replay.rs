//! Every input in `testdata/fuzz`, made by hand or once found by a fuzzer, upholds the law of its target.

#[path = "laws/mod.rs"]
mod laws;

use std::fs;
use std::path::Path;

#[test]
fn inputs_that_once_hurt_or_were_made_to_hurt_no_more() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz");
    for (target, _) in laws::ALL {
        let mut replayed = 0;
        for entry in fs::read_dir(all.join(target)).unwrap_or_else(|error| panic!("testdata/fuzz/{target}: {error}")) {
            let path = entry.expect("readable").path();
            let bytes = fs::read(&path).expect("readable");
            if let Err(broken) = std::panic::catch_unwind(|| laws::uphold(target, &bytes)) {
                eprintln!("broken by {}", path.display());
                std::panic::resume_unwind(broken);
            }
            replayed += 1;
        }
        assert!(replayed > 0, "no input for {target}");
    }
    for entry in fs::read_dir(&all).expect("readable") {
        let name = entry.expect("readable").file_name();
        assert!(laws::ALL.iter().any(|(target, _)| name == *target), "{name:?} is the name of no target");
    }
}
