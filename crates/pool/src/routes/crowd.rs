//! How often one address may ask, in a map that an attacker cannot fill.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::App;
use super::error::ApiError;

/// So many seconds' worth of requests may come at once.
const BURST: Duration = Duration::from_secs(10);

/// The most addresses that are remembered.
const ADDRESSES: usize = 100_000;

/// How much one address may ask of a service.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests per second, on average.
    pub requests_per_address: u32,
    /// Read the client's address from `X-Forwarded-For`: only behind a proxy that
    /// sets it.
    pub trust_forwarded_for: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_address: 50,
            trust_forwarded_for: false,
        }
    }
}

/// Who asked, and up to when that is paid for: each request moves it on by its share
/// of a second.
#[derive(Debug)]
pub(super) struct Crowd {
    limits: Limits,
    paid_until: Mutex<HashMap<IpAddr, Instant>>,
}

impl Crowd {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            paid_until: Mutex::new(HashMap::new()),
        }
    }

    /// Takes one request, or says after how many seconds to come back.
    fn take(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let share = Duration::from_secs(1) / self.limits.requests_per_address.max(1);
        let mut paid_until = self
            .paid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if paid_until.len() >= ADDRESSES && !paid_until.contains_key(&address) {
            paid_until.retain(|_, until| *until > now);
            if paid_until.len() >= ADDRESSES {
                paid_until.clear();
            }
        }
        let until = paid_until.entry(address).or_insert(now);
        let next = (*until).max(now) + share;
        let over = next.saturating_duration_since(now + BURST);
        if !over.is_zero() {
            return Err(over.as_secs() + 1);
        }
        *until = next;
        Ok(())
    }

    /// The client's address: the socket's, or what a trusted proxy says, whose own
    /// addition is the last entry. An IPv6 client has a whole /64 to choose from, and
    /// counts as one.
    fn address(&self, request: &Request) -> IpAddr {
        let socket = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip());
        let forwarded = request
            .headers()
            .get_all("x-forwarded-for")
            .iter()
            .next_back()
            .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok())
            .filter(|_| self.limits.trust_forwarded_for);
        let address = forwarded
            .or(socket)
            .unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address @ IpAddr::V4(_) => address,
        }
    }
}

/// Lets a request through if its address does not ask too often.
pub(super) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let address = app.crowd.address(&request);
    match app.crowd.take(address, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(seconds) => {
            let detail = format!("too many requests; come back in {seconds} s");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
                .retry_after(seconds)
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(requests_per_address: u32, trust_forwarded_for: bool) -> Crowd {
        Crowd::new(Limits {
            requests_per_address,
            trust_forwarded_for,
        })
    }

    #[test]
    fn a_burst_ends_for_its_address_alone_and_time_brings_more() {
        let crowd = crowd(2, false);
        let (one, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let start = Instant::now();
        for _ in 0..20 {
            crowd.take(one, start).unwrap();
        }
        assert_eq!(crowd.take(one, start), Err(1));
        crowd.take(other, start).unwrap();
        let later = start + Duration::from_millis(500);
        crowd.take(one, later).unwrap();
        assert_eq!(crowd.take(one, later), Err(1));
    }

    #[test]
    fn the_map_stays_bounded() {
        let crowd = crowd(1, false);
        let now = Instant::now();
        for number in 0..=u32::try_from(ADDRESSES).unwrap() {
            crowd.take(IpAddr::V4(number.into()), now).unwrap();
        }
        assert!(crowd.paid_until.lock().unwrap().len() <= ADDRESSES);
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let request = |from: &str, forwarded: &str| {
            let mut request = Request::builder()
                .header("x-forwarded-for", forwarded)
                .body(axum::body::Body::empty())
                .unwrap();
            let socket: SocketAddr = from.parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(socket));
            request
        };
        let seen = |trusted, from, forwarded| {
            let address = crowd(1, trusted).address(&request(from, forwarded));
            address.to_string()
        };
        let (mapped, long) = ("[::ffff:192.0.2.7]:1", "[2001:db8:1:2:3:4:5:6]:1");
        assert_eq!(seen(false, "192.0.2.7:1", "192.0.2.9"), "192.0.2.7");
        assert_eq!(seen(false, mapped, ""), "192.0.2.7");
        assert_eq!(seen(false, long, ""), "2001:db8:1:2::");
        assert_eq!(seen(true, "192.0.2.7:1", "1.1.1.1, 192.0.2.9"), "192.0.2.9");
        assert_eq!(seen(true, "192.0.2.7:1", "nobody"), "192.0.2.7");
    }
}
