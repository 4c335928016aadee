//! The host names under which the interface may be called.
//!
//! Without API keys, any client that reaches the interface may do everything. A page in a browser on this machine
//! reaches it too, once the name of the page's own server is made to lead here (DNS rebinding). The browser takes the
//! interface for the page's own server, and lets the page read the answers; but it sends that name in `Host`. An
//! address as `Host` is safe: a page with that address as its origin was served from here.

use std::net::IpAddr;

use actix_web::{HttpRequest, http::header};

use super::Problem;

/// The texts that the setting allows.
pub const MUST_BE: &str = "* or host names without ports, with commas between";

/// The host names that are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    Any,
    /// Addresses, `localhost`, names below `localhost`, and these names, in lower case.
    Named(Vec<String>),
}

impl AllowedHosts {
    /// `None` if the text is no list of names.
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let names = text.split(',').map(|name| name.trim().trim_end_matches('.').to_ascii_lowercase());
        let names: Vec<String> = names.collect();
        let is_name = |name: &String| {
            (1..=253).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        };
        names.iter().all(is_name).then_some(Self::Named(names))
    }

    /// The default: with API keys any name, since a page cannot send a key that it does not know.
    pub fn by_default(has_keys: bool) -> Self {
        if has_keys { Self::Any } else { Self::Named(Vec::new()) }
    }

    /// # Errors
    /// A [`Problem`] for a request that came by a name that is not served, or by several.
    pub fn check(&self, request: &HttpRequest) -> Result<(), Problem> {
        let mut hosts = request.headers().get_all(header::HOST);
        let (host, second) = (hosts.next(), hosts.next());
        if second.is_some() {
            return Err(Problem::invalid("Host", "Host must be given once"));
        }
        let Self::Named(names) = self else { return Ok(()) };
        // A request without `Host` passes: every browser sends the header, but a probe may not.
        let header = host.map(|host| host.to_str().unwrap_or_default());
        // The request's target may name a server too, as for a proxy, and then that name counts (RFC 9112 section
        // 3.2.2).
        let target = request.uri().authority().map(|authority| authority.as_str());
        match [header, target].into_iter().flatten().find(|host| !allows(names, host)) {
            None => Ok(()),
            Some(_) => Err(Problem::new(
                421,
                "misdirected",
                "the name in Host is not one that is served here; use an address, or name it in allowed_hosts",
            )),
        }
    }
}

fn allows(names: &[String], host: &str) -> bool {
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
    literal.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost") || names.contains(&name)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn status(allowed: &AllowedHosts, host: &str) -> u16 {
        let request = TestRequest::get().uri("/livez").insert_header((header::HOST, host)).to_http_request();
        allowed.check(&request).map_or_else(|problem| problem.status(), |()| 200)
    }

    #[test]
    fn without_keys_only_addresses_and_names_of_this_machine_are_served() {
        let allowed = AllowedHosts::by_default(false);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "zeroload.localhost:1",
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.168.1.7:80",
            "[::1]",
            "[::1]:8080",
        ] {
            assert_eq!(status(&allowed, host), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "127.0.0.1:8080@evil.example",
            "evil.example:80:80",
            "[::1",
            "zeroload",
        ] {
            assert_eq!(status(&allowed, host), 421, "{host}");
        }
        assert_eq!(status(&AllowedHosts::by_default(true), "any.example"), 200);
    }

    #[test]
    fn a_setting_names_more_or_lets_all_in() {
        let allowed = AllowedHosts::parse("zeroload, Media.Example.com.").unwrap();
        for host in ["zeroload:8080", "media.example.com", "127.0.0.1"] {
            assert_eq!(status(&allowed, host), 200, "{host}");
        }
        assert_eq!(status(&allowed, "other.example.com"), 421);
        assert_eq!(status(&AllowedHosts::parse("*").unwrap(), "evil.example"), 200);
        for bad in ["", ",", "a,,b", "http://a", "a:80", "a b", "ä.example"] {
            assert_eq!(AllowedHosts::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_target_with_a_server_in_it_counts_too_and_a_request_without_a_name_comes_from_no_browser() {
        let allowed = AllowedHosts::by_default(false);
        let check =
            |request: TestRequest| allowed.check(&request.to_http_request()).map_err(|problem| problem.status());
        let foreign = TestRequest::get().uri("http://evil.example/livez").insert_header((header::HOST, "localhost"));
        assert_eq!(check(foreign), Err(421));
        let ours = TestRequest::get().uri("http://127.0.0.1/livez").insert_header((header::HOST, "127.0.0.1"));
        assert_eq!(check(ours), Ok(()));
        assert_eq!(check(TestRequest::get().uri("/livez")), Ok(()));
        let twice = TestRequest::get().insert_header((header::HOST, "localhost"));
        assert_eq!(check(twice.append_header((header::HOST, "127.0.0.1"))), Err(400));
    }
}
