//! The values a configuration holds: directive, index, text.
//!
//! Every directive is an array, as in the shell; a scalar is index 0. Nothing here knows what a directive means.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Directive -> index -> value; a scalar is index 0. A directive without any element is not held at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Values(BTreeMap<String, BTreeMap<usize, String>>);

impl Values {
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The value at index 0.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.at(name, 0)
    }

    #[must_use]
    pub(crate) fn at(&self, name: &str, index: usize) -> Option<&str> {
        self.0.get(name)?.get(&index).map(String::as_str)
    }

    /// The elements that are set, by ascending index; arrays may be sparse.
    pub(crate) fn elements(&self, name: &str) -> impl Iterator<Item = (usize, &str)> {
        self.0.get(name).into_iter().flatten().map(|(index, value)| (*index, value.as_str()))
    }

    /// The highest index that is set.
    #[must_use]
    pub(crate) fn highest(&self, name: &str) -> Option<usize> {
        self.0.get(name)?.last_key_value().map(|(index, _)| *index)
    }

    pub(crate) fn set(&mut self, name: &str, index: usize, value: impl Into<String>) {
        match self.0.get_mut(name) {
            Some(elements) => {
                elements.insert(index, value.into());
            }
            None => {
                self.0.insert(name.to_owned(), BTreeMap::from([(index, value.into())]));
            }
        }
    }

    /// Removes all elements of a directive.
    pub(crate) fn remove(&mut self, name: &str) -> Option<BTreeMap<usize, String>> {
        self.0.remove(name)
    }

    /// Every element that is set, by name and index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        self.0.iter().flat_map(|(name, elements)| {
            elements.iter().map(move |(index, value)| (name.as_str(), *index, value.as_str()))
        })
    }

    /// The directives with at least one element.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over every element of `other`; elements that only `self` has stay.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, index, value) in other.iter() {
            self.set(name, index, value);
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, usize, V)> for Values {
    fn from_iter<I: IntoIterator<Item = (N, usize, V)>>(elements: I) -> Self {
        let mut values = Self::new();
        for (name, index, value) in elements {
            values.set(&name.into(), index, value);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_replaces_single_elements_and_keeps_the_rest() {
        let mut values: Values = [("A", 0, "x"), ("A", 3, "y"), ("B", 0, "z")].into_iter().collect();
        values.merge(&[("A", 0, ""), ("C", 1, "c")].into_iter().collect());
        assert_eq!(values.get("A"), Some(""));
        assert_eq!(values.elements("A").collect::<Vec<_>>(), [(0, ""), (3, "y")]);
        assert_eq!((values.highest("A"), values.highest("none")), (Some(3), None));
        assert_eq!(values.get("C"), None);
        assert_eq!(
            serde_json::to_string(&values).unwrap(),
            r#"{"A":{"0":"","3":"y"},"B":{"0":"z"},"C":{"1":"c"}}"#
        );
    }

    #[test]
    fn a_removed_directive_leaves_nothing() {
        let mut values: Values = [("A", 1, "x")].into_iter().collect();
        assert!(values.remove("A").is_some());
        assert!(values.is_empty());
    }
}
