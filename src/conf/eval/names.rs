//! Variables that bash itself gives a meaning or a value.

/// Set or used by bash; never read or assigned natively.
const SHELL: &[&str] = &[
    "COMPREPLY",
    "COPROC",
    "DIRSTACK",
    "ENV",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "EXECIGNORE",
    "FIGNORE",
    "FUNCNAME",
    "FUNCNEST",
    "GLOBIGNORE",
    "GLOBSORT",
    "GROUPS",
    "HOSTNAME",
    "HOSTTYPE",
    "IFS",
    "LINENO",
    "MACHTYPE",
    "MAPFILE",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "OSTYPE",
    "PIPESTATUS",
    "POSIXLY_CORRECT",
    "PPID",
    "PROMPT_COMMAND",
    "PROMPT_DIRTRIM",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "PWD",
    "RANDOM",
    "REPLY",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "UID",
    "_",
];

/// Taken from the environment by bash or given a default; readable natively where the environment has them.
const ENVIRONMENT: &[&str] = &[
    "CDPATH",
    "CHILD_MAX",
    "COLUMNS",
    "HOME",
    "HOSTFILE",
    "IGNOREEOF",
    "INPUTRC",
    "LANG",
    "LANGUAGE",
    "LINES",
    "MAIL",
    "MAILCHECK",
    "MAILPATH",
    "PATH",
    "SHELL",
    "TERM",
    "TEXTDOMAIN",
    "TEXTDOMAINDIR",
    "TIMEFORMAT",
    "TMOUT",
    "TMPDIR",
    "TZ",
    "auto_resume",
    "histchars",
];

fn shell_prefix(name: &str) -> bool {
    ["BASH", "COMP_", "READLINE_", "HIST", "__dkms_"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether only bash knows this variable's value.
pub(crate) fn is_shell_variable(name: &str) -> bool {
    shell_prefix(name) || SHELL.contains(&name)
}

/// Whether bash gives the variable a meaning or, without one in the environment, perhaps a value.
pub(crate) fn is_environment_variable(name: &str) -> bool {
    ENVIRONMENT.contains(&name) || name.starts_with("LC_")
}

/// Whether an assignment changes only the variable and nothing in how bash reads on.
pub(crate) fn is_assignable(name: &str) -> bool {
    !is_shell_variable(name) && !is_environment_variable(name)
}

/// Whether `name` is a shell identifier.
pub(crate) fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}
