#pragma once

#include <string_view>

namespace gridbridge::gitlab {

/// Why a job failed, by GitLab's names: every value of GitLab 19's enum
/// (app/models/concerns/enums/ci/commit_status.rb).
enum class FailureReason {
    // The six of the Python package gitlab_runner_api.
    ApiFailure,
    MissingDependencyFailure,
    RunnerSystemFailure,
    ScriptFailure,
    StuckOrTimeoutFailure,
    UnknownFailure,
    // For runners too, since GitLab 12 and 19.1.
    JobExecutionTimeout,
    RunnerConfigurationError,
    RunnerExternalDependencyFailure,
    RunnerInterrupted,
    // Set by the server itself; a runner has no reason to send them.
    NoUpdatesRunning,
    NoUpdatesCanceling,
    ServerTimeoutRunning,
    ServerTimeoutCanceling,
    JobExecutionServerTimeout,
    StuckPendingWithMatchingRunners,
    StuckPendingNoMatchingRunners,
    JobTokenExpired,
    TraceSizeExceeded,
    RunnerUnsupported,
    ArchivedFailure,
    ProjectDeleted,
    BuildsDisabled,
    UserBlocked,
    SchedulerFailure,
    StaleSchedule,
    UnmetPrerequisites,
    DataIntegrityFailure,
    ForwardDeploymentFailure,
    FailedOutdatedDeploymentJob,
    CiQuotaExceeded,
    PipelineLoopDetected,
    NoMatchingRunner,
    EnvironmentCreationFailure,
    DeploymentRejected,
    ProtectedEnvironmentFailure,
    InsufficientBridgePermissions,
    DownstreamBridgeProjectNotFound,
    InvalidBridgeTrigger,
    UpstreamBridgeProjectNotFound,
    InsufficientUpstreamPermissions,
    BridgePipelineIsChildPipeline,
    DownstreamPipelineCreationFailed,
    SecretsProviderNotFound,
    ReachedMaxDescendantPipelinesDepth,
    IpRestrictionFailure,
    ReachedMaxPipelineHierarchySize,
    ReachedDownstreamPipelineTriggerRateLimit,
    DuoWorkflowNotAllowed,
    JobRouterFailure,
    IdTokenBurnedProjectPath,
    DownstreamProjectTriggerResolvedToEmpty,
};

/// `script_failure` and so on, as the protocol and `retry:when` write it.
std::string_view nameOf(FailureReason reason);

}  // namespace gridbridge::gitlab
