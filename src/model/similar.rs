//! The known word that a mistyped one was probably meant for.

/// The most similar of some known words, if one is similar enough to be suggested: a third of its letters may be wrong, and
/// one of a short word.
#[must_use]
pub(crate) fn most_similar<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = known.into_iter().map(|known| (distance(word, known), known));
    let near =
        ranked.filter(|(distance, known)| *distance > 0 && *distance <= (known.chars().count() / 3).max(1));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// How many letters to insert, delete, replace or exchange with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("instal", Some("install"))]
    #[case("isntall", Some("install"))]
    #[case("unistall", Some("uninstall"))]
    #[case("ad", Some("add"))]
    #[case("bdb", None)]
    #[case("INSTALL", None)]
    #[case("frobnicate", None)]
    #[case("", None)]
    fn mistyped_word_finds_its_neighbour(#[case] word: &str, #[case] meant: Option<&str>) {
        assert_eq!(most_similar(word, ["install", "uninstall", "add"]), meant);
    }

    #[test]
    fn word_that_is_known_needs_no_suggestion() {
        assert_eq!(most_similar("add", ["add"]), None);
    }
}
