//! The compressors' command-line options, as framework.conf gives them, turned into settings. Pure.
//!
//! Understands what changes the result or is harmless; names the rest, for a warning.

use liblzma::stream::{Check, Filters, LzmaOptions, MatchFinder, Mode, PRESET_EXTREME};

/// What framework.conf says about compressing.
#[derive(Debug, Clone)]
pub(crate) struct CompressOptions {
    pub gzip: GzipSettings,
    pub xz: XzSettings,
    pub zstd: ZstdSettings,
}

impl Default for CompressOptions {
    fn default() -> Self {
        Self::parse("", "--check=crc32 --lzma2=dict=1MiB", "-q --rm -T0").0
    }
}

impl CompressOptions {
    /// From `compress_gzip_opts`, `compress_xz_opts` and `compress_zstd_opts`; the second value holds the options
    /// that have no meaning here, each with its compressor's name in front.
    #[must_use]
    pub(crate) fn parse(gzip: &str, xz: &str, zstd: &str) -> (Self, Vec<String>) {
        let mut options =
            Self { gzip: GzipSettings::default(), xz: XzSettings::default(), zstd: ZstdSettings::default() };
        let mut ignored = Vec::new();
        let mut each = |tool: &str, text: &str, with_value: &[&str], take: &mut dyn FnMut(&str) -> bool| {
            let unknown = words(text, with_value).into_iter().filter(|word| !take(word));
            ignored.extend(unknown.map(|word| format!("{tool} {word}")));
        };
        each("gzip", gzip, &[], &mut |word| options.gzip.take(word));
        each("xz", xz, &XzSettings::WITH_VALUE, &mut |word| options.xz.take(word));
        each("zstd", zstd, &["--threads"], &mut |word| options.zstd.take(word));
        (options, ignored)
    }
}

/// Splits at blanks and joins an option of `with_value` with the word behind it.
fn words(text: &str, with_value: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.split_ascii_whitespace();
    while let Some(word) = rest.next() {
        let value = if with_value.contains(&word) { rest.next() } else { None };
        let sign = if word.starts_with("--") { "=" } else { "" };
        words.push(value.map_or_else(|| word.to_owned(), |value| format!("{word}{sign}{value}")));
    }
    words
}

/// The letters of a word such as `-9n`.
fn cluster(word: &str) -> Option<&str> {
    word.strip_prefix('-').filter(|letters| !letters.is_empty() && !letters.starts_with('-'))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GzipSettings {
    /// 1 to 9.
    pub level: u32,
}

impl Default for GzipSettings {
    fn default() -> Self {
        Self { level: 6 }
    }
}

impl GzipSettings {
    fn take(&mut self, word: &str) -> bool {
        match word {
            "--best" => self.level = 9,
            "--fast" => self.level = 1,
            "--no-name" | "--quiet" | "--force" | "--verbose" | "--keep" => {}
            _ => return cluster(word).is_some_and(|letters| self.take_letters(letters)),
        }
        true
    }

    fn take_letters(&mut self, letters: &str) -> bool {
        let known = letters.chars().all(|c| matches!(c, '1'..='9' | 'n' | 'q' | 'f' | 'v' | 'k'));
        let level = letters.chars().rev().find_map(|c| c.to_digit(10));
        if let (true, Some(level)) = (known, level) {
            self.level = level;
        }
        known
    }
}

/// A filter in front of LZMA2 that makes machine code of one architecture smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum XzFilter {
    X86,
    Arm,
    ArmThumb,
    Arm64,
    PowerPc,
    RiscV,
}

impl XzFilter {
    fn from_option(word: &str) -> Option<Self> {
        Some(match word {
            "--x86" => Self::X86,
            "--arm" => Self::Arm,
            "--armthumb" => Self::ArmThumb,
            "--arm64" => Self::Arm64,
            "--powerpc" => Self::PowerPc,
            "--riscv" => Self::RiscV,
            _ => return None,
        })
    }

    pub(crate) fn add_to(self, filters: &mut Filters) {
        match self {
            Self::X86 => filters.x86(),
            Self::Arm => filters.arm(),
            Self::ArmThumb => filters.arm_thumb(),
            Self::Arm64 => filters.arm64(),
            Self::PowerPc => filters.powerpc(),
            Self::RiscV => filters.riscv(),
        };
    }
}

#[derive(Debug, Clone)]
pub(crate) struct XzSettings {
    /// 0 to 9, and [`PRESET_EXTREME`].
    pub preset: u32,
    /// `None`: not said. xz would take CRC64, which no kernel can check; we take CRC32.
    pub check: Option<Check>,
    pub filters: Vec<XzFilter>,
    /// The value of `--lzma2=`; every item is known to be understood.
    lzma2: Option<String>,
}

impl Default for XzSettings {
    fn default() -> Self {
        Self { preset: 6, check: None, filters: Vec::new(), lzma2: None }
    }
}

impl XzSettings {
    const WITH_VALUE: [&str; 9] =
        ["-T", "--threads", "-C", "--check", "-M", "--memlimit", "--memlimit-compress", "-F", "--format"];

    fn take(&mut self, word: &str) -> bool {
        if let Some(filter) = XzFilter::from_option(word) {
            self.filters.push(filter);
            return true;
        }
        match word {
            "--best" => self.set_preset(9),
            "--fast" => self.set_preset(0),
            "--extreme" => self.preset |= PRESET_EXTREME,
            "--lzma2" => self.lzma2 = Some(String::new()),
            "--compress" | "--quiet" | "--verbose" | "--force" | "--keep" | "--no-sparse" | "--no-warn"
            | "--no-adjust" | "--format=xz" | "-Fxz" => {}
            _ if ["-T", "--threads=", "-M", "--memlimit=", "--memlimit-compress="]
                .iter()
                .any(|p| word.starts_with(p)) => {}
            _ => return self.take_value(word),
        }
        true
    }

    fn take_value(&mut self, word: &str) -> bool {
        if let Some(name) = word.strip_prefix("--check=").or_else(|| word.strip_prefix("-C")) {
            let check = check_by_name(name);
            self.check = check.or(self.check);
            return check.is_some();
        }
        if let Some(items) = word.strip_prefix("--lzma2=") {
            let known = lzma_options(self.preset, items).is_some();
            if known {
                self.lzma2 = Some(items.to_owned());
            }
            return known;
        }
        cluster(word).is_some_and(|letters| self.take_letters(letters))
    }

    fn take_letters(&mut self, letters: &str) -> bool {
        if !letters.chars().all(|c| c.is_ascii_digit() || "eqvkfzQ".contains(c)) {
            return false;
        }
        for letter in letters.chars() {
            match letter.to_digit(10) {
                Some(level) => self.set_preset(level),
                None if letter == 'e' => self.preset |= PRESET_EXTREME,
                None => {}
            }
        }
        true
    }

    /// A preset forgets the filters before it, as with xz.
    fn set_preset(&mut self, level: u32) {
        self.preset = (self.preset & PRESET_EXTREME) | level;
        self.filters.clear();
        self.lzma2 = None;
    }

    pub(crate) fn lzma_options(&self) -> Option<LzmaOptions> {
        match &self.lzma2 {
            // Without a preset of its own, the item list starts from xz's default one.
            Some(items) => lzma_options(6, items),
            None => LzmaOptions::new_preset(self.preset).ok(),
        }
    }
}

fn check_by_name(name: &str) -> Option<Check> {
    Some(match name {
        "none" => Check::None,
        "crc32" => Check::Crc32,
        "crc64" => Check::Crc64,
        "sha256" => Check::Sha256,
        _ => return None,
    })
}

/// LZMA2's settings from `name=value,...`; a `preset` replaces what stands before it.
fn lzma_options(preset: u32, items: &str) -> Option<LzmaOptions> {
    let mut options = LzmaOptions::new_preset(preset).ok()?;
    for item in items.split(',').filter(|item| !item.is_empty()) {
        let (name, value) = item.split_once('=')?;
        match name {
            "preset" => options = LzmaOptions::new_preset(preset_by_name(value)?).ok()?,
            "dict" => drop(options.dict_size(size(value)?)),
            "lc" => drop(options.literal_context_bits(value.parse().ok()?)),
            "lp" => drop(options.literal_position_bits(value.parse().ok()?)),
            "pb" => drop(options.position_bits(value.parse().ok()?)),
            "nice" => drop(options.nice_len(value.parse().ok()?)),
            "depth" => drop(options.depth(value.parse().ok()?)),
            "mode" if value == "fast" => drop(options.mode(Mode::Fast)),
            "mode" if value == "normal" => drop(options.mode(Mode::Normal)),
            "mf" => drop(options.match_finder(match_finder(value)?)),
            _ => return None,
        }
    }
    Some(options)
}

fn preset_by_name(text: &str) -> Option<u32> {
    let (digits, extreme) = text.strip_suffix('e').map_or((text, 0), |digits| (digits, PRESET_EXTREME));
    digits.parse().ok().filter(|level: &u32| *level <= 9).map(|level| level | extreme)
}

fn match_finder(name: &str) -> Option<MatchFinder> {
    Some(match name {
        "hc3" => MatchFinder::HashChain3,
        "hc4" => MatchFinder::HashChain4,
        "bt2" => MatchFinder::BinaryTree2,
        "bt3" => MatchFinder::BinaryTree3,
        "bt4" => MatchFinder::BinaryTree4,
        _ => return None,
    })
}

/// A number with one of xz's suffixes, all of which mean powers of 1024.
fn size(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let factor = match suffix {
        "" => 1,
        "KiB" | "Ki" | "k" | "kB" | "K" | "KB" => 1 << 10,
        "MiB" | "Mi" | "m" | "M" | "MB" => 1 << 20,
        "GiB" | "Gi" | "g" | "G" | "GB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZstdSettings {
    level: i32,
    /// With `--long`.
    pub window_log: Option<u32>,
    pub checksum: bool,
    /// 0: as many as the machine has processors.
    pub threads: u32,
    ultra: bool,
}

impl Default for ZstdSettings {
    fn default() -> Self {
        Self { level: 3, window_log: None, checksum: true, threads: 1, ultra: false }
    }
}

impl ZstdSettings {
    /// Negative to 22; above 19 only with `--ultra`, wherever that stands.
    #[must_use]
    pub(crate) fn level(&self) -> i32 {
        self.level.min(if self.ultra { 22 } else { 19 })
    }

    pub(crate) fn workers(&self) -> u32 {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let wanted = if self.threads == 0 { u32::try_from(all()).unwrap_or(1) } else { self.threads };
        wanted.clamp(1, 64)
    }

    fn take(&mut self, word: &str) -> bool {
        match word {
            "--ultra" => self.ultra = true,
            "--fast" => self.level = -1,
            "--long" => self.window_log = Some(27),
            "--single-thread" => self.threads = 1,
            "--check" => self.checksum = true,
            "--no-check" => self.checksum = false,
            "--rm" | "--keep" | "--quiet" | "--verbose" | "--force" | "--compress" | "--content-size"
            | "--progress" | "--no-progress" | "--sparse" | "--no-sparse" | "--format=zstd" => {}
            _ => return self.take_value(word).is_some(),
        }
        true
    }

    fn take_value(&mut self, word: &str) -> Option<()> {
        if let Some((name, value)) = word.split_once('=') {
            let number: u32 = value.parse().ok()?;
            match name {
                "--fast" if (1..=131_072).contains(&number) => self.level = -i32::try_from(number).ok()?,
                "--long" if (10..=31).contains(&number) => self.window_log = Some(number),
                "--threads" => self.threads = number,
                _ => return None,
            }
            return Some(());
        }
        let mut changed = self.clone();
        changed.take_letters(cluster(word)?)?;
        *self = changed;
        Some(())
    }

    fn take_letters(&mut self, mut letters: &str) -> Option<()> {
        while let Some(letter) = letters.chars().next() {
            let number_at = |text: &str| {
                let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
                text[..end].parse::<u32>().ok().map(|number| (number, end))
            };
            let used = match letter {
                '0'..='9' => {
                    let (level, end) = number_at(letters)?;
                    self.level = i32::try_from(level).ok()?;
                    end
                }
                'T' => {
                    let (threads, end) = number_at(&letters[1..])?;
                    self.threads = threads;
                    end + 1
                }
                'q' | 'k' | 'f' | 'v' | 'z' | 'C' => 1,
                _ => return None,
            };
            letters = &letters[used..];
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", 6, "")]
    #[case("-9", 9, "")]
    #[case("-1n -q", 1, "")]
    #[case("--best", 9, "")]
    #[case("--fast", 1, "")]
    #[case("-9d", 6, "gzip -9d")]
    #[case("--rsyncable -4 file", 4, "gzip --rsyncable,gzip file")]
    fn gzip_options(#[case] text: &str, #[case] level: u32, #[case] expected: &str) {
        let (options, ignored) = CompressOptions::parse(text, "", "");
        assert_eq!((options.gzip.level, ignored.join(",").as_str()), (level, expected));
    }

    #[rstest]
    #[case("", 6, "")]
    #[case("-9e -T0", 9 | PRESET_EXTREME, "")]
    #[case("-3 -T 4 --memlimit 1GiB -q", 3, "")]
    #[case("--check crc32 --lzma2=dict=1MiB", 6, "")]
    #[case("--lzma2=preset=9e,dict=2M", 6, "")]
    #[case("--lzma2=dict=1XB --check=md5 -d", 6, "xz --lzma2=dict=1XB,xz --check=md5,xz -d")]
    #[case("--block-size=1MiB --delta", 6, "xz --block-size=1MiB,xz --delta")]
    fn xz_options(#[case] text: &str, #[case] preset: u32, #[case] expected: &str) {
        let (options, ignored) = CompressOptions::parse("", text, "");
        assert_eq!((options.xz.preset, ignored.join(",").as_str()), (preset, expected));
    }

    #[test]
    fn a_preset_forgets_the_filters_before_it() {
        let (options, _) = CompressOptions::parse("", "--x86 --lzma2=dict=4KiB -2", "");
        assert_eq!((options.xz.filters, options.xz.lzma2), (vec![], None));
    }

    #[rstest]
    #[case("-q --rm -T0", 3, 0, None, "")]
    #[case("-19", 19, 1, None, "")]
    #[case("-22", 19, 1, None, "")]
    #[case("-22 --ultra -T4", 22, 4, None, "")]
    #[case("-q19T2", 19, 2, None, "")]
    #[case("--threads 3 --long", 3, 3, Some(27), "")]
    #[case("--fast=5 --long=30", -5, 1, Some(30), "")]
    #[case("-D dict --adapt -6", 6, 1, None, "zstd -D,zstd dict,zstd --adapt")]
    #[case("-9Tx --long=99", 3, 1, None, "zstd -9Tx,zstd --long=99")]
    fn zstd_options(
        #[case] text: &str,
        #[case] level: i32,
        #[case] threads: u32,
        #[case] window_log: Option<u32>,
        #[case] expected: &str,
    ) {
        let (options, ignored) = CompressOptions::parse("", "", text);
        let zstd = options.zstd;
        assert_eq!((zstd.level(), zstd.threads, zstd.window_log), (level, threads, window_log));
        assert_eq!(ignored.join(","), expected);
    }
}
