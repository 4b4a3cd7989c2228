#include "tests/fakegitlab/Repositories.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/fakegitlab/Params.h"
#include "tests/fakegitlab/Spawn.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr auto kNoRepositorySha = "8a1f0c1f7e5f4d3b2a190f8e7d6c5b4a39281706";

/// What `git lfs clean` does: the file goes into the store, its pointer to standard output.
constexpr auto kLfsClean =
    "set -e; store=$GIT_DIR/lfs/objects; mkdir -p \"$store\"; new=$(mktemp \"$store/new.XXXXXX\");"
    " cat >\"$new\"; oid=$(sha256sum <\"$new\" | cut -c1-64); size=$(($(wc -c <\"$new\")));"
    " folder=$store/$(echo $oid | cut -c1-2)/$(echo $oid | cut -c3-4); mkdir -p \"$folder\";"
    " mv \"$new\" \"$folder/$oid\"; echo version https://git-lfs.github.com/spec/v1;"
    " echo oid sha256:$oid; echo size $size";

std::map<std::string, std::string> gitEnvironment() {
    return {{"HOME", "/nonexistent"},
            {"GIT_CONFIG_NOSYSTEM", "1"},
            {"GIT_CONFIG_GLOBAL", "/dev/null"},
            {"GIT_TERMINAL_PROMPT", "0"},
            {"GIT_AUTHOR_NAME", "Ada Example"},
            {"GIT_AUTHOR_EMAIL", "ada@example.org"},
            {"GIT_COMMITTER_NAME", "Ada Example"},
            {"GIT_COMMITTER_EMAIL", "ada@example.org"},
            {"GIT_CONFIG_COUNT", "5"},
            {"GIT_CONFIG_KEY_0", "safe.directory"},
            {"GIT_CONFIG_VALUE_0", "*"},
            {"GIT_CONFIG_KEY_1", "uploadpack.allowAnySHA1InWant"},
            {"GIT_CONFIG_VALUE_1", "true"},
            {"GIT_CONFIG_KEY_2", "uploadpack.allowFilter"},
            {"GIT_CONFIG_VALUE_2", "true"},
            {"GIT_CONFIG_KEY_3", "filter.lfs.clean"},
            {"GIT_CONFIG_VALUE_3", kLfsClean},
            {"GIT_CONFIG_KEY_4", "filter.lfs.required"},
            {"GIT_CONFIG_VALUE_4", "true"}};
}

std::string firstLine(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

/// A CGI answer: header lines, an empty line, the body. `Status:` sets the status.
Reply fromCgi(const std::string& output) {
    Reply reply;
    std::size_t at = 0;
    while (at < output.size()) {
        const auto end = output.find('\n', at);
        auto line = output.substr(at, end - at);
        at = end == std::string::npos ? output.size() : end + 1;
        if (!line.empty() && line.back() == '\r') {
            line.pop_back();
        }
        if (line.empty()) {
            break;
        }
        const auto colon = line.find(": ");
        const auto name = line.substr(0, colon);
        const auto value = colon == std::string::npos ? std::string() : line.substr(colon + 2);
        if (name == "Status") {
            reply.status = std::atoi(value.c_str());
        } else {
            reply.headers.emplace_back(name, value);
        }
    }
    reply.body = output.substr(at);
    return reply;
}

}  // namespace

Repositories::Repositories(std::filesystem::path folder) : folder_(std::move(folder)) {
    if (!folder_.empty()) {
        std::filesystem::create_directories(folder_);
        folder_ = std::filesystem::canonical(folder_);
    }
}

std::filesystem::path Repositories::pathOf(const std::string& project) const {
    return folder_ / (project + ".git");
}

bool Repositories::has(const std::string& project) const {
    return !folder_.empty() && project.find("..") == std::string::npos &&
           std::filesystem::exists(pathOf(project) / "HEAD");
}

std::string Repositories::git(const std::string& project, std::vector<std::string> arguments,
                              std::map<std::string, std::string> more) const {
    auto environment = gitEnvironment();
    environment.merge(more);
    environment["GIT_DIR"] = pathOf(project).string();
    const auto verb = arguments.front();
    arguments.insert(arguments.begin(), "git");
    const auto result = spawn(arguments, environment);
    if (result.exitCode != 0) {
        throw std::runtime_error("git " + verb + " failed for " + project);
    }
    return firstLine(result.output);
}

std::string Repositories::commit(const std::string& project, const std::filesystem::path& directory,
                                 const std::string& ref) {
    const std::lock_guard lock(mutex_);
    if (!has(project)) {
        std::filesystem::create_directories(pathOf(project));
        git(project, {"init", "--quiet", "--bare", "--initial-branch=main"});
    }
    const std::map<std::string, std::string> tree = {
        {"GIT_WORK_TREE", std::filesystem::canonical(directory).string()},
        {"GIT_INDEX_FILE", (pathOf(project) / "new-index").string()}};
    git(project, {"read-tree", "--empty"}, tree);
    git(project, {"add", "--all", "--force", tree.at("GIT_WORK_TREE")}, tree);
    for (const auto& [path, module] : submodulesOf(project, directory)) {
        if (!std::filesystem::exists(directory / path)) {
            const auto sha = git(module, {"rev-parse", "refs/heads/main"});
            git(project, {"update-index", "--add", "--cacheinfo", "160000," + sha + "," + path},
                tree);
        }
    }
    const auto written = git(project, {"write-tree"}, tree);
    std::vector<std::string> arguments = {"commit-tree", "-m", "A commit", written};
    const auto branch = "refs/heads/" + ref;
    const auto parent = git(project, {"for-each-ref", "--format=%(objectname)", branch});
    if (!parent.empty()) {
        arguments.insert(arguments.end(), {"-p", parent});
    }
    const auto sha = git(project, arguments);
    git(project, {"update-ref", branch, sha});
    return sha;
}

std::map<std::string, std::string> Repositories::submodulesOf(
    const std::string& project, const std::filesystem::path& directory) {
    std::map<std::string, std::string> modules;
    std::ifstream in(directory / ".gitmodules");
    std::string path;
    for (std::string key, equals, value; in >> key;) {
        if ((key != "path" && key != "url") || !(in >> equals >> std::ws) ||
            !std::getline(in, value)) {
            continue;
        }
        if (key == "path") {
            path = value;
        } else if (value.starts_with("../")) {
            // Relative to the project's own address.
            const auto place = (std::filesystem::path(project) / value).lexically_normal();
            modules[path] = (place.parent_path() / place.stem()).string();
        }
    }
    return modules;
}

GitPoint Repositories::pointFor(const std::string& project, const std::string& ref) {
    const std::lock_guard lock(mutex_);
    GitPoint point;
    point.sha = kNoRepositorySha;
    const bool real = has(project);
    if (real) {
        const auto found = git(project, {"for-each-ref", "--format=%(objectname)",
                                         "refs/heads/" + ref, "refs/tags/" + ref});
        point.sha = found.empty() ? point.sha : found;
    }
    auto& pipeline = pipelines_[project + " " + ref + " " + point.sha];
    if (pipeline == 0) {
        pipeline = nextPipeline_++;
        if (real && point.sha != kNoRepositorySha) {
            git(project, {"update-ref", "refs/pipelines/" + std::to_string(pipeline), point.sha});
        }
    }
    point.pipeline = pipeline;
    return point;
}

std::optional<std::string> Repositories::lfsObject(const std::string& project,
                                                   const std::string& oid) const {
    constexpr std::size_t kDigits = 64;
    if (oid.size() != kDigits || oid.find_first_not_of("0123456789abcdef") != std::string::npos) {
        return std::nullopt;
    }
    std::ifstream in(
        pathOf(project) / "lfs" / "objects" / oid.substr(0, 2) / oid.substr(2, 2) / oid,
        std::ios::binary);
    if (!in) {
        return std::nullopt;
    }
    return std::string{std::istreambuf_iterator<char>(in), {}};
}

Reply Repositories::serve(const Request& request, const std::string& path) const {
    auto environment = gitEnvironment();
    environment["GIT_PROJECT_ROOT"] = folder_.string();
    environment["GIT_HTTP_EXPORT_ALL"] = "1";
    environment["PATH_INFO"] = path;
    environment["QUERY_STRING"] = request.query;
    environment["REQUEST_METHOD"] = request.method;
    environment["CONTENT_TYPE"] = request.header("content-type");
    environment["CONTENT_LENGTH"] = std::to_string(request.body.size());
    environment["HTTP_CONTENT_ENCODING"] = request.header("content-encoding");
    environment["HTTP_GIT_PROTOCOL"] = request.header("git-protocol");
    environment["REMOTE_ADDR"] = "127.0.0.1";
    const auto result = spawn({"git", "http-backend"}, environment, request.body);
    return result.exitCode == 0 ? fromCgi(result.output) : messageReply(500, "git failed");
}

}  // namespace gridbridge::fakegitlab
