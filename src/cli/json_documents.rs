//! The fields of every JSON document, each explained once: dkms(8) and docs/reference.md are made from this table.

/// The document of one command.
pub(crate) struct JsonDocument {
    pub command: &'static str,
    /// Names of fields in backquotes, and what they mean.
    pub fields: &'static [(&'static str, &'static str)],
}

/// Every document that dkms prints.
pub(crate) const DOCUMENTS: [JsonDocument; 7] = [
    JsonDocument {
        command: "dkms status --format json",
        fields: &[
            ("`packages[]`", "one for each package and version"),
            ("`name`, `version`, `source`", "which, and the directory of its source"),
            ("`state`, `reason`", "`added` or `broken`; why it is broken, or why there is no build"),
            ("`failure_log`", "the log of the last build, if that failed"),
            (
                "`disabled[]`",
                "where /etc/dkms/disabled has it: `kernels`, a shell wildcard, `reason`, `file`",
            ),
            (
                "`failures[]`",
                "builds that failed and are not retried before something changes: `kernel`, `arch`, `at` (RFC 3339), `code`, `reason`, `duration_ms`, `isolation` as below, `log`",
            ),
            ("`builds[]`", "one for each kernel and architecture"),
            ("`kernel`, `arch`, `state`", "for which; `built`, `installed` or `installed-weak`"),
            (
                "`reason`, `stale`, `from`",
                "what is wrong with it; why it is not what would be built now; for `installed-weak` the kernel that has the modules",
            ),
            (
                "`original_modules`, `duration_ms`, `cpu_ms`, `log`",
                "whether it replaced modules of the kernel; how long the build took, and the processor time of its programs, null where that is not known; its log",
            ),
            (
                "`isolation`",
                "`walls` that stood around the build (`user`, `files`, `network`, `processes`, `landlock`), none without isolation; `fallback`, what they denied to a build that was then made without them; null where it is not known",
            ),
            (
                "`modules[]`",
                "`name`; `built`, the built file, with `sha256`; `version`, `srcversion`, `vermagic`, `signer` of the module; `installed`, the file in the kernel's directory, with `installed_sha256`",
            ),
        ],
    },
    JsonDocument {
        command: "dkms check --format json",
        fields: &[
            ("`complete`", "whether nothing is wrong with any of the kernels"),
            (
                "`kernels[]`",
                "`kernel`, `arch`; whether it is the `running` one, the `newest`, and the one that `boots_next` as far as the boot loader's files say it; `packages` and `modules`, how many are installed as they should be",
            ),
            (
                "`findings[]`",
                "`kind` (`no-kernel`, `missing`, `stale`, `damaged`, `foreign`, `not-indexed`, `unsigned`, `untrusted`, `not-in-image`, `old-in-image`, `lost`, `disabled`, `unreadable`), `package`, `module`, `why`, and `remedy`, a command that fixes it, or null",
            ),
            ("`notes[]`", "what is worth knowing and needs nothing to be done"),
            ("`unknown[]`", "what could not be determined; the kernel may be complete"),
            ("`kept_default`", "the kernel that boot_default keeps as the boot loader's default, or null"),
            (
                "`isolation`",
                "with `--full`: the `policy` of framework.conf, the `walls` around builds, and those that are `missing` on this machine",
            ),
        ],
    },
    JsonDocument {
        command: "dkms preflight --format json",
        fields: &[
            ("`ready`", "whether no package that the running kernel has would be lost"),
            ("`running`", "the kernel that runs, or null"),
            ("`kernels[]`", "`kernel`, `arch`, and whether it is `ready`"),
            (
                "`packages[]`",
                "`name`, `version`; `outlook` (`ready`, `provided` by the kernel itself, `excluded`, `fails`, `waits`, `untried`, `disabled`, `not-automatic`); `reason` and `log`, or null; whether the `running` kernel has it, so that it would be lost if it is neither ready nor provided nor untried nor disabled; `instead_of`, a version that does not build or does not want the kernel, with the reason, or null",
            ),
        ],
    },
    JsonDocument {
        command: "dkms install --format json and dkms autoinstall --format json",
        fields: &[
            ("`changed`", "whether a kernel's modules are others than before"),
            ("`exit_code`, `error`", "how the run ended; the error in one line, or null"),
            ("`packages[]`", "what became of each package; one that was up to date already is not listed"),
            (
                "`name`, `version`, `kernel`, `arch`, `result`",
                "which; `installed`, `skipped`, `failed`, `interrupted`, or `waiting` for headers or another package",
            ),
            (
                "`code`, `reason`, `log`, `duration_ms`",
                "the exit status that it would have alone, and why; its log; how long it took, null where nothing was tried",
            ),
        ],
    },
    JsonDocument {
        command: "dkms history --format json",
        fields: &[
            ("`attempts[]`", "each build and installation that was tried, the oldest first"),
            ("`at`, `duration_ms`", "when it began (RFC 3339); how long it took"),
            (
                "`trigger`, `tree`",
                "what set it off: `by hand`, the package manager with the package where it is known, or the name of the hook, as `boot`; the DKMS tree",
            ),
            (
                "`name`, `version`, `kernel`, `arch`, `result`",
                "which; `built`, `installed`, `failed`, `skipped` or `interrupted`",
            ),
            ("`code`, `reason`, `log`", "its exit status; why it failed; its log at that time"),
        ],
    },
    JsonDocument {
        command: "dkms lint --format json",
        fields: &[
            ("`file`", "the dkms.conf"),
            ("`findings[]`", "`severity` (`error`, `warning`, `hint`), `line` or null, `text`"),
        ],
    },
    JsonDocument {
        command: "dkms conf --format json",
        fields: &[
            ("`directives`", "each directive with its value; arrays with their indexes"),
            ("`sources`", "each directive with the file that its value comes from"),
            ("`evaluator`", "`native`, or `bash` where the file had to be read by it"),
        ],
    },
];
