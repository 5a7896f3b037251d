//! Tells the service manager how the daemon is: `sd_notify(3)`, a datagram.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A service manager, if there is one.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that `NOTIFY_SOCKET` and `WATCHDOG_USEC` name.
    pub(super) fn from_env() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name));
        let period = std::env::var("WATCHDOG_USEC")
            .ok()
            .and_then(|text| text.parse().ok())
            .map(Duration::from_micros);
        Self {
            watchdog: period.filter(|_| socket.is_some()),
            socket,
        }
    }

    /// How often it wants to hear that the daemon lives; half of its patience.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|patience| patience / 2)
    }

    /// Starting is over.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// A line for `systemctl status`.
    pub(super) fn status(&self, text: &str) {
        let line: String = text.chars().filter(|c| !c.is_control()).collect();
        self.tell(&format!("STATUS={line}"));
    }

    /// The configuration is being read again; [`ready`](Self::ready) follows.
    pub(super) fn reloading(&self) {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
        let micros = now.map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The daemon is ending.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// The daemon lives.
    pub(super) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, text: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

fn connect(name: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    match (socket, address) {
        (Ok(socket), Ok(address)) => Some((socket, address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_manager_hears_that_the_daemon_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let service = ServiceManager {
            socket: connect(path.as_os_str()),
            watchdog: None,
        };
        let mut heard = [0; 100];
        service.ready();
        let count = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..count], b"READY=1");
        service.status("two\nlines");
        let count = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..count], b"STATUS=twolines");
    }
}
