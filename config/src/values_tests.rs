use super::*;

#[test]
fn a_listener_names_transport_and_address() {
    let listener = SipListener::parse("udp:0.0.0.0:5060").unwrap();
    assert_eq!(listener.transport, SipTransport::Udp);
    assert_eq!(listener.address, "0.0.0.0:5060".parse().unwrap());
    assert_eq!(SipListener::parse("udp:[::]:5060").unwrap().address, "[::]:5060".parse().unwrap());
    for wrong in ["", "udp", "udp:", "0.0.0.0:5060", "sctp:0.0.0.0:5060", "udp:host:5060"] {
        assert!(SipListener::parse(wrong).is_err(), "{wrong}");
    }
    let secure = SipListener::parse("tls:0.0.0.0:5061").unwrap();
    assert_eq!(secure.transport, SipTransport::Tls);
    assert_eq!(secure.to_string(), "tls:0.0.0.0:5061");
}

#[test]
fn an_advertised_host_may_carry_a_port_and_ipv6_stands_in_brackets() {
    let read = |text| Advertise::parse(text).map(|it| (it.host.as_str().to_owned(), it.port));
    assert_eq!(read("sip.example.jp"), Ok(("sip.example.jp".into(), None)));
    assert_eq!(read("SIP.example.jp:5070"), Ok(("sip.example.jp".into(), Some(5070))));
    assert_eq!(read("192.0.2.1:5070"), Ok(("192.0.2.1".into(), Some(5070))));
    assert_eq!(read("2001:db8::1"), Ok(("[2001:db8::1]".into(), None)));
    assert_eq!(read("[2001:db8::1]"), Ok(("[2001:db8::1]".into(), None)));
    assert_eq!(read("[2001:db8::1]:5070"), Ok(("[2001:db8::1]".into(), Some(5070))));
    for wrong in ["host:0", "host:70000", "host:", "a b", "<x>", ":5060"] {
        assert!(Advertise::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_port_range_keeps_whole_pairs_and_room_for_one_call() {
    assert_eq!(PortRange::parse("20001-20010"), Ok(PortRange { first: 20_002, last: 20_009 }));
    assert_eq!(PortRange::parse("20000 - 20003"), Ok(PortRange { first: 20_000, last: 20_003 }));
    for wrong in ["", "20000", "20000-20002", "80-90", "30000-20000", "20000-70000", "a-b"] {
        assert!(PortRange::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_database_url_prints_without_its_password() {
    let url = DatabaseUrl::parse("postgres://tensou:p@ss@db.example/tensou").unwrap();
    assert_eq!(format!("{url} {url:?}").matches("***@db.example/tensou").count(), 2);
    assert!(!format!("{url} {url:?}").contains("p@ss"));
    assert_eq!(DatabaseUrl::parse("sqlite:a/b.db").unwrap().file(), Some("a/b.db".into()));
    for wrong in ["", "sqlite:", "mysql://x", "postgres://"] {
        assert!(DatabaseUrl::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_log_filter_ends_every_directive_in_a_level() {
    assert!(LogFilter::parse("info").is_ok());
    assert!(LogFilter::parse("warn, tensou::cdr=debug").is_ok());
    assert!(LogFilter::parse("inof").is_err());
    assert!(LogFilter::parse("info,tensou=loud").is_err());
}

#[test]
fn a_node_name_fits_file_names_and_labels() {
    assert!(NodeName::parse("tokyo-1.example_a").is_ok());
    for wrong in ["", "a b", "東京", "a/b", &"x".repeat(65)] {
        assert!(NodeName::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn dscp_becomes_the_upper_six_bits_of_the_traffic_class() {
    assert_eq!(Dscp::new(46).traffic_class(), 0xb8);
    assert_eq!(Dscp::new(24).traffic_class(), 0x60);
}
