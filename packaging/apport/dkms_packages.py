"""Tells apport of a driver that could not be built: dkms calls it with -m NAME -v VERSION -k KERNEL, and with --fixed when it
could be built later: then a report of this kernel goes that was not sent.

Ends with 0 if a report was written or is there already, with 1 where none is wanted (no package brought the source or the kernel, or
the compiler crashed), and with 3 where the package's source package is not known.
"""

import argparse
import os
import re
import subprocess
import sys


def ask(*command):
    """What a command prints, or nothing where it fails."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return ended.stdout.decode("utf-8", "replace").strip() if ended.returncode == 0 else ""


def owner(path):
    """The package that brought a file."""
    return ask("dpkg-query", "--search", path).split("\n")[0].partition(": ")[0].split(", ")[0]


def build_log(name, version):
    try:
        with open(f"/var/lib/dkms/{name}/{version}/build/make.log", encoding="utf-8", errors="replace") as log:
            return log.read()
    except OSError:
        return ""


def remove_report(package, kernel):
    """Removes what was written for apport, unless it is of another kernel or of something else."""
    path = f"/var/crash/{package.replace('/', '_')}.{os.getuid()}.crash"
    try:
        with open(path, encoding="utf-8", errors="replace") as report:
            is_ours = f"DKMSKernelVersion: {kernel}\n" in report
        if is_ours and not os.path.exists(path[: -len("crash")] + "upload"):
            os.remove(path)
    except OSError:
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", "--module", required=True)
    parser.add_argument("-v", "--version", required=True)
    parser.add_argument("-k", "--kernel", default="")
    parser.add_argument("--fixed", action="store_true")
    wanted = parser.parse_args()

    package = owner(f"/usr/src/{wanted.module}-{wanted.version}")
    if not package or (wanted.kernel and not owner(f"/boot/vmlinuz-{wanted.kernel}")):
        return 1
    if wanted.fixed:
        remove_report(package, wanted.kernel)
        return 0
    log = build_log(wanted.module, wanted.version)
    if "Segmentation fault" in log:
        return 1
    shown = "${Version}\n${source:Package}"
    version, _, source = ask("dpkg-query", "--show", "--showformat", shown, package).partition("\n")
    if not source:
        return 3

    from apport import fileutils, report

    found = report.Report("Package")
    found["Package"] = f"{package} {version}"
    found["SourcePackage"] = source
    found["DKMSKernelVersion"] = wanted.kernel
    found["DKMSBuildLog"] = log
    found["ErrorMessage"] = f"{package} kernel module failed to build"
    found["Title"] = f"{package} {version}: {package} kernel module failed to build"
    error = re.search(r"^.*: error:.*$", log, re.MULTILINE)
    if error:
        found["DuplicateSignature"] = f"dkms:{package}:{version}:{error.group(0)}"
    try:
        with fileutils.make_report_file(found) as file:
            found.write(file)
    except FileExistsError:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
