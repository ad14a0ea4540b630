//! Inventory: the shell gathers it, and here its pieces get their places in the chain, one at a time and only where they have room.
//!
//! No piece of an inventory takes the place of another report: one that has no room is not made, and the shell comes again with it when receipts
//! have made room. A quarter of what may be held is left to telemetry, however large an inventory is.

use super::Core;
use crate::spool::Spool;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::inventory::{InventoryReport, MAXIMUM_PIECE_BYTES};
use flotilla_protocol::report::Stream;

/// What a report has beside the bytes of its piece, at most: signature, places, hashes and the name of the type.
const AROUND_PIECE_BYTES: usize = 512;

impl Core {
    /// Whether the bridge takes inventories, as the last welcome said.
    #[must_use]
    pub fn takes_inventory(&self) -> bool {
        self.tellings.settings.is_some() && self.tellings.chains.contains_key(&Stream::Inventory)
    }

    /// How many bytes each piece of a change may have, so that two of them have room at a time; at most [`MAXIMUM_PIECE_BYTES`].
    #[must_use]
    pub fn inventory_piece_bytes(&self) -> usize {
        (self.inventory_limit().saturating_sub(2 * AROUND_PIECE_BYTES) / 2).clamp(64, MAXIMUM_PIECE_BYTES)
    }

    /// How often something came to pass after which the bridge may not have what this node has said: a gap over inventory, a chain that goes less
    /// far at the bridge than its receipts did, a memory that was lost. Whoever sees another number than before says whole tables anew.
    #[must_use]
    pub fn inventory_losses(&self) -> u64 {
        let dropped = self.streams.get(Stream::Inventory).map_or(0, Spool::dropped);
        self.tellings.inventory_losses.saturating_add(dropped)
    }

    /// Makes the report of a piece, at uptime `now` in milliseconds. `false` where it was not made: it has no room, nothing can be recorded, or
    /// the bridge takes none. It is durable when every [`crate::Output::Persist`] up to now is.
    pub fn tell_inventory(&mut self, report: InventoryReport, now: u64) -> bool {
        let need = report.bytes.len().saturating_add(AROUND_PIECE_BYTES);
        let has_room = self.streams.held().1.saturating_add(need) <= self.inventory_limit();
        let is_made = has_room && self.report_droppable(Stream::Inventory, &ReportPayload::Inventory(report), now);
        if is_made {
            self.go_on(now);
        }
        is_made
    }

    /// Up to so many bytes of reports may be held for an inventory to be told.
    fn inventory_limit(&self) -> usize {
        self.tellings.settings.map_or(0, |settings| settings.spool_bytes - settings.spool_bytes / 4)
    }

    /// What a start finds: a loss of before may not have been answered by whole tables yet.
    pub(super) fn recover_inventory(&mut self) {
        let has_gap = self.streams.get(Stream::Inventory).is_some_and(Spool::has_gap);
        self.tellings.inventory_losses = u64::from(has_gap || self.memory.lost.is_some());
    }

    /// A welcome says how far the bridge has the chain.
    pub(super) fn inventory_welcomed(&mut self) {
        let bridge_has = self.bridge_has(Stream::Inventory);
        if self.takes_inventory() && self.streams.get(Stream::Inventory).is_some_and(|spool| spool.was_further_than(bridge_has)) {
            self.inventory_lost();
        }
    }

    pub(super) fn inventory_lost(&mut self) {
        self.tellings.inventory_losses = self.tellings.inventory_losses.saturating_add(1);
    }
}
