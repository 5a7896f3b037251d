//! A real https git server on loopback: TLS by a certificate authority of the
//! test's own, git's own `http-backend` behind it.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Serves what is below `root`; `/status/N/…` answers with that status,
/// `/moved/…` leads to the same path without it, `/plain/…` to it by http.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) ca_pem: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(root: &Path) -> Self {
        let (config, ca_pem) = crate::tls::server_config(&["localhost"]);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let (root, seen) = (root.to_owned(), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, root, seen) = (acceptor.clone(), root.clone(), Arc::clone(&seen));
                // A client that does not trust the certificate hangs up.
                tokio::spawn(async move { answer(stream, acceptor, root, port, &seen).await });
            }
        });
        Self {
            port,
            ca_pem,
            requests,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.port)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

struct Request {
    method: String,
    target: String,
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        header(&self.head, name).unwrap_or_default()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

async fn answer(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    root: PathBuf,
    port: u16,
    seen: &AtomicUsize,
) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let request = read(&mut stream).await?;
    seen.fetch_add(1, SeqCst);
    let (status, rest) = match request.target.trim_start_matches('/').split_once('/') {
        Some(("status", rest)) => (rest.split('/').next().unwrap_or("500").to_owned(), vec![]),
        Some(("moved", rest)) => {
            let place = format!("Location: https://localhost:{port}/{rest}\r\n\r\n");
            ("302".to_owned(), place.into_bytes())
        }
        Some(("plain", rest)) => {
            let place = format!("Location: http://localhost:{port}/{rest}\r\n\r\n");
            ("302".to_owned(), place.into_bytes())
        }
        _ => tokio::task::spawn_blocking(move || backend(&request, &root)).await??,
    };
    let rest = if rest.is_empty() {
        b"Content-Length: 0\r\n\r\n".to_vec()
    } else {
        rest
    };
    let line = format!("HTTP/1.1 {status} As-Told\r\nConnection: close\r\n");
    stream.write_all(line.as_bytes()).await?;
    stream.write_all(&rest).await?;
    stream.shutdown().await
}

async fn read(stream: &mut TlsStream<TcpStream>) -> io::Result<Request> {
    let head = until_blank_line(stream).await?;
    let mut words = head.split_whitespace();
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let mut body = Vec::new();
    if header(&head, "transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            while !size.ends_with("\r\n") {
                size.push(char::from(stream.read_u8().await?));
            }
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).await?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else if let Some(length) = header(&head, "content-length") {
        body.resize(length.parse().map_err(io::Error::other)?, 0);
        stream.read_exact(&mut body).await?;
    }
    Ok(Request {
        method,
        target,
        head,
        body,
    })
}

async fn until_blank_line(stream: &mut TlsStream<TcpStream>) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// The status and the rest of what git's own CGI program answers.
fn backend(request: &Request, root: &Path) -> io::Result<(String, Vec<u8>)> {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().unwrap().write_all(&request.body)?;
    let mut answer = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut answer)?;
    child.wait()?;
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| io::Error::other("no head"))?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = header(&head, "status").map_or("200", |status| &status[..3]);
    let length = answer.len() - end - 4;
    let length = format!("Content-Length: {length}\r\n").into_bytes();
    Ok((status.to_owned(), [length, answer].concat()))
}
