//! The endpoints of activations.

use super::{SEAL_TABLE, store};
use crate::fleet::Fleet;
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::page::{TokenScope, cut_part, page_size, part_end};
use crate::platform::repeat;
use crate::platform::time::to_column;
use flotilla_api::Timestamp;
use flotilla_api::activations::{
    Activation as ListedActivation, CreateActivationRequest, CreateActivationResult, DeleteActivationRequest, DeleteActivationResult,
    DescribeActivationsRequest, DescribeActivationsResult, RegistrationMetadataItem,
};
use flotilla_api::tags::Tag;
use flotilla_protocol::enrolment::Activation;
use flotilla_protocol::id::ActivationId;
use sqlx::{QueryBuilder, Sqlite};
use std::collections::BTreeSet;

/// Most devices that one activation registers (the model's limit).
const MAXIMUM_REGISTRATIONS: i32 = 1000;
/// How long an activation lives where nothing is said, in milliseconds.
const DEFAULT_LIFETIME_MS: u64 = 24 * 3600 * 1000;
/// Longest description and longest name, in characters (the model's limits).
const MAXIMUM_TEXT: usize = 256;
/// Longest name of a role, in characters (the model's limit).
const MAXIMUM_ROLE: usize = 64;
/// Most tags of an activation: what a node can have.
const MAXIMUM_TAGS: usize = 50;
/// Most further keys that are kept.
const MAXIMUM_METADATA: usize = 50;
/// Most filters of one request.
const MAXIMUM_FILTERS: usize = 10;
/// Longest value of a filter, in bytes: a name fits.
const MAXIMUM_FILTER_BYTES: usize = 1024;
/// Most values of one filter.
const MAXIMUM_FILTER_VALUES: usize = 100;

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.endpoint::<CreateActivationRequest>(Access::Admin, create_activation);
    registry.endpoint::<DescribeActivationsRequest>(Access::Viewer, describe_activations);
    registry.endpoint::<DeleteActivationRequest>(Access::Admin, delete_activation);
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameters", message)
}

/// Letters, separators and numbers of any script, and a few signs: what the model allows in names and tags.
fn is_plain(text: &str) -> bool {
    text.chars().all(|character| character.is_alphanumeric() || character == ' ' || "_.:/=+-@".contains(character))
}

fn check(request: &CreateActivationRequest, now_ms: u64, longest_ms: u64) -> Result<(i32, u64), ApiError> {
    let fits = |text: &Option<String>| text.as_ref().is_none_or(|text| text.chars().count() <= MAXIMUM_TEXT);
    if !fits(&request.description) || !fits(&request.default_instance_name) {
        return Err(ApiError::validation(format!("Description and DefaultInstanceName have at most {MAXIMUM_TEXT} characters")));
    }
    if !request.default_instance_name.as_deref().is_none_or(is_plain) {
        return Err(ApiError::validation("DefaultInstanceName takes letters, numbers, spaces and _ . : / = + - @"));
    }
    if request.iam_role.chars().count() > MAXIMUM_ROLE {
        return Err(ApiError::validation(format!("IamRole has at most {MAXIMUM_ROLE} characters")));
    }
    let limit = request.registration_limit.unwrap_or(1);
    if !(1..=MAXIMUM_REGISTRATIONS).contains(&limit) {
        return Err(ApiError::validation(format!("RegistrationLimit must be from 1 to {MAXIMUM_REGISTRATIONS}, not {limit}")));
    }
    let expires_ms = match request.expiration_date {
        None => now_ms.saturating_add(DEFAULT_LIFETIME_MS.min(longest_ms)),
        Some(date) => u64::try_from(date.milliseconds()).unwrap_or(0),
    };
    if expires_ms <= now_ms {
        return Err(invalid("ExpirationDate lies in the past"));
    }
    if expires_ms > now_ms.saturating_add(longest_ms) {
        let days = longest_ms / (24 * 3600 * 1000);
        return Err(invalid(format!("ExpirationDate lies more than {days} days ahead, which is the setting limits.activation_days")));
    }
    check_tags(request.tags.as_deref().unwrap_or_default())?;
    let metadata = request.registration_metadata.as_deref().unwrap_or_default();
    let kept = |item: &RegistrationMetadataItem| (1..=128).contains(&item.key.len()) && (1..=2048).contains(&item.value.len());
    if metadata.len() > MAXIMUM_METADATA || !metadata.iter().all(kept) {
        return Err(ApiError::validation(format!(
            "RegistrationMetadata takes {MAXIMUM_METADATA} keys of 128 and values of 2048 characters"
        )));
    }
    Ok((limit, expires_ms))
}

fn check_tags(tags: &[Tag]) -> Result<(), ApiError> {
    if tags.len() > MAXIMUM_TAGS {
        return Err(invalid(format!("at most {MAXIMUM_TAGS} tags are taken")));
    }
    let keys: BTreeSet<&str> = tags.iter().map(|tag| tag.key.as_str()).collect();
    if keys.len() != tags.len() {
        return Err(invalid("a tag's key is given twice"));
    }
    for tag in tags {
        let fits = (1..=128).contains(&tag.key.chars().count()) && tag.value.chars().count() <= 256;
        if !fits || !is_plain(&tag.key) || !is_plain(&tag.value) || tag.key.starts_with("aws:") {
            return Err(invalid(format!("{:?} is no tag: 1 to 128 characters, a value of at most 256, and not aws:", tag.key)));
        }
    }
    Ok(())
}

pub(crate) async fn create_activation(
    fleet: &Fleet,
    caller: &Caller,
    request: CreateActivationRequest,
) -> Result<CreateActivationResult, ApiError> {
    let now_ms = fleet.clock.now_ms();
    let repeated = repeat::find(fleet.store.reader().acquire().await?.as_mut(), caller, now_ms).await?;
    if let Some(id) = repeated {
        return answer_again(fleet, caller, &id).await;
    }
    let (limit, expires_ms) = check(&request, now_ms, fleet.longest_activation_ms())?;
    let mut random = [0; 36];
    getrandom::fill(&mut random).map_err(|error| ApiError::internal(std::io::Error::other(error)))?;
    let (id, code) = random.split_at(16);
    let id = uuid::Builder::from_random_bytes(id.try_into().unwrap_or_default()).into_uuid();
    let code: [u8; 20] = code.try_into().unwrap_or_default();
    let (host, port) = fleet.claim_address();
    let activation = Activation { id: ActivationId(id.into_bytes()), code, host, port, root_hash: fleet.signer.root_hash() };
    let id = activation.id.to_string();
    let sealed = fleet.sealer.seal(SEAL_TABLE, &id, &code).map_err(ApiError::internal)?;
    let new = store::NewActivation {
        id: &id,
        sealed_code: &sealed,
        description: request.description.as_deref(),
        default_instance_name: request.default_instance_name.as_deref(),
        iam_role: &request.iam_role,
        registration_limit: i64::from(limit),
        expires_ms: to_column(expires_ms),
        tags: serde_json::to_string(request.tags.as_deref().unwrap_or_default()).map_err(ApiError::internal)?,
        registration_metadata: serde_json::to_string(request.registration_metadata.as_deref().unwrap_or_default())
            .map_err(ApiError::internal)?,
    };
    let mut write = fleet.store.write().await?;
    // Another attempt may have come first; whoever holds the writer is the only one to look.
    if let Some(id) = repeat::find(write.connection(), caller, now_ms).await? {
        drop(write);
        return answer_again(fleet, caller, &id).await;
    }
    store::insert(&mut write, &new, now_ms).await?;
    repeat::remember(&mut write, caller, &id, now_ms).await?;
    write.commit().await?;
    tracing::info!(activation = id, user = caller.user, limit, "an activation was made");
    Ok(CreateActivationResult { activation_id: Some(id), activation_code: Some(activation.to_text()) })
}

/// The answer to one more attempt of a call: the activation of the first, with the same code.
async fn answer_again(fleet: &Fleet, caller: &Caller, id: &str) -> Result<CreateActivationResult, ApiError> {
    let gone = || ApiError::validation(format!("this call made the activation {id}, which is not there any more"));
    let (_, sealed) = store::standing(fleet.store.reader().acquire().await?.as_mut(), id).await?.ok_or_else(gone)?;
    let opened = fleet.sealer.open(SEAL_TABLE, id, &sealed).map_err(ApiError::internal)?;
    let code: [u8; 20] = opened.as_slice().try_into().map_err(ApiError::internal)?;
    let (host, port) = fleet.claim_address();
    let activation_id: ActivationId = id.parse().map_err(ApiError::internal)?;
    let activation = Activation { id: activation_id, code, host, port, root_hash: fleet.signer.root_hash() };
    tracing::info!(activation = id, user = caller.user, "a call was repeated, and no second activation made");
    Ok(CreateActivationResult { activation_id: Some(id.to_owned()), activation_code: Some(activation.to_text()) })
}

#[derive(sqlx::FromRow)]
struct Row {
    activation_id: String,
    description: Option<String>,
    default_instance_name: Option<String>,
    iam_role: String,
    registration_limit: i64,
    registrations_count: i64,
    expires_ms: i64,
    created_ms: i64,
    tags: String,
}

impl Row {
    fn into_listed(self, now_ms: i64) -> ListedActivation {
        let number = |number: i64| Some(i32::try_from(number).unwrap_or(i32::MAX));
        ListedActivation {
            activation_id: Some(self.activation_id),
            description: self.description,
            default_instance_name: self.default_instance_name,
            iam_role: Some(self.iam_role),
            registration_limit: number(self.registration_limit),
            registrations_count: number(self.registrations_count),
            expiration_date: Some(Timestamp::from_milliseconds(self.expires_ms)),
            expired: Some(self.expires_ms <= now_ms),
            created_date: Some(Timestamp::from_milliseconds(self.created_ms)),
            tags: serde_json::from_str(&self.tags).ok(),
        }
    }
}

pub(crate) async fn describe_activations(
    fleet: &Fleet,
    _caller: &Caller,
    request: DescribeActivationsRequest,
) -> Result<DescribeActivationsResult, ApiError> {
    let size = page_size(request.max_results, 1..=50)?;
    let scope = TokenScope::new("DescribeActivations", &request.filters);
    if request.filters.as_ref().is_some_and(|filters| filters.len() > MAXIMUM_FILTERS) {
        return Err(ApiError::validation(format!("at most {MAXIMUM_FILTERS} filters are taken")));
    }
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(
        "SELECT activation_id, description, default_instance_name, iam_role, registration_limit, registrations_count, expires_ms, \
         created_ms, tags FROM activation WHERE deleted_ms IS NULL",
    );
    for filter in request.filters.as_deref().unwrap_or_default() {
        let column = match filter.filter_key.as_deref() {
            Some("ActivationIds") => "activation_id",
            Some("DefaultInstanceName") => "default_instance_name",
            Some("IamRole") => "iam_role",
            other => {
                let message =
                    format!("{:?} is no filter key; use ActivationIds, DefaultInstanceName or IamRole", other.unwrap_or_default());
                return Err(ApiError::new("InvalidFilter", message));
            }
        };
        let values = filter.filter_values.as_deref().unwrap_or_default();
        let fits = |value: &String| value.len() <= MAXIMUM_FILTER_BYTES;
        if !(1..=MAXIMUM_FILTER_VALUES).contains(&values.len()) || !values.iter().all(fits) {
            return Err(ApiError::new(
                "InvalidFilter",
                format!("give 1 to {MAXIMUM_FILTER_VALUES} values of at most {MAXIMUM_FILTER_BYTES} bytes"),
            ));
        }
        query.push(" AND ").push(column).push(" IN (");
        let mut separated = query.separated(", ");
        for value in values {
            separated.push_bind(value.clone());
        }
        query.push(")");
    }
    let after = scope.after(request.next_token.as_deref())?;
    // Ids that are asked for are found without a look at others.
    let by_id = request.filters.iter().flatten().any(|filter| filter.filter_key.as_deref() == Some("ActivationIds"));
    let end = if by_id { None } else { part_end(&fleet.store, "activation", "activation_id", after.as_deref()).await? };
    if let Some(after) = after {
        query.push(" AND activation_id > ").push_bind(after);
    }
    if let Some(end) = &end {
        query.push(" AND activation_id <= ").push_bind(end.clone());
    }
    query.push(" ORDER BY activation_id LIMIT ").push_bind(size + 1);
    let mut rows: Vec<Row> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
    let next_token = cut_part(&mut rows, size, &scope, end, |row| row.activation_id.clone());
    let now_ms = to_column(fleet.clock.now_ms());
    Ok(DescribeActivationsResult { activation_list: Some(rows.into_iter().map(|row| row.into_listed(now_ms)).collect()), next_token })
}

pub(crate) async fn delete_activation(
    fleet: &Fleet,
    caller: &Caller,
    request: DeleteActivationRequest,
) -> Result<DeleteActivationResult, ApiError> {
    let id: ActivationId = request
        .activation_id
        .parse()
        .map_err(|_| ApiError::new("InvalidActivationId", "an activation's id is a UUID in lower case, as CreateActivation answers it"))?;
    let mut write = fleet.store.write().await?;
    if !store::delete(&mut write, &id.to_string(), fleet.clock.now_ms()).await? {
        return Err(ApiError::new("InvalidActivation", format!("{id} is not an activation of this fleet, or it was deleted before")));
    }
    write.commit().await?;
    tracing::info!(activation = %id, user = caller.user, "an activation was deleted");
    Ok(DeleteActivationResult {})
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn request() -> CreateActivationRequest {
        CreateActivationRequest { iam_role: "any".into(), ..CreateActivationRequest::default() }
    }

    #[test]
    fn an_activation_lasts_a_day_and_registers_one_device_unless_said_otherwise() {
        assert_eq!(check(&request(), 1_000, 30 * DAY_MS).unwrap(), (1, 1_000 + DAY_MS));
    }

    #[test]
    fn what_is_beyond_its_limits_is_refused() {
        let tag = |key: &str| Tag { key: key.into(), value: "v".into() };
        let in_days = |days: u64| Some(Timestamp::from_milliseconds(i64::try_from(days * DAY_MS).unwrap()));
        let wrong = [
            CreateActivationRequest { registration_limit: Some(0), ..request() },
            CreateActivationRequest { registration_limit: Some(1001), ..request() },
            CreateActivationRequest { expiration_date: in_days(0), ..request() },
            CreateActivationRequest { expiration_date: in_days(32), ..request() },
            CreateActivationRequest { iam_role: "x".repeat(65), ..request() },
            CreateActivationRequest { description: Some("x".repeat(257)), ..request() },
            CreateActivationRequest { default_instance_name: Some("a;b".into()), ..request() },
            CreateActivationRequest { tags: Some(vec![tag("a"), tag("a")]), ..request() },
            CreateActivationRequest { tags: Some(vec![tag("aws:a")]), ..request() },
            CreateActivationRequest { tags: Some(vec![tag("")]), ..request() },
        ];
        for request in wrong {
            assert!(check(&request, 1_000, 30 * DAY_MS).is_err(), "{request:?}");
        }
        let longest = CreateActivationRequest { expiration_date: in_days(30), ..request() };
        assert!(check(&longest, 1_000, 30 * DAY_MS).is_ok());
    }
}
