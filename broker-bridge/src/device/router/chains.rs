//! The chains of nodes' reports: what a hello says of them, and where each report stands in its own.

use super::{BatchNotes, Router, Taken, Verdict, body_of};
use crate::capability::run_command::ingest as run_command;
use crate::fleet::audit;
use crate::fleet::node::chain::{Greeting, Head, Link, Place, greet, judge};
use crate::fleet::node::health;
use crate::fleet::node::recent::Recent;
use crate::fleet::node::store as node_store;
use crate::platform::store::{StoreError, Write};
use flotilla_protocol::hello::{Held, HelloBody};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::report::{ReportBody, Stream};
use flotilla_protocol::wire::Payload;
use std::collections::btree_map::Entry;

impl Router {
    /// The streams that are taken, and how far each of a node's chains is committed.
    pub(super) async fn chains(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        node: NodeId,
    ) -> Result<Vec<(Stream, u64)>, StoreError> {
        let mut chains = Vec::with_capacity(Stream::ALL.len());
        for stream in Stream::ALL {
            chains.push((stream, self.head(write, notes, node, stream).await?.sequence));
        }
        Ok(chains)
    }

    /// What a welcome offers: a session, where the node has a key to seal it to and there are streams to use it for.
    pub(super) async fn offers(
        &self,
        write: &mut Write<'_>,
        node: NodeId,
        nonce: [u8; 32],
        chains: &[(Stream, u64)],
        now_ms: u64,
    ) -> Result<Vec<Payload>, StoreError> {
        let Some(sessions) = self.sessions.as_ref().filter(|_| chains.iter().any(|(stream, _)| stream.is_droppable())) else {
            return Ok(Vec::new());
        };
        let sealing_key = node_store::sealing_key(write.connection(), node).await?;
        Ok(sealing_key.and_then(|key| sessions.offer(node, &key, nonce, now_ms)).into_iter().collect())
    }

    /// Goes on with a node's chains where the node says that they stand, if this database is an older one.
    pub(super) async fn greet(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        hello: &HelloBody,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let droppable = hello.droppable.iter().filter(|(stream, _)| stream.is_droppable() && Stream::ALL.contains(stream));
        for (stream, held) in droppable.chain([&(Stream::Control, hello.control)]) {
            self.greet_chain(write, notes, hello, *stream, held, now_ms).await?;
        }
        Ok(())
    }

    async fn greet_chain(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        hello: &HelloBody,
        stream: Stream,
        held: &Held,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let (node, name) = (hello.node, stream.as_str());
        let head = self.head(write, notes, node, stream).await?;
        match greet(&head, held, hello.boot) {
            Greeting::Fits => Ok(()),
            Greeting::Fork => {
                let detail = format!("a hello contradicts report {} of {name}, the last that was committed", head.sequence);
                self.note(write, notes, node, "fork", &detail, now_ms).await
            }
            Greeting::Lost { head, missed } => {
                let oldest = held.oldest;
                let detail = format!(
                    "{missed} reports of {name} before {oldest}, for which the node has receipts, are not in this database: it is an older copy"
                );
                self.note(write, notes, node, "gap", &detail, now_ms).await?;
                health::count(write, node, stream, 0, missed).await?;
                self.node(write, notes, node).await?.heads.insert(stream, head);
                // So that the head is saved, with what follows.
                notes.receipts.insert((node, stream));
                Ok(())
            }
        }
    }

    /// The head of a chain, read once a batch.
    async fn head(&self, write: &mut Write<'_>, notes: &mut BatchNotes, node: NodeId, stream: Stream) -> Result<Head, StoreError> {
        if let Some(head) = self.node(write, notes, node).await?.heads.get(&stream) {
            return Ok(*head);
        }
        let head = node_store::head(write.connection(), node, stream).await?;
        self.node(write, notes, node).await?.heads.insert(stream, head);
        Ok(head)
    }

    pub(super) async fn report(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        node: NodeId,
        envelope: &[u8],
        body: &[u8],
    ) -> Result<Verdict, StoreError> {
        let report: ReportBody = match body_of(body, node, |report: &ReportBody| report.node) {
            Ok(report) => report,
            Err(reason) => return Ok(Err(reason)),
        };
        if !Stream::ALL.contains(&report.stream) {
            return Ok(Err(format!("report {} of stream {}, which is not known", report.sequence, report.stream.number())));
        }
        let now_ms = self.fleet.clock.now_ms();
        let place = Place::of(&report, flotilla_protocol::sha256(&[body]));
        let head = self.head(write, notes, node, report.stream).await?;
        match judge(&head, &report, &place) {
            Link::Ahead => {
                tracing::debug!(%node, sequence = report.sequence, head = head.sequence, "a report came before its turn");
                return Ok(Ok(()));
            }
            Link::Duplicate if !self.recent(write, notes, node, report.stream).await?.contradicts(report.sequence, &place.hash) => {
                notes.receipts.insert((node, report.stream));
                return Ok(Ok(()));
            }
            Link::Duplicate | Link::Fork => {
                let detail = format!("report {} contradicts what was committed up to {}", report.sequence, head.sequence);
                self.quarantine(write, notes, node, &detail, now_ms).await?;
                return Ok(Ok(()));
            }
            Link::Gap { missed } => {
                let detail = format!("{missed} reports of {} before {} are lost", report.stream.as_str(), place.first);
                self.note(write, notes, node, "gap", &detail, now_ms).await?;
                health::count(write, node, report.stream, 0, missed).await?;
            }
            // The report that says so was dropped.
            Link::Anew if place.is_gap => {
                let detail = format!("its reports of {} begin anew at {}", report.stream.as_str(), place.first);
                self.note(write, notes, node, "stream-anew", &detail, now_ms).await?;
            }
            // The report itself says what happened.
            Link::Next | Link::Anew => {}
        }
        // The chain goes on whatever the report says: what cannot be used is set aside and receipted.
        let taken = Taken { report: &report, hash: &place.hash, envelope, dropped: place.dropped(&head, &report) };
        let verdict = self.payload(write, notes, node, &taken, now_ms).await?;
        self.recent(write, notes, node, report.stream).await?.add(report.sequence, &place.hash);
        self.node(write, notes, node).await?.heads.insert(report.stream, Head::after(&report, &place));
        notes.receipts.insert((node, report.stream));
        Ok(verdict)
    }

    /// The last reports of a chain, read once a batch.
    async fn recent<'n>(
        &self,
        write: &mut Write<'_>,
        notes: &'n mut BatchNotes,
        node: NodeId,
        stream: Stream,
    ) -> Result<&'n mut Recent, StoreError> {
        match self.node(write, notes, node).await?.recent.entry(stream) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(node_store::recent(write.connection(), node, stream).await?)),
        }
    }

    /// Two devices speak under one identity, or one was put back to an older state. Nothing of it is taken up from here on and nothing is
    /// sent to it, until somebody removes the node and registers each device anew.
    async fn quarantine(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        node: NodeId,
        detail: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        if let Some(known) = &mut self.node(write, notes, node).await?.known {
            known.quarantined = true;
        }
        if node_store::quarantine(write, node, now_ms).await? {
            run_command::node_offline(write, node).await?;
            write.record(audit::quarantined(node, detail, now_ms));
            let detail = format!("{detail}; nothing of it is taken up any more. Stop its copies, deregister it, and register each anew");
            tracing::error!(%node, detail, "a node is quarantined: two devices have its identity, or it was put back to an older state");
            self.note(write, notes, node, "fork", &detail, now_ms).await?;
        }
        Ok(())
    }
}
