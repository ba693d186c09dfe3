use super::*;

fn loopback(family: &str) -> UdpSocket {
    bind_udp(family.parse().unwrap()).unwrap()
}

#[test]
fn addresses_of_both_families_survive_the_kernels_form() {
    for text in ["192.0.2.7:5060", "[2001:db8::7]:5061"] {
        let address: SocketAddr = text.parse().unwrap();
        assert_eq!(Name::from(address).to_address(), Some(address));
    }
    assert_eq!(Name::empty().to_address(), None);
}

#[test]
fn a_batch_arrives_as_it_was_sent() {
    let (ours, theirs) = (loopback("127.0.0.1:0"), loopback("127.0.0.1:0"));
    tune_udp(&ours, 1 << 20, 0x60).unwrap();
    let to = ours.local_addr().unwrap();
    let queue: Vec<(SocketAddr, Arc<[u8]>)> =
        (0..100u8).map(|n| (to, Arc::from(vec![n; usize::from(n) + 1]))).collect();
    let mut sender = Sender::new();
    let mut sent = 0;
    while sent < queue.len() {
        sent += sender.send(&theirs, &queue[sent..]).unwrap();
    }
    let mut receiver = Receiver::new();
    let mut got = Vec::new();
    while let Ok(count @ 1..) = receiver.receive(&ours) {
        got.extend((0..count).map(|at| receiver.datagram(at).unwrap().1.to_vec()));
        assert_eq!(receiver.datagram(0).unwrap().0, theirs.local_addr().unwrap());
        assert!(receiver.datagram(count).is_none());
    }
    let age = age_of_last_datagram(&ours).expect("the kernel noted the arrival");
    assert!(age < Duration::from_secs(600), "{age:?}");
    let wanted: Vec<Vec<u8>> = queue.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    assert_eq!(got, wanted);
}

#[test]
fn a_datagram_that_is_too_long_is_told_from_one_that_fits() {
    let (ours, theirs) = (loopback("127.0.0.1:0"), loopback("127.0.0.1:0"));
    theirs.connect(ours.local_addr().unwrap()).unwrap();
    theirs.send(&vec![0; MAX_DATAGRAM + 1]).unwrap();
    theirs.send(&vec![0; MAX_DATAGRAM]).unwrap();
    let mut receiver = Receiver::new();
    assert_eq!(receiver.receive(&ours).unwrap(), 2);
    assert!(receiver.datagram(0).is_none());
    assert_eq!(receiver.datagram(1).unwrap().1.len(), MAX_DATAGRAM);
}

#[test]
fn a_datagram_nobody_takes_comes_back_by_the_error_queue() {
    let ours = loopback("127.0.0.1:0");
    tune_udp(&ours, 1 << 20, 0).unwrap();
    let closed = loopback("127.0.0.1:0").local_addr().unwrap();
    Sender::new().send(&ours, &[(closed, Arc::from(*b"x"))]).unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&ours, 0).unwrap();
    assert!(poller.wait(Duration::from_secs(60)).errors);
    let mut receiver = Receiver::new();
    assert_eq!(receiver.receive_errors(&ours).unwrap(), 1);
    assert_eq!(receiver.datagram(0).unwrap().0, closed);
}

#[test]
fn a_wake_up_ends_the_wait_and_is_cleared() {
    let (poller, waker) = (Poller::new().unwrap(), Waker::new().unwrap());
    poller.add(&waker, 5).unwrap();
    waker.wake();
    let ready = poller.wait(Duration::from_secs(60));
    assert!(ready.has(5) && !ready.has(4) && !ready.errors);
    waker.clear();
    waker.clear();
    assert_eq!(poller.wait(Duration::from_millis(1)), Ready::default());
}

#[test]
fn both_families_bind_the_same_port() {
    let Ok(six) = bind_udp("[::1]:0".parse().unwrap()) else { return };
    let port = six.local_addr().unwrap().port();
    let any6: SocketAddr = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0).into();
    drop(six);
    let _six = bind_udp(any6).unwrap();
    assert!(bind_udp(SocketAddr::from(([0, 0, 0, 0], port))).is_ok());
}

/// The traffic class with which the kernel marks what leaves by a socket.
fn traffic_class(socket: &impl AsRawFd, ip: IpAddr) -> libc::c_int {
    let (level, name) = match ip {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    };
    let mut value: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of_val(&value)).unwrap();
    let to = (&raw mut value).cast();
    // SAFETY: `value` outlives the call and `length` is its size.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, to, &raw mut length) })
        .unwrap();
    value
}

#[test]
fn signalling_leaves_with_its_dscp_by_datagrams_and_by_connections_that_others_opened() {
    let class: u8 = 24 << 2;
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let address: SocketAddr = any.parse().unwrap();
        let Ok(listener) = bind_tcp(address) else {
            assert!(address.is_ipv6(), "IPv4 is everywhere");
            continue;
        };
        mark(&listener, address.ip(), class).unwrap();
        let _caller = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(traffic_class(&accepted, address.ip()), libc::c_int::from(class), "{any}");
        let datagrams = loopback(any);
        tune_udp(&datagrams, 1 << 20, class).unwrap();
        assert_eq!(traffic_class(&datagrams, address.ip()), libc::c_int::from(class), "{any}");
    }
}
