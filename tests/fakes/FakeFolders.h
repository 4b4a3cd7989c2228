#pragma once

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "bridge/folder/JobFolders.h"
#include "tests/fakes/Gate.h"

namespace gridbridge::testing {

/// Start markers in memory; no file is ever there. Safe for concurrent use.
class FakeFolders final : public folder::JobFolders {
public:
    /// The script of that submission has started.
    void start(const SubmissionKey& key) {
        const std::lock_guard lock(mutex_);
        begun_.insert(key);
    }
    /// Every submission has this file as its output `name`.
    void output(const std::string& name, const std::filesystem::path& file) {
        const std::lock_guard lock(mutex_);
        outputs_[name] = file;
    }
    std::size_t calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }

    std::filesystem::path path(const folder::FolderRef& folder) const override {
        return "/nowhere/" + folder.key.value;
    }
    Result<void> stage(const folder::FolderRef&, std::span<const folder::StagedFile>) override {
        return {};
    }
    Result<void> append(const folder::FolderRef& folder, const std::string& name,
                        std::int64_t offset, std::string_view bytes) override {
        const std::lock_guard lock(mutex_);
        auto& file = appended_[folder.key.value + "/" + name];
        file.resize(static_cast<std::size_t>(offset));
        file += bytes;
        return {};
    }
    /// What was appended to that input.
    std::string input(const SubmissionKey& key, const std::string& name) const {
        const std::lock_guard lock(mutex_);
        const auto found = appended_.find(key.value + "/" + name);
        return found == appended_.end() ? "" : found->second;
    }
    Result<folder::ProcessId> start(const folder::FolderRef&, std::span<const std::string>,
                                    const std::function<bool(const folder::ProcessId&)>&) override {
        return permanentError("nothing is started here");
    }
    std::vector<Result<folder::ReadChunk>> read(
        std::span<const folder::ReadRequest> requests) override {
        const std::lock_guard lock(mutex_);
        ++calls_;
        std::vector<Result<folder::ReadChunk>> chunks;
        for (const auto& request : requests) {
            folder::ReadChunk chunk;
            if (const auto known = outputs_.find(request.name); known != outputs_.end()) {
                std::ifstream in(known->second, std::ios::binary);
                const std::string whole{std::istreambuf_iterator<char>(in), {}};
                const auto from = std::min(whole.size(), static_cast<std::size_t>(request.offset));
                chunk.exists = true;
                chunk.bytes = whole.substr(from, request.limit);
                chunk.size = static_cast<std::int64_t>(whole.size());
            }
            chunks.emplace_back(std::move(chunk));
        }
        return chunks;
    }
    folder::ProcessEnd reap(const folder::FolderRef&, const folder::ProcessId&) override {
        return {};
    }
    Result<folder::MarkOutcome> mark(const folder::FolderRef& folder) override {
        const std::lock_guard lock(mutex_);
        ++calls_;
        if (begun_.count(folder.key) > 0) {
            return folder::MarkOutcome::AlreadyStarted;
        }
        marked_.insert(folder.key);
        return folder::MarkOutcome::Taken;
    }
    Result<folder::MarkOutcome> begin(const folder::FolderRef& folder) override {
        const std::lock_guard lock(mutex_);
        ++calls_;
        return marked_.count(folder.key) == 0 && begun_.insert(folder.key).second
                   ? folder::MarkOutcome::Taken
                   : folder::MarkOutcome::AlreadyStarted;
    }
    Result<void> requestCancel(const folder::FolderRef&) override { return {}; }
    Result<void> signal(const folder::FolderRef&, const folder::ProcessId&, int) override {
        return {};
    }
    Result<void> free(const folder::FolderRef&) override { return {}; }

private:
    mutable std::mutex mutex_;
    std::set<SubmissionKey> marked_;  ///< By the service.
    std::set<SubmissionKey> begun_;
    std::map<std::string, std::filesystem::path> outputs_;
    std::map<std::string, std::string> appended_;
    std::size_t calls_ = 0;
};

}  // namespace gridbridge::testing
