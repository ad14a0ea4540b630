//! The endpoints of the audit log: entries by pages, and what is signed. Both only read; nothing through the API changes the log.

use crate::fleet::Fleet;
use crate::platform::audit::{self, Filter};
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::page::{TokenScope, page_size};
use flotilla_api::Operation as _;
use flotilla_api::audit::{GetAuditHeadRequest, GetAuditHeadResult, Hex, ListAuditEntriesRequest, ListAuditEntriesResult, MAXIMUM_PAGE};

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.own_endpoint::<GetAuditHeadRequest>(Access::Auditor, get_audit_head);
    registry.own_endpoint::<ListAuditEntriesRequest>(Access::Auditor, list_audit_entries);
}

pub(crate) async fn get_audit_head(fleet: &Fleet, _caller: &Caller, _request: GetAuditHeadRequest) -> Result<GetAuditHeadResult, ApiError> {
    let marks = audit::marks(&fleet.store).await?;
    Ok(GetAuditHeadResult { fleet: Hex(fleet.settings.fleet.0), head: marks.head, base: marks.base })
}

pub(crate) async fn list_audit_entries(
    fleet: &Fleet,
    _caller: &Caller,
    request: ListAuditEntriesRequest,
) -> Result<ListAuditEntriesResult, ApiError> {
    let size = page_size(request.max_results, 1..=MAXIMUM_PAGE)?;
    let ListAuditEntriesRequest { after_sequence, kind, actor, subject, since_ms, until_ms, max_results: _, next_token } = request;
    let filter = Filter { kind, actor, subject, since_ms, until_ms };
    let names = (&filter.kind, &filter.actor, &filter.subject);
    let scope = TokenScope::new(ListAuditEntriesRequest::NAME, &(after_sequence, names, filter.since_ms, filter.until_ms));
    let from = match scope.after(next_token.as_deref())? {
        // A token that fits its checksum was made here, of a number.
        Some(reached) => reached.parse().ok(),
        None => after_sequence,
    };
    let (entries, reached) = audit::page(&fleet.store, &filter, after_sequence.is_none(), from, size).await?;
    let next_token = reached.map(|reached| scope.token(&reached.to_string()));
    Ok(ListAuditEntriesResult { entries: Some(entries), next_token })
}
