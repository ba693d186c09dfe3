//! The service on a real socket.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::world::World;

/// Far longer than anything here takes; a server that never stops fails the test by it.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_and_returns() {
    let world = World::new().await;
    let token = world.admin().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(tensou_admin::serve(listener, world.deps.clone(), async move {
        let _ = stopped.await;
    }));

    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(": open") {
        let read = tokio::time::timeout(PATIENCE, client.read_buf(&mut heard)).await;
        assert_ne!(read.unwrap().unwrap(), 0, "{}", String::from_utf8_lossy(&heard));
    }
    assert!(heard.starts_with(b"HTTP/1.1 200 OK"));

    stop.send(()).unwrap();
    let rest = tokio::time::timeout(PATIENCE, client.read_to_end(&mut heard)).await;
    assert!(rest.unwrap().is_ok(), "the stream is ended, not torn");
    assert!(heard.ends_with(b"0\r\n\r\n"), "the last chunk was sent");
    let served = tokio::time::timeout(PATIENCE, server).await;
    assert!(served.unwrap().is_ok());
}
