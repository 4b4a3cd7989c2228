#include "bridge/gitlab/FailureReason.h"

#include <cstddef>
#include <iterator>

namespace gridbridge::gitlab {

namespace {

// In the order of the enumeration.
constexpr std::string_view kNames[] = {
    "api_failure",
    "missing_dependency_failure",
    "runner_system_failure",
    "script_failure",
    "stuck_or_timeout_failure",
    "unknown_failure",
    "job_execution_timeout",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "runner_interrupted",
    "no_updates_running",
    "no_updates_canceling",
    "server_timeout_running",
    "server_timeout_canceling",
    "job_execution_server_timeout",
    "stuck_pending_with_matching_runners",
    "stuck_pending_no_matching_runners",
    "job_token_expired",
    "trace_size_exceeded",
    "runner_unsupported",
    "archived_failure",
    "project_deleted",
    "builds_disabled",
    "user_blocked",
    "scheduler_failure",
    "stale_schedule",
    "unmet_prerequisites",
    "data_integrity_failure",
    "forward_deployment_failure",
    "failed_outdated_deployment_job",
    "ci_quota_exceeded",
    "pipeline_loop_detected",
    "no_matching_runner",
    "environment_creation_failure",
    "deployment_rejected",
    "protected_environment_failure",
    "insufficient_bridge_permissions",
    "downstream_bridge_project_not_found",
    "invalid_bridge_trigger",
    "upstream_bridge_project_not_found",
    "insufficient_upstream_permissions",
    "bridge_pipeline_is_child_pipeline",
    "downstream_pipeline_creation_failed",
    "secrets_provider_not_found",
    "reached_max_descendant_pipelines_depth",
    "ip_restriction_failure",
    "reached_max_pipeline_hierarchy_size",
    "reached_downstream_pipeline_trigger_rate_limit",
    "duo_workflow_not_allowed",
    "job_router_failure",
    "id_token_burned_project_path",
    "downstream_project_trigger_resolved_to_empty",
};
static_assert(std::size(kNames) ==
              static_cast<std::size_t>(FailureReason::DownstreamProjectTriggerResolvedToEmpty) + 1);

}  // namespace

std::string_view nameOf(FailureReason reason) {
    return kNames[static_cast<std::size_t>(reason)];
}

}  // namespace gridbridge::gitlab
