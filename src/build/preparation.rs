//! What is known of a build before anything is written. Whether it is refused is decided in `plan::refusal`.

use crate::build::jobs::{Shared, Turn};
use crate::build::signer::signer;
use crate::conf::{PackageConf, Strictness};
use crate::inspect::inputs::{
    exports, has_sources, inputs, installed_dependencies, override_paths, source_paths,
};
use crate::inspect::trust::exposures;
use crate::kernel::{Kernel, Toolchain};
use crate::model::text::quote;
use crate::model::{BuildId, Error, PackageId, PackageName, Result, Target};
use crate::plan::refusal::{Obstacles, Verdict};
use crate::plan::request::Force;
use crate::plan::{Buildable, buildable};
use crate::programs::environment::{build_environment, toolchain};
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::tree::{Added, Inputs};
use std::path::Path;

/// How a build is meant.
#[derive(Debug, Default)]
pub(crate) struct BuildOptions<'a> {
    /// Read in place of the package's own dkms.conf.
    pub conf: Option<&'a Path>,
    pub force: Force,
    /// The build's turn among others that run at the same time.
    pub turn: Option<Turn<'a>>,
    /// What it shares with them.
    pub shared: Shared<'a>,
}

/// What is known of a build before anything is written.
pub(crate) struct Preparation {
    pub id: BuildId,
    pub conf: PackageConf,
    pub buildable: Buildable,
    pub toolchain: Toolchain,
    pub environment: ProgramEnvironment,
    pub signer: Option<crate::signing::Signer>,
    /// What it is built against, where that is to be recorded.
    pub against: Vec<PackageId>,
    /// What the build is made from; `None` where that cannot be read.
    pub inputs: Option<Inputs>,
    /// Modules may name another release.
    pub any_vermagic: bool,
}

/// Reads everything that a build needs to know.
///
/// # Errors
/// The dkms.conf is invalid, the build is refused, or it cannot be signed although that is required.
pub(crate) fn prepare(
    session: &WriteSession<'_>,
    added: &Added,
    id: &BuildId,
    options: &BuildOptions<'_>,
) -> Result<Preparation> {
    let kernel = session.kernel(&id.target.release);
    let own_conf = added.conf();
    // Before anything is read or copied: what changes meanwhile makes the build stale, and what the dkms.conf said worthless.
    let mut inputs = inputs(session, id).ok();
    let conf =
        session.conf(&id.package, options.conf.unwrap_or(&own_conf), &id.target, Strictness::Strict)?;
    session.tell_about(&conf, &id.package);
    let buildable = buildable(&conf, &id.target, kernel.config());
    match obstacles(session, added, &conf, &buildable, &kernel, &id.target).judge(id, options.force.force) {
        Verdict::Go => {}
        Verdict::Forced(error) => session.system.console.warn(error.to_string()),
        Verdict::Refused(error) => return Err(error),
    }
    tell_exposures(session, id, options.conf);
    let signer =
        signer(session, &id.target.release).map_err(|why| Error::NotSigned { build: id.clone(), why })?;
    let toolchain = toolchain(session, &id.target.release);
    let environment = build_environment(session, id, &toolchain)?;
    let against = if conf.depends_rebuild.is_yes() && !options.force.force {
        installed_dependencies(session, &conf.depends, &id.target)
    } else {
        Vec::new()
    };
    if let Some(inputs) = inputs.as_mut().filter(|_| !against.is_empty()) {
        inputs.dependencies = exports(session, &conf.depends, id);
    }
    Ok(Preparation {
        id: id.clone(),
        conf,
        buildable,
        toolchain,
        environment,
        signer,
        against,
        inputs,
        any_vermagic: options.force.vermagic,
    })
}

/// Names what another user can change of what is about to run as root.
fn tell_exposures(session: &WriteSession<'_>, id: &BuildId, conf: Option<&Path>) {
    let mut paths = source_paths(session, id);
    paths.extend(override_paths(session, id, &session.kernel(&id.target.release)));
    paths.extend(conf.map(Path::to_owned));
    let found = exposures(&paths, session.system.host.euid);
    let Some(first) = found.first() else { return };
    let others = match found.len() - 1 {
        0 => String::new(),
        1 => " and one other file".to_owned(),
        n => format!(" and {n} other files"),
    };
    let source = fs_err::canonicalize(session.tree().source(&id.package)).unwrap_or_default();
    let top = if first.path.starts_with(&source) { source.as_path() } else { &first.path };
    session.system.console.warn(format!(
        "{id}: {} can change {}{others}, which this build runs.\nTo prevent that: chown -R root: {top} && chmod -R go-w {top}",
        first.who,
        first.path.display(),
        top = quote(top)
    ));
}

pub(crate) fn headers_missing(kernel: &Kernel) -> Error {
    let (release, path) = (kernel.release.clone(), kernel.build_dir.clone());
    Error::HeadersMissing { release, path, kernel_exists: kernel.exists() }
}

/// # Errors
/// The kernel's headers are not installed.
pub(crate) fn require_headers(
    session: &WriteSession<'_>,
    release: &crate::model::KernelRelease,
) -> Result<()> {
    let kernel = session.kernel(release);
    if kernel.has_headers() {
        return Ok(());
    }
    Err(headers_missing(&kernel))
}

/// What stands in the way of a build.
fn obstacles(
    session: &WriteSession<'_>,
    added: &Added,
    conf: &PackageConf,
    buildable: &Buildable,
    kernel: &Kernel,
    target: &Target,
) -> Obstacles {
    let is_missing = |name: &&String| {
        PackageName::new(name).map_or(true, |name| session.tree().active(&name, target).is_none())
    };
    Obstacles {
        exclusion: buildable.package.clone(),
        conf: conf.path.clone(),
        only_conf: !has_sources(added.source()),
        source: added.source().to_owned(),
        headers_missing: !kernel.has_headers(),
        kernel_exists: kernel.exists(),
        headers: kernel.build_dir.clone(),
        dependencies_missing: conf.depends.iter().filter(is_missing).cloned().collect(),
    }
}
