//! An engine that fails when a test wants it to: a socket in front of the real
//! one that can be cut, or that never answers one kind of call.

use std::env;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

/// What the proxy does to what comes through it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Mood {
    /// Nothing.
    #[default]
    Honest,
    /// Every connection is closed, and every new one.
    Cut,
    /// A request whose first line has all of these never gets an answer.
    Silent(Vec<String>),
}

/// A socket in front of the engine's.
#[derive(Debug)]
pub struct Proxy {
    path: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    mood: Mutex<Mood>,
    open: Mutex<Vec<UnixStream>>,
}

impl Proxy {
    /// One that listens at `path`, honest until told otherwise.
    pub fn at(path: &Path) -> Result<Self> {
        let listener = UnixListener::bind(path).with_context(|| path.display().to_string())?;
        let shared = Arc::new(Shared::default());
        let of_listener = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&of_listener);
                thread::spawn(move || shared.serve(client));
            }
        });
        Ok(Self {
            path: path.to_owned(),
            shared,
        })
    }

    /// What `DOCKER_HOST` has to be.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Closes every connection, and every new one from now on.
    pub fn cut(&self) {
        self.shared.become_now(Mood::Cut);
        for stream in self
            .shared
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.shared.become_now(Mood::Honest);
    }

    /// Never answers a request whose first line has all of `words`.
    pub fn never_answer(&self, words: &[&str]) {
        self.shared.become_now(Mood::Silent(
            words.iter().map(ToString::to_string).collect(),
        ));
    }
}

impl Shared {
    fn become_now(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    fn mood(&self) -> Mood {
        self.mood
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn serve(&self, client: UnixStream) {
        if self.mood() == Mood::Cut {
            return;
        }
        let Ok(engine) = UnixStream::connect(engine_socket()) else {
            return;
        };
        let (Ok(answers), Ok(asker)) = (engine.try_clone(), client.try_clone()) else {
            return;
        };
        for stream in [&client, &engine]
            .into_iter()
            .flat_map(UnixStream::try_clone)
        {
            self.open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(stream);
        }
        let back = thread::spawn(move || {
            copy(answers, asker, |_| true);
        });
        copy(client, engine, |request| !self.is_silent_about(request));
        let _ = back.join();
    }

    fn is_silent_about(&self, request: &[u8]) -> bool {
        let Mood::Silent(words) = self.mood() else {
            return false;
        };
        let text = String::from_utf8_lossy(request);
        let line = text.lines().next().unwrap_or_default();
        words.iter().all(|word| line.contains(word.as_str()))
    }
}

/// Where the real engine is.
fn engine_socket() -> PathBuf {
    let named = env::var("DOCKER_HOST").unwrap_or_default();
    PathBuf::from(
        named
            .strip_prefix("unix://")
            .unwrap_or("/var/run/docker.sock"),
    )
}

/// Carries bytes until either end is closed; what `may_pass` refuses, and all
/// after it, is swallowed.
fn copy(mut from: UnixStream, mut to: UnixStream, may_pass: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    let mut passes = true;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        passes = passes && may_pass(&buffer[..count]);
        if passes && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
