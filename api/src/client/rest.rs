//! Requests of operations with an address of their own: some members stand in the query, the others in the body.

use std::fmt::Write as _;

use serde_json::Value;

use crate::groups::RestOperation;

/// The query, without its question mark, and the body of a request.
pub(super) fn parts<Request: RestOperation>(request: &Request) -> Result<(String, Vec<u8>), serde_json::Error> {
    let mut value = serde_json::to_value(request)?;
    let mut query = String::new();
    for (parameter, member) in Request::QUERY {
        let text = match value.as_object_mut().and_then(|members| members.remove(*member)) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        let between = if query.is_empty() { "" } else { "&" };
        // Writing to a String does not fail.
        _ = write!(query, "{between}{parameter}={}", percent_encoded(&text));
    }
    Ok((query, serde_json::to_vec(&value)?))
}

/// Name and words of an error: the name is in a header, with `:` and an address behind it or not, the words are in the body.
pub(super) fn refusal(header: &str, body: &[u8]) -> Option<(String, String)> {
    let name = header.split(':').next().filter(|name| !name.is_empty())?;
    let body: Value = serde_json::from_slice(body).ok()?;
    let message = ["Message", "message"].into_iter().find_map(|member| body.get(member)?.as_str());
    Some((name.to_owned(), message.unwrap_or_default().to_owned()))
}

/// Every byte but RFC 3986's unreserved ones as `%XX`, as signatures want it.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::{GetGroupRequest, ListGroupsRequest};

    #[test]
    fn members_of_the_address_leave_the_body() {
        let request = ListGroupsRequest { max_results: Some(5), next_token: Some("a+/=".to_owned()), ..ListGroupsRequest::default() };
        assert_eq!(parts(&request).unwrap(), ("maxResults=5&nextToken=a%2B%2F%3D".to_owned(), b"{}".to_vec()));
        let request = GetGroupRequest { group: Some("north".to_owned()), group_name: None };
        assert_eq!(parts(&request).unwrap(), (String::new(), br#"{"Group":"north"}"#.to_vec()));
    }

    #[test]
    fn a_refusal_has_its_name_in_the_header() {
        let expected = Some(("NotFoundException".to_owned(), "no such group".to_owned()));
        assert_eq!(refusal("NotFoundException", br#"{"Message":"no such group"}"#), expected);
        assert_eq!(refusal("NotFoundException:http://example", br#"{"message":"no such group"}"#), expected);
        assert_eq!(refusal("", b"{}"), None);
        assert_eq!(refusal("X", b"<html>"), None);
    }
}
