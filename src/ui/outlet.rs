//! Output for a program that must never wait for whoever reads it: a thread of
//! its own writes, and at the end what nobody takes is let go.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::channel;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The one of this program, where it has one.
static OUTLET: OnceLock<Outlet> = OnceLock::new();

/// How much is kept for a reader that is slow, in bytes.
const ROOM: usize = 1 << 20;

/// The same of a log: what waits is in its file. The rest is for what is said
/// only once.
const ROOM_OF_LOG: usize = 64 << 10;

/// A reader that takes nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the end waits for a reader that takes something now and then.
const AT_THE_END: Duration = Duration::from_secs(30);

/// Where a piece of output goes.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

impl Stream {
    /// Writes now. A reader that has gone away is no error.
    pub fn write(self, bytes: &[u8]) {
        match self {
            Stream::Out => {
                let mut out = std::io::stdout().lock();
                let _ = out.write_all(bytes);
                let _ = out.flush();
            }
            Stream::Error => {
                let _ = std::io::stderr().write_all(bytes);
            }
        }
    }
}

/// What waits to be written.
#[derive(Debug)]
pub struct Outlet {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<(Stream, Vec<u8>)>,
    /// In the queue and being written.
    bytes: usize,
    /// Where to the piece goes that is being written.
    writing: Option<Stream>,
    /// When the reader took something last, or had nothing to take.
    taken: Instant,
    /// Pieces that were let go.
    dropped: u64,
    /// From then on nothing is waited for.
    end: Option<Instant>,
}

impl State {
    fn is_stuck(&self) -> bool {
        self.bytes > 0 && self.taken.elapsed() >= PATIENCE
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        if self.bytes == 0 {
            self.taken = Instant::now();
        }
        self.bytes += bytes.len();
        self.queue.push_back((stream, bytes.to_vec()));
    }
}

/// The outlet, once it was opened.
pub fn get() -> Option<&'static Outlet> {
    OUTLET.get()
}

/// From now on a thread writes.
pub fn open() {
    let opened = Outlet {
        state: Mutex::new(State {
            queue: VecDeque::new(),
            bytes: 0,
            writing: None,
            taken: Instant::now(),
            dropped: 0,
            end: None,
        }),
        changed: Condvar::new(),
    };
    if OUTLET.set(opened).is_ok()
        && let Some(outlet) = OUTLET.get()
    {
        std::thread::spawn(|| outlet.write());
    }
}

impl Outlet {
    /// Has a message written.
    pub fn put(&self, stream: Stream, bytes: &[u8]) {
        let until = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while state.bytes >= ROOM && !state.is_stuck() && Instant::now() < until {
            state = self.wait(state);
        }
        if state.bytes >= ROOM {
            state.dropped += 1;
        } else {
            state.push(stream, bytes);
            self.changed.notify_all();
        }
    }

    /// Has a line of a log written; waits for its reader until the end comes.
    pub fn put_log(&self, bytes: &[u8]) {
        let mut state = self.lock();
        while state.bytes >= ROOM_OF_LOG {
            if state.end.is_some() && (state.is_stuck() || state.is_over()) {
                state.dropped += 1;
                return;
            }
            state = self.wait(state);
        }
        state.push(Stream::Out, bytes);
        self.changed.notify_all();
    }

    /// The end comes: a reader that takes nothing is not waited for any more.
    pub fn end(&self) {
        let mut state = self.lock();
        state.end.get_or_insert_with(|| Instant::now() + AT_THE_END);
        self.changed.notify_all();
    }

    /// Waits until all is written, or its reader takes no more. Errors behind
    /// output that nobody takes may have a reader of their own.
    pub fn finish(&self) {
        self.end();
        let mut state = self.lock();
        while state.bytes > 0 && !state.is_stuck() && !state.is_over() {
            state = self.wait(state);
        }
        if !matches!(state.writing, Some(Stream::Out)) {
            return;
        }
        let mut errors = Vec::new();
        for (stream, bytes) in &state.queue {
            if matches!(stream, Stream::Error) {
                errors.extend_from_slice(bytes);
            }
        }
        drop(state);
        let (done, written) = channel();
        std::thread::spawn(move || {
            Stream::Error.write(&errors);
            let _ = done.send(());
        });
        let _ = written.recv_timeout(PATIENCE);
    }

    fn write(&self) {
        let mut state = self.lock();
        loop {
            let Some((stream, bytes)) = state.queue.pop_front() else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.writing = Some(stream);
            drop(state);
            stream.write(&bytes);
            state = self.lock();
            state.writing = None;
            state.bytes -= bytes.len();
            state.taken = Instant::now();
            let dropped = std::mem::take(&mut state.dropped);
            if dropped > 0 {
                let text = format!(
                    "rc_domino: warning: {dropped} lines were not written here, for nobody read them\n"
                );
                state.push(Stream::Error, text.as_bytes());
            }
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a change, or a moment: that nobody reads is no event.
    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, PATIENCE / 10);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
