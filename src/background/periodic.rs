//! The timer that the background jobs share: begins a turn when its time has come and on demand, and arms the next turn
//! when the last has ended.
//!
//! A turn runs on the service's runtime, so a panic ends the turn and not the actor. A job that is told to stop ends
//! its turn at the next page, and begins no other.

use std::{collections::VecDeque, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle,
    WrapFuture,
};
use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, sync::oneshot, task::JoinError};
use zeroload_clock::Ids;

use super::Watched;

/// How far the pause between two turns is varied, so that several processes do not act in step.
const JITTER: f64 = 0.1;

/// The question of a turn on demand, and where its answer goes.
pub type Asked<J> = (<J as Job>::Question, oneshot::Sender<<J as Job>::Answer>);

/// Work that is done again and again. Clones are the same job: each actor that takes the place of a dead one gets a
/// clone.
pub trait Job: Clone + Send + Unpin + 'static {
    /// The question of a turn on demand.
    type Question: Send + Unpin + 'static;
    type Answer: Send + 'static;
    /// The result of a turn.
    type Done: Send + 'static;
    /// What [`Job::end`] has to know of the turn that has ended.
    type About: 'static;

    /// Turns under way at once; more wait.
    const AT_ONCE: usize;

    /// Begins a turn: on demand if `asked` is given, else because its time has come.
    fn begin(&self, asked: Option<Asked<Self>>) -> (BoxFuture<'static, Self::Done>, Self::About);

    /// Counts and logs the result of a turn, and says when the next turn is due. An error means that the turn panicked
    /// or was cancelled.
    fn end(&self, about: Self::About, done: Result<Self::Done, JoinError>) -> Next;

    /// Ends a turn that is under way at its next page.
    fn stop(&self);
}

/// When the next turn is due, unless a turn is armed already.
pub enum Next {
    /// At once, even if a turn is armed for later.
    AtOnce,
    After(Duration),
}

/// The actor has stopped, or stopped before it answered.
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

struct Periodic<J: Job> {
    job: J,
    runtime: Handle,
    ids: Ids,
    /// Turns that wait to begin; `None` is a turn by the timer.
    waiting: VecDeque<Option<Asked<J>>>,
    /// Turns that have begun and not ended.
    under_way: usize,
    timer: Option<SpawnHandle>,
    /// Told that the last turn has ended, once the job is to stop.
    stopped: Option<oneshot::Sender<()>>,
}

/// Reaches the actor that is in place now.
pub struct PeriodicHandle<J: Job>(Watched<Periodic<J>>);

impl<J: Job> Clone for PeriodicHandle<J> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<J: Job> PeriodicHandle<J> {
    /// Starts the actor and its watchdog on the current actix system; turns run on `runtime`.
    pub fn start(job: J, runtime: Handle, ids: Ids) -> Self {
        Self(Watched::start(move || Periodic {
            job: job.clone(),
            runtime: runtime.clone(),
            ids: ids.clone(),
            waiting: VecDeque::new(),
            under_way: 0,
            timer: None,
            stopped: None,
        }))
    }

    /// Asks for a turn now, or after the turns that are under way.
    ///
    /// # Errors
    /// [`Stopped`] while the service stops.
    pub async fn ask(&self, question: J::Question) -> Result<J::Answer, Stopped> {
        self.0.address().send(Ask::<J>(question)).await.unwrap_or(Err(Stopped))
    }

    /// Ends the timer, and waits for a turn that is under way to end its page.
    pub async fn stop(&self) {
        self.0.retire();
        // An actor that is gone has nothing left to stop.
        let _gone = self.0.address().send(Stop).await;
    }
}

struct Ask<J: Job>(J::Question);

impl<J: Job> Message for Ask<J> {
    type Result = Result<J::Answer, Stopped>;
}

/// Ends a turn that is under way at its next page, and begins no other.
#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl<J: Job> Actor for Periodic<J> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        // The first turn begins at once: an earlier process may have left work half done.
        self.arm(Duration::ZERO, context);
    }
}

impl<J: Job> Periodic<J> {
    fn arm(&mut self, after: Duration, context: &mut Context<Self>) {
        self.timer = Some(context.run_later(after, |actor, context| {
            actor.timer = None;
            actor.waiting.push_back(None);
            actor.begin_next(context);
        }));
    }

    fn begin_next(&mut self, context: &mut Context<Self>) {
        if self.under_way >= J::AT_ONCE {
            return;
        }
        // A question whose caller has gone away needs no turn.
        self.waiting.retain(|asked| asked.as_ref().is_none_or(|(_, answer)| !answer.is_closed()));
        let Some(asked) = self.waiting.pop_front() else { return };
        self.under_way += 1;
        let (work, about) = self.job.begin(asked);
        let ended = self.runtime.spawn(work).into_actor(self).map(|done, actor, context| {
            actor.under_way -= 1;
            let next = actor.job.end(about, done);
            actor.go_on(next, context);
        });
        context.spawn(ended);
    }

    fn go_on(&mut self, next: Next, context: &mut Context<Self>) {
        if self.stopped.is_some() {
            if self.under_way == 0
                && let Some(stopped) = self.stopped.take()
            {
                let _gone = stopped.send(());
                context.stop();
            }
            return;
        }
        let pause = match next {
            Next::AtOnce => {
                self.cancel_timer(context);
                Duration::ZERO
            }
            Next::After(pause) => pause.mul_f64(self.ids.jitter(JITTER)),
        };
        if self.timer.is_none() {
            self.arm(pause, context);
        }
        self.begin_next(context);
    }

    fn cancel_timer(&mut self, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
    }
}

impl<J: Job> Handler<Ask<J>> for Periodic<J> {
    type Result = ResponseFuture<Result<J::Answer, Stopped>>;

    fn handle(&mut self, Ask(question): Ask<J>, context: &mut Context<Self>) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        if self.stopped.is_none() {
            self.waiting.push_back(Some((question, answer)));
            self.begin_next(context);
        }
        Box::pin(async move { answered.await.map_err(|_| Stopped) })
    }
}

impl<J: Job> Handler<Stop> for Periodic<J> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, context: &mut Context<Self>) -> Self::Result {
        self.job.stop();
        self.waiting.clear();
        self.cancel_timer(context);
        let (stopped, ended) = oneshot::channel();
        if self.under_way > 0 {
            self.stopped = Some(stopped);
        } else {
            drop(stopped);
            context.stop();
        }
        Box::pin(async move {
            let _either_way = ended.await;
        })
    }
}
