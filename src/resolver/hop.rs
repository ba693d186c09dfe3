//! From a name to the targets it stands for: NAPTR, SRV, addresses (RFC 3263 4).

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use tensou_engine::{Question, ResolvedTarget, Transport};

use super::Names;

/// Records taken of one answer, and addresses of one name: more only cost memory and queries.
const MOST_RECORDS: usize = 8;
const MOST_ADDRESSES: usize = 8;
/// Steps of rank between two NAPTR records, so that the SRV priorities of one never reach into
/// the next.
const RANKS: u32 = 1 << 16;
/// NAPTR, SRV and their addresses together; what is left of the look-up's time is for the rest.
const SERVICES_PATIENCE: Duration = Duration::from_secs(4);
/// SRV services by preference when no NAPTR names them (RFC 3263 4.1, 4.2).
const SERVICES: [(&str, Transport); 3] = [
    ("_sip._udp.", Transport::Udp),
    ("_sip._tcp.", Transport::Tcp),
    ("_sips._tcp.", Transport::Tls),
];

/// Everything that `question` leads to; empty when the name does not exist.
pub(crate) async fn next_hops(names: &Names, question: &Question) -> Vec<ResolvedTarget> {
    let host = absolute(&question.host);
    // RFC 3263 4.2: with a port there are addresses only.
    if let Some(port) = question.port {
        let transport = question.transport.unwrap_or(Transport::Udp);
        return of_host(names, &host, (port, transport)).await;
    }
    let transport = question.transport.unwrap_or(Transport::Udp);
    // At once: a name of /etc/hosts must not wait for a name server that is dead.
    let (services, addresses) = tokio::join!(
        tokio::time::timeout(SERVICES_PATIENCE, of_services(names, &host, question.transport)),
        of_host(names, &host, (transport.default_port(), transport)),
    );
    match services {
        Ok(found) if !found.is_empty() => found,
        Ok(_) | Err(_) => addresses,
    }
}

/// A trailing dot keeps the search list of the machine out of it.
fn absolute(host: &str) -> String {
    if host.ends_with('.') || !host.contains('.') { host.to_owned() } else { format!("{host}.") }
}

async fn of_host(
    names: &Names,
    host: &str,
    (port, transport): (u16, Transport),
) -> Vec<ResolvedTarget> {
    let to = |ip| ResolvedTarget {
        rank: 0,
        record: 0,
        weight: 0,
        address: (ip, port).into(),
        transport,
    };
    addresses(names, host).await.into_iter().map(to).collect()
}

async fn addresses(names: &Names, host: &str) -> Vec<IpAddr> {
    match names.0.lookup_ip(host).await {
        Ok(found) => found.iter().take(MOST_ADDRESSES).collect(),
        Err(_) => Vec::new(),
    }
}

async fn of_services(names: &Names, host: &str, wanted: Option<Transport>) -> Vec<ResolvedTarget> {
    let mut services = naptr(names, host, wanted).await;
    if services.is_empty() {
        let usual = SERVICES.iter().filter(|(_, transport)| {
            wanted.map_or(*transport != Transport::Tls, |wanted| wanted == *transport)
        });
        services =
            usual.map(|(prefix, transport)| (format!("{prefix}{host}"), *transport)).collect();
    }
    let mut targets = Vec::new();
    let mut record = 0;
    for (base, (name, transport)) in (0..).zip(services) {
        let Some(found) = lookup(names, &name, RecordType::SRV).await else { continue };
        let srv = found.answers().iter().filter_map(|one| match &one.data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        });
        for SRV { priority, weight, port, target, .. } in srv.take(MOST_RECORDS) {
            // RFC 2782: a single dot says that there is no such service.
            if target.is_root() {
                continue;
            }
            record += 1;
            for ip in addresses(names, &target.to_string()).await {
                targets.push(ResolvedTarget {
                    rank: base * RANKS + u32::from(*priority),
                    record,
                    weight: *weight,
                    address: (ip, *port).into(),
                    transport,
                });
            }
        }
    }
    targets
}

/// SRV names by NAPTR, in order (RFC 3263 4.1).
async fn naptr(names: &Names, host: &str, wanted: Option<Transport>) -> Vec<(String, Transport)> {
    let Some(found) = lookup(names, host, RecordType::NAPTR).await else { return Vec::new() };
    let mut records: Vec<&NAPTR> = found
        .answers()
        .iter()
        .filter_map(|one| match &one.data {
            RData::NAPTR(naptr) if naptr.flags.eq_ignore_ascii_case(b"s") => Some(naptr),
            _ => None,
        })
        .collect();
    records.sort_by_key(|one| (one.order, one.preference));
    let service = |one: &NAPTR| {
        let transport = match one.services.to_ascii_uppercase().as_slice() {
            b"SIP+D2U" => Transport::Udp,
            b"SIP+D2T" => Transport::Tcp,
            b"SIPS+D2T" => Transport::Tls,
            _ => return None,
        };
        let fits = wanted.is_none_or(|wanted| wanted == transport);
        fits.then(|| (one.replacement.to_string(), transport))
    };
    records.into_iter().filter_map(service).take(SERVICES.len()).collect()
}

async fn lookup(names: &Names, name: &str, kind: RecordType) -> Option<Lookup> {
    names.0.lookup(name, kind).await.ok()
}
