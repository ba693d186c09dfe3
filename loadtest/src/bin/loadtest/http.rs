//! One GET at a time over HTTP/1.1: all that a load test wants of a server's metrics.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The body of a 200; anything else is an error with the status line.
pub(crate) fn get(server: SocketAddr, path: &str) -> Result<String> {
    let limit = Some(Duration::from_secs(5));
    let mut stream = TcpStream::connect(server).context("connecting")?;
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    body(&String::from_utf8_lossy(&answer)).with_context(|| format!("GET {path}"))
}

fn body(answer: &str) -> Result<String> {
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("{status}");
    }
    let chunked = head.lines().any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("transfer-encoding:") && line.contains("chunked")
    });
    if chunked { dechunk(body) } else { Ok(body.to_owned()) }
}

fn dechunk(mut rest: &str) -> Result<String> {
    let mut whole = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").context("a chunk without a size")?;
        let size = usize::from_str_radix(size.trim(), 16).context("chunk size")?;
        if size == 0 {
            return Ok(whole);
        }
        whole.push_str(after.get(..size).context("a chunk cut short")?);
        rest = after.get(size..).unwrap_or_default().trim_start_matches("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_plain_and_chunked_and_refusals_are_errors() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(body(plain).unwrap(), "ok");
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\n!!!\r\n0\r\n\r\n";
        assert_eq!(body(chunked).unwrap(), "ok!!!");
        assert!(body("HTTP/1.1 401 Unauthorized\r\n\r\n").is_err());
    }
}
