//! What a `status` call asks for: names, versions, kernels and architectures as shell wildcards.

use crate::model::Target;
use crate::plan::request::Filter;
use crate::tree::Package;

/// The filter, with its texts as shell wildcards. What is not a valid pattern matches only itself.
pub(crate) struct Patterns {
    name: Option<Pattern>,
    version: Option<Pattern>,
    release: Option<Pattern>,
    arch: Option<Pattern>,
}

enum Pattern {
    Glob(glob::Pattern),
    Literal(String),
}

impl Pattern {
    fn new(text: &str) -> Self {
        glob::Pattern::new(text).map_or_else(|_| Self::Literal(text.to_owned()), Self::Glob)
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Glob(pattern) => pattern.matches(text),
            Self::Literal(literal) => literal == text,
        }
    }
}

impl Patterns {
    pub(crate) fn new(filter: &Filter) -> Self {
        let pattern = |text: &Option<String>| text.as_deref().map(Pattern::new);
        Self {
            name: pattern(&filter.name),
            version: pattern(&filter.version),
            release: pattern(&filter.release),
            arch: pattern(&filter.arch),
        }
    }

    pub(crate) fn wants_package(&self, package: &Package) -> bool {
        passes(&self.name, package.id.name.as_str()) && passes(&self.version, package.id.version.as_str())
    }

    pub(crate) fn wants_target(&self, target: &Target) -> bool {
        passes(&self.release, target.release.as_str()) && passes(&self.arch, target.arch.as_str())
    }
}

fn passes(pattern: &Option<Pattern>, text: &str) -> bool {
    pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
}
