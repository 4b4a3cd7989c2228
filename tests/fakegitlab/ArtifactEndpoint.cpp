#include <algorithm>
#include <sstream>

#include "tests/fakegitlab/ArtifactRules.h"
#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Params.h"
#include "tests/fakegitlab/Upload.h"

namespace gridbridge::fakegitlab {

namespace {

Upload uploadOf(const Request& request) {
    if (request.upload) {
        return *request.upload;
    }
    std::istringstream body(request.body);
    return readUpload(body, request.header("content-type"), request.body.size());
}

void checkStrictly(State& state, const JobState& job, const Request& request,
                   const Artifact& artifact, const Upload& upload) {
    if (upload.fields.count("artifact_type") > 0 || upload.fields.count("artifact_format") > 0) {
        state.violate(job, "artifact type and format belong into the query");
    }
    if (queryValue(request.query, "token")) {
        state.violate(job, "upload with the token in the query");
    }
    if (artifact.filename.empty() || artifact.filename.find('/') != std::string::npos) {
        state.violate(job, "artifact file name '" + artifact.filename + "'");
    }
    const auto starts = [&](std::string_view magic) { return upload.head.starts_with(magic); };
    if (artifact.format == "zip" && !starts("PK\x03\x04") && !starts("PK\x05\x06")) {
        state.violate(job, "artifact " + artifact.filename + " is not a zip archive");
    }
    if (artifact.format == "gzip" && !starts("\x1f\x8b")) {
        state.violate(job, "artifact " + artifact.filename + " is not gzip");
    }
    const auto asked = std::find_if(job.spec.artifacts.begin(), job.spec.artifacts.end(),
                                    [&](const auto& spec) { return spec.type == artifact.type; });
    if (asked == job.spec.artifacts.end() && job.spec.merge.empty()) {
        state.violate(job, "artifact of type " + artifact.type + " was not asked for");
    } else if (asked != job.spec.artifacts.end() && asked->expireIn != artifact.expireIn) {
        state.violate(job, "artifact expire_in '" + artifact.expireIn + "' instead of '" +
                               asked->expireIn + "'");
    }
}

Reply stored() {
    return jsonReply(201, "201");
}

/// 307 to where the upload has to go.
Reply moved(State& state, const Request& request) {
    const auto& to = state.options.movedUploadsStay || state.storageUrl.empty()
                         ? state.url
                         : state.storageUrl + state.options.root;
    Reply reply{.status = 307, .fault = true};
    reply.headers.emplace_back(
        "Location", to + request.path.substr(state.options.root.size()) + "?" + request.query);
    return reply;
}

Artifact artifactOf(const Request& request, Upload& upload) {
    const auto parameter = [&](const std::string& name, const std::string& otherwise) {
        const auto field = upload.fields.find(name);
        return queryValue(request.query, name)
            .value_or(field == upload.fields.end() ? otherwise : field->second);
    };
    return {.type = parameter("artifact_type", "archive"),
            .format = parameter("artifact_format", "zip"),
            .filename = upload.filename,
            .size = upload.size,
            .sha256 = upload.sha256,
            .bytes = std::move(upload.bytes),
            .expireIn = parameter("expire_in", "")};
}

Reply store(State& state, JobState& job, Artifact artifact) {
    for (const auto& other : job.artifacts) {
        if (other.type == artifact.type) {
            return other.sha256 == artifact.sha256
                       ? stored()
                       : messageReply(400, "another artifact of the same type already exists");
        }
    }
    const auto problem =
        artifact.type == "dotenv" ? dotenvProblem(artifact.size, artifact.bytes) : std::string();
    if (!problem.empty()) {
        auto reply = messageReply(400, problem);
        reply.users = true;
        return reply;
    }
    state.event("job " + std::to_string(job.id) + " " + job.spec.name + ": artifact " +
                artifact.filename + ", " + std::to_string(artifact.size) + " bytes");
    if (artifact.size > state.options.keepArtifactsBelow) {
        artifact.bytes.clear();
    }
    job.artifacts.push_back(std::move(artifact));
    return stored();
}

std::string partOf(const std::string& bytes, const std::string& range, Reply& reply) {
    // Only the form `bytes=a-b`, which parallel downloads use.
    const auto dash = range.find('-');
    const auto first = std::stoull(range.substr(6, dash - 6));
    const auto last = std::min<std::size_t>(std::stoull(range.substr(dash + 1)), bytes.size() - 1);
    reply.status = 206;
    reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(first) + "-" +
                                                    std::to_string(last) + "/" +
                                                    std::to_string(bytes.size()));
    return first > last ? std::string() : bytes.substr(first, last - first + 1);
}

const Artifact* archiveOf(const JobState* job) {
    if (job == nullptr || job->artifactsExpired || !job->gone.empty()) {
        return nullptr;
    }
    const auto found = std::find_if(job->artifacts.begin(), job->artifacts.end(),
                                    [](const auto& a) { return a.type == "archive"; });
    return found == job->artifacts.end() ? nullptr : &*found;
}

Reply fileReply(const Artifact& archive) {
    if (archive.bytes.size() != archive.size) {
        return messageReply(500, "the archive was not kept");
    }
    Reply reply;
    reply.headers.emplace_back("Content-Type", "application/octet-stream");
    reply.headers.emplace_back("Content-Disposition",
                               "attachment; filename=\"" + archive.filename + "\"");
    reply.body = archive.bytes;
    return reply;
}

}  // namespace

Reply uploadArtifact(State& state, const Request& request, JobId id) {
    const bool multipart = request.header("content-type").starts_with("multipart/form-data");
    if (!request.atStorage && state.faults.strikes(FaultKind::UploadMoved, Call::Upload)) {
        return moved(state, request);
    }
    const auto [job, refusal] = accessJob(state, id, jobToken(state, request, id), false);
    if (job == nullptr) {
        return refusal;
    }
    auto upload = multipart ? uploadOf(request) : Upload{};
    if (!upload.hasFile || !upload.whole) {
        return missing(upload.hasFile ? "file is invalid" : "file is missing");
    }
    auto artifact = artifactOf(request, upload);
    if (formatFor(artifact.type) != artifact.format) {
        return messageReply(400, "Invalid artifact type or format");
    }
    if (artifact.size > limitFor(artifact.type, state.options.artifactLimit)) {
        return messageReply(413);
    }
    checkStrictly(state, *job, request, artifact, upload);
    return store(state, *job, std::move(artifact));
}

Reply downloadArtifact(State& state, const Request& request, JobId id) {
    const auto* reader = state.jobOfToken(jobToken(state, request, id));
    if (reader == nullptr || !State::isExecuting(*reader) || state.tokenExpired(*reader)) {
        return messageReply(401);
    }
    const auto& allowed = reader->spec.dependencies;
    if (std::find(allowed.begin(), allowed.end(), id) == allowed.end()) {
        return messageReply(403);
    }
    const auto* archive = archiveOf(state.job(id));
    if (archive == nullptr) {
        return messageReply(404);
    }
    if (state.options.directDownload &&
        queryValue(request.query, "direct_download").value_or("") == "true") {
        auto& signature = state.job(id)->storageSignature;
        signature = state.newHex(32);
        Reply reply{.status = 302};
        reply.headers.emplace_back("Location", state.storageUrl + "/storage/" + std::to_string(id) +
                                                   "?X-Amz-Signature=" + signature);
        return reply;
    }
    return fileReply(*archive);
}

Reply serveStorage(State& state, const Request& request) {
    constexpr std::string_view kPrefix = "/storage/";
    for (const auto* secret : {"job-token", "private-token", "authorization", "cookie"}) {
        if (request.has(secret)) {
            state.violate(std::string("a token was sent to the object storage: ") + secret);
        }
    }
    const auto digits =
        request.path.starts_with(kPrefix) ? request.path.substr(kPrefix.size()) : std::string("0");
    const auto* job = state.job(std::atoll(digits.c_str()));
    const auto* archive = archiveOf(job);
    if (archive == nullptr) {
        return messageReply(404);
    }
    if (job->storageSignature.empty() ||
        queryValue(request.query, "X-Amz-Signature") != job->storageSignature) {
        return messageReply(403);
    }
    auto reply = fileReply(*archive);
    if (request.header("range").starts_with("bytes=")) {
        reply.body = partOf(archive->bytes, request.header("range"), reply);
    }
    return reply;
}

}  // namespace gridbridge::fakegitlab
