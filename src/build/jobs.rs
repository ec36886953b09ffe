//! The compile jobs of a run: one pool of tokens that every make shares (GNU make's jobserver).

use crate::build::probes::CommonProbes;
use crate::model::Result;
use crate::system::process::Command;
use jobserver::{Acquired, Client};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a build that waits for its token may take to get one that is there.
const GRACE: Duration = Duration::from_millis(200);

/// What builds of one run share.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shared<'a> {
    pub jobs: Option<&'a SharedJobs>,
    pub probes: Option<&'a CommonProbes>,
}

/// A pool of as many tokens as jobs may run. A build holds one while it runs; its make takes more as it needs them.
#[derive(Debug)]
pub(crate) struct SharedJobs {
    client: Client,
    limit: usize,
    builds: Mutex<Builds>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Builds {
    /// Those that run, and those that wait for their token.
    running: usize,
    /// Those that have their token.
    holding: usize,
    /// A build that sets its own number of jobs runs, or waits to run, alone.
    alone: bool,
}

/// The right of one build to run a job. Dropped, it goes to the next.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    jobs: &'a SharedJobs,
    alone: bool,
    token: Option<Acquired>,
}

impl SharedJobs {
    /// # Errors
    /// The pipe cannot be made.
    pub(crate) fn new(limit: usize) -> Result<Self> {
        Ok(Self { client: Client::new(limit)?, limit, builds: Mutex::default(), changed: Condvar::new() })
    }

    /// A build's turn: one token of the pool.
    ///
    /// # Errors
    /// The pipe is broken.
    pub(crate) fn take(&self) -> Result<Turn<'_>> {
        let mut builds = self.lock();
        while builds.alone {
            builds = self.changed.wait(builds).unwrap_or_else(PoisonError::into_inner);
        }
        if builds.running == 0 {
            self.refill();
        }
        builds.running += 1;
        drop(builds);
        let mut turn = Turn { jobs: self, alone: false, token: None };
        turn.token = Some(self.client.acquire()?);
        self.lock().holding += 1;
        self.changed.notify_all();
        Ok(turn)
    }

    /// A build has given its token back.
    fn ended(&self) {
        let mut builds = self.lock();
        builds.holding -= 1;
        builds.running -= 1;
        self.changed.notify_all();
        drop(self.wake(builds));
    }

    /// If all builds wait for tokens, there are none: those that ended have lost them.
    fn wake<'a>(&self, builds: MutexGuard<'a, Builds>) -> MutexGuard<'a, Builds> {
        let wait = |builds: &mut Builds| builds.holding == 0 && builds.running > 0;
        let waited = self.changed.wait_timeout_while(builds, GRACE, wait);
        let (builds, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            self.refill();
        }
        builds
    }

    /// Tokens that a killed make took with it.
    fn refill(&self) {
        for _ in self.client.available().unwrap_or(self.limit)..self.limit {
            let _ = self.client.release_raw();
        }
    }

    #[must_use]
    pub(crate) fn share_with(&self, command: Command) -> Command {
        command.jobserver(&self.client)
    }

    fn lock(&self) -> MutexGuard<'_, Builds> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Waits until no other build runs, and keeps others from starting: for a command that sets its own number of jobs.
    pub(crate) fn be_alone(&mut self) {
        // The own token goes back first: others need it to finish.
        if self.token.take().is_some() {
            self.jobs.ended();
        }
        let mut builds = self.jobs.lock();
        while builds.alone {
            builds = self.jobs.changed.wait(builds).unwrap_or_else(PoisonError::into_inner);
        }
        builds.alone = true;
        self.alone = true;
        while builds.running > 0 {
            builds = match builds.holding {
                0 => self.jobs.wake(builds),
                _ => self.jobs.changed.wait(builds).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.token.take().is_some() {
            return self.jobs.ended();
        }
        let mut builds = self.jobs.lock();
        if self.alone {
            builds.alone = false;
        } else {
            // It got no token.
            builds.running -= 1;
        }
        self.jobs.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn exclusive_builds_run_alone_without_deadlock() {
        let jobs = SharedJobs::new(2).unwrap();
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for worker in 0..6 {
                let (jobs, running, most) = (&jobs, &running, &most);
                scope.spawn(move || {
                    for round in 0..30 {
                        let mut turn = jobs.take().unwrap();
                        let alone = (worker + round) % 3 == 0;
                        if alone {
                            turn.be_alone();
                        }
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        assert!(!alone || now == 1, "{now} builds beside one that runs alone");
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn tokens_that_a_killed_make_kept_come_back() {
        let jobs = SharedJobs::new(2).unwrap();
        jobs.client.acquire().unwrap().drop_without_releasing();
        jobs.client.acquire().unwrap().drop_without_releasing();
        let _turn = jobs.take().unwrap();
    }

    #[rstest]
    #[case::all_ended(false)]
    #[case::one_runs_alone_now(true)]
    fn build_that_waits_for_lost_tokens_gets_one(#[case] alone: bool) {
        let jobs = SharedJobs::new(2).unwrap();
        // As if the pipe had refused it.
        let lose = |mut turn: Turn<'_>| {
            turn.token.take().unwrap().drop_without_releasing();
            std::mem::forget(turn);
            jobs.ended();
        };
        std::thread::scope(|scope| {
            let (mut first, second) = (jobs.take().unwrap(), jobs.take().unwrap());
            scope.spawn(|| drop(jobs.take().unwrap()));
            scope.spawn(|| drop(jobs.take().unwrap()));
            while jobs.lock().running < 4 {
                std::thread::yield_now();
            }
            lose(second);
            if alone {
                first.be_alone();
            } else {
                lose(first);
            }
        });
    }
}
