#include <fstream>

#include "backends/local/LocalRecords.h"
#include "tests/fakes/TempDir.h"
#include "tests/fuzz/Fuzz.h"

// Input: a file of the local backend's memory, which jobs of the service's own account can write.

namespace gridbridge::fuzz {
namespace {

void check(const SubmissionKey& key, const Result<LocalRecord>& record) {
    if (!record) {
        require(isPlain(record.error().message), "an error holds nothing of the file");
        return;
    }
    require(record->key == key, "a record is of the job that the file is named after");
    require((record->state == LocalState::Ended) == record->endedAt.has_value(),
            "exactly an end has a time");
    require(!record->process || record->process->pid > 0, "a process has a number");
    const auto text = formatRecord(*record);
    const auto again = parseRecord(key, text);
    require(again.ok() && formatRecord(*again) == text, "what was read can be written and read");
}

void check(const SubmissionKey& key, const Result<std::vector<folder::StagedFile>>& inputs) {
    if (!inputs) {
        require(isPlain(inputs.error().message), "an error holds nothing of the file");
        return;
    }
    const auto text = formatInputs(*inputs);
    const auto again = parseInputs(key, text);
    require(again.ok() && formatInputs(*again) == text, "what was read can be written and read");
}

}  // namespace

void tryWith(std::string_view input) {
    const SubmissionKey key{"gb-test-1-1"};
    check(key, parseRecord(key, input));
    check(key, parseInputs(key, input));
    if (!input.starts_with("inputs ")) {
        return;  // Not worth a file.
    }
    const testing::TempDir work;
    LocalRecords records(work.path());
    const auto file = work.path() / ".local" / key.value;
    std::ofstream(file, std::ios::binary) << input;
    for (const auto& loaded : records.load()) {
        check(loaded.key, loaded.record);
        check(loaded.key, records.inputs(loaded.key));
    }
}

}  // namespace gridbridge::fuzz
