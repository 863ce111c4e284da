//! What happens to the keeper: callers, the verbs it runs, signals; each
//! watched by a thread, all told in one queue.

use crate::error::{Error, Result};
use crate::os::peer;
use crate::os::signals::Signals;
use crate::os::users;
use crate::os::wait::wait_any;
use crate::snapshot::protocol::{LINE_MAX, Request};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

/// A caller's number; no other caller of this keeper has it.
pub type CallerId = usize;

static NEXT_CALLER: AtomicUsize = AtomicUsize::new(0);

/// See the module.
#[derive(Debug)]
pub enum Event {
    /// Somebody came; this is where to answer.
    Came(CallerId, UnixStream),
    /// What he asks for.
    Asked(CallerId, Request),
    /// He is gone.
    Left(CallerId),
    /// A line of the verb that runs.
    Said(Vec<u8>),
    /// The verb that runs has ended with this code.
    Ended(u8),
    /// A signal.
    Signal,
}

/// Takes callers in: root and the one who keeps may ask for anything, the
/// Domino user that his server stays down or is being started, others for nothing.
pub fn take_callers(listener: UnixListener, domino: u32, events: Sender<Event>) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(uid) = peer::uid(&stream) else {
                continue;
            };
            let trusted = uid == 0 || uid == users::effective_uid();
            if !trusted && uid != domino {
                continue;
            }
            let Ok(answers) = stream.try_clone() else {
                continue;
            };
            let caller: CallerId = NEXT_CALLER.fetch_add(1, Ordering::Relaxed);
            if events.send(Event::Came(caller, answers)).is_err() {
                return;
            }
            let events = events.clone();
            std::thread::spawn(move || {
                hear(caller, &stream, trusted, &events);
                let _ = events.send(Event::Left(caller));
            });
        }
    });
}

fn hear(caller: CallerId, stream: &UnixStream, trusted: bool, events: &Sender<Event>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .by_ref()
            .take(LINE_MAX as u64)
            .read_until(b'\n', &mut line);
        if !matches!(read, Ok(count) if count > 0) {
            return;
        }
        let Ok(request) = serde_json::from_slice::<Request>(&line) else {
            return;
        };
        if !trusted && !matches!(request, Request::Stay { .. } | Request::Started) {
            return;
        }
        if events.send(Event::Asked(caller, request)).is_err() {
            return;
        }
    }
}

/// Hands on signals, which all threads begun later hold back.
pub fn take_signals(events: Sender<Event>) -> Result<()> {
    let signals = Signals::block().map_err(Error::system("hold back signals"))?;
    std::thread::spawn(move || {
        while let Ok(wake) = wait_any(&[], Some(&signals), &[], None) {
            if wake.signal.is_some() && events.send(Event::Signal).is_err() {
                return;
            }
        }
    });
    Ok(())
}
