//! The processes above this one, as proc_pid_stat(5) tells of them.

use std::iter;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ancestor {
    pub pid: u32,
    /// Its name, of at most 15 bytes.
    pub command: String,
    /// When it started, in clock ticks since the boot: a pid that came again has another.
    pub start: String,
    parent: u32,
}

impl Ancestor {
    /// `None` if there is none.
    #[must_use]
    pub(crate) fn read(pid: u32) -> Option<Self> {
        parse(pid, &fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// The parent, its parent, and so on; without the first of all.
pub(crate) fn ancestors() -> impl Iterator<Item = Ancestor> {
    let read = |pid: u32| Ancestor::read(pid).filter(|process| process.pid > 1);
    iter::successors(read(std::os::unix::process::parent_id()), move |process| read(process.parent))
}

fn parse(pid: u32, stat: &str) -> Option<Ancestor> {
    // The command may hold blanks and parentheses.
    let (head, rest) = stat.rsplit_once(')')?;
    let command = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Ancestor {
        pid,
        command,
        start: (*fields.get(19)?).to_owned(),
        parent: fields.get(1)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_hold_anything() {
        let fields = "S 7 ".to_owned() + &"0 ".repeat(17) + "4711 0";
        let process = parse(9, &format!("9 (a) b( c)) {fields}")).unwrap();
        assert_eq!(
            (process.command.as_str(), process.parent, process.start.as_str()),
            ("a) b( c)", 7, "4711")
        );
        assert_eq!(parse(9, "9 (a) S"), None);
    }

    #[test]
    fn this_process_has_a_parent() {
        assert_eq!(ancestors().next().map(|process| process.pid), Some(std::os::unix::process::parent_id()));
    }
}
