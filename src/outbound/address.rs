//! Which addresses may be called. A host name may resolve to any address, also to that of a service in this machine or
//! network that trusts every caller. So the name is resolved here, every address is checked, and the connection goes to
//! exactly the addresses that were checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// Which addresses a message may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Addresses of the public internet.
    Public,
    /// This machine.
    Loopback,
    /// Any address.
    Anywhere,
}

impl Reach {
    /// The form that a URL must have.
    pub const MUST_BE: &str = "https://HOST[:PORT][/PATH], or http:// on a loopback address";

    /// The reach that a URL of the settings gets. Plain HTTP is for this machine alone, unless `allow_private` is set.
    ///
    /// # Errors
    /// Says what the URL must be.
    pub fn of(url: &Url, allow_private: bool) -> Result<Self, &'static str> {
        let Some(host) = url.host_str() else { return Err(Self::MUST_BE) };
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(Self::MUST_BE),
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(Self::MUST_BE);
        }
        if allow_private {
            return Ok(Self::Anywhere);
        }
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let reach = match literal {
            Some(ip) if plain && ip.is_loopback() => Self::Loopback,
            None if plain && host == "localhost" => Self::Loopback,
            _ if plain => return Err(Self::MUST_BE),
            _ => Self::Public,
        };
        // The resolver never sees an address that stands in the URL itself, so it is checked here.
        if literal.is_some_and(|ip| !reach.allows(ip)) {
            return Err("https:// on a public address, unless review_allow_private is set");
        }
        Ok(reach)
    }

    pub fn allows(self, ip: IpAddr) -> bool {
        match self {
            Self::Public => is_public(ip),
            Self::Loopback => ip.to_canonical().is_loopback(),
            Self::Anywhere => true,
        }
    }
}

/// Resolves names as the machine does, and refuses a name with any address out of reach.
pub(super) struct Resolver(Reach);

impl Resolver {
    pub(super) fn new(reach: Reach) -> Self {
        Self(reach)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // The whole name is refused, not only its bad address: a name that also leads to a private address cannot
            // be trusted.
            match found.iter().find(|at| !reach.allows(at.ip())) {
                Some(_) => Err("its name leads to a private address, which review_allow_private would allow".into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// Addresses that are routed on the public internet (IANA's special-purpose registries, RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        // Shared between a provider and its customers (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, _, _, g, h] = ip.segments();
    let [w, x] = g.to_be_bytes();
    let [y, z] = h.to_be_bytes();
    match (a, b) {
        // Addresses that stand for the IPv4 address at their end (RFC 6052), or in their middle (RFC 3056).
        (0x0064, 0xff9b) if c == 0 && d == 0 => is_public_v4(Ipv4Addr::new(w, x, y, z)),
        (0x2002, _) => {
            let ([w, x], [y, z]) = (b.to_be_bytes(), c.to_be_bytes());
            is_public_v4(Ipv4Addr::new(w, x, y, z))
        }
        // IETF protocols, Teredo among them, and documentation.
        (0x2001, 0x0000..=0x01ff | 0x0db8) => false,
        (0x3fff, 0x0000..=0x0fff) => false,
        // Global unicast; all other addresses are local, multicast or not assigned yet.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(url: &str, allow_private: bool) -> Option<Reach> {
        Reach::of(&url.parse().unwrap(), allow_private).ok()
    }

    #[test]
    fn plain_http_is_for_this_machine_and_private_addresses_need_a_word() {
        for url in ["https://backend.example/review", "https://backend.example:8443", "https://93.184.215.14/"] {
            assert_eq!(reach(url, false), Some(Reach::Public), "{url}");
        }
        for url in ["http://127.0.0.1:8000/review", "http://localhost/", "http://[::1]:1/", "http://127.9.9.9/"] {
            assert_eq!(reach(url, false), Some(Reach::Loopback), "{url}");
        }
        let refused = [
            "http://backend.example/review",
            "http://10.0.0.1/",
            "http://localhost.example/",
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fe80::1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://user:secret@backend.example/",
            "https://backend.example/#part",
            "ftp://backend.example/",
            "file:///etc/passwd",
        ];
        for url in refused {
            assert_eq!(reach(url, false), None, "{url}");
        }
        assert_eq!(reach("http://10.0.0.1/", true), Some(Reach::Anywhere));
        assert_eq!(reach("https://user:secret@10.0.0.1/", true), None);
    }

    #[test]
    fn what_is_not_routed_on_the_public_internet_is_not_public() {
        let special = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for ip in special {
            let ip: IpAddr = ip.parse().unwrap();
            assert!(!Reach::Public.allows(ip) && Reach::Anywhere.allows(ip), "{ip}");
        }
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ];
        for ip in public {
            let ip: IpAddr = ip.parse().unwrap();
            assert!(Reach::Public.allows(ip) && !Reach::Loopback.allows(ip), "{ip}");
        }
        for ip in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(Reach::Loopback.allows(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_refused_where_it_is_resolved() {
        let resolve = |reach| Resolver::new(reach).resolve("localhost".parse().unwrap());
        assert!(resolve(Reach::Public).await.is_err());
        for reach in [Reach::Loopback, Reach::Anywhere] {
            let found = resolve(reach).await.unwrap_or_else(|error| panic!("{error}"));
            assert!(found.into_iter().all(|at| at.ip().is_loopback()));
        }
    }
}
