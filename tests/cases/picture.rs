//! docs/screen.svg: what a terminal shows, from the program's own output. `make documents` writes it; the test fails where the
//! program prints something else.

use crate::world::{K, World};
use std::fmt::Write;
use std::path::Path;
use std::str::Chars;

const OLD: &str = "6.1.0-0-amd64";
const COLUMNS: usize = 118;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ink {
    Plain,
    Faint,
    Good,
    Bad,
    Warning,
}

/// A terminal that understands what ours is sent: line feed, carriage return, colours, erasing and cursor up (ECMA-48).
struct Screen {
    lines: Vec<Vec<(char, Ink)>>,
    row: usize,
    column: usize,
    ink: Ink,
}

impl Screen {
    fn new() -> Self {
        Self { lines: vec![Vec::new()], row: 0, column: 0, ink: Ink::Plain }
    }

    fn show(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\n' => {
                    (self.row, self.column) = (self.row + 1, 0);
                    self.lines.resize(self.lines.len().max(self.row + 1), Vec::new());
                }
                '\r' => self.column = 0,
                '\u{1b}' => self.obey(&sequence(&mut chars)),
                c => {
                    if self.column >= COLUMNS {
                        self.show("\n");
                    }
                    let line = &mut self.lines[self.row];
                    line.resize(line.len().max(self.column + 1), (' ', Ink::Plain));
                    line[self.column] = (c, self.ink);
                    self.column += 1;
                }
            }
        }
    }

    fn obey(&mut self, sequence: &str) {
        match sequence {
            "[0m" => self.ink = Ink::Plain,
            "[2m" => self.ink = Ink::Faint,
            "[32m" => self.ink = Ink::Good,
            "[33m" => self.ink = Ink::Warning,
            "[1;31m" => self.ink = Ink::Bad,
            "[2K" | "[K" => self.lines[self.row].clear(),
            up if up.ends_with('A') => {
                let rows: usize = up.trim_matches(['[', 'A']).parse().unwrap_or(1);
                self.row = self.row.saturating_sub(rows);
            }
            other => panic!("the picture does not know ESC {other}"),
        }
    }
}

/// What follows an escape character.
fn sequence(chars: &mut Chars<'_>) -> String {
    let mut text = String::new();
    for c in chars {
        text.push(c);
        if c.is_ascii_alphabetic() {
            break;
        }
    }
    text
}

fn svg(lines: &[Vec<(char, Ink)>]) -> String {
    let (width, height) = (COLUMNS * 8 + 32, lines.len() * 18 + 32);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>text {{ font: 13px monospace; white-space: pre; fill: #d8dee9 }} .f {{ fill: #7b869b }} .g {{ fill: #a3be8c }} \
         .b {{ fill: #ef8088; font-weight: bold }} .w {{ fill: #ebcb8b }} .p {{ fill: #ffffff; font-weight: bold }}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#242933\"/>\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let _ = write!(text, "<text x=\"16\" y=\"{}\">", row * 18 + 30);
        let is_prompt = line.starts_with(&[('#', Ink::Plain), (' ', Ink::Plain)]);
        for run in line.chunk_by(|a, b| a.1 == b.1) {
            let class = match run[0].1 {
                Ink::Plain if is_prompt => "p",
                Ink::Plain => "",
                Ink::Faint => "f",
                Ink::Good => "g",
                Ink::Bad => "b",
                Ink::Warning => "w",
            };
            let letters: String = run.iter().map(|(c, _)| *c).collect();
            let letters = letters.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            match class {
                "" => text.push_str(&letters),
                class => {
                    let _ = write!(text, "<tspan class=\"{class}\">{letters}</tspan>");
                }
            }
        }
        text.push_str("</text>\n");
    }
    text + "</svg>\n"
}

/// A new kernel comes to a machine with three drivers, of which one does not compile for it.
fn session() -> String {
    let world = World::new();
    world.kernel(OLD).headers();
    world.write("/etc/dkms/framework.conf", "parallel_jobs=1\n");
    let modules = world.path("/lib/modules").display().to_string();
    let index = "find updates kernel -name '*.ko' 2>/dev/null | sed 's/$/:/' > .new; mv .new modules.dep";
    world.tool_does("depmod", &format!("for kernel in {modules}/*; do ( cd $kernel && {index} ); done"));
    let failure = "razerkbd_driver.c:3124:5: error: too few arguments";
    world.package("acpi-call", "1.2.2");
    world.package("v4l2loopback", "0.12.7");
    world
        .package("openrazer-driver", "3.5.1")
        .recipe(&format!("case $kernelver in {K}) echo \"{failure}\"; exit 2 ;; esac"));
    for package in ["acpi-call/1.2.2", "openrazer-driver/3.5.1", "v4l2loopback/0.12.7"] {
        world.ok(&["install", package, "-k", OLD]);
    }
    let mut screen = String::new();
    for line in ["dkms autoinstall", "dkms status", "dkms check"] {
        // Where this machine keeps its files is not a part of the picture.
        let shown = world.on_terminal(COLUMNS, &[], line).stdout;
        let root = world.root().display().to_string();
        let _ = write!(screen, "# {line}\n{}\n", shown.replace(&root, ""));
    }
    screen
}

#[test]
fn picture_shows_what_the_program_prints() {
    let mut screen = Screen::new();
    screen.show(&session());
    let is_blank = |line: &Vec<(char, Ink)>| line.iter().all(|(c, _)| *c == ' ');
    while screen.lines.last().is_some_and(is_blank) {
        screen.lines.pop();
    }
    let made = svg(&screen.lines);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screen.svg");
    if std::env::var_os("DKMS_WRITE_DOCUMENTS").is_some() {
        std::fs::write(&path, made).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        without_times(&found),
        without_times(&made),
        "docs/screen.svg is not up to date: run make documents"
    );
}

/// The text without what is another at each run: how long a build took and when it failed.
fn without_times(svg: &str) -> String {
    let words = svg.split_inclusive([' ', '\n', '>', '<']).map(|word| {
        let core = word.trim_end_matches([' ', '\n', '<', ':', ')']);
        let is_time = core.starts_with(|c: char| c.is_ascii_digit())
            && core.chars().all(|c| c.is_ascii_digit() || ":s-".contains(c))
            && core.contains(['s', ':', '-']);
        if is_time { "TIME " } else { word }
    });
    words.collect()
}
