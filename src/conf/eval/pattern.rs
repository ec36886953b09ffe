//! Patterns of `${x#..}` and `${x%..}` with `*` and `?`; anything richer never gets here.

use super::syntax::Side;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatternItem {
    Char(char),
    One,
    Any,
}

impl From<char> for PatternItem {
    fn from(character: char) -> Self {
        match character {
            '*' => Self::Any,
            '?' => Self::One,
            character => Self::Char(character),
        }
    }
}

/// Whether a character of a value means itself when the value is used as a pattern.
pub(crate) fn is_literal(character: char) -> bool {
    !matches!(character, '*' | '?' | '[' | ']' | '(' | ')' | '|' | '\\')
}

/// Goes back to the last `*` only, which is enough: what an earlier one could take, the last one can take as well. So the cost
/// is the product of the two lengths at most.
fn matches(text: &[char], items: &[PatternItem]) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match items.get(item) {
            Some(PatternItem::Any) => {
                retry = Some((item + 1, at));
                item += 1;
            }
            Some(PatternItem::One) => (at, item) = (at + 1, item + 1),
            Some(PatternItem::Char(c)) if *c == text[at] => (at, item) = (at + 1, item + 1),
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (at, item) = (from + 1, after);
                }
                None => return false,
            },
        }
    }
    items[item..].iter().all(|item| *item == PatternItem::Any)
}

/// The value without the shortest or longest match at one of its sides.
pub(crate) fn trim(value: &str, items: &[PatternItem], side: Side, longest: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let mut lengths: Vec<usize> = (0..=text.len()).collect();
    if longest {
        lengths.reverse();
    }
    for length in lengths {
        let (kept, matched) = match side {
            Side::Start => (&text[length..], &text[..length]),
            Side::End => (&text[..text.len() - length], &text[text.len() - length..]),
        };
        if matches(matched, items) {
            return kept.iter().collect();
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a.b.c", ".*", Side::End, false, "a.b")]
    #[case("a.b.c", ".*", Side::End, true, "a")]
    #[case("a.b.c", "*.", Side::Start, false, "b.c")]
    #[case("a.b.c", "*.", Side::Start, true, "c")]
    #[case("a.b.c", "?", Side::Start, true, ".b.c")]
    #[case("a.b.c", "", Side::End, true, "a.b.c")]
    #[case("a.b.c", "x", Side::End, false, "a.b.c")]
    #[case("xaybzab", "a*b", Side::End, true, "x")]
    #[case("xaybzab", "a*b", Side::End, false, "xaybz")]
    #[case("abcabc", "*c*", Side::Start, false, "abc")]
    #[case("abcabc", "**?b", Side::Start, true, "c")]
    fn trimmed_value_is_the_one_of_bash(
        #[case] value: &str,
        #[case] pattern: &str,
        #[case] side: Side,
        #[case] longest: bool,
        #[case] expected: &str,
    ) {
        let items: Vec<PatternItem> = pattern.chars().map(PatternItem::from).collect();
        assert_eq!(trim(value, &items, side, longest), expected);
    }
}
