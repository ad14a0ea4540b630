//! How often anonymous peers may connect: a bucket of tokens for each address and one for all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Most addresses remembered. When they are used up, an address unknown so far is refused until older ones have recovered:
/// memory is bounded, and known devices are still served.
const MAX_ADDRESSES: usize = 4_096;

/// How many connections at once, and how many a second in the long run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Connections that may come at once after a pause.
    pub burst: u32,
    /// Connections a second, in the long run.
    pub per_second: u32,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Millionths of a connection.
    tokens: u64,
    at: Duration,
}

const TOKEN: u64 = 1_000_000;

impl Bucket {
    fn full(rate: Rate, now: Duration) -> Self {
        Self { tokens: u64::from(rate.burst) * TOKEN, at: now }
    }

    fn refill(&mut self, rate: Rate, now: Duration) {
        let passed = u64::try_from(now.saturating_sub(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = passed.saturating_mul(u64::from(rate.per_second));
        self.tokens = self.tokens.saturating_add(gained).min(u64::from(rate.burst) * TOKEN);
        self.at = now.max(self.at);
    }

    fn is_full(&self, rate: Rate) -> bool {
        self.tokens == u64::from(rate.burst) * TOKEN
    }
}

/// Decides whether a peer may connect now.
#[derive(Debug)]
pub(super) struct RateLimiter {
    each: Rate,
    total: Rate,
    all: Bucket,
    addresses: BTreeMap<IpAddr, Bucket>,
}

impl RateLimiter {
    pub(super) fn new(each: Rate, total: Rate) -> Self {
        Self { each, total, all: Bucket::full(total, Duration::ZERO), addresses: BTreeMap::new() }
    }

    /// Takes one connection from both buckets, or nothing from either. `now` is any clock that only goes forward.
    pub(super) fn admit(&mut self, address: IpAddr, now: Duration) -> bool {
        let (each, total) = (self.each, self.total);
        self.all.refill(total, now);
        let address = network(address);
        if !self.addresses.contains_key(&address) && self.addresses.len() >= MAX_ADDRESSES {
            self.addresses.retain(|_, bucket| {
                bucket.refill(each, now);
                !bucket.is_full(each)
            });
            if self.addresses.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        let bucket = self.addresses.entry(address).or_insert_with(|| Bucket::full(each, now));
        bucket.refill(each, now);
        match (bucket.tokens.checked_sub(TOKEN), self.all.tokens.checked_sub(TOKEN)) {
            (Some(left), Some(left_of_all)) => {
                bucket.tokens = left;
                self.all.tokens = left_of_all;
                true
            }
            _ => false,
        }
    }
}

/// What counts as one peer: an IPv4 address, or an IPv6 network of 64 bits, which one customer is given as a whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const EACH: Rate = Rate { burst: 3, per_second: 1 };
    const TOTAL: Rate = Rate { burst: 5, per_second: 2 };
    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn admitted(limiter: &mut RateLimiter, address: IpAddr, now_ms: u64) -> usize {
        (0..10).filter(|_| limiter.admit(address, Duration::from_millis(now_ms))).count()
    }

    #[test]
    fn each_address_and_all_together_are_limited() {
        let mut limiter = RateLimiter::new(EACH, TOTAL);
        assert_eq!(admitted(&mut limiter, ONE, 0), 3);
        assert_eq!(admitted(&mut limiter, TWO, 0), 2, "the rest of the total");
        assert_eq!(admitted(&mut limiter, ONE, 999), 0);
        assert_eq!(admitted(&mut limiter, ONE, 1_000), 1);
        assert_eq!(admitted(&mut limiter, ONE, 60_000), 3, "no more than the burst");
    }

    #[test]
    fn a_clock_that_stands_still_or_jumps_back_gives_nothing() {
        let mut limiter = RateLimiter::new(EACH, TOTAL);
        assert_eq!(admitted(&mut limiter, ONE, 10_000), 3);
        assert_eq!(admitted(&mut limiter, ONE, 0), 0);
        assert_eq!(admitted(&mut limiter, ONE, 10_000), 0);
    }

    #[test]
    fn addresses_of_one_network_count_as_one_and_memory_is_bounded() {
        let mut limiter = RateLimiter::new(EACH, Rate { burst: 100_000, per_second: 100_000 });
        let in_network = |host: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | host));
        assert_eq!((0..10).filter(|host| limiter.admit(in_network(*host), Duration::ZERO)).count(), 3);
        let network = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
        for number in 0..10_000 {
            limiter.admit(network(number), Duration::ZERO);
        }
        assert_eq!(limiter.addresses.len(), MAX_ADDRESSES);
        assert!(!limiter.admit(network(20_000), Duration::ZERO));
        assert!(limiter.admit(network(1), Duration::ZERO), "a known address is still served");
        assert!(limiter.admit(network(20_000), Duration::from_secs(10)), "the others have recovered");
    }
}
