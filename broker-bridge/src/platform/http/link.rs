//! Links: addresses that are fetched with a plain GET, since what lets them in stands in their query for a while.
//!
//! `?user=NAME&expires=SECONDS&signature=HEX`: the signature is an HMAC-SHA256 over the path, the user, since when there is a user of
//! that name, and the time at which the link ends, under a key derived from the seal key. Whoever has the link is let in, as long as
//! the user is there; a user who was removed, and made anew under the same name, has none of the old links.

use crate::platform::seal::Sealer;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How long a link is taken, in seconds.
pub const LINK_VALID_S: u64 = 3_600;
/// Longest query of a link, in bytes.
const MAXIMUM_QUERY_BYTES: usize = 512;
/// Longest host that a link takes over from a request, in bytes: a DNS name and a port.
const MAXIMUM_HOST_BYTES: usize = 261;
const SIGNATURE_BYTES: usize = 32;

/// Makes links and checks them.
pub struct SignedLinks {
    key: Zeroizing<[u8; 32]>,
    public_url: Option<String>,
    scheme: &'static str,
}

impl std::fmt::Debug for SignedLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedLinks").field("public_url", &self.public_url).field("scheme", &self.scheme).finish()
    }
}

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefusal {
    /// It was not made here for this user and path, or the user is gone.
    #[error("this link is not right: it was changed or cut, or its user was removed; ask for a new one")]
    Wrong,
    /// It was made too long ago.
    #[error("this link is too old: it counts for an hour; ask for a new one")]
    Old,
}

/// The query of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedLink {
    /// Who asked for it.
    pub user: String,
    expires_s: u64,
    signature: [u8; SIGNATURE_BYTES],
}

impl PresentedLink {
    /// Reads a query; nothing where it is none of a link.
    #[must_use]
    pub fn parse(query: &str) -> Option<Self> {
        if query.len() > MAXIMUM_QUERY_BYTES {
            return None;
        }
        let rest = query.strip_prefix("user=")?;
        let (user, rest) = rest.split_once("&expires=")?;
        let (expires, signature) = rest.split_once("&signature=")?;
        let expires_s = expires.parse().ok()?;
        Some(Self { user: user.to_owned(), expires_s, signature: unhex(signature)? })
    }
}

impl SignedLinks {
    /// Links under a key of the seal key's, which begin with the public address, or else with what a request calls us.
    #[must_use]
    pub fn new(sealer: &Sealer, public_url: Option<&str>, tls: bool) -> Self {
        let scheme = if tls { "https" } else { "http" };
        Self { key: sealer.derive("flotilla signed link 1"), public_url: public_url.map(str::to_owned), scheme }
    }

    /// A link to a path, which begins with a slash and needs no escaping, for a user who is there since a time. Nothing where it is not
    /// known how we are reached.
    #[must_use]
    pub fn link(&self, host: &str, path: &str, user: &str, since_ms: i64, now_ms: u64) -> Option<String> {
        let base = match &self.public_url {
            Some(url) => url.clone(),
            None if is_host(host) => format!("{}://{host}", self.scheme),
            None => return None,
        };
        let expires_s = (now_ms / 1000).saturating_add(LINK_VALID_S);
        let signature: String =
            self.mac(path, user, since_ms, expires_s).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("{base}{path}?user={user}&expires={expires_s}&signature={signature}"))
    }

    /// Checks a link to a path; `since_ms` is since when its user is there, nothing where there is none.
    ///
    /// # Errors
    /// It is not followed.
    pub fn check(&self, path: &str, presented: &PresentedLink, since_ms: Option<i64>, now_ms: u64) -> Result<(), LinkRefusal> {
        let since_ms = since_ms.ok_or(LinkRefusal::Wrong)?;
        let mac = self.mac(path, &presented.user, since_ms, presented.expires_s);
        mac.verify_slice(&presented.signature).map_err(|_| LinkRefusal::Wrong)?;
        let left_s = presented.expires_s.checked_sub(now_ms / 1000).filter(|left_s| *left_s > 0);
        // More is left than there ever was where the clock was set back.
        left_s.filter(|left_s| *left_s <= LINK_VALID_S).map(drop).ok_or(LinkRefusal::Old)
    }

    fn mac(&self, path: &str, user: &str, since_ms: i64, expires_s: u64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).expect("HMAC takes keys of any length");
        // No part but the last can hold a line end.
        mac.update(format!("{expires_s}\n{since_ms}\n{user}\n{path}").as_bytes());
        mac
    }
}

/// Whether a request's `Host` can begin an address.
fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (1..=MAXIMUM_HOST_BYTES).contains(&host.len()) && host.bytes().all(plain)
}

/// Bytes from lower-case hexadecimal digits.
fn unhex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let pairs = <&[[u8; 2]; SIGNATURE_BYTES]>::try_from(pairs).ok()?;
    let mut bytes = [0; SIGNATURE_BYTES];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_795_300_000_999;

    fn links() -> SignedLinks {
        SignedLinks::new(&Sealer::new(&[1; 32]), None, false)
    }

    fn presented(link: &str) -> PresentedLink {
        PresentedLink::parse(link.split_once('?').unwrap().1).unwrap()
    }

    #[test]
    fn a_link_counts_for_its_path_its_user_and_an_hour() {
        let link = links().link("127.0.0.1:8474", "/output/a", "ada@x", 5, NOW_MS).unwrap();
        assert!(link.starts_with("http://127.0.0.1:8474/output/a?user=ada@x&expires=1795303600&signature="), "{link}");
        let good = presented(&link);
        let check = |path: &str, presented: &PresentedLink, since_ms, now_ms| links().check(path, presented, since_ms, now_ms);
        assert_eq!(check("/output/a", &good, Some(5), NOW_MS), Ok(()));
        assert_eq!(check("/output/a", &good, Some(5), 1_795_303_599_999), Ok(()));
        assert_eq!(check("/output/a", &good, Some(5), 1_795_303_600_000), Err(LinkRefusal::Old));
        assert_eq!(check("/output/a", &good, Some(5), NOW_MS - 1000), Err(LinkRefusal::Old), "a clock that was set back");
        assert_eq!(check("/output/b", &good, Some(5), NOW_MS), Err(LinkRefusal::Wrong));
        assert_eq!(check("/output/a", &good, Some(6), NOW_MS), Err(LinkRefusal::Wrong), "another user of the same name");
        assert_eq!(check("/output/a", &good, None, NOW_MS), Err(LinkRefusal::Wrong));
        assert_eq!(check("/output/a", &PresentedLink { user: "eve".into(), ..good.clone() }, Some(5), NOW_MS), Err(LinkRefusal::Wrong));
        assert_eq!(
            check("/output/a", &PresentedLink { expires_s: good.expires_s + 1, ..good.clone() }, Some(5), NOW_MS),
            Err(LinkRefusal::Wrong)
        );
        for index in 0..SIGNATURE_BYTES {
            let mut changed = good.clone();
            changed.signature[index] ^= 1;
            assert_eq!(check("/output/a", &changed, Some(5), NOW_MS), Err(LinkRefusal::Wrong));
        }
        let other = SignedLinks::new(&Sealer::new(&[2; 32]), None, false);
        assert_eq!(other.check("/output/a", &good, Some(5), NOW_MS), Err(LinkRefusal::Wrong));
    }

    #[test]
    fn the_settings_win_over_what_a_request_calls_us() {
        let link = SignedLinks::new(&Sealer::new(&[1; 32]), Some("https://b.example/x"), false).link("", "/a", "u", 0, NOW_MS).unwrap();
        assert!(link.starts_with("https://b.example/x/a?user=u&"), "{link}");
        let tls = SignedLinks::new(&Sealer::new(&[1; 32]), None, true);
        assert!(tls.link("[::1]:8474", "/a", "u", 0, NOW_MS).unwrap().starts_with("https://[::1]:8474/a?"));
        for host in ["", "a/b", "a b", "a@b", "a\"b", &"a".repeat(262)] {
            assert_eq!(tls.link(host, "/a", "u", 0, NOW_MS), None, "{host}");
        }
    }

    #[test]
    fn what_is_no_query_of_a_link_is_nothing() {
        let signature = "0a".repeat(32);
        assert!(PresentedLink::parse(&format!("user=a&expires=1&signature={signature}")).is_some());
        for query in [
            String::new(),
            format!("expires=1&user=a&signature={signature}"),
            format!("user=a&expires=&signature={signature}"),
            format!("user=a&expires=-1&signature={signature}"),
            format!("user=a&expires=1&signature={signature}0"),
            format!("user=a&expires=1&signature={signature}&b=c"),
            format!("user=a&expires=1&signature={}", signature.to_uppercase()),
            format!("user={}&expires=1&signature={signature}", "a".repeat(512)),
        ] {
            assert_eq!(PresentedLink::parse(&query), None, "{query}");
        }
    }
}
