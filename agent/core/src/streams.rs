//! The spools of the streams whose reports may be dropped, and what is dropped first.
//!
//! All of them share one bound in bytes. Where a report has no room, the oldest reports of the stream with the lowest priority make place,
//! but never those of a stream with a higher priority than its own: then it is not made at all. Control has a spool of its own and is no
//! part of this.

use crate::spool::Spool;
use flotilla_protocol::hello::Held;
use flotilla_protocol::id::{BootId, NodeId};
use flotilla_protocol::report::Stream;

/// The spools, the highest priority first.
#[derive(Debug)]
pub(crate) struct Streams(Vec<(Stream, Spool)>);

impl Streams {
    /// Empty spools for these streams, the highest priority first.
    pub(crate) fn new(node: NodeId, boot: BootId, streams: impl IntoIterator<Item = Stream>) -> Self {
        Self(streams.into_iter().map(|stream| (stream, Spool::new(node, boot, stream))).collect())
    }

    pub(crate) fn get(&self, stream: Stream) -> Option<&Spool> {
        self.0.iter().find(|(of, _)| *of == stream).map(|(_, spool)| spool)
    }

    pub(crate) fn get_mut(&mut self, stream: Stream) -> Option<&mut Spool> {
        self.0.iter_mut().find(|(of, _)| *of == stream).map(|(_, spool)| spool)
    }

    /// All of them, the highest priority first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Stream, &Spool)> {
        self.0.iter().map(|(stream, spool)| (*stream, spool))
    }

    /// As [`Streams::iter`], to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Stream, &mut Spool)> {
        self.0.iter_mut().map(|(stream, spool)| (*stream, spool))
    }

    /// How many reports are held, and their bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        self.0.iter().map(|(_, spool)| spool.held()).fold((0, 0), |(count, bytes), held| (count + held.0, bytes + held.1))
    }

    /// The stream whose oldest report makes place for one of `stream`; nothing where all that is held is worth more.
    pub(crate) fn victim(&self, stream: Stream) -> Option<Stream> {
        let place = self.0.iter().position(|(of, _)| *of == stream)?;
        let candidates = self.0.iter().skip(place).rev();
        candidates.into_iter().find(|(_, spool)| spool.has_droppable()).map(|(of, _)| *of)
    }

    /// What a hello says of the chains.
    pub(crate) fn state(&self) -> Vec<(Stream, Held)> {
        self.0.iter().map(|(stream, spool)| (*stream, spool.state())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use flotilla_protocol::capability::ReportPayload;

    /// Stands for a stream of a later release, between control and telemetry.
    const MIDDLE: Stream = Stream::Unsupported(9);

    fn add(streams: &mut Streams, stream: Stream) {
        let key = SigningKey::from_bytes(&[1; 32]);
        let spool = streams.get_mut(stream).unwrap();
        let report = spool.make(&key, None, &ReportPayload::Unsupported(999));
        spool.replay(report).unwrap();
    }

    fn drop_one(streams: &mut Streams, stream: Stream) -> bool {
        let key = SigningKey::from_bytes(&[1; 32]);
        let Some(victim) = streams.victim(stream) else { return false };
        let spool = streams.get_mut(victim).unwrap();
        let gap = spool.make_gap(&key, None).unwrap();
        spool.replay(gap).unwrap();
        true
    }

    #[test]
    fn the_lowest_priority_makes_place_and_nothing_for_what_is_worth_less() {
        let node = NodeId::of_key(&SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
        let mut streams = Streams::new(node, BootId([1; 16]), [MIDDLE, Stream::Telemetry]);
        for stream in [MIDDLE, Stream::Telemetry, MIDDLE, Stream::Telemetry] {
            add(&mut streams, stream);
        }
        let dropped = |streams: &Streams| [MIDDLE, Stream::Telemetry].map(|stream| streams.get(stream).unwrap().dropped());
        for (stream, expected) in [(MIDDLE, [0, 1]), (Stream::Telemetry, [0, 2]), (MIDDLE, [1, 2]), (MIDDLE, [2, 2])] {
            assert!(drop_one(&mut streams, stream));
            assert_eq!(dropped(&streams), expected);
        }
        assert!(!drop_one(&mut streams, MIDDLE), "only gaps are left");
        add(&mut streams, MIDDLE);
        assert!(!drop_one(&mut streams, Stream::Telemetry), "what is worth more is not dropped");
        // A gap of three, and nothing beside it.
        assert!(drop_one(&mut streams, MIDDLE));
        assert_eq!((streams.held().0, streams.get(MIDDLE).unwrap().state().oldest), (2, 1));
    }

    #[test]
    fn control_has_no_spool_here() {
        let streams = Streams::new(NodeId::of_key(&[1; 32]), BootId([1; 16]), Stream::ALL.into_iter().filter(|s| s.is_droppable()));
        assert!(streams.get(Stream::Control).is_none() && streams.victim(Stream::Control).is_none());
    }
}
