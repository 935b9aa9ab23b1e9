//! Several things at once, their results in order: what makes output independent of `--jobs`.

use std::any::Any;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use clap::Args;

use super::signals;

/// Tasks that may be begun and not yet handed over, for each thread. What a slow task holds back is bounded by it.
const IN_FLIGHT_PER_JOB: usize = 4;
/// More threads than this help nowhere.
const MOST_JOBS: usize = 1024;

/// The option of the commands that look at several segments or partitions at once.
#[derive(Args, Clone, Copy, Debug)]
pub struct JobsArg {
    /// How many threads work at the same time
    ///
    /// As many as there are cores if not given. The output does not depend on it
    #[arg(short, long, value_name = "N", env = "KFSCK_JOBS", hide_env_values = true, value_parser = parse_jobs)]
    jobs: Option<NonZeroUsize>,
}

impl JobsArg {
    /// As many jobs as asked for, or as there are cores; they obey Ctrl-C.
    pub fn jobs(&self) -> Jobs<'static> {
        let count = self.jobs.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        Jobs::new(count, signals::stop())
    }
}

fn parse_jobs(word: &str) -> Result<NonZeroUsize, String> {
    match word.parse::<NonZeroUsize>() {
        Ok(count) if count.get() <= MOST_JOBS => Ok(count),
        _ => Err(format!("a number from 1 to {MOST_JOBS} is expected")),
    }
}

/// A number of threads, and the flag that stops them.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'s> {
    count: NonZeroUsize,
    stop: &'s AtomicBool,
}

type Outcome<R> = Result<R, Box<dyn Any + Send>>;

impl<'s> Jobs<'s> {
    /// `count` threads that take no further task once `stop` is set.
    pub fn new(count: NonZeroUsize, stop: &'s AtomicBool) -> Self {
        Self { count, stop }
    }

    /// The same with no more than `most` threads.
    pub fn at_most(self, most: usize) -> Self {
        Self { count: NonZeroUsize::new(most).map_or(self.count, |most| self.count.min(most)), ..self }
    }

    /// How many tasks may be begun and not yet handed over.
    pub fn most_in_flight(&self) -> usize {
        self.count.get().saturating_mul(IN_FLIGHT_PER_JOB)
    }

    /// How many tasks are worked on at the same time.
    pub fn count(&self) -> NonZeroUsize {
        self.count
    }

    /// Works on all `tasks`, and hands the results to `each`, on this thread and in the order of the tasks.
    ///
    /// Every thread makes itself a worker (buffers, a decompressor) once and uses it for all of its tasks. Tasks are
    /// drawn as they are needed: few are in flight at a time, however many there are. With one job no thread is
    /// started.
    ///
    /// Once the stop flag is set no further task is begun; what was begun is finished and handed over, so that `each`
    /// always sees the results of the first tasks without a gap. Once `each` breaks, what was begun is thrown away.
    /// A panic in a task, or in the iterator, goes on here, after the results before it.
    pub fn run<T, W, R, B>(
        &self,
        tasks: impl Iterator<Item = T> + Send,
        worker: impl Fn() -> W + Sync,
        work: impl Fn(&mut W, T) -> R + Sync,
        mut each: impl FnMut(R) -> ControlFlow<B>,
    ) -> ControlFlow<B>
    where
        R: Send,
    {
        let mut tasks = tasks.fuse();
        // One segment needs no second thread.
        let threads = tasks.size_hint().1.map_or(self.count.get(), |most| most.min(self.count.get()));
        if threads <= 1 {
            let mut own = None;
            // The flag is looked at before a task is drawn: that may mean to list a directory.
            while !self.is_stopped()
                && let Some(task) = tasks.next()
            {
                each(work(own.get_or_insert_with(&worker), task))?;
            }
            return ControlFlow::Continue(());
        }
        let (permit, permits) = mpsc::channel();
        let (sender, results) = mpsc::channel();
        for _ in 0..threads.saturating_mul(IN_FLIGHT_PER_JOB) {
            // Nobody is gone yet who could refuse it.
            let _ = permit.send(());
        }
        let source = Mutex::new(Source { tasks, permits, drawn: 0 });
        thread::scope(|scope| {
            for _ in 0..threads {
                let (sender, source, worker, work) = (sender.clone(), &source, &worker, &work);
                scope.spawn(move || self.work(source, worker, work, &sender));
            }
            drop(sender);
            // Dropped on every way out of there, a panic too, `permit` lets no thread draw another task.
            in_order(&results, permit, &mut each)
        })
    }

    /// What one thread does.
    fn work<T, W, R>(
        &self,
        source: &Mutex<Source<impl Iterator<Item = T>>>,
        worker: &impl Fn() -> W,
        work: &impl Fn(&mut W, T) -> R,
        results: &Sender<(usize, Outcome<R>)>,
    ) {
        let mut own = None;
        loop {
            let mut number = None;
            // Nothing that is used afterwards is left half done by a panic: the thread ends with it.
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let task = source.lock().ok()?.draw(self, &mut number)?;
                Some(work(own.get_or_insert_with(worker), task))
            }));
            let is_last = outcome.is_err();
            let (Some(number), Some(outcome)) = (number, outcome.transpose()) else { return };
            if results.send((number, outcome)).is_err() || is_last {
                return;
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Where the threads draw their tasks from.
struct Source<I> {
    tasks: I,
    /// One for each task that may be begun; they come back when a result was handed over.
    permits: Receiver<()>,
    drawn: usize,
}

impl<T, I: Iterator<Item = T>> Source<I> {
    /// The next task, and into `number` which one it is; waits until there is room for its result.
    fn draw(&mut self, jobs: &Jobs<'_>, number: &mut Option<usize>) -> Option<T> {
        self.permits.recv().ok()?;
        if jobs.is_stopped() {
            return None;
        }
        // Before the iterator is called, so that its panic has a place in the order.
        *number = Some(self.drawn);
        self.drawn += 1;
        self.tasks.next()
    }
}

/// Hands over the results as far as there is no gap.
fn in_order<R, B>(
    results: &Receiver<(usize, Outcome<R>)>,
    permit: Sender<()>,
    each: &mut impl FnMut(R) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut waiting = VecDeque::new();
    let mut handed_over = 0;
    for (number, outcome) in results {
        let at = number - handed_over;
        if waiting.len() <= at {
            waiting.resize_with(at + 1, || None);
        }
        waiting[at] = Some(outcome);
        while let Some(Some(_)) = waiting.front()
            && let Some(Some(outcome)) = waiting.pop_front()
        {
            handed_over += 1;
            match outcome {
                Ok(result) => each(result)?,
                Err(panic) => resume_unwind(panic),
            }
            // Once every thread has ended nobody draws.
            let _ = permit.send(());
        }
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    static NEVER: AtomicBool = AtomicBool::new(false);

    fn jobs(count: usize) -> Jobs<'static> {
        Jobs::new(NonZeroUsize::new(count).unwrap(), &NEVER)
    }

    /// Runs `work` on 0..tasks and returns what was handed over.
    fn all<R: Send>(count: usize, tasks: u64, work: impl Fn(u64) -> R + Sync) -> Vec<R> {
        let mut results = Vec::new();
        let done = jobs(count).run(
            0..tasks,
            || (),
            |(), task| work(task),
            |result| {
                results.push(result);
                ControlFlow::<()>::Continue(())
            },
        );
        assert!(done.is_continue());
        results
    }

    /// Work whose length has nothing to do with the order.
    fn dawdle(task: u64) {
        thread::sleep(Duration::from_micros(task.wrapping_mul(0x9e37_79b9) % 300));
    }

    #[test]
    fn results_come_in_the_order_of_the_tasks_with_any_number_of_threads() {
        for count in [1, 2, 3, 16] {
            for tasks in [0, 1, 2, 5, 500] {
                let squares = all(count, tasks, |task| {
                    dawdle(task);
                    task * task
                });
                assert_eq!(squares, (0..tasks).map(|task| task * task).collect::<Vec<_>>(), "{count} {tasks}");
            }
        }
    }

    #[test]
    fn one_job_runs_on_the_thread_that_asked_and_two_do_not() {
        let here = thread::current().id();
        assert!(all(1, 20, |_| thread::current().id()).iter().all(|thread| *thread == here));
        assert!(all(2, 20, |_| thread::current().id()).iter().all(|thread| *thread != here));
    }

    #[test]
    fn two_tasks_really_run_at_the_same_time() {
        let barrier = std::sync::Barrier::new(2);
        assert_eq!(all(2, 2, |_| barrier.wait().is_leader()).iter().filter(|leads| **leads).count(), 1);
    }

    #[test]
    fn a_worker_is_made_once_a_thread_and_none_where_there_is_no_task() {
        let made = AtomicUsize::new(0);
        let mut seen = HashSet::new();
        let worker = || (made.fetch_add(1, Ordering::Relaxed), 0_usize);
        let work = |(number, done): &mut (usize, usize), task| {
            dawdle(task);
            *done += 1;
            (*number, *done)
        };
        let each = |result| {
            assert!(seen.insert(result), "{result:?} came from two threads");
            ControlFlow::<()>::Continue(())
        };
        assert!(jobs(3).run(0..300, worker, work, each).is_continue());
        assert!((1..=3).contains(&made.load(Ordering::Relaxed)) && seen.len() == 300);
        made.store(0, Ordering::Relaxed);
        assert!(jobs(3).run(0..0, worker, work, |_| ControlFlow::Break(())).is_continue());
        assert_eq!(made.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn few_tasks_are_in_flight_however_slow_the_first_is_and_however_slow_the_reader() {
        let (drawn, handed_over) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let most = AtomicUsize::new(0);
        let tasks = (0..2000_u64).inspect(|_| {
            let in_flight = drawn.fetch_add(1, Ordering::SeqCst) + 1 - handed_over.load(Ordering::SeqCst);
            most.fetch_max(in_flight, Ordering::SeqCst);
        });
        let work = |(): &mut (), task: u64| {
            if task == 0 {
                thread::sleep(Duration::from_millis(50));
            }
        };
        let each = |()| {
            if handed_over.fetch_add(1, Ordering::SeqCst) == 1000 {
                thread::sleep(Duration::from_millis(50));
            }
            ControlFlow::<()>::Continue(())
        };
        assert!(jobs(2).run(tasks, || (), work, each).is_continue());
        assert_eq!(handed_over.into_inner(), 2000);
        assert!((2..=2 * IN_FLIGHT_PER_JOB).contains(&most.into_inner()));
    }

    #[test]
    fn a_panic_in_a_task_goes_on_where_the_work_was_ordered_after_the_results_before_it() {
        for count in [1, 2, 8] {
            let mut results = Vec::new();
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let work = |(): &mut (), task| {
                    dawdle(task);
                    assert!(task != 30, "task 30 failed");
                    task
                };
                jobs(count).run(
                    0..100_000,
                    || (),
                    work,
                    |result| {
                        results.push(result);
                        ControlFlow::<()>::Continue(())
                    },
                )
            }));
            let panic = caught.expect_err("the panic was lost");
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"task 30 failed"));
            assert_eq!(results, (0..30).collect::<Vec<_>>(), "{count}");
        }
    }

    #[test]
    fn a_panic_of_the_iterator_or_of_the_reader_ends_all_threads() {
        for count in [1, 2, 8] {
            let tasks = (0..).inspect(|task| assert!(*task != 30, "no more tasks"));
            let each = |_| ControlFlow::<()>::Continue(());
            let caught = catch_unwind(AssertUnwindSafe(|| jobs(count).run(tasks, || (), |(), task| task, each)));
            assert_eq!(caught.expect_err("the panic was lost").downcast_ref::<&str>(), Some(&"no more tasks"));
            let each = |task| -> ControlFlow<()> {
                assert!(task != 30, "enough");
                ControlFlow::Continue(())
            };
            let caught = catch_unwind(AssertUnwindSafe(|| jobs(count).run(0.., || (), |(), task| task, each)));
            assert_eq!(caught.expect_err("the panic was lost").downcast_ref::<&str>(), Some(&"enough"));
        }
    }

    #[test]
    fn once_stopped_no_task_is_begun_and_what_was_begun_is_handed_over_without_a_gap() {
        for count in [1, 2, 8] {
            let stop = AtomicBool::new(false);
            let begun = AtomicUsize::new(0);
            let mut results = Vec::new();
            let work = |(): &mut (), task| {
                begun.fetch_add(1, Ordering::SeqCst);
                dawdle(task);
                if task == 40 {
                    stop.store(true, Ordering::Relaxed);
                }
                task
            };
            let done = Jobs::new(NonZeroUsize::new(count).unwrap(), &stop).run(
                0..,
                || (),
                work,
                |result| {
                    results.push(result);
                    ControlFlow::<()>::Continue(())
                },
            );
            assert!(done.is_continue() && results.len() > 40 && results.len() <= 41 + count * IN_FLIGHT_PER_JOB);
            assert_eq!(results, (0..begun.into_inner() as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_reader_that_has_seen_enough_ends_it_and_its_reason_comes_back() {
        for count in [1, 2, 8] {
            let mut seen = 0;
            let each = |task: u64| {
                seen += 1;
                if task == 17 { ControlFlow::Break("enough") } else { ControlFlow::Continue(()) }
            };
            assert_eq!(jobs(count).run(0.., || (), |(), task| task, each), ControlFlow::Break("enough"));
            assert_eq!(seen, 18);
        }
    }

    #[test]
    fn the_number_of_jobs_is_from_one_to_a_bound() {
        for (word, count) in [("1", Some(1)), ("2", Some(2)), ("1024", Some(1024)), ("0", None), ("1025", None)] {
            assert_eq!(parse_jobs(word).ok().map(NonZeroUsize::get), count, "{word}");
        }
        for word in ["", "-1", "two", "99999999999999999999"] {
            assert!(parse_jobs(word).is_err(), "{word}");
        }
    }
}
