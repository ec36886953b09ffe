//! dnf5 asks nothing: a process that it starts asks it, on its standard output, a request a line, and reads the replies.
//!
//! Source: libdnf5-actions(8), "json communication mode".

use super::{MOST_BYTES, Upcoming, named_by};
use crate::model::{Error, KernelRelease, Result};
use crate::system::process::Output;
use crate::system::{System, dir};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};

/// The repository of packages that are named on the command line.
const COMMAND_LINE: &str = "@commandline";

/// The packages of kernels in a transaction of dnf5, and where its downloads are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::hook) struct Transaction {
    packages: Vec<Package>,
    cache: PathBuf,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Package {
    name: String,
    /// Relative to its repository.
    location: PathBuf,
    repo_id: String,
}

impl Package {
    /// Of Fedora and its relatives: headers are in kernel-devel and kernel-FLAVOUR-devel, images in kernel-core and
    /// kernel-FLAVOUR-core.
    fn has_kernel(&self) -> bool {
        self.name.ends_with("-devel") || self.name.ends_with("-core")
    }
}

impl Transaction {
    /// Asks what comes.
    ///
    /// # Errors
    /// The other side ends, or answers what is no reply.
    pub(in crate::hook) fn ask(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<Self> {
        let filters = json!([
            {"key": "direction", "value": "IN"},
            {"key": "name", "value": "kernel*", "operator": "GLOB"},
        ]);
        let args = json!({"filters": filters, "output": ["name", "location", "repo_id"]});
        let mut reply = get("trans_packages", &args, input, output)?;
        let packages = reply.get_mut("trans_packages").map(Value::take).unwrap_or_default();
        let packages: Vec<Package> = serde_json::from_value(packages)?;
        let reply = get("conf", &json!({"key": "cachedir"}), input, output)?;
        let cache = reply["keys_val"][0]["value"].as_str().unwrap_or_default().into();
        Ok(Self { packages: packages.into_iter().filter(Package::has_kernel).collect(), cache })
    }

    /// Whether no kernel comes.
    pub(in crate::hook) fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Where each package is.
    fn files(&self, system: &System) -> Vec<PathBuf> {
        let on_command_line = named_by(&["dnf5", "dnf"]);
        let file_of = |package: &Package| {
            let name = package.location.file_name()?;
            if package.repo_id == COMMAND_LINE {
                return on_command_line.iter().find(|file| file.file_name() == Some(name)).cloned();
            }
            // The directory of a repository has its name and a hash of its address.
            let start = format!("{}-", package.repo_id);
            dir::entries(system.path(&self.cache))
                .into_iter()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(&start))
                .map(|entry| entry.path().join("packages").join(name))
                .find(|file| file.is_file())
        };
        self.packages.iter().filter_map(file_of).collect()
    }
}

fn get(domain: &str, args: &Value, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<Value> {
    writeln!(output, "{}", json!({"op": "get", "domain": domain, "args": args}))?;
    output.flush()?;
    let mut line = Vec::new();
    input.take(MOST_BYTES).read_until(b'\n', &mut line)?;
    let mut reply: Value = serde_json::from_slice(&line)?;
    match reply["status"].as_str() {
        Some("OK") => Ok(reply["return"].take()),
        _ => Err(io::Error::other(reply["message"].as_str().unwrap_or("no status").to_owned())),
    }
}

/// Asks dnf5 to end the transaction, which it does with this message.
///
/// # Errors
/// The other side has ended.
pub(in crate::hook) fn stop(message: &str, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "{}", json!({"op": "stop", "args": {"message": message}}))
}

/// Looks into the packages: their names do not say the release of every flavour.
///
/// # Errors
/// The packages are not found, or rpm cannot read one.
pub(in crate::hook) fn from_dnf(transaction: &Transaction, system: &System) -> Result<Upcoming> {
    let mut found = Upcoming {
        again: "dnf upgrade",
        hold: "dnf upgrade --exclude='kernel*'".to_owned(),
        ..Upcoming::default()
    };
    let files = transaction.files(system);
    // Of a part it would seem that headers do not come, which they do.
    if files.len() < transaction.packages.len() {
        let (path, why) =
            (transaction.cache.clone(), "what dnf has downloaded was not found there".to_owned());
        return Err(Error::HeadersUnusable { path, why });
    }
    for file in files {
        let paths = paths_in(&file, system)?;
        let kernels = found.kernels.len();
        for (release, is_headers) in paths.lines().filter_map(kernel_of_path) {
            match is_headers {
                true => found.kernels.insert(release),
                false => found.images.insert(release),
            };
        }
        if found.kernels.len() > kernels {
            found.files.push(file);
        }
    }
    Ok(found)
}

fn paths_in(file: &Path, system: &System) -> Result<String> {
    let unusable = |why: String| Error::HeadersUnusable { path: file.to_owned(), why };
    let rpm = system.command("rpm").args(["--query", "--package", "--list", "--nosignature", "--nodigest"]);
    let ended = rpm.arg(file).stdout(Output::Capture).stderr(Output::Capture).run();
    let ended = ended.map_err(|error| unusable(error.to_string()))?;
    if !ended.status.success() {
        return Err(unusable(ended.stderr_tail()));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// The kernel that a file belongs to, and whether it is a file of headers.
fn kernel_of_path(path: &str) -> Option<(KernelRelease, bool)> {
    let (rest, is_headers) = match path.strip_prefix("/usr/src/kernels/") {
        Some(rest) => (rest, true),
        None => (path.strip_prefix("/usr").unwrap_or(path).strip_prefix("/lib/modules/")?, false),
    };
    let (release, file) = rest.split_once('/')?;
    // Packages of headers have a link in the kernel's directory.
    let belongs = is_headers || file == "modules.order" || file == "vmlinuz";
    Some((KernelRelease::new(release).ok().filter(|_| belongs)?, is_headers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const PACKAGES: &str = r#"{ "op": "reply", "requested_op": "get", "domain": "trans_packages", "return": { "trans_packages": [ { "name": "kernel-core", "repo_id": "fedora", "location": "Packages\/k\/kernel-core-6.9.5-200.fc40.x86_64.rpm" }, { "name": "kernel-headers", "repo_id": "fedora", "location": "a.rpm" } ] }, "status": "OK" }"#;
    const CACHE: &str = r#"{ "op": "reply", "requested_op": "get", "domain": "conf", "return": { "keys_val": [ { "key": "cachedir", "value": "\/var\/cache\/libdnf5" } ] }, "status": "OK" }"#;

    fn asked(replies: &str) -> (io::Result<Transaction>, String) {
        let mut output = Vec::new();
        let found = Transaction::ask(&mut replies.as_bytes(), &mut output);
        (found, String::from_utf8(output).unwrap())
    }

    #[test]
    fn transaction_is_asked_for_in_lines() {
        let (found, said) = asked(&format!("{PACKAGES}\n{CACHE}\n"));
        let package = Package {
            name: "kernel-core".to_owned(),
            location: "Packages/k/kernel-core-6.9.5-200.fc40.x86_64.rpm".into(),
            repo_id: "fedora".to_owned(),
        };
        assert_eq!(
            found.unwrap(),
            Transaction { packages: vec![package], cache: "/var/cache/libdnf5".into() }
        );
        assert_eq!(said.lines().count(), 2, "{said}");
    }

    #[rstest]
    #[case::ends("")]
    #[case::is_cut(&PACKAGES[..40])]
    #[case::is_none("on the way\n")]
    #[case::refuses(r#"{"op":"reply","status":"ERROR","message":"Domain"}"#)]
    #[case::is_of_another_kind(r#"{"op":"reply","status":"OK","return":[]}"#)]
    #[case::lacks_packages(r#"{"op":"reply","status":"OK","return":{}}"#)]
    fn what_is_no_reply_is_an_error(#[case] replies: &str) {
        assert!(asked(replies).0.is_err());
    }

    #[rstest]
    #[case("/usr/src/kernels/6.9.5-200.fc40.x86_64+debug/include/a.h", Some(("6.9.5-200.fc40.x86_64+debug", true)))]
    #[case("/lib/modules/6.9.5-200.fc40.x86_64/vmlinuz", Some(("6.9.5-200.fc40.x86_64", false)))]
    #[case("/usr/lib/modules/6.9.5-200.fc40.x86_64/modules.order", Some(("6.9.5-200.fc40.x86_64", false)))]
    #[case("/lib/modules/6.9.5-200.fc40.x86_64/build", None)]
    #[case("/usr/src/kernels", None)]
    #[case("/usr/lib/modules//vmlinuz", None)]
    #[case("/boot/vmlinuz", None)]
    fn kernel_is_known_by_its_paths(#[case] path: &str, #[case] expected: Option<(&str, bool)>) {
        let expected = expected.map(|(release, is)| (KernelRelease::new(release).unwrap(), is));
        assert_eq!(kernel_of_path(path), expected);
    }
}
