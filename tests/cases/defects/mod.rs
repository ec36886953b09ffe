//! For each known defect of dkms 3.4.3 a test of what is right instead, which the old behaviour fails. The numbers are those of
//! docs/differences.md.

mod d01_to_d28;
mod d29_to_d56;

/// No entry is forgotten.
#[test]
fn every_entry_has_its_test() {
    let sources = [include_str!("d01_to_d28.rs"), include_str!("d29_to_d56.rs")].concat();
    let missing: Vec<u32> = (1..=56).filter(|n| !sources.contains(&format!("\nfn d{n:02}_"))).collect();
    assert!(missing.is_empty(), "no test for D-{missing:?}");
    let listed = include_str!("../../../docs/differences.md");
    assert!((1..=56).all(|n| listed.contains(&format!("| D-{n} |"))));
}
