//! Generates confs: mostly reasonable, sometimes not, always the same ones.

/// xorshift64*; the tests need variety, not randomness.
pub(crate) struct Generator(u64);

const NAMES: &[&str] = &["MAKE", "MAKE", "CLEAN", "PATCH", "PACKAGE_NAME", "x", "y_1", "kernelver"];
const CHARACTERS: &[&str] = &[
    "a", "b", "C", "1", "0", ".", "/", "-", "_", ",", "+", "%", "@", "^", "!", "é", "a b", "make ", "-j", "=",
];
const UNUSUAL: &[&str] =
    &[":", "~", "{", "}", "{a,b}", "*", "?", "[", "]", "[a]", "#", ":~", "\u{a0}", "&", "|", "\u{1}"];
const BLANKS: &[&str] = &[" ", "  ", "\t", "\n", " \n ", "\\\n"];
const SAFE: &[&str] = &["a", "b", "1", ".", "/", "-", "_", " ", ",", "+", "%", "@", "^", "=", ":", "#"];
const VARIABLES: &[&str] = &["x", "y_1", "kernelver", "arch", "MAKE", "CLEAN", "unset_one", "HOME", "empty"];

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn repeat(&mut self, most: u64, mut piece: impl FnMut(&mut Self) -> String) -> String {
        (0..self.below(most + 1)).map(|_| piece(self)).collect()
    }

    pub(crate) fn conf(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(6) {
            if self.one_in(8) {
                text += self.pick(&["# it's a comment\n", "  ", "\n\n", "\t# \"$x\n", "\\\n", " #\\\n"]);
            }
            text += &self.statement();
            text += match self.below(12) {
                0 => ";",
                1 => " ; ",
                2 => " ",
                3 => " # comment $(\n",
                4 => " \\\n ",
                _ => "\n",
            };
        }
        text
    }

    fn statement(&mut self) -> String {
        let name = self.pick(NAMES);
        let append = if self.one_in(6) { "+" } else { "" };
        match self.below(8) {
            0 => format!("{name}{append}=({})", self.list()),
            1..=3 => format!("{name}[{}]{append}={}", self.below(4), self.value()),
            _ => format!("{name}{append}={}", self.value()),
        }
    }

    fn list(&mut self) -> String {
        self.repeat(4, |g| {
            let index = if g.one_in(4) { format!("[{}]=", g.below(6)) } else { String::new() };
            let word = if g.one_in(3) { format!("\"{}\"", g.double_quoted()) } else { g.value() };
            let end = g.pick(&[" ", "\n", " # it's\n", "\t"]);
            format!("{index}{word}{end}")
        })
    }

    fn value(&mut self) -> String {
        self.repeat(3, |g| match g.below(16) {
            0..=6 => format!("\"{}\"", g.double_quoted()),
            7..=8 => format!("'{}'", g.single_quoted()),
            9 => g.parameter(1),
            10 => g.pick(&["\\ ", "\\\"", "\\'", "\\$", "\\\\", "\\\n", "\\a", "\\;", "\\é"]).to_owned(),
            11 => g.pick(&["$'a\\tb'", "$'\\n\\''", "$'x\\\\'", "$", "\"\"", "''"]).to_owned(),
            12 => g.pick(UNUSUAL).replace(['&', '|'], ""),
            _ => g.pick(CHARACTERS).replace(' ', ""),
        })
    }

    fn single_quoted(&mut self) -> String {
        self.repeat(5, |g| match g.below(9) {
            0 => g.pick(BLANKS).to_owned(),
            // An assignment inside a value that is then lost still happens in bash; not so in ours.
            1 => g.parameter(1).replace('=', "-"),
            2 => g.pick(&["\\", "\\\\", "\\$", "\\\"", "$", "$\"", "\\\\\\\\"]).to_owned(),
            3 => g.pick(&["\"", "\"a\"", "\"a b\"", "\" \"", "; ", "\"#\"", "\";\"", "\" #\""]).to_owned(),
            4 => g.pick(UNUSUAL).to_owned(),
            5 if g.one_in(3) => {
                g.pick(&["\" && x=\"", "\" || x=\"", "\" | x=\"", "\" & x=\"", "\">\"", "\"(\""]).to_owned()
            }
            5 if g.one_in(2) => g
                .pick(&["\" MAKE=\"", "\"; CLEAN=\"", "\"; MAKE+=\"", "\";;\"", "\"\\", "'\"'\"'"])
                .replace('\'', ""),
            _ => g.pick(CHARACTERS).to_owned(),
        })
    }

    fn double_quoted(&mut self) -> String {
        self.repeat(5, |g| match g.below(9) {
            0 => g.pick(BLANKS).to_owned(),
            1..=2 => g.parameter(1),
            3 => g
                .pick(&[
                    "\\\\",
                    "\\$",
                    "\\\"",
                    "\\a",
                    "\\\n",
                    "\\'",
                    "'",
                    "\\\"a\\\"",
                    "\\\"a b\\\"",
                    "\\\\\\\\",
                ])
                .to_owned(),
            4 => g.pick(UNUSUAL).to_owned(),
            5 => g.pick(&["$", "$ ", "$/", "$.", "$'", "(", ")", ";", "<", ">", "$)", "$|"]).to_owned(),
            _ => g.pick(CHARACTERS).to_owned(),
        })
    }

    fn operand(&mut self, depth: u64) -> String {
        self.repeat(3, |g| match g.below(14) {
            0 if depth < 3 => g.parameter(depth + 1),
            1 => g.pick(UNUSUAL).replace('}', ""),
            2 => g
                .pick(&["*", "?", "*.", "-*", "$", "  ", "\""])
                .replace('"', if depth > 1 { "\\\"" } else { "" }),
            _ => g.pick(SAFE).to_owned(),
        })
    }

    fn parameter(&mut self, depth: u64) -> String {
        let name = self.pick(VARIABLES);
        let index = if self.one_in(5) { format!("[{}]", self.below(3)) } else { String::new() };
        match self.below(8) {
            0..=1 => format!("${name}"),
            2..=4 => format!("${{{name}{index}}}"),
            _ => {
                let operation = self
                    .pick(&[":-", "-", ":=", "=", ":+", "+", "%", "%%", "#", "##", "/", "//", ",,", "^^"]);
                match operation {
                    "," | ",," | "^^" => format!("${{{name}{index}{operation}}}"),
                    "/" | "//" => {
                        let (pattern, with) = (self.operand(depth), self.operand(depth));
                        format!("${{{name}{index}{operation}{pattern}/{with}}}")
                    }
                    _ => format!("${{{name}{index}{operation}{}}}", self.operand(depth)),
                }
            }
        }
    }
}
