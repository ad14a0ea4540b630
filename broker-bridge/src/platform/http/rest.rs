//! What is different for the operations that have an address of their own: parameters in the address, and how errors are told.

use super::ApiError;
use axum::http::StatusCode;
use serde_json::{Map, Value};

/// Longest query of an address, in bytes: the longest token and a number fit.
const MAXIMUM_QUERY_BYTES: usize = 16 * 1024;

/// The body with the parameters of the address put into it as members.
///
/// # Errors
/// `ValidationException` for a parameter that the operation does not have or that comes twice, or a body that is no object.
pub(super) fn with_parameters(body: &[u8], query: &str, known: &[(&str, &str)]) -> Result<Vec<u8>, ApiError> {
    if query.is_empty() {
        return Ok(body.to_vec());
    }
    if query.len() > MAXIMUM_QUERY_BYTES {
        return Err(ApiError::validation(format!("the query of the address has more than {MAXIMUM_QUERY_BYTES} bytes")));
    }
    let mut object: Map<String, Value> = match body {
        [] => Map::new(),
        body => serde_json::from_slice(body).map_err(|error| ApiError::validation(format!("the body is no JSON object: {error}")))?,
    };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let member = known.iter().find(|(parameter, _)| *parameter == name).map(|(_, member)| *member);
        let member =
            member.ok_or_else(|| ApiError::validation(format!("the address has the parameter {name:?}, which the operation has not")))?;
        let value = decode(value)
            .ok_or_else(|| ApiError::validation(format!("the parameter {name} of the address is not percent-encoded UTF-8")))?;
        // A number in an address is text; the request's type says whether it must be a number.
        let value =
            if member == "MaxResults" { value.parse::<i64>().map_or(Value::String(value), Value::from) } else { Value::String(value) };
        if object.insert(member.to_owned(), value).is_some() {
            return Err(ApiError::validation(format!("{member} comes twice")));
        }
    }
    serde_json::to_vec(&object).map_err(ApiError::internal)
}

/// Undoes percent-encoding, in which a plus stands for itself.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(rest.next()?)? << 4 | digit(rest.next()?)?);
    }
    String::from_utf8(bytes).ok()
}

/// The name and the status of an error in the model of resource groups.
pub(super) fn named(error: &ApiError) -> (&str, StatusCode) {
    match error.kind.as_ref() {
        "ValidationException" | "InvalidNextToken" | "BadRequestException" => ("BadRequestException", StatusCode::BAD_REQUEST),
        "AccessDeniedException" => ("ForbiddenException", StatusCode::FORBIDDEN),
        "NotFoundException" => ("NotFoundException", StatusCode::NOT_FOUND),
        "ThrottlingException" => ("TooManyRequestsException", StatusCode::TOO_MANY_REQUESTS),
        "InternalServerError" => ("InternalServerErrorException", StatusCode::INTERNAL_SERVER_ERROR),
        other => (other, error.status()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KNOWN: &[(&str, &str)] = &[("maxResults", "MaxResults"), ("nextToken", "NextToken")];

    #[test]
    fn parameters_become_members() {
        let joined = |body: &str, query: &str| {
            with_parameters(body.as_bytes(), query, KNOWN).map(|body| serde_json::from_slice::<Value>(&body).unwrap())
        };
        let both = joined(r#"{"Filters":[]}"#, "maxResults=5&nextToken=a%2Bb+%3D").unwrap();
        assert_eq!(both, json!({"Filters": [], "MaxResults": 5, "NextToken": "a+b+="}));
        assert_eq!(joined("", "maxResults=five").unwrap(), json!({"MaxResults": "five"}));
        assert_eq!(with_parameters(b"any", "", KNOWN).unwrap(), b"any");
        for (body, query) in
            [("", "colour=1"), ("", "maxResults=1&maxResults=2"), ("[]", "maxResults=1"), ("", "nextToken=%f"), ("", "nextToken=%ff")]
        {
            assert_eq!(joined(body, query).unwrap_err().kind, "ValidationException", "{body} {query}");
        }
        assert_eq!(joined(r#"{"MaxResults":1}"#, "maxResults=1").unwrap_err().message, "MaxResults comes twice");
    }

    #[test]
    fn errors_have_the_names_and_statuses_of_the_other_model() {
        assert_eq!(named(&ApiError::access_denied("no")), ("ForbiddenException", StatusCode::FORBIDDEN));
        assert_eq!(named(&ApiError::new("NotFoundException", "no")), ("NotFoundException", StatusCode::NOT_FOUND));
        assert_eq!(named(&ApiError::new("InvalidSignatureException", "no")), ("InvalidSignatureException", StatusCode::BAD_REQUEST));
    }
}
