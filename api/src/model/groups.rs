//! Written by generate/constraints.py from the service model; not edited by hand.

use super::{Shape, list, map, member, number, patterned, required, structure, word};

static CREATE_GROUP_INPUT: Shape = structure(&[member("Configuration", &GROUP_CONFIGURATION_LIST), member("Criticality", &CRITICALITY), member("Description", &DESCRIPTION), member("DisplayName", &DISPLAY_NAME), required("Name", &CREATE_GROUP_NAME), member("Owner", &OWNER), member("ResourceQuery", &RESOURCE_QUERY), member("Tags", &TAGS)]);
static CREATE_GROUP_NAME: Shape = patterned(Some(1), Some(300), "[a-zA-Z0-9_\\.-]+", None);
static CRITICALITY: Shape = number(Some(1), Some(10));
static DELETE_GROUP_INPUT: Shape = structure(&[member("Group", &GROUP_STRING_V2), member("GroupName", &GROUP_NAME)]);
static DESCRIPTION: Shape = patterned(None, Some(1024), "[\\sa-zA-Z0-9_\\.-]*", Some("[\\t\\n\\x0B\\f\\r a-zA-Z0-9_\\.-]*"));
static DISPLAY_NAME: Shape = patterned(Some(0), Some(300), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);
static GET_GROUP_INPUT: Shape = structure(&[member("Group", &GROUP_STRING_V2), member("GroupName", &GROUP_NAME)]);
static GET_GROUP_QUERY_INPUT: Shape = structure(&[member("Group", &GROUP_STRING), member("GroupName", &GROUP_NAME)]);
static GROUP_CONFIGURATION_ITEM: Shape = structure(&[member("Parameters", &GROUP_PARAMETER_LIST), required("Type", &GROUP_CONFIGURATION_TYPE)]);
static GROUP_CONFIGURATION_LIST: Shape = list(None, Some(2), &GROUP_CONFIGURATION_ITEM);
static GROUP_CONFIGURATION_PARAMETER: Shape = structure(&[required("Name", &GROUP_CONFIGURATION_PARAMETER_NAME), member("Values", &GROUP_CONFIGURATION_PARAMETER_VALUE_LIST)]);
static GROUP_CONFIGURATION_PARAMETER_NAME: Shape = patterned(Some(1), Some(80), "[a-z-]+", None);
static GROUP_CONFIGURATION_PARAMETER_VALUE: Shape = patterned(Some(1), Some(256), "[a-zA-Z0-9:\\/\\._-]+", None);
static GROUP_CONFIGURATION_PARAMETER_VALUE_LIST: Shape = list(None, None, &GROUP_CONFIGURATION_PARAMETER_VALUE);
static GROUP_CONFIGURATION_TYPE: Shape = patterned(None, Some(40), "AWS::[a-zA-Z0-9]+::[a-zA-Z0-9]+", None);
static GROUP_FILTER: Shape = structure(&[required("Name", &GROUP_FILTER_NAME), required("Values", &GROUP_FILTER_VALUES)]);
static GROUP_FILTER_LIST: Shape = list(None, None, &GROUP_FILTER);
static GROUP_FILTER_NAME: Shape = word(&["resource-type", "configuration-type", "owner", "display-name", "criticality"]);
static GROUP_FILTER_VALUE: Shape = patterned(Some(1), Some(300), "AWS::(AllSupported|[a-zA-Z0-9]+::[a-zA-Z0-9]+)|[\\s\\p{L}0-9_\\.-]*", Some("AWS::(AllSupported|[a-zA-Z0-9]+::[a-zA-Z0-9]+)|[\\t\\n\\x0B\\f\\r \\p{L}0-9_\\.-]*"));
static GROUP_FILTER_VALUES: Shape = list(Some(1), Some(5), &GROUP_FILTER_VALUE);
static GROUP_NAME: Shape = patterned(Some(1), Some(300), "[a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26}", None);
static GROUP_PARAMETER_LIST: Shape = list(None, None, &GROUP_CONFIGURATION_PARAMETER);
static GROUP_STRING: Shape = patterned(Some(1), Some(1600), "[a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26}|arn:aws(-[a-z]+)*:resource-groups:[a-z]{2}(-[a-z]+)+-\\d{1}:[0-9]{12}:group/([a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26})", Some("[a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26}|arn:aws(-[a-z]+)*:resource-groups:[a-z0-9-]+:[0-9]{12}:group/([a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26})"));
static GROUP_STRING_V2: Shape = patterned(Some(1), Some(1600), "[a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26}|arn:aws(-[a-z]+)*:resource-groups:[a-z]{2}(-[a-z]+)+-\\d{1}:[0-9]{12}:group/([a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26})", Some("[a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26}|arn:aws(-[a-z]+)*:resource-groups:[a-z0-9-]+:[0-9]{12}:group/([a-zA-Z0-9_\\.-]{1,300}|[a-zA-Z0-9_\\.-]{1,150}/[a-z0-9]{26})"));
static LIST_GROUPS_INPUT: Shape = structure(&[member("Filters", &GROUP_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &NEXT_TOKEN)]);
static LIST_GROUP_RESOURCES_INPUT: Shape = structure(&[member("Filters", &RESOURCE_FILTER_LIST), member("Group", &GROUP_STRING_V2), member("GroupName", &GROUP_NAME), member("MaxResults", &MAX_RESULTS), member("NextToken", &NEXT_TOKEN)]);
static MAX_RESULTS: Shape = number(Some(1), Some(50));
static NEXT_TOKEN: Shape = patterned(Some(0), Some(8192), "^[a-zA-Z0-9+/]*={0,2}$", None);
static OWNER: Shape = patterned(Some(0), Some(300), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);
static QUERY: Shape = patterned(None, Some(4096), "[\\s\\S]*", Some("[\\t\\n\\x0B\\f\\r [^\\t\\n\\x0B\\f\\r ]]*"));
static QUERY_TYPE: Shape = word(&["TAG_FILTERS_1_0", "CLOUDFORMATION_STACK_1_0"]);
static RESOURCE_FILTER: Shape = structure(&[required("Name", &RESOURCE_FILTER_NAME), required("Values", &RESOURCE_FILTER_VALUES)]);
static RESOURCE_FILTER_LIST: Shape = list(None, None, &RESOURCE_FILTER);
static RESOURCE_FILTER_NAME: Shape = word(&["resource-type"]);
static RESOURCE_FILTER_VALUE: Shape = patterned(Some(1), Some(128), "AWS::[a-zA-Z0-9]+::[a-zA-Z0-9]+", None);
static RESOURCE_FILTER_VALUES: Shape = list(Some(1), Some(5), &RESOURCE_FILTER_VALUE);
static RESOURCE_QUERY: Shape = structure(&[required("Query", &QUERY), required("Type", &QUERY_TYPE)]);
static SEARCH_RESOURCES_INPUT: Shape = structure(&[member("MaxResults", &MAX_RESULTS), member("NextToken", &NEXT_TOKEN), required("ResourceQuery", &RESOURCE_QUERY)]);
static TAGS: Shape = map(None, None, &TAG_KEY, &TAG_VALUE);
static TAG_KEY: Shape = patterned(Some(1), Some(128), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);
static TAG_VALUE: Shape = patterned(Some(0), Some(256), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);

/// The requests of the operations, sorted by name.
pub(super) static REQUESTS: &[(&str, &Shape)] = &[
    ("CreateGroup", &CREATE_GROUP_INPUT),
    ("DeleteGroup", &DELETE_GROUP_INPUT),
    ("GetGroup", &GET_GROUP_INPUT),
    ("GetGroupQuery", &GET_GROUP_QUERY_INPUT),
    ("ListGroupResources", &LIST_GROUP_RESOURCES_INPUT),
    ("ListGroups", &LIST_GROUPS_INPUT),
    ("SearchResources", &SEARCH_RESOURCES_INPUT),
];
