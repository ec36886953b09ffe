//! Runs the steps of an autoinstall plan: builds side by side, what follows one after the other, each package after those it
//! depends on.

use crate::build::build;
use crate::build::jobs::{Shared, SharedJobs};
use crate::build::preparation::BuildOptions;
use crate::build::probes::CommonProbes;
use crate::build::resign::sign_if_pending;
use crate::model::{AttemptResult, BuildId, Error, PackageId, PackageName, Result, Target};
use crate::ops::history::note;
use crate::ops::inhibit::hold_shutdown;
use crate::ops::kept::take_kept;
use crate::plan::autoinstall::{Need, Step};
use crate::plan::order::{Expected, builds_at_once, remaining};
use crate::plan::request::Force;
use crate::session::WriteSession;
use crate::system::{Colour, clock, files, memory};
use crate::tree::Built;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

/// How one step ended.
pub(crate) type Ended<T> = (PackageId, Result<T>);

/// What becomes of a build that is ready.
pub(crate) struct Ending<'a, T> {
    pub finish: &'a dyn Fn(Built) -> Result<T>,
    /// What that is in the history.
    pub success: AttemptResult,
}

/// Runs every step; a step whose dependency failed is not tried. The results are in the order of the plan, whichever
/// build was faster.
///
/// # Errors
/// The jobserver cannot be set up. Failures of steps are in their results.
pub(crate) fn run<T>(
    session: &WriteSession<'_>,
    target: &Target,
    steps: Vec<Step>,
    force: &Force,
    ending: &Ending<'_, T>,
) -> Result<Vec<Ended<T>>> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let built = steps.iter().filter(|step| step.need.compiles());
    let built: Vec<String> = built.map(|step| step.id.to_string()).collect();
    let builds = built.len();
    let _shutdown_waits = hold_shutdown(session, &built);
    let limit = session.settings.jobs.limit();
    let order: Vec<PackageId> = steps.iter().map(|step| step.id.clone()).collect();
    // A single build gets its -j on the command line, where every make understands it.
    let jobs = if builds > 1 { Some(SharedJobs::new(limit)?) } else { None };
    session.system.console.expect_work(builds);
    if builds > 1 && session.system.console.terminal().is_live {
        let log = session.tree().root().join("PACKAGE/VERSION/build/make.log");
        session.system.console.say(format!("Logs: {} (to follow one: dkms log -f PACKAGE)", log.display()));
    }
    let at_once = builds_at_once(limit, memory::available(session.system));
    let (jobs, probes) = (jobs.as_ref(), OnceLock::new());
    let run = Run { session, target, force, jobs, builds, probes, at_once };
    let mut ended = run.all(longest_first(session, steps), ending);
    // Reports and exit codes must not depend on which build was faster.
    ended.sort_by_key(|(id, _)| order.iter().position(|planned| planned == id));
    Ok(ended)
}

/// The steps with the longest first. Each waits for those that it depends on in any case.
fn longest_first(session: &WriteSession<'_>, mut steps: Vec<Step>) -> Vec<Step> {
    if steps.iter().filter(|step| step.need.compiles()).count() < 2 {
        return steps;
    }
    let expected = |step: &Step| {
        let last = session.tree().last_duration(&step.id.name);
        let source = session.tree().source(&step.id);
        let source_bytes = if last.is_some() { 0 } else { files::size_below(&source) };
        (step.id.name.clone(), Expected { last, source_bytes })
    };
    let remaining = remaining(&steps, &steps.iter().map(expected).collect());
    steps.sort_by_key(|step| std::cmp::Reverse(remaining.get(&step.id.name).copied()));
    steps
}

struct Run<'a> {
    session: &'a WriteSession<'a>,
    target: &'a Target,
    force: &'a Force,
    jobs: Option<&'a SharedJobs>,
    /// How many there are, if none of them was kept from a preflight.
    builds: usize,
    /// Asked for when the first package is compiled.
    probes: OnceLock<Option<CommonProbes>>,
    at_once: usize,
}

impl Run<'_> {
    fn all<T>(&self, steps: Vec<Step>, ending: &Ending<'_, T>) -> Vec<Ended<T>> {
        let mut waiting: VecDeque<Step> = steps.into();
        let mut done: BTreeMap<PackageName, bool> = BTreeMap::new();
        let mut ended = Vec::new();
        let (sender, results) = mpsc::channel::<(Step, Duration, Result<Built>)>();
        std::thread::scope(|scope| {
            let mut running = 0;
            loop {
                while running < self.at_once {
                    let ready = |step: &Step| step.after.iter().all(|name| done.contains_key(name));
                    let Some(at) = waiting.iter().position(ready) else { break };
                    let Some(step) = waiting.remove(at) else { break };
                    running += 1;
                    let sender = sender.clone();
                    let failed = step.after.iter().find(|name| done.get(*name) == Some(&false)).cloned();
                    scope.spawn(move || {
                        let began = Instant::now();
                        let result = match failed {
                            Some(name) => {
                                // After Ctrl-C a missing dependency is not the reason.
                                self.session.go_on().and_then(|()| Err(self.blocked(&step.id, &name)))
                            }
                            None => self.make_ready(&step),
                        };
                        let _ = sender.send((step, began.elapsed(), result));
                    });
                }
                if running == 0 {
                    break;
                }
                let Ok((step, took, result)) = results.recv() else { break };
                running -= 1;
                let began = Instant::now();
                let result = result.and_then(ending.finish);
                self.conclude(&step.id, took + began.elapsed(), result.as_ref().err(), ending.success);
                // One that does not want the kernel lets the others try; they find it missing.
                let goes_on = result.as_ref().map_or_else(Error::is_refusal, |_| true);
                done.insert(step.id.name.clone(), goes_on);
                ended.push((step.id, result));
            }
        });
        ended
    }

    /// One line for a package that is done, and the history's.
    fn conclude(&self, id: &PackageId, took: Duration, error: Option<&Error>, success: AttemptResult) {
        let console = &self.session.system.console;
        let terminal = console.terminal();
        match error {
            None => {
                let ok = terminal.paint(Colour::Good, "ok");
                console.say_painted(&ok.plain(&format!(" {id} {}", clock(took))));
            }
            Some(Error::Interrupted { .. }) => {}
            Some(Error::NothingInstalled { refused, .. }) => self.tell_provided(id, refused),
            Some(error) if error.is_refusal() => self.session.tell_of(id, error),
            Some(error) => {
                let why = match error {
                    // Its own failure was told.
                    Error::DependencyMissing { missing, .. } => {
                        format!("needs {}, which could not be installed", missing.join(" "))
                    }
                    error => {
                        self.session.tell_briefly_of(id, error);
                        error.in_one_line()
                    }
                };
                let failed = terminal.paint(Colour::Bad, "FAILED");
                console.say_painted(&failed.plain(&format!(" {id} {why}")));
            }
        }
        let id = BuildId::new(id.clone(), self.target.clone());
        note(self.session, &id, success, took, error);
    }

    /// The kernel does not need the package: said when that is found, and never again.
    fn tell_provided(&self, id: &PackageId, refused: &[(String, String)]) {
        for (module, why) in refused {
            let text = format!("{id}: {module} is not installed for kernel {}: {why}.", self.target);
            self.session.system.console.note(text);
        }
    }

    fn blocked(&self, id: &PackageId, dependency: &PackageName) -> Error {
        let build = BuildId::new(id.clone(), self.target.clone());
        Error::DependencyMissing { build, missing: vec![dependency.to_string()] }
    }

    /// The build of a step: made now, or there already.
    fn make_ready(&self, step: &Step) -> Result<Built> {
        self.session.go_on()?;
        let id = BuildId::new(step.id.clone(), self.target.clone());
        if !step.need.compiles() {
            if let Some(built) = self.session.tree().built(&id) {
                return sign_if_pending(self.session, built);
            }
        }
        if let Some(built) = self.force.is_plain().then(|| take_kept(self.session, &id)).flatten() {
            return sign_if_pending(self.session, built);
        }
        if let Need::Rebuild(why) = &step.need {
            self.session.system.console.note(format!("{id} is rebuilt: {why}."));
        }
        let ask = || CommonProbes::ask(self.session, &self.target.release, self.builds);
        let probes = self.probes.get_or_init(ask).as_ref();
        let turn = self.jobs.map(SharedJobs::take).transpose()?;
        let added = self.session.added(&step.id)?;
        let shared = Shared { jobs: self.jobs, probes };
        let options = BuildOptions { conf: None, force: self.force.clone(), turn, shared };
        build(self.session, &added, &id, options)
    }
}
