#include <Poco/Net/MessageHeader.h>
#include <Poco/Net/MultipartReader.h>
#include <Poco/Net/NameValueCollection.h>
#include <Poco/StreamCopier.h>

#include <algorithm>
#include <sstream>

#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Params.h"

namespace gridbridge::fakegitlab {

namespace {

/// The parts of a multipart body that matter.
struct Upload {
    bool hasFile = false;
    std::string filename;
    std::string bytes;
    std::map<std::string, std::string> fields;
};

Upload uploadOf(const Request& request) {
    Upload result;
    std::string type;
    Poco::Net::NameValueCollection parameters;
    Poco::Net::MessageHeader::splitParameters(request.header("content-type"), type, parameters);
    std::istringstream body(request.body);
    Poco::Net::MultipartReader reader(body, parameters.get("boundary", "none"));
    while (reader.hasNextPart()) {
        Poco::Net::MessageHeader header;
        reader.nextPart(header);
        std::string disposition;
        Poco::Net::NameValueCollection names;
        Poco::Net::MessageHeader::splitParameters(header.get("Content-Disposition", ""),
                                                  disposition, names);
        std::string bytes;
        Poco::StreamCopier::copyToString(reader.stream(), bytes);
        if (names.get("name", "") == "file" && names.has("filename")) {
            result.hasFile = true;
            result.filename = names.get("filename");
            result.bytes = std::move(bytes);
        } else {
            result.fields[names.get("name", "")] = std::move(bytes);
        }
    }
    return result;
}

/// The format GitLab demands for a type; empty = unknown type.
std::string formatFor(const std::string& type) {
    static const std::map<std::string, std::vector<std::string>> kTypes = {
        {"zip", {"archive", "lsif"}},
        {"gzip",
         {"metadata", "junit", "metrics", "metrics_referee", "network_referee", "dotenv",
          "cobertura", "jacoco", "cluster_applications", "cyclonedx", "annotations",
          "repository_xray"}},
        {"raw",
         {"trace", "sast", "secret_detection", "dependency_scanning", "container_scanning",
          "cluster_image_scanning", "dast", "license_scanning", "accessibility", "codequality",
          "performance", "browser_performance", "load_performance", "terraform", "requirements",
          "requirements_v2", "coverage_fuzzing", "api_fuzzing"}}};
    for (const auto& [format, types] : kTypes) {
        if (std::find(types.begin(), types.end(), type) != types.end()) {
            return format;
        }
    }
    return {};
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
    const auto starts = [&](std::string_view magic) { return artifact.bytes.starts_with(magic); };
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
    const auto [job, refusal] = accessJob(state, id, jobToken(state, request, id), false);
    if (job == nullptr) {
        return refusal;
    }
    auto upload = multipart ? uploadOf(request) : Upload{};
    if (!upload.hasFile) {
        return missing("file is missing");
    }
    const auto parameter = [&](const std::string& name, const std::string& otherwise) {
        const auto field = upload.fields.find(name);
        return queryValue(request.query, name)
            .value_or(field == upload.fields.end() ? otherwise : field->second);
    };
    Artifact artifact{.type = parameter("artifact_type", "archive"),
                      .format = parameter("artifact_format", "zip"),
                      .filename = upload.filename,
                      .bytes = std::move(upload.bytes),
                      .expireIn = parameter("expire_in", "")};
    if (formatFor(artifact.type) != artifact.format) {
        return messageReply(400, "Invalid artifact type or format");
    }
    if (artifact.bytes.size() > state.options.artifactLimit) {
        return messageReply(413);
    }
    checkStrictly(state, *job, request, artifact, upload);
    for (const auto& other : job->artifacts) {
        if (other.type == artifact.type) {
            return other.bytes == artifact.bytes
                       ? stored()
                       : messageReply(400, "another artifact of the same type already exists");
        }
    }
    state.event("job " + std::to_string(id) + " " + job->spec.name + ": artifact " +
                artifact.filename + ", " + std::to_string(artifact.bytes.size()) + " bytes");
    job->artifacts.push_back(std::move(artifact));
    return stored();
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
        Reply reply;
        reply.status = 302;
        reply.headers.emplace_back("Location", state.storageUrl + "/storage/" + std::to_string(id));
        return reply;
    }
    return fileReply(*archive);
}

Reply serveStorage(State& state, const Request& request) {
    constexpr std::string_view kPrefix = "/storage/";
    if (request.has("job-token") || request.has("private-token")) {
        state.violate("a token was sent to the object storage");
    }
    const auto digits =
        request.path.starts_with(kPrefix) ? request.path.substr(kPrefix.size()) : std::string("0");
    const auto* archive = archiveOf(state.job(std::atoll(digits.c_str())));
    if (archive == nullptr) {
        return messageReply(404);
    }
    auto reply = fileReply(*archive);
    if (request.header("range").starts_with("bytes=")) {
        reply.body = partOf(archive->bytes, request.header("range"), reply);
    }
    return reply;
}

}  // namespace gridbridge::fakegitlab
