//! Written by generate/constraints.py from the service model; not edited by hand.

use super::{FREE, Shape, list, map, member, number, patterned, required, structure, text, word};

static ACCESS_REQUEST_ID: Shape = patterned(None, None, "^(oi)-[0-9a-f]{12}$", None);
static ACCOUNTS: Shape = list(Some(1), Some(50), &FREE);
static ACCOUNT_ID: Shape = patterned(None, None, "(?i)all|[0-9]{12}", None);
static ACCOUNT_ID_LIST: Shape = list(None, Some(20), &ACCOUNT_ID);
static ACTIVATION_DESCRIPTION: Shape = text(Some(0), Some(256));
static ACTIVATION_ID: Shape = patterned(None, None, "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", None);
static ADD_TAGS_TO_RESOURCE_REQUEST: Shape = structure(&[required("ResourceId", &FREE), required("ResourceType", &RESOURCE_TYPE_FOR_TAGGING), required("Tags", &TAG_LIST)]);
static ALARM: Shape = structure(&[required("Name", &ALARM_NAME)]);
static ALARM_CONFIGURATION: Shape = structure(&[required("Alarms", &ALARM_LIST), member("IgnorePollAlarmFailure", &FREE)]);
static ALARM_LIST: Shape = list(Some(1), Some(1), &ALARM);
static ALARM_NAME: Shape = patterned(Some(1), Some(255), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static ALLOWED_PATTERN: Shape = text(Some(0), Some(1024));
static APPROVE_AFTER_DAYS: Shape = number(Some(0), Some(360));
static ASSOCIATE_OPS_ITEM_RELATED_ITEM_REQUEST: Shape = structure(&[required("AssociationType", &FREE), required("OpsItemId", &OPS_ITEM_ID), required("ResourceType", &FREE), required("ResourceUri", &FREE)]);
static ASSOCIATION_COMPLIANCE_SEVERITY: Shape = word(&["CRITICAL", "HIGH", "MEDIUM", "LOW", "UNSPECIFIED"]);
static ASSOCIATION_DISPATCH_ASSUME_ROLE_ARN: Shape = patterned(Some(1), Some(512), "arn:aws(-[^:]+)?:iam::[0-9]{12}:role/.+", None);
static ASSOCIATION_EXECUTION_FILTER: Shape = structure(&[required("Key", &ASSOCIATION_EXECUTION_FILTER_KEY), required("Type", &ASSOCIATION_FILTER_OPERATOR_TYPE), required("Value", &ASSOCIATION_EXECUTION_FILTER_VALUE)]);
static ASSOCIATION_EXECUTION_FILTER_KEY: Shape = word(&["ExecutionId", "Status", "CreatedTime"]);
static ASSOCIATION_EXECUTION_FILTER_LIST: Shape = list(Some(1), None, &ASSOCIATION_EXECUTION_FILTER);
static ASSOCIATION_EXECUTION_FILTER_VALUE: Shape = text(Some(1), None);
static ASSOCIATION_EXECUTION_ID: Shape = patterned(None, None, "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", None);
static ASSOCIATION_EXECUTION_TARGETS_FILTER: Shape = structure(&[required("Key", &ASSOCIATION_EXECUTION_TARGETS_FILTER_KEY), required("Value", &ASSOCIATION_EXECUTION_TARGETS_FILTER_VALUE)]);
static ASSOCIATION_EXECUTION_TARGETS_FILTER_KEY: Shape = word(&["Status", "ResourceId", "ResourceType"]);
static ASSOCIATION_EXECUTION_TARGETS_FILTER_LIST: Shape = list(Some(1), None, &ASSOCIATION_EXECUTION_TARGETS_FILTER);
static ASSOCIATION_EXECUTION_TARGETS_FILTER_VALUE: Shape = text(Some(1), None);
static ASSOCIATION_FILTER: Shape = structure(&[required("key", &ASSOCIATION_FILTER_KEY), required("value", &ASSOCIATION_FILTER_VALUE)]);
static ASSOCIATION_FILTER_KEY: Shape = word(&["InstanceId", "Name", "AssociationId", "AssociationStatusName", "LastExecutedBefore", "LastExecutedAfter", "AssociationName", "ResourceGroupName", "CloudConnectorId"]);
static ASSOCIATION_FILTER_LIST: Shape = list(Some(1), None, &ASSOCIATION_FILTER);
static ASSOCIATION_FILTER_OPERATOR_TYPE: Shape = word(&["EQUAL", "LESS_THAN", "GREATER_THAN"]);
static ASSOCIATION_FILTER_VALUE: Shape = text(Some(1), None);
static ASSOCIATION_ID: Shape = patterned(None, None, "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", None);
static ASSOCIATION_ID_LIST: Shape = list(Some(1), Some(10), &ASSOCIATION_ID);
static ASSOCIATION_NAME: Shape = patterned(None, None, "^[a-zA-Z0-9_\\-.]{3,128}$", None);
static ASSOCIATION_STATUS: Shape = structure(&[member("AdditionalInfo", &STATUS_ADDITIONAL_INFO), required("Date", &FREE), required("Message", &STATUS_MESSAGE), required("Name", &ASSOCIATION_STATUS_NAME)]);
static ASSOCIATION_STATUS_NAME: Shape = word(&["Pending", "Success", "Failed"]);
static ASSOCIATION_SYNC_COMPLIANCE: Shape = word(&["AUTO", "MANUAL"]);
static ASSOCIATION_VERSION: Shape = patterned(None, None, "^(([$]LATEST)|([1-9][0-9]*))$", None);
static ATTACHMENTS_SOURCE: Shape = structure(&[member("Key", &ATTACHMENTS_SOURCE_KEY), member("Name", &ATTACHMENT_IDENTIFIER), member("Values", &ATTACHMENTS_SOURCE_VALUES)]);
static ATTACHMENTS_SOURCE_KEY: Shape = word(&["SourceUrl", "S3FileUrl", "AttachmentReference"]);
static ATTACHMENTS_SOURCE_LIST: Shape = list(Some(0), Some(20), &ATTACHMENTS_SOURCE);
static ATTACHMENTS_SOURCE_VALUE: Shape = text(Some(1), Some(1024));
static ATTACHMENTS_SOURCE_VALUES: Shape = list(Some(1), Some(1), &ATTACHMENTS_SOURCE_VALUE);
static ATTACHMENT_IDENTIFIER: Shape = patterned(None, None, "^[a-zA-Z0-9_\\-.]{3,128}$", None);
static ATTRIBUTE_NAME: Shape = text(Some(1), Some(64));
static ATTRIBUTE_VALUE: Shape = text(Some(0), Some(4096));
static AUTOMATION_EXECUTION_FILTER: Shape = structure(&[required("Key", &AUTOMATION_EXECUTION_FILTER_KEY), required("Values", &AUTOMATION_EXECUTION_FILTER_VALUE_LIST)]);
static AUTOMATION_EXECUTION_FILTER_KEY: Shape = word(&["DocumentNamePrefix", "ExecutionStatus", "ExecutionId", "ParentExecutionId", "CurrentAction", "StartTimeBefore", "StartTimeAfter", "AutomationType", "TagKey", "TargetResourceGroup", "AutomationSubtype", "OpsItemId"]);
static AUTOMATION_EXECUTION_FILTER_LIST: Shape = list(Some(1), Some(10), &AUTOMATION_EXECUTION_FILTER);
static AUTOMATION_EXECUTION_FILTER_VALUE: Shape = text(Some(1), Some(150));
static AUTOMATION_EXECUTION_FILTER_VALUE_LIST: Shape = list(Some(1), Some(10), &AUTOMATION_EXECUTION_FILTER_VALUE);
static AUTOMATION_EXECUTION_ID: Shape = text(Some(36), Some(36));
static AUTOMATION_EXECUTION_INPUTS: Shape = structure(&[member("Parameters", &AUTOMATION_PARAMETER_MAP), member("TargetLocations", &TARGET_LOCATIONS), member("TargetLocationsURL", &TARGET_LOCATIONS_URL), member("TargetMaps", &TARGET_MAPS), member("TargetParameterName", &AUTOMATION_PARAMETER_KEY), member("Targets", &AUTOMATION_TARGETS)]);
static AUTOMATION_PARAMETER_KEY: Shape = text(Some(1), Some(50));
static AUTOMATION_PARAMETER_MAP: Shape = map(Some(1), Some(200), &AUTOMATION_PARAMETER_KEY, &AUTOMATION_PARAMETER_VALUE_LIST);
static AUTOMATION_PARAMETER_VALUE: Shape = text(Some(1), Some(512));
static AUTOMATION_PARAMETER_VALUE_LIST: Shape = list(Some(0), Some(50), &AUTOMATION_PARAMETER_VALUE);
static AUTOMATION_TARGETS: Shape = list(Some(0), Some(1), &TARGET);
static AUTOMATION_TARGET_PARAMETER_NAME: Shape = text(Some(1), Some(50));
static AZURE_APPLICATION_DISPLAY_NAME: Shape = patterned(Some(0), Some(256), "^([\\p{L}\\p{Z}\\p{N}\\p{P}\\p{M}]*)$", None);
static AZURE_APPLICATION_ID: Shape = patterned(Some(1), Some(256), "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$", None);
static AZURE_CONFIGURATION: Shape = structure(&[member("ApplicationDisplayName", &AZURE_APPLICATION_DISPLAY_NAME), required("ApplicationId", &AZURE_APPLICATION_ID), member("Targets", &CONFIGURATION_TARGETS), member("TenantDisplayName", &AZURE_TENANT_DISPLAY_NAME), required("TenantId", &AZURE_TENANT_ID)]);
static AZURE_SUBSCRIPTION: Shape = structure(&[member("DisplayName", &AZURE_SUBSCRIPTION_DISPLAY_NAME), required("Id", &AZURE_SUBSCRIPTION_ID)]);
static AZURE_SUBSCRIPTION_DISPLAY_NAME: Shape = patterned(Some(0), Some(128), "^([\\p{L}\\p{Z}\\p{N}\\p{P}\\p{M}]*)$", None);
static AZURE_SUBSCRIPTION_ID: Shape = patterned(Some(1), Some(256), "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$", None);
static AZURE_SUBSCRIPTION_LIST: Shape = list(Some(1), Some(75), &AZURE_SUBSCRIPTION);
static AZURE_TENANT_DISPLAY_NAME: Shape = patterned(Some(0), Some(256), "^([\\p{L}\\p{Z}\\p{N}\\p{P}\\p{M}]*)$", None);
static AZURE_TENANT_ID: Shape = patterned(Some(1), Some(256), "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$", None);
static BASELINE_DESCRIPTION: Shape = text(Some(1), Some(1024));
static BASELINE_ID: Shape = patterned(Some(20), Some(128), "^[a-zA-Z0-9_\\-:/]{20,128}$", None);
static BASELINE_NAME: Shape = patterned(Some(3), Some(128), "^[a-zA-Z0-9_\\-.]{3,128}$", None);
static BASELINE_OVERRIDE: Shape = structure(&[member("ApprovalRules", &PATCH_RULE_GROUP), member("ApprovedPatches", &PATCH_ID_LIST), member("ApprovedPatchesComplianceLevel", &PATCH_COMPLIANCE_LEVEL), member("ApprovedPatchesEnableNonSecurity", &FREE), member("AvailableSecurityUpdatesComplianceStatus", &PATCH_COMPLIANCE_STATUS), member("GlobalFilters", &PATCH_FILTER_GROUP), member("OperatingSystem", &OPERATING_SYSTEM), member("RejectedPatches", &PATCH_ID_LIST), member("RejectedPatchesAction", &PATCH_ACTION), member("Sources", &PATCH_SOURCE_LIST)]);
static CANCEL_COMMAND_REQUEST: Shape = structure(&[required("CommandId", &COMMAND_ID), member("InstanceIds", &INSTANCE_ID_LIST)]);
static CANCEL_MAINTENANCE_WINDOW_EXECUTION_REQUEST: Shape = structure(&[required("WindowExecutionId", &MAINTENANCE_WINDOW_EXECUTION_ID)]);
static CHANGE_DETAILS_VALUE: Shape = text(Some(1), Some(32768));
static CHANGE_REQUEST_NAME: Shape = text(Some(1), Some(1024));
static CLIENT_TOKEN: Shape = text(Some(1), Some(64));
static CLOUD_CONNECTOR_CONFIGURATION: Shape = structure(&[member("AzureConfiguration", &AZURE_CONFIGURATION), member("GcpConfiguration", &GCP_CONFIGURATION)]);
static CLOUD_CONNECTOR_DESCRIPTION: Shape = patterned(Some(0), Some(1024), "^([\\p{L}\\p{Z}\\p{N}\\p{P}\\p{M}]*)$", None);
static CLOUD_CONNECTOR_FILTER: Shape = structure(&[member("FilterKey", &CLOUD_CONNECTOR_FILTER_KEY), member("FilterValues", &CLOUD_CONNECTOR_FILTER_VALUES)]);
static CLOUD_CONNECTOR_FILTER_KEY: Shape = word(&["SubscriptionId", "TenantId", "ProjectId", "OrganizationId"]);
static CLOUD_CONNECTOR_FILTER_LIST: Shape = list(Some(1), Some(2), &CLOUD_CONNECTOR_FILTER);
static CLOUD_CONNECTOR_FILTER_VALUE: Shape = text(Some(1), Some(256));
static CLOUD_CONNECTOR_FILTER_VALUES: Shape = list(Some(1), Some(1), &CLOUD_CONNECTOR_FILTER_VALUE);
static CLOUD_CONNECTOR_IAM_ROLE_ARN: Shape = patterned(Some(20), Some(2048), "^arn:aws[a-z0-9-]*:iam::\\d{12}:role\\/[\\w-\\/.@+=,]{1,1017}$", Some("^arn:aws[a-z0-9-]*:iam::[0-9]{12}:role\\/[0-9A-Za-z_\\-\\/.@+=,]{1,1017}$"));
static CLOUD_CONNECTOR_ID: Shape = patterned(Some(36), Some(36), "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", None);
static CLOUD_CONNECTOR_MAX_RESULTS: Shape = number(Some(0), Some(10));
static CLOUD_WATCH_LOG_GROUP_NAME: Shape = text(Some(1), Some(512));
static CLOUD_WATCH_OUTPUT_CONFIG: Shape = structure(&[member("CloudWatchLogGroupName", &CLOUD_WATCH_LOG_GROUP_NAME), member("CloudWatchOutputEnabled", &FREE)]);
static COMMAND_FILTER: Shape = structure(&[required("key", &COMMAND_FILTER_KEY), required("value", &COMMAND_FILTER_VALUE)]);
static COMMAND_FILTER_KEY: Shape = word(&["InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName"]);
static COMMAND_FILTER_LIST: Shape = list(Some(1), Some(5), &COMMAND_FILTER);
static COMMAND_FILTER_VALUE: Shape = text(Some(1), Some(128));
static COMMAND_ID: Shape = text(Some(36), Some(36));
static COMMAND_MAX_RESULTS: Shape = number(Some(1), Some(50));
static COMMAND_PLUGIN_NAME: Shape = text(Some(4), None);
static COMMENT: Shape = text(None, Some(100));
static COMPLIANCE_EXECUTION_ID: Shape = text(None, Some(100));
static COMPLIANCE_EXECUTION_SUMMARY: Shape = structure(&[member("ExecutionId", &COMPLIANCE_EXECUTION_ID), required("ExecutionTime", &FREE), member("ExecutionType", &COMPLIANCE_EXECUTION_TYPE)]);
static COMPLIANCE_EXECUTION_TYPE: Shape = text(None, Some(50));
static COMPLIANCE_ITEM_CONTENT_HASH: Shape = text(None, Some(256));
static COMPLIANCE_ITEM_DETAILS: Shape = map(None, None, &ATTRIBUTE_NAME, &ATTRIBUTE_VALUE);
static COMPLIANCE_ITEM_ENTRY: Shape = structure(&[member("Details", &COMPLIANCE_ITEM_DETAILS), member("Id", &FREE), required("Severity", &COMPLIANCE_SEVERITY), required("Status", &COMPLIANCE_STATUS), member("Title", &COMPLIANCE_ITEM_TITLE)]);
static COMPLIANCE_ITEM_ENTRY_LIST: Shape = list(Some(0), Some(10000), &COMPLIANCE_ITEM_ENTRY);
static COMPLIANCE_ITEM_TITLE: Shape = text(None, Some(500));
static COMPLIANCE_QUERY_OPERATOR_TYPE: Shape = word(&["EQUAL", "NOT_EQUAL", "BEGIN_WITH", "LESS_THAN", "GREATER_THAN"]);
static COMPLIANCE_RESOURCE_ID: Shape = text(Some(1), Some(100));
static COMPLIANCE_RESOURCE_ID_LIST: Shape = list(Some(1), None, &COMPLIANCE_RESOURCE_ID);
static COMPLIANCE_RESOURCE_TYPE: Shape = text(Some(1), Some(50));
static COMPLIANCE_RESOURCE_TYPE_LIST: Shape = list(Some(1), None, &COMPLIANCE_RESOURCE_TYPE);
static COMPLIANCE_SEVERITY: Shape = word(&["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNSPECIFIED"]);
static COMPLIANCE_STATUS: Shape = word(&["COMPLIANT", "NON_COMPLIANT"]);
static COMPLIANCE_STRING_FILTER: Shape = structure(&[member("Key", &COMPLIANCE_STRING_FILTER_KEY), member("Type", &COMPLIANCE_QUERY_OPERATOR_TYPE), member("Values", &COMPLIANCE_STRING_FILTER_VALUE_LIST)]);
static COMPLIANCE_STRING_FILTER_KEY: Shape = text(Some(1), Some(200));
static COMPLIANCE_STRING_FILTER_LIST: Shape = list(None, None, &COMPLIANCE_STRING_FILTER);
static COMPLIANCE_STRING_FILTER_VALUE_LIST: Shape = list(Some(1), Some(20), &FREE);
static COMPLIANCE_TYPE_NAME: Shape = patterned(Some(1), Some(100), "^([A-Za-z0-9_\\-]\\w+|Custom:[a-zA-Z0-9_\\-]\\w+)$", Some("^([A-Za-z0-9_\\-][0-9A-Za-z_]+|Custom:[a-zA-Z0-9_\\-][0-9A-Za-z_]+)$"));
static COMPLIANCE_UPLOAD_TYPE: Shape = word(&["COMPLETE", "PARTIAL"]);
static CONFIGURATION_TARGETS: Shape = structure(&[member("Subscriptions", &AZURE_SUBSCRIPTION_LIST)]);
static CONFIG_CONNECTOR_ARN: Shape = patterned(Some(1), Some(512), "^arn:aws(-cn|-us-gov)?:config:([^:]+):\\d{12}:connector/.+$", Some("^arn:aws(-cn|-us-gov)?:config:([^:]+):[0-9]{12}:connector/.+$"));
static CREATE_ACTIVATION_REQUEST: Shape = structure(&[member("DefaultInstanceName", &DEFAULT_INSTANCE_NAME), member("Description", &ACTIVATION_DESCRIPTION), member("ExpirationDate", &FREE), required("IamRole", &IAM_ROLE), member("RegistrationLimit", &REGISTRATION_LIMIT), member("RegistrationMetadata", &REGISTRATION_METADATA_LIST), member("Tags", &TAG_LIST)]);
static CREATE_ASSOCIATION_BATCH_REQUEST: Shape = structure(&[member("AssociationDispatchAssumeRole", &ASSOCIATION_DISPATCH_ASSUME_ROLE_ARN), required("Entries", &CREATE_ASSOCIATION_BATCH_REQUEST_ENTRIES)]);
static CREATE_ASSOCIATION_BATCH_REQUEST_ENTRIES: Shape = list(Some(1), None, &CREATE_ASSOCIATION_BATCH_REQUEST_ENTRY);
static CREATE_ASSOCIATION_BATCH_REQUEST_ENTRY: Shape = structure(&[member("AlarmConfiguration", &ALARM_CONFIGURATION), member("ApplyOnlyAtCronInterval", &FREE), member("AssociationName", &ASSOCIATION_NAME), member("AutomationTargetParameterName", &AUTOMATION_TARGET_PARAMETER_NAME), member("CalendarNames", &FREE), member("ComplianceSeverity", &ASSOCIATION_COMPLIANCE_SEVERITY), member("DocumentVersion", &DOCUMENT_VERSION), member("Duration", &DURATION), member("InstanceId", &INSTANCE_ID), member("MaxConcurrency", &MAX_CONCURRENCY), member("MaxErrors", &MAX_ERRORS), required("Name", &DOCUMENT_ARN), member("OutputLocation", &INSTANCE_ASSOCIATION_OUTPUT_LOCATION), member("Parameters", &FREE).secret(), member("ScheduleExpression", &SCHEDULE_EXPRESSION), member("ScheduleOffset", &SCHEDULE_OFFSET), member("SyncCompliance", &ASSOCIATION_SYNC_COMPLIANCE), member("TargetLocations", &TARGET_LOCATIONS), member("TargetMaps", &TARGET_MAPS), member("Targets", &TARGETS)]);
static CREATE_ASSOCIATION_REQUEST: Shape = structure(&[member("AlarmConfiguration", &ALARM_CONFIGURATION), member("ApplyOnlyAtCronInterval", &FREE), member("AssociationDispatchAssumeRole", &ASSOCIATION_DISPATCH_ASSUME_ROLE_ARN), member("AssociationName", &ASSOCIATION_NAME), member("AutomationTargetParameterName", &AUTOMATION_TARGET_PARAMETER_NAME), member("CalendarNames", &FREE), member("ComplianceSeverity", &ASSOCIATION_COMPLIANCE_SEVERITY), member("DocumentVersion", &DOCUMENT_VERSION), member("Duration", &DURATION), member("InstanceId", &INSTANCE_ID), member("MaxConcurrency", &MAX_CONCURRENCY), member("MaxErrors", &MAX_ERRORS), required("Name", &DOCUMENT_ARN), member("OutputLocation", &INSTANCE_ASSOCIATION_OUTPUT_LOCATION), member("Parameters", &FREE).secret(), member("ScheduleExpression", &SCHEDULE_EXPRESSION), member("ScheduleOffset", &SCHEDULE_OFFSET), member("SyncCompliance", &ASSOCIATION_SYNC_COMPLIANCE), member("Tags", &TAG_LIST), member("TargetLocations", &TARGET_LOCATIONS), member("TargetMaps", &TARGET_MAPS), member("Targets", &TARGETS)]);
static CREATE_CLOUD_CONNECTOR_REQUEST: Shape = structure(&[member("ConfigConnectorArn", &CONFIG_CONNECTOR_ARN), required("Configuration", &CLOUD_CONNECTOR_CONFIGURATION), member("Description", &CLOUD_CONNECTOR_DESCRIPTION), required("DisplayName", &DISPLAY_NAME), required("RoleArn", &CLOUD_CONNECTOR_IAM_ROLE_ARN), member("Tags", &TAG_LIST)]);
static CREATE_DOCUMENT_REQUEST: Shape = structure(&[member("Attachments", &ATTACHMENTS_SOURCE_LIST), required("Content", &DOCUMENT_CONTENT), member("DisplayName", &DOCUMENT_DISPLAY_NAME), member("DocumentFormat", &DOCUMENT_FORMAT), member("DocumentType", &DOCUMENT_TYPE), required("Name", &DOCUMENT_NAME), member("Requires", &DOCUMENT_REQUIRES_LIST), member("Tags", &TAG_LIST), member("TargetType", &TARGET_TYPE), member("VersionName", &DOCUMENT_VERSION_NAME)]);
static CREATE_MAINTENANCE_WINDOW_REQUEST: Shape = structure(&[required("AllowUnassociatedTargets", &FREE), member("ClientToken", &CLIENT_TOKEN), required("Cutoff", &MAINTENANCE_WINDOW_CUTOFF), member("Description", &MAINTENANCE_WINDOW_DESCRIPTION).secret(), required("Duration", &MAINTENANCE_WINDOW_DURATION_HOURS), member("EndDate", &FREE), required("Name", &MAINTENANCE_WINDOW_NAME), required("Schedule", &MAINTENANCE_WINDOW_SCHEDULE), member("ScheduleOffset", &MAINTENANCE_WINDOW_OFFSET), member("ScheduleTimezone", &FREE), member("StartDate", &FREE), member("Tags", &TAG_LIST)]);
static CREATE_OPS_ITEM_REQUEST: Shape = structure(&[member("AccountId", &OPS_ITEM_ACCOUNT_ID), member("ActualEndTime", &FREE), member("ActualStartTime", &FREE), member("Category", &OPS_ITEM_CATEGORY), required("Description", &OPS_ITEM_DESCRIPTION), member("Notifications", &FREE), member("OperationalData", &OPS_ITEM_OPERATIONAL_DATA), member("OpsItemType", &FREE), member("PlannedEndTime", &FREE), member("PlannedStartTime", &FREE), member("Priority", &OPS_ITEM_PRIORITY), member("RelatedOpsItems", &RELATED_OPS_ITEMS), member("Severity", &OPS_ITEM_SEVERITY), required("Source", &OPS_ITEM_SOURCE), member("Tags", &TAG_LIST), required("Title", &OPS_ITEM_TITLE)]);
static CREATE_OPS_METADATA_REQUEST: Shape = structure(&[member("Metadata", &METADATA_MAP), required("ResourceId", &OPS_METADATA_RESOURCE_ID), member("Tags", &TAG_LIST)]);
static CREATE_PATCH_BASELINE_REQUEST: Shape = structure(&[member("ApprovalRules", &PATCH_RULE_GROUP), member("ApprovedPatches", &PATCH_ID_LIST), member("ApprovedPatchesComplianceLevel", &PATCH_COMPLIANCE_LEVEL), member("ApprovedPatchesEnableNonSecurity", &FREE), member("AvailableSecurityUpdatesComplianceStatus", &PATCH_COMPLIANCE_STATUS), member("ClientToken", &CLIENT_TOKEN), member("Description", &BASELINE_DESCRIPTION), member("GlobalFilters", &PATCH_FILTER_GROUP), required("Name", &BASELINE_NAME), member("OperatingSystem", &OPERATING_SYSTEM), member("RejectedPatches", &PATCH_ID_LIST), member("RejectedPatchesAction", &PATCH_ACTION), member("Sources", &PATCH_SOURCE_LIST), member("Tags", &TAG_LIST)]);
static CREATE_RESOURCE_DATA_SYNC_REQUEST: Shape = structure(&[member("S3Destination", &RESOURCE_DATA_SYNC_S3_DESTINATION), required("SyncName", &RESOURCE_DATA_SYNC_NAME), member("SyncSource", &RESOURCE_DATA_SYNC_SOURCE), member("SyncType", &RESOURCE_DATA_SYNC_TYPE)]);
static DEFAULT_INSTANCE_NAME: Shape = patterned(Some(0), Some(256), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);
static DELETE_ACTIVATION_REQUEST: Shape = structure(&[required("ActivationId", &ACTIVATION_ID)]);
static DELETE_ASSOCIATION_REQUEST: Shape = structure(&[member("AssociationId", &ASSOCIATION_ID), member("InstanceId", &INSTANCE_ID), member("Name", &DOCUMENT_ARN)]);
static DELETE_CLOUD_CONNECTOR_REQUEST: Shape = structure(&[required("CloudConnectorId", &CLOUD_CONNECTOR_ID)]);
static DELETE_DOCUMENT_REQUEST: Shape = structure(&[member("DocumentVersion", &DOCUMENT_VERSION), member("Force", &FREE), required("Name", &DOCUMENT_NAME), member("VersionName", &DOCUMENT_VERSION_NAME)]);
static DELETE_INVENTORY_REQUEST: Shape = structure(&[member("ClientToken", &UUID), member("DryRun", &FREE), member("SchemaDeleteOption", &INVENTORY_SCHEMA_DELETE_OPTION), required("TypeName", &INVENTORY_ITEM_TYPE_NAME)]);
static DELETE_MAINTENANCE_WINDOW_REQUEST: Shape = structure(&[required("WindowId", &MAINTENANCE_WINDOW_ID)]);
static DELETE_OPS_ITEM_REQUEST: Shape = structure(&[required("OpsItemId", &OPS_ITEM_ID)]);
static DELETE_OPS_METADATA_REQUEST: Shape = structure(&[required("OpsMetadataArn", &OPS_METADATA_ARN)]);
static DELETE_PARAMETERS_REQUEST: Shape = structure(&[required("Names", &PARAMETER_NAME_LIST)]);
static DELETE_PARAMETER_REQUEST: Shape = structure(&[required("Name", &PS_PARAMETER_NAME)]);
static DELETE_PATCH_BASELINE_REQUEST: Shape = structure(&[required("BaselineId", &BASELINE_ID)]);
static DELETE_RESOURCE_DATA_SYNC_REQUEST: Shape = structure(&[required("SyncName", &RESOURCE_DATA_SYNC_NAME), member("SyncType", &RESOURCE_DATA_SYNC_TYPE)]);
static DELETE_RESOURCE_POLICY_REQUEST: Shape = structure(&[member("DeletionMode", &DELETION_MODE), required("PolicyHash", &FREE), required("PolicyId", &FREE), required("ResourceArn", &RESOURCE_ARN_STRING)]);
static DELETION_MODE: Shape = word(&["RemoveSharing", "RollbackMigration"]);
static DEREGISTER_MANAGED_INSTANCE_REQUEST: Shape = structure(&[required("InstanceId", &MANAGED_INSTANCE_ID)]);
static DEREGISTER_PATCH_BASELINE_FOR_PATCH_GROUP_REQUEST: Shape = structure(&[required("BaselineId", &BASELINE_ID), required("PatchGroup", &PATCH_GROUP)]);
static DEREGISTER_TARGET_FROM_MAINTENANCE_WINDOW_REQUEST: Shape = structure(&[member("Safe", &FREE), required("WindowId", &MAINTENANCE_WINDOW_ID), required("WindowTargetId", &MAINTENANCE_WINDOW_TARGET_ID)]);
static DEREGISTER_TASK_FROM_MAINTENANCE_WINDOW_REQUEST: Shape = structure(&[required("WindowId", &MAINTENANCE_WINDOW_ID), required("WindowTaskId", &MAINTENANCE_WINDOW_TASK_ID)]);
static DESCRIBE_ACTIVATIONS_FILTER: Shape = structure(&[member("FilterKey", &DESCRIBE_ACTIVATIONS_FILTER_KEYS), member("FilterValues", &FREE)]);
static DESCRIBE_ACTIVATIONS_FILTER_KEYS: Shape = word(&["ActivationIds", "DefaultInstanceName", "IamRole"]);
static DESCRIBE_ACTIVATIONS_FILTER_LIST: Shape = list(None, None, &DESCRIBE_ACTIVATIONS_FILTER);
static DESCRIBE_ACTIVATIONS_REQUEST: Shape = structure(&[member("Filters", &DESCRIBE_ACTIVATIONS_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_ASSOCIATION_EXECUTIONS_REQUEST: Shape = structure(&[required("AssociationId", &ASSOCIATION_ID), member("Filters", &ASSOCIATION_EXECUTION_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_ASSOCIATION_EXECUTION_TARGETS_REQUEST: Shape = structure(&[required("AssociationId", &ASSOCIATION_ID), required("ExecutionId", &ASSOCIATION_EXECUTION_ID), member("Filters", &ASSOCIATION_EXECUTION_TARGETS_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_ASSOCIATION_REQUEST: Shape = structure(&[member("AssociationId", &ASSOCIATION_ID), member("AssociationVersion", &ASSOCIATION_VERSION), member("InstanceId", &INSTANCE_ID), member("Name", &DOCUMENT_ARN)]);
static DESCRIBE_AUTOMATION_EXECUTIONS_REQUEST: Shape = structure(&[member("Filters", &AUTOMATION_EXECUTION_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_AUTOMATION_STEP_EXECUTIONS_REQUEST: Shape = structure(&[required("AutomationExecutionId", &AUTOMATION_EXECUTION_ID), member("Filters", &STEP_EXECUTION_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), member("ReverseOrder", &FREE)]);
static DESCRIBE_AVAILABLE_PATCHES_REQUEST: Shape = structure(&[member("Filters", &PATCH_ORCHESTRATOR_FILTER_LIST), member("MaxResults", &PATCH_BASELINE_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_DOCUMENT_PERMISSION_REQUEST: Shape = structure(&[member("MaxResults", &DOCUMENT_PERMISSION_MAX_RESULTS), required("Name", &DOCUMENT_NAME), member("NextToken", &FREE), required("PermissionType", &DOCUMENT_PERMISSION_TYPE)]);
static DESCRIBE_DOCUMENT_REQUEST: Shape = structure(&[member("DocumentVersion", &DOCUMENT_VERSION), required("Name", &DOCUMENT_ARN), member("VersionName", &DOCUMENT_VERSION_NAME)]);
static DESCRIBE_EFFECTIVE_INSTANCE_ASSOCIATIONS_REQUEST: Shape = structure(&[required("InstanceId", &INSTANCE_ID), member("MaxResults", &EFFECTIVE_INSTANCE_ASSOCIATION_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_EFFECTIVE_PATCHES_FOR_PATCH_BASELINE_REQUEST: Shape = structure(&[required("BaselineId", &BASELINE_ID), member("MaxResults", &PATCH_BASELINE_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_INSTANCE_ASSOCIATIONS_STATUS_REQUEST: Shape = structure(&[required("InstanceId", &INSTANCE_ID), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_INSTANCE_INFORMATION_REQUEST: Shape = structure(&[member("Filters", &INSTANCE_INFORMATION_STRING_FILTER_LIST), member("InstanceInformationFilterList", &INSTANCE_INFORMATION_FILTER_LIST), member("MaxResults", &MAX_RESULTS_EC2_COMPATIBLE), member("NextToken", &FREE)]);
static DESCRIBE_INSTANCE_PATCHES_REQUEST: Shape = structure(&[member("Filters", &PATCH_ORCHESTRATOR_FILTER_LIST), required("InstanceId", &INSTANCE_ID), member("MaxResults", &PATCH_COMPLIANCE_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_INSTANCE_PATCH_STATES_FOR_PATCH_GROUP_REQUEST: Shape = structure(&[member("Filters", &INSTANCE_PATCH_STATE_FILTER_LIST), member("MaxResults", &PATCH_COMPLIANCE_MAX_RESULTS), member("NextToken", &FREE), required("PatchGroup", &PATCH_GROUP)]);
static DESCRIBE_INSTANCE_PATCH_STATES_REQUEST: Shape = structure(&[required("InstanceIds", &INSTANCE_ID_LIST), member("MaxResults", &PATCH_COMPLIANCE_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_INSTANCE_PROPERTIES_MAX_RESULTS: Shape = number(Some(5), Some(1000));
static DESCRIBE_INSTANCE_PROPERTIES_REQUEST: Shape = structure(&[member("FiltersWithOperator", &INSTANCE_PROPERTY_STRING_FILTER_LIST), member("InstancePropertyFilterList", &INSTANCE_PROPERTY_FILTER_LIST), member("MaxResults", &DESCRIBE_INSTANCE_PROPERTIES_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_INVENTORY_DELETIONS_REQUEST: Shape = structure(&[member("DeletionId", &UUID), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_MAINTENANCE_WINDOWS_FOR_TARGET_REQUEST: Shape = structure(&[member("MaxResults", &MAINTENANCE_WINDOW_SEARCH_MAX_RESULTS), member("NextToken", &FREE), required("ResourceType", &MAINTENANCE_WINDOW_RESOURCE_TYPE), required("Targets", &TARGETS)]);
static DESCRIBE_MAINTENANCE_WINDOWS_REQUEST: Shape = structure(&[member("Filters", &MAINTENANCE_WINDOW_FILTER_LIST), member("MaxResults", &MAINTENANCE_WINDOW_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_MAINTENANCE_WINDOW_EXECUTIONS_REQUEST: Shape = structure(&[member("Filters", &MAINTENANCE_WINDOW_FILTER_LIST), member("MaxResults", &MAINTENANCE_WINDOW_MAX_RESULTS), member("NextToken", &FREE), required("WindowId", &MAINTENANCE_WINDOW_ID)]);
static DESCRIBE_MAINTENANCE_WINDOW_EXECUTION_TASKS_REQUEST: Shape = structure(&[member("Filters", &MAINTENANCE_WINDOW_FILTER_LIST), member("MaxResults", &MAINTENANCE_WINDOW_MAX_RESULTS), member("NextToken", &FREE), required("WindowExecutionId", &MAINTENANCE_WINDOW_EXECUTION_ID)]);
static DESCRIBE_MAINTENANCE_WINDOW_EXECUTION_TASK_INVOCATIONS_REQUEST: Shape = structure(&[member("Filters", &MAINTENANCE_WINDOW_FILTER_LIST), member("MaxResults", &MAINTENANCE_WINDOW_MAX_RESULTS), member("NextToken", &FREE), required("TaskId", &MAINTENANCE_WINDOW_EXECUTION_TASK_ID), required("WindowExecutionId", &MAINTENANCE_WINDOW_EXECUTION_ID)]);
static DESCRIBE_MAINTENANCE_WINDOW_SCHEDULE_REQUEST: Shape = structure(&[member("Filters", &PATCH_ORCHESTRATOR_FILTER_LIST), member("MaxResults", &MAINTENANCE_WINDOW_SEARCH_MAX_RESULTS), member("NextToken", &FREE), member("ResourceType", &MAINTENANCE_WINDOW_RESOURCE_TYPE), member("Targets", &TARGETS), member("WindowId", &MAINTENANCE_WINDOW_ID)]);
static DESCRIBE_MAINTENANCE_WINDOW_TARGETS_REQUEST: Shape = structure(&[member("Filters", &MAINTENANCE_WINDOW_FILTER_LIST), member("MaxResults", &MAINTENANCE_WINDOW_MAX_RESULTS), member("NextToken", &FREE), required("WindowId", &MAINTENANCE_WINDOW_ID)]);
static DESCRIBE_MAINTENANCE_WINDOW_TASKS_REQUEST: Shape = structure(&[member("Filters", &MAINTENANCE_WINDOW_FILTER_LIST), member("MaxResults", &MAINTENANCE_WINDOW_MAX_RESULTS), member("NextToken", &FREE), required("WindowId", &MAINTENANCE_WINDOW_ID)]);
static DESCRIBE_OPS_ITEMS_REQUEST: Shape = structure(&[member("MaxResults", &OPS_ITEM_MAX_RESULTS), member("NextToken", &FREE), member("OpsItemFilters", &OPS_ITEM_FILTERS)]);
static DESCRIBE_PARAMETERS_REQUEST: Shape = structure(&[member("Filters", &PARAMETERS_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), member("ParameterFilters", &PARAMETER_STRING_FILTER_LIST), member("Shared", &FREE)]);
static DESCRIBE_PATCH_BASELINES_REQUEST: Shape = structure(&[member("Filters", &PATCH_ORCHESTRATOR_FILTER_LIST), member("MaxResults", &PATCH_BASELINE_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_PATCH_GROUPS_REQUEST: Shape = structure(&[member("Filters", &PATCH_ORCHESTRATOR_FILTER_LIST), member("MaxResults", &PATCH_BASELINE_MAX_RESULTS), member("NextToken", &FREE)]);
static DESCRIBE_PATCH_GROUP_STATE_REQUEST: Shape = structure(&[required("PatchGroup", &PATCH_GROUP)]);
static DESCRIBE_PATCH_PROPERTIES_REQUEST: Shape = structure(&[member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), required("OperatingSystem", &OPERATING_SYSTEM), member("PatchSet", &PATCH_SET), required("Property", &PATCH_PROPERTY)]);
static DESCRIBE_SESSIONS_REQUEST: Shape = structure(&[member("Filters", &SESSION_FILTER_LIST), member("MaxResults", &SESSION_MAX_RESULTS), member("NextToken", &FREE), required("State", &SESSION_STATE)]);
static DHMC_PERMISSION_MODEL: Shape = word(&["SERVICE_MANAGED", "SELF_MANAGED"]);
static DHMC_ROLE_ARN: Shape = patterned(Some(20), Some(2048), "^arn:aws[a-z0-9-]*:iam::\\d{12}:role/[\\w+=,.@/-]+$", Some("^arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/[0-9A-Za-z_+=,.@/-]+$"));
static DISASSOCIATE_OPS_ITEM_RELATED_ITEM_REQUEST: Shape = structure(&[required("AssociationId", &FREE), required("OpsItemId", &OPS_ITEM_ID)]);
static DISPLAY_NAME: Shape = patterned(Some(1), Some(256), "^([\\p{L}\\p{Z}\\p{N}\\p{P}\\p{M}]*)$", None);
static DOCUMENT_ARN: Shape = patterned(None, None, "^[a-zA-Z0-9_\\-.:/]{3,128}$", None);
static DOCUMENT_CONTENT: Shape = text(Some(1), None);
static DOCUMENT_DISPLAY_NAME: Shape = patterned(None, Some(1024), "^[\\w\\.\\-\\:\\/ ]*$", Some("^[0-9A-Za-z_\\.\\-\\:\\/ ]*$"));
static DOCUMENT_FILTER: Shape = structure(&[required("key", &DOCUMENT_FILTER_KEY), required("value", &DOCUMENT_FILTER_VALUE)]);
static DOCUMENT_FILTER_KEY: Shape = word(&["Name", "Owner", "PlatformTypes", "DocumentType"]);
static DOCUMENT_FILTER_LIST: Shape = list(Some(1), None, &DOCUMENT_FILTER);
static DOCUMENT_FILTER_VALUE: Shape = text(Some(1), None);
static DOCUMENT_FORMAT: Shape = word(&["YAML", "JSON", "TEXT"]);
static DOCUMENT_HASH: Shape = text(None, Some(256));
static DOCUMENT_HASH_TYPE: Shape = word(&["Sha256", "Sha1"]);
static DOCUMENT_KEY_VALUES_FILTER: Shape = structure(&[member("Key", &DOCUMENT_KEY_VALUES_FILTER_KEY), member("Values", &DOCUMENT_KEY_VALUES_FILTER_VALUES)]);
static DOCUMENT_KEY_VALUES_FILTER_KEY: Shape = text(Some(1), Some(128));
static DOCUMENT_KEY_VALUES_FILTER_LIST: Shape = list(Some(0), Some(6), &DOCUMENT_KEY_VALUES_FILTER);
static DOCUMENT_KEY_VALUES_FILTER_VALUE: Shape = text(Some(1), Some(256));
static DOCUMENT_KEY_VALUES_FILTER_VALUES: Shape = list(None, None, &DOCUMENT_KEY_VALUES_FILTER_VALUE);
static DOCUMENT_METADATA_ENUM: Shape = word(&["DocumentReviews"]);
static DOCUMENT_NAME: Shape = patterned(None, None, "^[a-zA-Z0-9_\\-.]{3,128}$", None);
static DOCUMENT_PERMISSION_MAX_RESULTS: Shape = number(Some(1), Some(200));
static DOCUMENT_PERMISSION_TYPE: Shape = word(&["Share"]);
static DOCUMENT_REQUIRES: Shape = structure(&[required("Name", &DOCUMENT_ARN), member("RequireType", &REQUIRE_TYPE), member("Version", &DOCUMENT_VERSION), member("VersionName", &DOCUMENT_VERSION_NAME)]);
static DOCUMENT_REQUIRES_LIST: Shape = list(Some(1), None, &DOCUMENT_REQUIRES);
static DOCUMENT_REVIEWS: Shape = structure(&[required("Action", &DOCUMENT_REVIEW_ACTION), member("Comment", &DOCUMENT_REVIEW_COMMENT_LIST)]);
static DOCUMENT_REVIEW_ACTION: Shape = word(&["SendForReview", "UpdateReview", "Approve", "Reject"]);
static DOCUMENT_REVIEW_COMMENT: Shape = patterned(Some(1), Some(1024), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static DOCUMENT_REVIEW_COMMENT_LIST: Shape = list(Some(0), Some(1), &DOCUMENT_REVIEW_COMMENT_SOURCE);
static DOCUMENT_REVIEW_COMMENT_SOURCE: Shape = structure(&[member("Content", &DOCUMENT_REVIEW_COMMENT), member("Type", &DOCUMENT_REVIEW_COMMENT_TYPE)]);
static DOCUMENT_REVIEW_COMMENT_TYPE: Shape = word(&["Comment"]);
static DOCUMENT_TYPE: Shape = word(&["Command", "Policy", "Automation", "Session", "Package", "ApplicationConfiguration", "ApplicationConfigurationSchema", "DeploymentStrategy", "ChangeCalendar", "Automation.ChangeTemplate", "ProblemAnalysis", "ProblemAnalysisTemplate", "CloudFormation", "ConformancePackTemplate", "QuickSetup", "ManualApprovalPolicy", "AutoApprovalPolicy"]);
static DOCUMENT_VERSION: Shape = patterned(None, None, "([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)", None);
static DOCUMENT_VERSION_NAME: Shape = patterned(None, None, "^[a-zA-Z0-9_\\-.]{1,128}$", None);
static DOCUMENT_VERSION_NUMBER: Shape = patterned(None, None, "(^[1-9][0-9]*$)", None);
static DURATION: Shape = number(Some(1), Some(24));
static EFFECTIVE_INSTANCE_ASSOCIATION_MAX_RESULTS: Shape = number(Some(1), Some(5));
static EXCLUDE_ACCOUNT: Shape = patterned(Some(6), Some(68), "^((ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})|(\\d{12}))$", Some("^((ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})|([0-9]{12}))$"));
static EXCLUDE_ACCOUNTS: Shape = list(Some(1), Some(5000), &EXCLUDE_ACCOUNT);
static EXECUTION_INPUTS: Shape = structure(&[member("Automation", &AUTOMATION_EXECUTION_INPUTS)]);
static EXECUTION_MODE: Shape = word(&["Auto", "Interactive"]);
static EXECUTION_PREVIEW_ID: Shape = patterned(Some(36), Some(36), "[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-[a-fA-F0-9]{4}-[a-fA-F0-9]{4}-[a-fA-F0-9]{12}", None);
static EXECUTION_ROLE_NAME: Shape = patterned(Some(1), Some(64), "[\\w+=,.@/-]+", Some("[0-9A-Za-z_+=,.@/-]+"));
static GCP_CONFIGURATION: Shape = structure(&[member("OrganizationId", &GCP_ORGANIZATION_ID), required("ServiceAccountEmail", &GCP_SERVICE_ACCOUNT_EMAIL), member("Targets", &GCP_CONFIGURATION_TARGETS), required("WorkloadIdentityPoolProvider", &GCP_WORKLOAD_IDENTITY_POOL_PROVIDER)]);
static GCP_CONFIGURATION_TARGETS: Shape = structure(&[member("Projects", &GCP_PROJECT_LIST)]);
static GCP_ORGANIZATION_ID: Shape = patterned(Some(1), Some(19), "^[1-9][0-9]{0,18}$", None);
static GCP_PROJECT: Shape = structure(&[member("ProjectDisplayName", &GCP_PROJECT_DISPLAY_NAME), required("ProjectId", &GCP_PROJECT_ID)]);
static GCP_PROJECT_DISPLAY_NAME: Shape = patterned(Some(0), Some(128), "^([\\p{L}\\p{Z}\\p{N}\\p{P}\\p{M}]*)$", None);
static GCP_PROJECT_ID: Shape = patterned(Some(6), Some(30), "^[a-z][a-z0-9-]{4,28}[a-z0-9]$", None);
static GCP_PROJECT_LIST: Shape = list(Some(1), Some(75), &GCP_PROJECT);
static GCP_SERVICE_ACCOUNT_EMAIL: Shape = patterned(Some(1), Some(256), "^[a-z][a-z0-9\\-]*[a-z0-9]@[a-z][a-z0-9\\-]*[a-z0-9]\\.iam\\.gserviceaccount\\.com$", None);
static GCP_WORKLOAD_IDENTITY_POOL_PROVIDER: Shape = patterned(Some(1), Some(256), "^projects/[1-9][0-9]{0,18}/locations/global/workloadIdentityPools\\/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$", None);
static GET_ACCESS_TOKEN_REQUEST: Shape = structure(&[required("AccessRequestId", &ACCESS_REQUEST_ID)]);
static GET_AUTOMATION_EXECUTION_REQUEST: Shape = structure(&[required("AutomationExecutionId", &AUTOMATION_EXECUTION_ID)]);
static GET_CALENDAR_STATE_REQUEST: Shape = structure(&[member("AtTime", &FREE), required("CalendarNames", &FREE)]);
static GET_CLOUD_CONNECTOR_REQUEST: Shape = structure(&[required("CloudConnectorId", &CLOUD_CONNECTOR_ID)]);
static GET_COMMAND_INVOCATION_REQUEST: Shape = structure(&[required("CommandId", &COMMAND_ID), required("InstanceId", &INSTANCE_ID), member("PluginName", &COMMAND_PLUGIN_NAME)]);
static GET_CONNECTION_STATUS_REQUEST: Shape = structure(&[required("Target", &SESSION_TARGET)]);
static GET_DEFAULT_PATCH_BASELINE_REQUEST: Shape = structure(&[member("OperatingSystem", &OPERATING_SYSTEM)]);
static GET_DEPLOYABLE_PATCH_SNAPSHOT_FOR_INSTANCE_REQUEST: Shape = structure(&[member("BaselineOverride", &BASELINE_OVERRIDE), required("InstanceId", &INSTANCE_ID), required("SnapshotId", &SNAPSHOT_ID), member("UseS3DualStackEndpoint", &FREE)]);
static GET_DOCUMENT_REQUEST: Shape = structure(&[member("DocumentFormat", &DOCUMENT_FORMAT), member("DocumentVersion", &DOCUMENT_VERSION), required("Name", &DOCUMENT_ARN), member("VersionName", &DOCUMENT_VERSION_NAME)]);
static GET_EXECUTION_PREVIEW_REQUEST: Shape = structure(&[required("ExecutionPreviewId", &EXECUTION_PREVIEW_ID)]);
static GET_INVENTORY_REQUEST: Shape = structure(&[member("Aggregators", &INVENTORY_AGGREGATOR_LIST), member("Filters", &INVENTORY_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), member("ResultAttributes", &RESULT_ATTRIBUTE_LIST)]);
static GET_INVENTORY_SCHEMA_MAX_RESULTS: Shape = number(Some(50), Some(200));
static GET_INVENTORY_SCHEMA_REQUEST: Shape = structure(&[member("Aggregator", &FREE), member("MaxResults", &GET_INVENTORY_SCHEMA_MAX_RESULTS), member("NextToken", &FREE), member("SubType", &FREE), member("TypeName", &INVENTORY_ITEM_TYPE_NAME_FILTER)]);
static GET_MAINTENANCE_WINDOW_EXECUTION_REQUEST: Shape = structure(&[required("WindowExecutionId", &MAINTENANCE_WINDOW_EXECUTION_ID)]);
static GET_MAINTENANCE_WINDOW_EXECUTION_TASK_INVOCATION_REQUEST: Shape = structure(&[required("InvocationId", &MAINTENANCE_WINDOW_EXECUTION_TASK_INVOCATION_ID), required("TaskId", &MAINTENANCE_WINDOW_EXECUTION_TASK_ID), required("WindowExecutionId", &MAINTENANCE_WINDOW_EXECUTION_ID)]);
static GET_MAINTENANCE_WINDOW_EXECUTION_TASK_REQUEST: Shape = structure(&[required("TaskId", &MAINTENANCE_WINDOW_EXECUTION_TASK_ID), required("WindowExecutionId", &MAINTENANCE_WINDOW_EXECUTION_ID)]);
static GET_MAINTENANCE_WINDOW_REQUEST: Shape = structure(&[required("WindowId", &MAINTENANCE_WINDOW_ID)]);
static GET_MAINTENANCE_WINDOW_TASK_REQUEST: Shape = structure(&[required("WindowId", &MAINTENANCE_WINDOW_ID), required("WindowTaskId", &MAINTENANCE_WINDOW_TASK_ID)]);
static GET_OPS_ITEM_REQUEST: Shape = structure(&[member("OpsItemArn", &OPS_ITEM_ARN), required("OpsItemId", &OPS_ITEM_ID)]);
static GET_OPS_METADATA_MAX_RESULTS: Shape = number(Some(1), Some(10));
static GET_OPS_METADATA_REQUEST: Shape = structure(&[member("MaxResults", &GET_OPS_METADATA_MAX_RESULTS), member("NextToken", &FREE), required("OpsMetadataArn", &OPS_METADATA_ARN)]);
static GET_OPS_SUMMARY_REQUEST: Shape = structure(&[member("Aggregators", &OPS_AGGREGATOR_LIST), member("Filters", &OPS_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), member("ResultAttributes", &OPS_RESULT_ATTRIBUTE_LIST), member("SyncName", &RESOURCE_DATA_SYNC_NAME)]);
static GET_PARAMETERS_BY_PATH_MAX_RESULTS: Shape = number(Some(1), Some(10));
static GET_PARAMETERS_BY_PATH_REQUEST: Shape = structure(&[member("MaxResults", &GET_PARAMETERS_BY_PATH_MAX_RESULTS), member("NextToken", &FREE), member("ParameterFilters", &PARAMETER_STRING_FILTER_LIST), required("Path", &PS_PARAMETER_NAME), member("Recursive", &FREE), member("WithDecryption", &FREE)]);
static GET_PARAMETERS_REQUEST: Shape = structure(&[required("Names", &PARAMETER_NAME_LIST), member("WithDecryption", &FREE)]);
static GET_PARAMETER_HISTORY_REQUEST: Shape = structure(&[member("MaxResults", &MAX_RESULTS), required("Name", &PS_PARAMETER_NAME), member("NextToken", &FREE), member("WithDecryption", &FREE)]);
static GET_PARAMETER_REQUEST: Shape = structure(&[required("Name", &PS_PARAMETER_NAME), member("WithDecryption", &FREE)]);
static GET_PATCH_BASELINE_FOR_PATCH_GROUP_REQUEST: Shape = structure(&[member("OperatingSystem", &OPERATING_SYSTEM), required("PatchGroup", &PATCH_GROUP)]);
static GET_PATCH_BASELINE_REQUEST: Shape = structure(&[required("BaselineId", &BASELINE_ID)]);
static GET_RESOURCE_POLICIES_REQUEST: Shape = structure(&[member("MaxResults", &RESOURCE_POLICY_MAX_RESULTS), member("NextToken", &FREE), required("ResourceArn", &RESOURCE_ARN_STRING)]);
static GET_SERVICE_SETTING_REQUEST: Shape = structure(&[required("SettingId", &SERVICE_SETTING_ID)]);
static IAM_ROLE: Shape = text(None, Some(64));
static IDEMPOTENCY_TOKEN: Shape = patterned(Some(36), Some(36), "[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-[a-fA-F0-9]{4}-[a-fA-F0-9]{4}-[a-fA-F0-9]{12}", None);
static INSTANCE_ASSOCIATION_OUTPUT_LOCATION: Shape = structure(&[member("S3Location", &S3_OUTPUT_LOCATION)]);
static INSTANCE_ID: Shape = patterned(None, None, "(^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)", Some("(^i-([0-9A-Za-z_]{8}|[0-9A-Za-z_]{17})$)|(^mi-[0-9A-Za-z_]{17}$)"));
static INSTANCE_ID_LIST: Shape = list(Some(0), Some(50), &INSTANCE_ID);
static INSTANCE_INFORMATION_FILTER: Shape = structure(&[required("key", &INSTANCE_INFORMATION_FILTER_KEY), required("valueSet", &INSTANCE_INFORMATION_FILTER_VALUE_SET)]);
static INSTANCE_INFORMATION_FILTER_KEY: Shape = word(&["InstanceIds", "AgentVersion", "PingStatus", "PlatformTypes", "ActivationIds", "IamRole", "ResourceType", "AssociationStatus"]);
static INSTANCE_INFORMATION_FILTER_LIST: Shape = list(Some(0), None, &INSTANCE_INFORMATION_FILTER);
static INSTANCE_INFORMATION_FILTER_VALUE: Shape = text(Some(1), None);
static INSTANCE_INFORMATION_FILTER_VALUE_SET: Shape = list(Some(1), Some(100), &INSTANCE_INFORMATION_FILTER_VALUE);
static INSTANCE_INFORMATION_STRING_FILTER: Shape = structure(&[required("Key", &INSTANCE_INFORMATION_STRING_FILTER_KEY), required("Values", &INSTANCE_INFORMATION_FILTER_VALUE_SET)]);
static INSTANCE_INFORMATION_STRING_FILTER_KEY: Shape = text(Some(1), None);
static INSTANCE_INFORMATION_STRING_FILTER_LIST: Shape = list(Some(0), None, &INSTANCE_INFORMATION_STRING_FILTER);
static INSTANCE_PATCH_STATE_FILTER: Shape = structure(&[required("Key", &INSTANCE_PATCH_STATE_FILTER_KEY), required("Type", &INSTANCE_PATCH_STATE_OPERATOR_TYPE), required("Values", &INSTANCE_PATCH_STATE_FILTER_VALUES)]);
static INSTANCE_PATCH_STATE_FILTER_KEY: Shape = text(Some(1), Some(200));
static INSTANCE_PATCH_STATE_FILTER_LIST: Shape = list(Some(0), Some(4), &INSTANCE_PATCH_STATE_FILTER);
static INSTANCE_PATCH_STATE_FILTER_VALUES: Shape = list(Some(1), Some(1), &FREE);
static INSTANCE_PATCH_STATE_OPERATOR_TYPE: Shape = word(&["Equal", "NotEqual", "LessThan", "GreaterThan"]);
static INSTANCE_PROPERTY_FILTER: Shape = structure(&[required("key", &INSTANCE_PROPERTY_FILTER_KEY), required("valueSet", &INSTANCE_PROPERTY_FILTER_VALUE_SET)]);
static INSTANCE_PROPERTY_FILTER_KEY: Shape = word(&["InstanceIds", "AgentVersion", "PingStatus", "PlatformTypes", "DocumentName", "ActivationIds", "IamRole", "ResourceType", "AssociationStatus"]);
static INSTANCE_PROPERTY_FILTER_LIST: Shape = list(Some(1), Some(40), &INSTANCE_PROPERTY_FILTER);
static INSTANCE_PROPERTY_FILTER_OPERATOR: Shape = word(&["Equal", "NotEqual", "BeginWith", "LessThan", "GreaterThan"]);
static INSTANCE_PROPERTY_FILTER_VALUE: Shape = patterned(Some(1), Some(100000), "^.{1,100000}$", Some(".+"));
static INSTANCE_PROPERTY_FILTER_VALUE_SET: Shape = list(Some(1), Some(40), &INSTANCE_PROPERTY_FILTER_VALUE);
static INSTANCE_PROPERTY_STRING_FILTER: Shape = structure(&[required("Key", &INSTANCE_PROPERTY_STRING_FILTER_KEY), member("Operator", &INSTANCE_PROPERTY_FILTER_OPERATOR), required("Values", &INSTANCE_PROPERTY_FILTER_VALUE_SET)]);
static INSTANCE_PROPERTY_STRING_FILTER_KEY: Shape = patterned(Some(1), Some(100000), "^.{1,100000}$", Some(".+"));
static INSTANCE_PROPERTY_STRING_FILTER_LIST: Shape = list(Some(1), Some(40), &INSTANCE_PROPERTY_STRING_FILTER);
static INVENTORY_AGGREGATOR: Shape = structure(&[member("Aggregators", &INVENTORY_AGGREGATOR_LIST), member("Expression", &INVENTORY_AGGREGATOR_EXPRESSION), member("Groups", &INVENTORY_GROUP_LIST)]);
static INVENTORY_AGGREGATOR_EXPRESSION: Shape = text(Some(1), Some(1000));
static INVENTORY_AGGREGATOR_LIST: Shape = list(Some(1), Some(10), &INVENTORY_AGGREGATOR);
static INVENTORY_FILTER: Shape = structure(&[required("Key", &INVENTORY_FILTER_KEY), member("Type", &INVENTORY_QUERY_OPERATOR_TYPE), required("Values", &INVENTORY_FILTER_VALUE_LIST)]);
static INVENTORY_FILTER_KEY: Shape = text(Some(1), Some(200));
static INVENTORY_FILTER_LIST: Shape = list(Some(1), Some(5), &INVENTORY_FILTER);
static INVENTORY_FILTER_VALUE_LIST: Shape = list(Some(1), Some(40), &FREE);
static INVENTORY_GROUP: Shape = structure(&[required("Filters", &INVENTORY_FILTER_LIST), required("Name", &INVENTORY_GROUP_NAME)]);
static INVENTORY_GROUP_LIST: Shape = list(Some(1), Some(15), &INVENTORY_GROUP);
static INVENTORY_GROUP_NAME: Shape = text(Some(1), Some(200));
static INVENTORY_ITEM: Shape = structure(&[required("CaptureTime", &INVENTORY_ITEM_CAPTURE_TIME), member("Content", &INVENTORY_ITEM_ENTRY_LIST), member("ContentHash", &INVENTORY_ITEM_CONTENT_HASH), member("Context", &INVENTORY_ITEM_CONTENT_CONTEXT), required("SchemaVersion", &INVENTORY_ITEM_SCHEMA_VERSION), required("TypeName", &INVENTORY_ITEM_TYPE_NAME)]);
static INVENTORY_ITEM_CAPTURE_TIME: Shape = patterned(None, None, "^(20)[0-9][0-9]-(0[1-9]|1[012])-([12][0-9]|3[01]|0[1-9])(T)(2[0-3]|[0-1][0-9])(:[0-5][0-9])(:[0-5][0-9])(Z)$", None);
static INVENTORY_ITEM_CONTENT_CONTEXT: Shape = map(Some(0), Some(50), &ATTRIBUTE_NAME, &ATTRIBUTE_VALUE);
static INVENTORY_ITEM_CONTENT_HASH: Shape = text(None, Some(256));
static INVENTORY_ITEM_ENTRY: Shape = map(Some(0), Some(50), &ATTRIBUTE_NAME, &ATTRIBUTE_VALUE);
static INVENTORY_ITEM_ENTRY_LIST: Shape = list(Some(0), Some(10000), &INVENTORY_ITEM_ENTRY);
static INVENTORY_ITEM_LIST: Shape = list(Some(1), Some(30), &INVENTORY_ITEM);
static INVENTORY_ITEM_SCHEMA_VERSION: Shape = patterned(None, None, "^([0-9]{1,6})(\\.[0-9]{1,6})$", None);
static INVENTORY_ITEM_TYPE_NAME: Shape = patterned(Some(1), Some(100), "^(AWS|Custom):.*$", None);
static INVENTORY_ITEM_TYPE_NAME_FILTER: Shape = text(Some(0), Some(100));
static INVENTORY_QUERY_OPERATOR_TYPE: Shape = word(&["Equal", "NotEqual", "BeginWith", "LessThan", "GreaterThan", "Exists"]);
static INVENTORY_SCHEMA_DELETE_OPTION: Shape = word(&["DisableSchema", "DeleteSchema"]);
static KEY_LIST: Shape = list(None, None, &TAG_KEY);
static LABEL_PARAMETER_VERSION_REQUEST: Shape = structure(&[required("Labels", &PARAMETER_LABEL_LIST), required("Name", &PS_PARAMETER_NAME), member("ParameterVersion", &FREE)]);
static LIST_ASSOCIATIONS_REQUEST: Shape = structure(&[member("AssociationFilterList", &ASSOCIATION_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_ASSOCIATION_VERSIONS_REQUEST: Shape = structure(&[required("AssociationId", &ASSOCIATION_ID), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_CLOUD_CONNECTORS_REQUEST: Shape = structure(&[member("Filters", &CLOUD_CONNECTOR_FILTER_LIST), member("MaxResults", &CLOUD_CONNECTOR_MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_COMMANDS_REQUEST: Shape = structure(&[member("CommandId", &COMMAND_ID), member("Filters", &COMMAND_FILTER_LIST), member("InstanceId", &INSTANCE_ID), member("MaxResults", &COMMAND_MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_COMMAND_INVOCATIONS_REQUEST: Shape = structure(&[member("CommandId", &COMMAND_ID), member("Details", &FREE), member("Filters", &COMMAND_FILTER_LIST), member("InstanceId", &INSTANCE_ID), member("MaxResults", &COMMAND_MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_COMPLIANCE_ITEMS_REQUEST: Shape = structure(&[member("Filters", &COMPLIANCE_STRING_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), member("ResourceIds", &COMPLIANCE_RESOURCE_ID_LIST), member("ResourceTypes", &COMPLIANCE_RESOURCE_TYPE_LIST)]);
static LIST_COMPLIANCE_SUMMARIES_REQUEST: Shape = structure(&[member("Filters", &COMPLIANCE_STRING_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_DOCUMENTS_REQUEST: Shape = structure(&[member("DocumentFilterList", &DOCUMENT_FILTER_LIST), member("Filters", &DOCUMENT_KEY_VALUES_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_DOCUMENT_METADATA_HISTORY_REQUEST: Shape = structure(&[member("DocumentVersion", &DOCUMENT_VERSION), member("MaxResults", &MAX_RESULTS), required("Metadata", &DOCUMENT_METADATA_ENUM), required("Name", &DOCUMENT_NAME), member("NextToken", &FREE)]);
static LIST_DOCUMENT_VERSIONS_REQUEST: Shape = structure(&[member("MaxResults", &MAX_RESULTS), required("Name", &DOCUMENT_ARN), member("NextToken", &FREE)]);
static LIST_INVENTORY_ENTRIES_REQUEST: Shape = structure(&[member("Filters", &INVENTORY_FILTER_LIST), required("InstanceId", &INSTANCE_ID), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), required("TypeName", &INVENTORY_ITEM_TYPE_NAME)]);
static LIST_NODES_REQUEST: Shape = structure(&[member("Filters", &NODE_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), member("SyncName", &RESOURCE_DATA_SYNC_NAME)]);
static LIST_NODES_SUMMARY_REQUEST: Shape = structure(&[required("Aggregators", &NODE_AGGREGATOR_LIST), member("Filters", &NODE_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), member("SyncName", &RESOURCE_DATA_SYNC_NAME)]);
static LIST_OPS_ITEM_EVENTS_REQUEST: Shape = structure(&[member("Filters", &OPS_ITEM_EVENT_FILTERS), member("MaxResults", &OPS_ITEM_EVENT_MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_OPS_ITEM_RELATED_ITEMS_REQUEST: Shape = structure(&[member("Filters", &OPS_ITEM_RELATED_ITEMS_FILTERS), member("MaxResults", &OPS_ITEM_RELATED_ITEMS_MAX_RESULTS), member("NextToken", &FREE), member("OpsItemId", &OPS_ITEM_ID)]);
static LIST_OPS_METADATA_MAX_RESULTS: Shape = number(Some(1), Some(50));
static LIST_OPS_METADATA_REQUEST: Shape = structure(&[member("Filters", &OPS_METADATA_FILTER_LIST), member("MaxResults", &LIST_OPS_METADATA_MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_RESOURCE_COMPLIANCE_SUMMARIES_REQUEST: Shape = structure(&[member("Filters", &COMPLIANCE_STRING_FILTER_LIST), member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE)]);
static LIST_RESOURCE_DATA_SYNC_REQUEST: Shape = structure(&[member("MaxResults", &MAX_RESULTS), member("NextToken", &FREE), member("SyncType", &RESOURCE_DATA_SYNC_TYPE)]);
static LIST_TAGS_FOR_RESOURCE_REQUEST: Shape = structure(&[required("ResourceId", &FREE), required("ResourceType", &RESOURCE_TYPE_FOR_TAGGING)]);
static LOGGING_INFO: Shape = structure(&[required("S3BucketName", &S3_BUCKET_NAME), member("S3KeyPrefix", &S3_KEY_PREFIX), required("S3Region", &S3_REGION)]);
static MAINTENANCE_WINDOW_AUTOMATION_PARAMETERS: Shape = structure(&[member("DocumentVersion", &DOCUMENT_VERSION), member("Parameters", &AUTOMATION_PARAMETER_MAP)]);
static MAINTENANCE_WINDOW_CUTOFF: Shape = number(Some(0), Some(23));
static MAINTENANCE_WINDOW_DESCRIPTION: Shape = text(Some(1), Some(128));
static MAINTENANCE_WINDOW_DURATION_HOURS: Shape = number(Some(1), Some(24));
static MAINTENANCE_WINDOW_EXECUTION_ID: Shape = patterned(Some(36), Some(36), "^[0-9a-fA-F]{8}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{12}$", None);
static MAINTENANCE_WINDOW_EXECUTION_TASK_ID: Shape = patterned(Some(36), Some(36), "^[0-9a-fA-F]{8}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{12}$", None);
static MAINTENANCE_WINDOW_EXECUTION_TASK_INVOCATION_ID: Shape = patterned(Some(36), Some(36), "^[0-9a-fA-F]{8}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{12}$", None);
static MAINTENANCE_WINDOW_FILTER: Shape = structure(&[member("Key", &MAINTENANCE_WINDOW_FILTER_KEY), member("Values", &MAINTENANCE_WINDOW_FILTER_VALUES)]);
static MAINTENANCE_WINDOW_FILTER_KEY: Shape = text(Some(1), Some(128));
static MAINTENANCE_WINDOW_FILTER_LIST: Shape = list(Some(0), Some(5), &MAINTENANCE_WINDOW_FILTER);
static MAINTENANCE_WINDOW_FILTER_VALUE: Shape = text(Some(1), Some(256));
static MAINTENANCE_WINDOW_FILTER_VALUES: Shape = list(None, None, &MAINTENANCE_WINDOW_FILTER_VALUE);
static MAINTENANCE_WINDOW_ID: Shape = patterned(Some(20), Some(20), "^mw-[0-9a-f]{17}$", None);
static MAINTENANCE_WINDOW_LAMBDA_CLIENT_CONTEXT: Shape = text(Some(1), Some(8000));
static MAINTENANCE_WINDOW_LAMBDA_PARAMETERS: Shape = structure(&[member("ClientContext", &MAINTENANCE_WINDOW_LAMBDA_CLIENT_CONTEXT), member("Payload", &FREE).secret(), member("Qualifier", &MAINTENANCE_WINDOW_LAMBDA_QUALIFIER)]);
static MAINTENANCE_WINDOW_LAMBDA_QUALIFIER: Shape = text(Some(1), Some(128));
static MAINTENANCE_WINDOW_MAX_RESULTS: Shape = number(Some(10), Some(100));
static MAINTENANCE_WINDOW_NAME: Shape = patterned(Some(3), Some(128), "^[a-zA-Z0-9_\\-.]{3,128}$", None);
static MAINTENANCE_WINDOW_OFFSET: Shape = number(Some(1), Some(6));
static MAINTENANCE_WINDOW_RESOURCE_TYPE: Shape = word(&["INSTANCE", "RESOURCE_GROUP"]);
static MAINTENANCE_WINDOW_RUN_COMMAND_PARAMETERS: Shape = structure(&[member("CloudWatchOutputConfig", &CLOUD_WATCH_OUTPUT_CONFIG), member("Comment", &COMMENT), member("DocumentHash", &DOCUMENT_HASH), member("DocumentHashType", &DOCUMENT_HASH_TYPE), member("DocumentVersion", &DOCUMENT_VERSION), member("NotificationConfig", &NOTIFICATION_CONFIG), member("OutputS3BucketName", &S3_BUCKET_NAME), member("OutputS3KeyPrefix", &S3_KEY_PREFIX), member("Parameters", &FREE).secret(), member("ServiceRoleArn", &FREE), member("TimeoutSeconds", &TIMEOUT_SECONDS)]);
static MAINTENANCE_WINDOW_SCHEDULE: Shape = text(Some(1), Some(256));
static MAINTENANCE_WINDOW_SEARCH_MAX_RESULTS: Shape = number(Some(1), None);
static MAINTENANCE_WINDOW_STEP_FUNCTIONS_INPUT: Shape = text(None, Some(4096));
static MAINTENANCE_WINDOW_STEP_FUNCTIONS_NAME: Shape = text(Some(1), Some(80));
static MAINTENANCE_WINDOW_STEP_FUNCTIONS_PARAMETERS: Shape = structure(&[member("Input", &MAINTENANCE_WINDOW_STEP_FUNCTIONS_INPUT).secret(), member("Name", &MAINTENANCE_WINDOW_STEP_FUNCTIONS_NAME)]);
static MAINTENANCE_WINDOW_TARGET_ID: Shape = patterned(Some(36), Some(36), "^[0-9a-fA-F]{8}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{12}$", None);
static MAINTENANCE_WINDOW_TASK_ARN: Shape = text(Some(1), Some(1600));
static MAINTENANCE_WINDOW_TASK_CUTOFF_BEHAVIOR: Shape = word(&["CONTINUE_TASK", "CANCEL_TASK"]);
static MAINTENANCE_WINDOW_TASK_ID: Shape = patterned(Some(36), Some(36), "^[0-9a-fA-F]{8}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{4}\\-[0-9a-fA-F]{12}$", None);
static MAINTENANCE_WINDOW_TASK_INVOCATION_PARAMETERS: Shape = structure(&[member("Automation", &MAINTENANCE_WINDOW_AUTOMATION_PARAMETERS), member("Lambda", &MAINTENANCE_WINDOW_LAMBDA_PARAMETERS), member("RunCommand", &MAINTENANCE_WINDOW_RUN_COMMAND_PARAMETERS), member("StepFunctions", &MAINTENANCE_WINDOW_STEP_FUNCTIONS_PARAMETERS)]);
static MAINTENANCE_WINDOW_TASK_PARAMETERS: Shape = map(None, None, &MAINTENANCE_WINDOW_TASK_PARAMETER_NAME, &MAINTENANCE_WINDOW_TASK_PARAMETER_VALUE_EXPRESSION);
static MAINTENANCE_WINDOW_TASK_PARAMETER_NAME: Shape = text(Some(1), Some(255));
static MAINTENANCE_WINDOW_TASK_PARAMETER_VALUE: Shape = text(Some(1), Some(255));
static MAINTENANCE_WINDOW_TASK_PARAMETER_VALUE_EXPRESSION: Shape = structure(&[member("Values", &MAINTENANCE_WINDOW_TASK_PARAMETER_VALUE_LIST).secret()]);
static MAINTENANCE_WINDOW_TASK_PARAMETER_VALUE_LIST: Shape = list(None, None, &MAINTENANCE_WINDOW_TASK_PARAMETER_VALUE);
static MAINTENANCE_WINDOW_TASK_PRIORITY: Shape = number(Some(0), None);
static MAINTENANCE_WINDOW_TASK_TYPE: Shape = word(&["RUN_COMMAND", "AUTOMATION", "STEP_FUNCTIONS", "LAMBDA"]);
static MANAGED_INSTANCE_ID: Shape = patterned(Some(20), Some(124), "(^mi-[0-9a-f]{17}$)|(^eks_c:[0-9A-Za-z][A-Za-z0-9\\-_]{0,99}_\\w{17}$)", Some("(^mi-[0-9a-f]{17}$)|(^eks_c:[0-9A-Za-z][A-Za-z0-9\\-_]{0,99}_[0-9A-Za-z_]{17}$)"));
static MAX_CONCURRENCY: Shape = patterned(Some(1), Some(7), "^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$", None);
static MAX_ERRORS: Shape = patterned(Some(1), Some(7), "^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$", None);
static MAX_RESULTS: Shape = number(Some(1), Some(50));
static MAX_RESULTS_EC2_COMPATIBLE: Shape = number(Some(5), Some(50));
static METADATA_KEY: Shape = patterned(Some(1), Some(256), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static METADATA_KEYS_TO_DELETE_LIST: Shape = list(Some(1), Some(10), &METADATA_KEY);
static METADATA_MAP: Shape = map(Some(1), Some(5), &METADATA_KEY, &METADATA_VALUE);
static METADATA_VALUE: Shape = structure(&[member("Value", &METADATA_VALUE_STRING)]);
static METADATA_VALUE_STRING: Shape = text(Some(1), Some(4096));
static MODIFY_DOCUMENT_PERMISSION_REQUEST: Shape = structure(&[member("AccountIdsToAdd", &ACCOUNT_ID_LIST), member("AccountIdsToRemove", &ACCOUNT_ID_LIST), required("Name", &DOCUMENT_NAME), required("PermissionType", &DOCUMENT_PERMISSION_TYPE), member("SharedDocumentVersion", &SHARED_DOCUMENT_VERSION)]);
static NODE_AGGREGATOR: Shape = structure(&[required("AggregatorType", &NODE_AGGREGATOR_TYPE), member("Aggregators", &NODE_AGGREGATOR_LIST), required("AttributeName", &NODE_ATTRIBUTE_NAME), required("TypeName", &NODE_TYPE_NAME)]);
static NODE_AGGREGATOR_LIST: Shape = list(Some(1), Some(2), &NODE_AGGREGATOR);
static NODE_AGGREGATOR_TYPE: Shape = word(&["Count"]);
static NODE_ATTRIBUTE_NAME: Shape = word(&["AgentVersion", "PlatformName", "PlatformType", "PlatformVersion", "Region", "ResourceType", "SourceType", "AvailabilityZone"]);
static NODE_FILTER: Shape = structure(&[required("Key", &NODE_FILTER_KEY), member("Type", &NODE_FILTER_OPERATOR_TYPE), required("Values", &NODE_FILTER_VALUE_LIST)]);
static NODE_FILTER_KEY: Shape = word(&["AgentType", "AgentVersion", "ComputerName", "InstanceId", "InstanceStatus", "IpAddress", "ManagedStatus", "PlatformName", "PlatformType", "PlatformVersion", "ResourceType", "OrganizationalUnitId", "OrganizationalUnitPath", "Region", "AccountId", "SourceType", "SourceId", "SourceLocation", "AvailabilityZone", "AvailabilityZoneId"]);
static NODE_FILTER_LIST: Shape = list(Some(1), Some(5), &NODE_FILTER);
static NODE_FILTER_OPERATOR_TYPE: Shape = word(&["Equal", "NotEqual", "BeginWith"]);
static NODE_FILTER_VALUE: Shape = patterned(Some(0), Some(512), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);
static NODE_FILTER_VALUE_LIST: Shape = list(Some(1), Some(5), &NODE_FILTER_VALUE);
static NODE_TYPE_NAME: Shape = word(&["Instance"]);
static NOTIFICATION_CONFIG: Shape = structure(&[member("NotificationArn", &FREE), member("NotificationEvents", &NOTIFICATION_EVENT_LIST), member("NotificationType", &NOTIFICATION_TYPE)]);
static NOTIFICATION_EVENT: Shape = word(&["All", "InProgress", "Success", "TimedOut", "Cancelled", "Failed"]);
static NOTIFICATION_EVENT_LIST: Shape = list(None, None, &NOTIFICATION_EVENT);
static NOTIFICATION_TYPE: Shape = word(&["Command", "Invocation"]);
static OPERATING_SYSTEM: Shape = word(&["WINDOWS", "AMAZON_LINUX", "AMAZON_LINUX_2", "AMAZON_LINUX_2022", "UBUNTU", "REDHAT_ENTERPRISE_LINUX", "SUSE", "CENTOS", "ORACLE_LINUX", "DEBIAN", "MACOS", "RASPBIAN", "ROCKY_LINUX", "ALMA_LINUX", "AMAZON_LINUX_2023", "ALPINE", "OPENWRT", "YOCTO"]);
static OPS_AGGREGATOR: Shape = structure(&[member("AggregatorType", &OPS_AGGREGATOR_TYPE), member("Aggregators", &OPS_AGGREGATOR_LIST), member("AttributeName", &OPS_DATA_ATTRIBUTE_NAME), member("Filters", &OPS_FILTER_LIST), member("TypeName", &OPS_DATA_TYPE_NAME), member("Values", &OPS_AGGREGATOR_VALUE_MAP)]);
static OPS_AGGREGATOR_LIST: Shape = list(Some(1), Some(12), &OPS_AGGREGATOR);
static OPS_AGGREGATOR_TYPE: Shape = patterned(Some(1), Some(20), "^(range|count|sum)", None);
static OPS_AGGREGATOR_VALUE: Shape = text(Some(0), Some(2048));
static OPS_AGGREGATOR_VALUE_KEY: Shape = text(Some(1), Some(32));
static OPS_AGGREGATOR_VALUE_MAP: Shape = map(Some(0), Some(5), &OPS_AGGREGATOR_VALUE_KEY, &OPS_AGGREGATOR_VALUE);
static OPS_DATA_ATTRIBUTE_NAME: Shape = text(Some(1), Some(128));
static OPS_DATA_TYPE_NAME: Shape = patterned(Some(1), Some(100), "^(AWS|Custom):.*$", None);
static OPS_FILTER: Shape = structure(&[required("Key", &OPS_FILTER_KEY), member("Type", &OPS_FILTER_OPERATOR_TYPE), required("Values", &OPS_FILTER_VALUE_LIST)]);
static OPS_FILTER_KEY: Shape = text(Some(1), Some(200));
static OPS_FILTER_LIST: Shape = list(Some(1), Some(5), &OPS_FILTER);
static OPS_FILTER_OPERATOR_TYPE: Shape = word(&["Equal", "NotEqual", "BeginWith", "LessThan", "GreaterThan", "Exists"]);
static OPS_FILTER_VALUE: Shape = text(Some(0), Some(256));
static OPS_FILTER_VALUE_LIST: Shape = list(Some(1), Some(40), &OPS_FILTER_VALUE);
static OPS_ITEM_ACCOUNT_ID: Shape = patterned(None, None, "^[0-9]{12}$", None);
static OPS_ITEM_ARN: Shape = patterned(Some(20), Some(2048), "arn:(aws[a-zA-Z-]*)?:ssm:[a-z0-9-\\.]{0,63}:[0-9]{12}:opsitem.*", None);
static OPS_ITEM_CATEGORY: Shape = patterned(Some(1), Some(64), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static OPS_ITEM_DATA_KEY: Shape = patterned(Some(1), Some(128), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static OPS_ITEM_DATA_TYPE: Shape = word(&["SearchableString", "String"]);
static OPS_ITEM_DATA_VALUE: Shape = structure(&[member("Type", &OPS_ITEM_DATA_TYPE), member("Value", &OPS_ITEM_DATA_VALUE_STRING)]);
static OPS_ITEM_DATA_VALUE_STRING: Shape = patterned(None, None, "[\\s\\S]*\\S[\\s\\S]*", Some("[\\t\\n\\x0B\\f\\r [^\\t\\n\\x0B\\f\\r ]]*[^\\t\\n\\x0B\\f\\r ][\\t\\n\\x0B\\f\\r [^\\t\\n\\x0B\\f\\r ]]*"));
static OPS_ITEM_DESCRIPTION: Shape = patterned(Some(1), Some(2048), "[\\s\\S]*\\S[\\s\\S]*", Some("[\\t\\n\\x0B\\f\\r [^\\t\\n\\x0B\\f\\r ]]*[^\\t\\n\\x0B\\f\\r ][\\t\\n\\x0B\\f\\r [^\\t\\n\\x0B\\f\\r ]]*"));
static OPS_ITEM_EVENT_FILTER: Shape = structure(&[required("Key", &OPS_ITEM_EVENT_FILTER_KEY), required("Operator", &OPS_ITEM_EVENT_FILTER_OPERATOR), required("Values", &OPS_ITEM_EVENT_FILTER_VALUES)]);
static OPS_ITEM_EVENT_FILTERS: Shape = list(None, None, &OPS_ITEM_EVENT_FILTER);
static OPS_ITEM_EVENT_FILTER_KEY: Shape = word(&["OpsItemId"]);
static OPS_ITEM_EVENT_FILTER_OPERATOR: Shape = word(&["Equal"]);
static OPS_ITEM_EVENT_FILTER_VALUE: Shape = patterned(Some(1), Some(15), "^(oi)-[0-9a-f]{12}$", None);
static OPS_ITEM_EVENT_FILTER_VALUES: Shape = list(None, None, &OPS_ITEM_EVENT_FILTER_VALUE);
static OPS_ITEM_EVENT_MAX_RESULTS: Shape = number(Some(1), Some(50));
static OPS_ITEM_FILTER: Shape = structure(&[required("Key", &OPS_ITEM_FILTER_KEY), required("Operator", &OPS_ITEM_FILTER_OPERATOR), required("Values", &FREE)]);
static OPS_ITEM_FILTERS: Shape = list(None, None, &OPS_ITEM_FILTER);
static OPS_ITEM_FILTER_KEY: Shape = word(&["Status", "CreatedBy", "Source", "Priority", "Title", "OpsItemId", "CreatedTime", "LastModifiedTime", "ActualStartTime", "ActualEndTime", "PlannedStartTime", "PlannedEndTime", "OperationalData", "OperationalDataKey", "OperationalDataValue", "ResourceId", "AutomationId", "Category", "Severity", "OpsItemType", "AccessRequestByRequesterArn", "AccessRequestByRequesterId", "AccessRequestByApproverArn", "AccessRequestByApproverId", "AccessRequestBySourceAccountId", "AccessRequestBySourceOpsItemId", "AccessRequestBySourceRegion", "AccessRequestByIsReplica", "AccessRequestByTargetResourceId", "ChangeRequestByRequesterArn", "ChangeRequestByRequesterName", "ChangeRequestByApproverArn", "ChangeRequestByApproverName", "ChangeRequestByTemplate", "ChangeRequestByTargetsResourceGroup", "InsightByType", "AccountId"]);
static OPS_ITEM_FILTER_OPERATOR: Shape = word(&["Equal", "Contains", "GreaterThan", "LessThan"]);
static OPS_ITEM_ID: Shape = patterned(None, None, "^(oi)-[0-9a-f]{12}$", None);
static OPS_ITEM_MAX_RESULTS: Shape = number(Some(1), Some(50));
static OPS_ITEM_OPERATIONAL_DATA: Shape = map(None, None, &OPS_ITEM_DATA_KEY, &OPS_ITEM_DATA_VALUE);
static OPS_ITEM_PRIORITY: Shape = number(Some(1), Some(5));
static OPS_ITEM_RELATED_ITEMS_FILTER: Shape = structure(&[required("Key", &OPS_ITEM_RELATED_ITEMS_FILTER_KEY), required("Operator", &OPS_ITEM_RELATED_ITEMS_FILTER_OPERATOR), required("Values", &FREE)]);
static OPS_ITEM_RELATED_ITEMS_FILTERS: Shape = list(None, None, &OPS_ITEM_RELATED_ITEMS_FILTER);
static OPS_ITEM_RELATED_ITEMS_FILTER_KEY: Shape = word(&["ResourceType", "AssociationId", "ResourceUri"]);
static OPS_ITEM_RELATED_ITEMS_FILTER_OPERATOR: Shape = word(&["Equal"]);
static OPS_ITEM_RELATED_ITEMS_MAX_RESULTS: Shape = number(Some(1), Some(50));
static OPS_ITEM_SEVERITY: Shape = patterned(Some(1), Some(64), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static OPS_ITEM_SOURCE: Shape = patterned(Some(1), Some(128), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static OPS_ITEM_STATUS: Shape = word(&["Open", "InProgress", "Resolved", "Pending", "TimedOut", "Cancelling", "Cancelled", "Failed", "CompletedWithSuccess", "CompletedWithFailure", "Scheduled", "RunbookInProgress", "PendingChangeCalendarOverride", "ChangeCalendarOverrideApproved", "ChangeCalendarOverrideRejected", "PendingApproval", "Approved", "Revoked", "Rejected", "Closed"]);
static OPS_ITEM_TITLE: Shape = patterned(Some(1), Some(1024), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static OPS_METADATA_ARN: Shape = patterned(Some(1), Some(1011), "arn:(aws[a-zA-Z-]*)?:ssm:[a-z0-9-\\.]{0,63}:[a-z0-9-\\.]{0,63}:opsmetadata\\/([a-zA-Z0-9-_\\.\\/]*)", None);
static OPS_METADATA_FILTER: Shape = structure(&[required("Key", &OPS_METADATA_FILTER_KEY), required("Values", &OPS_METADATA_FILTER_VALUE_LIST)]);
static OPS_METADATA_FILTER_KEY: Shape = patterned(Some(1), Some(128), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static OPS_METADATA_FILTER_LIST: Shape = list(Some(0), Some(10), &OPS_METADATA_FILTER);
static OPS_METADATA_FILTER_VALUE: Shape = text(Some(1), Some(1024));
static OPS_METADATA_FILTER_VALUE_LIST: Shape = list(Some(1), Some(10), &OPS_METADATA_FILTER_VALUE);
static OPS_METADATA_RESOURCE_ID: Shape = patterned(Some(1), Some(1024), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static OPS_RESULT_ATTRIBUTE: Shape = structure(&[required("TypeName", &OPS_DATA_TYPE_NAME)]);
static OPS_RESULT_ATTRIBUTE_LIST: Shape = list(Some(1), None, &OPS_RESULT_ATTRIBUTE);
static OWNER_INFORMATION: Shape = text(Some(1), Some(128));
static PARAMETERS_FILTER: Shape = structure(&[required("Key", &PARAMETERS_FILTER_KEY), required("Values", &PARAMETERS_FILTER_VALUE_LIST)]);
static PARAMETERS_FILTER_KEY: Shape = word(&["Name", "Type", "KeyId"]);
static PARAMETERS_FILTER_LIST: Shape = list(None, None, &PARAMETERS_FILTER);
static PARAMETERS_FILTER_VALUE: Shape = text(Some(1), Some(1024));
static PARAMETERS_FILTER_VALUE_LIST: Shape = list(Some(1), Some(50), &PARAMETERS_FILTER_VALUE);
static PARAMETER_DATA_TYPE: Shape = text(Some(0), Some(128));
static PARAMETER_DESCRIPTION: Shape = text(Some(0), Some(1024));
static PARAMETER_KEY_ID: Shape = patterned(Some(1), Some(256), "^([a-zA-Z0-9:/_-]+)$", None);
static PARAMETER_LABEL: Shape = text(Some(1), Some(100));
static PARAMETER_LABEL_LIST: Shape = list(Some(1), Some(10), &PARAMETER_LABEL);
static PARAMETER_NAME_LIST: Shape = list(Some(1), Some(10), &PS_PARAMETER_NAME);
static PARAMETER_POLICIES: Shape = text(Some(1), Some(4096));
static PARAMETER_STRING_FILTER: Shape = structure(&[required("Key", &PARAMETER_STRING_FILTER_KEY), member("Option", &PARAMETER_STRING_QUERY_OPTION), member("Values", &PARAMETER_STRING_FILTER_VALUE_LIST)]);
static PARAMETER_STRING_FILTER_KEY: Shape = patterned(Some(1), Some(132), "^(tag:.+|Name|Type|KeyId|Path|Label|Tier|DataType)$", None);
static PARAMETER_STRING_FILTER_LIST: Shape = list(None, None, &PARAMETER_STRING_FILTER);
static PARAMETER_STRING_FILTER_VALUE: Shape = text(Some(1), Some(1024));
static PARAMETER_STRING_FILTER_VALUE_LIST: Shape = list(Some(1), Some(50), &PARAMETER_STRING_FILTER_VALUE);
static PARAMETER_STRING_QUERY_OPTION: Shape = text(Some(1), Some(10));
static PARAMETER_TIER: Shape = word(&["Standard", "Advanced", "Intelligent-Tiering"]);
static PARAMETER_TYPE: Shape = word(&["String", "StringList", "SecureString"]);
static PATCH_ACTION: Shape = word(&["ALLOW_AS_DEPENDENCY", "BLOCK"]);
static PATCH_BASELINE_MAX_RESULTS: Shape = number(Some(1), Some(100));
static PATCH_COMPLIANCE_LEVEL: Shape = word(&["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNSPECIFIED"]);
static PATCH_COMPLIANCE_MAX_RESULTS: Shape = number(Some(10), Some(100));
static PATCH_COMPLIANCE_STATUS: Shape = word(&["COMPLIANT", "NON_COMPLIANT"]);
static PATCH_FILTER: Shape = structure(&[required("Key", &PATCH_FILTER_KEY), required("Values", &PATCH_FILTER_VALUE_LIST)]);
static PATCH_FILTER_GROUP: Shape = structure(&[required("PatchFilters", &PATCH_FILTER_LIST)]);
static PATCH_FILTER_KEY: Shape = word(&["ARCH", "ADVISORY_ID", "BUGZILLA_ID", "PATCH_SET", "PRODUCT", "PRODUCT_FAMILY", "CLASSIFICATION", "CVE_ID", "EPOCH", "MSRC_SEVERITY", "NAME", "PATCH_ID", "SECTION", "PRIORITY", "REPOSITORY", "RELEASE", "SEVERITY", "SECURITY", "VERSION"]);
static PATCH_FILTER_LIST: Shape = list(Some(0), Some(4), &PATCH_FILTER);
static PATCH_FILTER_VALUE: Shape = text(Some(1), Some(64));
static PATCH_FILTER_VALUE_LIST: Shape = list(Some(1), Some(20), &PATCH_FILTER_VALUE);
static PATCH_GROUP: Shape = patterned(Some(1), Some(256), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);
static PATCH_ID: Shape = text(Some(1), Some(100));
static PATCH_ID_LIST: Shape = list(Some(0), Some(50), &PATCH_ID);
static PATCH_ORCHESTRATOR_FILTER: Shape = structure(&[member("Key", &PATCH_ORCHESTRATOR_FILTER_KEY), member("Values", &PATCH_ORCHESTRATOR_FILTER_VALUES)]);
static PATCH_ORCHESTRATOR_FILTER_KEY: Shape = text(Some(1), Some(128));
static PATCH_ORCHESTRATOR_FILTER_LIST: Shape = list(Some(0), Some(5), &PATCH_ORCHESTRATOR_FILTER);
static PATCH_ORCHESTRATOR_FILTER_VALUE: Shape = text(Some(1), Some(256));
static PATCH_ORCHESTRATOR_FILTER_VALUES: Shape = list(None, None, &PATCH_ORCHESTRATOR_FILTER_VALUE);
static PATCH_PROPERTY: Shape = word(&["PRODUCT", "PRODUCT_FAMILY", "CLASSIFICATION", "MSRC_SEVERITY", "PRIORITY", "SEVERITY"]);
static PATCH_RULE: Shape = structure(&[member("ApproveAfterDays", &APPROVE_AFTER_DAYS), member("ApproveUntilDate", &PATCH_STRING_DATE_TIME), member("ComplianceLevel", &PATCH_COMPLIANCE_LEVEL), member("EnableNonSecurity", &FREE), required("PatchFilterGroup", &PATCH_FILTER_GROUP)]);
static PATCH_RULE_GROUP: Shape = structure(&[required("PatchRules", &PATCH_RULE_LIST)]);
static PATCH_RULE_LIST: Shape = list(Some(0), Some(10), &PATCH_RULE);
static PATCH_SET: Shape = word(&["OS", "APPLICATION"]);
static PATCH_SOURCE: Shape = structure(&[required("Configuration", &PATCH_SOURCE_CONFIGURATION).secret(), required("Name", &PATCH_SOURCE_NAME), required("Products", &PATCH_SOURCE_PRODUCT_LIST)]);
static PATCH_SOURCE_CONFIGURATION: Shape = text(Some(1), Some(1024));
static PATCH_SOURCE_LIST: Shape = list(Some(0), Some(20), &PATCH_SOURCE);
static PATCH_SOURCE_NAME: Shape = patterned(None, None, "^[a-zA-Z0-9_\\-.]{3,50}$", None);
static PATCH_SOURCE_PRODUCT: Shape = text(Some(1), Some(128));
static PATCH_SOURCE_PRODUCT_LIST: Shape = list(Some(1), Some(20), &PATCH_SOURCE_PRODUCT);
static PATCH_STRING_DATE_TIME: Shape = text(Some(1), Some(10));
static POLICY: Shape = patterned(None, None, "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static PS_PARAMETER_NAME: Shape = text(Some(1), Some(2048));
static PUT_COMPLIANCE_ITEMS_REQUEST: Shape = structure(&[required("ComplianceType", &COMPLIANCE_TYPE_NAME), required("ExecutionSummary", &COMPLIANCE_EXECUTION_SUMMARY), member("ItemContentHash", &COMPLIANCE_ITEM_CONTENT_HASH), required("Items", &COMPLIANCE_ITEM_ENTRY_LIST), required("ResourceId", &COMPLIANCE_RESOURCE_ID), required("ResourceType", &COMPLIANCE_RESOURCE_TYPE), member("UploadType", &COMPLIANCE_UPLOAD_TYPE)]);
static PUT_INVENTORY_REQUEST: Shape = structure(&[required("InstanceId", &INSTANCE_ID), required("Items", &INVENTORY_ITEM_LIST)]);
static PUT_PARAMETER_REQUEST: Shape = structure(&[member("AllowedPattern", &ALLOWED_PATTERN), member("DataType", &PARAMETER_DATA_TYPE), member("Description", &PARAMETER_DESCRIPTION), member("KeyId", &PARAMETER_KEY_ID), required("Name", &PS_PARAMETER_NAME), member("Overwrite", &FREE), member("Policies", &PARAMETER_POLICIES), member("Tags", &TAG_LIST), member("Tier", &PARAMETER_TIER), member("Type", &PARAMETER_TYPE), required("Value", &FREE).secret()]);
static PUT_RESOURCE_POLICY_REQUEST: Shape = structure(&[required("Policy", &POLICY), member("PolicyHash", &FREE), member("PolicyId", &FREE), required("ResourceArn", &RESOURCE_ARN_STRING)]);
static REGIONS: Shape = list(Some(1), Some(50), &FREE);
static REGISTER_DEFAULT_HOST_MANAGEMENT_CONFIGURATION_REQUEST: Shape = structure(&[member("Overwrite", &FREE), required("PermissionModel", &DHMC_PERMISSION_MODEL), member("RoleArn", &DHMC_ROLE_ARN)]);
static REGISTER_DEFAULT_PATCH_BASELINE_REQUEST: Shape = structure(&[required("BaselineId", &BASELINE_ID)]);
static REGISTER_PATCH_BASELINE_FOR_PATCH_GROUP_REQUEST: Shape = structure(&[required("BaselineId", &BASELINE_ID), required("PatchGroup", &PATCH_GROUP)]);
static REGISTER_TARGET_WITH_MAINTENANCE_WINDOW_REQUEST: Shape = structure(&[member("ClientToken", &CLIENT_TOKEN), member("Description", &MAINTENANCE_WINDOW_DESCRIPTION).secret(), member("Name", &MAINTENANCE_WINDOW_NAME), member("OwnerInformation", &OWNER_INFORMATION).secret(), required("ResourceType", &MAINTENANCE_WINDOW_RESOURCE_TYPE), required("Targets", &TARGETS), required("WindowId", &MAINTENANCE_WINDOW_ID)]);
static REGISTER_TASK_WITH_MAINTENANCE_WINDOW_REQUEST: Shape = structure(&[member("AlarmConfiguration", &ALARM_CONFIGURATION), member("ClientToken", &CLIENT_TOKEN), member("CutoffBehavior", &MAINTENANCE_WINDOW_TASK_CUTOFF_BEHAVIOR), member("Description", &MAINTENANCE_WINDOW_DESCRIPTION).secret(), member("LoggingInfo", &LOGGING_INFO), member("MaxConcurrency", &MAX_CONCURRENCY), member("MaxErrors", &MAX_ERRORS), member("Name", &MAINTENANCE_WINDOW_NAME), member("Priority", &MAINTENANCE_WINDOW_TASK_PRIORITY), member("ServiceRoleArn", &FREE), member("Targets", &TARGETS), required("TaskArn", &MAINTENANCE_WINDOW_TASK_ARN), member("TaskInvocationParameters", &MAINTENANCE_WINDOW_TASK_INVOCATION_PARAMETERS), member("TaskParameters", &MAINTENANCE_WINDOW_TASK_PARAMETERS).secret(), required("TaskType", &MAINTENANCE_WINDOW_TASK_TYPE), required("WindowId", &MAINTENANCE_WINDOW_ID)]);
static REGISTRATION_LIMIT: Shape = number(Some(1), Some(1000));
static REGISTRATION_METADATA_ITEM: Shape = structure(&[required("Key", &REGISTRATION_METADATA_KEY), required("Value", &REGISTRATION_METADATA_VALUE)]);
static REGISTRATION_METADATA_KEY: Shape = patterned(Some(1), Some(128), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static REGISTRATION_METADATA_LIST: Shape = list(None, None, &REGISTRATION_METADATA_ITEM);
static REGISTRATION_METADATA_VALUE: Shape = patterned(Some(1), Some(2048), "^(?!\\s*$).+", Some(".*[^\\t\\n\\x0B\\f\\r ].*"));
static RELATED_OPS_ITEM: Shape = structure(&[required("OpsItemId", &FREE)]);
static RELATED_OPS_ITEMS: Shape = list(None, None, &RELATED_OPS_ITEM);
static REMOVE_TAGS_FROM_RESOURCE_REQUEST: Shape = structure(&[required("ResourceId", &FREE), required("ResourceType", &RESOURCE_TYPE_FOR_TAGGING), required("TagKeys", &KEY_LIST)]);
static REQUIRE_TYPE: Shape = patterned(None, Some(128), "^[a-zA-Z0-9_\\-.]{1,128}$", None);
static RESET_SERVICE_SETTING_REQUEST: Shape = structure(&[required("SettingId", &SERVICE_SETTING_ID)]);
static RESOURCE_ARN_STRING: Shape = text(Some(20), Some(2048));
static RESOURCE_DATA_SYNC_AWSKMS_KEY_ARN: Shape = patterned(Some(1), Some(512), "arn:.*", None);
static RESOURCE_DATA_SYNC_AWS_ORGANIZATIONS_SOURCE: Shape = structure(&[required("OrganizationSourceType", &RESOURCE_DATA_SYNC_ORGANIZATION_SOURCE_TYPE), member("OrganizationalUnits", &RESOURCE_DATA_SYNC_ORGANIZATIONAL_UNIT_LIST)]);
static RESOURCE_DATA_SYNC_DESTINATION_DATA_SHARING: Shape = structure(&[member("DestinationDataSharingType", &RESOURCE_DATA_SYNC_DESTINATION_DATA_SHARING_TYPE)]);
static RESOURCE_DATA_SYNC_DESTINATION_DATA_SHARING_TYPE: Shape = text(Some(1), Some(64));
static RESOURCE_DATA_SYNC_NAME: Shape = text(Some(1), Some(64));
static RESOURCE_DATA_SYNC_ORGANIZATIONAL_UNIT: Shape = structure(&[member("OrganizationalUnitId", &RESOURCE_DATA_SYNC_ORGANIZATIONAL_UNIT_ID)]);
static RESOURCE_DATA_SYNC_ORGANIZATIONAL_UNIT_ID: Shape = patterned(Some(1), Some(128), "^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$", None);
static RESOURCE_DATA_SYNC_ORGANIZATIONAL_UNIT_LIST: Shape = list(Some(1), Some(1000), &RESOURCE_DATA_SYNC_ORGANIZATIONAL_UNIT);
static RESOURCE_DATA_SYNC_ORGANIZATION_SOURCE_TYPE: Shape = text(Some(1), Some(64));
static RESOURCE_DATA_SYNC_S3_BUCKET_NAME: Shape = text(Some(1), Some(2048));
static RESOURCE_DATA_SYNC_S3_DESTINATION: Shape = structure(&[member("AWSKMSKeyARN", &RESOURCE_DATA_SYNC_AWSKMS_KEY_ARN), required("BucketName", &RESOURCE_DATA_SYNC_S3_BUCKET_NAME), member("DestinationDataSharing", &RESOURCE_DATA_SYNC_DESTINATION_DATA_SHARING), member("Prefix", &RESOURCE_DATA_SYNC_S3_PREFIX), required("Region", &RESOURCE_DATA_SYNC_S3_REGION), required("SyncFormat", &RESOURCE_DATA_SYNC_S3_FORMAT)]);
static RESOURCE_DATA_SYNC_S3_FORMAT: Shape = word(&["JsonSerDe"]);
static RESOURCE_DATA_SYNC_S3_PREFIX: Shape = text(Some(1), Some(256));
static RESOURCE_DATA_SYNC_S3_REGION: Shape = text(Some(1), Some(64));
static RESOURCE_DATA_SYNC_SOURCE: Shape = structure(&[member("AwsOrganizationsSource", &RESOURCE_DATA_SYNC_AWS_ORGANIZATIONS_SOURCE), member("EnableAllOpsDataSources", &FREE), member("IncludeFutureRegions", &FREE), required("SourceRegions", &RESOURCE_DATA_SYNC_SOURCE_REGION_LIST), required("SourceType", &RESOURCE_DATA_SYNC_SOURCE_TYPE)]);
static RESOURCE_DATA_SYNC_SOURCE_REGION: Shape = text(Some(1), Some(64));
static RESOURCE_DATA_SYNC_SOURCE_REGION_LIST: Shape = list(None, None, &RESOURCE_DATA_SYNC_SOURCE_REGION);
static RESOURCE_DATA_SYNC_SOURCE_TYPE: Shape = text(Some(1), Some(64));
static RESOURCE_DATA_SYNC_TYPE: Shape = text(Some(1), Some(64));
static RESOURCE_POLICY_MAX_RESULTS: Shape = number(Some(1), Some(50));
static RESOURCE_TYPE_FOR_TAGGING: Shape = word(&["Document", "ManagedInstance", "MaintenanceWindow", "Parameter", "PatchBaseline", "OpsItem", "OpsMetadata", "Automation", "Association", "CloudConnector"]);
static RESULT_ATTRIBUTE: Shape = structure(&[required("TypeName", &INVENTORY_ITEM_TYPE_NAME)]);
static RESULT_ATTRIBUTE_LIST: Shape = list(Some(1), Some(1), &RESULT_ATTRIBUTE);
static RESUME_SESSION_REQUEST: Shape = structure(&[required("SessionId", &SESSION_ID)]);
static RUNBOOK: Shape = structure(&[required("DocumentName", &DOCUMENT_ARN), member("DocumentVersion", &DOCUMENT_VERSION), member("MaxConcurrency", &MAX_CONCURRENCY), member("MaxErrors", &MAX_ERRORS), member("Parameters", &AUTOMATION_PARAMETER_MAP), member("TargetLocations", &TARGET_LOCATIONS), member("TargetMaps", &TARGET_MAPS), member("TargetParameterName", &AUTOMATION_PARAMETER_KEY), member("Targets", &TARGETS)]);
static RUNBOOKS: Shape = list(Some(1), Some(1), &RUNBOOK);
static S3_BUCKET_NAME: Shape = text(Some(3), Some(63));
static S3_KEY_PREFIX: Shape = text(None, Some(500));
static S3_OUTPUT_LOCATION: Shape = structure(&[member("OutputS3BucketName", &S3_BUCKET_NAME), member("OutputS3KeyPrefix", &S3_KEY_PREFIX), member("OutputS3Region", &S3_REGION)]);
static S3_REGION: Shape = text(Some(3), Some(20));
static SCHEDULE_EXPRESSION: Shape = text(Some(1), Some(256));
static SCHEDULE_OFFSET: Shape = number(Some(1), Some(6));
static SEND_AUTOMATION_SIGNAL_REQUEST: Shape = structure(&[required("AutomationExecutionId", &AUTOMATION_EXECUTION_ID), member("Payload", &AUTOMATION_PARAMETER_MAP), required("SignalType", &SIGNAL_TYPE)]);
static SEND_COMMAND_REQUEST: Shape = structure(&[member("AlarmConfiguration", &ALARM_CONFIGURATION), member("CloudWatchOutputConfig", &CLOUD_WATCH_OUTPUT_CONFIG), member("Comment", &COMMENT), member("DocumentHash", &DOCUMENT_HASH), member("DocumentHashType", &DOCUMENT_HASH_TYPE), required("DocumentName", &DOCUMENT_ARN), member("DocumentVersion", &DOCUMENT_VERSION), member("InstanceIds", &INSTANCE_ID_LIST), member("MaxConcurrency", &MAX_CONCURRENCY), member("MaxErrors", &MAX_ERRORS), member("NotificationConfig", &NOTIFICATION_CONFIG), member("OutputS3BucketName", &S3_BUCKET_NAME), member("OutputS3KeyPrefix", &S3_KEY_PREFIX), member("OutputS3Region", &S3_REGION), member("Parameters", &FREE).secret(), member("ServiceRoleArn", &FREE), member("Targets", &TARGETS), member("TimeoutSeconds", &TIMEOUT_SECONDS)]);
static SERVICE_SETTING_ID: Shape = text(Some(1), Some(1000));
static SERVICE_SETTING_VALUE: Shape = text(Some(1), Some(4096));
static SESSION_FILTER: Shape = structure(&[required("key", &SESSION_FILTER_KEY), required("value", &SESSION_FILTER_VALUE)]);
static SESSION_FILTER_KEY: Shape = word(&["InvokedAfter", "InvokedBefore", "Target", "Owner", "Status", "SessionId", "AccessType"]);
static SESSION_FILTER_LIST: Shape = list(Some(1), Some(6), &SESSION_FILTER);
static SESSION_FILTER_VALUE: Shape = text(Some(1), Some(400));
static SESSION_ID: Shape = text(Some(1), Some(96));
static SESSION_MANAGER_PARAMETERS: Shape = map(None, None, &SESSION_MANAGER_PARAMETER_NAME, &SESSION_MANAGER_PARAMETER_VALUE_LIST);
static SESSION_MANAGER_PARAMETER_NAME: Shape = text(Some(1), Some(255));
static SESSION_MANAGER_PARAMETER_VALUE: Shape = text(Some(1), Some(65535));
static SESSION_MANAGER_PARAMETER_VALUE_LIST: Shape = list(None, None, &SESSION_MANAGER_PARAMETER_VALUE);
static SESSION_MAX_RESULTS: Shape = number(Some(1), Some(200));
static SESSION_REASON: Shape = patterned(Some(1), Some(256), "^.{1,256}$", None);
static SESSION_STATE: Shape = word(&["Active", "History"]);
static SESSION_TARGET: Shape = text(Some(1), Some(400));
static SHARED_DOCUMENT_VERSION: Shape = patterned(None, Some(8), "([$]LATEST|[$]DEFAULT|[$]ALL)", None);
static SIGNAL_TYPE: Shape = word(&["Approve", "Reject", "StartStep", "StopStep", "Resume", "Revoke"]);
static SNAPSHOT_ID: Shape = patterned(Some(36), Some(36), "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$", None);
static START_ACCESS_REQUEST_REQUEST: Shape = structure(&[required("Reason", &STRING1TO256), member("Tags", &TAG_LIST), required("Targets", &TARGETS)]);
static START_ASSOCIATIONS_ONCE_REQUEST: Shape = structure(&[required("AssociationIds", &ASSOCIATION_ID_LIST)]);
static START_AUTOMATION_EXECUTION_REQUEST: Shape = structure(&[member("AlarmConfiguration", &ALARM_CONFIGURATION), member("ClientToken", &IDEMPOTENCY_TOKEN), required("DocumentName", &DOCUMENT_ARN), member("DocumentVersion", &DOCUMENT_VERSION), member("MaxConcurrency", &MAX_CONCURRENCY), member("MaxErrors", &MAX_ERRORS), member("Mode", &EXECUTION_MODE), member("Parameters", &AUTOMATION_PARAMETER_MAP), member("Tags", &TAG_LIST), member("TargetLocations", &TARGET_LOCATIONS), member("TargetLocationsURL", &TARGET_LOCATIONS_URL), member("TargetMaps", &TARGET_MAPS), member("TargetParameterName", &AUTOMATION_PARAMETER_KEY), member("Targets", &AUTOMATION_TARGETS)]);
static START_CHANGE_REQUEST_EXECUTION_REQUEST: Shape = structure(&[member("AutoApprove", &FREE), member("ChangeDetails", &CHANGE_DETAILS_VALUE), member("ChangeRequestName", &CHANGE_REQUEST_NAME), member("ClientToken", &IDEMPOTENCY_TOKEN), required("DocumentName", &DOCUMENT_ARN), member("DocumentVersion", &DOCUMENT_VERSION), member("Parameters", &AUTOMATION_PARAMETER_MAP), required("Runbooks", &RUNBOOKS), member("ScheduledEndTime", &FREE), member("ScheduledTime", &FREE), member("Tags", &TAG_LIST)]);
static START_EXECUTION_PREVIEW_REQUEST: Shape = structure(&[required("DocumentName", &DOCUMENT_NAME), member("DocumentVersion", &DOCUMENT_VERSION), member("ExecutionInputs", &EXECUTION_INPUTS)]);
static START_SESSION_REQUEST: Shape = structure(&[member("DocumentName", &DOCUMENT_ARN), member("Parameters", &SESSION_MANAGER_PARAMETERS), member("Reason", &SESSION_REASON), required("Target", &SESSION_TARGET)]);
static STATUS_ADDITIONAL_INFO: Shape = text(None, Some(1024));
static STATUS_MESSAGE: Shape = text(Some(1), Some(1024));
static STEP_EXECUTION_FILTER: Shape = structure(&[required("Key", &STEP_EXECUTION_FILTER_KEY), required("Values", &STEP_EXECUTION_FILTER_VALUE_LIST)]);
static STEP_EXECUTION_FILTER_KEY: Shape = word(&["StartTimeBefore", "StartTimeAfter", "StepExecutionStatus", "StepExecutionId", "StepName", "Action", "ParentStepExecutionId", "ParentStepIteration", "ParentStepIteratorValue"]);
static STEP_EXECUTION_FILTER_LIST: Shape = list(Some(1), Some(6), &STEP_EXECUTION_FILTER);
static STEP_EXECUTION_FILTER_VALUE: Shape = text(Some(1), Some(150));
static STEP_EXECUTION_FILTER_VALUE_LIST: Shape = list(Some(1), Some(10), &STEP_EXECUTION_FILTER_VALUE);
static STOP_AUTOMATION_EXECUTION_REQUEST: Shape = structure(&[required("AutomationExecutionId", &AUTOMATION_EXECUTION_ID), member("Type", &STOP_TYPE)]);
static STOP_TYPE: Shape = word(&["Complete", "Cancel"]);
static STRING1TO256: Shape = text(Some(1), Some(256));
static TAG: Shape = structure(&[required("Key", &TAG_KEY), required("Value", &TAG_VALUE)]);
static TAG_KEY: Shape = patterned(Some(1), Some(128), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);
static TAG_LIST: Shape = list(None, Some(1000), &TAG);
static TAG_VALUE: Shape = patterned(Some(0), Some(256), "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", None);
static TARGET: Shape = structure(&[member("Key", &TARGET_KEY), member("Values", &TARGET_VALUES)]);
static TARGETS: Shape = list(Some(0), Some(5), &TARGET);
static TARGET_KEY: Shape = patterned(Some(1), Some(163), "^[\\p{L}\\p{Z}\\p{N}_.:/=\\-@]*$|resource-groups:ResourceTypeFilters|resource-groups:Name", None);
static TARGET_LOCATION: Shape = structure(&[member("Accounts", &ACCOUNTS), member("ExcludeAccounts", &EXCLUDE_ACCOUNTS), member("ExecutionRoleName", &EXECUTION_ROLE_NAME), member("IncludeChildOrganizationUnits", &FREE), member("Regions", &REGIONS), member("TargetLocationAlarmConfiguration", &ALARM_CONFIGURATION), member("TargetLocationMaxConcurrency", &MAX_CONCURRENCY), member("TargetLocationMaxErrors", &MAX_ERRORS), member("Targets", &AUTOMATION_TARGETS), member("TargetsMaxConcurrency", &MAX_CONCURRENCY), member("TargetsMaxErrors", &MAX_ERRORS)]);
static TARGET_LOCATIONS: Shape = list(Some(1), Some(100), &TARGET_LOCATION);
static TARGET_LOCATIONS_URL: Shape = patterned(None, None, "^https:\\/\\/[-a-zA-Z0-9@:%._\\+~#=]{1,253}\\.s3(\\.[a-z\\d-]{9,16})?\\.amazonaws\\.com\\/.{1,2000}", Some("^https:\\/\\/[-a-zA-Z0-9@:%._\\+~#=]{1,253}\\.s3(\\.[a-z0-9\\-]{9,16})?\\.amazonaws\\.com\\/.{1,2000}"));
static TARGET_MAP: Shape = map(Some(1), Some(20), &TARGET_MAP_KEY, &TARGET_MAP_VALUE_LIST);
static TARGET_MAPS: Shape = list(Some(0), Some(300), &TARGET_MAP);
static TARGET_MAP_KEY: Shape = text(Some(1), Some(50));
static TARGET_MAP_VALUE: Shape = text(Some(1), Some(50));
static TARGET_MAP_VALUE_LIST: Shape = list(Some(0), Some(25), &TARGET_MAP_VALUE);
static TARGET_TYPE: Shape = patterned(None, Some(200), "^\\/[\\w\\.\\-\\:\\/]*$", Some("^\\/[0-9A-Za-z_\\.\\-\\:\\/]*$"));
static TARGET_VALUES: Shape = list(Some(0), Some(50), &FREE);
static TERMINATE_SESSION_REQUEST: Shape = structure(&[required("SessionId", &SESSION_ID)]);
static TIMEOUT_SECONDS: Shape = number(Some(30), Some(2592000));
static UNLABEL_PARAMETER_VERSION_REQUEST: Shape = structure(&[required("Labels", &PARAMETER_LABEL_LIST), required("Name", &PS_PARAMETER_NAME), required("ParameterVersion", &FREE)]);
static UPDATE_ASSOCIATION_REQUEST: Shape = structure(&[member("AlarmConfiguration", &ALARM_CONFIGURATION), member("ApplyOnlyAtCronInterval", &FREE), member("AssociationDispatchAssumeRole", &ASSOCIATION_DISPATCH_ASSUME_ROLE_ARN), required("AssociationId", &ASSOCIATION_ID), member("AssociationName", &ASSOCIATION_NAME), member("AssociationVersion", &ASSOCIATION_VERSION), member("AutomationTargetParameterName", &AUTOMATION_TARGET_PARAMETER_NAME), member("CalendarNames", &FREE), member("ComplianceSeverity", &ASSOCIATION_COMPLIANCE_SEVERITY), member("DocumentVersion", &DOCUMENT_VERSION), member("Duration", &DURATION), member("MaxConcurrency", &MAX_CONCURRENCY), member("MaxErrors", &MAX_ERRORS), member("Name", &DOCUMENT_ARN), member("OutputLocation", &INSTANCE_ASSOCIATION_OUTPUT_LOCATION), member("Parameters", &FREE).secret(), member("ScheduleExpression", &SCHEDULE_EXPRESSION), member("ScheduleOffset", &SCHEDULE_OFFSET), member("SyncCompliance", &ASSOCIATION_SYNC_COMPLIANCE), member("TargetLocations", &TARGET_LOCATIONS), member("TargetMaps", &TARGET_MAPS), member("Targets", &TARGETS)]);
static UPDATE_ASSOCIATION_STATUS_REQUEST: Shape = structure(&[required("AssociationStatus", &ASSOCIATION_STATUS), required("InstanceId", &INSTANCE_ID), required("Name", &DOCUMENT_ARN)]);
static UPDATE_CLOUD_CONNECTOR_REQUEST: Shape = structure(&[required("CloudConnectorId", &CLOUD_CONNECTOR_ID), member("Configuration", &CLOUD_CONNECTOR_CONFIGURATION), member("Description", &CLOUD_CONNECTOR_DESCRIPTION), member("DisplayName", &DISPLAY_NAME)]);
static UPDATE_DOCUMENT_DEFAULT_VERSION_REQUEST: Shape = structure(&[required("DocumentVersion", &DOCUMENT_VERSION_NUMBER), required("Name", &DOCUMENT_NAME)]);
static UPDATE_DOCUMENT_METADATA_REQUEST: Shape = structure(&[required("DocumentReviews", &DOCUMENT_REVIEWS), member("DocumentVersion", &DOCUMENT_VERSION), required("Name", &DOCUMENT_NAME)]);
static UPDATE_DOCUMENT_REQUEST: Shape = structure(&[member("Attachments", &ATTACHMENTS_SOURCE_LIST), required("Content", &DOCUMENT_CONTENT), member("DisplayName", &DOCUMENT_DISPLAY_NAME), member("DocumentFormat", &DOCUMENT_FORMAT), member("DocumentVersion", &DOCUMENT_VERSION), required("Name", &DOCUMENT_NAME), member("TargetType", &TARGET_TYPE), member("VersionName", &DOCUMENT_VERSION_NAME)]);
static UPDATE_MAINTENANCE_WINDOW_REQUEST: Shape = structure(&[member("AllowUnassociatedTargets", &FREE), member("Cutoff", &MAINTENANCE_WINDOW_CUTOFF), member("Description", &MAINTENANCE_WINDOW_DESCRIPTION).secret(), member("Duration", &MAINTENANCE_WINDOW_DURATION_HOURS), member("Enabled", &FREE), member("EndDate", &FREE), member("Name", &MAINTENANCE_WINDOW_NAME), member("Replace", &FREE), member("Schedule", &MAINTENANCE_WINDOW_SCHEDULE), member("ScheduleOffset", &MAINTENANCE_WINDOW_OFFSET), member("ScheduleTimezone", &FREE), member("StartDate", &FREE), required("WindowId", &MAINTENANCE_WINDOW_ID)]);
static UPDATE_MAINTENANCE_WINDOW_TARGET_REQUEST: Shape = structure(&[member("Description", &MAINTENANCE_WINDOW_DESCRIPTION).secret(), member("Name", &MAINTENANCE_WINDOW_NAME), member("OwnerInformation", &OWNER_INFORMATION).secret(), member("Replace", &FREE), member("Targets", &TARGETS), required("WindowId", &MAINTENANCE_WINDOW_ID), required("WindowTargetId", &MAINTENANCE_WINDOW_TARGET_ID)]);
static UPDATE_MAINTENANCE_WINDOW_TASK_REQUEST: Shape = structure(&[member("AlarmConfiguration", &ALARM_CONFIGURATION), member("CutoffBehavior", &MAINTENANCE_WINDOW_TASK_CUTOFF_BEHAVIOR), member("Description", &MAINTENANCE_WINDOW_DESCRIPTION).secret(), member("LoggingInfo", &LOGGING_INFO), member("MaxConcurrency", &MAX_CONCURRENCY), member("MaxErrors", &MAX_ERRORS), member("Name", &MAINTENANCE_WINDOW_NAME), member("Priority", &MAINTENANCE_WINDOW_TASK_PRIORITY), member("Replace", &FREE), member("ServiceRoleArn", &FREE), member("Targets", &TARGETS), member("TaskArn", &MAINTENANCE_WINDOW_TASK_ARN), member("TaskInvocationParameters", &MAINTENANCE_WINDOW_TASK_INVOCATION_PARAMETERS), member("TaskParameters", &MAINTENANCE_WINDOW_TASK_PARAMETERS).secret(), required("WindowId", &MAINTENANCE_WINDOW_ID), required("WindowTaskId", &MAINTENANCE_WINDOW_TASK_ID)]);
static UPDATE_MANAGED_INSTANCE_ROLE_REQUEST: Shape = structure(&[required("IamRole", &IAM_ROLE), required("InstanceId", &MANAGED_INSTANCE_ID)]);
static UPDATE_OPS_ITEM_REQUEST: Shape = structure(&[member("ActualEndTime", &FREE), member("ActualStartTime", &FREE), member("Category", &OPS_ITEM_CATEGORY), member("Description", &OPS_ITEM_DESCRIPTION), member("Notifications", &FREE), member("OperationalData", &OPS_ITEM_OPERATIONAL_DATA), member("OperationalDataToDelete", &FREE), member("OpsItemArn", &OPS_ITEM_ARN), required("OpsItemId", &OPS_ITEM_ID), member("PlannedEndTime", &FREE), member("PlannedStartTime", &FREE), member("Priority", &OPS_ITEM_PRIORITY), member("RelatedOpsItems", &RELATED_OPS_ITEMS), member("Severity", &OPS_ITEM_SEVERITY), member("Status", &OPS_ITEM_STATUS), member("Title", &OPS_ITEM_TITLE)]);
static UPDATE_OPS_METADATA_REQUEST: Shape = structure(&[member("KeysToDelete", &METADATA_KEYS_TO_DELETE_LIST), member("MetadataToUpdate", &METADATA_MAP), required("OpsMetadataArn", &OPS_METADATA_ARN)]);
static UPDATE_PATCH_BASELINE_REQUEST: Shape = structure(&[member("ApprovalRules", &PATCH_RULE_GROUP), member("ApprovedPatches", &PATCH_ID_LIST), member("ApprovedPatchesComplianceLevel", &PATCH_COMPLIANCE_LEVEL), member("ApprovedPatchesEnableNonSecurity", &FREE), member("AvailableSecurityUpdatesComplianceStatus", &PATCH_COMPLIANCE_STATUS), required("BaselineId", &BASELINE_ID), member("Description", &BASELINE_DESCRIPTION), member("GlobalFilters", &PATCH_FILTER_GROUP), member("Name", &BASELINE_NAME), member("RejectedPatches", &PATCH_ID_LIST), member("RejectedPatchesAction", &PATCH_ACTION), member("Replace", &FREE), member("Sources", &PATCH_SOURCE_LIST)]);
static UPDATE_RESOURCE_DATA_SYNC_REQUEST: Shape = structure(&[required("SyncName", &RESOURCE_DATA_SYNC_NAME), required("SyncSource", &RESOURCE_DATA_SYNC_SOURCE), required("SyncType", &RESOURCE_DATA_SYNC_TYPE)]);
static UPDATE_SERVICE_SETTING_REQUEST: Shape = structure(&[required("SettingId", &SERVICE_SETTING_ID), required("SettingValue", &SERVICE_SETTING_VALUE)]);
static UUID: Shape = patterned(None, None, "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}", None);
static VALIDATE_CLOUD_CONNECTOR_MAX_RESULTS: Shape = number(Some(0), Some(75));
static VALIDATE_CLOUD_CONNECTOR_REQUEST: Shape = structure(&[required("CloudConnectorId", &CLOUD_CONNECTOR_ID), member("MaxResults", &VALIDATE_CLOUD_CONNECTOR_MAX_RESULTS), member("NextToken", &FREE)]);

/// The requests of the operations, sorted by name.
pub(super) static REQUESTS: &[(&str, &Shape)] = &[
    ("AddTagsToResource", &ADD_TAGS_TO_RESOURCE_REQUEST),
    ("AssociateOpsItemRelatedItem", &ASSOCIATE_OPS_ITEM_RELATED_ITEM_REQUEST),
    ("CancelCommand", &CANCEL_COMMAND_REQUEST),
    ("CancelMaintenanceWindowExecution", &CANCEL_MAINTENANCE_WINDOW_EXECUTION_REQUEST),
    ("CreateActivation", &CREATE_ACTIVATION_REQUEST),
    ("CreateAssociation", &CREATE_ASSOCIATION_REQUEST),
    ("CreateAssociationBatch", &CREATE_ASSOCIATION_BATCH_REQUEST),
    ("CreateCloudConnector", &CREATE_CLOUD_CONNECTOR_REQUEST),
    ("CreateDocument", &CREATE_DOCUMENT_REQUEST),
    ("CreateMaintenanceWindow", &CREATE_MAINTENANCE_WINDOW_REQUEST),
    ("CreateOpsItem", &CREATE_OPS_ITEM_REQUEST),
    ("CreateOpsMetadata", &CREATE_OPS_METADATA_REQUEST),
    ("CreatePatchBaseline", &CREATE_PATCH_BASELINE_REQUEST),
    ("CreateResourceDataSync", &CREATE_RESOURCE_DATA_SYNC_REQUEST),
    ("DeleteActivation", &DELETE_ACTIVATION_REQUEST),
    ("DeleteAssociation", &DELETE_ASSOCIATION_REQUEST),
    ("DeleteCloudConnector", &DELETE_CLOUD_CONNECTOR_REQUEST),
    ("DeleteDocument", &DELETE_DOCUMENT_REQUEST),
    ("DeleteInventory", &DELETE_INVENTORY_REQUEST),
    ("DeleteMaintenanceWindow", &DELETE_MAINTENANCE_WINDOW_REQUEST),
    ("DeleteOpsItem", &DELETE_OPS_ITEM_REQUEST),
    ("DeleteOpsMetadata", &DELETE_OPS_METADATA_REQUEST),
    ("DeleteParameter", &DELETE_PARAMETER_REQUEST),
    ("DeleteParameters", &DELETE_PARAMETERS_REQUEST),
    ("DeletePatchBaseline", &DELETE_PATCH_BASELINE_REQUEST),
    ("DeleteResourceDataSync", &DELETE_RESOURCE_DATA_SYNC_REQUEST),
    ("DeleteResourcePolicy", &DELETE_RESOURCE_POLICY_REQUEST),
    ("DeregisterDefaultHostManagementConfiguration", &FREE),
    ("DeregisterManagedInstance", &DEREGISTER_MANAGED_INSTANCE_REQUEST),
    ("DeregisterPatchBaselineForPatchGroup", &DEREGISTER_PATCH_BASELINE_FOR_PATCH_GROUP_REQUEST),
    ("DeregisterTargetFromMaintenanceWindow", &DEREGISTER_TARGET_FROM_MAINTENANCE_WINDOW_REQUEST),
    ("DeregisterTaskFromMaintenanceWindow", &DEREGISTER_TASK_FROM_MAINTENANCE_WINDOW_REQUEST),
    ("DescribeActivations", &DESCRIBE_ACTIVATIONS_REQUEST),
    ("DescribeAssociation", &DESCRIBE_ASSOCIATION_REQUEST),
    ("DescribeAssociationExecutionTargets", &DESCRIBE_ASSOCIATION_EXECUTION_TARGETS_REQUEST),
    ("DescribeAssociationExecutions", &DESCRIBE_ASSOCIATION_EXECUTIONS_REQUEST),
    ("DescribeAutomationExecutions", &DESCRIBE_AUTOMATION_EXECUTIONS_REQUEST),
    ("DescribeAutomationStepExecutions", &DESCRIBE_AUTOMATION_STEP_EXECUTIONS_REQUEST),
    ("DescribeAvailablePatches", &DESCRIBE_AVAILABLE_PATCHES_REQUEST),
    ("DescribeDocument", &DESCRIBE_DOCUMENT_REQUEST),
    ("DescribeDocumentPermission", &DESCRIBE_DOCUMENT_PERMISSION_REQUEST),
    ("DescribeEffectiveInstanceAssociations", &DESCRIBE_EFFECTIVE_INSTANCE_ASSOCIATIONS_REQUEST),
    ("DescribeEffectivePatchesForPatchBaseline", &DESCRIBE_EFFECTIVE_PATCHES_FOR_PATCH_BASELINE_REQUEST),
    ("DescribeInstanceAssociationsStatus", &DESCRIBE_INSTANCE_ASSOCIATIONS_STATUS_REQUEST),
    ("DescribeInstanceInformation", &DESCRIBE_INSTANCE_INFORMATION_REQUEST),
    ("DescribeInstancePatchStates", &DESCRIBE_INSTANCE_PATCH_STATES_REQUEST),
    ("DescribeInstancePatchStatesForPatchGroup", &DESCRIBE_INSTANCE_PATCH_STATES_FOR_PATCH_GROUP_REQUEST),
    ("DescribeInstancePatches", &DESCRIBE_INSTANCE_PATCHES_REQUEST),
    ("DescribeInstanceProperties", &DESCRIBE_INSTANCE_PROPERTIES_REQUEST),
    ("DescribeInventoryDeletions", &DESCRIBE_INVENTORY_DELETIONS_REQUEST),
    ("DescribeMaintenanceWindowExecutionTaskInvocations", &DESCRIBE_MAINTENANCE_WINDOW_EXECUTION_TASK_INVOCATIONS_REQUEST),
    ("DescribeMaintenanceWindowExecutionTasks", &DESCRIBE_MAINTENANCE_WINDOW_EXECUTION_TASKS_REQUEST),
    ("DescribeMaintenanceWindowExecutions", &DESCRIBE_MAINTENANCE_WINDOW_EXECUTIONS_REQUEST),
    ("DescribeMaintenanceWindowSchedule", &DESCRIBE_MAINTENANCE_WINDOW_SCHEDULE_REQUEST),
    ("DescribeMaintenanceWindowTargets", &DESCRIBE_MAINTENANCE_WINDOW_TARGETS_REQUEST),
    ("DescribeMaintenanceWindowTasks", &DESCRIBE_MAINTENANCE_WINDOW_TASKS_REQUEST),
    ("DescribeMaintenanceWindows", &DESCRIBE_MAINTENANCE_WINDOWS_REQUEST),
    ("DescribeMaintenanceWindowsForTarget", &DESCRIBE_MAINTENANCE_WINDOWS_FOR_TARGET_REQUEST),
    ("DescribeOpsItems", &DESCRIBE_OPS_ITEMS_REQUEST),
    ("DescribeParameters", &DESCRIBE_PARAMETERS_REQUEST),
    ("DescribePatchBaselines", &DESCRIBE_PATCH_BASELINES_REQUEST),
    ("DescribePatchGroupState", &DESCRIBE_PATCH_GROUP_STATE_REQUEST),
    ("DescribePatchGroups", &DESCRIBE_PATCH_GROUPS_REQUEST),
    ("DescribePatchProperties", &DESCRIBE_PATCH_PROPERTIES_REQUEST),
    ("DescribeSessions", &DESCRIBE_SESSIONS_REQUEST),
    ("DisassociateOpsItemRelatedItem", &DISASSOCIATE_OPS_ITEM_RELATED_ITEM_REQUEST),
    ("GetAccessToken", &GET_ACCESS_TOKEN_REQUEST),
    ("GetAutomationExecution", &GET_AUTOMATION_EXECUTION_REQUEST),
    ("GetCalendarState", &GET_CALENDAR_STATE_REQUEST),
    ("GetCloudConnector", &GET_CLOUD_CONNECTOR_REQUEST),
    ("GetCommandInvocation", &GET_COMMAND_INVOCATION_REQUEST),
    ("GetConnectionStatus", &GET_CONNECTION_STATUS_REQUEST),
    ("GetDefaultPatchBaseline", &GET_DEFAULT_PATCH_BASELINE_REQUEST),
    ("GetDeployablePatchSnapshotForInstance", &GET_DEPLOYABLE_PATCH_SNAPSHOT_FOR_INSTANCE_REQUEST),
    ("GetDocument", &GET_DOCUMENT_REQUEST),
    ("GetExecutionPreview", &GET_EXECUTION_PREVIEW_REQUEST),
    ("GetInventory", &GET_INVENTORY_REQUEST),
    ("GetInventorySchema", &GET_INVENTORY_SCHEMA_REQUEST),
    ("GetMaintenanceWindow", &GET_MAINTENANCE_WINDOW_REQUEST),
    ("GetMaintenanceWindowExecution", &GET_MAINTENANCE_WINDOW_EXECUTION_REQUEST),
    ("GetMaintenanceWindowExecutionTask", &GET_MAINTENANCE_WINDOW_EXECUTION_TASK_REQUEST),
    ("GetMaintenanceWindowExecutionTaskInvocation", &GET_MAINTENANCE_WINDOW_EXECUTION_TASK_INVOCATION_REQUEST),
    ("GetMaintenanceWindowTask", &GET_MAINTENANCE_WINDOW_TASK_REQUEST),
    ("GetOpsItem", &GET_OPS_ITEM_REQUEST),
    ("GetOpsMetadata", &GET_OPS_METADATA_REQUEST),
    ("GetOpsSummary", &GET_OPS_SUMMARY_REQUEST),
    ("GetParameter", &GET_PARAMETER_REQUEST),
    ("GetParameterHistory", &GET_PARAMETER_HISTORY_REQUEST),
    ("GetParameters", &GET_PARAMETERS_REQUEST),
    ("GetParametersByPath", &GET_PARAMETERS_BY_PATH_REQUEST),
    ("GetPatchBaseline", &GET_PATCH_BASELINE_REQUEST),
    ("GetPatchBaselineForPatchGroup", &GET_PATCH_BASELINE_FOR_PATCH_GROUP_REQUEST),
    ("GetResourcePolicies", &GET_RESOURCE_POLICIES_REQUEST),
    ("GetServiceSetting", &GET_SERVICE_SETTING_REQUEST),
    ("LabelParameterVersion", &LABEL_PARAMETER_VERSION_REQUEST),
    ("ListAssociationVersions", &LIST_ASSOCIATION_VERSIONS_REQUEST),
    ("ListAssociations", &LIST_ASSOCIATIONS_REQUEST),
    ("ListCloudConnectors", &LIST_CLOUD_CONNECTORS_REQUEST),
    ("ListCommandInvocations", &LIST_COMMAND_INVOCATIONS_REQUEST),
    ("ListCommands", &LIST_COMMANDS_REQUEST),
    ("ListComplianceItems", &LIST_COMPLIANCE_ITEMS_REQUEST),
    ("ListComplianceSummaries", &LIST_COMPLIANCE_SUMMARIES_REQUEST),
    ("ListDocumentMetadataHistory", &LIST_DOCUMENT_METADATA_HISTORY_REQUEST),
    ("ListDocumentVersions", &LIST_DOCUMENT_VERSIONS_REQUEST),
    ("ListDocuments", &LIST_DOCUMENTS_REQUEST),
    ("ListInventoryEntries", &LIST_INVENTORY_ENTRIES_REQUEST),
    ("ListNodes", &LIST_NODES_REQUEST),
    ("ListNodesSummary", &LIST_NODES_SUMMARY_REQUEST),
    ("ListOpsItemEvents", &LIST_OPS_ITEM_EVENTS_REQUEST),
    ("ListOpsItemRelatedItems", &LIST_OPS_ITEM_RELATED_ITEMS_REQUEST),
    ("ListOpsMetadata", &LIST_OPS_METADATA_REQUEST),
    ("ListResourceComplianceSummaries", &LIST_RESOURCE_COMPLIANCE_SUMMARIES_REQUEST),
    ("ListResourceDataSync", &LIST_RESOURCE_DATA_SYNC_REQUEST),
    ("ListTagsForResource", &LIST_TAGS_FOR_RESOURCE_REQUEST),
    ("ModifyDocumentPermission", &MODIFY_DOCUMENT_PERMISSION_REQUEST),
    ("PutComplianceItems", &PUT_COMPLIANCE_ITEMS_REQUEST),
    ("PutInventory", &PUT_INVENTORY_REQUEST),
    ("PutParameter", &PUT_PARAMETER_REQUEST),
    ("PutResourcePolicy", &PUT_RESOURCE_POLICY_REQUEST),
    ("RegisterDefaultHostManagementConfiguration", &REGISTER_DEFAULT_HOST_MANAGEMENT_CONFIGURATION_REQUEST),
    ("RegisterDefaultPatchBaseline", &REGISTER_DEFAULT_PATCH_BASELINE_REQUEST),
    ("RegisterPatchBaselineForPatchGroup", &REGISTER_PATCH_BASELINE_FOR_PATCH_GROUP_REQUEST),
    ("RegisterTargetWithMaintenanceWindow", &REGISTER_TARGET_WITH_MAINTENANCE_WINDOW_REQUEST),
    ("RegisterTaskWithMaintenanceWindow", &REGISTER_TASK_WITH_MAINTENANCE_WINDOW_REQUEST),
    ("RemoveTagsFromResource", &REMOVE_TAGS_FROM_RESOURCE_REQUEST),
    ("ResetServiceSetting", &RESET_SERVICE_SETTING_REQUEST),
    ("ResumeSession", &RESUME_SESSION_REQUEST),
    ("SendAutomationSignal", &SEND_AUTOMATION_SIGNAL_REQUEST),
    ("SendCommand", &SEND_COMMAND_REQUEST),
    ("StartAccessRequest", &START_ACCESS_REQUEST_REQUEST),
    ("StartAssociationsOnce", &START_ASSOCIATIONS_ONCE_REQUEST),
    ("StartAutomationExecution", &START_AUTOMATION_EXECUTION_REQUEST),
    ("StartChangeRequestExecution", &START_CHANGE_REQUEST_EXECUTION_REQUEST),
    ("StartExecutionPreview", &START_EXECUTION_PREVIEW_REQUEST),
    ("StartSession", &START_SESSION_REQUEST),
    ("StopAutomationExecution", &STOP_AUTOMATION_EXECUTION_REQUEST),
    ("TerminateSession", &TERMINATE_SESSION_REQUEST),
    ("UnlabelParameterVersion", &UNLABEL_PARAMETER_VERSION_REQUEST),
    ("UpdateAssociation", &UPDATE_ASSOCIATION_REQUEST),
    ("UpdateAssociationStatus", &UPDATE_ASSOCIATION_STATUS_REQUEST),
    ("UpdateCloudConnector", &UPDATE_CLOUD_CONNECTOR_REQUEST),
    ("UpdateDocument", &UPDATE_DOCUMENT_REQUEST),
    ("UpdateDocumentDefaultVersion", &UPDATE_DOCUMENT_DEFAULT_VERSION_REQUEST),
    ("UpdateDocumentMetadata", &UPDATE_DOCUMENT_METADATA_REQUEST),
    ("UpdateMaintenanceWindow", &UPDATE_MAINTENANCE_WINDOW_REQUEST),
    ("UpdateMaintenanceWindowTarget", &UPDATE_MAINTENANCE_WINDOW_TARGET_REQUEST),
    ("UpdateMaintenanceWindowTask", &UPDATE_MAINTENANCE_WINDOW_TASK_REQUEST),
    ("UpdateManagedInstanceRole", &UPDATE_MANAGED_INSTANCE_ROLE_REQUEST),
    ("UpdateOpsItem", &UPDATE_OPS_ITEM_REQUEST),
    ("UpdateOpsMetadata", &UPDATE_OPS_METADATA_REQUEST),
    ("UpdatePatchBaseline", &UPDATE_PATCH_BASELINE_REQUEST),
    ("UpdateResourceDataSync", &UPDATE_RESOURCE_DATA_SYNC_REQUEST),
    ("UpdateServiceSetting", &UPDATE_SERVICE_SETTING_REQUEST),
    ("ValidateCloudConnector", &VALIDATE_CLOUD_CONNECTOR_REQUEST),
];
