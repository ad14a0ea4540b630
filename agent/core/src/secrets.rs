//! The secrets of an order: in its node data, sealed to this node, and all that the plan names.

use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::delivery::NodeData;
use flotilla_protocol::secret::{self, Binding, OpenedSecret, SealingKey};
use flotilla_protocol::status::RejectReason;

/// Opens the secrets of a command; none where it has none.
///
/// # Errors
/// `Malformed` and `Unsupported` of the node data as of an order; `Secret` where one that the plan names is missing, one does not open,
/// or one is of a parameter that has a value in the order.
pub(crate) fn open(
    key: Option<&SealingKey>,
    binding: &Binding,
    command: &CommandOrder,
    node_data: &[u8],
) -> Result<Vec<OpenedSecret>, RejectReason> {
    let data = NodeData::read(node_data).map_err(|_| RejectReason::Malformed)?;
    if !data.is_known() {
        return Err(RejectReason::Unsupported);
    }
    let named = command.plan.secrets().map_err(|_| RejectReason::Malformed)?;
    let opened = match data.secrets().map_err(|_| RejectReason::Malformed)? {
        Some(sealed) => {
            // What the order says openly is what it says: nothing that is sealed takes its place.
            let is_open =
                |index: &u16| command.parameters.get(usize::from(*index)).is_some_and(|parameter| !parameter.value.text.is_empty());
            if sealed.secrets.iter().any(|secret| is_open(&secret.parameter)) {
                return Err(RejectReason::Secret);
            }
            let key = key.ok_or(RejectReason::Secret)?;
            let name_of = |index: u16| command.parameters.get(usize::from(index)).map(|parameter| parameter.name.as_str());
            secret::open(binding, key, &sealed, name_of).map_err(|_| RejectReason::Secret)?
        }
        None => Vec::new(),
    };
    let has = |parameter: &u16| opened.iter().any(|secret| secret.parameter == *parameter);
    if named.iter().all(has) { Ok(opened) } else { Err(RejectReason::Secret) }
}
