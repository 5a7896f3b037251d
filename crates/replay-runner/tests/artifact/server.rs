//! A real https server on loopback that behaves as badly as it is told to.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Serve {
    /// 200 with a Content-Length and these bytes.
    Body(Vec<u8>),
    /// 200, chunked, these bytes, a proper end.
    Chunked(Vec<u8>),
    /// 200, no length, these bytes, and the connection is closed.
    UntilClose(Vec<u8>),
    /// 200, chunked, never ends.
    Endless,
    /// 200 with this Content-Length, one byte per tenth of a second.
    Drip(u64),
    /// 200 announcing the first number of bytes, and these bytes.
    Announce(u64, Vec<u8>),
    /// This status with these header lines and no body.
    Status(u16, &'static str),
    /// Reads the request and never answers.
    Silent,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    body_bytes: AtomicU64,
    last_head: Mutex<String>,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) ca_pem: String,
    seen: Arc<Seen>,
}

impl Server {
    /// Serves every request alike, by a certificate for `localhost` and 127.0.0.1.
    pub(crate) async fn start(serve: Serve) -> Self {
        Self::start_as(serve, &["localhost", "127.0.0.1"]).await
    }

    pub(crate) async fn start_as(serve: Serve, names: &[&str]) -> Self {
        let (config, ca_pem) = crate::tls::server_config(names);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, serve) = (acceptor.clone(), serve.clone());
                let seen = Arc::clone(&shared);
                // A client that hangs up is what most tests are about.
                tokio::spawn(async move { answer(stream, acceptor, serve, &seen).await });
            }
        });
        Self { port, ca_pem, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/artifact?token=hidden", self.port)
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(SeqCst)
    }

    /// Body bytes that the server got rid of, socket buffers included.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.seen.body_bytes.load(SeqCst)
    }

    pub(crate) fn last_head(&self) -> String {
        self.seen.last_head.lock().unwrap().clone()
    }
}

async fn answer(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    serve: Serve,
    seen: &Seen,
) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    *seen.last_head.lock().unwrap() = String::from_utf8_lossy(&head).into_owned();
    seen.requests.fetch_add(1, SeqCst);
    match serve {
        Serve::Body(body) => {
            let length = body.len() as u64;
            announced(&mut stream, seen, length, &body).await?;
        }
        Serve::Announce(length, body) => announced(&mut stream, seen, length, &body).await?,
        Serve::Chunked(body) => {
            text(&mut stream, "200 OK\r\nTransfer-Encoding: chunked").await?;
            for piece in body.chunks(1000) {
                chunk(&mut stream, seen, piece).await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Serve::UntilClose(body) => {
            text(&mut stream, "200 OK\r\nConnection: close").await?;
            send(&mut stream, seen, &body).await?;
        }
        Serve::Endless => {
            text(&mut stream, "200 OK\r\nTransfer-Encoding: chunked").await?;
            loop {
                chunk(&mut stream, seen, &[7; 16384]).await?;
            }
        }
        Serve::Drip(length) => {
            let head = format!("200 OK\r\nContent-Length: {length}");
            text(&mut stream, &head).await?;
            for _ in 0..length {
                send(&mut stream, seen, b"x").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Serve::Status(status, headers) => {
            let head = format!("{status} Whatever\r\nContent-Length: 0{headers}");
            text(&mut stream, &head).await?;
        }
        Serve::Silent => tokio::time::sleep(Duration::from_mins(1)).await,
    }
    stream.shutdown().await
}

async fn announced(
    stream: &mut TlsStream<TcpStream>,
    seen: &Seen,
    length: u64,
    body: &[u8],
) -> io::Result<()> {
    text(stream, &format!("200 OK\r\nContent-Length: {length}")).await?;
    send(stream, seen, body).await
}

async fn text(stream: &mut TlsStream<TcpStream>, head: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}

async fn chunk(stream: &mut TlsStream<TcpStream>, seen: &Seen, piece: &[u8]) -> io::Result<()> {
    let head = format!("{:x}\r\n", piece.len());
    stream.write_all(head.as_bytes()).await?;
    send(stream, seen, piece).await?;
    stream.write_all(b"\r\n").await?;
    stream.flush().await
}

async fn send(stream: &mut TlsStream<TcpStream>, seen: &Seen, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(16384) {
        stream.write_all(piece).await?;
        seen.body_bytes.fetch_add(piece.len() as u64, SeqCst);
    }
    stream.flush().await
}
