#include <Poco/JSON/Array.h>

#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Params.h"

namespace gridbridge::fakegitlab {

namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr auto kType = "application/vnd.git-lfs+json";

/// Where one object is, or that there is none.
Object::Ptr placeOf(const Object& wanted, const std::string& folder,
                    const std::string& authorization, const Repositories& repositories,
                    const std::string& project) {
    const auto oid = wanted.optValue<std::string>("oid", "");
    Object::Ptr result = new Object;
    result->set("oid", oid);
    result->set("size", wanted.optValue<std::int64_t>("size", 0));
    if (!repositories.lfsObject(project, oid)) {
        Object::Ptr error = new Object;
        error->set("code", 404);
        error->set(
            "message",
            "Object does not exist on the server or you don't have permissions to access it");
        result->set("error", error);
        return result;
    }
    Object::Ptr header = new Object;
    header->set("Authorization", authorization);
    Object::Ptr download = new Object;
    download->set("href", folder + oid);
    download->set("header", header);
    Object::Ptr actions = new Object;
    actions->set("download", download);
    result->set("authenticated", true);
    result->set("actions", actions);
    return result;
}

Reply batch(const State& state, const Repositories& repositories, const Request& request,
            const std::string& project) {
    const Params params(request);
    const auto wanted = params.json().getArray("objects");
    if (!params.ok() || wanted.isNull()) {
        return messageReply(400);
    }
    if (params.text("operation") != "download") {
        return messageReply(403, "Access forbidden. Check your access level.");
    }
    const auto folder = state.url + "/" + project + ".git/gitlab-lfs/objects/";
    Array::Ptr objects = new Array;
    for (std::size_t i = 0; i < wanted->size(); ++i) {
        const auto one = wanted->getObject(static_cast<unsigned>(i));
        if (!one.isNull()) {
            objects->add(
                placeOf(*one, folder, request.header("authorization"), repositories, project));
        }
    }
    Object answer;
    answer.set("transfer", "basic");
    answer.set("objects", objects);
    Reply reply{.body = toText(answer)};
    reply.headers.emplace_back("Content-Type", kType);
    return reply;
}

}  // namespace

Reply serveLfs(const State& state, const Repositories& repositories, const Request& request,
               const std::string& project, const std::string& path) {
    constexpr std::string_view kObjects = "gitlab-lfs/objects/";
    if (request.method == "POST" && path == "info/lfs/objects/batch") {
        return batch(state, repositories, request, project);
    }
    const auto object = request.method == "GET" && path.starts_with(kObjects)
                            ? repositories.lfsObject(project, path.substr(kObjects.size()))
                            : std::nullopt;
    if (!object) {
        return messageReply(404);
    }
    Reply reply{.body = *object};
    reply.headers.emplace_back("Content-Type", "application/octet-stream");
    return reply;
}

}  // namespace gridbridge::fakegitlab
