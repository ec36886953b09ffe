//! POSIX extended regular expressions, matched by the C library.
//!
//! Owns the one wrapper around `regcomp` and `regexec`; it must not interpret an expression itself. bash's `=~` hands
//! its operand to the same functions, so the expressions of a dkms.conf mean here exactly what they mean there.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

/// A compiled extended expression; unanchored.
pub(crate) struct Regex {
    // The C library may keep pointers into the structure, so it never moves.
    compiled: Box<libc::regex_t>,
}

impl Regex {
    /// # Errors
    /// The C library's words on what is wrong with `expr`.
    #[allow(unsafe_code)]
    pub(crate) fn new(expr: &str) -> Result<Self, String> {
        let text = CString::new(expr).map_err(|_| String::from("NUL byte in the expression"))?;
        let mut compiled = Box::new(MaybeUninit::<libc::regex_t>::zeroed());
        let flags = libc::REG_EXTENDED | libc::REG_NOSUB;
        // SAFETY: `compiled` is writable memory of the size of a `regex_t`, and `text` a C string that outlives the call.
        let code = unsafe { libc::regcomp(compiled.as_mut_ptr(), text.as_ptr(), flags) };
        if code != 0 {
            return Err(describe(code, compiled.as_ptr()));
        }
        // SAFETY: `regcomp` succeeded and has therefore initialised the structure, which was all zeros before.
        let compiled = unsafe { Box::from_raw(Box::into_raw(compiled).cast::<libc::regex_t>()) };
        Ok(Self { compiled })
    }

    /// Whether the expression matches somewhere in `text`. A text with a NUL byte matches nothing.
    #[must_use]
    #[allow(unsafe_code)]
    pub(crate) fn is_match(&self, text: &str) -> bool {
        let Ok(text) = CString::new(text) else { return false };
        // SAFETY: `compiled` was filled by a successful `regcomp` and not freed yet; with no room for sub-matches asked
        // for, `regexec` reads `text`, a C string that outlives the call, and writes nothing of ours.
        unsafe { libc::regexec(&raw const *self.compiled, text.as_ptr(), 0, std::ptr::null_mut(), 0) == 0 }
    }
}

impl Drop for Regex {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: filled by a successful `regcomp` and freed here only.
        unsafe { libc::regfree(&raw mut *self.compiled) }
    }
}

impl std::fmt::Debug for Regex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Regex")
    }
}

/// Whether `expr` matches somewhere in `text`; an invalid expression never does.
#[must_use]
pub(crate) fn matches(expr: &str, text: &str) -> bool {
    Regex::new(expr).is_ok_and(|regex| regex.is_match(text))
}

#[allow(unsafe_code)]
fn describe(code: libc::c_int, compiled: *const libc::regex_t) -> String {
    let mut buffer = [0u8; 160];
    // SAFETY: `regerror` writes at most the given number of bytes; `compiled` points to memory of the structure's size
    // that a failed `regcomp` of the same code has left.
    unsafe { libc::regerror(code, compiled, buffer.as_mut_ptr().cast(), buffer.len()) };
    CStr::from_bytes_until_nul(&buffer).map_or_else(
        |_| format!("regular expression error {code}"),
        |text| text.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::process::Command;
    use rstest::rstest;

    #[rstest]
    #[case(r"^6\.1", "6.1.0-55-amd64", true)]
    #[case(r"^6\.1", "601.0", false)]
    #[case(r"6\.1\.0\-55", "6.1.0-55-amd64", true)]
    #[case(r"^5[\.-]4", "5-4", true)]
    #[case(r"^5[\.-]4", "5.4.0", true)]
    #[case(r"^5[\.-]4", "5_4", false)]
    #[case("^(4|5|6)[.]", "6.1.0", true)]
    #[case("^(4|5)[.]|rt", "6.1.0", false)]
    #[case("^(4|5)[.]|rt", "6.1.0-rt", true)]
    #[case("x86_64|aarch64", "aarch64", true)]
    #[case("amd", "6.1.0-55-amd64", true)]
    #[case("", "anything", true)]
    #[case("^$", "", true)]
    #[case("^6.[0-9]{1,2}$", "6.12", true)]
    #[case("^6.[0-9]{1,2}$", "6.123", false)]
    #[case("[[:digit:]]+", "abc", false)]
    #[case("(", "(", false)]
    #[case("[", "[", false)]
    #[case("a{2,1}", "aa", false)]
    #[case("*", "*", false)]
    #[case("a|*b", "b", false)]
    #[case(r"\<amd64\>", "6.1-amd64", true)]
    #[case(r"(a)\1", "aa", true)]
    fn expressions_match_as_in_bash(#[case] expr: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(matches(expr, text), expected);
        let bash = Command::new("bash").args(["-c", "[[ $1 =~ $2 ]]", "bash", text, expr]).env("LC_ALL", "C");
        if let Ok(outcome) = bash.run() {
            assert_eq!(outcome.status.success(), expected, "bash");
        }
    }

    #[test]
    fn an_invalid_expression_says_why() {
        assert!(Regex::new("(").unwrap_err().contains('('), "{:?}", Regex::new("("));
        assert!(Regex::new("a\0b").is_err());
        assert!(!Regex::new("a").unwrap().is_match("a\0"));
    }
}
