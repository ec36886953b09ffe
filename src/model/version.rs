//! The order of versions: numbers in a text compare as numbers, everything else byte by byte.

use std::cmp::Ordering;

/// Compares two version texts.
///
/// Blanks do not count. Runs of digits compare by value, other bytes as bytes. Up to runs of three digits this is
/// the order of the zero-padded keys that dkms always used; longer runs, which those keys order wrongly (1000 < 999),
/// compare by value too.
#[must_use]
pub(crate) fn compare_versions(a: &str, b: &str) -> Ordering {
    let (a, b) = (without_blanks(a), without_blanks(b));
    let (mut a, mut b) = (a.as_slice(), b.as_slice());
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (run_a, rest_a) = digits(a);
                let (run_b, rest_b) = digits(b);
                let order = run_a.len().cmp(&run_b.len()).then_with(|| run_a.cmp(run_b));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
            (Some(x), Some(y)) if x != y => return x.cmp(y),
            _ => (a, b) = (&a[1..], &b[1..]),
        }
    }
}

fn without_blanks(text: &str) -> Vec<u8> {
    text.bytes().filter(|b| !b.is_ascii_whitespace()).collect()
}

/// The leading run of digits without its leading zeros, and the rest.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    let zeros = run.iter().take_while(|b| **b == b'0').count();
    (&run[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("5.10", "5.9", Ordering::Greater)]
    #[case("1.0", "1.0-1", Ordering::Less)]
    #[case("1.0", "1.0~rc1", Ordering::Less)]
    #[case("4.12", "4.12-rc1", Ordering::Less)]
    #[case("1.0.0", "1.0", Ordering::Greater)]
    #[case("1.00", "1.0", Ordering::Equal)]
    #[case("1.2-3", "1.2.3", Ordering::Less)]
    #[case("999", "1000", Ordering::Less)]
    #[case("999", "20240101", Ordering::Less)]
    #[case("", "0", Ordering::Less)]
    #[case("6.1.0-55-amd64", "6.1", Ordering::Greater)]
    #[case("6.1.0-55-amd64", "6.1.0-56", Ordering::Less)]
    #[case("a b 1", "ab1", Ordering::Equal)]
    #[case("1.a", "1.1", Ordering::Greater)]
    fn versions_are_ordered(#[case] a: &str, #[case] b: &str, #[case] order: Ordering) {
        assert_eq!(compare_versions(a, b), order);
        assert_eq!(compare_versions(b, a), order.reverse());
    }
}
